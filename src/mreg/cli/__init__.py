"""The command line: parse, call, render."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit status.

    Args:
        arguments: Without the program's name; ``sys.argv`` by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    if words in (["--version"], ["-V"]):
        # Answered before anything heavy is imported: scripts and editors ask often.
        from mreg import __version__

        sys.stdout.write(f"mreg {__version__}\n")
        return 0
    # A command makes many values and few cycles: looking for those every 700 values is a tenth of a long history,
    # and looking once more when the process ends is a tenth of a short command.
    gc.set_threshold(50_000, 20, 50)
    atexit.register(gc.freeze)
    from mreg.cli.app import build, run
    from mreg.cli.boundary import guarded
    from mreg.cli.signals import orderly_end
    from mreg.cli.witness import Witness

    witness = Witness()
    with orderly_end():
        return guarded(lambda: run(build(words), words, witness), words, witness)


def _prepare_streams() -> None:
    # A parent may have closed any of them, and Python then has none.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - it lives as long as we do
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that knows no arrows still gets its answer.
        sys.stdout.reconfigure(errors="backslashreplace")
