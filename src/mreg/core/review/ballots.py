"""The approvals that a difference brings: who gave each, and whether it counts, even before its promotion is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mreg.core.history.statements import artifact_name
from mreg.core.history.timeline import Timeline
from mreg.core.layout import PathKind
from mreg.core.names import ModelName, StageName, Version
from mreg.core.review.approvals import Ballot, Tally, count_votes
from mreg.core.review.cases import Evidence, find_record, find_votes
from mreg.core.review.difference import Before, Difference
from mreg.core.review.reviewed import GivenApproval, ReviewedChange
from mreg.core.settings.people import Actor, identify
from mreg.core.settings.policy import Policy, StageRule

__all__ = ["find_approvals"]


def find_approvals(
    difference: Difference,
    before: Before,
    timeline: Timeline,
    policy: Policy,
    evidence: Evidence,
    *,
    changes: Iterable[ReviewedChange],
) -> Iterator[GivenApproval]:
    """Yields the approvals that a difference brings.

    Args:
        difference: The files.
        before: The stages as the base has them.
        timeline: The history with the difference on top.
        policy: The settings of the base.
        evidence: Reads approvals and records.
        changes: The transitions of the difference, which say who proposes them.
    """
    proposed = {(each.transition.model, each.transition.target, each.transition.stage): each.actor for each in changes}
    tallies: dict[tuple[ModelName, Version, StageName], Tally] = {}
    for change, place in difference.of_kind(policy.layout, PathKind.APPROVAL):
        if change.old is not None or place.version is None or place.stage is None:
            continue
        key = (place.model, place.version, place.stage)
        files = timeline.approvals[key]
        if key not in tallies:
            ballot = _open_ballot(key, before, timeline, evidence, proposed.get(key))
            tallies[key] = _count(ballot, before, timeline, policy, evidence)
        faults = {path: (code, why) for code, path, why in tallies[key].faults}
        code, why = faults.get(change.path, ("", ""))
        vote = evidence.vote(files[change.path])
        said = vote.approval
        actor = identify(policy.people, said.by, vote.proof) if said else None
        yield GivenApproval(change.path, *key, actor, said.reason if said else "", code, why)


def _open_ballot(
    key: tuple[ModelName, Version, StageName],
    before: Before,
    timeline: Timeline,
    evidence: Evidence,
    author: Actor | None,
) -> Ballot:
    model, version, stage = key
    record, held = find_record(timeline, model, version, evidence), before.entries.get((model, stage))
    return Ballot(
        model=model,
        version=version,
        stage=stage,
        artifact=artifact_name(record.artifact if record else None),
        replaces=held.version if held else None,
        author=author or Actor(""),
    )


def _count(ballot: Ballot, before: Before, timeline: Timeline, policy: Policy, evidence: Evidence) -> Tally:
    rule = policy.stages.get(ballot.stage, StageRule())
    since = before.positions.get((ballot.model, ballot.stage), -1)
    votes = find_votes(timeline, (ballot.model, ballot.version, ballot.stage), since, evidence)
    return count_votes(rule.approvals, rule.signatures, policy.people, ballot, votes)
