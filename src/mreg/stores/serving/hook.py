"""Runs the command that is to be told of a new version: an argument list, no shell, and an end to it in time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL, Popen, TimeoutExpired

__all__ = ["run_hook"]

_STEP_S = 0.2
"""How often it is asked whether to stop."""
_GRACE_S = 5.0
"""How long the command may take to end when it is asked to."""


def run_hook(
    command: Sequence[str], variables: Mapping[str, str], *, timeout_s: float, is_stopped: Callable[[], bool]
) -> str:
    """Runs a command to its end, and returns why that was not a good one; empty where it was.

    It gets no input, and what it writes goes to stderr.  It leads a session of its own, with which all ends that it
    started where it is too slow, or mreg ends; what it leaves running after a good end is its own affair.

    Args:
        command: The program and its arguments.
        variables: Added to the environment.
        timeout_s: After so many seconds it is ended.
        is_stopped: True where it must end now.
    """
    shown = repr(command[0])
    try:
        process = Popen(
            command, env={**os.environ, **variables}, stdin=DEVNULL, stdout=_stderr(), start_new_session=True
        )
    except (OSError, ValueError) as error:
        return f"{shown} cannot be started: {getattr(error, 'strerror', None) or error}".lower()
    try:
        status = _wait(process, timeout_s, is_stopped)
    except BaseException:  # a signal
        _end(process)
        raise
    if status is None:
        _end(process)
        return f"{shown} was ended" if is_stopped() else f"{shown} did not end within {timeout_s:g} s, and was ended"
    if status < 0:
        return f"{shown} was ended by signal {-status}"
    return f"{shown} failed with exit status {status}" if status else ""


def _wait(process: Popen[bytes], timeout_s: float, is_stopped: Callable[[], bool]) -> int | None:
    deadline = time.monotonic() + timeout_s
    while (rest := deadline - time.monotonic()) > 0 and not is_stopped():
        with suppress(TimeoutExpired):
            return process.wait(min(rest, _STEP_S))
    return None


def _end(process: Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(TimeoutExpired):
        process.wait(_GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started may not have heard
    process.wait()


def _stderr() -> int:
    try:
        os.fstat(2)
    except OSError:  # closed
        return DEVNULL
    return 2
