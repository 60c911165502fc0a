"""The upkeep of bytes: whether they are where they should be, and which may go."""
