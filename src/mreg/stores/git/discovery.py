"""Where the repository around a directory is."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from mreg.errors import GitError, NotARegistryError, NotFoundError
from mreg.stores.git.runner import GitRunner, failure

__all__ = ["ID_BYTES", "Place", "discover", "quarantine"]

ID_BYTES = {"sha1": 20, "sha256": 32}
"""Length of an object id by object format."""

_QUESTIONS = (
    "rev-parse",
    "--path-format=absolute",
    "--git-dir",
    "--git-common-dir",
    "--show-object-format",
    "--is-bare-repository",
    "--is-inside-work-tree",
    "--show-cdup",
)


class Place(Struct, frozen=True):
    """What Git says of the repository around a directory; paths are absolute."""

    git_dir: Path
    common_dir: Path
    object_format: str
    is_bare: bool
    worktree: Path | None
    """Root of the checked-out files; ``None`` in a bare repository and inside of ``.git``."""


def discover(directory: Path) -> Place:
    """Returns the repository around a directory, in one Git call.

    Raises:
        NotFoundError: The directory does not exist.
        NotARegistryError: No Git repository is here or above.
        GitError: Git is missing, too old, or refuses the repository.
    """
    try:
        exists = directory.is_dir()
    except OSError:
        exists = False
    if not exists:
        raise NotFoundError(f"{directory} is not a directory", details={"path": str(directory)})
    done = GitRunner(directory).complete(*_QUESTIONS)
    if done.status != 0 and "not a git repository" in done.stderr.lower():
        message, details = f"{directory} is not in a Git repository", {"path": str(directory)}
        raise NotARegistryError(message, hint="git init && mreg init", details=details)
    if done.status != 0:
        raise failure(_QUESTIONS, done)
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")
    if lines[0].startswith("--"):
        raise GitError("this Git is too old: mreg needs 2.34 or newer", hint="git version")
    if lines[2] not in ID_BYTES:
        raise GitError(f"the path of the repository around {directory} holds a line break, which mreg cannot read")
    worktree = (directory / lines[5]).resolve() if lines[4] == "true" else None
    return Place(Path(lines[0]), Path(lines[1]), lines[2], is_bare=lines[3] == "true", worktree=worktree)


def quarantine(common_dir: Path) -> dict[str, str]:
    """Returns the variables by which a ``pre-receive`` hook reads the objects that wait for its answer.

    Empty elsewhere, and in a hook of another repository.
    """
    place = os.environ.get("GIT_QUARANTINE_PATH")
    if not place or Path(place).resolve().parent != (common_dir / "objects").resolve():
        return {}
    names = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
    return {name: os.environ[name] for name in names if name in os.environ}
