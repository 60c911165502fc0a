"""Why mreg does not write where a user has something of their own, and the command that makes room."""

from __future__ import annotations

import shlex
from pathlib import Path

from mreg.core.layout import SETTINGS_FILE, pathspec
from mreg.errors import DirtyFilesError

__all__ = ["changed_file", "file_in_the_way"]


def changed_file(folder: Path, files: list[str], *, is_deleted: bool) -> DirtyFilesError:
    """Returns the error for files that the user changed, with what commits them or throws the changes away."""
    path = pathspec(files[0])
    restore = f"git restore --staged --worktree -- {path}"
    what, hint = "has uncommitted changes", f"git commit -- {path}   # or throw the changes away: {restore}"
    if is_deleted:  # to commit that would take it out of the registry
        what, hint = "is deleted, and the deletion is not committed", f"{restore}   # puts it back"
    message = f"{folder / files[0]} {what}, but mreg has to change it"
    return DirtyFilesError(message, hint=hint, details={"files": files})


def file_in_the_way(folder: Path, files: list[str]) -> DirtyFilesError:
    """Returns the error for files that Git does not track, with what moves the first of them aside."""
    path = str(folder / files[0]).rstrip("/")
    hint = f"mv {shlex.quote(path)} {shlex.quote(path + '.mine')}"
    if SETTINGS_FILE in files:  # written by hand, before there was a registry
        commit = f"git add -- {pathspec(SETTINGS_FILE)} && git commit -- {pathspec(SETTINGS_FILE)}"
        hint = f"{commit}   # takes it for the settings; else: {hint}"
    return DirtyFilesError(
        f"{path} is in the way: Git does not track it, but mreg has to write there",
        hint=hint,
        details={"files": files},
    )
