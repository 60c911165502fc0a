"""``mreg check``."""

from __future__ import annotations

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import Base, Format, Head, OutputFormat, Staged, open_queries
from mreg.cli.output import show_result

__all__ = ["check"]


def check(
    context: typer.Context,
    base: Base = None,
    head: Head = None,
    staged: Staged = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Check whether the changes between two commits may land.

    Exits with 1 if they may not. They count as one commit on top of the base, and are judged by the rules and keys of
    the base: a change cannot loosen the rules that it must pass.

    \b
    Examples:
      mreg check
      mreg check --base origin/main --format markdown
      mreg check --staged
    """
    registry = open_queries(context)
    review = registry.check(base=base, head=head, staged=staged)
    show_result(context, review, output)
    return ExitCode.DONE if review.ok else ExitCode.NO
