"""Where a command runs: the directory that ``mreg -C`` names, or the current one."""

from __future__ import annotations

from pathlib import Path

import typer

from mreg.errors import NotFoundError

__all__ = ["directory_of"]


def directory_of(context: typer.Context) -> Path:
    """Returns the directory that ``mreg -C`` named, or the current one."""
    found = context.find_root().params.get("directory")
    if found and not Path(found).is_dir():
        details = {"path": str(found)}
        raise NotFoundError(f"-C {str(found)!r}: there is no such directory", hint="check the path", details=details)
    try:
        return Path(found) if found else Path.cwd()
    except FileNotFoundError as error:
        raise NotFoundError("the current directory was deleted", hint="cd .. && mreg list") from error
