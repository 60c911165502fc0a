"""The error boundary: every way a command can end, and what the user then sees."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable, Sequence

import typer

from mreg import __version__
from mreg.cli.exit_codes import ExitCode, exit_code
from mreg.errors import MregError, UsageError
from mreg.render.text import render_error

__all__ = ["guarded"]

# Typer carries its own Click, whose errors are public only through their subclass.
_CLICK_USAGE_ERROR = typer.BadParameter.__mro__[1]


def guarded(command: Callable[[], object], arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one a way to end
    """Runs a command line and returns its exit status; errors go to stderr, never a traceback but for our own bugs."""
    wants_json = _wants_json(arguments)
    try:
        result = command()
        sys.stdout.flush()
        return result if isinstance(result, int) else ExitCode.DONE
    except MregError as error:
        _print(error, wants_json=wants_json)
        return exit_code(error)
    except BrokenPipeError:
        # Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.CLOSED_PIPE
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted: nothing was recorded\n")
        return ExitCode.INTERRUPTED
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary
        if isinstance(error, _CLICK_USAGE_ERROR):
            _print(_from_click(error), wants_json=wants_json)
            return ExitCode.USAGE
        _report_bug()
        return ExitCode.BUG


def _print(error: MregError, *, wants_json: bool) -> None:
    sys.stderr.write(render_error(error, as_json=wants_json) + "\n")


def _from_click(error: Exception) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mreg"
    message = str(getattr(error, "format_message", lambda: str(error))())
    return UsageError(message[:1].lower() + message[1:].removesuffix("."), hint=f"{path} --help")


def _report_bug() -> None:
    sys.stderr.write(traceback.format_exc())
    sys.stderr.write(
        f"\nerror: this is a bug of mreg {__version__}, and nothing you did "
        f"(Python {platform.python_version()}, {platform.platform()})\n"
        "hint: report it to the maintainers of mreg, with the lines above\n"
    )


def _wants_json(arguments: Sequence[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any(
        word in {"--format=json", "-fjson"} or (word in {"--format", "-f"} and after == "json") for word, after in pairs
    )
