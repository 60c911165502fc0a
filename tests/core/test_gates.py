from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.manifest import Deletion
from mreg.core.history.record import Code, Dataset, Record
from mreg.core.history.statements import artifact_name
from mreg.core.history.timeline import Action, Stay
from mreg.core.names import ARCHIVED, StageName
from mreg.core.review.approvals import Vote
from mreg.core.review.gates import Case, GateFinding, Judgement, Outcome, Scan, judge
from mreg.core.review.refusals import advise
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import Policy, StageRule
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
)
from tests.core.court import ADA, BO, CY, Court, make_policy, make_record, make_rule, refused, said
from tests.core.simulator import CHURN, PRODUCTION, STAGING, START, V1, V2

PASS, FAIL, UNPROVEN = Outcome.PASS, Outcome.FAIL, Outcome.UNPROVEN
PROVEN = Actor(ADA.emails[0], ADA, is_proven=True)
CLAIMED = Actor(ADA.emails[0], ADA)


def case_of(rule: StageRule, **changes: object) -> Case:
    """Returns the promotion of version 2 over version 1, by Ada."""
    case = Case(
        policy=make_policy(rule),
        model=CHURN,
        stage=PRODUCTION,
        action=Action.PROMOTE,
        source=V1,
        target=V2,
        at=START,
        actor=CLAIMED,
        record=make_record(V2),
    )
    return replace(case, **changes)


def ask(gate: Gate, **changes: object) -> GateFinding:
    """Returns the answer of one gate."""
    (finding,) = judge(case_of(make_rule(gate), **changes)).findings
    return finding


# Which transitions are asked what.


def test_judge_asks_nothing_of_an_undeclared_stage_or_the_archive() -> None:
    rule = make_rule(approvals=2, who=("managers",), is_signed=True)
    everyone = {"actor": Actor("eve@example.com"), "is_archived": True}
    assert judge(case_of(rule, stage=StageName("shadow"), **everyone)) == Judgement(())
    assert judge(case_of(rule, stage=ARCHIVED, action=Action.ARCHIVE, **everyone)) == Judgement(())
    declared = replace(make_policy(rule), stages={ARCHIVED: rule})
    assert not judge(case_of(rule, stage=ARCHIVED, policy=declared, **everyone)).refusals


STRICT = make_rule(
    MetricGate("auc", min=0.9),
    FreezeGate(days=("thu",)),  # START is one
    approvals=1,
    who=("managers",),
    is_signed=True,
    origin=(STAGING,),
)


def test_judge_asks_a_promotion_everything_and_answers_all() -> None:
    judgement = judge(case_of(STRICT, actor=Actor("eve@example.com"), is_archived=True, record=None))
    asked = ["who", "signature", "archived", "record", "from", "metric", "frozen", "approvals"]
    assert [finding.rule for finding in judgement.findings] == asked
    assert refused(judgement) == asked


@pytest.mark.parametrize("action", [Action.ROLLBACK, Action.CLEAR])
def test_judge_asks_others_only_who_for_a_signature_and_whether_it_is_archived(action: Action) -> None:
    target = None if action is Action.CLEAR else V2
    for actor, expected in ((PROVEN, []), (CLAIMED, ["signature"]), (Actor("eve@example.com"), ["who", "signature"])):
        judgement = judge(case_of(STRICT, action=action, target=target, record=None, actor=actor))
        assert [finding.rule for finding in judgement.findings] == ["who", "signature"]
        assert refused(judgement) == expected
        assert judgement.tally.approvers == ()
    archived = judge(case_of(STRICT, action=action, target=target, actor=PROVEN, is_archived=True))
    assert refused(archived) == ["archived"]
    assert said(archived, "archived").why.startswith("take it out first: mreg archive churn@")
    case = case_of(STRICT, action=action, target=target, actor=PROVEN, is_archived=True, deletion=Deletion("old"))
    assert refused(judge(case)) == ["deleted"]
    assert said(judge(case), "deleted").why == "its bytes were deleted on purpose (old)"
    assert advise(case, said(judge(case), "deleted")).startswith("mreg register churn PATH ")


def test_judge_of_a_stage_without_rules_finds_nothing() -> None:
    assert judge(case_of(StageRule())) == Judgement(())
    assert not judge(case_of(StageRule())).refusals


def test_judge_is_pure() -> None:
    case = case_of(STRICT, actor=Actor("eve@example.com"))
    assert judge(case) == judge(case)


