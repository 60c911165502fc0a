"""What the first-parent history of the registry branch says, and the files and tags that say it."""
