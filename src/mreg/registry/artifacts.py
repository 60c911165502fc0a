"""The bytes of a version: where this clone keeps them, and how they come here."""

from __future__ import annotations

from mreg.errors import NotARegistryError
from mreg.registry.reader import Reader
from mreg.stores.dvc import DvcStore
from mreg.stores.git.repository import GitRepository
from mreg.stores.statcache import StatCache

__all__ = ["open_stats", "open_store"]

_CONFIG = ".dvc/config"


def open_store(repo: GitRepository) -> DvcStore:
    """Returns DVC's cache and remotes for a repository.

    The settings are those of the checked-out ``.dvc/config``; where none is checked out (a bare repository, a branch
    from before DVC), those of the registry branch.
    """
    root = repo.worktree
    if root and (root / _CONFIG).is_file():
        return DvcStore(root / ".dvc", root)
    try:
        tip = Reader(repo).settings().tip
    except NotARegistryError:
        tip = None
    (config,) = repo.read([f"{tip}:{_CONFIG}"]) if tip else [None]
    text = config.decode("utf-8", "replace") if config is not None else ""
    if root is not None:
        return DvcStore(root / ".dvc", root, config_text=text)
    return DvcStore(repo.state_dir / "dvc", repo.git_dir, config_text=text)


def open_stats(repo: GitRepository) -> StatCache:
    """Returns what is known of unchanged files, shared by all worktrees; safe to delete."""
    return StatCache(repo.state_dir / "stat")
