"""What each answer shows: its page, and in a few cases its JSON document."""
