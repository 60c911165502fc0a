"""The command line's tree: one command a verb, each in a file of its own under ``commands``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from mreg import __version__
from mreg.cli.completion import COMPLETING, mend_bash_words, words_before
from mreg.cli.exit_codes import ExitCode
from mreg.cli.help import SECTIONS, SectionedCommand, SectionedGroup
from mreg.cli.place import DIRECTORY
from mreg.cli.witness import Witness

__all__ = ["COMMANDS", "build", "run", "run_command"]

COMMANDS = tuple(name for names in SECTIONS.values() for name in names)
"""In the order of the help."""
_HELP = ("-h", "--help")


def build(words: Sequence[str] = ()) -> typer.Typer:
    """Returns the command line, with only the command that ``words`` call: the others need not be imported.

    Args:
        words: What was typed; where it calls no known command, all are there.  What Tab is pressed behind goes before.
    """
    app = typer.Typer(
        name="mreg",
        cls=SectionedGroup,
        help=(
            "A model registry in a Git repository: register, compare, promote, roll back and pull ML models.\n\n"
            "Begin with mreg init, or see everything at work with mreg demo. mreg COMMAND --help has examples."
        ),
        invoke_without_command=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(_HELP)},
    )
    app.callback()(_root)
    called = _called(words_before(os.environ) if COMPLETING in os.environ else words)
    # The demonstration calls the others.
    for name in (called,) if called in COMMANDS and called != "demo" else COMMANDS:
        module = name + "_" if name == "list" else name  # a module of that name would hide the type
        app.command(name, cls=SectionedCommand)(getattr(import_module(f"mreg.cli.commands.{module}"), module))
    return app


def run(app: typer.Typer, words: Sequence[str], witness: Witness) -> object:
    """Runs a command line and returns what its command does; what Tab asks for is printed, and ends the process.

    Args:
        app: The command line.
        words: What was typed.
        witness: Is told what the command writes.
    """
    command = get_command(app)
    if COMPLETING in os.environ:
        mend_bash_words(os.environ)
        return command.main([], prog_name="mreg", standalone_mode=False)
    return run_command(command, words, witness)


def run_command(command: Any, words: Sequence[str], witness: Witness) -> object:  # noqa: ANN401 - Typer's own Click is not public
    """Runs one command line of a command's tree."""
    # Not its `main`, which takes a closed pipe and Ctrl-C for itself, and ends with other codes than mreg's.
    with command.make_context("mreg", list(words), obj=witness) as context:
        result: object = command.invoke(context)
        return result


def _called(words: Sequence[str]) -> str:
    """Returns the first word that is neither an option nor its value; none where the help of all is asked for."""
    for before, word in zip(["", *words], words, strict=False):
        if word in _HELP:
            return ""
        if not word.startswith("-") and before not in DIRECTORY:
            return word
    return ""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mreg {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-C", metavar="DIR", help="Run as if started in DIR.", show_default=False),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(ExitCode.USAGE)
