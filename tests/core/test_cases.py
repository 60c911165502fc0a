from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.manifest import Adopted, StageEntry, format_stage
from mreg.core.history.timeline import Action, Stay
from mreg.core.names import ARCHIVED, StageName, Version
from mreg.core.review.approvals import approval_id, format_approval
from mreg.core.review.cases import open_cases
from mreg.core.review.gates import Outcome, Scan
from mreg.core.settings.policy import OnReplace, StageRule
from mreg.core.settings.rules import MetricGate, PickleGate, PickleMode, SoakGate
from tests.core.court import ADA, BO, Court, codes, email_of, key_of, make_record, make_rule, refused, said
from tests.core.simulator import CHURN, HAND, PRODUCTION, STAGING, V1, V2, V3, Witness
from tests.core.strategies import small_versions

SHADOW = StageName("shadow")
ONE = make_rule(approvals=1)
SIGNED = make_rule(approvals=1, who=("managers",), is_signed=True)


@pytest.fixture
def court() -> Court:
    """One approval is asked for, and version 1 is in production."""
    made = Court.of(ONE)
    made.approve(V1)
    assert not made.move(V1).refusals
    return made


@pytest.fixture
def signed() -> Court:
    """The same, and all is signed."""
    made = Court.of(SIGNED)
    made.approve(V1, is_signed=True)
    assert not made.move(V1, is_signed=True).refusals
    return made


# What a case knows.


def test_case_is_what_the_parent_knew() -> None:
    court = Court.of(make_rule(MetricGate("auc", no_worse_than=PRODUCTION), origin=(STAGING,)))
    court.move(V1)
    court.move(V2, stage=STAGING)
    court.move(V2)
    (case,) = court.cases
    assert (case.model, case.stage, case.action, case.source, case.target) == (
        CHURN,
        PRODUCTION,
        Action.PROMOTE,
        V1,
        V2,
    )
    assert (case.at, case.actor.person, case.actor.is_proven) == (court.registry.now, ADA, False)
    assert (case.record, case.origins) == (make_record(V2), frozenset({STAGING}))
    assert case.holders == {PRODUCTION: make_record(V1)}


def test_case_of_two_stages_at_once_knows_what_both_held_before() -> None:
    court = Court.of(make_rule(MetricGate("auc", no_worse_than=STAGING), origin=(STAGING,)))
    court.move(V1, stage=STAGING)
    before = court.registry.timeline()
    files = {court.registry.layout.stage(CHURN, each): json.dumps({"version": "v2"}) for each in (STAGING, PRODUCTION)}
    production, staging = court.registry.cases(before, court.registry.commit(files))
    assert (production.stage, staging.stage) == (PRODUCTION, STAGING)
    assert production.origins == staging.origins == frozenset()
    assert production.holders == {STAGING: make_record(V1)}
    assert production.stays == ()


def test_case_of_a_stage_that_is_emptied_or_not_declared_asks_for_nothing() -> None:
    court = Court.of(make_rule(MetricGate("auc", no_worse_than=STAGING)))
    court.move(V1, stage=STAGING)
    court.move(V1)
    assert court.move(None).findings == ()
    (case,) = court.cases
    assert (case.target, case.record, case.origins, case.holders, case.votes) == (None, None, frozenset(), {}, ())
    assert court.move(V1, stage=SHADOW).findings == ()
    (case,) = court.cases
    assert (case.target, case.record, case.origins, case.holders) == (V1, make_record(V1), frozenset(), {})


def test_case_of_an_archived_version() -> None:
    court = Court.of(StageRule())
    court.move(V1)
    court.move(V2)
    court.registry.archive(V1)
    assert refused(court.move(V1)) == ["archived"]  # by hand: not even to roll back
    assert refused(court.move(V1, stage=STAGING)) == ["archived"]


def test_case_of_a_version_that_its_stage_archived_takes_it_back_and_promotes_it_nowhere() -> None:
    court = Court.of(StageRule())
    court.move(V1)
    court.registry.promote(V2, on_replace=OnReplace.ARCHIVE)
    assert court.registry.state().archived[V1].replaced_in == PRODUCTION
    assert refused(court.move(V1, stage=STAGING)) == ["archived"]
    assert not court.move(V1).refusals
    assert court.cases[0].action is Action.ROLLBACK


