"""Trailers against trees: whether a commit's message tells of another change than the commit makes.

Rules:
    * Trailers are those that Git finds in the last paragraph of the message; text above it names nothing.
    * A message need not name all that its commit does: a squash keeps the trailers of one of its commits.
    * What it names must be among what the commit does: that model, with that version and that stage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from mreg.core.history.manifest import NO_VERSION
from mreg.core.names import ModelName, StageName, Version, parse_version
from mreg.errors import NamingError

__all__ = ["Touch", "find_contradiction"]

_VERSION = "mreg-version"
_KEYS = ("mreg-model", _VERSION, "mreg-stage")


class Touch(Struct, frozen=True):
    """One thing that a commit does to the registry."""

    model: ModelName
    version: Version | None
    """What was registered, approved or archived, or what the stage holds since; ``None`` where that is nothing."""
    stage: StageName | None = None
    """``None`` where a version was registered."""

    @property
    def words(self) -> tuple[str, str, str]:
        """What the trailers about it would say, in the order of ``_KEYS``."""
        return (self.model, str(self.version or NO_VERSION), self.stage or "")


def find_contradiction(trailers: Iterable[tuple[str, str]], touches: Collection[Touch]) -> str | None:
    """Returns what the trailers of a commit name that the commit does not do; ``None`` where all is so."""
    named: tuple[list[str], ...] = tuple([] for _ in _KEYS)
    for key, value in trailers:
        name = key.lower()
        if name in _KEYS:
            named[_KEYS.index(name)].append(_canonical(value) if name == _VERSION else value)
    fitting = [touch.words for touch in touches if _is_named(touch.words, named)]
    for place, values in enumerate(named):
        if not {words[place] for words in fitting}.issuperset(values):
            return " ".join(value for values in named for value in values)
    return None


def _is_named(words: Sequence[str], named: Sequence[list[str]]) -> bool:
    return all(not values or word in values for word, values in zip(words, named, strict=True))


def _canonical(value: str) -> str:
    try:
        return str(parse_version(value))
    except NamingError:
        return value
