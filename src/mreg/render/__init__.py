"""Results as text: ``pages`` say what an answer shows, ``formats`` write it, for a terminal, a pipe, a program, GitHub.

``view`` turns a result into its page, which all formats but JSON share; JSON is made from the result itself.
Nothing here prints, reads the environment or asks the time.
"""
