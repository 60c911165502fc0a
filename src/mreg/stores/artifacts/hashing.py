"""Hashing and copying in one pass, with bounded memory, and the count of bytes that a progress bar shows.

MD5 is DVC's name for bytes and proves nothing; SHA-256 is what mreg checks.  Each hash of a large file has its own
thread (``hashlib`` lets go of the interpreter lock) beside the one that reads and writes.  Small files stay in one
thread: handing 4 KiB each to threads made 10 000 of them two to three times slower.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import cycle

from msgspec import Struct

from mreg.stores.disk import write_all

__all__ = [
    "SMALL_SIZE",
    "Digests",
    "Meter",
    "Progress",
    "copy_hashed",
    "hash_bytes",
    "hash_equal",
    "hash_file",
    "read_all",
]

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, from any thread, a thousand times at most."""

SMALL_SIZE = 1 << 20
"""Files up to this many bytes are read in one go."""
_CHUNK_SIZE = 1 << 20
_CHUNKS_IN_FLIGHT = 4
_STEPS = 1000
_MAKERS = {"md5": hashlib.md5, "sha256": hashlib.sha256}
"""``hashlib.new`` takes four times as long to find them."""


class Digests(Struct, frozen=True, array_like=True):
    """Both names of the same bytes, as hex digits."""

    md5: str
    sha256: str


class Meter:
    """Adds up bytes from any thread, and passes the sum on."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        """Starts at zero of ``total`` bytes."""
        self._progress = progress
        self._total = total
        self._done = self._shown = 0
        self._moved_s = time.monotonic()
        self._lock = threading.Lock()

    @property
    def idle_s(self) -> float:
        """Seconds since the last ``add``."""
        return time.monotonic() - self._moved_s

    def add(self, size: int) -> None:
        """Counts ``size`` more bytes, which may be none."""
        self._moved_s = time.monotonic()
        if self._progress is None:
            return
        with self._lock:
            self._done = min(self._done + size, self._total)
            if self._done == self._total or (self._done - self._shown) * _STEPS >= self._total:
                self._shown = self._done
                self._progress(self._done, self._total)

    def take_back(self, size: int) -> None:
        """Uncounts bytes that were moved in vain."""
        with self._lock:
            self._done = self._shown = max(self._done - size, 0)


def hash_bytes(content: bytes) -> Digests:
    """Returns both digests of what is in memory."""
    return Digests(hashlib.md5(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest())


def read_all(file: int, size: int) -> bytes:
    """Returns the rest of an open file that should have ``size`` bytes; one byte more where it has more.

    Asks for no more than there is: a buffer of 1 MiB for 4 KiB takes five times as long as reading them.

    Raises:
        OSError: Reading failed.
    """
    content = os.read(file, size + 1)
    while len(content) < size and (more := os.read(file, size + 1 - len(content))):
        content += more
    return content


def hash_file(file: int, size: int, meter: Meter, *, into: int | None = None) -> Digests:
    """Returns both digests of an open file of about ``size`` bytes, read from where it stands.

    Args:
        into: A file descriptor to write the same bytes to, if any.

    Raises:
        OSError: Reading or writing failed.
    """
    return Digests(*copy_hashed(file, into, ("md5", "sha256"), size=size, meter=meter))


def hash_equal(file: int, other: int, size: int, meter: Meter) -> Digests | None:
    """Returns both digests of an open file of about ``size`` bytes if another has the very same bytes.

    Returns:
        ``None`` at the first difference; how far either was read is then unknown.

    Raises:
        OSError: Reading failed.
    """
    hashes = (hashlib.md5(usedforsecurity=False), hashlib.sha256())
    try:
        _read_large(file, partial(_compare, other), [each.update for each in hashes], size=size, meter=meter)
    except _DifferentError:
        return None
    return Digests(*(each.hexdigest() for each in hashes))


def copy_hashed(
    source: int, target: int | None, algorithms: Sequence[str], *, size: int, meter: Meter
) -> tuple[str, ...]:
    """Reads an open file to its end, writes it to ``target`` if there is one, and returns its digests.

    A file that turns out longer than ``size`` is not read much further: it may be growing as fast as it is read.

    Args:
        source: File descriptor at the start of what is to be read.
        target: File descriptor to write to, or ``None`` to hash only.
        algorithms: Of ``md5`` and ``sha256``.
        size: How many bytes there should be.
        meter: Told of every byte.

    Returns:
        Hex digits in the order of ``algorithms``.

    Raises:
        OSError: Reading or writing failed.
    """
    if size <= SMALL_SIZE:
        chunk = read_all(source, size)
        if target is not None:
            write_all(target, chunk)
        meter.add(len(chunk))
        return tuple([_MAKERS[name](chunk, usedforsecurity=False).hexdigest() for name in algorithms])
    hashes = [_MAKERS[name](usedforsecurity=False) for name in algorithms]
    take = partial(write_all, target) if target is not None else None
    _read_large(source, take, [each.update for each in hashes], size=size, meter=meter)
    return tuple(each.hexdigest() for each in hashes)


_Update = Callable[[bytes | memoryview], None]


def _read_large(source: int, take: _Update | None, updates: Sequence[_Update], *, size: int, meter: Meter) -> None:
    buffers = [memoryview(bytearray(_CHUNK_SIZE)) for _ in range(_CHUNKS_IN_FLIGHT)]
    in_flight: deque[list[Future[None]]] = deque()
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in updates]
        for buffer in cycle(buffers):
            if len(in_flight) == len(buffers):
                for done in in_flight.popleft():
                    done.result()
            length = os.readv(source, [buffer])
            chunk = buffer[:length]
            in_flight.append([thread.submit(update, chunk) for thread, update in zip(threads, updates, strict=True)])
            if take:
                take(chunk)
            meter.add(length)
            size -= length
            if length == 0 or size < 0:
                return


class _DifferentError(Exception):
    pass


def _compare(other: int, chunk: bytes | memoryview) -> None:
    rest = memoryview(chunk)
    while rest:
        found = os.read(other, len(rest))
        # As bytes: Python compares views byte by byte.
        if not found or found != bytes(rest[: len(found)]):
            raise _DifferentError
        rest = rest[len(found) :]
