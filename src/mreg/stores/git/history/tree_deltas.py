"""What very many versions of one large folder say of a few names, from the differences that Git stores them as.

To find a name in a tree, Git puts the tree together from such differences and goes through it name by name: in a folder
of 2 000 models those are 74 kB for each commit.  ``git pack-objects`` hands the differences over as they are stored, 36
bytes each, and nearly all of them do nothing but put other ids to other names.

What the format says is all that is relied on: https://git-scm.com/docs/gitformat-pack.
"""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import IO, TypeAlias

from msgspec import Struct

from mreg.errors import GitError
from mreg.stores.git.runner import GitRunner

__all__ = ["Entries", "find_entries"]

Entries: TypeAlias = tuple[bytes | None, ...]
"""Mode, name and id for each name that was asked for; ``None`` where it is not there."""

_TREE, _DELTA = 2, 6
_PACK_OBJECTS = (
    "pack-objects",
    "--quiet",
    "--window=0",  # nothing is compared anew
    "--depth=4095",
    "--delta-base-offset",
    "--index-version=2",
    "--threads=1",
    "--max-pack-size=64g",  # one pack, whatever pack.packSizeLimit says
)
LAYOUTS = 64
"""Lists of all names that are there at once, one for each time that a name comes or goes."""
_COPY = 0x80
_SHIFTS = [tuple(8 * bit for bit in range(7) if byte >> bit & 1) for byte in range(_COPY)]
"""Which bytes of offset and size follow an instruction to copy."""


