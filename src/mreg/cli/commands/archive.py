"""``mreg archive``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.options import Branch, DryRun, Format, OutputFormat, Push, Reason, Selector, open_registry
from mreg.cli.output import show_result

__all__ = ["archive"]


def archive(
    context: typer.Context,
    selector: Selector,
    reason: Reason = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the version out of the archive.")] = False,
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Mark a version as obsolete. It cannot be promoted, and rollback skips it.

    \b
    Examples:
      mreg archive churn@v1 --reason 'trained on the old schema'
      mreg archive churn@v1 --undo
    """
    registry = open_registry(context)
    receipt = registry.archive(selector, reason=reason, undo=undo, branch=branch, push=push, dry_run=dry_run)
    show_result(context, receipt, output, registry.policy)
