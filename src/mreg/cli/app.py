"""The command line's tree: one command a verb, each in a file of its own under ``commands``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from mreg import __version__

__all__ = ["COMMANDS", "build"]

COMMANDS = (
    "init",
    "register",
    "list",
    "show",
    "compare",
    "best",
    "promote",
    "rollback",
    "clear",
    "archive",
    "history",
    "pull",
    "sync",
    "doctor",
    "demo",
)
"""In the order of the help."""
_WITH_VALUE = ("-C", "--directory")


def build(words: Sequence[str] = ()) -> typer.Typer:
    """Returns the command line, with only the command that ``words`` call: the others need not be imported.

    Args:
        words: What was typed; where it calls no known command, all are there.
    """
    app = typer.Typer(
        name="mreg",
        help="A model registry in a Git repository: register, compare, promote, roll back and pull ML models.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = _called(words)
    # The demonstration calls the others.
    for name in (called,) if called in COMMANDS and called != "demo" else COMMANDS:
        module = name + "_" if name == "list" else name  # a module of that name would hide the type
        app.command(name)(getattr(import_module(f"mreg.cli.commands.{module}"), module))
    return app


def _called(words: Sequence[str]) -> str:
    """Returns the first word that is neither an option nor its value."""
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and before not in _WITH_VALUE:
            return word
    return ""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mreg {__version__}")
        raise typer.Exit


def _root(
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-C", metavar="DIR", help="Run as if started in DIR.", show_default=False),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass
