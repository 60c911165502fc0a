"""``mreg rollback``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli import completion
from mreg.cli.options import (
    ApprovedBy,
    Branch,
    DryRun,
    Format,
    Model,
    OutputFormat,
    Push,
    Reason,
    Stage,
    ask_reason,
    open_registry,
)
from mreg.cli.output import show_result

__all__ = ["rollback"]


def rollback(
    context: typer.Context,
    model: Model,
    stage: Stage,
    reason: Reason = "",
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="VERSION",
            help="Go back to this version, which must have held the stage before.",
            autocompletion=completion.versions,
        ),
    ] = None,
    approved_by: ApprovedBy = None,
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Put back a stage's last good version, and hold the stage.

    Two rollbacks in a row go back two versions. The hold stops automatic promotions until the next mreg promote.
    In a stage that was cleared, what it held last comes back: that is a promotion again, and must pass its gates.

    \b
    Examples:
      mreg rollback churn production --reason 'error rate doubled'
      mreg rollback churn production --to v1 --reason 'last version without the new feature'
    """
    registry = open_registry(context)
    receipt = registry.rollback(
        model,
        stage,
        reason=ask_reason(reason),
        to=to,
        approved_by=approved_by or (),
        branch=branch,
        push=push,
        dry_run=dry_run,
    )
    show_result(context, receipt, output, registry.policy)
