"""Results as aligned columns for a pipe or a file: nothing is wrapped, cut or coloured.

Rich would do, at a tenth of a millisecond a cell: five seconds for a long history.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from mreg.core.settings.policy import Policy
from mreg.render.page import Block, Facts, Line
from mreg.render.text import clean
from mreg.render.view import Result, view

__all__ = ["format_lines", "render_columns"]

_GAP = 2


def render_columns(result: Result, policy: Policy | None = None) -> str:
    """Returns a result as aligned columns, without a newline at the end.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
    """
    lines: list[str] = []
    for block in view(result, policy or Policy()):
        if lines and not isinstance(block, Line):
            lines.append("")
        lines += format_lines(block)
    return "\n".join(lines)


def format_lines(block: Block) -> Iterable[str]:
    """Returns the lines of one block."""
    if isinstance(block, Line):
        return [clean(block.cell.text)]
    title = [clean(block.title)] if block.title else []
    rows: list[tuple[str, ...]] = []
    if isinstance(block, Facts):
        for name, cell in block.rows:
            rows += zip_longest([name], cell.text.strip().split("\n"), fillvalue="")
    else:
        rows = [block.header, *(tuple(cell.text for cell in row) for row in block.rows)]
    return [*title, *_align([tuple(map(clean, row)) for row in rows])]


def _align(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(_width, column)) + _GAP for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True))
        yield "".join(padded).rstrip()


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
