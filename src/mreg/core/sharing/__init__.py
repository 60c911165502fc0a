"""How what was committed here goes on top of what the remote has, and who is told."""
