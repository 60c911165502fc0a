"""``mreg sync``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import DryRun, Format, OutputFormat, Push, open_registry
from mreg.cli.output import show_result
from mreg.cli.place import named_directory
from mreg.render.commands import place_commands
from mreg.render.text import clean

__all__ = ["sync"]


def sync(
    context: typer.Context,
    push: Push = None,
    auto: Annotated[bool, typer.Option("--auto/--no-auto", help="Promote into stages with auto: true.")] = True,
    notify: Annotated[bool, typer.Option("--notify/--no-notify", help="Notify the sinks of notify:.")] = True,
    resend: Annotated[
        str | None,
        typer.Option("--resend", metavar="COMMIT-OR-TAG", help="Notify the sinks of that transition again."),
    ] = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Make the tags of merged commits, auto-promote, and notify.

    Run it after a pull request is merged. It makes the tags that the history calls for, promotes into stages with auto:
    true, and notifies the sinks of notify:. It changes nothing if everything is done, and exits with 1 if a tag is not
    what the history says. A notification that fails is reported, and undoes nothing.

    \b
    Examples:
      mreg sync
      mreg sync --push
      mreg sync --resend churn#production#5
    """
    registry = open_registry(context, is_repeatable=True)
    environ = os.environ if notify else None
    report = registry.sync(push=push, auto=auto, environ=environ, resend=resend, dry_run=dry_run)
    show_result(context, report, output, registry.policy)
    for each in report.notifications:
        if not each.ok:
            hint = place_commands(each.hint, named_directory(context))
            # In one line each: the name of a sink may be any text, and a line of it a command to GitHub.
            sys.stderr.write(f"warning: {clean(each.error)}\nhint: {clean(hint)}\n")
    return ExitCode.NO if report.findings else ExitCode.DONE
