"""A DVC remote in a cloud other than S3, through the file systems of DVC's plugins; what they move is checked here."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mreg.stores.cache import OBJECT_MODE, Cache
from mreg.stores.dvc.clients import connect
from mreg.stores.dvc.config import Sections
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.sockets import watch_sockets
from mreg.stores.dvc.tail import TailHash
from mreg.stores.hashing import Meter

__all__ = ["CloudRemote"]

_CHUNK_SIZE = 8 << 20
_LIST_FROM = 200
"""So many objects are looked up by listing the remote, unless it holds very many more."""
_RENAMES = frozenset({"local", "ssh", "hdfs", "webhdfs", "webdav", "webdavs"})
"""File systems on which half an upload would be seen, and which can rename."""


class CloudRemote:
    """Objects in a remote that DVC reaches through a plugin."""

    def __init__(self, sections: Sections, place: Place, *, stall_s: float = 60) -> None:
        """Prepares a connection; the first request makes it.

        Args:
            sections: DVC's settings.
            place: The remote in them.
            stall_s: Seconds that one answer may take.

        Raises:
            StorageError: The plugin is missing, or the settings are wrong.
        """
        self._place = place
        with remote_errors("opened", place):
            self._fs, root = connect(sections, place, stall_s)
            self._root = self._fs.join(root, "files", "md5")
        self._watch = watch_sockets()

    def find_stored(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Returns which objects are there with the right size; whoever reads one hashes it anyway."""
        with remote_errors("read", self._place):
            self._fs.fs.invalidate_cache()
            found = self._list(sizes) if len(sizes) >= _LIST_FROM else None
            if found is None:
                found = self._look_up(sizes)
            return {md5 for md5, size in sizes.items() if found.get(md5, {}).get("size") == size}

    def send(self, md5: str, cache: Cache, meter: Meter) -> None:
        """Stores one object of ``cache``; ``find_stored`` tells afterwards whether it arrived."""
        with cache.open(md5) as file:
            cache.check(md5, _hash(file, meter), file)
        target = self._path(md5)
        with remote_errors("written", self._place), _moving(meter) as callback:
            self._fs.makedirs(self._fs.parent(target))
            with self._renaming(target) as sent_to:
                self._fs.put_file(os.fspath(cache.path(md5)), sent_to, callback=callback)

    def fetch(self, md5: str, temporary: str, meter: Meter) -> str | None:
        """Writes one object to a new file and returns the MD5 of its bytes, ``None`` where it is not there."""
        with remote_errors("read", self._place), TailHash(temporary) as tail, _moving(meter, tail.grow) as callback:
            try:
                self._fs.get_file(self._path(md5), temporary, callback=callback)
            except FileNotFoundError as error:
                if "bucket" in str(error):
                    raise
                return None
            Path(temporary).chmod(OBJECT_MODE)
            return tail.finish(md5.removesuffix(".dir"))

    def delete(self, md5: str) -> None:
        """Takes one object away, if it is there."""
        with remote_errors("written", self._place), suppress(FileNotFoundError):
            self._fs.remove(self._path(md5))

    def idle_s(self) -> float:
        """Returns the seconds since a connection of DVC's clients last moved; infinite where they use no event loop."""
        return self._watch.idle_s if self._watch else math.inf

    @contextmanager
    def _renaming(self, target: str) -> Iterator[str]:
        """Gives the path to write to; where half a file would be seen, another one that is renamed in the end."""
        if self._fs.protocol not in _RENAMES:
            yield target
            return
        temporary = f"{target}.mreg-{secrets.token_hex(8)}.tmp"
        try:
            yield temporary
            self._fs.mv(temporary, target)
        except BaseException:
            with suppress(Exception):  # the connection may be gone, and then nobody can
                self._fs.remove(temporary)
            raise

    def _path(self, md5: str) -> str:
        return str(self._fs.join(self._root, md5[:2], md5[2:]))

    def _look_up(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        infos = self._fs.info([self._path(md5) for md5 in sizes], batch_size=16, return_exceptions=True)
        for info in infos:
            if isinstance(info, Exception) and not isinstance(info, FileNotFoundError):
                raise info
        return {md5: info for md5, info in zip(sizes, infos, strict=True) if not isinstance(info, Exception)}

    def _list(self, sizes: Mapping[str, int]) -> dict[str, Any] | None:
        """Returns all that the remote holds; ``None`` where it cannot list, or where that would take longer."""
        from dvc_objects.fs.base import ObjectFileSystem  # noqa: PLC0415 - comes with DVC

        if not isinstance(self._fs, ObjectFileSystem):
            return None
        prefix = next(iter(sizes))[:2]
        sample = self._fs.fs.find(self._fs.join(self._root, prefix))
        if len(sample) * 256 > 20 * len(sizes):  # a page of a listing holds 1000, a look-up one
            return None
        found = self._fs.fs.find(self._root, detail=True)
        return {"".join(path.rsplit("/", 2)[-2:]): info for path, info in found.items()}


@contextmanager
def _moving(meter: Meter, grow: Callable[[int], None] | None = None) -> Iterator[Any]:
    """Gives fsspec a callback that tells the meter, and ``grow`` the bytes so far."""
    from fsspec.callbacks import Callback  # noqa: PLC0415 - comes with DVC

    before = 0

    def move(value: int) -> None:
        nonlocal before
        meter.add(value - before)
        before = value
        if grow:
            grow(value)

    try:
        yield Callback(hooks={"meter": lambda size, value, **_: move(value)})
    except BaseException:
        meter.take_back(before)
        raise


def _hash(file: int, meter: Meter) -> str:
    found = hashlib.md5(usedforsecurity=False)
    while chunk := os.read(file, _CHUNK_SIZE):
        found.update(chunk)
        meter.add(0)
    return found.hexdigest()
