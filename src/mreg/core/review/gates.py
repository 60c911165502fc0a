"""Gates: whether one transition may happen, by the rules of the commit that it builds on.

Rules:
    * Deciding is pure: the same case gives the same findings in a terminal, in a pull request and years later.
    * Every gate is answered, not only the first that says no.
    * A rollback is asked who makes it, for a signature, and whether its target was archived by hand; nothing else: an
      outage is no time for metrics.
    * What cannot be measured does not pass; what cannot be measured any more (a scan, without the bytes) is unproven.
    * Durations are those of the committers' clocks, which anyone can set; findings say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum

from msgspec import Struct, field

from mreg.core.fields import Plain, format_moment
from mreg.core.history.manifest import Deletion, tell_deletion
from mreg.core.history.record import Record, format_record
from mreg.core.history.statements import artifact_name
from mreg.core.history.timeline import Action, Stay
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.review.approvals import Ballot, Tally, Vote, count_votes
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import MetricRule, Policy, Signatures, StageRule
from mreg.core.settings.rules import (
    FormatGate,
    FreezeGate,
    Gate,
    MetricGate,
    PickleGate,
    PickleMode,
    RequireGate,
    SizeGate,
    SoakGate,
    format_duration,
)
from mreg.core.versions.formats import unsafe_reason
from mreg.core.versions.metrics import Verdict as Comparison
from mreg.core.versions.metrics import format_metric, measure_delta

__all__ = ["Case", "GateFinding", "Judgement", "Outcome", "Scan", "judge"]


class Outcome(str, Enum):
    """How a gate answers."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNPROVEN = "unproven"
    """It could be answered then, and cannot be now."""


class GateFinding(Struct, frozen=True):
    """One answer of one gate."""

    rule: str
    """Which kind: ``from``, ``metric``, ``approvals``, …; a stable slug."""
    gate: str
    """What is asked, as the policy has it."""
    outcome: Outcome
    measured: str
    """What was found."""
    why: str = ""
    """What else a reader should know; of what fails, the reason."""


class Scan(Struct, frozen=True):
    """What a scanner said of an artifact's bytes."""

    tool: str
    """Name and version."""
    is_clean: bool
    """False where it found something, or could not read it."""
    message: str = ""


class Case(Struct, frozen=True):
    """One transition, and all that its gates ask about, as of the commit that it builds on."""

    policy: Policy
    model: ModelName
    stage: StageName
    action: Action
    source: Version | None
    target: Version | None
    at: datetime
    """When it is committed."""
    actor: Actor
    """Who makes it."""
    record: Record | None = None
    """Of ``target``; ``None`` where it cannot be read."""
    is_archived: bool = False
    """True where ``target`` was archived; of a rollback, where a person archived it."""
    deletion: Deletion | None = None
    """Who gave the bytes of ``target`` up; there is no way back from that."""
    origins: frozenset[StageName] = frozenset()
    """The stages that held ``target``."""
    holders: Mapping[StageName, Record | None] = field(default_factory=dict)
    """The records of what stages held, by stage; ``None`` where one cannot be read."""
    stays: tuple[Stay, ...] = ()
    """Of ``target``."""
    votes: tuple[Vote, ...] = ()
    """The approvals in the folder of ``target`` and ``stage``."""
    scan: Scan | None = None
    """``None`` where nobody scans."""


class Judgement(Struct, frozen=True):
    """All answers to one case."""

    findings: tuple[GateFinding, ...]
    tally: Tally = field(default_factory=Tally)

    @property
    def refusals(self) -> tuple[GateFinding, ...]:
        """The findings that say no."""
        return tuple(finding for finding in self.findings if finding.outcome is Outcome.FAIL)


