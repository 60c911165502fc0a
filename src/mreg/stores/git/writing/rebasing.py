"""Branches that Git is rebasing: at the end they go where Git says, and what moved them meanwhile is lost."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mreg.errors import GitError
from mreg.stores.git.repository import GitRepository

__all__ = ["refuse_rebased"]

_HEAD_NAMES = ("rebase-merge/head-name", "rebase-apply/head-name")
"""Where Git keeps which branch it took off; ``git worktree list`` calls the worktree detached."""


def refuse_rebased(repo: GitRepository, ref: str) -> None:
    """Refuses to move a branch that is being rebased, in whichever worktree, as ``git branch --force`` does.

    Raises:
        GitError: It is.
    """
    for git_dir, folder in _places(repo):
        for name in _HEAD_NAMES:
            if _read(git_dir / name) == ref:
                branch = ref.removeprefix("refs/heads/")
                raise GitError(
                    f"{branch} is being rebased in {folder}: a change made to it now would be lost",
                    hint=f"finish it, or abort it: git -C {shlex.quote(str(folder))} rebase --abort",
                    details={"branch": branch, "path": str(folder)},
                )


def _places(repo: GitRepository) -> Iterator[tuple[Path, Path]]:
    """Yields Git directory and folder of each worktree, less those whose folder is gone."""
    common = repo.common_dir
    main = repo.worktree if repo.worktree and repo.git_dir == common else None
    yield common, main or (common.parent if common.name == ".git" else common)
    for git_dir in sorted(common.glob("worktrees/*")):
        folder = Path(_read(git_dir / "gitdir")).parent
        if folder.is_dir():
            yield git_dir, folder


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="surrogateescape").strip()
    return ""
