"""A DVC remote in a cloud, through the file systems of DVC's plugins; what they move is checked here.

An object store says what it holds: a plain ETag of S3 is the MD5 of the bytes, one of a multipart upload the MD5 of the
MD5s of its parts.  Where there is no such answer, the size has to do, and the reader of an object hashes it anyway.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import re
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

_PART_SIZE = 8 << 20
"""Of multipart transfers; with ``_PARTS_AT_ONCE`` it bounds the memory: DVC's defaults take 50 MiB times 10 a file."""
_PARTS_AT_ONCE = 4
_MAX_PARTS = 10_000
_LIST_FROM = 200
"""So many objects are looked up by listing the remote, unless it holds very many more."""
_RENAMES = frozenset({"local", "ssh", "hdfs", "webhdfs", "webdav", "webdavs"})
"""File systems on which half an upload would be seen, and which can rename."""
_MD5 = re.compile(r"[0-9a-f]{32}")


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
        self._etags: dict[str, str] = {}
        with remote_errors("opened", place):
            self._fs, root = connect(sections, place, stall_s)
            self._root = self._fs.join(root, "files", "md5")
        self._is_s3 = self._fs.protocol == "s3"
        self._watch = watch_sockets()

    def find_stored(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Returns which objects are there with the right size and, where the remote tells it, the right MD5."""
        with remote_errors("read", self._place):
            self._fs.fs.invalidate_cache()
            found = self._list(sizes) if len(sizes) >= _LIST_FROM else None
            if found is None:
                found = self._look_up(sizes)
            return {md5 for md5, size in sizes.items() if self._is_whole(md5, size, found.get(md5, {}), meter)}

    def send(self, md5: str, cache: Cache, meter: Meter) -> None:
        """Stores one object of ``cache``; ``find_stored`` tells afterwards whether it arrived."""
        with cache.open(md5) as file:
            size = os.fstat(file).st_size
            part_size = max(_PART_SIZE, -(-size // _MAX_PARTS))
            found, self._etags[md5] = _hash_parts(file, part_size, meter)
            cache.check(md5, found, file)
        target = self._path(md5)
        with remote_errors("written", self._place), _moving(meter) as callback:
            self._fs.makedirs(self._fs.parent(target))
            options = self._s3_options("_put_file", part_size)
            with self._renaming(target) as sent_to:
                self._fs.put_file(os.fspath(cache.path(md5)), sent_to, callback=callback, **options)

    def fetch(self, md5: str, temporary: str, meter: Meter) -> str | None:
        """Writes one object to a new file and returns the MD5 of its bytes, ``None`` where it is not there."""
        with remote_errors("read", self._place), TailHash(temporary) as tail, _moving(meter, tail.grow) as callback:
            options = self._s3_options("_get_file", _PART_SIZE)
            try:
                self._fs.get_file(self._path(md5), temporary, callback=callback, **options)
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

    def _s3_options(self, method: str, part_size: int) -> dict[str, int]:
        """Returns what bounds the memory of a transfer; older s3fs does not know all of it."""
        if not self._is_s3:
            return {}
        known = inspect.signature(getattr(self._fs.fs, method)).parameters
        options = {"chunksize": part_size, "max_concurrency": _PARTS_AT_ONCE}
        return {name: value for name, value in options.items() if name in known}

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

    def _is_whole(self, md5: str, size: int, info: Mapping[str, Any], meter: Meter) -> bool:
        if info.get("size") != size:
            return False
        etag = str(info.get("ETag", "")).strip('"')
        expected = md5.removesuffix(".dir") if _MD5.fullmatch(etag) else self._etags.get(md5)
        if not self._is_s3 or expected is None or etag == expected:
            return True
        return self._read_md5(md5, meter) == md5.removesuffix(".dir")  # encrypted by a key: the ETag is something else

    def _read_md5(self, md5: str, meter: Meter) -> str:
        found = hashlib.md5(usedforsecurity=False)
        with self._fs.open(self._path(md5), mode="rb") as file:
            while chunk := file.read(_PART_SIZE):
                found.update(chunk)
                meter.add(0)
        return found.hexdigest()


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


def _hash_parts(file: int, part_size: int, meter: Meter) -> tuple[str, str]:
    """Returns the MD5 of an open file, and the ETag that S3 gives it when it is sent in such parts."""
    whole = hashlib.md5(usedforsecurity=False)
    parts = []
    while part := os.read(file, part_size):
        whole.update(part)
        parts.append(hashlib.md5(part, usedforsecurity=False).digest())
        meter.add(0)
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return whole.hexdigest(), f"{joined}-{len(parts)}"
