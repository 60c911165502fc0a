from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.fields import Plain
from mreg.core.history.statements import Namespace, artifact_name, encode_transition
from mreg.core.history.timeline import Action
from mreg.core.names import ARCHIVED, ModelName, StageName
from mreg.core.review.audit import Auditor
from mreg.core.review.difference import SettingsDifference
from mreg.core.review.gates import Scan, judge
from mreg.core.review.reviewed import Fault, Review
from mreg.core.settings.people import Proof
from mreg.core.settings.policy import OnReplace, Policy
from mreg.core.settings.rules import FormatGate, PickleGate, PickleMode, SoakGate
from mreg.core.versions.metrics import Verdict
from mreg.errors import DataError, MregError
from tests.core.reviews import BO, CY, EVE, PEOPLE, STRICT, Branch, FileWitness, make_policy, make_record, settings
from tests.core.simulator import ADA, CHURN, HAND, PRODUCTION, STAGING, V1, V2, V3, V4, Simulator, simulate
from tests.core.strategies import small_versions

VERSIONS = {V1: {"auc": 0.902, "latency_ms": 11.0}, V2: {"auc": 0.913, "latency_ms": 12.5}, V3: {"auc": 0.85}}
STAGE_FILE = "registry/churn/stages/production.yaml"


def strict(policy: Policy = STRICT) -> Branch:
    """Returns a registry whose production holds v1, and a branch with nothing on it."""
    branch = Branch.of(policy, VERSIONS)
    branch.promote(V1)
    branch.begin()
    return branch


def codes(review: Review) -> list[str]:
    return [each.code for each in review.complaints]


def test_review_of_nothing_changes_nothing() -> None:
    review = strict().review()
    assert (review.ok, review.changed, review.complaints) == (True, False, ())


def test_review_promotion_without_approval_may_not_land_and_says_what_to_do() -> None:
    branch = strict()
    branch.promote(V2, reason="AUC 0.913 against 0.902")
    review = branch.review()
    (change,) = review.changes
    assert (review.ok, review.changed, codes(review)) == (False, True, ["rule-approvals"])
    assert change.title == "churn production: v1.0.0 → v2.0.0 (promote)"
    assert change.lacking == 1
    assert change.next_step == "mreg approve churn@v2.0.0 production --branch promote-churn"
    assert (change.actor.email, change.actor.worth) == (ADA, "claimed")
    assert change.transition.reason == "AUC 0.913 against 0.902"
    (complaint,) = review.complaints
    assert (complaint.place, complaint.line, complaint.fix) == (STAGE_FILE, 1, change.next_step)


def test_review_promotion_shows_metrics_against_the_version_replaced() -> None:
    branch = strict()
    branch.promote(V2)
    (change,) = branch.review().changes
    assert change.comparison is not None
    assert change.comparison.baseline == "v1.0.0"
    found = {name: metric.deltas["v2.0.0"] for name, metric in change.comparison.metrics.items()}
    assert (found["auc"].absolute, found["auc"].verdict) == (0.011, Verdict.BETTER)
    assert (found["latency_ms"].absolute, found["latency_ms"].verdict) == (1.5, Verdict.WORSE)


def test_review_promotion_with_approval_may_land_and_names_the_approver() -> None:
    branch = strict()
    branch.promote(V2)
    path = branch.approve(V2, V1)
    branch.approve(V2, V1, by=CY)
    review = branch.review()
    given, _ = review.approvals
    assert review.ok
    assert [each.name for each in review.changes[0].judgement.tally.approvers] == ["bo", "cy"]
    assert (given.path, given.model, given.version, given.stage) == (path, CHURN, V2, PRODUCTION)
    assert (given.actor and given.actor.name, given.reason, given.code) == ("bo", "looked at it", "")


