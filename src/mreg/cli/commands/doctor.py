"""``mreg doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.registry.setup.doctor import examine
from mreg.registry.setup.workflows import examine_workflows

__all__ = ["doctor"]


def doctor(
    context: typer.Context,
    ci: Annotated[
        bool, typer.Option("--ci", help="Look at the workflows in .github/workflows, not at the clone.")
    ] = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="Also ask the Git remote what it has, and whether it would accept a push.")
    ] = False,
    output: Format = OutputFormat.TABLE,
) -> int:
    """Find what is wrong with this clone, and how to fix it.

    Each fault comes with the command that fixes it. With --ci, it looks for known mistakes in the workflows of GitHub
    Actions instead, and names file, line and fix.

    \b
    Examples:
      mreg doctor
      mreg doctor --remote
      mreg doctor --ci
    """
    here = directory_of(context)
    diagnosis = examine_workflows(here) if ci else examine(here, remote=remote)
    show_result(context, diagnosis, output)
    return ExitCode.DONE if diagnosis.ok else ExitCode.NO
