"""Cases: each transition with what the history knew just before the commit that makes it.

Rules:
    * A commit is judged as a whole: what its parent held decides, and nothing that the commit itself brings but the
      record, the statement and the approvals.
    * An approval is fresh from the commit that brings it until its stage changes, or it is withdrawn; once.
    * Who makes a transition says its statement, where one speaks for it; else the author of the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.fold import ManifestReader, advance
from mreg.core.history.manifest import ArchivedMark
from mreg.core.history.record import Record
from mreg.core.history.statements import Namespace, artifact_name, encode_transition
from mreg.core.history.timeline import Action, ApprovalFile, Commit, Lane, Standing, Stay, Timeline, Transition
from mreg.core.layout import Layout, PathKind
from mreg.core.names import ModelName, StageName, Version
from mreg.core.review.approvals import Vote, encode_approval
from mreg.core.review.gates import Case, Scan
from mreg.core.settings.people import Actor, Proof, identify
from mreg.core.settings.policy import Policy
from mreg.core.settings.rules import MetricGate, PickleGate, PickleMode

__all__ = ["Before", "Evidence", "cases_of", "find_actor", "find_record", "find_votes", "look_before", "open_cases"]


class Evidence(Protocol):
    """What lies outside the history of paths and blobs."""

    def record(self, model: ModelName, version: Version, oid: str) -> Record | None:
        """Returns the record in a blob; ``None`` where it cannot be read."""

    def vote(self, file: ApprovalFile) -> Vote:
        """Returns an approval, who committed it and what its signature shows."""

    def proof(self, statement: bytes, kind: Namespace, signature: str) -> Proof:
        """Returns what a signature over a statement shows."""

    def scan(self, record: Record) -> Scan | None:
        """Returns what a scanner says of a version's bytes; ``None`` where nobody scans."""


class Before(Struct, frozen=True):
    """One model just before a commit."""

    holders: dict[StageName, Version]
    positions: dict[StageName, int]
    archived: dict[Version, ArchivedMark]

    @classmethod
    def of(cls, timeline: Standing, model: ModelName, policy: Policy) -> Before:
        """Returns what a history has come to for one model."""
        lanes = {stage: timeline.lanes.get((model, stage), _EMPTY) for stage in policy.stages}
        return cls(
            holders={stage: lane.current for stage, lane in lanes.items() if lane.current is not None},
            positions={stage: lane.position for stage, lane in lanes.items()},
            archived=dict(timeline.archived.get(model, {})),
        )


_EMPTY = Lane()


def open_cases(
    timeline: Timeline,
    commit: Commit,
    layout: Layout,
    read: ManifestReader,
    *,
    policy: Policy,
    evidence: Evidence,
) -> list[tuple[Transition, Case]]:
    """Adds one commit to a timeline, and returns its transitions with their cases.

    Args:
        timeline: The history up to the commit's parent; it is changed.
        commit: What is added.
        layout: Where the registry's files are.
        read: Gives the parsed manifest file of a blob.
        policy: The rules in force: those of the commit's parent.
        evidence: Records, approvals, signatures and scans.
    """
    before = look_before(timeline, commit, layout, policy)
    return cases_of(timeline, commit, advance(timeline, commit, layout, read), before, policy, evidence)


def look_before(standing: Standing, commit: Commit, layout: Layout, policy: Policy) -> dict[ModelName, Before]:
    """Returns what is there of the models whose stages a commit changes, before it is folded."""
    places = (layout.locate(change.path) for change in commit.changes)
    models = {place.model for place in places if place and place.kind is PathKind.STAGE}
    return {model: Before.of(standing, model, policy) for model in models}


def cases_of(
    standing: Standing,
    commit: Commit,
    moves: Iterable[Transition],
    before: Mapping[ModelName, Before],
    policy: Policy,
    evidence: Evidence,
) -> list[tuple[Transition, Case]]:
    """Returns the cases of the transitions that a commit made, once it was folded."""
    return [(each, _open_case(standing, commit, each, before[each.model], policy, evidence)) for each in moves]


