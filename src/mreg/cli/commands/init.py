"""``mreg init``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.options import DryRun, Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.registry.initialising import initialise

__all__ = ["init"]


def init(
    context: typer.Context,
    remote: Annotated[
        str | None,
        typer.Option("--remote", metavar="URL", help="Where artifacts are stored: s3://bucket/path, a directory, …"),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over the versions and stages that GTO has tagged.")
    ] = False,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="The registry branch; by default the one checked out."),
    ] = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Make this Git repository a model registry.

    \b
    mreg init --remote s3://models/registry
    mreg init --remote /mnt/models
    mreg init --adopt
    """
    receipt = initialise(directory_of(context), remote=remote, adopting=adopt, branch=branch, dry_run=dry_run)
    show_result(receipt, output)
