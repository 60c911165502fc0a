"""Results as Rich tables, for a terminal; ``columns`` is for everything else."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mreg.core.settings.policy import Policy
from mreg.render.formats.columns import format_lines
from mreg.render.page import Block, Cell, Facts, Grid, Line, Page, Row, Tone
from mreg.render.text import NOTHING, clean, join_lines
from mreg.render.view import Result, view

__all__ = ["iter_table"]

_ENDLESS = 1_000_000
"""Lines of a page: Rich asks, and nothing depends on it."""
_GAP = 2
_MANY = 1000
"""Rows from which on Rich, at half a millisecond a row, is left out: the terminal folds what is too long."""
_SPACE = re.compile(r"(?<!→) (?!→)")
"""Where a line may break: not within a change of versions."""
_STYLES = {Tone.PLAIN: "", Tone.STRONG: "bold", Tone.GOOD: "green", Tone.BAD: "red"}


def iter_table(
    result: Result, policy: Policy | None = None, *, width: int, has_color: bool = False, directory: str = ""
) -> Iterator[str]:
    """Yields a result as tables that fit a terminal, without a newline at the end, piece by piece.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
        width: Columns of the terminal; what is longer goes on below, and nothing is cut.  A command is one line all
            the same.
        has_color: Whether colour and weight may be used.
        directory: Where commands are to run; empty for the current one.
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
    return join_lines(_lines(console, view(result, policy or Policy(), directory)))


def _lines(console: Console, page: Page) -> Iterator[str]:
    gap: list[str] = []
    for block in page:
        if not isinstance(block, Line):
            yield from gap
        gap = [""]
        if isinstance(block, Grid) and len(block.rows) > _MANY:
            yield from format_lines(block)
            continue
        with console.capture() as capture:
            _print(console, block)
        yield from (line.rstrip() for line in capture.get().splitlines())


def _print(console: Console, block: Block) -> None:
    if isinstance(block, Line):
        console.print(_text(block.cell), overflow="fold")
        return
    if block.title:
        console.print(Text(clean(block.title), style="bold"), overflow="fold")
    if isinstance(block, Facts):
        _print_facts(console, block)
    else:
        _print_grid(console, block)


def _print_facts(console: Console, block: Facts) -> None:
    names = [Text(clean(name)) for name, _ in block.rows]
    width = min(max(name.cell_len for name in names), console.width // 2)
    for is_command, rows in groupby(zip(names, block.rows, strict=True), lambda row: row[1][1].is_command):
        if is_command:  # the terminal goes on below where it must, and what is copied is one line still
            for name, (_, cell) in rows:
                name.pad_right(max(width - name.cell_len, 0) + _GAP)
                console.print(name + _text(cell), soft_wrap=True)
            continue
        table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        table.add_column(overflow="fold", width=width)
        table.add_column(overflow="fold")
        for name, (_, cell) in rows:
            lines = [_text(replace(cell, text=line)) for line in cell.text.strip().split("\n")]
            table.add_row(name, Text("\n").join(lines))
        console.print(table)


def _print_grid(console: Console, block: Grid) -> None:
    """Prints a grid; commands stand below their rows, each in one line, where they do not fit beside."""
    rows = tuple(block.rows)
    last = len(block.header) - 1
    has_commands = any(row[last].is_command for row in rows)
    if not has_commands or sum(_longest(block)) + _GAP * last <= console.width:
        console.print(_table([block.header, *rows], _widths(block, console.width)))
        return
    rest = Grid("", block.header[:last], tuple(row[:last] for row in rows))
    widths = _widths(rest, console.width)
    lines: list[Sequence[str] | Row] = [rest.header]
    for short, (*_, command) in zip(rest.rows, rows, strict=True):
        lines.append(short)
        if command.text != NOTHING:
            console.print(_table(lines, widths))
            console.print(Text(f"{' ' * _GAP}{clean(block.header[last])}: ") + _text(command), soft_wrap=True)
            lines.clear()
    if lines:
        console.print(_table(lines, widths))


def _table(lines: Iterable[Sequence[str] | Row], widths: Sequence[int]) -> Table:
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for width in widths:
        table.add_column(overflow="fold", width=width)
    for line in lines:
        cells = [Text(clean(cell), style="bold") if isinstance(cell, str) else _text(cell) for cell in line]
        for part in _stack(cells, len(widths)):
            table.add_row(*part)
    return table


def _widths(block: Grid, screen: int) -> list[int]:
    """Returns the widths of as many columns as fit the screen without a break in a word of usual length."""
    texts, most = _columns(block), _longest(block)
    words = [[word for text in column for word in _SPACE.split(text)] for column in texts]
    least = [min(max(map(cell_len, column)), screen // 2) for column in words]
    for count in range(len(texts), 0, -1):
        needed = [max(least[column::count]) for column in range(count)]
        spare = screen - sum(needed) - _GAP * (count - 1)
        if spare >= 0:
            break
    wanted = [max(most[column::count]) - needed[column] for column in range(count)]
    for left, column in zip(range(count, 0, -1), sorted(range(count), key=wanted.__getitem__), strict=True):
        more = min(wanted[column], spare // left)
        needed[column], spare = needed[column] + more, spare - more
    return needed


def _columns(block: Grid) -> list[list[str]]:
    columns = zip(block.header, *(tuple(cell.text for cell in row) for row in block.rows), strict=True)
    return [[clean(text) for text in column] for column in columns]


def _longest(block: Grid) -> list[int]:
    return [max(map(cell_len, column)) for column in _columns(block)]


def _stack(cells: Sequence[Text], count: int) -> Iterator[list[Text]]:
    """Yields as many columns, with what is too much for them on lines of its own."""
    for start in range(0, len(cells), count):
        yield [*cells[start : start + count], *[Text()] * count][:count]


def _text(cell: Cell) -> Text:
    return Text(clean(cell.text), style=_STYLES[cell.tone])
