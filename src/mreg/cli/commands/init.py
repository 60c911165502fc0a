"""``mreg init``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.options import DryRun, Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.core.hosting import Host
from mreg.registry.hosting import open_hosting
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
    github: Annotated[
        bool, typer.Option("--github", help="Write workflows, CODEOWNERS and rulesets for GitHub too.")
    ] = False,
    gitlab: Annotated[bool, typer.Option("--gitlab", help="Write jobs for GitLab CI too.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--mreg",
            metavar="SOURCE",
            help="Where these jobs get mreg from, OWNER/mreg@COMMIT; by default from where this one came.",
        ),
    ] = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Make this Git repository a model registry.

    What is there already stays as it is.

    \b
    mreg init --remote s3://models/registry
    mreg init --remote /mnt/models
    mreg init --adopt
    mreg init --github --dry-run
    mreg init --gitlab --mreg https://git.example.com/acme/mreg@4f1c2d3e4f5061728394a5b6c7d8e9f001122334
    """
    hosts = [host for host, wanted in ((Host.GITHUB, github), (Host.GITLAB, gitlab)) if wanted]
    receipt = initialise(
        directory_of(context),
        remote=remote,
        adopting=adopt,
        branch=branch,
        hosting=open_hosting(hosts, source),
        dry_run=dry_run,
        watcher=context.find_root().obj,
    )
    show_result(receipt, output)
