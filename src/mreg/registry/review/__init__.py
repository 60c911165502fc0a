"""What others check: the difference that a pull request makes, and the whole history again."""