def find_entries(runner: GitRunner, trees: Sequence[bytes], names: Sequence[bytes]) -> dict[bytes, Entries]:
    """Returns what some trees say of some names, by the id of the tree; two Git calls.

    Args:
        runner: Runs Git where they are.
        trees: Full ids, at least one; best of those that Git stores as differences from each other.
        names: Of files or folders in them.

    Raises:
        GitError: A tree is missing, is none, or cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="mreg-trees-") as folder:
        runner.run(*_PACK_OBJECTS, f"{folder}/trees", stdin=b"".join(b"%s\n" % tree for tree in trees))
        (index,), (pack,) = Path(folder).glob("*.idx"), Path(folder).glob("*.pack")
        words = runner.run("show-index", stdin=index.read_bytes()).split()  # offset, id and checksum, by id
        places = sorted(zip(map(int, words[::3]), words[1::3], strict=True))
        with pack.open("rb") as file:
            entries = _Pack(file, [offset for offset, _ in places], len(trees[0]) // 2).read(names)
            return {oid: each for (_, oid), each in zip(places, entries, strict=True)}


class _Layout:
    """Modes and names in a tree, and where they are: the same for very many trees."""

    def __init__(self, content: bytes, id_bytes: int) -> None:
        """Reads them from one tree."""
        self.heads = tuple(re.findall(rb"([0-7]+ [^\0]+\0).{%d}" % id_bytes, content, re.DOTALL))
        self.ends = list(accumulate(len(head) + id_bytes for head in self.heads))
        self.id_bytes = id_bytes
        if self.size != len(content):
            raise _unreadable()

    @property
    def size(self) -> int:
        """Length of the tree."""
        return self.ends[-1] if self.ends else 0

    @cached_property
    def _form(self) -> struct.Struct:
        return struct.Struct("".join(f"{len(head)}s{self.id_bytes}x" for head in self.heads))

    def is_of(self, content: bytes) -> bool:
        """Returns whether another tree has the same, and differs in ids alone."""
        return len(content) == self.size and self._form.unpack(content) == self.heads

    def find(self, name: bytes, content: bytes) -> int | None:
        """Returns which entry of a tree of this layout has a name."""
        at = -1
        while (at := content.find(b" %s\0" % name, at + 1)) >= 0:
            number = bisect_right(self.ends, at)
            if self.heads[number].partition(b" ")[2] == b"%s\0" % name:  # else it is in an id, or ends another name
                return number
        return None

    def entry(self, number: int, content: bytes) -> bytes:
        """Returns one entry of a tree of this layout."""
        return content[self.ends[number - 1] if number else 0 : self.ends[number]]


class _Folder(Struct, frozen=True):
    """What a tree says of some names; the same for all trees that differ elsewhere."""

    layout: _Layout
    numbers: tuple[int | None, ...]
    entries: Entries

    def is_in(self, delta: bytes) -> bool:
        """Returns whether a tree that differs so says the same, for it differs in other ids alone."""
        ends, at = self.layout.ends, 0
        for part in _parts(delta):
            if isinstance(part, slice):
                if part.start != at:  # what comes before it is longer or shorter
                    return False
                at = part.stop
                continue
            number = bisect_right(ends, at)
            if number == len(ends) or number in self.numbers or at < ends[number] - self.layout.id_bytes:
                return False
            at += len(part)
            if at > ends[number]:
                return False
        return at == self.layout.size


class _Pack:
    """A pack of trees."""

    def __init__(self, file: IO[bytes], offsets: Sequence[int], id_bytes: int) -> None:
        """Takes the places of all objects in it, in their order."""
        self._file, self._id_bytes = file, id_bytes
        end = file.seek(0, 2) - id_bytes
        self._ends = dict(zip(offsets, [*offsets[1:], end], strict=True))
        self._last = (-1, b"")

    def read(self, names: Sequence[bytes]) -> Iterator[Entries]:
        """Yields what each tree says of some names."""
        folders: dict[int, _Folder] = {}
        layout, layouts = None, 0
        for offset in self._ends:
            base, body = self._open(offset)
            folder = None if base is None else folders.get(base)
            if folder is None or not folder.is_in(body):
                content = body if base is None else self._content(offset)
                if layout is None or not layout.is_of(content):
                    layout = _Layout(content, self._id_bytes)
                    numbers = tuple(layout.find(name, content) for name in names)
                    layouts += 1
                    if layouts % LAYOUTS == 0:
                        folders.clear()
                entries = tuple(None if each is None else layout.entry(each, content) for each in numbers)
                folder = _Folder(layout, numbers, entries)
            folders[offset] = folder
            yield folder.entries

    def _open(self, offset: int) -> tuple[int | None, bytes]:
        """Returns the whole object and ``None``, or in what it differs and where that is from which it does."""
        self._file.seek(offset)
        data = self._file.read(self._ends[offset] - offset)
        kind, at = data[0] >> 4 & 7, _after_number(data, 0)
        base = None
        if kind == _DELTA:
            end = _after_number(data, at)
            back = data[at] & 0x7F
            for byte in data[at + 1 : end]:
                back = (back + 1 << 7) | (byte & 0x7F)
            base, at = offset - back, end
        elif kind != _TREE:
            raise _unreadable()
        return base, zlib.decompress(data[at:])

    def _content(self, offset: int) -> bytes:
        """Returns the whole object; it remembers that, since the next one often differs from it."""
        deltas = []
        at: int | None = offset
        while at is not None and at != self._last[0]:
            at, body = self._open(at)
            deltas.append(body)
        content = deltas.pop() if at is None else self._last[1]
        for delta in reversed(deltas):
            content = b"".join(content[part] if isinstance(part, slice) else part for part in _parts(delta))
        self._last = offset, content
        return content


def _parts(delta: bytes) -> list[bytes | slice]:
    """Returns what a difference is made of: new bytes, and stretches of what it is a difference from."""
    parts: list[bytes | slice] = []
    at, end = _after_number(delta, _after_number(delta, 0)), len(delta)  # both sizes
    while at < end:
        byte = delta[at]
        at += 1
        if byte < _COPY:
            parts.append(delta[at : at + byte])
            at += byte
            continue
        number = 0
        for shift in _SHIFTS[byte - _COPY]:
            number |= delta[at] << shift
            at += 1
        start = number & 0xFFFFFFFF
        parts.append(slice(start, start + (number >> 32 or 0x10000)))
    return parts


def _after_number(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1


def _unreadable() -> GitError:
    return GitError("what git pack-objects wrote is not what its format says", hint="git fsck")
