"""The processes that a process started, and those that they did, as Linux tells; elsewhere they end by themselves.

They are no group of their own: in one, SSH could not ask for a passphrase at the terminal.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["end_processes", "find_descendants"]

_PROCESSES = Path("/proc")


def find_descendants(pid: int) -> list[int]:
    """Returns the processes below one that are running now; none where the system does not show them."""
    children: dict[int, list[int]] = {}
    for folder in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            # Behind the program's name, which stands in brackets and may be any text, come the state and the parent.
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [pid]
    for each in found:  # it grows
        found += children.get(each, [])
    return found[1:]


def end_processes(pids: Iterable[int]) -> None:
    """Asks processes to end."""
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
