"""A step of GitHub Actions: commands for its log on the streams, outputs and summary into the files that it names."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from mreg.core.settings.policy import Policy
from mreg.errors import MregError
from mreg.render.formats.github import Step, render_error_step, render_step
from mreg.render.formats.markdown import iter_markdown
from mreg.render.view import Result

__all__ = ["show_error_step", "show_step"]

_OUTPUTS, _SUMMARY = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


def show_step(result: Result, policy: Policy) -> None:
    """Writes what was done to the log, on stdout, and to the files of the step."""
    step = render_step(result, iter_markdown(result, policy))
    _write_files(step)
    if step.log:
        sys.stdout.write(step.log + "\n")
    elif not os.environ.get(_OUTPUTS) and not os.environ.get(_SUMMARY):
        # Not the summary itself: where a log is looked through for commands, text out of a registry is to give none.
        sys.stderr.write(
            f"note: no step of GitHub Actions: {_OUTPUTS} and {_SUMMARY} name no file; see --format markdown\n"
        )


def show_error_step(error: MregError, *, is_check: bool) -> None:
    """Writes what failed to the log, on stderr, and to the files of the step."""
    step = render_error_step(error, is_check=is_check)
    sys.stderr.write(step.log + "\n")
    with suppress(OSError):  # what failed matters more than that the files cannot be written
        _write_files(step)


def _write_files(step: Step) -> None:
    """Appends to the files that the runner names; where it names none, this is no step."""
    for variable, text in ((_OUTPUTS, step.outputs), (_SUMMARY, step.summary + "\n\n")):
        path = os.environ.get(variable)
        if path:
            with Path(path).open("ab") as file:
                file.write(text.encode("utf-8", "backslashreplace"))
