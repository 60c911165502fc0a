"""``mreg best``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.options import Format, Higher, Lower, Model, OutputFormat, open_queries
from mreg.cli.output import show_result

__all__ = ["best"]


def best(
    context: typer.Context,
    model: Model,
    by: Annotated[
        list[str],
        typer.Option(
            "--by",
            metavar="METRIC[,METRIC]",
            help="Metrics that decide, the most important first: auc, or auc:higher.",
            autocompletion=completion.metrics,
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONSTRAINT",
            help="Only versions that meet this, such as 'latency_ms<=50'; may be repeated.",
        ),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(
            "--stage", metavar="STAGE", help="Compare with the version in this stage.", autocompletion=completion.stages
        ),
    ] = None,
    higher: Higher = None,
    lower: Lower = None,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Pick the version that should go to a stage, and say why.

    \b
    Examples:
      mreg best churn --by auc:higher
      mreg best churn --by auc:higher,latency_ms:lower --where 'latency_ms<=50' --stage production
    """
    registry = open_queries(context)
    result = registry.best(model, by=by, where=where or (), stage=stage, higher=higher or (), lower=lower or ())
    show_result(context, result, output, registry.policy)
