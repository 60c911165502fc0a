"""What ``retention:`` may say: which versions' bytes are kept, besides those that a stage held."""

from __future__ import annotations

from msgspec import Struct

from mreg.core.fields import Fields
from mreg.core.settings.rules import format_duration, parse_duration

__all__ = ["Retention", "parse_retention"]


class Retention(Struct, frozen=True):
    """What is kept besides what was in a stage."""

    newest: int | None = None
    """So many of each model; ``None`` where nothing is said."""
    within_s: int | None = None
    """What was registered in the last so many seconds; ``None`` where nothing is said."""

    @property
    def is_set(self) -> bool:
        """True where something is said, and so something may be given up."""
        return self.newest is not None or self.within_s is not None

    def __str__(self) -> str:
        """Returns ``the newest 3, 90d``, as reports name the rule."""
        parts = [f"the newest {self.newest or 1} of each model"]
        if self.within_s is not None:
            parts.append(f"what is younger than {format_duration(self.within_s)}")
        return " and ".join(parts)


def parse_retention(fields: Fields | None) -> Retention:
    """Returns what ``retention:`` says.

    Raises:
        DataError: A key is unknown or has a value that cannot be.
    """
    if fields is None:
        return Retention()
    newest, text = fields.integer("keep_newest"), fields.text("keep_within", unit="d")
    if newest is not None and newest < 1:
        raise fields.error("keep_newest", "the newest version of a model is always kept", hint="keep_newest: 1")
    within_s = parse_duration(text) if text else None
    if text and within_s is None:
        raise fields.error("keep_within", f"{text!r} is not a duration", hint="keep_within: 90d, or keep_within: 12h")
    fields.finish()
    return Retention(newest, within_s)