def judge(case: Case) -> Judgement:
    """Returns the answer of every gate to one transition.

    A change of the archive, or of a stage that is not declared, is asked nothing.
    """
    rule = case.policy.stages.get(case.stage)
    if rule is None or case.stage == ARCHIVED:
        return Judgement(())
    findings = [*_judge_actor(case, rule)]
    if case.deletion:
        why = f"its bytes were deleted {tell_deletion(case.deletion)}"
        findings.append(_answer("deleted", "its bytes are kept", False, "deleted", why))
    elif case.is_archived:
        why = f"take it out first: mreg archive {case.model}@{case.target} --undo"
        findings.append(_answer("archived", "not archived", False, "archived", why))
    if case.action is not Action.PROMOTE or case.target is None:
        return Judgement(tuple(findings))
    findings += _judge_state(case, rule)
    findings += [_judge_gate(case, gate) for gate in rule.gates]
    tally = _count(case, rule)
    if rule.approvals.count:
        findings.append(_judge_approvals(rule, tally))
    return Judgement(tuple(findings), tally)


def _judge_actor(case: Case, rule: StageRule) -> Iterator[GateFinding]:
    actor = case.actor
    if rule.who:
        roles = " or ".join(rule.who)
        able = case.policy.people.has_role(actor.person, rule.who)
        yield _answer(
            "who", f"changed by {roles}", able, str(actor), "" if able else f"{actor.email} is not in {roles}"
        )
    if rule.signatures is Signatures.REQUIRED or actor.fault:
        yield _answer("signature", "signed by whoever makes the change", actor.is_proven, *_describe_signature(actor))


def _describe_signature(actor: Actor) -> tuple[str, str]:
    if actor.is_proven:
        return "signed", ""
    if actor.fault:
        return "the signature is not valid", actor.fault
    if actor.stranger:
        return "signed by an unknown key", f"nobody in people: has the key {actor.stranger}"
    return "not signed", "the statement must be signed with an SSH key"


def _judge_state(case: Case, rule: StageRule) -> Iterator[GateFinding]:
    if case.record is None:
        yield _answer("record", "the record can be read", False, "no", f"{case.model} {case.target} has no record")
    if rule.origin:
        found = set(rule.origin) & case.origins
        here = ", ".join(sorted(case.origins)) or "no stage"
        why = "" if found else f"a version enters {case.stage} only from there"
        yield _answer("from", f"comes from {' or '.join(rule.origin)}", bool(found), f"in {here}", why)


def _judge_gate(case: Case, gate: Gate) -> GateFinding:
    if isinstance(gate, FreezeGate):
        frozen = gate.covers(case.at)
        return _answer("frozen", str(gate), not frozen, format_moment(case.at), gate.why if frozen else "")
    if isinstance(gate, SoakGate):
        return _judge_soak(case, gate)
    if case.record is None:
        return _answer(_RULES[type(gate)], str(gate), False, "no record")
    if isinstance(gate, MetricGate):
        return _judge_metric(case, gate, case.record)
    if isinstance(gate, PickleGate):
        return _judge_pickle(case, gate, case.record)
    return _judge_record(gate, case.record)


def _judge_record(gate: RequireGate | FormatGate | SizeGate, record: Record) -> GateFinding:
    if isinstance(gate, RequireGate):
        missing = [name for name in gate.fields if not _has(format_record(record), name)]
        measured = f"lacks {', '.join(missing)}" if missing else "all there"
        return _answer("require", str(gate), not missing, measured)
    if isinstance(gate, FormatGate):
        formats = record.artifact.format.split("+") if record.artifact.format else []
        measured = record.artifact.format or "unknown"
        return _answer("format", str(gate), bool(formats) and set(formats) <= set(gate.allowed), measured)
    return _answer("size", str(gate), record.artifact.size <= gate.max_bytes, f"{record.artifact.size} bytes")