def test_case_of_a_version_that_is_taken_out_of_the_archive_by_the_same_commit_is_archived() -> None:
    court = Court.of(StageRule())
    court.registry.archive(V1)
    before = court.registry.timeline()
    files = {court.path: '{"version": "v1"}', court.registry.layout.stage(CHURN, ARCHIVED): None}
    first, second = court.registry.cases(before, court.registry.commit(files))
    assert [first.stage, second.stage] == [ARCHIVED, PRODUCTION]
    assert second.is_archived


def test_case_is_scanned_only_where_a_gate_asks_for_it() -> None:
    scan = Scan("picklescan 1", is_clean=True)
    for mode, expected in ((PickleMode.SCAN, scan), (PickleMode.FORBID, None)):
        court = Court.of(make_rule(PickleGate(mode)))
        before, move = court.registry.timeline(), court.entry(V1)
        commit = court.registry.commit({court.path: json.dumps(format_stage(move))})
        registry = court.registry
        witness = Witness(registry, scan)
        ((_, case),) = open_cases(
            before, commit, registry.layout, registry.manifest, policy=registry.policy, evidence=witness
        )
        assert case.scan == expected


def test_case_of_a_version_without_a_record_has_none() -> None:
    court = Court.of(make_rule(PickleGate(PickleMode.SCAN)))
    assert refused(court.move(Version(9))) == ["record", "pickle"]
    assert court.cases[0].record is None


def test_case_of_a_holder_without_a_record_fails_and_is_not_taken_for_an_empty_stage() -> None:
    court = Court.of(make_rule(MetricGate("auc", no_worse_than=STAGING)))
    court.registry.facts[CHURN, V2] = make_record(V2, {"auc": 0.9})
    court.move(Version(9), stage=STAGING)
    judgement = court.move(V2)
    assert court.cases[0].holders == {STAGING: None}
    assert said(judgement, "metric").why == "the record of the version in staging cannot be read"


# Stays.


def test_stays_are_all_times_and_the_one_that_goes_on() -> None:
    court = Court.of(make_rule(SoakGate(STAGING)))
    court.move(V1, stage=STAGING)
    first = court.registry.now
    court.move(V2, stage=STAGING)
    second = court.registry.now
    court.move(V1, stage=STAGING)
    third = court.registry.now
    court.move(V1)
    assert court.cases[0].stays == (Stay(STAGING, first, second), Stay(STAGING, third))


def test_stay_that_begins_with_the_promotion_is_none() -> None:
    court = Court.of(make_rule(SoakGate(STAGING)))
    before = court.registry.timeline()
    files = {court.registry.layout.stage(CHURN, each): json.dumps({"version": "v1"}) for each in (STAGING, PRODUCTION)}
    for case in court.registry.cases(before, court.registry.commit(files)):
        assert case.stays == ()


def test_stay_that_ends_with_the_promotion_counts() -> None:
    court = Court.of(make_rule(SoakGate(STAGING, 60)))
    court.move(V1, stage=STAGING)
    entered, before = court.registry.now, court.registry.timeline()
    files = {
        court.registry.layout.stage(CHURN, STAGING): json.dumps({"version": "v2"}),
        court.path: json.dumps({"version": "v1"}),
    }
    case, _ = court.registry.cases(before, court.registry.commit(files))
    assert case.stays == (Stay(STAGING, entered, court.registry.now),)


@pytest.mark.parametrize(
    ("jump", "is_enough"), [(timedelta(minutes=59), True), (timedelta(minutes=58), False), (timedelta(days=-9), False)]
)
def test_soak_is_measured_by_the_committers_clocks(jump: timedelta, is_enough: bool) -> None:
    court = Court.of(make_rule(SoakGate(STAGING, 3600)))
    court.move(V1, stage=STAGING)
    court.registry.now += jump  # and each commit takes a minute
    assert bool(court.move(V1).refusals) is not is_enough


# Who made it.


def test_actor_is_whom_the_statement_names_and_a_signature_proves(signed: Court) -> None:
    signed.approve(V2, is_signed=True)
    signed.move(V2, is_signed=True)
    actor = signed.cases[0].actor
    assert (actor.person, actor.is_proven) == (ADA, True)
    assert signed.land(signed.entry(V1), email=HAND).refusals[0].rule == "signature"
    assert (signed.cases[0].actor.person, signed.cases[0].actor.is_proven) == (ADA, False)


