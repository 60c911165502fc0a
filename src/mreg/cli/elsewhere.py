"""Readers that are given ``--repo URL``: they look at a registry of which there is no clone here."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from mreg.cli.place import directory_of
from mreg.errors import UsageError

if TYPE_CHECKING:
    from mreg.registry.serving.remote_registry import RemoteRegistry

__all__ = ["AllowOlder", "Repo", "RepoBranch", "find_remote"]

Repo = Annotated[
    str | None,
    typer.Option(
        "--repo",
        metavar="URL",
        help="URL of the registry's repository; needs no clone.",
        show_default=False,
        rich_help_panel="Without a clone",
    ),
]
RepoBranch = Annotated[
    str | None,
    typer.Option(
        "--branch",
        metavar="NAME",
        help="With --repo: the registry branch; default: as registry.yaml says.",
        show_default=False,
        rich_help_panel="Without a clone",
    ),
]
AllowOlder = Annotated[
    bool,
    typer.Option(
        "--allow-older",
        help="With --repo: accept a state older than this machine has seen.",
        rich_help_panel="Without a clone",
    ),
]


def find_remote(
    context: typer.Context, repo: str | None, branch: str | None, allow_older: bool, *words: str, at: str | None = None
) -> RemoteRegistry | None:
    """Returns the registry that ``--repo`` names, ``None`` where the clone is meant.

    Args:
        context: The command's.
        repo: A URL, or a path that counts from where the command runs.
        branch: The registry branch; by default what ``registry.yaml`` says.
        allow_older: Take what is there now, even where this machine has seen a newer state.
        words: What is asked for.
        at: A moment, of which only a clone can tell.

    Raises:
        UsageError: Options that do not go together.
    """
    if repo is None:
        if branch is not None or allow_older:
            command = f"mreg {context.info_name} --repo URL"
            raise UsageError("--branch and --allow-older need --repo", hint=command)
        return None
    from mreg.registry.serving.remote_pulling import locate_repo
    from mreg.registry.serving.remote_registry import RemoteRegistry
    from mreg.registry.serving.tip import clone_command

    where = locate_repo(repo, directory_of(context))
    remote = RemoteRegistry(where, branch=branch, allow_older=allow_older)
    if at is not None:
        question = shlex.join((str(context.info_name), *words, "--at", at))
        raise UsageError(
            "--repo shows the present state; what was there before only the history tells, which needs a clone",
            hint=clone_command(remote.url, question),
        )
    return remote