def test_judgement_refuses_what_fails_and_nothing_else() -> None:
    findings = tuple(GateFinding(outcome.value, "", outcome, "") for outcome in Outcome)
    assert refused(Judgement(findings)) == ["fail"]
    assert Judgement(findings).refusals
    assert not Judgement((findings[0], findings[2])).refusals


# Who, and signatures.


@pytest.mark.parametrize(
    ("actor", "allowed"),
    [
        (CLAIMED, True),
        (PROVEN, True),
        (Actor(BO.emails[0], BO), False),
        (Actor("ada@evil.example"), False),
        (Actor("managers"), False),
        (Actor(""), False),
    ],
)
def test_who_is_a_person_of_the_role(actor: Actor, allowed: bool) -> None:
    finding = said(judge(case_of(make_rule(who=("managers",)), actor=actor)), "who")
    assert (finding.gate, finding.measured) == ("changed by managers", str(actor))
    assert (finding.outcome is PASS) is allowed
    assert finding.why == ("" if allowed else f"{actor.email} is not in managers")


def test_who_may_be_of_one_of_several_roles() -> None:
    finding = said(judge(case_of(make_rule(who=("reviewers", "managers")))), "who")
    assert (finding.gate, finding.outcome) == ("changed by reviewers or managers", PASS)


@pytest.mark.parametrize(
    ("actor", "measured", "why"),
    [
        (PROVEN, "signed", ""),
        (CLAIMED, "not signed", "the statement must be signed with an SSH key"),
        (replace(CLAIMED, fault="broken"), "the signature is not valid", "broken"),
        (replace(CLAIMED, stranger="ssh-x"), "signed by an unknown key", "nobody in people: has the key ssh-x"),
    ],
)
def test_signature_that_is_required(actor: Actor, measured: str, why: str) -> None:
    finding = said(judge(case_of(make_rule(is_signed=True), actor=actor)), "signature")
    assert (finding.measured, finding.why) == (measured, why)
    assert finding.outcome is (PASS if actor.is_proven else FAIL)


def test_signature_that_is_optional_fails_only_where_it_is_false() -> None:
    for actor in (PROVEN, CLAIMED, replace(CLAIMED, stranger="ssh-x")):
        assert judge(case_of(StageRule(), actor=actor)).findings == ()
    assert refused(judge(case_of(StageRule(), actor=replace(CLAIMED, fault="broken")))) == ["signature"]


# Where it comes from.


@pytest.mark.parametrize(
    ("origins", "measured", "outcome"),
    [
        (frozenset({STAGING}), "in staging", PASS),
        (frozenset({STAGING, StageName("shadow")}), "in shadow, staging", PASS),
        (frozenset({StageName("shadow")}), "in shadow", FAIL),
        (frozenset(), "in no stage", FAIL),
    ],
)
def test_from_is_one_of_the_stages_that_hold_it(origins: frozenset[StageName], measured: str, outcome: Outcome) -> None:
    rule = make_rule(origin=(STAGING, StageName("canary")))
    finding = said(judge(case_of(rule, origins=origins)), "from")
    assert (finding.gate, finding.measured, finding.outcome) == ("comes from staging or canary", measured, outcome)
    assert finding.why == ("" if outcome is PASS else "a version enters production only from there")


@pytest.mark.parametrize(
    ("gate", "rule"),
    [
        (MetricGate("auc", min=0), "metric"),
        (RequireGate(("notes",)), "require"),
        (FormatGate(("onnx",)), "format"),
        (SizeGate(10**12), "size"),
        (PickleGate(PickleMode.FORBID), "pickle"),
        (PickleGate(PickleMode.SCAN), "pickle"),
    ],
)
def test_record_that_cannot_be_read_passes_no_gate(gate: Gate, rule: str) -> None:
    clean = Scan("scan", is_clean=True)
    judgement = judge(case_of(make_rule(gate), record=None, scan=clean))
    assert refused(judgement) == ["record", rule]
    assert said(judgement, "record").why == "churn v2.0.0 has no record"
    assert said(judgement, rule).measured == "no record"


def test_record_that_cannot_be_read_passes_a_stage_that_asks_for_nothing_neither() -> None:
    assert refused(judge(case_of(StageRule(), record=None))) == ["record"]


# Metrics.