def test_review_approval_that_landed_before_counts_and_is_not_listed() -> None:
    branch = strict()
    branch.approve(V2, V1)
    branch.begin()
    branch.promote(V2)
    review = branch.review()
    assert (review.ok, review.approvals) == (True, ())


def test_review_notes_what_a_rebase_would_land_before_its_approval() -> None:
    branch = strict()
    branch.promote(V2)
    branch.approve(V2, V1)
    title = "churn production: v1.0.0 → v2.0.0 (promote)"
    assert branch.review().notices == (f"{title}: merge or squash it; a rebase would land it before its approval",)
    assert branch.review(history=()).notices == ()
    branch = strict()
    branch.approve(V2, V1)
    branch.promote(V2)
    review = branch.review()
    assert (review.ok, review.notices) == (True, ())


def test_review_failing_gates_are_all_told() -> None:
    branch = strict()
    branch.promote(V3, email=EVE)
    review = branch.review()
    assert codes(review) == ["rule-who", "rule-metric", "rule-approvals"]
    assert [each.fix for each in review.complaints] == [
        "one of them may: ada, bo, cy",
        "mreg compare churn@production churn@v3.0.0",
        "mreg approve churn@v3.0.0 production --branch promote-churn",
    ]
    assert review.changes[0].next_step == "one of them may: ada, bo, cy"


@pytest.mark.parametrize(
    ("given", "code", "is_fault"),
    [
        ({"by": ADA}, "approval-self", False),
        ({"by": EVE}, "approval-unlisted", False),
        ({"by": BO, "email": EVE}, "approval-forged", True),
        ({"replaces": "v3.0.0"}, "approval-stale", False),
        ({"artifact": "sha256:00"}, "approval-other-artifact", False),
        ({"stage": "staging"}, "approval-copied", False),
        ({"version": []}, "approval-unreadable", True),
    ],
)
def test_review_approval_that_does_not_count_says_why(given: dict[str, Any], code: str, is_fault: bool) -> None:
    branch = strict()
    branch.promote(V2)
    who = {key: value for key, value in given.items() if key in {"by", "email"}}
    said = {key: value for key, value in given.items() if key not in who}
    path = branch.registry.layout.approval(CHURN, V2, PRODUCTION, "x")
    written = branch.approve(V2, V1, name="x", **who)
    if said:
        document = {**json.loads(branch.registry.tree[written]), **said}
        branch.registry.commit({written: json.dumps(document)}, email=who.get("email", BO))
    review = branch.review()
    (each,) = review.approvals
    assert (each.path, each.code) == (path, code)
    assert each.why
    assert (code in codes(review)) is is_fault
    assert "rule-approvals" in codes(review)


def test_review_approval_that_is_spent_and_comes_back_under_another_name_does_not_count() -> None:
    branch = strict()
    path = branch.approve(V2, V1)
    branch.promote(V2)
    branch.rollback()
    branch.begin()
    branch.registry.commit({path.replace(".yaml", "-2.yaml"): branch.registry.tree[path]}, email=BO)
    (alone,) = branch.review().approvals
    branch.promote(V2)
    review = branch.review()
    (given,) = review.approvals
    assert (alone.code, given.code) == ("approval-replayed", "approval-replayed")
    assert codes(review) == ["rule-approvals"]


def test_review_of_an_approval_alone_counts_it_for_what_the_stage_holds() -> None:
    branch = strict()
    branch.approve(V2, V1)
    branch.approve(V3, None, by=CY)
    review = branch.review()
    assert review.ok
    assert {str(each.version): each.code for each in review.approvals} == {"v2.0.0": "", "v3.0.0": "approval-stale"}


def test_review_approval_for_a_stage_that_was_never_entered_and_of_an_unknown_version() -> None:
    branch = Branch.of(make_policy(), VERSIONS)
    branch.approve(V1, None, stage=STAGING)
    branch.approve(V4, None)
    review = branch.review()
    assert [(str(each.version), each.code) for each in review.approvals] == [
        ("v1.0.0", ""),
        ("v4.0.0", "approval-other-artifact"),
    ]


