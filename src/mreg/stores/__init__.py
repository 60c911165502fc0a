"""The outside world, one module or folder each: Git, DVC, YAML, the disk, what surrounds a run."""
