"""What outlives a killed process: the lock that says who writes, and the note of what was being written.

The lock is inherited by the Git processes that move something, so that nobody recovers while one of them still runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mreg.errors import ConflictError, StorageError

__all__ = ["Journal", "Pending", "RefUpdate", "disk_errors", "remove_stale_locks", "write_lock"]

LOCK_TIMEOUT_S = 60.0
_POLL_S = 0.05
_EMPTY_LOCK_S = 1.0


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One compare-and-set of a ref."""

    ref: str
    new: str
    old: str | None
    """``None`` where the ref must not exist."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One change that is under way."""

    updates: tuple[RefUpdate, ...]
    git_dir: str
    """Git directory of the worktree that moves the refs."""
    worktrees: tuple[tuple[str, str], ...] = ()
    """Folder and Git directory of each worktree that follows the first update."""
    begun: bool = False
    """True where files of the worktrees may have been changed."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The file that holds the change under way, if there is one."""

    path: Path

    def load(self) -> Pending | None:
        """Returns the change that was under way; ``None`` where there is none, or none of ours to read."""
        try:
            note = json.loads(self.path.read_text(encoding="utf-8"))
            updates = tuple(RefUpdate(**update) for update in note.pop("updates"))
            worktrees = tuple((str(folder), str(git_dir)) for folder, git_dir in note.pop("worktrees"))
            return Pending(updates, worktrees=worktrees, **note)
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save(self, pending: Pending) -> None:
        """Writes the note whole, or not at all."""
        self._draft.write_text(json.dumps(asdict(pending)), encoding="utf-8")
        self._draft.replace(self.path)

    def clear(self) -> None:
        """Takes the note away: nothing is under way."""
        self.path.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)  # of a process that was killed

    @property
    def _draft(self) -> Path:
        return self.path.with_suffix(".new")

    @property
    def written_at(self) -> float:
        """When the note was written, in seconds of the file system; 0 where there is none."""
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0


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
def write_lock(path: Path, *, timeout_s: float) -> Iterator[int]:
    """Keeps other mreg processes out, and gives the file descriptor that holds the lock.

    Raises:
        ConflictError: Another process held the lock all the time.
        StorageError: The lock file cannot be written.
    """
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                message = f"another mreg command has been writing here for {timeout_s:.0f} s"
                raise ConflictError(message, hint="try again", details={"path": str(path)})
            time.sleep(_POLL_S)
        yield descriptor
    finally:
        # Closing alone would leave it to a process that inherited it.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


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
    locks[Path(pending.git_dir, "HEAD.lock")] = ""
    deadline = time.monotonic() + _EMPTY_LOCK_S
    for lock, content in locks.items():
        if _is_stale(lock, content, since, deadline):
            lock.unlink(missing_ok=True)


def _is_stale(lock: Path, content: str, since: float, deadline: float) -> bool:
    while True:
        try:
            found, age = lock.read_text(encoding="ascii", errors="replace"), lock.stat().st_mtime
        except FileNotFoundError:
            return False
        if found:
            return found.removesuffix("\n") == content  # the line break is written on its own
        if age < since:
            return False
        if time.monotonic() > deadline:
            return True
        time.sleep(_POLL_S)
