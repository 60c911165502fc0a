"""``mreg plan``."""

from __future__ import annotations

import typer

from mreg.cli.options import Base, Format, Head, OutputFormat, Staged, open_queries
from mreg.cli.output import show_result

__all__ = ["plan"]


def plan(
    context: typer.Context,
    base: Base = None,
    head: Head = None,
    staged: Staged = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show what the difference between two commits would do to the registry.

    Transitions with metrics, gates and approvals, registrations, policy changes, and whether it may land. It ends
    with 0 where it may not, too: mreg check does not.

    \b
    mreg plan
    mreg plan --base origin/main --head promote-churn
    mreg plan --staged
    """
    registry = open_queries(context)
    show_result(context, registry.plan(base=base, head=head, staged=staged), output)
