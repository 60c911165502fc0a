"""The tags of a remote, to be judged by what the history here calls for."""

from __future__ import annotations

import shlex

from msgspec import Struct

from mreg.errors import IncompleteHistoryError, OutsideError
from mreg.registry.review.tag_audit import GivenTags
from mreg.stores.git.branches import count_since
from mreg.stores.git.remotes.pushing import find_remote
from mreg.stores.git.remotes.refs import describe_tags, list_remote
from mreg.stores.git.repository import GitRepository

__all__ = ["RemoteTags", "find_remote_tags", "remote_of"]


class RemoteTags(Struct, frozen=True):
    """The tags of a remote, and what it has of the history."""

    tags: GivenTags
    until: frozenset[str]
    """The commits of the registry branch there."""


def remote_of(repo: GitRepository, branch: str) -> str:
    """Returns the remote that the registry branch goes to; ``origin`` where nothing tells."""
    try:
        return find_remote(repo, branch)
    except OutsideError:
        return "origin"


def find_remote_tags(repo: GitRepository, remote: str, branch: str, tip: str) -> RemoteTags | None:
    """Returns the tags of a remote; ``None`` where it lacks the registry branch.

    Raises:
        IncompleteHistoryError: Its registry branch is not in the history here.
        NotFoundError: There is no such remote.
        OutsideError: It could not be asked.
    """
    there = list_remote(repo, remote, branch)
    if there.branch is None:
        return None
    if count_since(repo, there.branch, tip) is None:
        raise IncompleteHistoryError(
            f"{branch} of {remote} is at {there.branch[:12]}, which is not in the history here",
            hint=f"git pull --ff-only {shlex.quote(remote)} {shlex.quote(branch)} && git fetch --tags",
            details={"remote": remote, "commit": there.branch},
        )
    until = frozenset(repo.runner.text("rev-list", "--first-parent", there.branch).split("\n"))
    known = {ref.name: ref for ref in describe_tags(repo, there)}
    return RemoteTags(GivenTags(repo, lambda: known), until)
