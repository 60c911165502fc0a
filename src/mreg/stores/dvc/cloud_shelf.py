"""A DVC remote in a cloud, looked at: what ``CloudRemote`` moves is listed, read and taken away here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from mreg.stores.dvc.cloud import CloudRemote
from mreg.stores.dvc.errors import remote_errors
from mreg.stores.dvc.shelf import Found, as_md5

__all__ = ["CloudHoldings"]

_CHUNK_SIZE = 8 << 20
_FEW = 200
"""So many objects are looked up one by one; more are listed, unless the remote holds very many more."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime")


class CloudHoldings(CloudRemote):
    """Objects in a remote that DVC reaches through a plugin."""

    def look(self, md5s: Collection[str]) -> Mapping[str, Found]:
        """Returns what is there of some objects, with one listing where there are many."""
        sizes = dict.fromkeys(md5s, 0)
        with remote_errors("read", self._place):
            self._fs.fs.invalidate_cache()
            infos = self._list(sizes) if len(sizes) >= _FEW else None
            if infos is None:
                infos = self._look_up(sizes)
        return {md5: self._describe(infos[md5]) for md5 in sizes if infos.get(md5)}

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

    def _pieces(self, file: Any) -> Iterator[bytes]:  # noqa: ANN401 - a file of fsspec's, which is not typed
        with remote_errors("read", self._place), file:
            while piece := file.read(_CHUNK_SIZE):
                yield piece

    def _describe(self, info: Mapping[str, Any]) -> Found:
        md5 = as_md5(info.get("ETag")) if self._is_s3 else ""
        return Found(int(info.get("size") or 0), md5, _written_s(info))


def _written_s(info: Mapping[str, Any]) -> float | None:
    value = next((info[key] for key in _TIMES if info.get(key)), None)
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else None
