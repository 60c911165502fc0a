"""``mreg compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.elsewhere import AllowOlder, Repo, RepoBranch, find_remote
from mreg.cli.options import Format, Higher, Lower, OutputFormat, open_queries
from mreg.cli.output import show_result

__all__ = ["compare"]


def compare(
    context: typer.Context,
    selectors: Annotated[
        list[str],
        typer.Argument(
            metavar="SELECTOR SELECTOR...",
            help="Two or more versions; the first is the one the others are compared with.",
            autocompletion=completion.selectors,
        ),
    ],
    higher: Higher = None,
    lower: Lower = None,
    repo: Repo = None,
    branch: RepoBranch = None,
    allow_older: AllowOlder = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Compare versions: metrics, params, lineage and artifacts.

    Metrics are marked as better or worse, if registry.yaml or --higher and --lower say which way is better.

    \b
    Examples:
      mreg compare churn@production churn@latest
      mreg compare churn@v1 churn@v2 churn@v3 --higher auc --lower latency_ms
      mreg compare churn@production churn@latest --repo https://git.example.com/models.git
    """
    registry = find_remote(context, repo, branch, allow_older) or open_queries(context)
    result = registry.compare(*selectors, higher=higher or (), lower=lower or ())
    show_result(context, result, output, registry.policy)
