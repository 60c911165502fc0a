"""``mreg clear``."""

from __future__ import annotations

import typer

from mreg.cli.options import Branch, DryRun, Format, Model, OutputFormat, Push, Reason, Stage, open_registry
from mreg.cli.output import show_result

__all__ = ["clear"]


def clear(
    context: typer.Context,
    model: Model,
    stage: Stage,
    reason: Reason = "",
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Empty a stage.

    \b
    Example:
      mreg clear churn staging --reason 'experiment over'
    """
    registry = open_registry(context)
    show_result(
        context,
        registry.clear(model, stage, reason=reason, branch=branch, push=push, dry_run=dry_run),
        output,
        registry.policy,
    )
