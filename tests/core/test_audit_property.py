"""No history that the plans and gates of the core let land violates its own policy."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from mreg.core.fields import Plain
from mreg.core.history.record import Artifact, Record
from mreg.core.names import StageName, Version
from mreg.core.settings.policy import OnReplace
from mreg.core.writing.plan import Plan, Statement
from mreg.core.writing.transitions import plan_archive, plan_clear, plan_hold, plan_promote, plan_rollback
from mreg.errors import MregError
from tests.core.simulator import ADA, CHURN, PRODUCTION, STAGING, Simulator, oid_of
from tests.core.test_audit import BO, EVE, PEOPLE, Stand

WHO = (ADA, BO, EVE)
STAGES = (STAGING, PRODUCTION)

metric = st.fixed_dictionaries(
    {"metric": st.just("auc")},
    optional={"min": st.sampled_from([0.1, 0.5]), "no_worse_than": st.sampled_from(STAGES)},
).filter(lambda gate: len(gate) > 1)
gates = st.one_of(
    metric,
    st.just({"require": ["metrics.auc"]}),
    st.just({"formats": ["onnx"]}),
    st.just({"max_size": 10}),
    st.just({"pickle": "forbid"}),
    st.just({"was_in": "staging", "for": "2m"}),
)


@st.composite
def stage_rules(draw: st.DrawFn, stage: StageName) -> dict[str, Plain]:
    """Draws what one stage asks for."""
    rules: dict[str, Plain] = {"on_replace": draw(st.sampled_from(["keep", "archive"]))}
    if stage == PRODUCTION and draw(st.booleans()):
        rules["from"] = "staging"
    rules["gates"] = [*draw(st.lists(gates, max_size=2))]
    if draw(st.booleans()):
        rules["approvals"] = {"count": draw(st.integers(0, 1)), "by": ["reviewers"], "not": ["author"]}
    if draw(st.booleans()):
        rules["who"] = [*draw(st.sampled_from([("able",), ("able", "reviewers")]))]
    return rules


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Plain]:
    """Draws settings; who may change them does not change."""
    stages: dict[str, Plain] = {stage: draw(stage_rules(stage)) for stage in STAGES}
    return {**PEOPLE, "owners": ["owners"], "metrics": {"auc": {"direction": "higher"}}, "stages": stages}


versions = st.integers(1, 4).map(Version)
verbs = st.one_of(
    st.tuples(st.just("ship"), versions, st.sampled_from(STAGES)),
    st.tuples(st.just("ship"), versions, st.sampled_from(STAGES)),
    st.tuples(st.just("promote"), versions, st.sampled_from(STAGES)),
    st.tuples(st.just("approve"), versions, st.sampled_from(STAGES)),
    st.tuples(st.just("rollback"), st.none() | versions, st.sampled_from(STAGES)),
    st.tuples(st.just("clear"), st.none(), st.sampled_from(STAGES)),
    st.tuples(st.just("hold"), st.booleans(), st.sampled_from(STAGES)),
    st.tuples(st.just("archive"), versions, st.booleans()),
    st.tuples(st.just("settle"), policies(), st.none()),
)


def run(stand: Stand, verb: tuple[str, object, object], who: str) -> None:
    """Does what one verb asks for, if every rule allows it."""
    name, first, second = verb
    sim = stand.sim
    if name == "settle" and isinstance(first, dict):
        stand.settle(first)
    elif name == "ship":
        for step, author in (("approve", BO), ("promote", ADA)):
            run(stand, (step, first, second), author)
    elif name == "approve" and isinstance(first, Version) and isinstance(second, str):
        if first in sim.state().records and sim.state().holder(StageName(second)) != first:
            stand.approve(first, StageName(second), by=who)
    else:
        with suppress(MregError):
            plan = _plan(sim, name, first, second, Statement("why", who, sim.now))
            before = (dict(sim.tree), len(sim.commits))
            try:
                sim.apply(plan, email=who)
            except MregError:
                assert (sim.tree, len(sim.commits)) == before


def begin(policy: dict[str, Plain]) -> Stand:
    """Returns a registry of four versions that differ in what the gates ask about."""
    stand = Stand()
    stand.settle(policy)
    for number, auc in enumerate((0.9, 0.6, 0.05, None), 1):
        version = Version(number)
        artifact = Artifact("model.bin", 7, "", oid_of(f"churn {version}"), format="onnx")
        metrics = {} if auc is None else {"auc": auc}
        stand.sim.facts[CHURN, version] = Record(CHURN, version, artifact, metrics)
        stand.sim.register(version)
    return stand


def _plan(sim: Simulator, name: str, first: object, second: object, statement: Statement) -> Plan:
    policy, state = sim.policy, sim.state()
    if name == "archive" and isinstance(first, Version):
        return plan_archive(policy, state, first, statement, undo=bool(second))
    stage = StageName(str(second))
    lane = sim.timeline().lane(CHURN, stage)
    if name == "promote" and isinstance(first, Version):
        on_replace = OnReplace.ARCHIVE if first.major % 2 else None
        return plan_promote(policy, state, lane, first, stage, statement, on_replace=on_replace)
    if name == "rollback":
        return plan_rollback(policy, state, lane, stage, statement, to=first if isinstance(first, Version) else None)
    if name == "clear":
        return plan_clear(policy, state, stage, statement)
    return plan_hold(policy, state, stage, statement, on=bool(first))


@given(policies(), st.lists(st.tuples(verbs, st.sampled_from(WHO)), min_size=10, max_size=30))
@settings(max_examples=100)
def test_audit_of_any_history_that_may_land_is_clean(
    policy: dict[str, Plain], story: list[tuple[tuple[str, object, object], str]]
) -> None:
    stand = begin(policy)
    for verb, who in story:
        run(stand, verb, who)
    assert stand.audit().faults == []


@given(policies(), st.lists(st.tuples(verbs, st.sampled_from(WHO)), min_size=5, max_size=15), st.integers(0, 15))
@settings(max_examples=50)
def test_audit_since_finds_what_the_whole_finds_there(
    policy: dict[str, Plain], story: list[tuple[tuple[str, object, object], str]], since: int
) -> None:
    stand = begin(policy)
    for verb, who in story:
        if verb[0] == "promote" and isinstance(verb[1], Version):
            stand.sim.edit_version(verb[1], StageName(str(verb[2])))  # whatever the rules say
        else:
            run(stand, verb, who)
    later = {commit.oid for commit in stand.sim.commits[since:]}
    whole = [fault for fault in stand.audit().faults if fault.commit in later]
    codes = {fault.code for fault in whole}
    assert [fault for fault in stand.audit(since).faults if fault.code in codes] == whole