@pytest.mark.parametrize(
    ("gate", "value", "outcome", "why"),
    [
        (MetricGate("auc", min=0.9), 0.9, PASS, ""),
        (MetricGate("auc", min=0.9), 0.8999999999, FAIL, "below 0.9"),
        (MetricGate("auc", max=1), 1.0, PASS, ""),
        (MetricGate("auc", max=1), 1.0000000001, FAIL, "above 1"),
        (MetricGate("auc", min=0, max=0), 0, PASS, ""),
        (MetricGate("auc", min=0, max=0), -0.0, PASS, ""),
        (MetricGate("latency_ms", max=20), 21, FAIL, "above 20 ms"),
        (MetricGate("auc", min=10**400), 1e308, FAIL, f"below {10**400}"),
    ],
    ids=range(8),
)
def test_metric_within_bounds(gate: MetricGate, value: float, outcome: Outcome, why: str) -> None:
    finding = ask(gate, record=make_record(V2, {gate.metric: value}))
    assert (finding.rule, finding.gate, finding.outcome, finding.why) == ("metric", str(gate), outcome, why)


@pytest.mark.parametrize("gate", [MetricGate("auc", min=-1), MetricGate("auc", no_worse_than=PRODUCTION)])
def test_metric_that_is_missing_does_not_pass(gate: MetricGate) -> None:
    finding = ask(gate, record=make_record(V2, {"AUC": 1, "auc ": 1}), holders={PRODUCTION: make_record(V1)})
    assert (finding.outcome, finding.measured) == (FAIL, "auc is missing")


@pytest.mark.parametrize(
    ("metric", "tolerance", "value", "other", "outcome"),
    [
        ("auc", 0, 0.9, 0.9, PASS),
        ("auc", 0, 0.91, 0.9, PASS),
        ("auc", 0, 0.8999, 0.9, FAIL),
        ("auc", 0.011, 0.902, 0.913, PASS),
        ("auc", 0.011, 0.9019, 0.913, FAIL),
        ("latency_ms", 0, 20, 21, PASS),
        ("latency_ms", 0, 21, 20, FAIL),
        ("latency_ms", 1, 21, 20, PASS),
        ("latency_ms", 0.9, 21, 20, FAIL),
        ("auc", "1%", 0.99, 1, PASS),
        ("auc", "1%", 0.9899, 1, FAIL),
        ("auc", "1%", 0, 0, PASS),
        ("auc", "1%", -1e-9, 0, FAIL),
        ("auc", "1%", 5, 0, PASS),
        ("auc", "10%", -1.1, -1, PASS),
        ("auc", "10%", -1.11, -1, FAIL),
        ("latency_ms", "5%", 105, 100, PASS),
        ("latency_ms", "5%", 105.01, 100, FAIL),
    ],
)
def test_metric_no_worse_than_what_a_stage_holds(
    metric: str, tolerance: float | str, value: float, other: float, outcome: Outcome
) -> None:
    is_relative = isinstance(tolerance, str)
    number = int(tolerance[:-1]) / 100 if isinstance(tolerance, str) else tolerance
    gate = MetricGate(metric, no_worse_than=PRODUCTION, tolerance=number, is_relative=is_relative)
    holders = {PRODUCTION: make_record(V1, {metric: other})}
    finding = ask(gate, record=make_record(V2, {metric: value}), holders=holders)
    assert finding.outcome is outcome
    assert finding.measured.endswith(" of v1.0.0")
    assert finding.why == ("" if outcome is PASS else "worse than v1.0.0 in production")


def test_metric_no_worse_than_an_empty_stage_passes_and_says_so() -> None:
    gate = MetricGate("auc", no_worse_than=STAGING)
    finding = ask(gate, record=make_record(V2, {"auc": 0.1}), holders={PRODUCTION: make_record(V1, {"auc": 1})})
    assert (finding.outcome, finding.why) == (PASS, "staging is empty")


def test_metric_no_worse_than_what_lacks_it_passes_and_says_so() -> None:
    gate = MetricGate("auc", no_worse_than=STAGING)
    finding = ask(gate, record=make_record(V2, {"auc": 0.1}), holders={STAGING: make_record(V1)})
    assert (finding.outcome, finding.why) == (PASS, "v1.0.0 in staging has no auc")


def test_metric_no_worse_than_what_cannot_be_read_does_not_pass() -> None:
    gate = MetricGate("auc", no_worse_than=STAGING)
    finding = ask(gate, record=make_record(V2, {"auc": 1}), holders={STAGING: None})
    assert (finding.outcome, finding.why) == (FAIL, "the record of the version in staging cannot be read")


