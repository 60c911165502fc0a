"""What s3transfer reads from, writes to and reports to: bytes are hashed as they pass."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from s3transfer.subscribers import BaseSubscriber

from mreg.stores.artifacts.hashing import Meter, read_all
from mreg.stores.disk import write_all

__all__ = ["Listener", "Sink", "Source"]


class Source:
    """A file, read by s3transfer a part at a time; ``check`` gets its MD5 before anybody can see the object."""

    def __init__(self, file: int, size: int, check: Callable[[str], None]) -> None:
        """Begins where the file stands."""
        self._file = file
        self._size = size
        self._check = check
        self.whole = hashlib.md5(usedforsecurity=False)
        self._parts: list[bytes] = []

    def read(self, size: int = -1) -> bytes:
        """Returns the next part, nothing at the end; all of it where no size is given."""
        part = read_all(self._file, self._size if size < 0 else size - 1)
        self.whole.update(part)
        if size >= 0 and part:
            self._parts.append(hashlib.md5(part, usedforsecurity=False).digest())
        else:
            self._check(self.whole.hexdigest())
        return part

    def etag(self) -> str:
        """Returns what S3 should call the object that was made of these parts."""
        joined = hashlib.md5(b"".join(self._parts), usedforsecurity=False).hexdigest()
        return f"{joined}-{len(self._parts)}"


class Sink:
    """Takes bytes in their order, hashes them, and writes them to a file if there is one."""

    def __init__(self, file: int | None) -> None:
        """Begins with no bytes."""
        self._file = file
        self.md5 = hashlib.md5(usedforsecurity=False)

    def write(self, chunk: bytes) -> None:
        """Takes the next ones."""
        if self._file is not None:
            write_all(self._file, chunk)
        self.md5.update(chunk)


class Listener(BaseSubscriber):  # type: ignore[misc] # s3transfer is not typed
    """Hands on to a meter how far one transfer has come."""

    def __init__(self, meter: Meter, size: int, etag: str | None = None) -> None:
        """Begins at none of ``size`` bytes."""
        self._meter = meter
        self._size = size
        self._etag = etag
        self._moved = 0
        self._lock = threading.Lock()

    def on_queued(self, future: Any, **_: object) -> None:  # noqa: ANN401
        """Tells s3transfer what it would ask for: the size, and the ETag that every part must have."""
        future.meta.provide_transfer_size(self._size)
        if self._etag:
            future.meta.provide_object_etag(self._etag)

    def on_progress(self, bytes_transferred: int, **_: object) -> None:
        """Counts; less than nothing where a part begins anew."""
        with self._lock:
            self._moved += bytes_transferred
        self._meter.add(max(bytes_transferred, 0))
        if bytes_transferred < 0:
            self._meter.take_back(-bytes_transferred)

    @contextmanager
    def taking_back(self) -> Iterator[None]:
        """Uncounts all of it where it was in vain."""
        try:
            yield
        except BaseException:
            self._meter.take_back(self._moved)
            raise
