"""Whether DVC's clients still hear from the other side, even if it is a byte at a time.

A client tells of its progress when a part is done, which on a slow line takes minutes; from outside it looks like one
that waits for ever.  All asynchronous file systems share one event loop, and what that loop waits for is its sockets:
when one can be read, or written again, bytes have moved.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable

__all__ = ["watch_sockets"]

_STEP_S = 0.2
_NETWORK = {socket.AF_INET, socket.AF_INET6}
_Events = list[tuple[selectors.SelectorKey, int]]


class _SocketWatch:
    """Stands in for ``select`` of an event loop's selector, and keeps the time of the last event."""

    def __init__(self, select: Callable[[float | None], _Events], own: int) -> None:
        """Starts the time.

        Args:
            select: What waits for events.
            own: The descriptor that the loop wakes itself with.
        """
        self._select = select
        self._own = own
        self._moved_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last event of a socket."""
        return time.monotonic() - self._moved_s

    def __call__(self, timeout: float | None = None) -> _Events:
        """Returns what ``select`` does."""
        events = self._select(timeout)
        if events and self.idle_s > _STEP_S and any(key.fd != self._own and _is_network(key.fd) for key, _ in events):
            self._moved_s = time.monotonic()
        return events


def _is_network(descriptor: int) -> bool:
    """True for a socket that leads elsewhere, not to another thread of this process: gRPC wakes a loop through such."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as found:
            return found.family in _NETWORK
    except OSError:  # an event of the kernel's, or closed meanwhile
        return False


def watch_sockets() -> _SocketWatch | None:
    """Returns the watch over the event loop of fsspec; ``None`` where that loop has no selector (uvloop)."""
    from fsspec.asyn import get_loop  # noqa: PLC0415 - comes with DVC

    loop = get_loop()
    selector, own = getattr(loop, "_selector", None), getattr(loop, "_ssock", None)
    if selector is None or own is None:
        return None
    if not isinstance(selector.select, _SocketWatch):
        selector.select = _SocketWatch(selector.select, own.fileno())
    watch: _SocketWatch = selector.select
    return watch
