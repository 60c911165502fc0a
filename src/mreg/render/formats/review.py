"""A review as the comment of a pull request.

Rules:
    * It begins with a hidden mark, by which the comment is found again, and with the verdict.
    * It has at most as many characters as GitHub takes.  What has no room is cut by whole rows, commands and sections,
      and the last line says how much; the verdict and what fails come first and stay.
    * Text out of a registry stays text, and a long one is cut short.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mreg.core.review.reviewed import Review, ReviewedChange
from mreg.render.formats.blocks import escape, format_block, format_head, format_row
from mreg.render.page import Cell, Facts, Grid
from mreg.render.pages.sections import (
    Section,
    change_section,
    complaints_grid,
    count,
    ends_facts,
    format_verdict,
    other_sections,
    summary_grid,
)
from mreg.render.text import clean

__all__ = ["CHECK_MARK", "MAX_CHARACTERS", "render_review"]

CHECK_MARK = "<!-- mreg:check -->"
"""By this first line, the comment of a review is found again."""
MAX_CHARACTERS = 65_536
"""GitHub takes no longer comment; counted as UTF-16 does, which is never less than what GitHub counts."""
_LONGEST_TEXT = 400
"""Characters of one cell."""
_RESERVE = 300
"""Characters for the line that says what was left out."""
_MARKS = {True: "❌ ", False: "✅ ", None: ""}


def render_review(result: Review, *, limit: int = MAX_CHARACTERS) -> str:
    """Returns a review as Markdown, without a newline at the end.

    Args:
        result: The review.
        limit: The most characters.
    """
    mark = "✅" if result.ok else "❌"
    verdict = escape(format_verdict(result).capitalize())
    head = [CHECK_MARK, f"## {mark} {verdict}", format_block(_clipped(ends_facts(result)))]
    first = [Section("reasons", (complaints_grid(result),))] if result.complaints else []
    refused = [each for each in result.changes if not result.is_allowed(each)]
    allowed = [each for each in result.changes if result.is_allowed(each)]
    others = list(other_sections(result))
    sections = [*first, *(change_section(result, each) for each in [*refused, *allowed]), *others]
    whole = "\n\n".join([*head, *map(_format, sections)])
    if _size(whole) <= limit:
        return whole
    short = [*first, *(change_section(result, each) for each in refused), *_in_short(result, allowed), *others]
    page = _Page("\n\n".join(head), limit - _RESERVE)
    for section in short:
        page.add(section)
    return page.finish(result)


def _in_short(result: Review, allowed: Sequence[ReviewedChange]) -> list[Section]:
    title = f"{count(len(allowed), 'transition')} that may land, in short"
    return [Section(title, (summary_grid(result, allowed),), is_refused=False)] if allowed else []


class _Page:
    """A text of limited size, which takes what there is room for."""

    def __init__(self, head: str, limit: int) -> None:
        self._parts = [head]
        self._room = limit - _size(head)
        self._rows = 0
        self._sections = 0

    def add(self, section: Section) -> None:
        """Adds a section, or as many of its blocks and rows as there is room for."""
        if self._take(_format(section)):
            return
        if not self._take(_heading(section)):
            self._sections += 1
            return
        for block in section.blocks:
            if isinstance(block, Grid) and block.rows:
                self._add_rows(block)
            elif block.rows and not self._take(format_block(_clipped(block))):
                self._rows += len(block.rows)
        for fence in _fences(section):
            if not self._take(fence):
                self._rows += len(section.commands) + len(section.lines)

    def finish(self, result: Review) -> str:
        """Returns the text, with a last line that says what was left out."""
        missing = [count(self._sections, "section")] if self._sections else []
        missing += [count(self._rows, "row")] if self._rows else []
        command = f"mreg check --base {result.base[:12]} --head {result.head[:12]}"
        shown = "mreg check --staged" if result.is_staged else command
        left = f"{' and '.join(missing)} left out to fit" if missing else "shortened to fit"
        return "\n\n".join([*self._parts, f"_{left.capitalize()}: `{shown}` shows everything._"])

    def _add_rows(self, grid: Grid) -> None:
        lines = format_head(grid)
        room = self._room - _size("\n".join(lines)) - 2
        for row in grid.rows:
            line = format_row(tuple(map(_clip, row)))
            room -= _size(line) + 1
            if room < 0:
                break
            lines.append(line)
        shown = len(lines) - 2
        self._rows += len(grid.rows) - shown
        if shown:
            self._take("\n".join(lines))

    def _take(self, text: str) -> bool:
        size = _size(text) + 2
        if size > self._room:
            return False
        self._parts.append(text)
        self._room -= size
        return True


def _format(section: Section) -> str:
    blocks = [format_block(_clipped(block)) for block in section.blocks if block.rows]
    return "\n\n".join([_heading(section), *blocks, *_fences(section)])


def _heading(section: Section) -> str:
    return f"### {_MARKS[section.is_refused]}{escape(section.title)}"


def _fences(section: Section) -> list[str]:
    return [
        _fence(language, lines) for language, lines in (("bash", section.commands), ("text", section.lines)) if lines
    ]


def _fence(language: str, lines: Sequence[str]) -> str:
    # A longer fence would hold backticks too; no command of ours has any, for names have none.
    shown = [clean(line).replace("`", "'") for line in lines]
    return "\n".join([f"```{language}", *shown, "```"])


def _clipped(block: Facts | Grid) -> Facts | Grid:
    if isinstance(block, Facts):
        return replace(block, rows=tuple((name, _clip(cell)) for name, cell in block.rows))
    return replace(block, rows=tuple(tuple(map(_clip, row)) for row in block.rows))


def _clip(cell: Cell) -> Cell:
    if len(cell.text) <= _LONGEST_TEXT:
        return cell
    return replace(cell, text=f"{cell.text[:_LONGEST_TEXT]}…")


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
