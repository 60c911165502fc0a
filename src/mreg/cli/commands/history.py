"""``mreg history``."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.elsewhere import find_remote
from mreg.cli.options import OutputFormat, open_queries
from mreg.cli.output import show_result
from mreg.errors import UsageError

__all__ = ["history"]


class HistoryFormat(str, Enum):
    """How a history is written; the last two of them are the auditor's report."""

    TABLE = "table"
    JSON = "json"
    GITHUB = "github"
    MARKDOWN = "markdown"
    CSV = "csv"


def history(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Only this model.", autocompletion=completion.models),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Argument(
            metavar="[STAGE]", help="Only this stage, or archived.", autocompletion=completion.stages_and_archive
        ),
    ] = None,
    in_stage: Annotated[
        str | None,
        typer.Option(
            "--stage",
            metavar="STAGE",
            help="Only this stage, of all models; or archived.",
            autocompletion=completion.stages_and_archive,
        ),
    ] = None,
    repo: Annotated[str | None, typer.Option("--repo", hidden=True)] = None,
    output: Annotated[
        HistoryFormat, typer.Option("--format", "-f", help="Format of the output.")
    ] = HistoryFormat.TABLE,
) -> None:
    """List every change of a stage: who, when, why, approved by whom.

    Newest first, with the versions before and after. The formats markdown and csv are the auditor's report: they add
    the rules that applied, and what is proven by signatures.

    \b
    Examples:
      mreg history
      mreg history churn production
      mreg history --stage production
      mreg history churn --format json
      mreg history --format csv
    """
    remote = find_remote(context, repo, None, False)
    if remote:
        from mreg.registry.serving.tip import clone_command

        raise UsageError(
            "the history needs a clone: --repo shows the present state alone",
            hint=clone_command(remote.url, "history"),
        )
    if stage and in_stage and stage != in_stage:
        raise typer.BadParameter(f"two stages are named: {stage} and {in_stage}")
    stage = stage or in_stage
    registry = open_queries(context)
    if output is HistoryFormat.CSV:
        from mreg.render.formats.csv import iter_csv

        sys.stdout.writelines(iter_csv(registry.report(model, stage)))
    elif output is HistoryFormat.MARKDOWN:
        show_result(context, registry.report(model, stage), OutputFormat.MARKDOWN, registry.policy)
    else:
        show_result(context, registry.history(model, stage), OutputFormat(output.value), registry.policy)
