"""Judging commits that were made elsewhere, on top of what the remote has, before they land there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.layout import Layout, PathKind
from mreg.core.review.gates import Scan
from mreg.core.review.reviewed import Fault
from mreg.core.sharing.joining import is_of_registry
from mreg.core.sharing.joints import Local
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.review.auditing import Auditing
from mreg.registry.review.reviewing import review_difference
from mreg.registry.sharing.joining import Built
from mreg.stores.git.repository import GitRepository

__all__ = ["find_idle_approvals", "judge_new"]

_FEW = 200


def judge_new(
    repo: GitRepository,
    settings: Settings,
    locals_: Sequence[Local],
    built: Built,
    *,
    scan: Callable[[Record], Scan | None] | None,
) -> tuple[tuple[Fault, ...], set[str]]:
    """Returns what the rules say no to, as ``check`` tells it, and to which commits.

    Each is judged by the rules of its parent, as ``verify`` will judge it.

    Args:
        repo: The repository.
        settings: Those of the base.
        locals_: What the new commits were made of.
        built: The new commits; their objects are stored.
        scan: Scans a version's bytes, where a gate asks for it.
    """
    layout = settings.policy.layout
    changes = [change for each in locals_ for change in each.commit.changes if is_of_registry(change.path, layout)]
    if not built.new or not changes:
        return (), set()
    reader = Reader(repo)
    models = sorted({place.model for change in changes if (place := layout.locate(change.path))})
    models = models if len(models) <= _FEW else []  # a command line has an end
    after = replace(settings, policy=reader.policy_at(built.tip), tip=built.tip)
    found = Auditing(reader, after, scan=scan).judge(set(built.new), models)
    complaints: list[Fault] = []
    for oid in dict.fromkeys(fault.commit for fault in found):
        told = review_difference(reader, f"{oid}^", oid, scan=scan).complaints
        bare = [Fault(each.code, each.place, each.message) for each in found if each.commit == oid]
        complaints += told or bare
    return tuple(complaints), {fault.commit for fault in found}


def find_idle_approvals(
    repo: GitRepository, locals_: Sequence[Local], base: str, tip: str, layout: Layout
) -> tuple[str, ...]:
    """Returns what should be known of approvals that come along: one may count no more."""
    places = (layout.locate(change.path) for each in locals_ for change in each.commit.changes)
    if not any(place and place.kind is PathKind.APPROVAL for place in places):
        return ()
    review = review_difference(Reader(repo), base, tip)
    return tuple(f"{each.path}: it does not count: {each.why}" for each in review.approvals if each.why)
