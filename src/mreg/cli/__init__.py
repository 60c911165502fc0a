"""The command line: parse, call, render."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit status.

    Args:
        arguments: Without the program's name; ``sys.argv`` by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        # Answered before anything heavy is imported: scripts and editors ask often.
        from mreg import __version__

        sys.stdout.write(f"mreg {__version__}\n")
        return 0
    from mreg.cli.app import build
    from mreg.cli.boundary import guarded

    return guarded(lambda: build(words)(words, prog_name="mreg", standalone_mode=False), words)
