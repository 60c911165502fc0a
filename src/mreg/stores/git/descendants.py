"""The processes that a process started, and those that they did, as Linux tells; elsewhere they end by themselves.

They are no group of their own: in one, SSH could not ask for a passphrase at the terminal.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["end_processes", "find_descendants"]

_PROCESSES = Path("/proc")
_GRACE_S = 2.0
_POLL_S = 0.01


def find_descendants(pid: int) -> list[int]:
    """Returns the processes below one that are running now; none where the system does not show them."""
    children: dict[int, list[int]] = {}
    for folder in _PROCESSES.glob("[0-9]*"):
        each = int(folder.name)
        found = _read_state(each)
        if found:
            children.setdefault(found[1], []).append(each)
    below = [pid]
    for each in below:  # it grows
        below += children.get(each, [])
    return below[1:]


def end_processes(pids: Sequence[int]) -> None:
    """Asks processes to end, and ends them where they do not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, number)
        deadline = time.monotonic() + _GRACE_S
        while (pids := [pid for pid in pids if _is_running(pid)]) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _is_running(pid: int) -> bool:
    found = _read_state(pid)
    return found is not None and found[0] not in {"Z", "X"}  # it has ended, and nobody has asked how


def _read_state(pid: int) -> tuple[str, int] | None:
    """Returns the state of a process and its parent; ``None`` where it has ended."""
    with suppress(OSError, ValueError, IndexError):
        # They come behind the program's name, which stands in brackets and may be any text.
        state, parent = (_PROCESSES / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[:2]
        return state.decode(), int(parent)
    return None
