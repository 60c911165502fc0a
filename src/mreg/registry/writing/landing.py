"""Whether a commit landed, as the refs tell: what a command that was interrupted has to say of it."""

from __future__ import annotations

from enum import Enum

from mreg.stores.git.remotes.pushing import is_ancestor
from mreg.stores.git.repository import GitRepository

__all__ = ["Landed", "find_landed"]


class Landed(Enum):
    """Where a commit is."""

    HERE = "here"
    """On the branch of this clone."""
    THERE = "there"
    """On the remote's, and not yet on that of this clone."""
    PERHAPS = "perhaps"
    """Not here; whether the remote took it, only the remote can tell."""
    NOWHERE = "nowhere"


def find_landed(repo: GitRepository, branch: str, commit: str, remote: str) -> Landed:
    """Returns where a commit is that was about to land; nobody but this clone is asked.

    Args:
        repo: The repository.
        branch: Where it was to land.
        commit: Its id.
        remote: Where it was to land first; empty where nothing was pushed.
    """
    here, there = repo.resolve([f"refs/heads/{branch}", f"refs/remotes/{remote}/{branch}"])
    if here and is_ancestor(repo, commit, here):
        return Landed.HERE
    if not remote:
        return Landed.NOWHERE
    return Landed.THERE if there and is_ancestor(repo, commit, there) else Landed.PERHAPS
