"""Hashes a file while it is being downloaded, so that the check costs no time of its own."""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import threading
from contextlib import suppress
from types import TracebackType

from mreg.stores.artifacts.hashing import SMALL_SIZE

__all__ = ["TailHash"]

_CHUNK_SIZE = 1 << 20


class TailHash:
    """The MD5 of a file that another thread writes from start to end."""

    def __init__(self, path: str) -> None:
        """Names the file, which need not exist yet."""
        self._path = path
        self._hash = hashlib.md5(usedforsecurity=False)
        self._position = 0
        self._sizes: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> TailHash:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops hashing."""
        self._stop()

    def grow(self, size: int) -> None:
        """Takes note that the file now has so many bytes."""
        if self._thread is None and size > SMALL_SIZE:
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()
        if self._thread:
            self._sizes.put(size)

    def finish(self, expected: str) -> str:
        """Returns the MD5 of the whole file; reads it again before it says anything but ``expected``."""
        self._stop()
        self._read_on()
        found = self._hash.hexdigest()
        if found == expected or not self._position:
            return found
        self._hash, self._position = hashlib.md5(usedforsecurity=False), 0  # it may have been written out of order
        self._read_on()
        return self._hash.hexdigest()

    def _stop(self) -> None:
        if self._thread:
            self._sizes.put(None)
            self._thread.join()
            self._thread = None

    def _follow(self) -> None:
        while (size := self._sizes.get()) is not None:
            with suppress(FileNotFoundError):  # some clients tell of bytes before they make the file
                self._read_on(size)

    def _read_on(self, limit: int = sys.maxsize) -> None:
        file = os.open(self._path, os.O_RDONLY)
        try:
            while chunk := os.pread(file, min(_CHUNK_SIZE, limit - self._position), self._position):
                self._hash.update(chunk)
                self._position += len(chunk)
        finally:
            os.close(file)
