"""What very many versions of one large folder say, from the differences that Git stores them as.

To find a name in a tree, or what two trees differ in, Git puts them together from such differences and goes through
them name by name: in a folder of 2 000 models those are 74 kB for each commit.  A difference itself has 36 bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from mreg.errors import GitError
from mreg.stores.git.history.packed_trees import Entries, Layout, Tree, TreeReader
from mreg.stores.git.history.packs import UNREADABLE, Packs
from mreg.stores.git.parsing import parse_batch
from mreg.stores.git.runner import GitRunner

__all__ = ["Pair", "Replaced", "find_entries", "find_replaced"]

Pair: TypeAlias = tuple[str, str]
"""The ids of two trees."""

_AT_ONCE = 256
"""Trees that Git is asked for at once."""
_FOLDER, _KIND = 0o040000, 0o170000


class Replaced(Struct, frozen=True, gc=False):
    """An entry of a folder that has another id in another version of the folder, and is else the same."""

    name: str
    is_folder: bool
    old: str
    new: str


def find_entries(
    runner: GitRunner, packs: Packs, trees: Sequence[bytes], names: Sequence[bytes]
) -> dict[bytes, Entries]:
    """Returns what some trees say of some names, by the id of the tree; in no Git call, where all are in packs.

    Args:
        runner: Runs Git where they are.
        packs: The packs there.
        trees: Full ids, best of those that Git stores as differences from each other.
        names: Of files or folders in them.

    Raises:
        GitError: A tree is missing, is none, or cannot be read.
    """
    places, reader, named = packs.locate(trees), TreeReader(packs), _Named(names)
    entries: dict[bytes, Entries] = {}
    others = []
    for oid in trees:
        try:
            entries[oid] = named.find(reader.read(places[oid]))
        except UNREADABLE:
            others.append(oid)
    for at in range(0, len(others), _AT_ONCE):
        some = others[at : at + _AT_ONCE]
        out = runner.run("cat-file", "--batch", "--buffer", stdin=b"".join(b"%s\n" % oid for oid in some))
        for oid, found in zip(some, parse_batch(out, len(some)), strict=True):
            try:
                entries[oid] = named.find(reader.whole(found[2] if found and found[1] == "tree" else None))
            except ValueError as error:
                message = f"the tree {oid.decode()} is missing, or cannot be read"
                raise GitError(message, hint="git fsck", details={"object": oid.decode()}) from error
    return entries


def find_replaced(packs: Packs, pairs: Sequence[Pair]) -> dict[Pair, list[Replaced]]:
    """Returns in what two trees differ, in their order, for each of some pairs of ids.

    Left out are those that only Git can compare: one is in no pack, or names came, went or became something else.

    Args:
        packs: The packs of the repository.
        pairs: Full ids, empty for none; best in the order of history.
    """
    places, reader = packs.locate({oid.encode() for pair in pairs for oid in pair if oid}), TreeReader(packs)
    found: dict[Pair, list[Replaced]] = {}
    for pair in pairs:
        try:
            old, new = (reader.read(places[oid.encode()]) for oid in pair)
        except UNREADABLE:
            continue
        if old.layout is new.layout:
            found[pair] = [_replaced(old, new, number) for number in _find_different(old, new)]
    return found


def _replaced(old: Tree, new: Tree, number: int) -> Replaced:
    mode, _, name = old.layout.heads[number][:-1].partition(b" ")
    is_folder = int(mode, 8) & _KIND == _FOLDER
    return Replaced(
        name.decode("utf-8", "surrogateescape"), is_folder, old.id_of(number).hex(), new.id_of(number).hex()
    )


class _Named:
    """Looks for some names."""

    def __init__(self, names: Sequence[bytes]) -> None:
        self._names = names
        self._layout: Layout | None = None
        self._numbers: list[int | None] = []

    def find(self, tree: Tree) -> Entries:
        """Returns what a tree says of them; the same object, where it is as in that from which it differs."""
        way = []
        each: Tree | None = tree
        while each is not None and each.entries is None:
            way.append(each)
            each = each.base
        for each in reversed(way):
            numbers = self._find_numbers(each)
            if each.base is not None and each.ids.keys().isdisjoint(numbers):
                each.entries = each.base.entries
            else:
                heads = each.layout.heads
                each.entries = tuple(None if n is None else heads[n] + each.id_of(n) for n in numbers)
        return tree.entries or ()

    def _find_numbers(self, tree: Tree) -> list[int | None]:
        if self._layout is not tree.layout:
            content = tree.whole()
            self._layout, self._numbers = tree.layout, [tree.layout.find(name, content) for name in self._names]
        return self._numbers


def _find_different(old: Tree, new: Tree) -> list[int]:
    """Returns which ids two trees of one layout differ in, or may differ in."""
    numbers: set[int] = set()
    one, other = old, new
    while one is not other:
        if one.depth < other.depth:
            one, other = other, one
        if one.base is None:  # and neither has the other
            return list(_compare(old.whole(), new.whole(), old.layout))
        numbers.update(one.ids)
        one = one.base
    return sorted(number for number in numbers if old.id_of(number) != new.id_of(number))


def _compare(old: bytes, new: bytes, layout: Layout) -> Iterator[int]:
    """Yields which entries differ, where most are the same."""
    at = 0
    while old[at:] != new[at:]:
        low, high = at, layout.size
        while high - low > 1:  # the first difference is between them
            middle = (low + high) // 2
            low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle)
        number = bisect_right(layout.ends, low)
        yield number
        at = layout.ends[number]
