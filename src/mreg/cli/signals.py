"""Signals that ask a process to end: all take the way out that Ctrl-C takes, and leave no more behind."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Ended", "orderly_end"]

_SIGNALS = (signal.SIGHUP, signal.SIGTERM)
_MOMENT_S = 0.05


class Ended(KeyboardInterrupt):
    """Another signal than that of Ctrl-C asked for an end."""

    def __init__(self, number: int) -> None:
        """Keeps which."""
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def orderly_end() -> Iterator[None]:
    """Raises ``Ended`` where a job is cancelled, a container stopped or a terminal closed; signals ignored stay so."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in _SIGNALS:
            if before[number] is signal.SIG_DFL:
                signal.signal(number, _end)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    tell = sys.unraisablehook

    def hear(lost: sys.UnraisableHookArgs) -> None:
        # It came while Python tidied up an object, and ended no more than that: once more, a moment later.
        if isinstance(lost.exc_value, Ended):
            number = lost.exc_value.number
            signal.signal(signal.SIGALRM, lambda _, frame: _end(number, frame))
            signal.setitimer(signal.ITIMER_REAL, _MOMENT_S)
        else:
            tell(lost)

    alarm = signal.getsignal(signal.SIGALRM)
    sys.unraisablehook = hear
    try:
        yield
    finally:
        # What comes to its end in that moment has come to its end, and the alarm would find nobody to hear it.
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = tell
        signal.signal(signal.SIGALRM, alarm)
        for number, handler in before.items():
            if handler is signal.SIG_DFL:
                signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    # `timeout` sends it to the process and to its group, so that it comes twice: the first is to come to its end.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Ended(number)
