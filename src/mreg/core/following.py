"""When a watch looks again, and what it says besides the versions that it gives.

Rules:
    * Every wait is drawn from a range: watchers that were started together do not ask together.
    * A failure doubles the wait, up to a bound; the first success ends that.
    * A trouble is told when it begins, when it becomes another one, and when it is over; not in between.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from mreg.core.results import Pulled
from mreg.errors import MregError

__all__ = ["News", "NewsKind", "Pace", "Troubles", "describe"]

_SPREAD = 0.25
"""How far a wait may be from what was asked for, as a fraction of it."""
_MAX_DOUBLINGS = 10
_MAX_WAIT_S = 300.0
_MAX_WAIT = 10
"""The bound after failures: so many times the usual wait, and no more than ``_MAX_WAIT_S`` unless that is longer."""


class NewsKind(str, Enum):
    """What a watch says besides the versions."""

    FAILING = "failing"
    """It cannot follow: the last good version stays."""
    RECOVERED = "recovered"
    """It can again."""
    HOOK_FAILED = "hook-failed"
    """The version is in place, and the command that was to be told of it failed; it is run again."""
    HOOK_DONE = "hook-done"
    """That command has done it now."""


class News(Struct, frozen=True):
    """Something that whoever watches should know, told once."""

    kind: NewsKind
    message: str
    """One sentence, which also says what is in place."""
    code: str = ""
    """The error's; empty where it is good news."""
    hint: str = ""
    pulled: Pulled | None = None
    """What is in place; ``None`` before the first version."""

    @property
    def is_good(self) -> bool:
        """True where a trouble is over."""
        return self.kind in {NewsKind.RECOVERED, NewsKind.HOOK_DONE}


class Pace(Struct, frozen=True):
    """How long to wait between two looks."""

    every_s: float

    def wait_s(self, failures: int, chance: float) -> float:
        """Returns how long to wait now.

        Args:
            failures: How many looks have failed in a row.
            chance: Drawn evenly from 0 to 1.
        """
        bound = max(self.every_s, min(_MAX_WAIT_S, _MAX_WAIT * self.every_s))
        usual = min(bound, self.every_s * (1 << min(failures, _MAX_DOUBLINGS)))
        return usual * (1 + _SPREAD * (2 * chance - 1))


class Troubles:
    """What is wrong now, so that it is told once."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self.failures = 0
        """Looks in a row that failed and are to be fewer therefore."""
        self._tries = 0
        self._code = ""
        self._hook = ""

    def fail(self, error: MregError, stays: Pulled | None, *, slows: bool = True) -> News | None:
        """Returns what to say of a look that failed; ``None`` where that has been said.

        Args:
            error: Why.
            stays: What is in place all the same.
            slows: False where the remote answered: what it lacks may come at any moment.
        """
        self._tries += 1
        self.failures = self.failures + 1 if slows else 0
        if self._code == error.code:
            return None
        self._code = error.code
        what = f"{describe(stays)} stays" if stays else "nothing is in place"
        return News(NewsKind.FAILING, f"{error.message}; {what}", error.code, error.hint, stays)

    def succeed(self, pulled: Pulled) -> News | None:
        """Returns what to say of a look that went well; ``None`` where the one before did too."""
        tries, code = self._tries, self._code
        self.failures, self._tries, self._code = 0, 0, ""
        if not code:
            return None
        count = f"{tries} failed {'look' if tries == 1 else 'looks'}"
        return News(NewsKind.RECOVERED, f"following again after {count}: {describe(pulled)}", pulled=pulled)

    def hook(self, why: str, pulled: Pulled) -> News | None:
        """Returns what to say of a command that was run; ``None`` where there is nothing new.

        Args:
            why: Why it failed; empty where it did not.
            pulled: What it was told of.
        """
        version, failed = str(pulled.version), self._hook
        self._hook = version if why else ""
        if why and failed != version:
            message = f"{why}, for {describe(pulled)}; it is run again"
            return News(NewsKind.HOOK_FAILED, message, "hook", pulled=pulled)
        if failed and not why:
            return News(NewsKind.HOOK_DONE, f"the command has done it for {describe(pulled)}", pulled=pulled)
        return None


def describe(pulled: Pulled) -> str:
    """Returns what is in place, in a few words."""
    when = f" ({pulled.committed_at:%Y-%m-%dT%H:%M:%SZ})" if pulled.committed_at else ""
    return f"{pulled.model} {pulled.version} of registry commit {pulled.commit[:12]}{when} at {str(pulled.path)!r}"
