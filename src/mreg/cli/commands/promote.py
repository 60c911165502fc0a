"""``mreg promote``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.options import (
    ApprovedBy,
    Branch,
    DryRun,
    Format,
    OutputFormat,
    Push,
    Reason,
    Selector,
    Stage,
    ask_reason,
    open_registry,
)
from mreg.cli.output import show_result
from mreg.core.settings.policy import OnReplace

__all__ = ["promote"]


def promote(
    context: typer.Context,
    selector: Selector,
    stage: Stage,
    reason: Reason = "",
    approved_by: ApprovedBy = None,
    archive_replaced: Annotated[
        bool | None,
        typer.Option(
            "--archive-replaced/--keep-replaced",
            help="What happens to the replaced version; default: the setting on_replace:.",
            show_default=False,
        ),
    ] = None,
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Put a version into a stage: one commit, one tag.

    \b
    Examples:
      mreg promote churn@v3 production --reason 'AUC 0.913 against 0.902'
      mreg promote churn@latest staging --reason 'nightly' --approved-by jane@example.com
      mreg promote churn@v3 production --reason 'better recall' --branch promote-churn
    """
    registry = open_registry(context)
    choice = {True: OnReplace.ARCHIVE, False: OnReplace.KEEP}
    receipt = registry.promote(
        selector,
        stage,
        reason=ask_reason(reason),
        approved_by=approved_by or (),
        on_replace=None if archive_replaced is None else choice[archive_replaced],
        branch=branch,
        push=push,
        dry_run=dry_run,
    )
    show_result(context, receipt, output, registry.policy)
