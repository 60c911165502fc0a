"""What is fetched and not merged: commits of the registry branch that a clone knows of, and their tags.

A plain ``git fetch`` brings the tags of others at once, and leaves the local branch where it is.  Such a tag is as it
should be, and nobody's to delete: what is missing here is the commit that explains it.
"""

from __future__ import annotations

import shlex

from msgspec import Struct

from mreg.stores.git.remotes.pushing import is_ancestor
from mreg.stores.git.repository import GitRepository

__all__ = ["Ahead", "find_ahead"]


class Ahead(Struct, frozen=True):
    """The registry branch as it was last fetched, with commits that the one here lacks."""

    branch: str
    tip: str
    """Where it is there."""
    is_apart: bool
    """True where the branch here has commits of its own too."""

    @property
    def what(self) -> str:
        """What is the matter, in words."""
        return f"{self.branch} is behind origin/{self.branch}"

    @property
    def command(self) -> str:
        """The command that brings the branch here up to it."""
        return "mreg push" if self.is_apart else f"git pull --ff-only origin {shlex.quote(self.branch)}"


def find_ahead(repo: GitRepository, branch: str, tip: str) -> Ahead | None:
    """Returns what ``origin`` had of a branch when it was last fetched; ``None`` where a commit has all of it."""
    (there,) = repo.resolve([f"refs/remotes/origin/{branch}"])
    if there is None or is_ancestor(repo, there, tip):
        return None
    return Ahead(branch, there, is_apart=not is_ancestor(repo, tip, there))
