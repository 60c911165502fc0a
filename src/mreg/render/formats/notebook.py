"""Results as tables in a notebook: after ``%load_ext mreg`` each shows itself there as the command line shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mreg.render.formats.markdown import iter_markdown
from mreg.render.view import VIEWED, Result

__all__ = ["MAX_ROWS", "show_tables"]

MAX_ROWS = 200
"""A longer list shows itself in a line, as at any other prompt."""


def show_tables(shell: Any, homes: Mapping[str, str]) -> None:  # noqa: ANN401 - IPython is no dependency
    """Has IPython show results as Markdown; what is no result stays as it is.

    Args:
        shell: IPython's, as it hands it to an extension.
        homes: The module of each type, by name: nothing is imported before it is shown.
    """
    formatter = shell.display_formatter.formatters["text/markdown"]
    for name in VIEWED & homes.keys():
        formatter.for_type_by_name(homes[name], name, _show)


def _show(result: Result) -> str | None:
    if hasattr(result, "__len__") and len(result) > MAX_ROWS:
        return None
    return "".join(iter_markdown(result))
