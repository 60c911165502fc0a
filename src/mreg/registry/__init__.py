"""Read, decide, publish: ``api`` is public.

Nothing is imported here: a reader does not wait for what only writers need.
"""
