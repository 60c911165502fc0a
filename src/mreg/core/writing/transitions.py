"""Plans of transitions: promote, rollback, clear, archive; and of holds.

Rules:
    * A plan says what would be done; whether it may be is for the gates (``core.review.gates``).
    * The version that a promotion replaces is archived only if no other stage holds it.
    * A rollback sets a hold, takes its target out of the archive if a stage put it there, and asks no metric.  That of
      a stage which was cleared is a promotion, as anyone who reads the tree sees it, and says so.
    * A promotion releases the hold, also that of the version which the stage holds already; the stage file then goes
      on to say why that version came.
    * A version whose bytes were given up goes nowhere, and stays archived.
    * What cannot be read is not decided on: an unreadable archive stops a promotion.  It does not stop a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from msgspec.structs import replace

from mreg.core.history.manifest import (
    NO_VERSION,
    ArchivedMark,
    StageEntry,
    format_archived,
    format_stage,
    tell_deletion,
)
from mreg.core.history.state import ModelState
from mreg.core.history.tags import transition_subject
from mreg.core.history.timeline import Action, Lane
from mreg.core.layout import Layout
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.settings.policy import OnReplace, Policy
from mreg.core.writing.plan import Plan, PlannedChange, Statement
from mreg.errors import RefusedError, UsageError

__all__ = ["plan_archive", "plan_clear", "plan_hold", "plan_promote", "plan_rollback"]


def plan_promote(  # noqa: PLR0913 - each of these decides
    policy: Policy,
    state: ModelState,
    lane: Lane,
    version: Version,
    stage: StageName,
    statement: Statement,
    *,
    on_replace: OnReplace | None = None,
) -> Plan:
    """Returns the plan that puts a version into a stage.

    Raises:
        NotFoundError: The version or the stage does not exist.
        UsageError: The reason is missing.
        RefusedError: The version is archived; or it is there already and held, and who asks may not release the hold.
        DataError: The stage file or the archive cannot be read.
    """
    rule = policy.stage(stage)
    source = state.holder(stage)
    _require_reason(statement, f"mreg promote {state.model}@{version} {stage} --reason 'why'")
    state.require_readable(ARCHIVED)
    if state.require(version) in state.archived:
        _refuse_deleted(state, version, f"cannot go to {stage}")
        raise _archived_error(state.model, version, stage, "is archived")
    held = state.entries.get(stage)
    if held and version == source:
        if held.hold:
            return _hold(policy, state, stage, replace(held, hold=False), statement)
        return Plan(state.model, version, stage, notices=(f"{state.model} {version} is already in {stage}",))
    plan = _move(policy.layout, state, PlannedChange(stage, lane.would(version), source, version), statement)
    should_archive = (on_replace or rule.on_replace) is OnReplace.ARCHIVE
    return _archive_replaced(policy.layout, state, plan, statement) if should_archive else plan


def plan_rollback(
    policy: Policy,
    state: ModelState,
    lane: Lane,
    stage: StageName,
    statement: Statement,
    *,
    to: Version | None = None,
) -> Plan:
    """Returns the plan that puts back the last good version of a stage, or a named one that held it before.

    Raises:
        NotFoundError: The stage is not declared, or ``to`` does not exist.
        UsageError: The reason is missing.
        RefusedError: There is nothing to go back to, or ``to`` never held the stage or was archived by hand.
        DataError: The stage file cannot be read.
    """
    policy.stage(stage)
    source = state.holder(stage)
    _require_reason(statement, f"mreg rollback {state.model} {stage} --reason 'why'")
    by_hand = {version for version, mark in state.archived.items() if mark.replaced_in is None or mark.deletion}
    target = _choose_target(state, lane, stage, by_hand) if to is None else _check_target(state, lane, stage, to)
    if target in by_hand:
        _refuse_deleted(state, target, f"cannot go to {stage}")
        raise _archived_error(state.model, target, stage, "was archived by hand")
    if target == source:
        return Plan(state.model, target, stage, notices=(f"{state.model} {target} is already in {stage}",))
    change = PlannedChange(stage, lane.would(target), source, target)
    plan = _move(policy.layout, state, change, statement, hold=True)
    if change.action is Action.PROMOTE:
        notice = f"{stage} was cleared, so {target} enters it again as a promotion and must pass its gates"
        plan = replace(plan, notices=(notice,), caveat=notice)
    if ARCHIVED in state.unreadable:
        notice = f"it is unknown whether {target} is archived: {state.unreadable[ARCHIVED].message}"
        return replace(plan, notices=(*plan.notices, notice))
    if target not in state.archived:
        return plan
    kept = {version: mark for version, mark in state.archived.items() if version != target}
    return _with_archived(
        policy.layout.stage(state.model, ARCHIVED), plan, kept, PlannedChange(ARCHIVED, Action.CLEAR, target, None)
    )


def plan_clear(policy: Policy, state: ModelState, stage: StageName, statement: Statement) -> Plan:
    """Returns the plan that empties a stage.

    Raises:
        NotFoundError: The stage is not declared and not in use.
        DataError: The stage file cannot be read.
    """
    if stage not in state.entries:
        policy.stage(stage)
    source = state.holder(stage)
    if source is None:
        return Plan(state.model, None, stage, notices=(f"{state.model} has no version in {stage}",))
    change = PlannedChange(stage, Action.CLEAR, source, None)
    return _move(policy.layout, state, change, statement, hold=state.entries[stage].hold)


def plan_hold(policy: Policy, state: ModelState, stage: StageName, statement: Statement, *, on: bool) -> Plan:
    """Returns the plan that stops automatic promotions of a stage, or lets them go on.

    Raises:
        NotFoundError: The stage is not declared.
        UsageError: The reason is missing.
        RefusedError: Who asks may not change the stage.
        DataError: The stage file cannot be read.
    """
    policy.stage(stage)
    state.require_readable(stage)
    off = "" if on else " --off"
    _require_reason(statement, f"mreg hold {state.model} {stage}{off} --reason 'why'")
    entry = state.entries.get(stage) or StageEntry(None)
    if entry.hold == on:
        word = "is already held" if on else "is not held"
        return Plan(state.model, entry.version, stage, notices=(f"{state.model} {stage} {word}",))
    return _hold(policy, state, stage, replace(entry, hold=on), statement)


def plan_archive(
    policy: Policy, state: ModelState, version: Version, statement: Statement, *, undo: bool = False
) -> Plan:
    """Returns the plan that marks a version as obsolete, or takes the mark away.

    A version that a stage archived by taking another can be archived by hand on top: then no rollback returns to it.

    Raises:
        NotFoundError: The version does not exist.
        RefusedError: A stage holds the version; or it is to be taken out, and its bytes were given up.
        DataError: The archive or a stage file cannot be read.
    """
    state.require(version)
    state.require_readable(*state.unreadable)
    archived, mark = dict(state.archived), state.archived.get(version)
    if undo == (mark is None) and not (mark and mark.replaced_in):
        word = "not archived" if undo else "already archived"
        return Plan(state.model, version, ARCHIVED, notices=(f"{state.model} {version} is {word}",))
    stages = state.stages_of(version)
    if not undo and stages:
        raise RefusedError(
            f"{state.model} {version} is in {', '.join(stages)} and cannot be archived",
            hint=f"mreg clear {state.model} {stages[0]} --reason 'why'   # or promote another version first",
            details={"model": state.model, "version": str(version), "stages": list(stages)},
        )
    if undo:
        _refuse_deleted(state, version, "cannot be taken out of the archive")
        del archived[version]
        change = PlannedChange(ARCHIVED, Action.CLEAR, version, None)
    else:
        deletion = mark.deletion if mark else None
        archived[version] = ArchivedMark(statement.reason, statement.by, statement.at, deletion=deletion)
        change = PlannedChange(ARCHIVED, Action.ARCHIVE, None, version)
    plan = Plan(
        model=state.model,
        version=version,
        stage=ARCHIVED,
        subject=transition_subject(change.action, state.model, ARCHIVED, change.source, change.target),
        body=statement.reason,
        trailers=_trailers(change.action.value, state.model, change, statement),
    )
    plan = _with_archived(policy.layout.stage(state.model, ARCHIVED), plan, archived, change)
    return plan if undo or mark is None else replace(plan, changes=())


def _choose_target(state: ModelState, lane: Lane, stage: StageName, by_hand: Set[Version]) -> Version:
    target = lane.last_good(by_hand | (lane.held.keys() - set(state.records)))
    if target is None:
        others = sorted((lane.held.keys() & set(state.records)) - by_hand - {lane.current}, reverse=True)
        ways = " or ".join(f"--to {each}" for each in others)
        advice = f"   # it once held others: mreg rollback … {ways}" if others else ""
        raise RefusedError(
            f"{state.model} {stage} has no version to go back to",
            hint=f"mreg history {state.model} {stage}{advice}",
            details={"model": state.model, "stage": stage, "held": list(map(str, others))},
        )
    return target


def _check_target(state: ModelState, lane: Lane, stage: StageName, to: Version) -> Version:
    if state.require(to) not in lane.held:
        held = ", ".join(map(str, sorted(lane.held))) or "none"
        promote = f"mreg promote {state.model}@{to} {stage} --reason 'why'"
        raise RefusedError(
            f"{state.model} {to} never held {stage}",
            hint=f"the versions that did: {held}; to put in a new one: {promote}",
            details={"model": state.model, "stage": stage, "version": str(to)},
        )
    return to


def _refuse_deleted(state: ModelState, version: Version, what: str) -> None:
    """Refuses a version whose bytes were given up: nobody could pull it.

    Raises:
        RefusedError: They were.
    """
    mark = state.archived.get(version)
    if mark and mark.deletion:
        raise RefusedError(
            f"{state.model} {version} {what}: its bytes were deleted {tell_deletion(mark.deletion)}",
            hint=f"mreg register {state.model} PATH   # where someone still has them: as a new version",
            details={"model": state.model, "version": str(version), "rule": "deleted"},
        )


def _archived_error(model: ModelName, version: Version, stage: StageName, state: str) -> RefusedError:
    return RefusedError(
        f"{model} {version} {state} and cannot go to {stage}",
        hint=f"mreg archive {model}@{version} --undo --reason 'why'",
        details={"model": model, "version": str(version), "rule": "archived"},
    )


def _move(
    layout: Layout, state: ModelState, change: PlannedChange, statement: Statement, *, hold: bool = False
) -> Plan:
    entry = StageEntry(
        version=change.target,
        replaces=change.source,
        has_replaces=True,
        reason=statement.reason,
        by=statement.by,
        at=statement.at,
        approved_by=statement.approved_by,
        hold=hold,
    )
    return Plan(
        model=state.model,
        version=change.target or change.source,
        stage=change.stage,
        subject=transition_subject(change.action, state.model, change.stage, change.source, change.target),
        body=statement.reason,
        trailers=_trailers(change.action.value, state.model, change, statement),
        documents={layout.stage(state.model, change.stage): format_stage(entry)},
        changes=(change,),
    )


def _hold(policy: Policy, state: ModelState, stage: StageName, entry: StageEntry, statement: Statement) -> Plan:
    rule, people = policy.stage(stage), policy.people
    if rule.who and not people.has_role(people.find_by_email(statement.by), rule.who):
        raise RefusedError(
            f"{statement.by} may not change {stage}: only {' or '.join(rule.who)} may",
            hint=f"ask one of them: {', '.join(name for role in rule.who for name in people.roles[role])}",
            details={"model": state.model, "stage": stage, "rule": "who"},
        )
    # The statement of whoever put the version there stays: a new one would pass for that of the next hand edit.
    change = PlannedChange(stage, Action.PROMOTE, entry.version, entry.version)
    verb = "Hold" if entry.hold else "Release the hold on"
    return Plan(
        model=state.model,
        version=entry.version,
        stage=stage,
        subject=f"{verb} {state.model} {stage}",
        body=statement.reason,
        trailers=_trailers("hold" if entry.hold else "release", state.model, change, statement),
        documents={policy.layout.stage(state.model, stage): format_stage(entry)},
        keeps_statement=True,
    )


def _archive_replaced(layout: Layout, state: ModelState, plan: Plan, statement: Statement) -> Plan:
    source = plan.changes[0].source
    if source is None or source in state.archived or source not in state.records:
        return plan
    others = [stage for stage in (*state.stages_of(source), *state.unreadable) if stage != plan.stage]
    if others:
        notice = f"{state.model} {source} was not archived: it is, or may be, in {', '.join(others)}"
        return replace(plan, notices=(*plan.notices, notice))
    reason = f"replaced by {plan.version} in {plan.stage}"
    mark = ArchivedMark(reason, statement.by, statement.at, replaced_in=plan.stage)
    change = PlannedChange(ARCHIVED, Action.ARCHIVE, None, source)
    return _with_archived(layout.stage(state.model, ARCHIVED), plan, {**state.archived, source: mark}, change)


def _with_archived(path: str, plan: Plan, archived: Mapping[Version, ArchivedMark], change: PlannedChange) -> Plan:
    document = format_archived(archived) if archived else None
    return replace(plan, documents={**plan.documents, path: document}, changes=(*plan.changes, change))


def _trailers(
    action: str, model: ModelName, change: PlannedChange, statement: Statement
) -> tuple[tuple[str, str], ...]:
    return (
        ("Mreg-Action", action),
        ("Mreg-Model", model),
        ("Mreg-Version", str(change.target or NO_VERSION)),
        ("Mreg-Stage", change.stage),
        ("Mreg-From", str(change.source or NO_VERSION)),
        *(("Approved-by", who) for who in statement.approved_by),
    )


def _require_reason(statement: Statement, hint: str) -> None:
    if not statement.reason.strip():
        raise UsageError("a reason is needed: the history records it", hint=hint)
