"""Whether DVC's clients still hear from the other side, be it a byte at a time.

A client tells of its progress when a part is done, which on a slow line takes minutes; from outside it looks like one
that waits for ever.  All asynchronous file systems share one event loop, and what that loop waits for is its sockets:
when one can be read, or written again, bytes have moved.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable

__all__ = ["SocketWatch", "watch_sockets"]

_Events = list[tuple[selectors.SelectorKey, int]]


class SocketWatch:
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
        if any(key.fd != self._own for key, _ in events):
            self._moved_s = time.monotonic()
        return events


def watch_sockets() -> SocketWatch | None:
    """Returns the watch over the event loop of fsspec; ``None`` where that loop has no selector (uvloop)."""
    from fsspec.asyn import get_loop  # noqa: PLC0415 - comes with DVC

    loop = get_loop()
    selector, own = getattr(loop, "_selector", None), getattr(loop, "_ssock", None)
    if selector is None or own is None:
        return None
    if not isinstance(selector.select, SocketWatch):
        selector.select = SocketWatch(selector.select, own.fileno())
    watch: SocketWatch = selector.select
    return watch
