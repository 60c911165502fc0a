"""How long a writer that keeps losing races goes on, and how long it waits between attempts.

Where many write, each attempt is a draw.  The wait before the next one is random and counts in attempts, since what
makes writers collide is how long one takes.  It grows at first, to spread those that collided, and then shrinks, so
that who has lost often comes before who has just begun.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator

from mreg.errors import ConflictError
from mreg.stores.git.writing.publishing import RefMovedError

__all__ = ["TELLING", "attempts", "given_up"]

TELLING = 5
"""The attempt at which a user is told why it takes so long."""
LEAST = 8
"""Attempts that are made in any case."""
PATIENCE_S = 60.0
"""How long there is always another one."""
_SHORTEST_S = 0.05
_LONGEST_S = 3.0
_SPREAD = (1, 2, 4, 4, 2, 1)
"""The bound of a wait by how many attempts there were, in attempts; the last one stays."""


def attempts() -> Iterator[int]:
    """Yields the number of each attempt, the first is 1, and waits between two; it ends where patience does."""
    begun = time.monotonic()
    for number in itertools.count(1):
        started = time.monotonic()
        yield number
        now = time.monotonic()
        if number >= LEAST and now - begun > PATIENCE_S:
            return
        bound_s = max(now - started, _SHORTEST_S) * _SPREAD[min(number, len(_SPREAD)) - 1]
        time.sleep(random.uniform(0, min(bound_s, _LONGEST_S)))  # noqa: S311 - no secret


def given_up(message: str, last: RefMovedError) -> ConflictError:
    """Returns the error of a writer that lost every race, or that met a lock which nobody takes away.

    Args:
        message: What kept moving.
        last: What kept the last attempt from landing.
    """
    remote, lock = last.details.get("remote"), last.details.get("lock")
    if not (remote and lock):
        return ConflictError(message, hint="try again", details=last.details)
    return ConflictError(
        f"{remote} kept the branch locked the whole time: {lock} is there",
        hint=f"try again; if no push is under way there, one was killed: the administrator of {remote} may rm '{lock}'",
        details=last.details,
    )
