"""Which bytes of a machine's serving cache go, so that it stays below a limit.

Rules:
    * What was placed last for a stage, what somebody is at, and what a file elsewhere is made of stays, whatever the
      limit.
    * Of the rest, what was used least recently goes first, and no more than the limit asks for.
    * Bytes that several artifacts need count once, and go with the last of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct

from mreg.core.settings.rules import parse_size

__all__ = ["UNLIMITED", "Held", "Kept", "Trim", "parse_limit", "plan_trim", "usual_limit"]

UNLIMITED = "unlimited"
_SHARE = 10
_MOST = 50 * 10**9


class Kept(str, Enum):
    """Why bytes stay."""

    LAST = "last"
    """They were placed last for a stage, and somebody asked for that lately."""
    USED = "used"
    """Somebody is at it."""
    LINKED = "linked"
    """A file elsewhere leads to them, or is the same file."""
    FOREIGN = "foreign"
    """Nobody pulled them here: another program may have put them there."""
    FITS = "fits"
    """There is room for them."""


class Held(Struct, frozen=True):
    """One artifact, or an object of which nobody knows more, as far as its bytes are here."""

    md5: str
    """DVC's name of it."""
    objects: Mapping[str, int]
    """Bytes by object, those of a directory's files and its list."""
    used_s: float
    """When it was last used, in seconds since 1970."""
    kept: Kept | None = None
    """Why it stays, whatever the limit; ``None`` where it need not."""


class Trim(Struct, frozen=True):
    """What goes."""

    size: int
    """Bytes that are here, each once."""
    held: tuple[Held, ...]
    """Everything, with why it stays; ``None`` where it goes."""
    objects: Mapping[str, int]
    """Bytes by object that goes; the list of a directory behind its files."""

    @property
    def freed(self) -> int:
        """Bytes that go."""
        return sum(self.objects.values())


def parse_limit(text: str, disk: int) -> int | None:
    """Returns the bytes of a limit such as ``20 GB``, ``5%`` (of the file system) or ``unlimited``.

    Args:
        text: As a person wrote it.
        disk: Bytes of the file system.

    Returns:
        ``None`` for no limit.

    Raises:
        ValueError: The text is not one of these.
    """
    text = text.strip()
    if text.lower() == UNLIMITED:
        return None
    share = text.removesuffix("%").rstrip()
    if share != text and share.isdecimal() and int(share) <= 100:  # noqa: PLR2004 - percent
        return disk * int(share) // 100
    size = parse_size(text.upper().replace("I", "i"))
    if size is None:
        raise ValueError(text)
    return size


def usual_limit(disk: int) -> int:
    """Returns the limit where nobody set one: a tenth of the file system, at most 50 GB."""
    return min(disk // _SHARE, _MOST)


def plan_trim(found: Iterable[Held], limit: int | None) -> Trim:
    """Decides what goes.

    Args:
        found: What is here.
        limit: How many bytes may stay; ``None`` for all.
    """
    held = sorted(found, key=lambda each: (each.used_s, each.md5))
    sizes = {name: size for each in held for name, size in each.objects.items()}
    size = left = sum(sizes.values())
    needed = Counter(name for each in held for name in each.objects)
    gone: dict[str, int] = {}
    decided = []
    for each in held:
        kept = each.kept
        if kept is None and (limit is None or left <= limit):
            kept = Kept.FITS
        if kept is None:
            needed.subtract(each.objects.keys())
            freed = {name: sizes[name] for name in each.objects if not needed[name]}
            left -= sum(freed.values())
            gone |= freed
        decided.append(Held(each.md5, each.objects, each.used_s, kept))
    lists_last = sorted(gone, key=lambda name: (name.endswith(".dir"), name))
    return Trim(size, tuple(reversed(decided)), {name: gone[name] for name in lists_last})
