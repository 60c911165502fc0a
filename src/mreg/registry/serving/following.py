"""The loop of a watch: look, put in place, tell; and keep what is good when that fails.

Rules:
    * What is in place is a verified version at every moment, or what was there before the watch began.
    * A failure is told once and tried again, later each time; only at the start, where there is nothing to stay with,
      does one end the watch that no patience mends.
    * The registry that does not answer, and the bytes that do not come, cost a connection a look, and nothing that
      grows with tags or versions.
    * Time is measured by a clock that nobody can set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Protocol, TypeAlias

from msgspec import Struct, field

from mreg.core.following import News, Pace, Troubles
from mreg.core.names import Version
from mreg.core.results import Pulled
from mreg.errors import MregError, NotFoundError, OutsideError
from mreg.registry.serving.remote_pulling import Resolved

__all__ = ["Following", "Hook", "Source"]

Hook: TypeAlias = Callable[[Pulled, Version | None], str]
"""Is told of a version and of the one before, and returns why that failed; empty where it did not."""


class Source(Protocol):
    """Where a watch looks, and how it gets what it finds."""

    def resolve(self) -> Resolved:
        """Asks the remote what the selector names now; one connection.

        Raises:
            MregError: It does not answer, went back, or the selector names nothing there.
        """

    def recall(self) -> Iterable[Resolved]:
        """Gives what may be good where the remote does not say, best first; asks nobody."""

    def place(self, resolved: Resolved) -> Pulled:
        """Puts the bytes in place; from the cache, where they are there.

        Raises:
            MregError: They are not to be had, are not those of the record, or may not be put there.
        """


class Following(Struct):
    """One watch."""

    source: Source
    pace: Pace
    stop: Event
    """Set by whoever wants it to end."""
    tell: Callable[[News], None]
    hook: Hook | None = None
    _troubles: Troubles = field(default_factory=Troubles)
    _current: Pulled | None = None
    _stamp: _Stamp | None = None
    _previous: Version | None = None
    _is_hook_due: bool = False

    def run(self) -> Iterator[Pulled]:
        """Yields the version that is in place at the start, and each that follows it, until it is told to stop.

        Nothing is moved while the caller has one in hand.

        Raises:
            MregError: At the start alone: there is nothing to stay with, and time does not mend that.
        """
        while not self.stop.is_set():
            pulled = self._look()
            if pulled:
                self._previous = self._current.version if self._current else None
                self._current, self._stamp = pulled, _stamp(pulled.path)
                self._is_hook_due = True
                yield pulled
            self._run_hook()
            self.stop.wait(self.pace.wait_s(self._troubles.failures, random.random()))  # noqa: S311 - no secret

    def _look(self) -> Pulled | None:
        """Returns what is in place now and was not before; ``None`` where nothing has changed, or it could not be."""
        try:
            resolved = self.source.resolve()
        except MregError as error:
            # The remote answered that there is no such version: there may be one a moment later.
            return self._stay(error, slows=not isinstance(error, NotFoundError))
        try:
            pulled = self._place(resolved)
        except MregError as error:
            return self._stay(error, slows=True)
        self._say(self._troubles.succeed(pulled))
        return None if self._current and not self._is_news(pulled) else pulled

    def _place(self, resolved: Resolved) -> Pulled:
        if self._current and self._current.version == resolved.version and self._is_in_place():
            return self._current
        return self.source.place(resolved)

    def _is_news(self, pulled: Pulled) -> bool:
        return self._current is None or pulled.version != self._current.version or not self._is_in_place()

    def _is_in_place(self) -> bool:
        """True where nobody has moved or written what was put in place; reads no bytes."""
        return self._current is not None and self._stamp is not None and _stamp(self._current.path) == self._stamp

    def _stay(self, error: MregError, *, slows: bool) -> Pulled | None:
        """Keeps the last good version; puts it in place once more, where it is not there."""
        if self.stop.is_set():
            return None  # it was ended in the middle
        is_there = self._is_in_place()
        found = None if is_there else self._recall()
        if self._current is None and found is None and not isinstance(error, OutsideError):
            raise error
        self._say(self._troubles.fail(error, self._current if is_there else found, slows=slows))
        return found

    def _recall(self) -> Pulled | None:
        for known in self.source.recall():
            with suppress(MregError):  # what keeps it from following is what there is to tell
                return self.source.place(known)
        return None

    def _run_hook(self) -> None:
        if self.hook is None or self._current is None or not self._is_hook_due or self.stop.is_set():
            return
        why = self.hook(self._current, self._previous)
        if not self.stop.is_set():
            self._is_hook_due = bool(why)
            self._say(self._troubles.hook(why, self._current))

    def _say(self, news: News | None) -> None:
        if news:
            self.tell(news)


_Stamp: TypeAlias = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp | None:
    """Returns what changes when something else is put at a path; ``None`` where nothing is there."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