def test_actor_of_a_hand_edit_is_the_author_of_the_commit(signed: Court) -> None:
    judgement = signed.judge({signed.path: '{"version": "v2"}'}, email=email_of("eve"))
    assert refused(judgement) == ["who", "signature", "approvals"]
    assert signed.cases[0].actor.email == email_of("eve")


def test_signature_of_another_statement_proves_nothing(signed: Court) -> None:
    signed.approve(V2, is_signed=True)
    good = signed.signed(signed.entry(V2), "ada")
    changes: list[dict[str, object]] = [
        {"version": V3},
        {"reason": "another"},
        {"by": email_of("bo")},
        {"at": None},
        {"approved_by": ("bo",)},
        {"signature": "x"},
    ]
    for change in changes:
        judgement = signed.land(replace(good, **change))
        assert "signature" in refused(judgement), change
        signed.registry.revert()
    assert signed.land(signed.signed(signed.entry(V2), "ada")).tally.faults[0][0] == "approval-replayed"


def test_signature_over_other_bytes_proves_nothing(signed: Court) -> None:
    signed.approve(V2, is_signed=True)
    good = signed.signed(signed.entry(V2), "ada")
    signed.registry.facts[CHURN, V2] = make_record(V2, sha256="f" * 64)
    assert "signature" in refused(signed.land(good))


def test_signature_for_another_stage_proves_nothing(signed: Court) -> None:
    signed.approve(V2, is_signed=True)
    assert "signature" in refused(signed.land(signed.signed(signed.entry(V2), "ada", stage=STAGING)))


@pytest.mark.parametrize("signer", ["bo", "eve"])
def test_signature_of_someone_else_is_none_of_the_one_named(signed: Court, signer: str) -> None:
    signed.approve(V2, is_signed=True)
    judgement = signed.land(signed.signed(signed.entry(V2), signer))
    assert refused(judgement) == ["signature"]
    assert said(judgement, "signature").why == (
        "it says ada@example.com, and bo signed it"
        if signer == "bo"
        else f"nobody in people: has the key {key_of('eve')[:16]}…{key_of('eve')[-12:]}"
    )


def spent_statement(court: Court) -> StageEntry:
    """Promotes version 2 in all honesty, rolls it back, and returns what the stage file said of it."""
    court.approve(V2, is_signed=True)
    entry = court.signed(court.entry(V2), "ada")
    assert not court.land(entry).refusals
    assert not court.move(V1, is_signed=True).refusals
    return entry


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"hold": True},
        {"adopted": Adopted("churn#production#9")},
        {"still_assigned": (V3,)},
        {"has_replaces": False, "replaces": None},
    ],
)
def test_signature_of_an_earlier_promotion_does_not_promote_again(signed: Court, change: dict[str, object]) -> None:
    spent = spent_statement(signed)
    signed.approve(V2, is_signed=True)
    judgement = signed.land(replace(spent, **change), email=email_of("eve"))
    assert refused(judgement) == ["who", "signature"]
    assert signed.cases[0].actor.email == email_of("eve")


def test_signature_of_an_earlier_promotion_does_not_count_with_a_time_that_reads_alike(signed: Court) -> None:
    spent = spent_statement(signed)
    assert spent.at
    signed.approve(V2, is_signed=True)
    document = {**format_stage(spent), "at": f"{spent.at:%Y-%m-%dT%H:%M:%S}.5Z"}
    assert refused(signed.judge({signed.path: json.dumps(document)}, email=email_of("eve"))) == ["who", "signature"]


def test_signature_of_the_first_promotion_does_not_roll_back_to_it(signed: Court) -> None:
    first = signed.registry.timeline().lane(CHURN, PRODUCTION).entry
    assert first
    assert first.replaces is None
    signed.approve(V2, is_signed=True)
    assert not signed.move(V2, is_signed=True).refusals
    for change in ({"has_replaces": False}, {"has_replaces": False, "hold": True}):
        judgement = signed.land(replace(first, **change), email=email_of("eve"))
        assert signed.cases[0].action is Action.ROLLBACK
        assert refused(judgement) == ["who", "signature"]
        signed.registry.revert()


def test_signature_in_other_words_counts_once(signed: Court) -> None:
    spent = spent_statement(signed)
    signed.approve(V2, is_signed=True)
    again = signed.signed(replace(spent, signature=""), "ada")
    assert again.signature != spent.signature
    assert refused(signed.land(again, email=email_of("eve"))) == ["who", "signature"]


