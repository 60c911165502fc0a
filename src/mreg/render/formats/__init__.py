"""How it is written: for a terminal, a pipe, a pull request, a program."""
