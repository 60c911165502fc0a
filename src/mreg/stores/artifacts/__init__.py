"""The bytes of artifacts on this machine's disk: surveyed, hashed, taken into DVC's cache, put in place."""
