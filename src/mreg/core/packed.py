"""A long sequence of values that is kept packed, in a tenth of the memory.

What comes back is equal to what was put in, to the last digit of a time's zone: so it is Python's own pickle, which
never leaves the process.  A short sequence is not packed at all.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, overload

__all__ = ["Packed"]

AT_ONCE = 4096
"""Values that are packed together, and are there at once while the sequence is read."""

T = TypeVar("T")


class Packed(Sequence[T]):
    """Values that can be taken from either end, and as often as one likes; each time they are new ones."""

    __slots__ = ("_is_backwards", "_opened", "_packed", "_rest")

    def __init__(self, values: Iterable[T] = (), *, is_backwards: bool = False) -> None:
        """Takes all values.

        Args:
            values: They are taken one by one.
            is_backwards: The last that comes is to be the first.
        """
        rest = iter(values)
        self._packed: list[bytes] = []
        while len(some := list(islice(rest, AT_ONCE))) == AT_ONCE:
            self._packed.append(_pack(some))
        self._rest = some
        self._is_backwards = is_backwards
        self._opened: tuple[int, list[T]] = (-1, [])
        """The part that was asked for one value last, by its number."""

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._packed) * AT_ONCE + len(self._rest)

    def __iter__(self) -> Iterator[T]:
        """Yields them in their order."""
        return self._walk(is_backwards=self._is_backwards)

    def __reversed__(self) -> Iterator[T]:
        """Yields them from the end."""
        return self._walk(is_backwards=not self._is_backwards)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        """Returns one of them, or some."""
        places = range(len(self))[index]
        return self._look_up(places) if isinstance(places, int) else tuple(map(self._look_up, places))

    def __eq__(self, other: object) -> bool:
        """Returns whether another sequence has the same values."""
        if not isinstance(other, Packed | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        """Returns what a tuple of them would."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Returns what a tuple of them would."""
        return repr(tuple(self))

    def _walk(self, *, is_backwards: bool) -> Iterator[T]:
        if is_backwards:
            yield from reversed(self._rest)
            for packed in reversed(self._packed):
                yield from reversed(_unpack(packed))
        else:
            for packed in self._packed:
                yield from _unpack(packed)
            yield from self._rest

    def _look_up(self, place: int) -> T:
        part, offset = divmod(len(self) - 1 - place if self._is_backwards else place, AT_ONCE)
        if part == len(self._packed):
            return self._rest[offset]
        number, values = self._opened
        if number != part:
            values = _unpack(self._packed[part])
            self._opened = (part, values)
        return values[offset]


def _pack(values: list[T]) -> bytes:
    import pickle  # noqa: PLC0415 - few sequences are that long; nobody else's bytes are read

    return zlib.compress(pickle.dumps(values, pickle.HIGHEST_PROTOCOL), 1)


def _unpack(packed: bytes) -> list[T]:
    import pickle  # noqa: PLC0415 - as above

    values: list[T] = pickle.loads(zlib.decompress(packed))  # noqa: S301 - what `_pack` has made
    return values
