from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from mreg.core.fields import Fields
from mreg.core.history.record import Record
from mreg.core.history.statements import artifact_name
from mreg.core.names import StageName, Version
from mreg.core.review.approvals import Approval, approval_id, format_approval, parse_approval
from mreg.core.settings.policy import ApprovalRule, StageRule
from mreg.core.writing.approving import plan_approve
from mreg.core.writing.plan import Plan, Statement
from mreg.errors import DataError, NotFoundError, RefusedError
from tests.core.court import Court, email_of, make_record, make_rule
from tests.core.simulator import CHURN, PRODUCTION, START, V1, V2, Simulator

ONE = make_rule(approvals=1)


@dataclass
class Clerk:
    """Plans approvals for a registry that has version 1 in production."""

    court: Court = field(default_factory=lambda: Court.of(ONE))
    signed: list[Approval] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.court.move(V1)

    @property
    def registry(self) -> Simulator:
        return self.court.registry

    def plan(
        self,
        version: Version = V2,
        stage: StageName = PRODUCTION,
        *,
        by: str = "bo@example.com",
        reason: str = "looked at it",
        given: Iterable[Approval] = (),
        record: Record | None = None,
        known: Iterable[str] = (),
    ) -> Plan:
        return plan_approve(
            self.registry.policy,
            self.registry.state(),
            record or make_record(version),
            stage,
            Statement(reason, by, START),
            given=given,
            sign=self.sign,
            known=set(known),
        )

    def sign(self, approval: Approval) -> str:
        self.signed.append(approval)
        return "a signature"


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


def test_approve_plans_one_file_that_binds_all_that_it_is_about(clerk: Clerk) -> None:
    plan = clerk.plan()
    approval = Approval(
        CHURN,
        V2,
        PRODUCTION,
        artifact_name(make_record(V2).artifact),
        V1,
        "bo@example.com",
        START,
        "looked at it",
        "a signature",
    )
    path = f"registry/churn/approvals/v2.0.0/production/{approval_id(approval)}.yaml"
    assert plan.documents == {path: format_approval(approval)}
    assert clerk.signed == [replace(approval, signature="")]
    assert parse_approval(Fields(plan.documents[path], where=path)) == approval
    assert (plan.model, plan.version, plan.stage, plan.changes) == (CHURN, V2, PRODUCTION, ())
    assert plan.message == (
        "Approve churn v2.0.0 for production\n\nlooked at it\n\nMreg-Action: approve\nMreg-Model: churn\n"
        "Mreg-Version: v2.0.0\nMreg-Stage: production\nMreg-From: v1.0.0\n"
    )


def test_approve_of_what_replaces_nothing_says_so(clerk: Clerk) -> None:
    clerk.court.move(None)
    plan = clerk.plan(reason="")
    (document,) = plan.documents.values()
    assert isinstance(document, dict)
    assert (document["replaces"], document.get("reason")) == ("none", None)
    assert plan.trailers[-1] == ("Mreg-From", "none")


def test_approve_plan_counts_once_it_is_committed(clerk: Clerk) -> None:
    plan = clerk.plan()
    approval = parse_approval(Fields(next(iter(plan.documents.values())), where="x"))
    assert [clerk.court.plant(replace(approval, signature=""))] == list(plan.documents)
    assert not clerk.court.move(V2).refusals


def test_approve_of_what_is_there_already_is_refused(clerk: Clerk) -> None:
    with pytest.raises(RefusedError, match=r"churn v1\.0\.0 is already in production: there is nothing") as caught:
        clerk.plan(V1)
    assert caught.value.hint == "mreg history churn production"
    assert clerk.signed == []


@pytest.mark.parametrize("email", ["ada@example.com", "eve@example.com", "bo@evil.example", "", "bo"])
def test_approve_by_who_may_not_is_refused_and_names_who_may(clerk: Clerk, email: str) -> None:
    with pytest.raises(RefusedError, match="may not approve for production: only reviewers may") as caught:
        clerk.plan(by=email)
    assert caught.value.hint == "ask one of them: bo, cy; or check your address: git config user.email"
    assert caught.value.details == {"stage": PRODUCTION, "by": email, "roles": ["reviewers"]}
    assert clerk.signed == []


def test_approve_where_nobody_may_says_so(clerk: Clerk) -> None:
    registry = clerk.registry
    people = replace(registry.policy.people, roles={"reviewers": ()})
    registry.policy = replace(registry.policy, people=people)
    with pytest.raises(RefusedError) as caught:
        clerk.plan()
    assert caught.value.hint.startswith("ask one of them: nobody;")


def test_approve_where_anyone_may_is_planned_for_anyone(clerk: Clerk) -> None:
    policy = clerk.registry.policy
    anyone = StageRule(approvals=ApprovalRule(1))
    clerk.registry.policy = replace(policy, stages={**policy.stages, PRODUCTION: anyone})
    assert clerk.plan(by="eve@example.com").changed
    given = replace(clerk.signed[0], by="EVE@example.com")
    assert not clerk.plan(by="eve@example.com", given=[given]).changed


def test_approve_for_a_stage_that_is_not_declared_is_not_found(clerk: Clerk) -> None:
    with pytest.raises(NotFoundError, match="stage 'shadow' is not declared"):
        clerk.plan(stage=StageName("shadow"))


def test_approve_for_a_stage_that_cannot_be_read_stops(clerk: Clerk) -> None:
    clerk.registry.edit("broken")
    with pytest.raises(DataError, match="a mapping is expected here"):
        clerk.plan()


@pytest.mark.parametrize("email", ["bo@example.com", "BO@example.com", "bo@home.example"])
def test_approve_twice_by_one_person_is_once(clerk: Clerk, email: str) -> None:
    clerk.plan()
    given = replace(clerk.signed[0], reason="another", at=None)
    plan = clerk.plan(by=email, given=[given])
    assert (plan.changed, plan.notices) == (False, (f"{email} has approved churn v2.0.0 already",))
    assert len(clerk.signed) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"by": email_of("cy")},
        {"artifact": "sha256:0e"},
        {"replaces": None},
        {"version": V1},
        {"stage": StageName("staging")},
    ],
)
def test_approve_is_planned_beside_an_approval_of_something_else(clerk: Clerk, change: dict[str, object]) -> None:
    clerk.plan()
    given = replace(clerk.signed[0], **change)
    assert clerk.plan(given=[given]).changed


def test_approve_within_the_second_of_one_that_is_spent_says_something_else(clerk: Clerk) -> None:
    clerk.plan()
    plan = clerk.plan(known=[approval_id(clerk.signed[-1])])
    assert clerk.signed[-1].at == START + timedelta(seconds=1)
    assert plan.documents.keys() != clerk.plan().documents.keys()
