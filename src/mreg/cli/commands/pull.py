"""``mreg pull``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mreg.cli.options import Format, OutputFormat, Selector, directory_of, parse_path
from mreg.cli.output import show_notes, show_result, transfer_bar
from mreg.cli.place import named_directory
from mreg.core.results import LinkMode
from mreg.errors import UsageError
from mreg.registry.serving.watching import EVERY_S, HOOK_TIMEOUT_S

__all__ = ["pull"]


def pull(
    context: typer.Context,
    selector: Selector,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to put it; default: the artifact's name, here.",
            parser=parse_path,
        ),
    ] = None,
    link: Annotated[
        LinkMode, typer.Option("--link", help="Copy the bytes out of the cache, or link to them.")
    ] = LinkMode.AUTO,
    force: Annotated[bool, typer.Option("--force", help="Replace whatever is at the path.")] = False,
    repo: Annotated[
        str | None,
        typer.Option(
            "--repo",
            metavar="URL",
            help="URL of the registry's repository; needs no clone.",
            rich_help_panel="Without a clone",
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch",
            metavar="NAME",
            help="With --repo: the registry branch; default: as registry.yaml says.",
            rich_help_panel="Without a clone",
        ),
    ] = None,
    allow_older: Annotated[
        bool,
        typer.Option(
            "--allow-older",
            help="With --repo: accept a state older than this machine has seen.",
            rich_help_panel="Without a clone",
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Keep running, and put each new version in place.", rich_help_panel="Following a stage"
        ),
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            metavar="SECONDS",
            min=0.1,
            help="With --watch: how often to look; default: about 30.",
            rich_help_panel="Following a stage",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="With --watch: run this after each version, without a shell.",
            rich_help_panel="Following a stage",
        ),
    ] = None,
    command_timeout: Annotated[
        float | None,
        typer.Option(
            "--exec-timeout",
            metavar="SECONDS",
            help="With --exec: stop it after this long; default: 60.",
            min=0.1,
            rich_help_panel="Following a stage",
        ),
    ] = None,
    output: Format = OutputFormat.TABLE,
) -> int | None:
    """Put a version's verified bytes in place, and print the path.

    \b
    Examples:
      mreg pull churn@production -o model.pkl
      mreg pull churn@v3
      mreg pull churn@production --repo https://git.example.com/models.git -o model.pkl
      mreg pull churn@production -o model.pkl --watch --exec 'systemctl reload churn'
    """
    here = directory_of(context)
    place = here / target if target else None
    if watch:
        from mreg.cli.following import Request, follow
        from mreg.registry.serving.remote_pulling import locate_repo

        where = None if repo is None else locate_repo(repo, here)
        named = named_directory(context)
        pace = (every or EVERY_S, command, command_timeout or HOOK_TIMEOUT_S)
        return follow(Request(selector, here, where, place, branch, allow_older, *pace, link, force), output, named)
    if any(given is not None for given in (every, command, command_timeout)):
        raise UsageError(
            "--every, --exec and --exec-timeout need --watch",
            hint=f"mreg pull {shlex.quote(selector)} --output model --watch",
        )
    if repo is None and (branch is not None or allow_older):
        raise UsageError(
            "--branch and --allow-older need --repo",
            hint=f"mreg pull {shlex.quote(selector)} --repo URL",
        )
    with transfer_bar("pulling") as progress:
        if repo is None:
            from mreg.registry.api.deliveries import Deliveries

            registry = Deliveries.snapshot(here)
            pulled = registry.pull(selector, place, into=here, link=link, force=force, progress=progress)
        else:
            from mreg.registry.serving.remote_pulling import Serving, locate_repo

            serving = Serving(locate_repo(repo, here), branch=branch, allow_older=allow_older)
            resolved = serving.resolve(selector)
            pulled = serving.place(resolved, place, into=here, link=link, force=force, progress=progress)
    show_notes(pulled.notices)
    show_result(context, pulled, output)
    return None
