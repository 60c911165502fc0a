"""The command line's tree: one command a verb, each in a file of its own under ``commands``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mreg import __version__
from mreg.cli.completion import COMPLETING, mend_bash_words, words_before
from mreg.cli.exit_codes import ExitCode
from mreg.cli.place import DIRECTORY
from mreg.cli.witness import Witness

__all__ = ["COMMANDS", "SECTIONS", "build", "run", "run_command"]

SECTIONS = {
    "Models and versions": ("init", "register", "list", "show", "compare", "best"),
    "Stages": ("promote", "rollback", "clear", "archive", "approve", "hold"),
    "Review and audit": ("history", "plan", "check", "verify"),
    "Serving and sharing": ("pull", "push", "sync"),
    "Upkeep and more": ("fsck", "gc", "cache", "doctor", "schema", "demo"),
}
"""The commands, as the help groups them."""
COMMANDS = tuple(name for names in SECTIONS.values() for name in names)
"""In the order of the help."""
_HELP = ("-h", "--help")


class _Sectioned(TyperGroup):
    """The tree, whose help has the commands below the headings of ``SECTIONS``."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own Click is not public
        """Writes the commands that were imported."""
        width = max(map(len, self.commands), default=0)
        for heading, names in SECTIONS.items():
            found = [(name, self.commands[name]) for name in names if name in self.commands]
            if found:
                limit = formatter.width - 6 - width
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), each.get_short_help_str(limit)) for name, each in found])


def build(words: Sequence[str] = ()) -> typer.Typer:
    """Returns the command line, with only the command that ``words`` call: the others need not be imported.

    Args:
        words: What was typed; where it calls no known command, all are there.  What Tab is pressed behind goes before.
    """
    app = typer.Typer(
        name="mreg",
        cls=_Sectioned,
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
        app.command(name)(getattr(import_module(f"mreg.cli.commands.{module}"), module))
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
