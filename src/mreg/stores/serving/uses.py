"""Who uses which bytes of the serving cache, and when they were used last; so that none go that somebody needs.

Rules:
    * Who fetches an artifact, or puts it in place, holds a shared lock on its file in ``objects`` from before it looks
      for the bytes until they are in place.  The kernel gives it up with the process.
    * Who takes bytes away holds ``lock`` alone meanwhile.  Nobody begins a use then; those that have begun show.
    * Nobody waits for ever: a process that was stopped holds its locks.
    * What was placed last for a stage is told by what was written last, and not by a clock.  How long ago something was
      used is told by the times of files.
    * All of it may be deleted at any moment: then nobody knows what is old.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from mreg.errors import StorageError
from mreg.stores.disk import disk_errors, scratch_folder

__all__ = ["KNOWN_S", "LOCKLESS_S", "Last", "Slot", "Use", "Uses"]

T = TypeVar("T", bound=Struct)

KNOWN_S = 90 * 86_400
"""What nobody asked for in so long is not placed here any more."""
LOCKLESS_S = 86_400
"""Where a file system has no locks, what was used in so long may be in use."""
_PATIENCE_S = 10.0
"""Longer than most deletions; a pull then goes on, and at worst downloads once more."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_OBJECT = re.compile(r"[0-9a-f]{32}(?:\.dir)?")


class Slot(Struct, frozen=True):
    """What a pull asks for: what a stage of a model holds in one registry, its newest version, or any by number."""

    repo: str
    branch: str
    """The one that was asked for; empty for that of ``registry.yaml``."""
    model: str
    stage: str
    """``latest`` for the newest version, empty for one by number."""


class Last(Struct, frozen=True):
    """What was placed last for a slot."""

    slot: Slot
    version: str
    commit: str
    """The registry commit that said so."""
    md5: str


class Use(Struct, frozen=True):
    """The last use of an artifact."""

    time_s: float
    is_going_on: bool


class _Link(Struct, frozen=True):
    path: bytes
    target: bytes
    md5: str


