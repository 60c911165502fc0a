"""Results as GitHub-flavoured Markdown, for pull requests, job summaries and documents.

Rules:
    * Text out of a registry stays text: no markup, HTML, link, image, mention or reference comes out of it.
    * Names, hashes and commands stand in code spans, so that they can be copied.
    * A mention or reference is taken apart by an invisible U+200B: GitHub looks for them after it has read Markdown,
      when an escape is no longer there to be seen.
"""

from __future__ import annotations

import re

from mreg.core.policy import Policy
from mreg.render.page import Block, Cell, Facts, Grid, Line, Tone
from mreg.render.text import clean
from mreg.render.view import Result, view

__all__ = ["escape", "render_markdown"]

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


def render_markdown(result: Result, policy: Policy | None = None) -> str:
    """Returns a result as Markdown, without a newline at the end.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
    """
    return "\n\n".join(_block(block) for block in view(result, policy or Policy()))


def escape(text: str) -> str:
    """Returns text as Markdown that shows just that text, in one line."""
    return _SPECIAL.sub(_escape, clean(text))


def _escape(match: re.Match[str]) -> str:
    return _INERT.get(match[0], f"\\{match[0]}")


def _block(block: Block) -> str:
    if isinstance(block, Line):
        return _cell(block.cell)
    body = _facts(block) if isinstance(block, Facts) else _grid(block)
    return f"### {escape(block.title)}\n\n{body}" if block.title else body


def _facts(block: Facts) -> str:
    return "\n".join(f"- {escape(name)}: {_cell(cell)}" for name, cell in block.rows)


def _grid(block: Grid) -> str:
    rows = [[escape(name) for name in block.header], ["---"] * len(block.header)]
    rows += [[_cell(cell) for cell in row] for row in block.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Cell) -> str:
    text = clean(cell.text)
    if not text:
        return ""
    shown = f"`{text}`" if cell.is_code and _CODE.fullmatch(text) else escape(text)
    return f"**{shown}**" if cell.tone is Tone.STRONG else shown
