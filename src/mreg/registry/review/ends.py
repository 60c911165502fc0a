"""What a review compares where only names are given: the registry branch, and the branch that a revision names."""

from __future__ import annotations

from collections.abc import Mapping

from mreg.core.review.difference import PLAIN
from mreg.errors import NotFoundError
from mreg.stores.git.repository import GitRepository

__all__ = ["find_base", "find_behind", "find_branch", "find_places"]


def find_places(repo: GitRepository, base: str, named: str) -> dict[str, str | None]:
    """Returns where HEAD is, the registry branch, here and at the remote, and what may be named like a revision."""
    refs = ["HEAD", *(f"{place}/{base}" for place in ("refs/remotes/origin", "refs/heads"))]
    if PLAIN.fullmatch(named):
        refs += [f"{place}/{named}" for place in ("refs/heads", "refs/remotes", "refs/remotes/origin")]
    return dict(zip(refs, repo.resolve([f"{ref}^{{commit}}" for ref in refs]), strict=True))


def find_base(places: Mapping[str, str | None], branch: str) -> tuple[str, str]:
    """Returns the registry branch, as the remote has it if there is a remote, and what people call it.

    Raises:
        NotFoundError: This clone has neither.
    """
    for ref, name in ((f"refs/remotes/origin/{branch}", f"origin/{branch}"), (f"refs/heads/{branch}", branch)):
        oid = places[ref]
        if oid is not None:
            return oid, name
    raise NotFoundError(
        f"the registry branch {branch} is not in this clone: there is nothing to compare with",
        hint=f"git fetch origin {branch}:refs/remotes/origin/{branch}",
        details={"branch": branch},
    )


def find_branch(places: Mapping[str, str | None], base: str, named: str, tip: str) -> str:
    """Returns the branch that is reviewed, without its remote; empty where it is none, or the registry's."""
    if places.get(f"refs/heads/{named}") == tip:
        found = named
    else:
        found = named.partition("/")[2] if places.get(f"refs/remotes/{named}") == tip else ""
    return "" if found == base else found


def find_behind(repo: GitRepository, branch: str, tip: str, there: str | None) -> tuple[str, ...]:
    """Returns what should be known if the remote has more of a branch: approvals, most likely."""
    count = (
        int(repo.runner.text("rev-list", "--count", f"{tip}..{there}")) if branch and there not in {None, tip} else 0
    )
    if not count:
        return ()
    name = f"origin/{branch}"
    return (f"{name} has {count} more commit{'' if count == 1 else 's'}: mreg check --head {name}",)
