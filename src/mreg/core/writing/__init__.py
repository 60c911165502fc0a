"""What a writer would commit, decided before anything is written."""
