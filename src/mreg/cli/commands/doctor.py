"""``mreg doctor``."""

from __future__ import annotations

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.registry.doctor import examine

__all__ = ["doctor"]


def doctor(context: typer.Context, output: Format = OutputFormat.TABLE) -> int:
    """Say what is wrong with this clone, and the command that mends it.

    \b
    mreg doctor
    """
    diagnosis = examine(directory_of(context))
    show_result(diagnosis, output)
    return ExitCode.DONE if diagnosis.ok else ExitCode.NO
