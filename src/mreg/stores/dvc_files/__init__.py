"""The files that DVC keeps in a repository, read and written without DVC."""
