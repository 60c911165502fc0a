"""A page: what a result shows, before it becomes a table or Markdown.

The text of a page is raw.  Making it harmless is the work of each format, which knows what would be harmful there.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

__all__ = ["Block", "Cell", "Facts", "Grid", "Line", "Page", "Tone"]


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


class Grid(Struct, frozen=True):
    """Rows under a header; all have its length."""

    title: str
    """May be empty."""
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    stacks: bool = False
    """True where a row may take several lines, so that no word is broken on a narrow screen."""


Block = Line | Facts | Grid
Page = tuple[Block, ...]
"""Blocks from top to bottom; those without a row are left out."""
