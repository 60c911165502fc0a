"""Results as GitHub-flavoured Markdown, for pull requests, job summaries and documents."""

from __future__ import annotations

from mreg.core.policy import Policy
from mreg.core.review import Review
from mreg.render.blocks import escape, format_block
from mreg.render.review import render_review
from mreg.render.view import Result, view

__all__ = ["escape", "render_markdown"]


def render_markdown(result: Result, policy: Policy | None = None) -> str:
    """Returns a result as Markdown, without a newline at the end.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
    """
    if isinstance(result, Review):
        return render_review(result)
    return "\n\n".join(format_block(block) for block in view(result, policy or Policy()))
