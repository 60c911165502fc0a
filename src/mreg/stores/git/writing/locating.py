"""Where the worktrees of a repository are, and which branch each has checked out."""

from __future__ import annotations

import os
from pathlib import Path

from mreg.stores.git.repository import GitRepository

__all__ = ["list_worktrees", "name_git_dir"]


def list_worktrees(repo: GitRepository) -> dict[Path, tuple[Path, str]]:
    """Returns folder and branch of each worktree, by its Git directory."""
    found: dict[Path, tuple[Path, str]] = {}
    for block in repo.runner.text("worktree", "list", "--porcelain").split("\n\n"):
        lines = dict(line.partition(" ")[::2] for line in block.split("\n"))
        folder = Path(lines.get("worktree", ""))
        git_dir = _git_dir(folder)
        # None: bare, or gone; or moved, or a submodule, for which Git gives another folder here.  Of another
        # repository: that which this one is a copy of.
        if git_dir is not None and repo.common_dir.resolve() in {git_dir, git_dir.parent.parent}:
            found[git_dir] = folder, lines.get("branch", "")
    here = repo.git_dir.resolve()
    if repo.worktree and here not in found:
        found[here] = repo.worktree, f"refs/heads/{repo.head_branch() or ''}"
    return found


def name_git_dir(repo: GitRepository, git_dir: Path) -> str:
    """Returns a worktree's Git directory as seen from the one that all worktrees share."""
    return Path(os.path.relpath(git_dir.resolve(), repo.common_dir.resolve())).as_posix()


def _git_dir(folder: Path) -> Path | None:
    place = folder / ".git"
    if place.is_dir():
        return place.resolve()
    try:
        text = place.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return (folder / text.removeprefix("gitdir: ").rstrip("\n")).resolve()
