"""Results as GitHub-flavoured Markdown, for pull requests, job summaries and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mreg.core.settings.policy import Policy
from mreg.render.blocks import escape, format_block
from mreg.render.view import Result, view

if TYPE_CHECKING:
    from typing import TypeGuard

    from mreg.core.review.review import Review

__all__ = ["escape", "render_markdown"]


def render_markdown(result: Result, policy: Policy | None = None) -> str:
    """Returns a result as Markdown, without a newline at the end.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
    """
    if _is_review(result):
        from mreg.render.review import render_review  # noqa: PLC0415 - no other answer needs it

        return render_review(result)
    return "\n\n".join(format_block(block) for block in view(result, policy or Policy()))


def _is_review(result: Result) -> TypeGuard[Review]:
    return type(result).__name__ == "Review"  # by name: looking for one must not import it
