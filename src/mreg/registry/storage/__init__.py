"""The bytes of versions: taking them in, whether they are where they should be, and which may go."""
