"""What is kept below ``.git/mreg`` to be read again, and may be deleted at any moment."""
