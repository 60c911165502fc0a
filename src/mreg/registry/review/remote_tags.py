"""The tags of a remote against what the history here calls for."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from mreg.core.audited import AuditFault
from mreg.core.history import Commit
from mreg.errors import IncompleteHistoryError, OutsideError
from mreg.registry.review.tag_audit import TagAudit
from mreg.stores.git.pushing import find_remote
from mreg.stores.git.remotes import describe_tags, list_remote
from mreg.stores.git.repository import GitRepository

__all__ = ["compare_remote", "remote_of"]


def remote_of(repo: GitRepository, branch: str) -> str:
    """Returns the remote that the registry branch goes to; ``origin`` where nothing tells."""
    try:
        return find_remote(repo, branch)
    except OutsideError:
        return "origin"


def compare_remote(
    repo: GitRepository, remote: str, branch: str, tags: TagAudit, commits: Sequence[Commit]
) -> Iterator[AuditFault]:
    """Yields what is wrong with the tags of a remote.

    Raises:
        IncompleteHistoryError: Its registry branch is not in the history here.
        NotFoundError: There is no such remote.
        OutsideError: It could not be asked.
    """
    there = list_remote(repo, remote, branch)
    if there.branch is None:
        yield AuditFault("remote-branch-missing", f"refs/heads/{branch}", f"{remote} has no such branch")
        return
    order = [commit.oid for commit in commits]
    if there.branch not in order:
        raise IncompleteHistoryError(
            f"{branch} of {remote} is at {there.branch[:12]}, which is not in the history here",
            hint=f"git pull --ff-only {shlex.quote(remote)} {shlex.quote(branch)} && git fetch --tags",
            details={"remote": remote, "commit": there.branch},
        )
    until = frozenset(order[: order.index(there.branch) + 1])
    refs = describe_tags(repo, there)
    yield from tags.judge(refs, until=until, code="remote-tag").faults
