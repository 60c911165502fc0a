"""Results as Rich tables, for a terminal; ``columns`` is for everything else."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mreg.core.policy import Policy
from mreg.render.page import Block, Cell, Facts, Grid, Line, Tone
from mreg.render.text import clean
from mreg.render.view import Result, view

__all__ = ["render_table"]

_ENDLESS = 1_000_000
"""Lines of a page: Rich asks, and nothing depends on it."""
_STYLES = {Tone.PLAIN: "", Tone.STRONG: "bold", Tone.GOOD: "green", Tone.BAD: "red"}


def render_table(result: Result, policy: Policy | None = None, *, width: int, has_color: bool = False) -> str:
    """Returns a result as tables that fit a terminal, without a newline at the end.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
        width: Columns of the terminal; what is longer goes on below, and nothing is cut.
        has_color: Whether colour and weight may be used.
    """
    console = Console(
        file=io.StringIO(),
        width=width,
        height=_ENDLESS,
        force_terminal=has_color,
        force_jupyter=False,
        force_interactive=False,
        color_system="standard" if has_color else None,
        no_color=not has_color,
        legacy_windows=False,
    )
    with console.capture() as capture:
        for index, block in enumerate(view(result, policy or Policy())):
            if index and not isinstance(block, Line):
                console.print()
            _print(console, block)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _print(console: Console, block: Block) -> None:
    if isinstance(block, Line):
        console.print(_text(block.cell), overflow="fold")
        return
    if block.title:
        console.print(Text(clean(block.title), style="bold"), overflow="fold")
    console.print(_facts(block) if isinstance(block, Facts) else _grid(block))


def _facts(block: Facts) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, cell in block.rows:
        lines = [_text(replace(cell, text=line)) for line in cell.text.strip().split("\n")]
        table.add_row(Text(clean(name)), Text("\n").join(lines))
    return table


def _grid(block: Grid) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in block.header:
        table.add_column(Text(clean(name)), overflow="fold")
    for row in block.rows:
        table.add_row(*map(_text, row))
    return table


def _text(cell: Cell) -> Text:
    return Text(clean(cell.text), style=_STYLES[cell.tone])