def test_statement_of_the_next_change_counts_after_all_that(signed: Court) -> None:
    spent_statement(signed)
    signed.approve(V2, is_signed=True)
    assert not signed.move(V2, is_signed=True).refusals


# Which approvals are fresh.


def test_approval_counts_in_the_commit_that_brings_it_too(court: Court) -> None:
    approval = court.approval(V2)
    path = court.registry.layout.approval(CHURN, V2, PRODUCTION, approval_id(approval))
    files = {path: json.dumps(format_approval(approval)), court.path: json.dumps(format_stage(court.entry(V2)))}
    judgement = court.judge(files, email=email_of("bo"))
    assert not judgement.refusals
    assert judgement.tally.votes == {"bo": path}


def test_approval_of_a_promotion_that_came_before_it_is_too_late(court: Court) -> None:
    assert refused(court.move(V2)) == ["approvals"]
    court.approve(V2)
    court.move(None)
    judgement = court.move(V2)
    assert codes(judgement) == ["approval-replayed"]


def test_approval_given_before_the_stage_moved_is_spent_also_where_it_moved_back(court: Court) -> None:
    court.approve(V2)
    court.approve(V3)
    assert not court.move(V3).refusals
    judgement = court.move(V2)
    assert codes(judgement) == ["approval-replayed"]
    court.move(V1)
    assert codes(court.move(V2)) == ["approval-replayed"]


def test_approval_that_lands_with_another_change_of_the_stage_is_spent_by_it(court: Court) -> None:
    court.approve(V2)
    early = replace(court.approval(V3), replaces=V2)
    path = court.registry.layout.approval(CHURN, V3, PRODUCTION, approval_id(early))
    files = {path: json.dumps(format_approval(early)), court.path: json.dumps(format_stage(court.entry(V2)))}
    assert not court.judge(files, email=email_of("bo")).refusals
    assert codes(court.move(V3)) == ["approval-replayed"]


def test_approval_given_after_the_stage_moved_and_for_what_it_held_before_is_stale(court: Court) -> None:
    late = court.approval(V2)
    court.approve(V3)
    court.move(V3)
    court.plant(late)
    judgement = court.move(V2)
    assert codes(judgement) == ["approval-stale"]
    assert "given for replacing v1.0.0, but production held v3.0.0" in said(judgement, "approvals").why


def test_approval_is_spent_by_the_promotion_and_a_rollback_brings_none_back(court: Court) -> None:
    court.approve(V2)
    assert not court.move(V2).refusals
    assert court.move(V1).findings == ()  # a rollback needs none
    judgement = court.move(V2)
    assert (refused(judgement), codes(judgement)) == (["approvals"], ["approval-replayed"])
    court.move(V1)
    court.approve(V2)
    assert not court.move(V2).refusals


def test_approval_moves_nothing_where_another_stage_moves(court: Court) -> None:
    court.approve(V2)
    court.move(V3, stage=STAGING)
    court.judge({court.registry.layout.stage(CHURN, STAGING): None})
    assert not court.move(V2).refusals


def spent_approval(court: Court, *, is_signed: bool = False) -> str:
    """Approves, promotes and rolls back version 2; returns the path of the approval."""
    path = court.approve(V2, is_signed=is_signed)
    assert not court.move(V2, is_signed=is_signed).refusals
    assert not court.move(V1, is_signed=is_signed).refusals
    return path


@pytest.mark.parametrize("is_signed", [False, True])
def test_spent_approval_that_is_deleted_and_put_back_is_spent(is_signed: bool) -> None:
    court = Court.of(make_rule(approvals=1, is_signed=is_signed))
    court.approve(V1, is_signed=is_signed)
    court.move(V1, is_signed=is_signed)
    path = spent_approval(court, is_signed=is_signed)
    text = court.registry.tree[path]
    court.registry.commit({path: None})
    court.registry.commit({path: text}, email=email_of("bo"))
    judgement = court.move(V2, is_signed=is_signed)
    assert (refused(judgement), codes(judgement)) == (["approvals"], ["approval-replayed"])


@pytest.mark.parametrize("keeps", [True, False])
def test_spent_approval_under_another_name_is_spent(signed: Court, keeps: bool) -> None:
    path = spent_approval(signed, is_signed=True)
    text = signed.registry.tree[path]
    copy = path.replace(path.rpartition("/")[2], "0a1b.yaml")
    document = json.dumps(json.loads(text), indent=2)  # another blob that says the same
    signed.registry.commit({copy: document, **({} if keeps else {path: None})}, email=email_of("eve"))
    judgement = signed.move(V2, is_signed=True)
    assert refused(judgement) == ["approvals"]
    assert set(codes(judgement)) == {"approval-replayed"}


