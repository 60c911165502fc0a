"""One process does what many want: the others wait for it, and then use what it made.

Rules:
    * A claim is a lock on a file, which the kernel gives up with the process that held it: a killed one blocks nobody.
    * Who waits looks for what it waits for, not for the lock.
    * A failure that took long is shared with those who waited for it: they do not all wait that long again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mreg.errors import StorageError
from mreg.stores.disk import disk_errors

__all__ = ["claim", "lock_file"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.2
_LOCK_PAUSE_S = 0.02
_PATIENCE_S = 900.0
"""Longer than a look at a remote that takes its time for each connection."""
_SLOW_S = 5.0
"""A failure that took longer is not to be repeated by everyone who waited."""


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Holds a file's lock; waits for whoever has it, but not for ever: that one may be stopped.

    Raises:
        StorageError: The file cannot be made, or another process has the lock for very long.
    """
    with disk_errors("written", path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: better all of them than none
            _wait_for(file, path)
        yield
    finally:
        os.close(file)


def _wait_for(file: int, path: Path) -> None:
    given_up_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > given_up_s:
                where = os.fspath(path)
                raise StorageError(
                    f"another process has kept {where!r} locked for {_PATIENCE_S / 60:.0f} minutes",
                    hint=f"fuser -v {shlex.quote(where)}   # shows which; where it was stopped (Ctrl-Z): fg",
                    details={"path": where},
                ) from None
            time.sleep(_LOCK_PAUSE_S)
        else:
            return


@contextmanager
def claim(path: Path, is_done: Callable[[], bool], wait: Callable[[], None]) -> Iterator[bool]:
    """Gives true to the one that has to do it, and false where it is done.

    Args:
        path: Stands for what is to be done.
        is_done: Whether it was.
        wait: Is called again and again while another process is at it.

    Raises:
        StorageError: The one that was at it failed, after a long time; or the file cannot be made.
    """
    before = _read_failures(path)
    file = _acquire(path, is_done, wait)
    if file is None:
        yield False
        return
    started_s = time.monotonic()
    try:
        if is_done():
            yield False
            return
        failures = _read_failures(path)
        if failures and failures["count"] != (before or {}).get("count"):
            raise StorageError(str(failures["message"]), hint=str(failures["hint"]))
        yield True
        with suppress(OSError):
            path.unlink(missing_ok=True)
    except StorageError as error:
        if time.monotonic() - started_s > _SLOW_S:
            _write_failure(file, error)
        raise
    finally:
        os.close(file)


def _acquire(path: Path, is_done: Callable[[], bool], wait: Callable[[], None]) -> int | None:
    pause_s = _FIRST_PAUSE_S
    while not is_done():
        with disk_errors("written", path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), path.stat()):  # else whoever had it has done it
                return file
        except BlockingIOError:
            wait()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except FileNotFoundError:
            pass
        except OSError:  # a file system without locks: everybody does it
            return file
        os.close(file)
    return None


def _read_failures(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_bytes())
        return {key: found[key] for key in ("count", "message", "hint")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_failure(file: int, error: StorageError) -> None:
    text = {"count": time.time_ns(), "message": error.message, "hint": error.hint}
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(text).encode(), 0)
