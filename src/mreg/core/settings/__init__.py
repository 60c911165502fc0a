"""``registry.yaml``: what it may say, who is who in it, and what a change of it changes."""
