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
    """Show what the changes between two commits do to the registry.

    Transitions with their metrics, gates and approvals, registrations, policy changes, and whether all of it may land.
    Unlike mreg check, it also exits with 0 if it may not.

    \b
    Examples:
      mreg plan
      mreg plan --base origin/main --head promote-churn
      mreg plan --staged
    """
    registry = open_queries(context)
    show_result(context, registry.plan(base=base, head=head, staged=staged), output)
