"""Git, as mreg uses it.

``runner`` alone starts Git.  ``repository`` reads, helped by ``discovery`` and ``parsing``; what changed in a long
history, it asks ``history``.  ``writing`` lands a change, made of ``objects`` and signed by ``signing``.  ``remotes``
fetches and pushes.
"""
