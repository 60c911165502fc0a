from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from mreg.core.history.timeline import Action
from mreg.core.names import ModelName, StageName
from mreg.core.review.gates import Case, GateFinding, Judgement, Outcome, judge
from mreg.core.review.refusals import advise, format_finding, refuse
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import StageRule
from mreg.core.settings.rules import MetricGate, SizeGate
from mreg.errors import RefusedError
from tests.core.court import make_policy, make_record, make_rule
from tests.core.simulator import CHURN, PRODUCTION, STAGING, START, V1, V2

EVE = Actor("eve@example.com")


def case_of(rule: StageRule, **changes: object) -> Case:
    """Returns the promotion of version 2 over version 1, by Eve."""
    case = Case(make_policy(rule), CHURN, PRODUCTION, Action.PROMOTE, V1, V2, START, EVE, make_record(V2))
    return replace(case, **changes)


def finding(rule: str, outcome: Outcome = Outcome.FAIL) -> GateFinding:
    return GateFinding(rule, "asked", outcome, "found")


def test_refuse_passes_what_no_gate_refuses() -> None:
    case = case_of(StageRule())
    refuse(case, Judgement(()))
    refuse(case, judge(case))
    refuse(case, Judgement((finding("size", Outcome.PASS), finding("pickle", Outcome.UNPROVEN))))


def test_refuse_of_one_gate_says_it_in_one_line() -> None:
    case = case_of(make_rule(SizeGate(1)))
    with pytest.raises(RefusedError) as caught:
        refuse(case, judge(case))
    assert caught.value.message == "churn v2.0.0 may not enter production: size ≤ 1 bytes: 7 bytes"
    assert caught.value.hint == "mreg show churn@v2.0.0"
    assert caught.value.details == {
        "model": "churn",
        "version": "v2.0.0",
        "stage": "production",
        "findings": [
            {"rule": "size", "gate": "size ≤ 1 bytes", "outcome": "fail", "measured": "7 bytes", "why": ""},
        ],
    }
    assert json.loads(json.dumps(dict(caught.value.details))) == caught.value.details


def test_refuse_of_several_gates_counts_and_details_have_all() -> None:
    case = case_of(make_rule(SizeGate(1), SizeGate(9), MetricGate("auc", min=0.9)))
    with pytest.raises(RefusedError, match="may not enter production: 2 of 3 gates block it") as caught:
        refuse(case, judge(case))
    outcomes = [each["outcome"] for each in caught.value.findings]
    assert outcomes == ["fail", "pass", "fail"]
    assert caught.value.__notes__ == [  # what a traceback shows
        "size ≤ 1 bytes: 7 bytes",
        "auc ≥ 0.9: auc is missing",
        "hint: mreg show churn@v2.0.0",
    ]
    case = case_of(make_rule(SizeGate(1), SizeGate(9)))
    with pytest.raises(RefusedError, match="1 of 2 gates blocks it"):
        refuse(case, judge(case))


@pytest.mark.parametrize(
    ("action", "target", "message"),
    [
        (Action.PROMOTE, V2, "churn v2.0.0 may not enter production: "),
        (Action.ROLLBACK, V2, "churn v2.0.0 may not go back into production: "),
        (Action.CLEAR, None, "churn v1.0.0 may not leave production: "),
        (Action.ARCHIVE, V2, "churn v2.0.0 may not change production: "),
    ],
)
def test_refuse_names_the_change(action: Action, target: object, message: str) -> None:
    case = case_of(make_rule(who=("managers",)), action=action, target=target)
    with pytest.raises(RefusedError) as caught:
        refuse(case, Judgement((finding("who"),)))
    assert caught.value.message == f"{message}asked: found"
    assert caught.value.details["version"] == ("v1.0.0" if target is None else "v2.0.0")


def test_format_finding_has_a_reason_where_there_is_one() -> None:
    assert format_finding(finding("x")) == "asked: found"
    assert format_finding(replace(finding("x"), why="so")) == "asked: found (so)"


@pytest.mark.parametrize(
    ("rule", "changes", "hint"),
    [
        ("from", {}, "mreg promote churn@v2.0.0 staging --reason 'why'   # then production"),
        ("archived", {}, "mreg archive churn@v2.0.0 --undo --reason 'why'"),
        ("approvals", {}, "mreg approve churn@v2.0.0 production   # by each approver; then promote again"),
        (
            "signature",
            {},
            "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub",
        ),
        (
            "who",
            {},
            "mreg promote churn@v2.0.0 production --reason 'why' --branch promote-churn   # and ask one of them",
        ),
        (
            "who",
            {"model": ModelName("fraud/eu")},
            "mreg promote fraud/eu@v2.0.0 production --reason 'why' --branch promote-fraud-eu   # and ask one of them",
        ),
        (
            "who",
            {"action": Action.ROLLBACK},
            "mreg rollback churn production --to v2.0.0 --reason 'why' --branch rollback-churn   # and ask one of them",
        ),
        (
            "who",
            {"action": Action.CLEAR, "target": None},
            "mreg clear churn production --reason 'why' --branch clear-churn   # and ask one of them",
        ),
        ("metric", {}, "mreg compare churn@production churn@v2.0.0"),
        ("metric", {"source": None}, "mreg show churn@v2.0.0"),
        ("soak", {}, "mreg show churn@v2.0.0"),
    ],
)
def test_advice_is_a_command_that_goes_on(rule: str, changes: dict[str, object], hint: str) -> None:
    assert advise(case_of(make_rule(origin=(STAGING, StageName("shadow"))), **changes), finding(rule)) == hint


def test_advice_is_that_of_the_first_refusal() -> None:
    case = case_of(make_rule(SizeGate(9), approvals=1, who=("managers",)))
    with pytest.raises(RefusedError) as caught:
        refuse(case, judge(case))
    assert caught.value.hint.startswith("mreg promote churn@v2.0.0 production --reason 'why' --branch promote-churn")
