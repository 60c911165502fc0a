"""The public API: ``facade``, a class on top of ``queries``, ``deliveries``, ``changes`` and ``upkeep``.

Each builds on the one before, so that a command that only reads loads no writers.
"""
