"""``mreg hold``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.options import Branch, DryRun, Format, Model, OutputFormat, Push, Reason, Stage, ask_reason, open_registry
from mreg.cli.output import show_result

__all__ = ["hold"]


def hold(
    context: typer.Context,
    model: Model,
    stage: Stage,
    reason: Reason = "",
    off: Annotated[bool, typer.Option("--off", help="Release the hold.")] = False,
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Stop automatic promotions of a stage, or resume them.

    A rollback also sets a hold; a promotion by hand releases it.

    \b
    Examples:
      mreg hold churn production --reason 'investigating drift'
      mreg hold churn production --off --reason 'it was the upstream table'
    """
    registry = open_registry(context)
    receipt = registry.hold(model, stage, reason=ask_reason(reason), off=off, branch=branch, push=push, dry_run=dry_run)
    show_result(context, receipt, output, registry.policy)
