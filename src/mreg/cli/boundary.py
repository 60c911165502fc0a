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
from mreg.cli.exit_codes import ExitCode, exit_code
from mreg.errors import MregError, OutsideError, UsageError
from mreg.render.text import render_error

__all__ = ["guarded"]

# Typer carries its own Click, whose errors are public only through their subclass.
_CLICK_USAGE_ERROR = typer.BadParameter.__mro__[1]


class _InterruptedError(MregError):
    code = "interrupted"


def guarded(command: Callable[[], object], arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status; errors go to stderr, never a traceback but for our own bugs."""
    wants_json = _wants_json(arguments)
    try:
        status = _attempt(command, wants_json=wants_json)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _drop(sys.stdout, sys.stderr)
        return ExitCode.CLOSED_PIPE
    except OSError as error:  # what is left of stdout could not be written
        _drop(sys.stdout)
        _print(_from_system(error), wants_json=wants_json)
        return ExitCode.OUTSIDE


def _attempt(command: Callable[[], object], *, wants_json: bool) -> int:  # noqa: PLR0911 - one a way to end
    try:
        result = command()
        return result if isinstance(result, int) else ExitCode.DONE
    except MregError as error:
        _print(error, wants_json=wants_json)
        return exit_code(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        _print(_from_system(error), wants_json=wants_json)
        return ExitCode.OUTSIDE
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, EOFError, typer.Abort):
        hint = "run the command again: what is recorded already is not recorded twice"
        _print(_InterruptedError("interrupted", hint=hint), wants_json=wants_json)
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary
        if isinstance(error, _CLICK_USAGE_ERROR):
            _print(_from_click(error), wants_json=wants_json)
            return ExitCode.USAGE
        _report_bug()
        return ExitCode.BUG


def _print(error: MregError, *, wants_json: bool) -> None:
    error.hint = error.hint or ("mreg --help" if isinstance(error, UsageError) else "mreg doctor")
    sys.stderr.write(render_error(error, as_json=wants_json) + "\n")


def _from_click(error: Exception) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mreg"
    message = str(getattr(error, "format_message", lambda: str(error))())
    return UsageError(message[:1].lower() + message[1:].removesuffix("."), hint=f"{path} --help")


def _from_system(error: OSError) -> OutsideError:
    why = (error.strerror or str(error)).lower()
    if error.filename is None:
        return OutsideError(f"standard output cannot be written: {why}", hint="df -h   # shows which disk is full")
    place = os.fsdecode(error.filename)
    return OutsideError(f"{place!r}: {why}", hint=f"ls -ld {shlex.quote(place)}", details={"path": place})


def _drop(*streams: object) -> None:
    # Else Python complains once more of what it could not write, when it closes the stream at its end.
    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]


def _report_bug() -> None:
    sys.stderr.write(traceback.format_exc())
    sys.stderr.write(
        f"\nerror: this is a bug of mreg {__version__}, and nothing you did "
        f"(Python {platform.python_version()}, {platform.platform()})\n"
        "hint: report it to the maintainers of mreg, with the lines above\n"
    )


def _wants_json(arguments: Sequence[str]) -> bool:
    return any(
        word in {"--format=json", "-fjson"} or (word in {"--format", "-f"} and after == "json")
        for word, after in zip(arguments, [*arguments[1:], ""], strict=False)
    )
