"""A DVC remote that is a folder: the layout of a cache, without DVC and without its copy-and-hope."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from mreg.errors import NotFoundError
from mreg.stores.artifacts.cache import Cache, create_object
from mreg.stores.artifacts.hashing import SMALL_SIZE, Meter, copy_hashed
from mreg.stores.disk import clone, disk_error, disk_errors

__all__ = ["FolderRemote"]

_MD5 = ("md5",)


class FolderRemote:
    """Objects in a folder, on this machine or mounted."""

    def __init__(self, root: Path, scratch: Path | None = None) -> None:
        """Names the folder.

        Args:
            root: Holds ``files/md5``.
            scratch: A private folder on the same file system, to send through.
        """
        self._store = Cache(root)
        self._scratch = scratch

    def find_stored(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Returns which objects are there, whole: each is read and hashed."""
        return {md5 for md5, size in sizes.items() if self._is_whole(md5, size, meter)}

    def send(self, md5: str, cache: Cache, meter: Meter) -> None:
        """Stores one object of ``cache``, over one of that name."""
        temporary = f"{self._scratch}/{md5}"
        with disk_errors("written", self._store.root):
            with cache.open(md5) as source:
                cache.check(md5, _copy(source, temporary, meter), source)
            self._store.adopt(temporary, md5)

    def fetch(self, md5: str, temporary: str, meter: Meter) -> str | None:
        """Writes one object to a new file and returns the MD5 of its bytes, ``None`` where it is not there."""
        try:
            with self._store.open(md5) as source, disk_errors("written", temporary):
                return _copy(source, temporary, meter)
        except NotFoundError:
            return None

    def delete(self, md5: str) -> None:
        """Takes one object away, if it is there."""
        with disk_errors("written", self._store.root):
            self._store.path(md5).unlink(missing_ok=True)

    def idle_s(self) -> float:
        """Returns infinity: the bytes of a file are counted, and there are no connections."""
        return math.inf

    def _is_whole(self, md5: str, size: int, meter: Meter) -> bool:
        if self._store.size(md5) != size:
            return False
        with self._store.open(md5) as file:
            try:
                [found] = copy_hashed(file, None, _MD5, size=size, meter=meter)
            except OSError as error:
                raise disk_error(error, "read", self._store.path(md5)) from error
        return found == md5.removesuffix(".dir")


def _copy(source: int, temporary: str, meter: Meter) -> str:
    size = os.fstat(source).st_size
    target = create_object(temporary)
    try:
        cloned = size > SMALL_SIZE and clone(source, target)
        read, write = (target, None) if cloned else (source, target)
        [md5] = copy_hashed(read, write, _MD5, size=size, meter=meter)
    finally:
        os.close(target)
    return md5
