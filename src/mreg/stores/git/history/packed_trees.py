"""Trees that Git stores as differences from each other, as what they are: other ids for the same names.

Nearly all versions of a folder are so.  One is put together only where names come and go.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias

from msgspec import Struct

from mreg.stores.git.history.packs import TREE, PackPlace, Packs, after_number

__all__ = ["Entries", "Layout", "Tree", "TreeReader"]

Entries: TypeAlias = tuple[bytes | None, ...]
"""Mode, name and id for each name that was asked for; ``None`` where it is not there."""

ROOM = 24 << 20
"""Bytes of trees that are there at once."""
_TREE_BYTES, _LAYOUT_TIMES = 400, 4
"""What a tree takes that is a difference; and how much more than its content one takes whose names are others."""
_COPY = 0x80
_SHIFTS = [tuple(8 * bit for bit in range(7) if byte >> bit & 1) for byte in range(_COPY)]
"""Which bytes of offset and size follow an instruction to copy."""


class Layout:
    """Modes and names in a tree, and where they are: the same for very many trees."""

    def __init__(self, content: bytes, id_bytes: int) -> None:
        """Reads them from one tree."""
        self.heads: tuple[bytes, ...] = tuple(re.findall(rb"([0-7]+ [^\0]+\0).{%d}" % id_bytes, content, re.DOTALL))
        self.ends = list(accumulate(len(head) + id_bytes for head in self.heads))
        self.id_bytes = id_bytes
        if self.size != len(content):
            raise ValueError(content)

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


class Tree(Struct, eq=False):
    """A version of a folder: whole, or by the ids in which it differs from another one of the same layout."""

    layout: Layout
    content: bytes = b""
    base: Tree | None = None
    ids: Mapping[int, bytes] = {}
    depth: int = 0
    """How many others it takes to tell what it is."""
    entries: Entries | None = None
    """What it says of the names that are looked for, where that was asked."""

    def id_of(self, number: int) -> bytes:
        """Returns the id of one entry."""
        tree = self
        while tree.base is not None:
            if number in tree.ids:
                return tree.ids[number]
            tree = tree.base
        end = self.layout.ends[number]
        return tree.content[end - self.layout.id_bytes : end]

    def whole(self) -> bytes:
        """Returns all of it."""
        if self.base is None:
            return self.content
        ids: dict[int, bytes] = {}
        tree = self
        while tree.base is not None:
            ids = {**tree.ids, **ids}
            tree = tree.base
        content = bytearray(tree.content)
        for number, oid in ids.items():
            end = self.layout.ends[number]
            content[end - len(oid) : end] = oid
        return bytes(content)


class TreeReader:
    """Reads trees from packs; those that others were read from are at hand, as far as there is room."""

    def __init__(self, packs: Packs) -> None:
        """Keeps where they are; nothing is read yet."""
        self._packs = packs
        self._trees: dict[PackPlace, Tree] = {}
        self._room = ROOM
        self._layout: Layout | None = None

    def read(self, place: PackPlace) -> Tree:
        """Returns a tree.

        Raises:
            Exception: One of ``UNREADABLE``.
        """
        if self._room < 0:
            self._trees.clear()
            self._room = ROOM
        way: dict[PackPlace, tuple[PackPlace | None, bytes]] = {}
        at: PackPlace | None = place
        while at is not None and at not in self._trees:
            if at in way:
                raise ValueError(place)
            kind, base, body = self._packs.read(at)
            if base is None and kind != TREE:
                raise ValueError(place)
            way[at] = base, body
            at = base
        for each, (base, body) in reversed(way.items()):
            self._trees[each] = self.whole(body) if base is None else self._differing(self._trees[base], body)
        return self._trees[place]

    def whole(self, content: bytes | None) -> Tree:
        """Returns a tree that is known.

        Raises:
            ValueError: It is none.
        """
        if content is None:
            raise ValueError(content)
        self._room -= len(content)
        if self._layout is None or not self._layout.is_of(content):
            self._room -= _LAYOUT_TIMES * len(content)
            self._layout = Layout(content, self._packs.id_bytes)
        return Tree(self._layout, content)

    def _differing(self, base: Tree, delta: bytes) -> Tree:
        parts = _parts(delta, base.layout.size)
        ids = _find_ids(base, parts)
        if ids is None:
            old = base.whole()
            return self.whole(b"".join(old[part] if isinstance(part, slice) else part for part in parts))
        self._room -= _TREE_BYTES
        return Tree(base.layout, base=base, ids=ids, depth=base.depth + 1)


def _find_ids(base: Tree, parts: Iterable[bytes | slice]) -> dict[int, bytes] | None:
    """Returns the ids in which a tree differs; ``None`` where it differs in more, or may do so."""
    layout, ids, at = base.layout, dict[int, bytes](), 0
    for part in parts:
        if isinstance(part, slice):
            if part.start != at:  # what comes before it is longer or shorter
                return None
            at = part.stop
            continue
        number = bisect_right(layout.ends, at)
        start = at - (layout.ends[number] - layout.id_bytes) if number < len(layout.ends) else -1
        end = start + len(part)
        if start < 0 or end > layout.id_bytes:
            return None
        old = ids.get(number) or base.id_of(number)
        ids[number] = old[:start] + part + old[end:]
        at += len(part)
    return ids if at == layout.size else None


def _parts(delta: bytes, size: int) -> list[bytes | slice]:
    """Returns what a difference is made of: new bytes, and stretches of what it is a difference from."""
    parts: list[bytes | slice] = []
    at, end = after_number(delta, after_number(delta, 0)), len(delta)  # both sizes
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
        stop = start + (number >> 32 or 0x10000)
        if stop > size:
            raise ValueError(delta)
        parts.append(slice(start, stop))
    return parts
