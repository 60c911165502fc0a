"""Results as aligned columns for a pipe or a file: nothing is wrapped, cut or coloured.

Rich would do, at a tenth of a millisecond a cell: five seconds for a long history.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest

from mreg.core.packed import Packed
from mreg.core.settings.policy import Policy
from mreg.render.page import Block, Facts, Line, Page
from mreg.render.text import clean, join_lines
from mreg.render.view import Result, view

__all__ = ["format_lines", "iter_columns"]

_AT_ONCE = 1000
_GAP = 2


def iter_columns(result: Result, policy: Policy | None = None, *, directory: str = "") -> Iterator[str]:
    """Yields a result as aligned columns, without a newline at the end; a long list is never there as a whole.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
        directory: Where commands are to run; empty for the current one.
    """
    return join_lines(_lines(view(result, policy or Policy(), directory)))


def _lines(page: Page) -> Iterator[str]:
    gap: list[str] = []
    for block in page:
        if not isinstance(block, Line):
            yield from gap
        yield from format_lines(block)
        gap = [""]


def format_lines(block: Block) -> Iterator[str]:
    """Yields the lines of one block."""
    if isinstance(block, Line):
        yield clean(block.cell.text)
        return
    if block.title:
        yield clean(block.title)
    rows: Iterable[Iterable[str]]
    if isinstance(block, Facts):
        pairs = (zip_longest([name], cell.text.strip().split("\n"), fillvalue="") for name, cell in block.rows)
        rows = chain.from_iterable(pairs)
    else:
        rows = chain([block.header], ([cell.text for cell in row] for row in block.rows))
    yield from _align(tuple(map(clean, row)) for row in rows)


def _align(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yields rows as lines; how wide a column is, the last row may tell."""
    widths: list[int] = []
    measured = Packed(_measure(rows, widths))
    layout = "".join(f"{{:<{width + _GAP}}}" for width in widths)
    for row in measured:
        line = layout.format(*row)
        if not line.isascii():
            padded = (text + " " * (width + _GAP - _width(text)) for text, width in zip(row, widths, strict=True))
            line = "".join(padded)
        yield line.rstrip()


def _measure(rows: Iterable[tuple[str, ...]], widths: list[int]) -> Iterator[tuple[str, ...]]:
    """Yields rows, and sets the widths of the columns to those of their widest cells so far."""
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        found = [max(map(_width, column)) for column in zip(*some, strict=True)]
        widths[:] = map(max, found, widths or found)
        yield from some


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
