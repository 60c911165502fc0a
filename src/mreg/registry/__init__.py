"""Read, decide, publish: ``facade`` is the public API, ``queries`` its readers.

Nothing is imported here: a reader does not wait for what only writers need.
"""
