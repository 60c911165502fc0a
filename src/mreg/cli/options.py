"""Options that several commands share, each said once."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mreg.cli import completion
from mreg.cli.help import COMMON
from mreg.cli.place import directory_of
from mreg.registry.api.queries import Queries

if TYPE_CHECKING:
    from mreg.cli.witness import Witness
    from mreg.registry.api.facade import Registry

__all__ = [
    "ApprovedBy",
    "Base",
    "Branch",
    "DryRun",
    "Format",
    "Head",
    "Higher",
    "Lower",
    "Model",
    "OutputFormat",
    "Push",
    "Reason",
    "Selector",
    "Stage",
    "Staged",
    "ask_reason",
    "directory_of",
    "open_queries",
    "open_registry",
    "parse_path",
]


class OutputFormat(str, Enum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    """For a step of GitHub Actions: annotations in its log, its outputs, its summary."""


Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model: churn, fraud/eu.", autocompletion=completion.models)
]
Selector = Annotated[
    str,
    typer.Argument(
        metavar="SELECTOR",
        help="A version: churn (the newest), churn@v3, churn@production.",
        autocompletion=completion.selectors,
    ),
]
Stage = Annotated[
    str, typer.Argument(metavar="STAGE", help="A stage declared in registry.yaml.", autocompletion=completion.stages)
]
Format = Annotated[OutputFormat, typer.Option("--format", "-f", help="Format of the output.", rich_help_panel=COMMON)]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; recorded in the history.", show_default=False)]
ApprovedBy = Annotated[
    list[str] | None,
    typer.Option("--approved-by", metavar="WHO", help="Who approved it; may be repeated."),
]
Branch = Annotated[
    str | None,
    typer.Option(
        "--branch",
        metavar="NAME",
        help="Commit to this branch instead, for a pull request; makes no tag.",
        rich_help_panel=COMMON,
    ),
]
Push = Annotated[
    bool | None,
    typer.Option(
        "--push/--no-push",
        help="Land the change on the remote first; default: the setting push: in registry.yaml.",
        show_default=False,
        rich_help_panel=COMMON,
    ),
]
Base = Annotated[
    str | None,
    typer.Option("--base", metavar="REV", help="Commit that it would land on; default: the registry branch."),
]
Head = Annotated[
    str | None,
    typer.Option("--head", metavar="REV", help="Commit that would land; default: what is checked out."),
]
Staged = Annotated[
    bool, typer.Option("--staged", help="Before a commit: compare what is staged with what is checked out.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show what would happen, and change nothing.", rich_help_panel=COMMON)
]
Higher = Annotated[
    list[str] | None,
    typer.Option("--higher", metavar="METRIC", help="Higher is better for this metric; may be repeated."),
]
Lower = Annotated[
    list[str] | None,
    typer.Option("--lower", metavar="METRIC", help="Lower is better for this metric; may be repeated."),
]


def open_queries(context: typer.Context) -> Queries:
    """Returns the registry around that directory, for reading."""
    return Queries.snapshot(directory_of(context))


def open_registry(context: typer.Context, *, is_repeatable: bool = False) -> Registry:
    """Returns the registry around that directory, for writing; the boundary will know what became of it.

    Args:
        context: The command's.
        is_repeatable: It goes on where it was, if it is run again.
    """
    from mreg.registry.api.facade import Registry

    registry = Registry.open(directory_of(context))
    witness: Witness = context.find_root().obj
    witness.watch(registry, is_repeatable=is_repeatable)
    return registry


def parse_path(text: str) -> Path:
    """Returns a path; an empty one is refused, since it would name the current directory."""
    if not text:
        raise typer.BadParameter("the path is empty")
    return Path(text)


def ask_reason(reason: str) -> str:
    """Returns the reason; on a terminal it is asked for where it was not given."""
    if reason.strip() or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return reason
    try:
        return str(typer.prompt("Reason", err=True))
    except typer.Abort:
        sys.stderr.write("\n")  # the cursor stands behind the question
        raise