def test_spent_approval_with_a_time_that_reads_alike_is_spent(signed: Court) -> None:
    path = spent_approval(signed, is_signed=True)
    document = json.loads(signed.registry.tree[path])
    copy = path.replace(path.rpartition("/")[2], "0a1b.yaml")
    text = json.dumps({**document, "at": document["at"].replace("Z", ".25Z")})
    signed.registry.commit({copy: text}, email=email_of("eve"))
    judgement = signed.move(V2, is_signed=True)
    assert (refused(judgement), set(codes(judgement))) == (["approvals"], {"approval-replayed"})


def test_approval_that_was_withdrawn_counts_no_more_whoever_puts_it_back(signed: Court) -> None:
    path = signed.approve(V2, is_signed=True)
    signed.registry.commit({path: None}, email=email_of("bo"))
    assert codes(signed.move(V2, is_signed=True)) == []
    signed.move(V1, is_signed=True)
    path = signed.approve(V2, is_signed=True)
    signed.registry.commit({path: None}, email=email_of("bo"))
    signed.registry.revert(email=email_of("eve"))
    judgement = signed.move(V2, is_signed=True)
    assert (refused(judgement), codes(judgement)) == (["approvals"], ["approval-replayed"])
    assert "or it was withdrawn" in said(judgement, "approvals").why


def test_approval_that_is_there_twice_is_one(court: Court) -> None:
    path = court.approve(V2)
    court.registry.commit({path.replace(".yaml", "-2.yaml"): court.registry.tree[path]}, email=email_of("bo"))
    judgement = court.move(V2)
    assert not judgement.refusals
    assert [actor.person for actor in judgement.tally.approvers] == [BO]


def test_approval_that_is_changed_counts_no_more(court: Court) -> None:
    path = court.approve(V2)
    document = json.loads(court.registry.tree[path])
    court.registry.commit({path: json.dumps({**document, "reason": "another"})}, email=email_of("bo"))
    assert codes(court.move(V2)) == ["approval-changed"]


def test_approval_that_cannot_be_read_stops_nothing_else(court: Court) -> None:
    path = court.approve(V2)
    bad = path.replace(".yaml", "-bad.yaml")
    document = {**json.loads(court.registry.tree[path]), "replaces": ["v1.0.0"]}
    court.registry.commit({bad: json.dumps(document), bad.replace("bad", "worse"): '"text"'})
    judgement = court.move(V2)
    assert not judgement.refusals
    assert codes(judgement) == ["approval-unreadable", "approval-unreadable"]


def test_approval_that_could_not_be_read_and_is_withdrawn_is_forgotten(court: Court) -> None:
    path = court.approve(V2)
    bad = path.replace(".yaml", "-bad.yaml")
    court.registry.commit({bad: "{}"})
    court.registry.commit({bad: None})
    judgement = court.move(V2)
    assert (judgement.refusals, codes(judgement)) == ((), [])


@given(st.lists(st.tuples(small_versions, st.sampled_from(["bo", "cy", ""])), max_size=8))
def test_promotion_is_allowed_just_where_someone_approved_it_since_the_last_change(
    steps: list[tuple[Version, str]],
) -> None:
    court = Court.of(ONE, V1, V2, V3, Version(4))
    given_now: set[tuple[Version, Version | None]] = set()
    for version, who in steps:
        current = court.registry.timeline().lane(CHURN, PRODUCTION).current
        if who:
            court.approve(version, by=who)
            given_now.add((version, current))
        elif version != current:
            is_approved = (version, current) in given_now
            judgement = court.move(version)
            assert bool(judgement.refusals) is not (is_approved or court.cases[0].action is Action.ROLLBACK)
            given_now.clear()


def test_pickle_that_nobody_scans_is_unproven_and_stops_nothing() -> None:
    court = Court.of(make_rule(PickleGate(PickleMode.SCAN)))
    court.registry.facts[CHURN, V1] = make_record(V1, format="pickle")
    judgement = court.move(V1)
    assert said(judgement, "pickle").outcome is Outcome.UNPROVEN
    assert not judgement.refusals
