"""Results as text, one module a format: ``table`` (a terminal), ``columns`` (a pipe), ``markdown`` and ``json``.

``view`` turns a result into a page, which all but JSON share; JSON is made from the result itself.
Nothing here prints, reads the environment or asks the time.
"""
