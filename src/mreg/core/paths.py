"""Paths of artifact files: what may be written where ``pull`` puts a model.

Rules:
    * Paths are POSIX, relative, without ``.`` and ``..``, control characters, line separators and backslashes.
    * No part of a path is ``.git``, ``.hg``, ``.dvc`` or ``.dvcignore``, in any case of letters: DVC leaves these out,
      and Git runs what a ``.git`` folder tells it to.
"""

from __future__ import annotations

import unicodedata

__all__ = ["find_path_fault"]

_REFUSED_PARTS = frozenset({".git", ".hg", ".dvc", ".dvcignore"})
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REFUSED_CHARACTERS = frozenset("\ufeff\ufffe\uffff")
"""Byte order marks and what no YAML or JSON reader must accept."""


def find_path_fault(path: str) -> str | None:
    """Returns why an artifact may not hold this relative path, or have it for a name, or ``None`` where it may."""
    if not path.isascii() and not _REFUSED_CHARACTERS.isdisjoint(path):
        return "the name holds a byte order mark"
    if not path.isprintable() and any(unicodedata.category(char) in _REFUSED_CATEGORIES for char in path):
        return "the name holds control characters or is not UTF-8"
    if "\\" in path:
        return "the name holds a backslash, which is a folder on Windows"
    # HFS+ leaves format characters out of names, so that ".g<U+200C>it" is ".git" to it.
    parts = "".join(char for char in path if unicodedata.category(char) != "Cf").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "the path is not relative and plain"
    refused = next((part for part in parts if part.casefold() in _REFUSED_PARTS), None)
    return f"DVC leaves {refused} out, and Git obeys it" if refused else None
