"""Making a registry of a repository, and what is wrong with a clone."""
