"""Results as GitHub-flavoured Markdown, for pull requests, job summaries and documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mreg.core.settings.policy import Policy
from mreg.render.formats.blocks import escape, iter_block
from mreg.render.text import join_lines
from mreg.render.view import Result, view

if TYPE_CHECKING:
    from typing import TypeGuard

    from mreg.core.review.reviewed import Review

__all__ = ["escape", "iter_markdown"]


def iter_markdown(result: Result, policy: Policy | None = None) -> Iterator[str]:
    """Yields a result as Markdown, without a newline at the end; a long list is never there as a whole.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
    """
    if _is_review(result):
        from mreg.render.formats.review import render_review  # noqa: PLC0415 - no other answer needs it

        return iter([render_review(result)])
    return join_lines(_lines(result, policy or Policy()))


def _lines(result: Result, policy: Policy) -> Iterator[str]:
    gap: list[str] = []
    for block in view(result, policy):
        yield from gap
        yield from iter_block(block)
        gap = [""]


def _is_review(result: Result) -> TypeGuard[Review]:
    return type(result).__name__ == "Review"  # by name: looking for one must not import it
