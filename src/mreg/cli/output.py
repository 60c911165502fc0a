"""Where results go: stdout, as a table for people, aligned columns for pipes, JSON or Markdown; progress to stderr.

In GitHub Actions also the files that are the step's outputs and its summary.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mreg.cli.options import OutputFormat
from mreg.cli.place import named_directory
from mreg.core.settings.policy import Policy
from mreg.render.text import clean
from mreg.render.view import Result

if TYPE_CHECKING:
    import typer

__all__ = ["show_notes", "show_result", "transfer_bar"]


def show_result(context: typer.Context, result: Result, output: OutputFormat, policy: Policy | None = None) -> None:
    """Writes a result to stdout.

    Args:
        context: The command's, which tells where what is to be done next works.
        result: What the registry answered.
        output: The format that was asked for.
        policy: Gives the order of the stages, and how metrics are written.
    """
    if output is OutputFormat.GITHUB:
        from mreg.cli.github import show_step

        show_step(result, policy or Policy())
    elif output is OutputFormat.JSON:
        from mreg.render.formats.json import iter_json

        sys.stdout.writelines(iter_json(result, directory=named_directory(context)))
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(_render(result, output, policy or Policy(), named_directory(context)))
        sys.stdout.write("\n")


def show_notes(notices: Iterable[str]) -> None:
    """Writes to stderr what should be known of a result that is to be handed on alone."""
    for notice in notices:
        sys.stderr.write(f"note: {clean(notice)}\n")


@contextmanager
def transfer_bar(verb: str) -> Iterator[Callable[[int, int], None] | None]:
    """Gives what shows the progress of a transfer on a terminal; ``None`` where stderr is none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(verb), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _render(result: Result, output: OutputFormat, policy: Policy, directory: str) -> Iterator[str]:
    # Each format is imported when it is asked for: Rich alone takes longer than most answers.
    if output is OutputFormat.MARKDOWN:
        from mreg.render.formats.markdown import iter_markdown

        return iter_markdown(result, policy)
    return _render_table(result, policy, directory)


def _render_table(result: Result, policy: Policy, directory: str) -> Iterator[str]:
    if not sys.stdout.isatty():
        from mreg.render.formats.columns import iter_columns

        return iter_columns(result, policy, directory=directory)
    from mreg.render.formats.table import iter_table

    has_color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size().columns
    return iter_table(result, policy, width=width, has_color=has_color, directory=directory)
