"""What one machine keeps to serve registries elsewhere, for all of its processes."""
