"""A page: what a result shows, before it becomes a table or Markdown.

The text of a page is raw.  Making it harmless is the work of each format, which knows what would be harmful there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Generic, TypeVar, overload

from msgspec import Struct

__all__ = ["Block", "Cell", "Facts", "Grid", "Line", "Page", "Row", "Rows", "Tone"]

T = TypeVar("T")


class Tone(str, Enum):
    """What a text stands for; the text says the same without colour."""

    PLAIN = "plain"
    STRONG = "strong"
    GOOD = "good"
    BAD = "bad"


class Cell(Struct, frozen=True):
    """One piece of text."""

    text: str
    tone: Tone = Tone.PLAIN
    is_code: bool = False
    """True for names, hashes and commands, which people copy."""
    is_command: bool = False
    """True for what a shell is to take: a line break would end it."""

    @classmethod
    def code(cls, text: str) -> Cell:
        """Returns what people copy."""
        return cls(text, is_code=True)

    @classmethod
    def command(cls, text: str) -> Cell:
        """Returns what people paste into a shell."""
        return cls(text, is_code=True, is_command=True)


class Line(Struct, frozen=True):
    """One line of its own."""

    cell: Cell


class Facts(Struct, frozen=True):
    """Names with their values."""

    title: str
    """May be empty."""
    rows: tuple[tuple[str, Cell], ...]


Row = tuple[Cell, ...]


class Rows(Sequence[Row], Generic[T]):
    """Rows that are made of values whenever they are looked at: a long grid is never there as a whole."""

    def __init__(self, make: Callable[[T], Row], values: Sequence[T]) -> None:
        """Keeps the values, and what makes a row of one."""
        self._make = make
        self._values = values

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._values)

    def __iter__(self) -> Iterator[Row]:
        """Makes them all, one by one."""
        return map(self._make, self._values)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """Makes one of them; some are to be made like all."""
        return Rows(self._make, self._values[index]) if isinstance(index, slice) else self._make(self._values[index])


class Grid(Struct, frozen=True):
    """Rows under a header; all have its length."""

    title: str
    """May be empty."""
    header: tuple[str, ...]
    rows: Sequence[Row]


Block = Line | Facts | Grid
Page = tuple[Block, ...]
"""Blocks from top to bottom; those without a row are left out."""
