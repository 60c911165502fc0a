"""What outlives a killed process: the lock that says who writes, and the note of what was being written.

The lock is inherited by the Git processes that move something, so that nobody recovers while one of them still runs.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from mreg.errors import ConflictError, StorageError

__all__ = ["Journal", "Pending", "RefUpdate", "disk_errors", "find_writer", "remove_stale_locks", "write_lock"]

LOCK_TIMEOUT_S = 60.0
_POLL_S = 0.05
_SILENT_S = 2.0
_EMPTY_LOCK_S = 1.0
_REF = re.compile(r"refs/[^\x00-\x20\x7f]+")
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_WORKTREE = re.compile(r"\.|worktrees/(?!\.{1,2}$)[^/\x00\n]+")


class RefUpdate(Struct, frozen=True):
    """One compare-and-set of a ref."""

    ref: str
    new: str
    """Zeros where the ref is taken away."""
    old: str | None
    """``None`` where the ref must not exist."""


class Pending(Struct, frozen=True):
    """One change that is under way."""

    updates: tuple[RefUpdate, ...]
    git_dir: str
    """Git directory of the worktree that moves the refs, as seen from the one that all worktrees share.

    Not the whole path: the repository may be moved, and a copy of it must not reach for the original.
    """
    worktrees: tuple[str, ...] = ()
    """The Git directories of the worktrees that follow the first update, seen from there too."""
    begun: bool = False
    """True where files of the worktrees may have been changed."""


class Journal(Struct, frozen=True):
    """The file that holds the change under way, if there is one."""

    path: Path

    def load(self) -> Pending | None:
        """Returns the change that was under way; ``None`` where there is none, or none of ours to read."""
        try:
            pending = msgspec.json.decode(self.path.read_bytes(), type=Pending)
        except (FileNotFoundError, msgspec.MsgspecError, RecursionError):
            return None
        return pending if _is_plausible(pending) else None

    def save(self, pending: Pending) -> None:
        """Writes the note whole, or not at all."""
        try:
            self._draft.write_bytes(msgspec.json.encode(pending))
            self._draft.replace(self.path)
        except BaseException:  # a full disk, or Ctrl-C
            with suppress(OSError):
                self._draft.unlink(missing_ok=True)
            raise

    def clear(self) -> None:
        """Takes the note away: nothing is under way."""
        self.path.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)  # of a process that was killed

    @property
    def _draft(self) -> Path:
        return self.path.with_suffix(".new")

    @property
    def written_at(self) -> float:
        """When the note was written, in seconds of the file system; later than anything where there is none."""
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return math.inf


def _is_plausible(pending: Pending) -> bool:
    """Returns whether a note says what mreg might have written: people edit files, and disks spoil them."""
    return (
        bool(pending.updates)
        and all(_is_update(update) for update in pending.updates)
        and all(_WORKTREE.fullmatch(name) for name in (pending.git_dir, *pending.worktrees))
    )


def _is_update(update: RefUpdate) -> bool:
    ends = [update.new] if update.old is None else [update.new, update.old]
    # Of a ref the file's name is made.
    return bool(_REF.fullmatch(update.ref)) and ".." not in update.ref and all(_OID.fullmatch(end) for end in ends)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns an error of the operating system into one of mreg's.

    Raises:
        StorageError: Names the file.
    """
    try:
        yield
    except OSError as error:
        place = error.filename2 or error.filename or "the repository"
        message = f"{place} cannot be written: {error.strerror or error}"
        raise StorageError(message, hint="mreg doctor", details={"path": str(place)}) from error


@contextmanager
def write_lock(path: Path, *, timeout_s: float, on_wait: Callable[[int | None], None] | None = None) -> Iterator[int]:
    """Keeps other mreg processes out, and gives the file descriptor that holds the lock.

    Args:
        path: The lock file; it says which process holds it.
        timeout_s: How long to wait.
        on_wait: Called once where it takes long, with the process that holds it.

    Raises:
        ConflictError: Another process held the lock all the time.
        StorageError: The lock file cannot be written.
    """
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        begun = time.monotonic()
        while not _try_lock(descriptor):
            waited_s = time.monotonic() - begun
            if on_wait and waited_s > _SILENT_S:
                on_wait(_read_pid(descriptor))
                on_wait = None
            if waited_s > timeout_s:
                message = f"another mreg command has been writing here for {timeout_s:.0f} s"
                details = {"path": str(path), "pid": _read_pid(descriptor)}
                raise ConflictError(message, hint="try again", details=details)
            time.sleep(_POLL_S)
        _write_pid(descriptor)
        yield descriptor
    finally:
        # Closing alone would leave it to a process that inherited it.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def find_writer(path: Path) -> int | None:
    """Returns the process that holds the lock now, 0 where it has not said which; ``None`` where none does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor) or 0
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None


def _write_pid(descriptor: int) -> None:
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def _try_lock(descriptor: int) -> bool:
    with disk_errors():
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def remove_stale_locks(common_dir: Path, pending: Pending, *, since: float) -> None:
    """Removes the ref locks that a Git process of this change left when it was killed.

    The caller holds the write lock, so no such process lives.  A lock that holds the object id of this change is its
    own; an empty one is taken for its own where it is not older than the change and stays empty for a while, which
    Git's own never do; any other is somebody else's.

    Args:
        common_dir: Where the refs are.
        pending: The change.
        since: When it began, in seconds of the file system.
    """
    locks = {common_dir / f"{update.ref}.lock": update.new for update in pending.updates}
    locks[common_dir / pending.git_dir / "HEAD.lock"] = ""
    packed = common_dir / "packed-refs.lock"
    if any(not update.new.strip("0") for update in pending.updates):  # a ref is taken away there too
        locks[packed] = ""
    deadline = time.monotonic() + _EMPTY_LOCK_S
    for lock, content in locks.items():
        if _is_stale(lock, content, since, deadline):
            if lock == packed:
                lock.with_suffix(".new").unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


def _is_stale(lock: Path, content: str, since: float, deadline: float) -> bool:
    while True:
        try:
            found, age = lock.read_text(encoding="ascii", errors="replace"), lock.stat().st_mtime
        except OSError:  # none: a name too long, or refs/heads/main/sub beside refs/heads/main; or not for us to read
            return False
        if found:
            return found.removesuffix("\n") == content  # the line break is written on its own
        if age < since:
            return False
        if time.monotonic() > deadline:
            return True
        time.sleep(_POLL_S)
