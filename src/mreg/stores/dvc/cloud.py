"""A DVC remote in a cloud, through the file systems of DVC's plugins, which are all alike; what moves is checked.

S3 is looked at this way too, and what is moved there goes by ``mreg.stores.dvc.s3``.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mreg.core.storage.objects import Found
from mreg.stores.artifacts.cache import OBJECT_MODE, Cache
from mreg.stores.artifacts.hashing import Meter
from mreg.stores.dvc.clients import connect
from mreg.stores.dvc.config import Sections
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.growing_hash import TailHash
from mreg.stores.dvc.holdings import as_md5
from mreg.stores.dvc.sockets import watch_sockets
from mreg.stores.dvc.traffic import LIST_FROM, is_listing_worth

__all__ = ["CloudRemote"]

_CHUNK_SIZE = 8 << 20
_LOOK_UPS_AT_ONCE = 16
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
        found = self.look(sizes)
        return {md5 for md5, size in sizes.items() if md5 in found and found[md5].size == size}

    def look(self, md5s: Collection[str]) -> Mapping[str, Found]:
        """Returns what is there of some objects, with one listing where there are many."""
        wanted = sorted(md5s)
        with remote_errors("read", self._place):
            self._fs.fs.invalidate_cache()
            infos = self._list(wanted) if len(wanted) >= LIST_FROM else None
            if infos is None:
                infos = self._look_up(wanted)
        return {md5: self._describe(infos[md5]) for md5 in wanted if infos.get(md5)}

    def read(self, md5: str) -> Iterator[bytes] | None:
        """Returns the bytes of one object in pieces; ``None`` where it is not there."""
        with remote_errors("read", self._place):
            try:
                file = self._fs.open(self._path(md5), mode="rb")
            except FileNotFoundError:
                return None
        return self._read_pieces(file)

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

    def delete_all(self, md5s: Sequence[str]) -> None:
        """Takes objects away; one that is not there is no fault."""
        with remote_errors("written", self._place), suppress(FileNotFoundError):
            self._fs.fs.rm([self._path(md5) for md5 in md5s])

    def probe(self) -> None:
        """Writes a small file, and takes it away again."""
        path = self._fs.join(self._root, f"mreg-{secrets.token_hex(8)}.tmp")
        with remote_errors("written", self._place):
            self._fs.makedirs(self._root)
            self._fs.pipe_file(path, b"mreg gc")
            self._fs.remove(path)

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

    def _read_pieces(self, file: Any) -> Iterator[bytes]:  # noqa: ANN401 - a file of fsspec's, which is not typed
        with remote_errors("read", self._place), file:
            while piece := file.read(_CHUNK_SIZE):
                yield piece

    def _look_up(self, md5s: Sequence[str]) -> dict[str, Any]:
        paths = [self._path(md5) for md5 in md5s]
        infos = self._fs.info(paths, batch_size=_LOOK_UPS_AT_ONCE, return_exceptions=True)
        for info in infos:
            if isinstance(info, Exception) and not isinstance(info, FileNotFoundError):
                raise info
        return {md5: info for md5, info in zip(md5s, infos, strict=True) if not isinstance(info, Exception)}

    def _list(self, md5s: Sequence[str]) -> dict[str, Any] | None:
        """Returns all that the remote holds; ``None`` where it cannot list, or where that would take longer."""
        from dvc_objects.fs.base import ObjectFileSystem  # noqa: PLC0415 - comes with DVC

        if not isinstance(self._fs, ObjectFileSystem):
            return None
        sample = self._fs.fs.find(self._fs.join(self._root, md5s[0][:2]))
        if not is_listing_worth(len(sample), len(md5s)):
            return None
        found = self._fs.fs.find(self._root, detail=True)
        return {"".join(path.rsplit("/", 2)[-2:]): info for path, info in found.items()}

    def _describe(self, info: Mapping[str, Any]) -> Found:
        md5 = as_md5(info.get("ETag")) if self._fs.protocol == "s3" else ""
        return Found(int(info.get("size") or 0), md5)


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
