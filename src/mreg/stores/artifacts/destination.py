"""The place where an artifact goes: what is there now, how it is replaced, what mreg remembers of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from mreg.core.history.filelist import hash_file_list
from mreg.core.history.record import ArtifactFile
from mreg.errors import ConflictError, MregError, NotFoundError
from mreg.stores.artifacts.hashing import Digests, Meter, copy_hashed
from mreg.stores.artifacts.stat_cache import Seen, StatCache, StatEntry
from mreg.stores.artifacts.survey import SourceFile, Survey, survey_artifact
from mreg.stores.disk import disk_errors, exchange

__all__ = ["Destination", "Occupant"]


class Occupant(Struct, frozen=True):
    """What a destination holds."""

    is_directory: bool
    is_free: bool = False
    """True where nothing of the user's is lost with it: mreg put it there and nobody changed it, or it is empty."""
    survey: Survey | None = None
    """``None`` where it cannot be an artifact: a foreign link, an empty file, a folder with a ``.git`` in it."""


class Destination:
    """One path, and what the stat cache knows of it."""

    def __init__(self, path: Path, cache_root: Path, stats: StatCache | None) -> None:
        """Looks at nothing yet.

        Args:
            path: Absolute.
            cache_root: Links into this folder are DVC's or mreg's.
            stats: Where to remember what was placed, if anywhere.
        """
        self.path = path
        self._cache_root = cache_root
        self._stats = stats
        self._entry = stats.load(path) if stats else StatEntry()

    def look(self) -> Occupant | None:
        """Returns what is there, ``None`` for nothing; reads no bytes.

        Raises:
            StorageError: The system refuses to tell.
        """
        with disk_errors("written", self.path):
            try:
                mode = self.path.lstat().st_mode
            except FileNotFoundError:
                return None
            if stat.S_ISLNK(mode) and not self._is_cached_link():
                return Occupant(is_directory=False)
            if stat.S_ISDIR(mode) and not any(self.path.iterdir()):
                return Occupant(is_directory=True, is_free=True)
        try:
            survey = survey_artifact(self.path, self._cache_root)
        except MregError:
            return Occupant(stat.S_ISDIR(mode), is_free=stat.S_ISLNK(mode))  # a link to an object that is gone
        is_placed = self._entry.is_placed and self._entry.equals({file.path: file.stamp for file in survey.files})
        return Occupant(stat.S_ISDIR(mode), is_placed, survey)

    def is_placed_directory(self) -> bool:
        """True where mreg put a directory, and nobody changed it; reads no bytes.

        Raises:
            StorageError: The system refuses to tell.
        """
        if not self._entry.is_placed:
            return False  # a folder of the user's may be large: not even looked at
        occupant = self.look()
        return occupant is not None and occupant.is_directory and occupant.is_free and occupant.survey is not None

    def hash(self, survey: Survey) -> str:
        """Returns the SHA-256 that a record would have of what is there; empty where it is going away.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            hashes = [ArtifactFile(file.path, file.stamp.size, self._hash(file)) for file in survey.files]
        except NotFoundError:  # another pull puts its version there at this moment
            return ""
        return hash_file_list(hashes) if survey.is_directory else hashes[0].sha256

    def put(self, fresh: Path, occupant: Occupant | None) -> None:
        """Moves a finished file or directory to the path, in one step; what was there is then at ``fresh``, or gone.

        Args:
            fresh: On the same file system.
            occupant: What ``look`` found.

        Raises:
            ConflictError: Something is there now, and was not then.
            OSError: The system refuses; all is as it was.
        """
        if occupant is None and os.path.lexists(self.path):
            raise ConflictError(
                f"something appeared at {os.fspath(self.path)!r} meanwhile",
                hint="run the command again",
                details={"path": os.fspath(self.path)},
            )
        if occupant and (occupant.is_directory or fresh.is_dir()):
            exchange(fresh, self.path)
        else:
            fresh.replace(self.path)

    def remember(self, members: Mapping[str, Digests], started_ns: int) -> None:
        """Notes that mreg placed these files, or found them in place."""
        if not self._stats:
            return
        with suppress(MregError, KeyError):  # gone or changed already: nothing to remember
            files = survey_artifact(self.path, self._cache_root).files
            seen = {file.path: Seen(file.stamp, members[file.path]) for file in files}
            self._stats.save(self.path, StatEntry(started_ns, True, seen))

    def _is_cached_link(self) -> bool:
        target = os.path.realpath(self.path)
        return target.startswith(f"{os.path.realpath(self._cache_root)}{os.sep}")

    def _hash(self, file: SourceFile) -> str:
        known = self._entry.find(file.path, file.stamp)
        if known:
            return known.sha256
        with disk_errors("read", file.place):
            opened = os.open(file.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                [sha256] = copy_hashed(opened, None, ["sha256"], size=file.stamp.size, meter=Meter(None, 0))
            finally:
                os.close(opened)
        return sha256
