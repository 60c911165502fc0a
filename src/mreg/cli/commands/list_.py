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
        typer.Argument(
            metavar="[MODEL]",
            help="Only this model: its versions. With a / behind it: the models below it, such as a team's.",
            autocompletion=completion.models,
        ),
    ] = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="The versions of all models, with their metrics.", show_default=False)
    ] = False,
    stage: Annotated[
        str | None,
        typer.Option(
            "--stage",
            metavar="STAGE",
            help="Only the versions in this stage, or archived.",
            autocompletion=completion.stages_and_archive,
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE|REV", help="What was there on that day or at that commit.")
    ] = None,
    output: Format = OutputFormat.TABLE,
) -> None:
    """List the models by stage, or versions with their metrics: those of one model, in one stage, or all.

    \b
    mreg list
    mreg list churn
    mreg list fraud/
    mreg list --stage production
    mreg list --versions --format json
    mreg list --at 2026-11-01 --format json
    """
    registry = open_queries(context)
    policy = registry.policy
    folder = model[:-1] if model and model.endswith("/") else None
    model = None if folder is not None else model
    if model is None and stage is None and not versions:
        show_result(context, registry.list(folder, at=at), output, policy)
    else:
        found = registry.stream_versions(model, folder=folder, stage=stage, at=at)
        show_result(context, found.pack() if output is OutputFormat.GITHUB else found, output, policy)
