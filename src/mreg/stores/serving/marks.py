"""What each watch last put in place, so that one that is started anew can stay with it; part of the serving cache.

Losing it costs nothing but that: it may be deleted at any moment, and what cannot be read counts as absent.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from mreg.errors import StorageError
from mreg.stores.disk import disk_errors, scratch_folder

__all__ = ["Mark", "Marks"]

_SCHEMA = 1


class Mark(Struct, frozen=True):
    """The last good version of one watch."""

    version: str
    commit: str
    """The registry commit that said so."""


class Marks:
    """The mark of one watch."""

    def __init__(self, cache: Path, *watch: str) -> None:
        """Names it.

        Args:
            cache: The root of the serving cache.
            watch: What tells one watch from another; no secret.
        """
        name = hashlib.sha256("\n".join(watch).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._path = cache / "watches" / f"{name}.json"

    def load(self) -> Mark | None:
        """Returns what was last put in place, if that is known."""
        try:
            found = json.loads(self._path.read_bytes())
            return Mark(str(found["version"]), str(found["commit"])) if found["schema"] == _SCHEMA else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, mark: Mark) -> None:
        """Remembers it, if that can be written."""
        text = json.dumps({"schema": _SCHEMA, "version": mark.version, "commit": mark.commit})
        folder = self._path.parent
        with suppress(StorageError), scratch_folder(folder) as scratch, disk_errors("written", self._path):
            (scratch / "mark").write_text(text, encoding="utf-8")
            (scratch / "mark").replace(self._path)
