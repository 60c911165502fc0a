"""``mreg fsck``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import Format, OutputFormat, directory_of
from mreg.cli.output import show_notes, show_result, transfer_bar
from mreg.registry.api.facade import Registry

__all__ = ["fsck"]


def fsck(
    context: typer.Context,
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SELECTOR]...",
            help="Models (all their versions) or versions: churn, churn@v3; default: everything.",
            autocompletion=completion.selectors,
        ),
    ] = None,
    remote: Annotated[
        bool, typer.Option("--remote", help="Look at the DVC remote instead of this clone's cache.")
    ] = False,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read every byte and compare its SHA-256 with the record.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair the remote from the cache, or the cache from the remote.")
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Find missing or changed bytes, and with --repair fix them.

    Every file of a directory is looked up. Exits with 1 if something is still wrong at the end.

    \b
    Examples:
      mreg fsck
      mreg fsck churn --remote
      mreg fsck churn@production --remote --read-data
      mreg fsck --remote --repair
    """
    registry = Registry.open(directory_of(context))
    with transfer_bar("reading") as progress:
        found = registry.fsck(wanted or (), remote=remote, read_data=read_data, repair=repair, progress=progress)
    if output is not OutputFormat.JSON:
        show_notes(found.notices)
    show_result(context, found, output)
    return ExitCode.DONE if found.ok else ExitCode.NO
