"""The bytes of a version: where this clone keeps them, and how they get there."""

from __future__ import annotations

from functools import partial

from mreg.errors import NotARegistryError
from mreg.registry.reading.reader import Reader
from mreg.stores.artifacts.stat_cache import StatCache
from mreg.stores.dvc import STALL_S, DvcStore
from mreg.stores.git.remotes.network import parse_seconds
from mreg.stores.git.repository import GitRepository

__all__ = ["open_stats", "open_store", "read_stall"]

_CONFIG = ".dvc/config"
_SETTING = "mreg.storageTimeout"


def open_store(repo: GitRepository) -> DvcStore:
    """Returns DVC's cache and remotes for a repository.

    The settings are those of the checked-out ``.dvc/config``; where none is checked out (a bare repository, a branch
    from before DVC), those of the registry branch.
    """
    root, stall_s = repo.worktree, partial(read_stall, repo)
    if root and (root / _CONFIG).is_file():
        return DvcStore(root / ".dvc", root, stall_s=stall_s)
    try:
        tip = Reader(repo).settings().tip
    except NotARegistryError:
        tip = None
    (config,) = repo.read([f"{tip}:{_CONFIG}"]) if tip else [None]
    text = config.decode("utf-8", "replace") if config is not None else ""
    if root is not None:
        return DvcStore(root / ".dvc", root, config_text=text, stall_s=stall_s)
    return DvcStore(repo.state_dir / "dvc", repo.git_dir, config_text=text, stall_s=stall_s)


def read_stall(repo: GitRepository) -> float:
    """Returns the seconds that a DVC remote may be silent, as ``mreg.storageTimeout`` in Git's configuration says.

    Raises:
        UsageError: It is not a number of seconds.
    """
    (text,) = repo.config(_SETTING)
    return parse_seconds(_SETTING, text, STALL_S)


def open_stats(repo: GitRepository) -> StatCache:
    """Returns what is known of unchanged files, shared by all worktrees; safe to delete."""
    return StatCache(repo.state_dir / "stat")
