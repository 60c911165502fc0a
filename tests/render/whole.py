"""What is written piece by piece, as one text."""

from __future__ import annotations

from mreg.core.settings.policy import Policy
from mreg.render.formats.columns import iter_columns
from mreg.render.formats.markdown import iter_markdown
from mreg.render.formats.table import iter_table
from mreg.render.view import Result

__all__ = ["render_columns", "render_markdown", "render_table"]


def render_columns(result: Result, policy: Policy | None = None) -> str:
    return "".join(iter_columns(result, policy))


def render_markdown(result: Result, policy: Policy | None = None) -> str:
    return "".join(iter_markdown(result, policy))


def render_table(result: Result, policy: Policy | None = None, *, width: int, has_color: bool = False) -> str:
    return "".join(iter_table(result, policy, width=width, has_color=has_color))