class Uses:
    """The uses of one serving cache."""

    def __init__(self, folder: Path, *, patience_s: float = _PATIENCE_S) -> None:
        """Names the folder, which need not exist, and how long to wait for others."""
        self._folder = folder
        self._patience_s = patience_s
        self._objects = folder / "objects"

    @contextmanager
    def using(self, md5: str) -> Iterator[None]:
        """Keeps an artifact from being taken away, and notes that it was used now."""
        file = self._begin(md5)
        try:
            yield
        finally:
            if file is not None:
                os.close(file)

    def note(self, last: Last) -> None:
        """Remembers what was placed for a slot; what was placed there before was in use until now."""
        before = self.last(last.slot)
        if before != last:
            self._save(self._file_of(last.slot), last)
        if before and before.md5 != last.md5:
            _touch(self._objects / before.md5)
            _touch(self._objects / last.md5)
        self.touch(last.slot)

    def touch(self, slot: Slot) -> None:
        """Notes that somebody asks for a slot still."""
        _touch(self._file_of(slot))

    def last(self, slot: Slot) -> Last | None:
        """Returns what was placed last for a slot, if that is known."""
        return _load(self._file_of(slot), Last)

    def note_link(self, path: Path, md5: str) -> None:
        """Remembers a symbolic link that leads to an artifact's bytes."""
        with suppress(OSError):
            place = os.path.abspath(os.fsencode(path))  # noqa: PTH100 - links stay
            link = _Link(place, os.readlink(place), md5)  # noqa: PTH115 - a name may be no text
            self._save(self._folder / "links" / f"{_hash(os.fsdecode(place))}.json", link)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Lets nobody begin a use; gives false where that cannot be: without locks, or where someone was stopped."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            yield False
            return
        try:
            yield self._lock(file, fcntl.LOCK_EX)
        finally:
            os.close(file)

    def read_uses(self, *, is_alone: bool) -> Mapping[str, Use]:
        """Returns the last use of each artifact; to be asked by who is ``alone``."""
        found, now_s = {}, time.time()
        for path in _files(self._objects):
            with suppress(OSError):
                time_s = path.stat().st_mtime
                is_going_on = self._is_locked(path) if is_alone else now_s - time_s < LOCKLESS_S
                found[path.name] = Use(time_s, is_going_on)
        return found

    def read_lasts(self) -> Iterator[tuple[Last, float]]:
        """Yields what was placed last for each slot, and how many seconds ago somebody asked for it."""
        now_s = time.time()
        for path in _files(self._folder / "last"):
            last = _load(path, Last)
            with suppress(OSError):
                if last:
                    yield last, now_s - path.stat().st_mtime

    def read_links(self) -> set[str]:
        """Returns the artifacts to which a link leads that is still where it was made."""
        links = (_load(path, _Link) for path in _files(self._folder / "links"))
        return {link.md5 for link in links if link and _leads(link)}

    def forget(self, is_here: Container[str]) -> None:
        """Deletes what is noted of artifacts that are not here, and that nobody is at; for who is ``alone``."""
        for path in _files(self._objects):
            with suppress(OSError):
                if path.name not in is_here and not self._is_locked(path):
                    path.unlink()
        for path in _files(self._folder / "links"):
            link = _load(path, _Link)
            with suppress(OSError):
                if link is None or not _leads(link):
                    path.unlink()
        for path in _files(self._folder / "last"):
            last = _load(path, Last)
            with suppress(OSError):
                if last is None or (last.md5 not in is_here and time.time() - path.stat().st_mtime > KNOWN_S):
                    path.unlink()

    def swept_ns(self) -> int:
        """Returns when somebody last looked through all of it; 0 where that was never, or is not over yet."""
        with suppress(OSError):
            swept_ns = (self._folder / "swept").stat().st_mtime_ns
            return swept_ns if swept_ns <= time.time_ns() else 0  # a clock was set back
        return 0

    def note_swept(self, started_ns: int) -> None:
        """Notes that somebody did, who began then."""
        _touch(self._folder / "swept", started_ns)

    def _begin(self, md5: str) -> int | None:
        """Returns a file that is locked; ``None`` where that cannot be, and a pull is not to fail for it."""
        with suppress(OSError):
            self._objects.mkdir(mode=0o700, parents=True, exist_ok=True)
            gate = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._lock(gate, fcntl.LOCK_SH)  # waits for who is taking bytes away
                file = os.open(self._objects / md5, os.O_RDWR | os.O_CREAT, 0o600)
                self._lock(file, fcntl.LOCK_SH)
                os.utime(file)
                return file
            finally:
                os.close(gate)
        return None

    def _lock(self, file: int, kind: int) -> bool:
        given_up_s, pause_s = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > given_up_s:
                    return False
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            except OSError:  # a file system without locks
                return False
            else:
                return True

    def _is_locked(self, path: Path) -> bool:
        try:
            file = os.open(path, os.O_RDWR)
        except OSError:  # too many files are open: nobody can tell
            return path.exists()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody has it, or nobody can tell
            return True
        finally:
            os.close(file)
        return False

    def _file_of(self, slot: Slot) -> Path:
        return self._folder / "last" / f"{_hash(*msgspec.structs.astuple(slot))}.json"

    def _save(self, path: Path, value: Struct) -> None:
        with suppress(StorageError, UnicodeEncodeError), scratch_folder(path.parent) as scratch:
            text = msgspec.json.encode(value)
            with disk_errors("written", path):
                (scratch / "file").write_bytes(text)
                (scratch / "file").replace(path)


def _touch(path: Path, time_ns: int | None = None) -> None:
    with suppress(OSError):
        if time_ns is None:
            os.utime(path)
        else:
            path.touch(mode=0o600)
            os.utime(path, ns=(time_ns, time_ns))


def _hash(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _load(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def _leads(link: _Link) -> bool:
    with suppress(OSError):
        return os.readlink(link.path) == link.target  # noqa: PTH115 - a name may be no text
    return False


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == ".json" or _OBJECT.fullmatch(path.name)]
    except OSError:
        return []
