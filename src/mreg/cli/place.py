"""Where a command runs: the directory that ``mreg -C`` names, or the current one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from mreg.errors import NotFoundError

__all__ = ["DIRECTORY", "directory_of", "find_directory", "named_directory"]

DIRECTORY = ("-C", "--directory")
"""The option that names it, before the command."""


def directory_of(context: typer.Context) -> Path:
    """Returns the directory that ``mreg -C`` named, or the current one."""
    found = named_directory(context)
    if found and not Path(found).is_dir():
        details = {"path": found}
        raise NotFoundError(f"-C {found!r}: there is no such directory", hint="check the path", details=details)
    try:
        return Path(found) if found else Path.cwd()
    except FileNotFoundError as error:
        raise NotFoundError("the current directory was deleted", hint="cd .. && mreg list") from error


def named_directory(context: typer.Context) -> str:
    """Returns the directory that ``mreg -C`` named, or nothing."""
    return str(context.find_root().params.get("directory") or "")


def find_directory(words: Sequence[str]) -> str:
    """Returns the same of a command line that may not have been understood."""
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word in DIRECTORY:
            return after
        name, equals, value = word.partition("=")
        if equals and name in DIRECTORY:
            return value
        if not word.startswith("-"):
            break
    return ""
