"""``mreg list``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.elsewhere import AllowOlder, Repo, RepoBranch, find_remote
from mreg.cli.options import Format, OutputFormat, open_queries
from mreg.cli.output import show_result

__all__ = ["list_"]


def list_(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="List this model's versions. With a trailing /, the models below it: fraud/.",
            autocompletion=completion.models,
        ),
    ] = None,
    versions: Annotated[
        bool,
        typer.Option("--versions", help="List the versions of all models, with their metrics.", show_default=False),
    ] = False,
    stage: Annotated[
        str | None,
        typer.Option(
            "--stage",
            metavar="STAGE",
            help="List only the versions in this stage, or archived.",
            autocompletion=completion.stages_and_archive,
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE|REV", help="Show the state on that day or at that commit.")
    ] = None,
    repo: Repo = None,
    branch: RepoBranch = None,
    allow_older: AllowOlder = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """List models by stage, or versions with their metrics.

    By default, all models and what each stage holds. MODEL, --stage and --versions list versions instead: those of one
    model, those in one stage, or all.

    \b
    Examples:
      mreg list
      mreg list churn
      mreg list fraud/
      mreg list --stage production
      mreg list --versions --format json
      mreg list --at 2026-11-01 --format json
      mreg list --repo https://git.example.com/models.git
    """
    words = [model] if model else []
    folder = model[:-1] if model and model.endswith("/") else None
    model = None if folder is not None else model
    is_of_models = model is None and stage is None and not versions
    remote = find_remote(context, repo, branch, allow_older, *words, at=at)
    if remote:
        result = remote.list(folder) if is_of_models else remote.versions(model, folder=folder, stage=stage)
        show_result(context, result, output, remote.policy)
        return
    registry = open_queries(context)
    policy = registry.policy
    if is_of_models:
        show_result(context, registry.list(folder, at=at), output, policy)
    else:
        found = registry.stream_versions(model, folder=folder, stage=stage, at=at)
        show_result(context, found.pack() if output is OutputFormat.GITHUB else found, output, policy)
