"""The plan of an approval: one file that says that one person agrees to one promotion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta

from msgspec.structs import replace

from mreg.core.history.manifest import NO_VERSION
from mreg.core.history.record import Record
from mreg.core.history.state import ModelState
from mreg.core.history.statements import artifact_name
from mreg.core.names import StageName
from mreg.core.review.approvals import Approval, approval_id, format_approval
from mreg.core.settings.policy import Policy
from mreg.core.writing.plan import Plan, Statement
from mreg.errors import RefusedError

__all__ = ["plan_approve"]


def plan_approve(  # noqa: PLR0913 - all that an approval binds
    policy: Policy,
    state: ModelState,
    record: Record,
    stage: StageName,
    statement: Statement,
    *,
    given: Iterable[Approval],
    sign: Callable[[Approval], str],
    known: Collection[str] = (),
) -> Plan:
    """Returns the plan that commits an approval.

    Args:
        policy: The rules in force.
        state: The model on the registry branch: what its stage holds now is what would be replaced.
        record: Of the version that is approved.
        stage: Where it may go.
        statement: Who approves, when and why.
        given: The approvals of this version and stage that are there and still fresh.
        sign: Gives the signature of an approval; empty where none is asked for.
        known: The names of all approvals that were ever there: one that is spent comes not back.

    Raises:
        NotFoundError: The stage is not declared.
        RefusedError: The stage holds the version already, or who approves is in none of the roles that may.
        DataError: The stage file cannot be read.
    """
    rule, source = policy.stage(stage).approvals, state.holder(stage)
    name = f"{state.model} {record.version}"
    if source == record.version:
        raise RefusedError(
            f"{name} is already in {stage}: there is nothing to approve", hint=f"mreg history {state.model} {stage}"
        )
    person = policy.people.find_by_email(statement.by)
    if rule.by and not policy.people.has_role(person, rule.by):
        able = ", ".join(name for role in rule.by for name in policy.people.roles[role]) or "nobody"
        raise RefusedError(
            f"{statement.by} may not approve for {stage}: only {' or '.join(rule.by)} may",
            hint=f"ask one of them: {able}; or check your address: git config user.email",
            details={"stage": stage, "by": statement.by, "roles": list(rule.by)},
        )
    approval = Approval(
        model=state.model,
        version=record.version,
        stage=stage,
        artifact=artifact_name(record.artifact),
        replaces=source,
        by=statement.by,
        at=statement.at,
        reason=statement.reason,
    )
    mine = {statement.by.casefold(), *(person.emails if person else ())}
    if any(each.by.casefold() in mine and _binds(each) == _binds(approval) for each in given):
        return Plan(state.model, record.version, stage, notices=(f"{statement.by} has approved {name} already",))
    moment = statement.at
    while approval_id(approval) in known:  # what was spent within this second says the same
        moment += timedelta(seconds=1)
        approval = replace(approval, at=moment)
    signed = replace(approval, signature=sign(approval))
    path = policy.layout.approval(state.model, record.version, stage, approval_id(approval))
    return Plan(
        model=state.model,
        version=record.version,
        stage=stage,
        subject=f"Approve {name} for {stage}",
        body=statement.reason,
        trailers=(
            ("Mreg-Action", "approve"),
            ("Mreg-Model", state.model),
            ("Mreg-Version", str(record.version)),
            ("Mreg-Stage", stage),
            ("Mreg-From", str(source or NO_VERSION)),
        ),
        documents={path: format_approval(signed)},
    )


def _binds(approval: Approval) -> tuple[object, ...]:
    return (approval.model, approval.version, approval.stage, approval.artifact, approval.replaces)