def test_review_withdrawn_approval_is_a_note_and_counts_no_more() -> None:
    branch = strict()
    path = branch.approve(V2, V1)
    branch.begin()
    branch.promote(V2)
    branch.registry.commit({path: None}, email=BO)
    review = branch.review()
    assert codes(review) == ["rule-approvals"]
    assert review.notices == (f"{path}: the approval is withdrawn",)


def test_review_changed_approval_is_a_fault() -> None:
    branch = strict()
    path = branch.approve(V2, V1)
    branch.begin()
    branch.promote(V2)
    branch.registry.commit({path: json.dumps({**json.loads(branch.registry.tree[path]), "reason": "other"})}, email=BO)
    review = branch.review()
    assert codes(review) == ["rule-approvals", "approval-changed"]
    assert review.approvals == ()


def test_review_hand_edit_is_asked_of_everyone_who_changed_the_file() -> None:
    branch = strict(make_policy(who=("managers",)))
    branch.registry.edit_version(V3)
    branch.registry.commit({STAGE_FILE: json.dumps({"version": "v2.0.0"})}, email=ADA, subject="Fix it")
    review = branch.review()
    (change,) = review.changes
    assert codes(review) == ["rule-who"]
    assert change.actor.email == HAND
    assert change.transition.reason == "Fix it"
    assert (change.transition.by, change.transition.email) == (HAND, ADA)
    branch.begin()
    branch.registry.commit({STAGE_FILE: json.dumps({"version": "v1.0.0"})}, email=ADA, subject="Back")
    (change,) = branch.review().changes
    assert (branch.review().ok, change.actor.email, change.transition.action) == (True, ADA, Action.ROLLBACK)


def test_review_without_known_commits_asks_who_lands_it() -> None:
    branch = strict(make_policy(who=("managers",)))
    branch.registry.commit({STAGE_FILE: json.dumps({"version": "v2.0.0"})}, email=EVE)
    review = branch.review(sources={})
    assert (codes(review), review.changes[0].actor.email) == (["rule-who"], EVE)


@pytest.mark.parametrize(("signer", "is_ok"), [("ssh-ed25519 ada", True), ("ssh-ed25519 bo", False)])
def test_review_signature_proves_who_makes_it(signer: str, is_ok: bool) -> None:
    branch = strict(make_policy(who=("managers",)))
    path = branch.promote(V2)
    registry = branch.registry
    entry = registry.manifest(path, branch.difference().landing.changes[0].new or "").entry
    assert entry
    artifact = artifact_name(make_record(V2, {}).artifact)
    statement = encode_transition(CHURN, PRODUCTION, artifact, entry)
    registry.proofs[statement, f"{Namespace.TRANSITION.value} signed"] = Proof(signer)
    registry.commit({path: json.dumps({**json.loads(registry.tree[path]), "signature": "signed"})})
    review = branch.review()
    assert review.ok is is_ok
    assert review.changes[0].actor.is_proven is is_ok


def test_review_rollback_is_asked_who_and_nothing_else() -> None:
    branch = strict()
    branch.promote(V2)
    branch.begin()
    branch.rollback(email=EVE)
    review = branch.review()
    (change,) = review.changes
    assert (change.transition.action, change.approvals.count, change.lacking) == (Action.ROLLBACK, 0, 0)
    assert codes(review) == ["rule-who"]
    (hold,) = review.holds
    assert (hold.is_set, hold.findings) == (True, ())
    branch.begin()
    branch.promote(V3)
    assert [each.is_set for each in branch.review().holds] == [False]


def test_review_rollback_may_be_judged_without_approvals_that_are_there() -> None:
    branch = strict()
    branch.promote(V2)
    branch.begin()
    branch.rollback()
    branch.approve(V1, V2)
    review = branch.review()
    assert (review.ok, [each.code for each in review.approvals]) == (True, [""])


