"""``mreg list``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.options import Format, OutputFormat, open_queries
from mreg.cli.output import show_result

__all__ = ["list_"]


def list_(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Only this model: its versions.", autocompletion=completion.models),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE|REV", help="What was there on that day or at that commit.")
    ] = None,
    output: Format = OutputFormat.TABLE,
) -> None:
    """List the models by stage, or the versions of one model.

    \b
    mreg list
    mreg list churn
    mreg list --at 2026-11-01 --format json
    """
    registry = open_queries(context)
    policy = registry.policy
    show_result(registry.list(at=at) if model is None else registry.versions(model, at=at), output, policy)
