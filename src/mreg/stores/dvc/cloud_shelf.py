"""A DVC remote in a cloud, looked at through DVC's own file system: one that every plugin has, S3's among them."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mreg.core.objects import Found
from mreg.stores.dvc.clients import connect
from mreg.stores.dvc.config import Sections
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.shelf import as_md5
from mreg.stores.dvc.sockets import watch_sockets

__all__ = ["CloudHoldings"]

_CHUNK_SIZE = 8 << 20
_LIST_FROM = 200
"""So many objects are looked up by listing the remote, unless it holds very many more."""
_LOOK_UPS_AT_ONCE = 16
_WORTH = 20
"""Objects in a page of a listing that take as long as one look-up."""


class CloudHoldings:
    """Objects in a remote that DVC reaches through a plugin."""

    def __init__(self, sections: Sections, place: Place, *, stall_s: float) -> None:
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
        self._is_s3 = self._fs.protocol == "s3"
        self._watch = watch_sockets()

    def look(self, md5s: Collection[str]) -> Mapping[str, Found]:
        """Returns what is there of some objects, with one listing where there are many."""
        wanted = sorted(md5s)
        with remote_errors("read", self._place):
            self._fs.fs.invalidate_cache()
            infos = self._list(wanted) if len(wanted) >= _LIST_FROM else None
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
        return self._pieces(file)

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

    def _path(self, md5: str) -> str:
        return str(self._fs.join(self._root, md5[:2], md5[2:]))

    def _pieces(self, file: Any) -> Iterator[bytes]:  # noqa: ANN401 - a file of fsspec's, which is not typed
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
        if len(sample) * 256 > _WORTH * len(md5s):
            return None
        found = self._fs.fs.find(self._root, detail=True)
        return {"".join(path.rsplit("/", 2)[-2:]): info for path, info in found.items()}

    def _describe(self, info: Mapping[str, Any]) -> Found:
        md5 = as_md5(info.get("ETag")) if self._is_s3 else ""
        return Found(int(info.get("size") or 0), md5)
