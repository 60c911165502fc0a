"""``mreg push``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import DryRun, Format, OutputFormat, open_registry
from mreg.cli.output import show_result, transfer_bar

__all__ = ["push"]


def push(
    context: typer.Context,
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch",
            metavar="NAME",
            help="Push this branch of a pull request; if it is not here, push the registry branch's changes to it.",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            "--drop", metavar="COMMIT", help="Leave out what this commit does to the registry; may be repeated."
        ),
    ] = None,
    renumber: Annotated[
        bool, typer.Option("--renumber", help="Give versions the next number if others took theirs.")
    ] = False,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Push what was made without --push: bytes, commits and tags.

    Bytes go first, then commits and tags, all or nothing. What others pushed meanwhile stands; your changes go on top
    and are judged again by the rules there. If both sides changed the same stage, version or mark, nothing moves, and
    the commands that settle it are named.

    \b
    Examples:
      mreg push
      mreg push --dry-run
      mreg push --renumber
      mreg push --drop 1a2b3c4d5e6f
    """
    registry = open_registry(context, is_repeatable=True)
    with transfer_bar("uploading") as progress:
        pushed = registry.push(branch=branch, drop=drop or (), renumber=renumber, dry_run=dry_run, progress=progress)
    show_result(context, pushed, output, registry.policy)
    if pushed.conflicts:
        return ExitCode.CONFLICT
    return ExitCode.DONE if pushed.ok else ExitCode.NO
