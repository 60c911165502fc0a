"""``mreg verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.registry.review.auditing import audit

__all__ = ["verify"]


def verify(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REV", help="Judge only what came after this commit.", show_default=False),
    ] = None,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Judge only what is new since this clone was last found clean.")
    ] = False,
    remote: Annotated[bool, typer.Option("--remote", help="Also look at the tags of the remote.")] = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Prove the whole history again, offline.

    Every commit of the registry branch is judged by the rules and keys of its first parent: rules, signatures,
    approvals, records and tags. Exits with 1 if anything is wrong, and with 5 if this clone lacks something that must
    be read.

    \b
    Examples:
      mreg verify
      mreg verify --incremental
      mreg verify --since HEAD~20 --format json
      mreg verify --remote
    """
    found = audit(directory_of(context), since=since, remote=remote, incremental=incremental)
    show_result(context, found, output)
    if not found.complete:
        return ExitCode.CONFLICT
    return ExitCode.DONE if found.ok else ExitCode.NO
