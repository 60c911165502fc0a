"""``mreg approve``."""

from __future__ import annotations

import typer

from mreg.cli.options import Branch, DryRun, Format, OutputFormat, Push, Reason, Selector, Stage, open_registry
from mreg.cli.output import show_result

__all__ = ["approve"]


def approve(
    context: typer.Context,
    selector: Selector,
    stage: Stage,
    reason: Reason = "",
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Approve a version for a stage: one commit, in your name.

    The approval counts once, for this version's bytes and for what the stage holds now. If the stage asks for
    signatures, it is signed with the SSH key that Git signs with.

    \b
    Examples:
      mreg approve churn@v3 production --reason 'looked at the slices'
      mreg approve churn@v3 production --branch promote-churn
    """
    registry = open_registry(context)
    receipt = registry.approve(selector, stage, reason=reason, branch=branch, push=push, dry_run=dry_run)
    show_result(context, receipt, output, registry.policy)
