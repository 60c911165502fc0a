"""The command that a watch tells of each version: how it is given, and what it is told."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence

from mreg.core.names import Selector, Version
from mreg.core.results import Pulled
from mreg.errors import UsageError
from mreg.registry.serving.following import Hook
from mreg.stores.serving.hook import run_hook

__all__ = ["as_command", "make_hook"]


def as_command(command: str | Sequence[str]) -> tuple[str, ...]:
    """Returns a command as the list of its words; a text is split as a shell would, and no shell ever reads it.

    Raises:
        UsageError: It has no words, a quotation mark has no end, or there is no such program.
    """
    try:
        words = tuple(shlex.split(command) if isinstance(command, str) else command)
    except ValueError as error:
        raise UsageError(f"the command {command!r} cannot be split into words: {error}") from error
    if not words or not words[0]:
        raise UsageError("the command is empty", hint="--exec 'systemctl reload churn'")
    if not shutil.which(words[0]):
        hint = "name a program that is on PATH, or its path; for what a shell does: --exec \"sh -c '…'\""
        raise UsageError(f"there is no program {words[0]!r} to run", hint=hint, details={"command": words[0]})
    return words


def make_hook(command: Sequence[str], selector: Selector, *, timeout_s: float, is_stopped: Callable[[], bool]) -> Hook:
    """Returns what tells a command of a version, in its environment.

    Args:
        command: Its words.
        selector: What is watched.
        timeout_s: After so many seconds it is ended.
        is_stopped: True where the watch ends.
    """

    def tell(pulled: Pulled, previous: Version | None) -> str:
        return run_hook(command, _variables(pulled, previous, selector), timeout_s=timeout_s, is_stopped=is_stopped)

    return tell


def _variables(pulled: Pulled, previous: Version | None, selector: Selector) -> Mapping[str, str]:
    return {
        "MREG_MODEL": str(pulled.model),
        "MREG_VERSION": str(pulled.version),
        "MREG_PREVIOUS": str(previous or ""),
        "MREG_STAGE": str(selector.stage or ""),
        "MREG_COMMIT": pulled.commit,
        "MREG_SHA256": pulled.sha256,
        "MREG_PATH": str(pulled.path),
    }
