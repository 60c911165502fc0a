"""What the local disk can do beyond ``pathlib``: private scratch folders, copy-on-write clones, atomic exchange.

Everything unfinished lives in a scratch folder, ``.mreg-<8 characters>.tmp``, next to where it will end, so that the
last step is a rename.  A folder is locked while it is in use; one whose lock is free was left by a process that was
killed, and the next ``scratch_folder`` in the same place deletes it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mreg.errors import MregError, NotFoundError, StorageError

__all__ = ["clone", "disk_error", "disk_errors", "exchange", "scratch_folder", "write_all"]

_SCRATCH = re.compile(r"\.mreg-[a-z0-9_]{8}\.tmp")
_LOCK_GRACE_S = 10
"""A folder is created a moment before it is locked."""
_LOCKLESS_AGE_S = 86_400
"""Age at which a folder is deleted where the file system has no locks."""
_FICLONE = 0x40049409
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""The flag has the same value for Linux's ``renameat2`` and macOS's ``renamex_np``."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Gives a private folder in ``parent``, and deletes it with all that is left in it.

    Raises:
        StorageError: ``parent`` cannot be written.
    """
    with disk_errors("written", parent):
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=".mreg-", suffix=".tmp", dir=parent))
        lock = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # no locks on this file system: age decides
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def disk_errors(verb: str, path: Path | str) -> Iterator[None]:
    """Turns an ``OSError`` into an error of mreg: ``<path> cannot be <verb>: <why>``.

    Raises:
        NotFoundError: A file to read is not there.
        StorageError: Anything else that the system refuses.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, verb, path) from error


def disk_error(error: OSError, verb: str, path: Path | str) -> MregError:
    """Returns mreg's error for the system's, as ``disk_errors`` raises it."""
    place = os.fsdecode(error.filename or path)
    message = f"{place!r} cannot be {verb}: {(error.strerror or str(error)).lower()}"
    if isinstance(error, FileNotFoundError | NotADirectoryError) and verb == "read":
        return NotFoundError(message, hint="check the path", details={"path": place})
    hint = "check that the file system works and is mounted for writing"
    if error.errno in _FULL:
        hint = "free some space; df -h shows which file system is full"
    elif isinstance(error, PermissionError):
        hint = f"check the permissions: ls -ld {shlex.quote(place)}"
    return StorageError(message, hint=hint, details={"path": place, "errno": error.errno})


def write_all(file: int, chunk: bytes | memoryview) -> None:
    """Writes the whole chunk; the system may take it in parts, most of all when the disk fills up."""
    done = os.write(file, chunk)
    while done < len(chunk):
        done += os.write(file, memoryview(chunk)[done:])


def clone(source: int, target: int) -> bool:
    """Makes the open file ``target`` share the blocks of ``source``; ``False`` where the file system cannot."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def exchange(ours: Path, theirs: Path) -> None:
    """Puts ``ours`` where ``theirs`` is and the reverse; both must exist.

    Atomic on Linux and macOS; where the file system cannot, two renames, of which the first is undone when the second
    fails.

    Raises:
        OSError: The system refuses; both are where they were.
    """
    if _exchange_atomically(os.fsencode(ours), os.fsencode(theirs)):
        return
    aside = ours.with_name(f"{ours.name}.aside")
    theirs.rename(aside)
    try:
        ours.rename(theirs)
    except BaseException:
        aside.rename(theirs)
        raise
    aside.rename(ours)


def _exchange_atomically(ours: bytes, theirs: bytes) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        status = libc.renamex_np(ours, theirs, _RENAME_EXCHANGE)
    elif hasattr(libc, "renameat2"):
        status = libc.renameat2(_AT_FDCWD, ours, _AT_FDCWD, theirs, _RENAME_EXCHANGE)
    else:
        return False
    return bool(status == 0)


def _sweep(parent: Path) -> None:
    with os.scandir(parent) as entries:
        left = [entry.path for entry in entries if _SCRATCH.fullmatch(entry.name)]
    for path in left:
        with suppress(OSError):
            _delete_abandoned(path)


def _delete_abandoned(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(folder)
        age_s = time.time() - found.st_mtime
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_abandoned = age_s > _LOCK_GRACE_S
        except BlockingIOError:
            return
        except OSError:
            is_abandoned = age_s > _LOCKLESS_AGE_S
        if is_abandoned and found.st_uid == os.geteuid() and stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(folder)
