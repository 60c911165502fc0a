"""What a registry says: settings, state, history, records as they were registered."""
