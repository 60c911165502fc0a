"""Objects as Git stores them in its packs: whole, or as differences from others.

Git hands differences over in new packs alone, which it writes to disk.  What stands in its own is read here, as
https://git-scm.com/docs/gitformat-pack says it is written; what is elsewhere, or written otherwise, is left to Git.
"""

from __future__ import annotations

import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

__all__ = ["TREE", "UNREADABLE", "PackPlace", "Packs"]

PackPlace: TypeAlias = tuple[int, int]
"""Number of a pack, and where in it an object begins."""

UNREADABLE = (OSError, ValueError, LookupError, struct.error, zlib.error)
"""What reading raises where a pack is not what its format says, or is gone since."""

TREE = 2
_OFFSET_DELTA, _ID_DELTA = 6, 7
_MAGIC = b"\xfftOc\0\0\0\2"
_FAN = struct.Struct(">256I")
_IDS = len(_MAGIC) + _FAN.size
"""Where in an index the ids begin."""
_CHECKSUM, _OFFSET, _FAR_OFFSET = 4, 4, 8
"""Bytes that an index has for each object, after its ids; the last where a pack has more than 2 GiB."""
_FAR = 1 << 31
_FIRST, _MORE = 512, 1 << 16
"""Bytes that are read at once: nearly all differences have less than the first."""
_MOST = 64
"""Packs that are open at once, two files each; a process may have 256 on macOS."""


class Packs:
    """The largest packs of a repository, and of those that it borrows objects from."""

    def __init__(self, objects: Path, id_bytes: int) -> None:
        """Opens those that are there.

        Args:
            objects: Git's folder of objects.
            id_bytes: Length of an object id.
        """
        folders = _borrowed([objects.resolve()])
        indexes = [index for folder in folders for index in sorted((folder / "pack").glob("pack-*.idx"))]
        self.id_bytes = id_bytes
        self._packs = [_Pack(index, id_bytes) for index in sorted(indexes, key=_size, reverse=True)[:_MOST]]

    def close(self) -> None:
        """Closes them."""
        for pack in self._packs:
            pack.close()

    def locate(self, oids: Iterable[bytes]) -> dict[bytes, PackPlace]:
        """Returns where some objects are, by their ids in hexadecimal; those that are in no pack are left out."""
        names = {bytes.fromhex(oid.decode("ascii")): oid for oid in oids}
        found: dict[bytes, PackPlace] = {}
        for number, pack in enumerate(self._packs):
            for name, offset in list(pack.locate(sorted(names))):
                found[names.pop(name)] = number, offset
        return found

    def read(self, place: PackPlace) -> tuple[int, PackPlace | None, bytes]:
        """Returns an object: of which kind it is, and its content; or from which one it differs, and in what.

        Raises:
            Exception: One of ``UNREADABLE``.
        """
        number, offset = place
        kind, base, body = self._packs[number].read(offset)
        return kind, None if base is None else (number, base), body


class _Pack:
    """One pack and its index."""

    def __init__(self, index: Path, id_bytes: int) -> None:
        self._id_bytes = id_bytes
        self._index = self._pack = -1
        try:
            self._index = os.open(index, os.O_RDONLY | os.O_CLOEXEC)
            head = os.pread(self._index, _IDS, 0)
            if not head.startswith(_MAGIC):
                raise ValueError(index)
            self._pack = os.open(index.with_suffix(".pack"), os.O_RDONLY | os.O_CLOEXEC)
            self._counts = (0, *_FAN.unpack_from(head, len(_MAGIC)))
            least = _IDS + self._counts[-1] * (id_bytes + _CHECKSUM + _OFFSET)
            if list(self._counts) != sorted(self._counts) or os.fstat(self._index).st_size < least:
                raise ValueError(index)
        except UNREADABLE:  # then it has no objects
            self._counts = (0,) * 257

    def close(self) -> None:
        for descriptor in (self._index, self._pack):
            if descriptor >= 0:
                os.close(descriptor)

    def locate(self, names: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
        """Yields those of some ids that are here, and where; the ids are in order, in bytes."""
        length = self._id_bytes
        for first, group in groupby(names, key=itemgetter(0)):
            start, end = self._counts[first], self._counts[first + 1]
            if start == end:
                continue
            ids = os.pread(self._index, (end - start) * length, _IDS + start * length)
            there = range(len(ids) // length)
            for name in group:
                at = bisect_left(there, name, key=lambda number: ids[number * length : (number + 1) * length])
                if ids.startswith(name, at * length):
                    yield name, self._offset(start + at)

    def _offset(self, number: int) -> int:
        count = self._counts[-1]
        offsets = _IDS + count * (self._id_bytes + _CHECKSUM)
        offset = int.from_bytes(os.pread(self._index, _OFFSET, offsets + number * _OFFSET), "big")
        if offset < _FAR:
            return offset
        place = offsets + count * _OFFSET + (offset - _FAR) * _FAR_OFFSET
        return int.from_bytes(os.pread(self._index, _FAR_OFFSET, place), "big")

    def read(self, offset: int) -> tuple[int, int | None, bytes]:
        data = os.pread(self._pack, _FIRST, offset)
        kind, at = data[0] >> 4 & 7, after_number(data, 0)
        base = None
        if kind == _OFFSET_DELTA:
            end = after_number(data, at)
            back = data[at] & 0x7F
            for byte in data[at + 1 : end]:
                back = (back + 1 << 7) | (byte & 0x7F)
            base, at = offset - back, end
        elif kind == _ID_DELTA:
            end = at + self._id_bytes
            base, at = dict(self.locate([data[at:end]]))[data[at:end]], end
        return kind, base, self._inflate(data[at:], offset + len(data))

    def _inflate(self, data: bytes, behind: int) -> bytes:
        stream = zlib.decompressobj()
        parts = [stream.decompress(data)]
        while not stream.eof:
            data = os.pread(self._pack, _MORE, behind)
            if not data:
                raise ValueError(behind)
            parts.append(stream.decompress(data))
            behind += len(data)
        return b"".join(parts)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a repack has deleted it meanwhile
        return 0


def after_number(data: bytes, at: int) -> int:
    """Returns where a number of several bytes ends: the last has no highest bit."""
    while data[at] & 0x80:
        at += 1
    return at + 1


def _borrowed(folders: list[Path]) -> list[Path]:
    """Returns folders of objects with those that they name as having more (``git clone --shared``)."""
    for folder in folders:  # it grows on the way
        try:
            lines = (folder / "info" / "alternates").read_bytes().splitlines()
        except OSError:
            continue
        paths = ((folder / os.fsdecode(line)).resolve() for line in lines if line and not line.startswith((b"#", b'"')))
        folders += [path for path in paths if path not in folders]
    return folders
