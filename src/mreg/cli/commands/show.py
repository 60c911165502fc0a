"""``mreg show``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.elsewhere import AllowOlder, Repo, RepoBranch, find_remote
from mreg.cli.options import Format, OutputFormat, Selector, open_queries
from mreg.cli.output import show_result

__all__ = ["show"]


def show(
    context: typer.Context,
    selector: Selector,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE|REV", help="Show the state on that day or at that commit.")
    ] = None,
    repo: Repo = None,
    branch: RepoBranch = None,
    allow_older: AllowOlder = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show one version: its metrics, lineage, stages and approvals.

    Everything that is known about it, including who approved it and why.

    \b
    Examples:
      mreg show churn@production
      mreg show churn@v3 --format json
      mreg show churn@production --repo https://git.example.com/models.git
    """
    remote = find_remote(context, repo, branch, allow_older, selector, at=at)
    if remote:
        show_result(context, remote.show(selector), output, remote.policy)
        return
    registry = open_queries(context)
    show_result(context, registry.show(selector, at=at), output, registry.policy)
