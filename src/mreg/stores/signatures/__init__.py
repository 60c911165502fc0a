"""Signatures by SSH keys."""
