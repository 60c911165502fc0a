"""Which versions' bytes are kept, and whether they are sound."""
