"""``mreg history``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.options import Format, OutputFormat, open_queries
from mreg.cli.output import show_result

__all__ = ["history"]


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
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show every change of a stage, newest first: who, when, why, from, to, approved by whom.

    \b
    mreg history
    mreg history churn production
    mreg history churn --format json
    """
    registry = open_queries(context)
    show_result(registry.history(model, stage), output, registry.policy)
