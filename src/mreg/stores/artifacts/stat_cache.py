"""What mreg already hashed, by path and ``stat``, so that a second look at unchanged files reads nothing.

One file an artifact, a directory's files together: the number of the format, a SHA-256 of the rest, then MessagePack.
Losing it costs time only: it may be deleted at any moment, and whatever cannot be read counts as absent.  As in Git's
index, a file that was touched shortly before it was hashed is not trusted: within one tick of the file system's clock
it could change again and look the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import MsgspecError, Struct, field, msgpack

from mreg.errors import StorageError
from mreg.stores.artifacts.hashing import Digests
from mreg.stores.disk import scratch_folder

__all__ = ["Seen", "Stamp", "StatCache", "StatEntry"]

_FORMAT = b"mreg-stat-2\n"
_HEAD_SIZE = len(_FORMAT) + hashlib.sha256().digest_size
_MARGIN_NS = 2_000_000_000
"""The coarsest clock of a file system in use (FAT: two seconds)."""


class Stamp(Struct, frozen=True, array_like=True):
    """What changes when a file's bytes do."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """Returns the stamp of a ``stat`` result."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Seen(Struct, frozen=True, array_like=True):
    """One hashed file."""

    stamp: Stamp
    digests: Digests


class StatEntry(Struct, frozen=True, array_like=True):
    """What is remembered of one artifact's place on disk."""

    started_ns: int = 0
    """When the look at it began."""
    is_placed: bool = False
    """True where mreg itself wrote the files."""
    files: Mapping[str, Seen] = field(default_factory=dict)
    """By relative POSIX path; a single file has the path ``""``."""

    def find(self, path: str, stamp: Stamp) -> Digests | None:
        """Returns the digests of a file that certainly did not change, else ``None``."""
        seen = self.files.get(path)
        if seen is None or seen.stamp != stamp:
            return None
        return seen.digests if max(stamp.mtime_ns, stamp.ctime_ns) < self.started_ns - _MARGIN_NS else None

    def equals(self, stamps: Mapping[str, Stamp]) -> bool:
        """True where these are the very files, none more and none less."""
        return {path: seen.stamp for path, seen in self.files.items()} == stamps


class StatCache:
    """The remembered files of one repository, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Names the folder, which need not exist."""
        self._folder = folder

    def load(self, path: Path) -> StatEntry:
        """Returns what is known of an artifact; an empty entry where nothing is."""
        try:
            text = self._file(path).read_bytes()
            body = memoryview(text)[_HEAD_SIZE:]
            if text[:_HEAD_SIZE] == _head(body):
                return msgpack.decode(body, type=StatEntry)
        except (OSError, MsgspecError):
            pass
        return StatEntry()

    def save(self, path: Path, entry: StatEntry) -> None:
        """Remembers an artifact, in place of what was known of it; a full disk is no error."""
        body = msgpack.encode(entry)
        with suppress(OSError, StorageError), scratch_folder(self._folder) as scratch:
            temporary = scratch / "entry"
            temporary.write_bytes(_head(body) + body)
            temporary.replace(self._file(path))

    def _file(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()  # noqa: PTH100 - links stay
        return self._folder / name


def _head(body: bytes | memoryview) -> bytes:
    return _FORMAT + hashlib.sha256(body).digest()
