"""What Git itself has begun in a worktree and not ended: a merge, a rebase and the like, and conflicts."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from mreg.stores.git.repository import GitRepository

__all__ = ["UnderWay", "find_under_way"]

_MARKS = {
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "rebase-merge": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}
"""Files and folders that Git keeps for so long, and the command that made them.  The picks of a rebase come last."""
_TODO = "sequencer/todo"
"""Where several commits are picked or reverted, those that are left; between two of them, no other mark is there."""
_BISECT = "BISECT_LOG"


class UnderWay(Struct, frozen=True):
    """What was begun in a worktree, and has not come to its end."""

    command: str
    """``merge``, ``rebase``, ``cherry-pick``, ``revert``, ``am`` or ``bisect``; empty where there is none."""
    conflicts: tuple[str, ...] = ()
    """Files of the index with conflicts, sorted."""


def find_under_way(repo: GitRepository) -> UnderWay:
    """Returns what is under way in the worktree that a repository was opened in; a bare one has nothing."""
    if repo.worktree is None:
        return UnderWay("")
    listed = repo.runner.run("ls-files", "--unmerged", "-z").decode("utf-8", "surrogateescape")
    files = {entry.partition("\t")[2] for entry in listed.split("\0") if entry}
    return UnderWay(_command(repo.git_dir), tuple(sorted(files)))


def _command(git_dir: Path) -> str:
    found = next((command for mark, command in _MARKS.items() if (git_dir / mark).exists()), "")
    if not found and (git_dir / _TODO).is_file():
        return "revert" if (git_dir / _TODO).read_bytes().startswith(b"revert") else "cherry-pick"
    return found or ("bisect" if (git_dir / _BISECT).exists() else "")
