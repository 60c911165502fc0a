"""Blocks of a page as GitHub-flavoured Markdown.

Rules:
    * Text out of a registry stays text: no markup, HTML, link, image, mention or reference comes out of it.
    * Names, hashes and commands stand in code spans, so that they can be copied.
    * A mention or reference is taken apart by an invisible U+200B: GitHub looks for them after it has read Markdown,
      when an escape is no longer there to be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mreg.render.page import Block, Cell, Facts, Grid, Line, Row, Tone
from mreg.render.text import clean

__all__ = ["escape", "format_block", "format_head", "format_row", "iter_block"]

_SPECIAL = re.compile(
    r"[\\`*\[\]~|<>&$@#]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # inside a word it is just that
    r"|:(?=//)|(?<=\bwww)\.|(?<=\bGH)-",
    re.IGNORECASE,
)
_APART = "&#8203;"
_INERT = {
    "\\": "&#92;",
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "$": "&#36;",
    "@": "@" + _APART,
    "#": "#" + _APART,
    ":": ":" + _APART,
    "-": "-" + _APART,
    ".": _APART + ".",
}
"""What a backslash would not make harmless."""
_CODE = re.compile(r"[^`|\\]+")


def escape(text: str) -> str:
    """Returns text as Markdown that shows just that text, in one line."""
    return _SPECIAL.sub(_escape, clean(text))


def format_block(block: Block) -> str:
    """Returns a block, with its title as a heading."""
    return "\n".join(iter_block(block))


def iter_block(block: Block) -> Iterator[str]:
    """Yields the same line by line."""
    if isinstance(block, Line):
        yield _format_cell(block.cell)
        return
    if block.title:
        yield f"### {escape(block.title)}"
        yield ""
    if isinstance(block, Facts):
        yield from (f"- {escape(name)}: {_format_cell(cell)}" for name, cell in block.rows)
    else:
        yield from format_head(block)
        yield from map(format_row, block.rows)


def format_head(grid: Grid) -> list[str]:
    """Returns the two lines above the rows of a table."""
    return [f"| {' | '.join(map(escape, grid.header))} |", f"| {' | '.join(['---'] * len(grid.header))} |"]


def format_row(row: Row) -> str:
    """Returns one row of a table."""
    return f"| {' | '.join(map(_format_cell, row))} |"


def _format_cell(cell: Cell) -> str:
    """Returns one piece of text."""
    text = clean(cell.text)
    if not text:
        return ""
    shown = f"`{text}`" if cell.is_code and _CODE.fullmatch(text) else escape(text)
    return f"**{shown}**" if cell.tone is Tone.STRONG else shown


def _escape(match: re.Match[str]) -> str:
    return _INERT.get(match[0], f"\\{match[0]}")