def test_metric_gate_gives_all_its_reasons() -> None:
    gate = MetricGate("auc", min=0.9, max=0.1, no_worse_than=PRODUCTION)
    finding = ask(gate, record=make_record(V2, {"auc": 0.5}), holders={PRODUCTION: make_record(V1, {"auc": 0.6})})
    assert finding.why == "below 0.9; above 0.1; worse than v1.0.0 in production"
    assert finding.measured == "0.5 against 0.6 of v1.0.0"


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(0, 50), st.sampled_from(["auc", "latency_ms"]))
def test_metric_no_worse_is_exact_in_both_directions(value: int, other: int, tolerance: int, metric: str) -> None:
    gate = MetricGate(metric, no_worse_than=PRODUCTION, tolerance=tolerance / 100)
    holders = {PRODUCTION: make_record(V1, {metric: other / 100})}
    finding = ask(gate, record=make_record(V2, {metric: value / 100}), holders=holders)
    loss = other - value if metric == "auc" else value - other
    assert (finding.outcome is PASS) is (loss <= tolerance)


# Records.


@pytest.mark.parametrize(
    ("field", "is_there"),
    [
        ("metrics", True),
        ("metrics.auc", True),
        ("metrics.val.auc", True),  # a name with a dot in it
        ("metrics.val", False),
        ("metrics.zero", True),
        ("metrics.f1", False),
        ("params", False),
        ("params.depth", False),
        ("dataset", True),
        ("dataset.version", True),
        ("dataset.path", False),
        ("code.commit", True),
        ("code.dirty", True),
        ("code.repo", False),
        ("notes", True),
        ("notes.x", False),
        ("metadata.owner.team", True),
        ("metadata.owner.lead", False),
        ("metadata.none", False),
        ("metadata.list", False),
        ("artifact.sha256", True),
        ("artifact.md5", False),
        ("run", False),
        ("trained_at", False),
        ("environment.python", False),
    ],
)
def test_require_is_a_field_with_something_in_it(field: str, is_there: bool) -> None:
    record = replace(
        make_record(V2, {"auc": 0.9, "val.auc": 0.8, "zero": 0}),
        dataset=Dataset("churn", "2026-01"),
        code=Code("0f"),
        notes="x",
        metadata={"owner": {"team": "risk", "lead": ""}, "none": None, "list": []},
    )
    finding = ask(RequireGate((field,)), record=record)
    assert (finding.rule, finding.outcome is PASS) == ("require", is_there)
    assert finding.measured == ("all there" if is_there else f"lacks {field}")


def test_require_names_all_that_is_missing() -> None:
    finding = ask(RequireGate(("notes", "artifact", "params", "run.url")))
    assert (finding.outcome, finding.measured) == (FAIL, "lacks notes, params, run.url")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("onnx", PASS),
        ("onnx+mlflow", PASS),
        ("mlflow+onnx", PASS),
        ("mlflow+onnx+pickle", FAIL),
        ("pickle", FAIL),
        ("ONNX", FAIL),
        ("onnx ", FAIL),
        ("", FAIL),
        ("+", FAIL),
        ("onnx+", FAIL),
    ],
)
def test_format_is_allowed_in_all_its_parts(name: str, outcome: Outcome) -> None:
    finding = ask(FormatGate(("onnx", "mlflow")), record=make_record(V2, format=name))
    assert (finding.rule, finding.outcome, finding.measured) == ("format", outcome, name or "unknown")


@pytest.mark.parametrize(("size", "outcome"), [(0, PASS), (100, PASS), (101, FAIL), (2**70, FAIL)])
def test_size_is_at_most_that(size: int, outcome: Outcome) -> None:
    finding = ask(SizeGate(100), record=make_record(V2, size=size))
    assert (finding.rule, finding.outcome, finding.measured) == ("size", outcome, f"{size} bytes")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "pickle",
            "joblib",
            "mlflow+pickle",
            "numpy+pickle",
            "torch-zip",
            "torchscript",
            "keras",
            "hdf5",
            "savedmodel",
        ),
        *("Pickle", "PICKLE", " joblib", "joblib ", "onnx-joblib", "sklearn_pickle", "my cloudpickle", "Torch-Zip"),
    ],
)
def test_pickle_in_any_spelling_is_forbidden(name: str) -> None:
    finding = ask(PickleGate(PickleMode.FORBID), record=make_record(V2, format=name))
    assert (finding.rule, finding.outcome, finding.measured) == ("pickle", FAIL, name)
    assert "while it is loaded" in finding.why or "program" in finding.why or "code" in finding.why


