"""Git, as mreg uses it.

``runner`` alone starts Git.  ``repository`` reads, helped by ``discovery`` and ``parsing``.  ``publishing`` writes:
``objects``, ``trees`` and ``signing`` make what it lands, ``worktrees`` keeps the user's checked-out files in step, and
``pending`` is what a killed process leaves to the next.
"""