def test_review_revert_of_a_promotion_is_a_rollback() -> None:
    branch = strict()
    branch.promote(V2)
    branch.begin()
    branch.registry.revert(email=BO)
    review = branch.review()
    (change,) = review.changes
    assert (review.ok, change.transition.action, change.actor.email) == (True, Action.ROLLBACK, BO)


def test_review_register_and_promote_in_one_difference() -> None:
    branch = strict()
    branch.registry.facts[CHURN, V4] = make_record(V4, {"auc": 0.95})
    branch.registry.register(V4)
    branch.promote(V4)
    branch.approve(V4, V1)
    review = branch.review()
    assert review.ok
    assert [(each.version, each.record) for each in review.registrations] == [(V4, make_record(V4, {"auc": 0.95}))]
    assert review.changes[0].record == make_record(V4, {"auc": 0.95})


def test_review_first_promotion_has_nothing_to_compare_with() -> None:
    branch = Branch.of(make_policy(), VERSIONS)
    branch.promote(V1)
    (change,) = branch.review().changes
    assert (change.comparison, change.record) == (None, make_record(V1, VERSIONS[V1]))


def test_review_emptied_stage() -> None:
    branch = strict()
    branch.registry.edit(None)
    review = branch.review()
    assert review.changes[0].title == "churn production: v1.0.0 → nothing (clear)"
    assert codes(review) == ["rule-who"]


def test_review_archived_and_taken_out() -> None:
    branch = strict()
    branch.registry.archive(V3)
    assert [each.title for each in branch.review().changes] == ["churn v3.0.0 is archived"]
    branch.begin()
    branch.registry.archive(V3, undo=True)
    review = branch.review()
    assert ([each.title for each in review.changes], review.ok) == (["churn v3.0.0 is taken out"], True)


def test_review_replaced_version_is_archived_with_the_promotion() -> None:
    branch = strict(make_policy(on_replace=OnReplace.ARCHIVE))
    branch.promote(V2)
    review = branch.review()
    assert review.ok
    assert {each.transition.stage for each in review.changes} == {PRODUCTION, ARCHIVED}
    assert {each.comparison is None for each in review.changes} == {True, False}


@pytest.mark.parametrize("by", [HAND, ADA])
def test_review_archived_version_that_a_stage_holds_is_a_fault_once(by: str) -> None:
    branch = strict(make_policy())
    document = json.dumps({"versions": {"v1.0.0": {"by": by}}})
    branch.registry.commit({"registry/churn/stages/archived.yaml": document}, email=by)
    review = branch.review()
    assert codes(review) == ["archived-in-stage"]
    assert review.complaints[0].fix == "mreg archive churn@v1.0.0 --undo --reason 'why'"
    branch.begin()
    branch.promote(V2, STAGING)
    assert branch.review().ok


