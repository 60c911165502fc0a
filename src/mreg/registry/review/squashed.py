"""Approvals that a squash merge took from who gave them: the commits that still tell, and how to bring them back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mreg.core.review.approvals import Approval, parse_approval
from mreg.core.review.audited import AuditFault
from mreg.core.review.squashing import CO_AUTHOR, addresses_of
from mreg.core.settings.people import People, identify
from mreg.errors import DataError
from mreg.stores import yaml
from mreg.stores.git.branches import changed_elsewhere
from mreg.stores.git.parsing import authors_of
from mreg.stores.git.repository import GitRepository

__all__ = ["explain_squashes"]

_MOST = 100
"""So many approvals are looked for; a command line has an end."""
_FETCH = (
    "git fetch origin refs/pull/N/head:refs/heads/pull-N   "
    "# if pull request N was squashed (GitLab: refs/merge-requests/N/head); then: mreg verify"
)


def explain_squashes(
    repo: GitRepository, people: People, tip: str, faults: Sequence[AuditFault]
) -> tuple[AuditFault, ...]:
    """Returns faults; those that a squash most likely made say so, and how to mend them.

    No verdict changes by it.

    Args:
        repo: The repository, whose other branches may still have the commits.
        people: Who has which addresses.
        tip: The newest commit of the registry branch.
        faults: What an audit found.
    """
    forged = [each for each in faults if each.code == "approval-forged" and each.commit][:_MOST]
    if not forged:
        return tuple(faults)
    names = [f"{each.commit}:{each.place}" for each in forged]
    added = {
        (change.path, change.new): commit
        for commit in changed_elsewhere(repo, tip, sorted({each.place for each in forged}))
        for change in commit.changes
        if change.new
    }
    explained: dict[AuditFault, AuditFault] = {}
    for fault, oid, content in zip(forged, repo.resolve(names), repo.read(names), strict=True):
        approval = _parse(content or b"", fault.place)
        if approval is None or approval.signature:
            continue  # a squash takes nothing from a signature
        own = addresses_of(identify(people, approval.by, None))
        commit = added.get((fault.place, oid or ""))
        if commit is not None and not own.isdisjoint(authors_of(commit)):
            message, fix = _tell(approval, commit.oid), _mend(commit.oid)
        else:
            message, fix = _guess(approval), _FETCH
        explained[fault] = replace(fault, message=f"{fault.message}; {message}", fix=fix)
    return tuple(explained.get(each, each) for each in faults)


def _parse(content: bytes, path: str) -> Approval | None:
    try:
        return yaml.read(content, path, parse_approval)
    except DataError:
        return None


def _tell(approval: Approval, oid: str) -> str:
    return f"commit {oid[:12]}, by {approval.by}, adds the same file: it was squashed without {CO_AUTHOR}"


def _guess(approval: Approval) -> str:
    return f"a squash needs the line {CO_AUTHOR}: … <{approval.by}>"


def _mend(oid: str) -> str:
    return f"git merge -s ours -m 'Keep who approved' {oid[:12]}   # changes no file; not to be squashed or rebased"
