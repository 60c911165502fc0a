"""``mreg register``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
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
    ask_reason,
    directory_of,
    open_registry,
    parse_path,
)
from mreg.cli.output import show_result, transfer_bar
from mreg.core.names import Bump
from mreg.registry.inputs import gather_measures

__all__ = ["register"]

_Pairs = list[str] | None
_Files = list[Path] | None


def _parse_moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-11-20T09:12:00Z") from None


def register(
    context: typer.Context,
    model: Model,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file, a directory or a .dvc file.", parser=parse_path)
    ],
    metric: Annotated[
        _Pairs, typer.Option("--metric", metavar="K=V", help="A metric; may be repeated.", rich_help_panel="The record")
    ] = None,
    metrics: Annotated[
        _Files,
        typer.Option(
            "--metrics",
            metavar="FILE",
            help="Read metrics from a JSON, YAML or TOML file.",
            rich_help_panel="The record",
        ),
    ] = None,
    param: Annotated[
        _Pairs,
        typer.Option("--param", metavar="K=V", help="A parameter; may be repeated.", rich_help_panel="The record"),
    ] = None,
    params: Annotated[
        _Files,
        typer.Option(
            "--params",
            metavar="FILE",
            help="Read parameters from a JSON, YAML or TOML file.",
            rich_help_panel="The record",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", metavar="NAME@VERSION", help="Data that it was trained on.", rich_help_panel="The record"
        ),
    ] = None,
    notes: Annotated[
        str, typer.Option("--notes", help="Free text for the record.", show_default=False, rich_help_panel="The record")
    ] = "",
    trained_at: Annotated[
        datetime | None,
        typer.Option(
            "--trained-at",
            metavar="TIME",
            help="When it was trained, such as 2026-11-20T09:12:00Z; default: when the artifact was last written.",
            parser=_parse_moment,
            rich_help_panel="The record",
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="Version number, such as v2.1.0-rc.1; default: by --bump.",
            rich_help_panel="The version",
        ),
    ] = None,
    bump: Annotated[
        Bump, typer.Option("--bump", help="Part of the newest version number to raise.", rich_help_panel="The version")
    ] = Bump.MAJOR,
    model_format: Annotated[
        str,
        typer.Option(
            "--model-format",
            help="Format of the artifact; default: recognised from its bytes.",
            show_default=False,
            rich_help_panel="The record",
        ),
    ] = "",
    stage: Annotated[
        str | None,
        typer.Option(
            "--stage",
            metavar="STAGE",
            help="Also promote it to this stage; without --reason, the notes are the reason.",
            autocompletion=completion.stages,
        ),
    ] = None,
    reason: Reason = "",
    approved_by: ApprovedBy = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Register bytes that are already registered, or a version older than the newest.",
            rich_help_panel="The version",
        ),
    ] = False,
    upload: Annotated[
        bool,
        typer.Option(
            "--upload/--no-upload", help="Copy the bytes to the DVC remote first.", rich_help_panel="The version"
        ),
    ] = True,
    branch: Branch = None,
    push: Push = None,
    dry_run: DryRun = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Store an artifact as a new version: one commit, one tag.

    \b
    Examples:
      mreg register churn model.pkl --metric auc=0.913 --dataset customers@2026-10
      mreg register churn model.pkl --metrics metrics.json --params params.yaml --bump minor
      mreg register fraud/eu models/fraud --stage staging --notes 'retrained on October data'
    """
    here = directory_of(context)
    registry = open_registry(context)
    why = ask_reason(reason) if stage and not notes else reason
    with transfer_bar("storing") as progress:
        receipt = registry.register(
            model,
            here / path,
            metrics=gather_measures([here / file for file in metrics or ()], metric or (), "metric"),
            params=gather_measures([here / file for file in params or ()], param or (), "param"),
            dataset=dataset,
            notes=notes,
            trained_at=trained_at,
            format=model_format,
            version=version,
            bump=bump,
            stage=stage,
            reason=why,
            approved_by=approved_by or (),
            force=force,
            upload=upload,
            branch=branch,
            push=push,
            dry_run=dry_run,
            progress=progress,
        )
    show_result(context, receipt, output, registry.policy)
