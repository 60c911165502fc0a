"""How a change becomes a commit with its tags, here and on the remote."""
