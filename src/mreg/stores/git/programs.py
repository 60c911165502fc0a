"""Starts the programs that Git is configured to call and mreg must call too: ``ssh-keygen`` and those in its place."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from mreg.stores.git.runner import Completed

__all__ = ["has_terminal", "run_program"]

_GRACE_S = 2.0


def has_terminal() -> bool:
    """Returns whether there is a terminal at which somebody can be asked, as OpenSSH looks for one."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    os.close(descriptor)
    return True


def run_program(command: Sequence[str], *, directory: Path, timeout_s: float) -> Completed:
    """Runs one program to its end, whatever its status.

    At a terminal it may ask there; elsewhere it gets no input and a session of its own, with which all ends that it
    started.

    Args:
        command: The program and its arguments; no shell reads them.
        directory: Its working directory.
        timeout_s: After so many seconds it is ended.

    Raises:
        TimeoutError: It took longer.
        OSError: It could not be started.
    """
    is_alone = not has_terminal()
    stdin = DEVNULL if is_alone or not os.isatty(0) else None
    with Popen(command, cwd=directory, stdin=stdin, stdout=PIPE, stderr=PIPE, start_new_session=is_alone) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except BaseException as error:  # Ctrl-C too
            _end(process, is_alone=is_alone)
            if isinstance(error, TimeoutExpired):
                raise TimeoutError(f"{command[0]} did not end within {timeout_s:g} s") from error
            raise
    return Completed(process.returncode, stdout, stderr.decode("utf-8", "replace"))


def _end(process: Popen[bytes], *, is_alone: bool) -> None:
    # First politely: a program that asks for a passphrase has switched off the terminal's echo.
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if is_alone:
                os.killpg(process.pid, sign)
            else:
                process.send_signal(sign)
        with contextlib.suppress(TimeoutExpired):
            process.wait(_GRACE_S)
            if not is_alone:
                return
