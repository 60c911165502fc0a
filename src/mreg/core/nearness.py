"""Near misses: what somebody most likely meant by a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ask_near", "find_near"]

_CUTOFF = 0.6
"""How much of two names must be the same, as ``difflib`` measures it."""


def find_near(name: str, known: Iterable[str], *, cutoff: float = _CUTOFF) -> str | None:
    """Returns the name most like another one; ``None`` where none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - only what fails needs it

    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=cutoff)), None)


def ask_near(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'churn'?``; nothing where no name is like it."""
    near = find_near(name, known)
    return f"did you mean {near!r}?" if near else ""
