"""Git, as mreg uses it.

``runner`` alone starts Git.  ``repository`` reads, helped by ``discovery`` and ``parsing``; how it finds what changed in
a long history is in ``history``.  ``writing`` lands a change, of ``objects`` and with Git's own ``signing``; ``remotes``
fetches and pushes.
"""
