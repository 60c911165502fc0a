"""``mreg init``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from mreg.cli.options import DryRun, Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.core.setup.hosting import Host
from mreg.errors import UsageError
from mreg.registry.setup.hosting import open_hosting
from mreg.registry.setup.initialising import initialise

__all__ = ["init"]


def init(
    context: typer.Context,
    remote: Annotated[
        str | None,
        typer.Option(
            "--remote",
            metavar="URL",
            help="Where to store artifacts: s3://bucket/path, a directory, …",
            rich_help_panel="Storage",
        ),
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            metavar="URL",
            help="Address of an S3 server other than AWS: MinIO, Ceph, R2, …",
            rich_help_panel="Storage",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="Profile in ~/.aws that has the credentials.", rich_help_panel="Storage"
        ),
    ] = None,
    remote_option: Annotated[
        list[str] | None,
        typer.Option(
            "--remote-option",
            metavar="NAME=VALUE",
            help="Any other option of the remote: region=eu-west-1, port=2222. An empty value removes it.",
            rich_help_panel="Storage",
        ),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over the versions and stages that GTO has tagged.")
    ] = False,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="The registry branch; default: the branch checked out."),
    ] = None,
    github: Annotated[
        bool,
        typer.Option(
            "--github", help="Also write workflows, CODEOWNERS and rulesets for GitHub.", rich_help_panel="CI"
        ),
    ] = False,
    gitlab: Annotated[
        bool, typer.Option("--gitlab", help="Also write jobs for GitLab CI.", rich_help_panel="CI")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--mreg",
            metavar="SOURCE",
            help="Where those jobs install mreg from, OWNER/mreg@COMMIT; default: where this one came from.",
            rich_help_panel="CI",
        ),
    ] = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Make this Git repository a model registry.

    What is already there stays as it is, except that a new --remote replaces the one before. Credentials are never
    committed: they come from where your cloud's own tools keep them, or from dvc remote modify --local.

    \b
    Examples:
      mreg init --remote s3://models/registry
      mreg init --remote s3://models --endpoint-url https://minio.example.com --profile models
      mreg init --remote ssh://models@storage.example.com/srv/models --remote-option port=2222
      mreg init --remote /mnt/models
      mreg init --adopt
      mreg init --github --dry-run
      mreg init --gitlab --mreg https://git.example.com/acme/mreg@4f1c2d3e4f5061728394a5b6c7d8e9f001122334
    """
    hosts = [host for host, wanted in ((Host.GITHUB, github), (Host.GITLAB, gitlab)) if wanted]
    receipt = initialise(
        directory_of(context),
        remote=remote,
        remote_options=_options(endpoint_url, profile, remote_option or ()),
        adopting=adopt,
        branch=branch,
        hosting=open_hosting(hosts, source),
        dry_run=dry_run,
        listener=context.find_root().obj,
    )
    show_result(context, receipt, output)


def _options(endpoint_url: str | None, profile: str | None, pairs: Sequence[str]) -> dict[str, str]:
    options = {
        name: value for name, value in (("endpointurl", endpoint_url), ("profile", profile)) if value is not None
    }
    for pair in pairs:
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not (name and sign):
            raise UsageError(f"--remote-option {pair!r} is not NAME=VALUE", hint="--remote-option region=eu-west-1")
        if options.get(name, value) != value:
            raise UsageError(f"the option {name} of the remote is given twice: {options[name]} and {value}")
        options[name] = value
    return options
