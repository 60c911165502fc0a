"""``mreg gc``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import Branch, Format, OutputFormat, Push, open_registry
from mreg.cli.output import show_notes, show_result, transfer_bar

__all__ = ["gc"]


def gc(
    context: typer.Context,
    remote: Annotated[
        bool,
        typer.Option("--remote", help="Delete from the DVC remote, for everyone, instead of from this clone's cache."),
    ] = False,
    keep_newest: Annotated[
        int | None,
        typer.Option("--keep-newest", metavar="N", help="Keep this many versions of each model.", show_default=False),
    ] = None,
    keep_within: Annotated[
        str | None,
        typer.Option(
            "--keep-within", metavar="90d", help="Keep what was registered within this time.", show_default=False
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without it, only show what would go.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why the bytes are deleted.", show_default=False)] = "",
    branch: Branch = None,
    push: Push = None,
    ignore_unlisted: Annotated[
        bool,
        typer.Option(
            "--ignore-unlisted", help="Go on if the file list of a directory that DVC tracks cannot be found."
        ),
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Delete bytes that no kept version needs.

    These are the bytes of old versions that were never in a stage. What to keep is set by retention: in registry.yaml
    or by the flags. Without --remote, bytes that the remote holds are deleted from this clone's cache. With it,
    versions are given up for everyone: a commit says who did it, and their bytes are deleted from the remote. Records
    and tags stay, and so does everything that another branch or tag names.

    \b
    Examples:
      mreg gc --keep-newest 3
      mreg gc --remote --keep-newest 5 --keep-within 90d
      mreg gc --remote --delete
      mreg gc --remote --delete --branch give-up --push
    """
    registry = open_registry(context, is_repeatable=True)
    with transfer_bar("deleting") as progress:
        found = registry.gc(
            remote=remote,
            keep_newest=keep_newest,
            keep_within=keep_within,
            delete=delete,
            branch=branch,
            push=push,
            reason=reason,
            ignore_unlisted=ignore_unlisted,
            progress=progress,
        )
    if output is not OutputFormat.JSON:
        show_notes(found.notices)
    show_result(context, found, output)
    return ExitCode.NO if found.lost else ExitCode.DONE
