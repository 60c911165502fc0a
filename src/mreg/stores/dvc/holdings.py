"""What a cache or a remote holds, looked at without moving it: presence, size, hashes; and taking objects away.

A remote is looked at with one listing where there is much to look up.  What it says cheaply (a size; of S3 an ETag) is
told as it is; ``hash_objects`` reads the bytes themselves, streaming, and needs no disk.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from mreg.core.storage.objects import Found
from mreg.errors import NotFoundError, StorageError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import Meter, Progress, hash_bytes
from mreg.stores.disk import disk_errors, scratch_folder
from mreg.stores.dvc.errors import Place
from mreg.stores.dvc.pool import Crew, run_all

__all__ = ["FolderHoldings", "Holdings", "Shelf", "as_md5"]

_CHUNK_SIZE = 4 << 20
_MD5 = re.compile(r"[0-9a-f]{32}")
_BATCH = 1000
"""Objects that are taken away with one request of S3."""


class Holdings(Protocol):
    """Where objects are: a folder, or a cloud."""

    def look(self, md5s: Collection[str]) -> Mapping[str, Found]:
        """Returns what is there of some objects."""
        ...

    def read(self, md5: str) -> Iterator[bytes] | None:
        """Returns the bytes of one object in pieces; ``None`` where it is not there."""
        ...

    def delete_all(self, md5s: Sequence[str]) -> None:
        """Takes objects away; one that is not there is no fault."""
        ...

    def probe(self) -> None:
        """Writes a small file, and takes it away again."""
        ...

    def idle_s(self) -> float:
        """Returns the seconds since a connection last moved; infinite where nobody knows."""
        ...


class Shelf(Struct, frozen=True):
    """One cache or remote, and how fast to go."""

    holdings: Holdings
    place: Place
    jobs: int
    stall_s: float

    def look(self, md5s: Iterable[str]) -> Mapping[str, Found]:
        """Returns what is there of some objects.

        Raises:
            StorageError: The remote refuses or does not answer.
        """
        wanted = frozenset(md5s)
        found: dict[str, Found] = {}
        tasks = [lambda: found.update(self.holdings.look(wanted))] if wanted else []
        self._run(tasks, Meter(None, 0))
        return found

    def read_lists(self, md5s: Iterable[str]) -> dict[str, bytes]:
        """Returns the lists of directories that are there and whole; a list that is changed counts for nothing.

        Raises:
            StorageError: The remote refuses or does not answer.
        """
        found: dict[str, bytes] = {}

        def read(md5: str) -> None:
            pieces = self.holdings.read(md5)
            content = b"".join(pieces) if pieces is not None else b""
            if pieces is not None and f"{hash_bytes(content).md5}.dir" == md5:
                found[md5] = content

        self._run([partial(read, md5) for md5 in sorted(set(md5s))], Meter(None, 0))
        return found

    def hash_objects(self, md5s: Iterable[str], size: int, progress: Progress | None) -> dict[str, Found]:
        """Returns size and hashes of every object that is there; all bytes are read.

        Raises:
            StorageError: The remote refuses or does not answer.
        """
        found: dict[str, Found] = {}
        meter = Meter(progress, size)

        def read(name: str) -> None:
            pieces = self.holdings.read(name)
            if pieces is None:
                return
            md5, sha256, done = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
            try:
                for piece in pieces:
                    md5.update(piece)
                    sha256.update(piece)
                    done += len(piece)
                    meter.add(len(piece))
            except StorageError:  # which may be tried again
                meter.take_back(done)
                raise
            found[name] = Found(done, md5.hexdigest(), sha256.hexdigest())

        self._run([partial(read, name) for name in sorted(set(md5s))], meter)
        return found

    def delete(self, md5s: Sequence[str]) -> None:
        """Takes objects away, a thousand at a time in the order given, and looks whether they went.

        Raises:
            StorageError: The remote refuses, does not answer, or still holds one.
        """
        for start in range(0, len(md5s), _BATCH):
            batch = md5s[start : start + _BATCH]
            self._run([partial(self.holdings.delete_all, batch)], Meter(None, 0))
            left = sorted(self.look(batch))
            if left:
                raise StorageError(
                    f"{self.place} still holds object {left[0]}, which was to be deleted",
                    hint="ask the administrator of the storage whether objects are locked, or only writing is allowed",
                    details={"remote": self.place.name, "objects": left},
                )

    def probe(self) -> None:
        """Passes whoever may write and delete there.

        Raises:
            StorageError: The remote refuses or does not answer.
        """
        self._run([self.holdings.probe], Meter(None, 0))

    def _run(self, tasks: Sequence[Callable[[], None]], meter: Meter) -> None:
        run_all(tasks, self.place, Crew(self.jobs, self.stall_s, self.holdings.idle_s), meter)


class FolderHoldings:
    """Objects in a folder: a cache, or a remote that is one."""

    def __init__(self, root: Path) -> None:
        """Names the folder that holds ``files/md5``."""
        self._root = root
        self._store = Cache(root)

    def look(self, md5s: Collection[str]) -> Mapping[str, Found]:
        """Returns what is there of some objects."""
        found = {}
        with disk_errors("read", self._root):
            for md5 in md5s:
                size = self._store.size(md5)
                if size is not None:
                    found[md5] = Found(size)
        return found

    def read(self, md5: str) -> Iterator[bytes] | None:
        """Returns the bytes of one object in pieces; ``None`` where it is not there."""
        path = self._store.path(md5)
        try:
            with disk_errors("read", path):
                file = os.open(path, os.O_RDONLY)
        except NotFoundError:
            return None
        return _read_pieces(file, path)

    def delete_all(self, md5s: Sequence[str]) -> None:
        """Takes objects away; one that is not there is no fault."""
        for md5 in md5s:
            path = self._store.path(md5)
            with disk_errors("deleted", path):
                path.unlink(missing_ok=True)

    def probe(self) -> None:
        """Writes a small file, and takes it away again."""
        with scratch_folder(self._root):
            pass

    def idle_s(self) -> float:
        """Returns infinity: there are no connections."""
        return float("inf")


def as_md5(etag: object) -> str:
    """Returns the MD5 that an ETag of S3 is; empty where it is something else, such as that of parts."""
    text = str(etag or "").strip('"')
    return text if _MD5.fullmatch(text) else ""


def _read_pieces(file: int, path: Path) -> Iterator[bytes]:
    try:
        with disk_errors("read", path):
            while piece := os.read(file, _CHUNK_SIZE):
                yield piece
    finally:
        os.close(file)