@pytest.mark.parametrize("name", ["onnx", "safetensors", "gguf", "mlflow+onnx", "skops"])
def test_pickle_free_format_is_not_forbidden(name: str) -> None:
    finding = ask(PickleGate(PickleMode.FORBID), record=make_record(V2, format=name))
    assert (finding.outcome, finding.why) == (PASS, "")


@pytest.mark.parametrize("mode", PickleMode)
def test_pickle_gate_does_not_pass_a_format_that_nobody_knows(mode: PickleMode) -> None:
    finding = ask(PickleGate(mode), record=make_record(V2, format=""))
    assert finding.outcome is (FAIL if mode is PickleMode.FORBID else UNPROVEN)
    assert finding.measured == "unknown format"


@pytest.mark.parametrize("name", ["pickle", "onnx", ""])
@pytest.mark.parametrize("is_clean", [True, False])
def test_pickle_scan_decides_whatever_the_record_calls_it(name: str, is_clean: bool) -> None:
    scan = Scan("picklescan 1.0", is_clean=is_clean, message="os.system" if not is_clean else "")
    finding = ask(PickleGate(PickleMode.SCAN), record=make_record(V2, format=name), scan=scan)
    assert finding.outcome is (PASS if is_clean else FAIL)
    assert finding.measured == f"{name or 'unknown format'}, by picklescan 1.0"
    assert finding.why == scan.message


def test_pickle_that_nobody_scanned_is_unproven_and_no_pickle_passes() -> None:
    for name, outcome in (("pickle", UNPROVEN), ("onnx", PASS)):
        judgement = judge(case_of(make_rule(PickleGate(PickleMode.SCAN)), record=make_record(V2, format=name)))
        assert said(judgement, "pickle").outcome is outcome
        assert not judgement.refusals


def test_pickle_scan_does_not_loosen_what_is_forbidden() -> None:
    clean = Scan("scan", is_clean=True)
    finding = ask(PickleGate(PickleMode.FORBID), record=make_record(V2, format="pickle"), scan=clean)
    assert finding.outcome is FAIL


# Time.


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("stays", "seconds", "measured", "outcome"),
    [
        ((), 0, "never in staging", FAIL),
        ((Stay(PRODUCTION, START - HOUR),), 0, "never in staging", FAIL),
        ((Stay(STAGING, START - HOUR),), 3600, "1h in staging", PASS),
        ((Stay(STAGING, START - HOUR),), 3660, "1h in staging", FAIL),
        ((Stay(STAGING, START - 3 * HOUR, START - HOUR),), 7200, "2h in staging", PASS),
        # Two stays are not added up: the longest counts.
        ((Stay(STAGING, START - 3 * HOUR, START - HOUR), Stay(STAGING, START - HOUR)), 9000, "2h in staging", FAIL),
        ((Stay(PRODUCTION, START - 9 * HOUR), Stay(STAGING, START - HOUR)), 7200, "1h in staging", FAIL),
        # A clock that stands still, and one that jumped back.
        ((Stay(STAGING, START),), 0, "0m in staging", PASS),
        ((Stay(STAGING, START),), 60, "0m in staging", FAIL),
        ((Stay(STAGING, START + HOUR),), 0, "0m in staging", PASS),
        ((Stay(STAGING, START + HOUR),), 60, "0m in staging", FAIL),
        ((Stay(STAGING, START, START - 9 * HOUR), Stay(STAGING, START - HOUR)), 3600, "1h in staging", PASS),
    ],
)
def test_soak_is_the_longest_stay(stays: tuple[Stay, ...], seconds: int, measured: str, outcome: Outcome) -> None:
    finding = ask(SoakGate(STAGING, seconds), stays=stays)
    assert (finding.rule, finding.measured, finding.outcome) == ("soak", measured, outcome)
    assert not stays or measured.startswith("never") or "which anyone can set" in finding.why


def test_soak_knows_other_zones() -> None:
    entered = (START - HOUR).astimezone(timezone(timedelta(hours=-11)))
    assert ask(SoakGate(STAGING, 3600), stays=(Stay(STAGING, entered),)).outcome is PASS


