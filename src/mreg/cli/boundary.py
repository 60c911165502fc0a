"""The error boundary: every way a command can end, and what the user then sees."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

import typer

from mreg import __version__
from mreg.cli.exit_codes import ExitCode, exit_code, signal_code
from mreg.cli.place import find_directory
from mreg.cli.signals import Ended
from mreg.cli.witness import Witness
from mreg.errors import MregError, OutsideError, UsageError
from mreg.render.commands import place_commands
from mreg.render.text import render_error

__all__ = ["guarded"]

_FORMAT = ("--format", "-f")
# Typer carries its own Click, whose errors are public only through their subclass.
_CLICK_USAGE_ERROR = typer.BadParameter.__mro__[1]


class _InterruptedError(MregError):
    code = "interrupted"


class _BugError(MregError):
    code = "bug"


class _Shown:
    """How the errors of one command line are shown."""

    def __init__(self, arguments: Sequence[str]) -> None:
        pairs = zip(arguments, [*arguments[1:], ""], strict=False)
        formats = [after if word in _FORMAT else _equals(word) for word, after in pairs]
        self._is_json, self._is_github = "json" in formats, "github" in formats
        self._is_check = "check" in arguments
        self._arguments = arguments
        self._directory = find_directory(arguments)

    @property
    def command(self) -> str:
        """The command's name; empty where none is called."""
        from mreg.cli.app import COMMANDS

        return next((word for word in self._arguments if word in COMMANDS), "")

    def error(self, error: MregError) -> None:
        if isinstance(error, UsageError):
            from mreg.cli.slips import find_slip

            error.hint = find_slip(self._arguments) or error.hint
        error.hint = error.hint or ("mreg --help" if isinstance(error, UsageError) else "mreg doctor")
        if self._is_github:
            from mreg.cli.github import show_error_step

            show_error_step(error, is_check=self._is_check)
        else:
            error.hint = place_commands(error.hint, self._directory)
            sys.stderr.write(render_error(error, as_json=self._is_json) + "\n")

    def bug(self) -> None:
        message = f"this is a bug in mreg {__version__}, not something you did "
        message += f"(Python {platform.python_version()}, {platform.platform()})"
        hint = "report it to the maintainers of mreg, with the lines above"
        if self._is_github:
            # Not the bare traceback, whose lines may be any text, and commands to GitHub.
            self.error(_BugError(f"{traceback.format_exc()}\n{message}", hint=hint))
        else:
            sys.stderr.write(f"{traceback.format_exc()}\nerror: {message}\nhint: {hint}\n")


def guarded(command: Callable[[], object], arguments: Sequence[str], witness: Witness) -> int:
    """Runs a command line and returns its exit status; errors go to stderr, never a traceback but for our own bugs.

    Args:
        command: What runs it.
        arguments: The words.
        witness: Knows what became of the change that the command was about to land.
    """
    show = _Shown(arguments)
    try:
        status = _attempt(command, show, witness)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _drop(sys.stdout, sys.stderr)
        return ExitCode.CLOSED_PIPE
    except OSError as error:  # what is left of stdout could not be written
        _drop(sys.stdout)
        show.error(_from_system(error, witness))
        return ExitCode.OUTSIDE


def _attempt(command: Callable[[], object], show: _Shown, witness: Witness) -> int:  # noqa: PLR0911 - one a way to end
    try:
        result = command()
        return result if isinstance(result, int) else ExitCode.DONE
    except MregError as error:
        show.error(error)
        return exit_code(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        show.error(_from_system(error, witness))
        return ExitCode.OUTSIDE
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, EOFError, typer.Abort) as stop:
        with suppress(OSError):  # the terminal may be gone
            show.error(_interrupted(witness))
        return signal_code(stop.number) if isinstance(stop, Ended) else ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary
        if isinstance(error, UnicodeEncodeError) and error.encoding != "utf-8":
            show.error(_from_locale(error, witness))
            return ExitCode.OUTSIDE
        if isinstance(error, _CLICK_USAGE_ERROR):
            show.error(_from_click(error, show.command))
            return ExitCode.USAGE
        show.bug()
        return ExitCode.BUG


def _equals(word: str) -> str:
    return next((word.removeprefix(start) for start in ("--format=", "-f") if word.startswith(start)), "")


def _from_click(error: Exception, command: str) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else f"mreg {command}".rstrip()
    message = str(getattr(error, "format_message", lambda: str(error))())
    return UsageError(message[:1].lower() + message[1:].removesuffix("."), hint=f"{path} --help")


def _interrupted(witness: Witness) -> MregError:
    seen = witness.testify()
    if seen is None:
        hint = "run the command again: what is already recorded is not recorded twice"
        return _InterruptedError("interrupted", hint=hint)
    words = f"interrupted, but {seen.fact}" if seen.has_landed else f"interrupted: {seen.fact}"
    return _InterruptedError(words, hint=seen.hint, details=seen.details)


def _from_system(error: OSError, witness: Witness) -> OutsideError:
    why = (error.strerror or str(error)).lower()
    if error.filename is None:
        message, hint = f"standard output cannot be written: {why}", "df -h   # shows which disk is full"
        seen = witness.testify()
        if seen and seen.has_landed:
            return OutsideError(f"{message}, but {seen.fact}", hint=seen.hint, details=seen.details)
        return OutsideError(message, hint=hint)
    place = os.fsdecode(error.filename)
    return OutsideError(f"{place!r}: {why}", hint=f"ls -ld {shlex.quote(place)}", details={"path": place})


def _from_locale(error: UnicodeEncodeError, witness: Witness) -> OutsideError:
    text = error.object[error.start : error.end]
    message = f"the encoding of the locale, {error.encoding}, has no {text!r}"
    seen = witness.testify()
    if seen and seen.has_landed:
        message += f", but {seen.fact}"
    hint = "export LC_ALL=C.UTF-8   # or another locale in UTF-8"
    return OutsideError(message, hint=hint, details={"encoding": error.encoding, "text": error.object})


def _drop(*streams: object) -> None:
    # Else Python complains once more of what it could not write, when it closes the stream at its end.
    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
