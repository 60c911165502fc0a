"""``mreg sync``."""

from __future__ import annotations

import typer

from mreg.cli.exit_codes import ExitCode
from mreg.cli.options import DryRun, Format, OutputFormat, directory_of
from mreg.cli.output import show_result
from mreg.registry.facade import Registry

__all__ = ["sync"]


def sync(context: typer.Context, dry_run: DryRun = False, output: Format = OutputFormat.TABLE) -> int:
    """Make the tags that merged commits call for.

    Run it after a pull request was merged. It changes nothing where all tags are there, and ends with 1 where a tag
    is not what the history says.

    \b
    mreg sync
    mreg sync --dry-run
    """
    registry = Registry.open(directory_of(context))
    report = registry.sync(dry_run=dry_run)
    show_result(report, output, registry.policy)
    return ExitCode.NO if report.findings else ExitCode.DONE