def test_freeze_is_asked_of_the_time_of_the_commit() -> None:
    gate = FreezeGate(START, START + HOUR, why="year's end")
    for at, outcome, why in (
        (START - timedelta(seconds=1), PASS, ""),
        (START, FAIL, "year's end"),
        (START + HOUR, PASS, ""),
    ):
        finding = ask(gate, at=at)
        assert (finding.rule, finding.outcome, finding.why) == ("frozen", outcome, why)
    assert ask(gate).measured == "2026-01-01T00:00:00Z"


# Approvals.


def vote(name: str, path: str = "a", **changes: object) -> Vote:
    approval = replace(Court.of(StageRule()).approval(V2, by=name), replaces=V1)
    return replace(Vote(path, approval, authors=frozenset({approval.by})), **changes)


def test_approvals_are_counted_by_persons_and_say_what_is_missing() -> None:
    rule = make_rule(approvals=2)
    votes = (vote("bo", "a"), vote("bo", "b"), vote("eve", "c"))
    finding = said(judge(case_of(rule, votes=votes)), "approvals")
    assert finding.gate == "approved by 2 people in reviewers, other than the proposer"
    assert (finding.outcome, finding.measured) == (FAIL, "bo <bo@example.com> (claimed)")
    assert finding.why == "1 more needed; c: eve@example.com (claimed) is not in reviewers"
    finding = said(judge(case_of(rule, votes=(*votes, vote("cy", "d")))), "approvals")
    assert (finding.outcome, finding.why) == (PASS, "")
    assert finding.measured == "bo <bo@example.com> (claimed), cy <cy@example.com> (claimed)"


def test_approvals_by_anyone_are_asked_for_in_other_words() -> None:
    plain = StageRule(approvals=replace(make_rule(approvals=1).approvals, by=(), not_author=False))
    finding = said(judge(case_of(plain)), "approvals")
    assert (finding.gate, finding.measured, finding.why) == ("approved by 1 person", "nobody", "1 more needed")
    assert not judge(case_of(plain, votes=(vote("eve"),))).refusals


def test_approvals_where_none_are_asked_for_are_tallied_and_stop_nothing() -> None:
    judgement = judge(case_of(StageRule(), votes=(vote("bo"), vote("eve", "b", is_changed=True))))
    assert judgement.findings == ()
    assert [actor.name for actor in judgement.tally.approvers] == ["bo"]
    assert [code for code, _, _ in judgement.tally.faults] == ["approval-changed"]


def test_approvals_of_a_version_without_a_record_bind_no_bytes() -> None:
    for artifact in ("", artifact_name(make_record(V2).artifact)):
        given_vote = vote("bo")
        assert given_vote.approval
        approval = replace(given_vote.approval, artifact=artifact)
        judgement = judge(case_of(make_rule(approvals=1), record=None, votes=(replace(given_vote, approval=approval),)))
        assert "record" in refused(judgement)


def test_approvals_are_all_told_and_no_more_than_asked_for_are_needed() -> None:
    judgement = judge(case_of(make_rule(approvals=1), votes=(vote("cy"), vote("bo", "b"))))
    assert not judgement.refusals
    assert judgement.tally.votes == {"bo": "b", "cy": "a"}
    assert [actor.person for actor in judgement.tally.approvers] == [BO, CY]


@given(
    st.lists(st.sampled_from([*PickleMode, "metric", "size", "format", "require", "soak", "frozen"]), max_size=5),
    st.booleans(),
)
def test_judge_answers_each_gate_once_and_in_order(kinds: list[object], has_record: bool) -> None:
    gates: dict[object, Gate] = {
        PickleMode.FORBID: PickleGate(PickleMode.FORBID),
        PickleMode.SCAN: PickleGate(PickleMode.SCAN),
        "metric": MetricGate("auc", min=0),
        "size": SizeGate(1),
        "format": FormatGate(("onnx",)),
        "require": RequireGate(("notes",)),
        "soak": SoakGate(STAGING),
        "frozen": FreezeGate(START),
    }
    record: Record | None = make_record(V2) if has_record else None
    judgement = judge(case_of(make_rule(*(gates[kind] for kind in kinds)), record=record))
    expected = ["pickle" if isinstance(kind, PickleMode) else kind for kind in kinds]
    assert [finding.rule for finding in judgement.findings] == ([] if has_record else ["record"]) + expected
    assert has_record or judgement.refusals


def test_policy_of_a_case_is_the_only_one_asked() -> None:
    case = case_of(make_rule(MetricGate("auc", min=0.9)))
    assert judge(case).refusals
    assert not judge(replace(case, policy=Policy())).refusals
