"""Paths of artifact files: what may be written where ``pull`` puts a model.

Rules:
    * Paths are POSIX, relative, without ``.`` and ``..``, control characters, line separators and backslashes.
    * No character turns the reading order around; a name by itself is no Windows device.
    * No part of a path is ``.git``, ``.hg``, ``.dvc`` or ``.dvcignore``, in any case of letters: DVC leaves these out,
      and Git runs what a ``.git`` folder tells it to.
"""

from __future__ import annotations

import re
import unicodedata

from mreg.core.names import WINDOWS_DEVICES

__all__ = ["find_name_fault", "find_path_fault"]

_PLAIN_PART = r"[A-Za-z0-9_+-][A-Za-z0-9_.+ -]*"
_PLAIN = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART})*")
"""Most paths; none of the rules is about one of these, whose parts begin with no dot."""
_REFUSED_PARTS = frozenset({".git", ".hg", ".dvc", ".dvcignore"})
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REFUSED_CHARACTERS = frozenset("\ufeff\ufffe\uffff")
"""Byte order marks and what no YAML or JSON reader must accept."""
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def find_name_fault(name: str) -> str | None:
    """Returns why an artifact may not have this name, or ``None`` where it may."""
    if name.partition(".")[0].strip().casefold() in WINDOWS_DEVICES:
        return "the name is that of a device on Windows"
    return find_path_fault(name)


def find_path_fault(path: str) -> str | None:  # noqa: PLR0911 - a line a rule
    """Returns why an artifact may not hold this relative path, or have it for a name, or ``None`` where it may."""
    if _PLAIN.fullmatch(path):
        return None
    if not path.isascii() and not _REFUSED_CHARACTERS.isdisjoint(path):
        return "the name contains a byte order mark"
    if not path.isprintable() and any(unicodedata.category(char) in _REFUSED_CATEGORIES for char in path):
        return "the name contains control characters or is not UTF-8"
    if not _TURNING.isdisjoint(path):
        return "the name contains a character that reverses the reading direction"
    if "\\" in path:
        return "the name contains a backslash, which is a folder on Windows"
    # HFS+ leaves format characters out of names, so that ".g<U+200C>it" is ".git" to it.
    parts = "".join(char for char in path if unicodedata.category(char) != "Cf").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "the path is not relative and plain"
    refused = next((part for part in parts if part.casefold() in _REFUSED_PARTS), None)
    return f"DVC skips {refused}, and Git acts on it" if refused else None