def _judge_metric(case: Case, gate: MetricGate, record: Record) -> GateFinding:
    value = record.metrics.get(gate.metric)
    rule = case.policy.metrics.get(gate.metric, MetricRule())
    if value is None:
        return _answer("metric", str(gate), False, f"{gate.metric} is missing")
    measured, faults = format_metric(value, rule), []
    if gate.min is not None and value < gate.min:
        faults.append(f"below {format_metric(gate.min, rule)}")
    if gate.max is not None and value > gate.max:
        faults.append(f"above {format_metric(gate.max, rule)}")
    why = ""
    if gate.no_worse_than:
        holder = case.holders.get(gate.no_worse_than)
        other = holder.metrics.get(gate.metric) if holder else None
        if gate.no_worse_than in case.holders and holder is None:
            faults.append(f"the record of the version in {gate.no_worse_than} cannot be read")
        elif holder is None:
            why = f"{gate.no_worse_than} is empty"
        elif other is None:
            why = f"{holder.version} in {gate.no_worse_than} has no {gate.metric}"
        else:
            measured += f" against {format_metric(other, rule)} of {holder.version}"
            is_worse = measure_delta(value, other, rule.direction).verdict is Comparison.WORSE
            if is_worse and not gate.allows(value, other):
                faults.append(f"worse than {holder.version} in {gate.no_worse_than}")
    return _answer("metric", str(gate), not faults, measured, "; ".join(faults) or why)


def _judge_soak(case: Case, gate: SoakGate) -> GateFinding:
    stays = [stay for stay in case.stays if stay.stage == gate.stage]
    if not stays:
        return _answer("soak", str(gate), False, f"never in {gate.stage}")
    longest = max((stay.left or case.at) - stay.entered for stay in stays)
    enough = not gate.seconds or longest >= timedelta(seconds=gate.seconds)  # a clock can jump back
    measured = f"{format_duration(max(int(longest.total_seconds()), 0))} in {gate.stage}"
    return _answer("soak", str(gate), enough, measured, "by the committers' clocks, which anyone can set")


def _judge_pickle(case: Case, gate: PickleGate, record: Record) -> GateFinding:
    danger = unsafe_reason(record.artifact.format)
    if not record.artifact.format:
        danger = "its format is not known"
    measured = record.artifact.format or "unknown format"
    if gate.mode is PickleMode.FORBID or (case.scan is None and not danger):
        return _answer("pickle", str(gate), not danger, measured, danger)
    if case.scan is None:
        return GateFinding("pickle", str(gate), Outcome.UNPROVEN, measured, "its bytes are not scanned here")
    # Also what says that it is harmless: the format may have been named by hand.
    return _answer("pickle", str(gate), case.scan.is_clean, f"{measured}, by {case.scan.tool}", case.scan.message)


def _count(case: Case, rule: StageRule) -> Tally:
    if case.target is None or not (rule.approvals.count or case.votes):
        return Tally()
    artifact = artifact_name(case.record.artifact if case.record else None)
    ballot = Ballot(case.model, case.target, case.stage, artifact, case.source, case.actor)
    return count_votes(rule.approvals, rule.signatures, case.policy.people, ballot, case.votes)


def _judge_approvals(rule: StageRule, tally: Tally) -> GateFinding:
    wanted = rule.approvals
    who = f" in {' or '.join(wanted.by)}" if wanted.by else ""
    besides = ", other than the proposer" if wanted.not_author else ""
    persons = "person" if wanted.count == 1 else "people"
    gate = f"approved by {wanted.count} {persons}{who}{besides}"
    measured = ", ".join(map(str, tally.approvers)) or "nobody"
    lacking = wanted.count - len(tally.approvers)
    parts = [f"{lacking} more needed"] if lacking > 0 else []
    parts += [f"{path}: {message}" for _, path, message in tally.faults] if lacking > 0 else []
    return _answer("approvals", gate, lacking <= 0, measured, "; ".join(parts))


def _answer(rule: str, gate: str, passes: bool, measured: str, why: str = "") -> GateFinding:
    return GateFinding(rule, gate, Outcome.PASS if passes else Outcome.FAIL, measured, why)


def _has(document: Plain, name: str) -> bool:
    # Metric names may hold dots themselves: the longest key that is there decides.
    if isinstance(document, dict):
        if name in document:
            return document[name] not in ("", None, {}, [])
        return any(
            name.startswith(f"{key}.") and _has(value, name.removeprefix(f"{key}.")) for key, value in document.items()
        )
    return False


_RULES = {
    MetricGate: "metric",
    RequireGate: "require",
    FormatGate: "format",
    SizeGate: "size",
    PickleGate: "pickle",
}