def _open_case(
    timeline: Standing, commit: Commit, move: Transition, before: Before, policy: Policy, evidence: Evidence
) -> Case:
    record = find_record(timeline, move.model, move.target, evidence)
    case = Case(
        policy=policy,
        model=move.model,
        stage=move.stage,
        action=move.action,
        source=move.source,
        target=move.target,
        at=commit.time,
        actor=find_actor(policy, move, record, evidence),
        record=record,
    )
    rule = policy.stages.get(move.stage)
    if rule is None or move.target is None:
        return case
    since = before.positions.get(move.stage, -1)
    wanted = {gate.no_worse_than for gate in rule.gates if isinstance(gate, MetricGate) and gate.no_worse_than}
    return replace(
        case,
        is_archived=_is_archived(move, before),
        deletion=mark.deletion if (mark := before.archived.get(move.target)) else None,
        origins=frozenset(stage for stage, version in before.holders.items() if version == move.target),
        holders={
            stage: find_record(timeline, move.model, before.holders[stage], evidence)
            for stage in wanted
            if stage in before.holders
        },
        stays=tuple(_find_stays(timeline, move.model, move.target, policy)),
        votes=tuple(find_votes(timeline, (move.model, move.target, move.stage), since, evidence)),
        scan=evidence.scan(record) if record and PickleGate(PickleMode.SCAN) in rule.gates else None,
    )


def _is_archived(move: Transition, before: Before) -> bool:
    # A rollback may go to what a stage archived by taking another version.
    mark = before.archived.get(move.target) if move.target else None
    is_for_good = mark is not None and (mark.replaced_in is None or mark.deletion is not None)
    return is_for_good or (mark is not None and move.action is Action.PROMOTE)


def find_record(timeline: Standing, model: ModelName, version: Version | None, evidence: Evidence) -> Record | None:
    """Returns the record of a version; ``None`` where it is not there, or cannot be read."""
    oid = timeline.records.get((model, version)) if version is not None else None
    return evidence.record(model, version, oid) if version is not None and oid is not None else None


def find_actor(policy: Policy, move: Transition, record: Record | None, evidence: Evidence) -> Actor:
    """Returns who makes a transition: whom it names, and what a signature of its statement makes of that."""
    entry = move.statement
    if entry is None or not entry.signature:
        return identify(policy.people, move.by, None)
    artifact = artifact_name(record.artifact if record else None)
    statement = encode_transition(move.model, move.stage, artifact, entry)
    return identify(policy.people, move.by, evidence.proof(statement, Namespace.TRANSITION, entry.signature))


def _find_stays(timeline: Standing, model: ModelName, version: Version, policy: Policy) -> Iterator[Stay]:
    for stage in policy.stages:
        lane = timeline.lanes.get((model, stage), _EMPTY)
        if stay := lane.held.get(version):
            yield stay
        came_before = lane.position < timeline.position - 1  # not with the commit that is judged
        if lane.current == version and lane.entered is not None and came_before:
            yield Stay(stage, lane.entered)


def find_votes(
    timeline: Standing, key: tuple[ModelName, Version, StageName], since: int, evidence: Evidence
) -> Iterator[Vote]:
    """Yields the approvals of one version for one stage.

    Args:
        timeline: The history, with the commit that is judged.
        key: The folder that they are in.
        since: Position of the commit that changed the stage last, before the one that is judged.
        evidence: Reads approvals.
    """
    votes = [(file, evidence.vote(file)) for file in timeline.approvals.get(key, {}).values()]
    # What a signature was made over stays the same in a copy of the file, and in one that is put back.
    old = [vote for file, vote in votes if file.position <= since]
    old += [evidence.vote(file) for file in timeline.withdrawn.get(key, ())]
    spent = {encode_approval(vote.approval) for vote in old if vote.approval}
    for file, vote in votes:
        is_spent = vote.approval is not None and encode_approval(vote.approval) in spent
        yield replace(vote, is_fresh=not is_spent, is_changed=file.is_changed)