def edit_record(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/versions/v1.0.0.yaml": "other"})


def delete_record(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/versions/v3.0.0.yaml": None})


def write_record_again(branch: Branch) -> None:
    delete_record(branch)
    branch.begin()
    branch.registry.register(V3)


def edit_list(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/versions/v4.0.0.yaml": "r", "registry/churn/versions/v4.0.0.files": "x"})
    branch.begin()
    branch.registry.commit({"registry/churn/versions/v4.0.0.files": "y"})


def delete_list(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/versions/v4.0.0.yaml": "r", "registry/churn/versions/v4.0.0.files": "x"})
    branch.begin()
    branch.registry.commit({"registry/churn/versions/v4.0.0.files": None})


def write_list_later(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/versions/v3.0.0.files": "x"})


def write_list_with_its_record(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/versions/v4.0.0.yaml": "r", "registry/churn/versions/v4.0.0.files": "x"})


def write_stray(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/notes with blanks.txt": "x", "registry/churn/artifact/.gitignore": "x"})


def delete_stray(branch: Branch) -> None:
    write_stray(branch)
    branch.begin()
    branch.registry.commit({"registry/churn/notes with blanks.txt": None, "registry/churn/artifact/.gitignore": None})


def write_what_people_read(branch: Branch) -> None:
    branch.registry.commit({"registry/README.md": "x", "registry/.gitkeep": "", "src/train.py": "x"})


def write_pointer(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/artifact/model.pkl.dvc": "x"})


def break_stage(branch: Branch) -> None:
    branch.registry.edit("no mapping")


def break_record(branch: Branch) -> None:
    path = "registry/churn/versions/v4.0.0.yaml"
    branch.registry.commit({path: "r"})
    branch.unreadable[path] = DataError(f"{path}:3: bad", hint="mend it", details={"line": 3})


def stage_unknown(branch: Branch) -> None:
    branch.registry.edit_version(V4)


def archive_unknown(branch: Branch) -> None:
    branch.registry.commit({"registry/churn/stages/archived.yaml": json.dumps({"versions": {"v4.0.0": {}}})})


def roll_back_to_a_lost_one(branch: Branch) -> None:
    branch.promote(V3)
    branch.promote(V2)
    delete_record(branch)
    branch.begin()
    branch.registry.edit_version(V3)


def use_undeclared(branch: Branch) -> None:
    branch.registry.edit({"version": "v1.0.0"}, StageName("shadow"))


def empty_undeclared(branch: Branch) -> None:
    use_undeclared(branch)
    branch.begin()
    branch.registry.edit(None, StageName("shadow"))


def reword(branch: Branch) -> None:
    branch.registry.edit({**json.loads(branch.registry.tree[STAGE_FILE]), "reason": "another"})


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (edit_record, ["record-changed"]),
        (delete_record, ["record-deleted"]),
        (write_record_again, ["record-changed"]),
        (edit_list, ["file-list-changed"]),
        (delete_list, ["file-list-changed"]),
        (write_list_later, ["file-list-changed"]),
        (write_list_with_its_record, []),
        (write_stray, ["stray-file", "stray-file"]),
        (delete_stray, []),
        (write_what_people_read, []),
        (write_pointer, []),
        (break_stage, ["unreadable-stage"]),
        (break_record, ["unreadable-record"]),
        (stage_unknown, ["unknown-version"]),
        (archive_unknown, ["unknown-version"]),
        (roll_back_to_a_lost_one, ["unknown-version"]),
        (use_undeclared, ["undeclared-stage"]),
        (empty_undeclared, []),
        (reword, ["statement-changed"]),
    ],
)
def test_review_files_that_may_not_land(act: Callable[[Branch], None], expected: list[str]) -> None:
    branch = strict(make_policy())
    act(branch)
    review = branch.review()
    assert codes(review) == expected
    assert review.ok is not bool(expected)


def test_review_fault_names_line_and_what_mends_it() -> None:
    branch = strict(make_policy())
    break_record(branch)
    branch.registry.commit({"registry/churn/approvals/v1.0.0/production/$(id).yaml": "{}"})
    branch.begin()
    branch.registry.commit({"registry/churn/approvals/v1.0.0/production/$(id).yaml": "{ }"})
    assert branch.review().faults[0].fix == ""
    branch = strict(make_policy())
    break_record(branch)
    (fault,) = branch.review().faults
    assert (fault.line, fault.fix) == (3, "mend it")
    branch.begin()
    break_stage(branch)
    (fault,) = branch.review().faults
    assert fault.fix == f"git checkout {branch.registry.commits[branch.start - 1].oid[:12]} -- :/{STAGE_FILE}"
    assert fault.line is None


def test_review_registration_that_cannot_be_read_is_shown() -> None:
    branch = strict(make_policy())
    break_record(branch)
    assert [(each.version, each.record) for each in branch.review().registrations] == [(V4, None)]


def test_review_new_model_keeps_to_naming_and_an_old_one_need_not() -> None:
    branch = strict(make_policy(naming="[a-z]+_[a-z]+"))
    branch.registry.register(V4)
    branch.registry.register(V1, model=ModelName("fraud"))
    branch.registry.register(V1, model=ModelName("fraud_cards"))
    review = branch.review()
    assert [(each.code, each.place) for each in review.complaints] == [
        ("bad-name", "registry/fraud/versions/v1.0.0.yaml")
    ]


def test_review_without_rules_asks_nothing() -> None:
    branch = Branch.of(Policy(stages={}), VERSIONS)
    branch.registry.edit({"version": "v1.0.0"})
    assert codes(branch.review()) == ["undeclared-stage"]
    assert branch.review(has_rules=False).ok


def test_review_conflict_is_a_fault_with_the_command_that_settles_it() -> None:
    review = strict().review(conflicts=(STAGE_FILE,))
    (fault,) = review.complaints
    assert (fault.code, fault.place) == ("conflict", STAGE_FILE)
    assert fault.fix.startswith("git merge main ")
    assert "has moved on" in fault.message
    for name in ("", "$(id)"):
        (fault,) = strict().review(conflicts=(STAGE_FILE,), base_name=name).complaints
        assert fault.fix.startswith(f"git merge {review.base[:12]} ")


def test_review_faults_that_are_known_already_come_last() -> None:
    branch = strict()
    branch.promote(V2)
    assert codes(branch.review(found=[Fault("pointer-differs", "p", "m")])) == ["rule-approvals", "pointer-differs"]


LOOSE: dict[str, Any] = {"stages": {"production": {"approvals": {"count": 0}}}}
TIGHT: dict[str, Any] = {"stages": {"production": {"approvals": {"count": 1}}}}


def test_review_policy_change_is_set_apart_and_does_not_loosen_its_own_difference() -> None:
    branch = strict()
    branch.edit_settings()
    branch.promote(V2)
    review = branch.review(settings=settings(TIGHT, LOOSE))
    assert codes(review) == ["rule-approvals"]
    assert review.settings
    assert [(each.key, each.old, each.new) for each in review.settings.changes] == [
        ("stages.production.approvals.count", 1, 0)
    ]
    assert [each.email for each in review.settings.actors] == [HAND]
    assert any("land them first" in notice for notice in review.notices)


def test_review_policy_change_alone_has_no_such_note() -> None:
    branch = strict()
    branch.edit_settings()
    review = branch.review(settings=settings(TIGHT, LOOSE))
    assert (review.ok, review.changed, review.notices) == (True, True, ())


@pytest.mark.parametrize(("email", "expected"), [(ADA, []), (HAND, ["policy-not-by-owner"])])
def test_review_policy_change_by_owners_alone(email: str, expected: list[str]) -> None:
    branch = strict(make_policy(owners=("managers",)))
    branch.edit_settings(email=email)
    review = branch.review(settings=settings({}, {"push": True}))
    assert codes(review) == expected
    assert review.settings
    assert len(review.settings.findings) == 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (SettingsDifference({}, None), ["policy-deleted"]),
        (SettingsDifference({}, None, DataError("bad", hint="mend", details={"line": 2})), ["policy-unreadable"]),
        (SettingsDifference({}, {"root": "models"}), ["root-changed"]),
        (SettingsDifference({"root": "registry"}, {}), []),
        (SettingsDifference({"a": 1}, {"a": 1}), []),
    ],
)
def test_review_policy_that_may_not_land(changed: SettingsDifference, expected: list[str]) -> None:
    branch = strict(make_policy())
    branch.edit_settings()
    assert codes(branch.review(settings=changed)) == expected


@pytest.mark.parametrize("values", [{"has_rules": False}, {"has_files": False}])
def test_review_root_may_be_chosen_before_there_are_files(values: dict[str, Any]) -> None:
    branch = strict(make_policy())
    branch.edit_settings()
    assert branch.review(settings=settings({}, {"root": "models"}), **values).ok


def test_review_other_branch_in_the_settings_is_a_note() -> None:
    branch = strict(make_policy())
    branch.edit_settings()
    review = branch.review(settings=settings({"branch": "main"}, {"branch": "trunk"}))
    assert (review.ok, len(review.notices)) == (True, 1)


@pytest.mark.parametrize(("email", "is_ok"), [(ADA, True), (HAND, False)])
def test_review_hold_alone_is_asked_who(email: str, is_ok: bool) -> None:
    branch = strict(make_policy(who=("managers",)))
    document = {**json.loads(branch.registry.tree[STAGE_FILE]), "hold": True}
    branch.registry.commit({STAGE_FILE: json.dumps(document)}, email=email)
    review = branch.review()
    (hold,) = review.holds
    assert (review.ok, hold.is_set, hold.actor.email, review.changes) == (is_ok, True, email, ())
    assert codes(review) == ([] if is_ok else ["rule-who"])


def test_review_draft_does_not_ask_for_approvals_yet() -> None:
    branch = strict()
    branch.promote(V2)
    review = branch.review(is_draft=True, is_staged=True)
    assert (review.ok, review.is_allowed(review.changes[0])) == (True, True)
    assert review.notices == ("churn production: v1.0.0 → v2.0.0 (promote): 1 more must approve before it lands",)
    branch.promote(V3)
    assert codes(branch.review(is_draft=True)) == ["rule-metric"]


def test_review_scan_that_nobody_made_is_a_note() -> None:
    branch = strict(make_policy(PickleGate(PickleMode.SCAN)))
    branch.registry.facts[CHURN, V2] = make_record(V2, {}, format="sklearn-pickle")
    branch.promote(V2)
    review = branch.review()
    assert review.ok
    assert any("not scanned" in notice for notice in review.notices)


def test_review_statement_of_another_than_who_committed_it_is_a_note() -> None:
    branch = strict(make_policy())
    path = branch.promote(V2, email=ADA)
    text = branch.registry.tree[path].replace(ADA, BO)
    branch.registry.commit({path: text}, email=CY)
    review = branch.review()
    assert review.ok
    assert review.notices == (f"{review.changes[0].title}: it says that {BO} makes it, but {CY}, {ADA} committed it",)


def test_review_unnamed_branch_is_asked_of_git_in_the_next_step() -> None:
    branch = strict()
    branch.promote(V2)
    (change,) = branch.review(branch="").changes
    assert change.next_step == 'mreg approve churn@v2.0.0 production --branch "$(git branch --show-current)"'


def test_review_adopted_change_keeps_its_time() -> None:
    branch = strict(make_policy())
    adopted: Plain = {"tag": "churn#production#1", "at": "2020-01-01T00:00:00Z"}
    branch.registry.edit({"version": "v2.0.0", "adopted": adopted})
    assert branch.review().changes[0].transition.at.year == 2020


EXTRA = {"bad-name", "conflict"}
"""What a review refuses, and an audit bears: mreg itself would not do it either."""

edits = st.lists(
    st.one_of(
        st.tuples(st.just("register"), small_versions),
        st.tuples(st.just("promote"), small_versions, st.sampled_from([STAGING, PRODUCTION])),
        st.tuples(st.just("by hand"), st.none() | small_versions, st.sampled_from([STAGING, PRODUCTION])),
        st.tuples(st.just("rollback")),
        st.tuples(st.just("archive"), small_versions),
        st.tuples(st.just("approve"), small_versions, st.none() | small_versions, st.sampled_from([ADA, BO, EVE])),
        st.tuples(st.just("hold"), st.booleans()),
        st.tuples(st.just("reword"), st.text(max_size=2)),
        st.tuples(st.just("revert"), st.integers(-4, -1)),
        st.tuples(st.just("squash"), st.integers(1, 4)),
    ),
    max_size=14,
)


def act(branch: Branch, edit: tuple[Any, ...]) -> None:
    """Makes at most one commit."""
    registry, (kind, *rest) = branch.registry, edit
    document = json.loads(registry.tree.get(STAGE_FILE, "{}"))
    if kind == "register":
        registry.register(rest[0])
    elif kind == "promote":
        branch.promote(*rest)
    elif kind == "by hand":
        registry.edit_version(*rest)
    elif kind == "rollback":
        branch.rollback()
    elif kind == "archive":
        registry.archive(rest[0])
    elif kind == "approve":
        branch.approve(rest[0], rest[1], by=rest[2])
    elif kind == "hold" and document:
        registry.edit({**document, "hold": rest[0]})
    elif kind == "reword" and document:
        registry.edit({**document, "reason": rest[0]})
    elif kind == "revert" and len(registry.commits) >= -rest[0]:
        registry.revert(rest[0])
    elif kind == "squash" and len(registry.commits) > rest[0]:
        registry.squash(rest[0])


@given(edits, st.sampled_from([STRICT, make_policy(SoakGate(STAGING)), make_policy(approvals=2, not_author=False)]))
def test_review_of_each_commit_agrees_with_the_audit_of_the_history(edits: list[Any], policy: Policy) -> None:
    branch = Branch(Simulator(policy))
    for edit in edits:
        with suppress(MregError):
            act(branch, edit)
    commits = branch.registry.commits
    auditor = Auditor(policy.layout, branch.registry.manifest, FileWitness(branch.registry), lambda _: policy)
    auditor.policy = policy
    for end, commit in enumerate(commits, 1):
        told = len(auditor.faults)
        auditor.step(commit)
        one = dataclasses.replace(
            branch, registry=dataclasses.replace(branch.registry, commits=commits[:end]), start=end - 1
        )
        review = one.review(at=commit.time)
        found = {fault.code for fault in auditor.faults[told:] if not fault.code.startswith("approval-")}
        asked = {code for code in codes(review) if not code.startswith("approval-")}
        assert (found <= asked, asked - found <= EXTRA) == (True, True), (found, asked)
        # That an approval came too late is the fault of a promotion that landed without it.
        assert not (review.ok and [fault for fault in auditor.faults[told:] if fault.code != "approval-late"])


@given(edits)
def test_review_accepts_every_commit_that_a_writer_accepts(edits: list[Any]) -> None:
    branch = strict(make_policy(FormatGate(("onnx",)), who=("managers",), on_replace=OnReplace.ARCHIVE))
    registry = branch.registry
    writers: dict[str, Callable[..., Any]] = {
        "promote": registry.promote,
        "rollback": registry.rollback,
        "archive": registry.archive,
        "register": registry.register,
        "by hand": lambda version, stage: registry.clear(stage),
    }
    for kind, *rest in edits:
        before = len(registry.commits)
        with suppress(MregError):
            if kind in writers:
                writers[kind](*rest)
        if len(registry.commits) > before and kind != "register":
            branch.start = before
            assert branch.review().ok, branch.review().complaints


def test_review_judges_as_the_writer_does() -> None:
    registry = simulate(V1, V2, policy=replace(STRICT, people=PEOPLE))
    branch = Branch(registry, len(registry.commits))
    branch.promote(V1)
    before = dataclasses.replace(registry, commits=registry.commits[:-1]).timeline()
    (case,) = registry.cases(before, registry.commits[-1])
    assert branch.review().changes[0].judgement == judge(replace(case, at=case.at))


def test_review_scan_is_that_of_the_evidence() -> None:
    witness = FileWitness(simulate(V1), Scan("scanner 1", is_clean=True))
    assert witness.scan(make_record(V1, {})) == Scan("scanner 1", is_clean=True)
