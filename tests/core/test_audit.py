from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain
from mreg.core.history.record import Artifact, Record
from mreg.core.history.statements import Namespace, artifact_name
from mreg.core.history.timeline import ApprovalFile, Finding
from mreg.core.names import ModelName, StageName, Version
from mreg.core.review.approvals import Approval, Vote, approval_id, encode_approval, format_approval, parse_approval
from mreg.core.review.audit import NO_RULES, Auditor
from mreg.core.review.audited import Audit, AuditFault, Judged
from mreg.core.settings.people import Proof
from mreg.core.settings.policy import Policy, parse_policy
from tests.core.simulator import ADA, CHURN, PRODUCTION, STAGING, V1, V2, V3, Simulator, Witness, oid_of

BO, EVE = "bo@example.com", "eve@example.com"
PEOPLE: dict[str, Plain] = {
    "people": {"ada": {"emails": [ADA]}, "bo": {"emails": [BO]}},
    "roles": {"owners": ["bo"], "able": ["ada"], "reviewers": ["bo"]},
}
SETTINGS = "registry.yaml"


@dataclass
class Eyes(Witness):
    """Evidence some of which cannot be read."""

    blind: Collection[str] = ()

    def record(self, model: ModelName, version: Version, oid: str) -> Record | None:
        return None if oid in self.blind else super().record(model, version, oid)

    def vote(self, file: ApprovalFile) -> Vote:
        if file.oid in self.blind:
            return Vote(file.path, None, fault="it is no YAML")
        return super().vote(file)


@dataclass
class Stand:
    """A registry with its settings in the tree, and an audit of it."""

    sim: Simulator = field(default_factory=Simulator)
    blind: set[str] = field(default_factory=set)

    def settle(self, document: Mapping[str, Plain], *, email: str = BO) -> None:
        """Commits settings."""
        text = json.dumps({"schema": 1, **document})
        self.sim.commit({SETTINGS: text}, email=email)
        self.sim.policy = self.read_policy(oid_of(text))

    def read_policy(self, oid: str) -> Policy:
        return parse_policy(Fields(json.loads(self.sim.text_of(oid)), where=SETTINGS))

    def audit(self, since: int = 0, tell: Callable[[Judged], None] | None = None) -> Auditor:
        eyes = Eyes(self.sim, blind=self.blind)
        auditor = Auditor(self.sim.layout, self.sim.manifest, eyes, self.read_policy, tell=tell)
        for index, commit in enumerate(self.sim.commits):
            auditor.step(commit, is_judged=index >= since)
        auditor.finish()
        return auditor

    def judged(self, since: int = 0) -> list[Judged]:
        told: list[Judged] = []
        found = self.audit(since, told.append)
        counts = (len(told), sum(each.is_signed for each in told), sum(each.actor.is_proven for each in told))
        assert counts == (found.transitions, found.signed, found.proven)
        return told

    def codes(self, since: int = 0) -> list[str]:
        return [fault.code for fault in self.audit(since).faults]

    def approve(
        self,
        version: Version,
        to: StageName = PRODUCTION,
        *,
        by: str = BO,
        email: str = "",
        **changes: Any,  # noqa: ANN401 - handed on
    ) -> str:
        """Commits an approval, and returns its path."""
        artifact = Artifact("model.bin", 7, "", oid_of(f"churn {version}"), format="onnx")
        replaces = self.sim.timeline().lane(CHURN, to).current
        approval = Approval(CHURN, version, to, artifact_name(artifact), replaces, by, at=self.sim.now)
        path = self.sim.layout.approval(CHURN, version, to, approval_id(approval))
        text = json.dumps(format_approval(replace(approval, **changes)))
        self.sim.commit({path: text}, email=email or by)
        return path


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def ruled(stand: Stand) -> Stand:
    """Two versions, the first in production, where a metric, an approval and a role are asked for."""
    stages: dict[str, Plain] = {
        "staging": {},
        "production": {"gates": [{"metric": "auc", "min": 0.9}], "approvals": {"count": 1, "by": ["reviewers"]}},
    }
    stand.settle({**PEOPLE, "stages": stages, "owners": ["owners"]})
    for version, auc in ((V1, 0.95), (V2, 0.92), (V3, 0.5)):
        artifact = Artifact("model.bin", 7, "", oid_of(f"churn {version}"), format="onnx")
        stand.sim.facts[CHURN, version] = Record(CHURN, version, artifact, metrics={"auc": auc})
        stand.sim.register(version)
    stand.approve(V1)
    stand.sim.promote(V1)
    return stand


def stage_path(stage: StageName = PRODUCTION) -> str:
    return f"registry/churn/stages/{stage}.yaml"


def test_audit_of_nothing_finds_nothing(stand: Stand) -> None:
    found = stand.audit()
    assert (found.faults, found.unproven, found.transitions, found.policy) == ([], [], 0, NO_RULES)


def test_audit_of_what_mreg_wrote_is_clean(ruled: Stand) -> None:
    sim = ruled.sim
    ruled.approve(V2)
    sim.promote(V2)
    sim.rollback()
    sim.promote(V3, STAGING)
    sim.clear(STAGING)
    sim.archive(V3)
    sim.archive(V2)
    sim.archive(V3, undo=True)
    judged = ruled.judged()
    assert ruled.codes() == []
    assert [str(each.transition.action.value) for each in judged] == [
        *("promote", "promote", "rollback", "promote", "clear", "archive", "archive", "clear")
    ]
    assert [each.wanted for each in judged[:2]] == [1, 1]
    assert [finding.rule for finding in judged[1].judgement.findings] == ["metric", "approvals"]


def test_audit_judges_by_the_rules_of_the_parent(ruled: Stand) -> None:
    text = json.dumps({"schema": 1})
    entry = json.dumps({"version": "v3.0.0"})
    ruled.sim.commit({SETTINGS: text, stage_path(): entry}, email=BO)
    found = ruled.audit()
    assert [fault.code for fault in found.faults] == ["rule-metric", "rule-approvals"]
    assert {(fault.place, fault.commit) for fault in found.faults} == {(stage_path(), ruled.sim.commits[-1].oid)}
    ruled.sim.edit_version(V2)
    assert ruled.codes() == ["rule-metric", "rule-approvals"]  # by then the rules are gone


def test_audit_without_settings_has_no_rules(stand: Stand) -> None:
    stand.sim.register(V1)
    stand.sim.edit({"version": "v1.0.0"}, StageName("elsewhere"))
    assert stand.codes() == []


def test_audit_stage_that_is_not_declared_is_a_fault(ruled: Stand) -> None:
    ruled.sim.edit({"version": "v1.0.0"}, StageName("elsewhere"))
    ruled.sim.edit(None, StageName("elsewhere"))
    assert ruled.codes() == ["undeclared-stage"]
    ruled.sim.edit({"version": "v1.0.0", "adopted": {"tag": "churn#old#3"}}, StageName("old"))
    assert ruled.codes() == ["undeclared-stage"]


def test_audit_version_without_a_record_is_one_fault(ruled: Stand) -> None:
    ruled.sim.edit({"version": "v9.0.0"}, STAGING)
    assert ruled.codes() == ["unknown-version"]


def test_audit_settings_deleted_or_unreadable_stay_in_force(ruled: Stand) -> None:
    ruled.sim.commit({SETTINGS: None}, email=BO)
    ruled.sim.commit({SETTINGS: json.dumps({"schema": 7})}, email=BO)
    ruled.sim.edit_version(V3)
    assert ruled.codes() == ["policy-deleted", "policy-unreadable", "rule-metric", "rule-approvals"]


def test_audit_settings_that_never_could_be_read_make_no_rules(stand: Stand) -> None:
    stand.sim.commit({SETTINGS: json.dumps({"schema": 7})})
    stand.sim.register(V1)
    stand.sim.edit({"version": "v1.0.0"})
    assert stand.codes() == ["policy-unreadable"]


def test_audit_settings_are_for_their_owners(ruled: Stand) -> None:
    before = len(ruled.sim.commits)
    ruled.settle({**PEOPLE, "owners": ["owners"]}, email=ADA)
    ruled.settle({**PEOPLE, "owners": ["owners"]})
    found = ruled.audit().faults
    assert [(fault.code, fault.place) for fault in found] == [("policy-not-by-owner", SETTINGS)]
    assert ADA in found[0].message
    assert ruled.codes(since=before + 1) == []


def test_audit_root_that_moves_below_files_is_a_fault(ruled: Stand) -> None:
    ruled.settle({**PEOPLE, "root": "models"})
    assert ruled.codes() == ["root-changed"]


def test_audit_root_that_moves_before_there_are_files_is_none(stand: Stand) -> None:
    stand.settle({"root": "models"})
    stand.settle({"root": "registry"})
    stand.sim.register(V1)
    assert stand.codes() == []


def test_audit_since_knows_what_came_before(ruled: Stand) -> None:
    ruled.sim.edit_version(V3)
    after = len(ruled.sim.commits)
    ruled.sim.edit_version(V2)
    assert ruled.codes() == ["rule-metric", "rule-approvals", "rule-approvals"]
    assert ruled.codes(since=after) == ["rule-approvals"]
    assert len(ruled.judged(since=after)) == 1


@pytest.mark.parametrize(
    ("changes", "email", "code"),
    [
        ({}, EVE, "approval-forged"),
        ({"by": EVE}, EVE, "approval-unlisted"),
        ({"artifact": "sha256:00"}, BO, "approval-other-artifact"),
        ({"stage": STAGING}, BO, "approval-copied"),
        ({"replaces": None}, BO, "approval-stale"),
        ({"signature": "x"}, BO, "approval-forged"),
    ],
)
def test_audit_tells_why_approvals_do_not_count(ruled: Stand, changes: Any, email: str, code: str) -> None:  # noqa: ANN401
    path = ruled.approve(V2, email=email, **changes)
    ruled.sim.edit_version(V2)
    found = ruled.audit().faults
    assert [(fault.code, fault.place) for fault in found] == [("rule-approvals", stage_path()), (code, path)]


def test_audit_approval_by_an_unlisted_key_does_not_count(ruled: Stand) -> None:
    production: Plain = {"approvals": {"count": 1}, "signatures": "required"}
    ruled.settle({**PEOPLE, "stages": {"staging": {}, "production": production}})
    path = ruled.approve(V2, signature="made")
    approval = parse_approval(Fields(json.loads(ruled.sim.tree[path]), where=path))
    ruled.sim.proofs[encode_approval(approval), f"{Namespace.APPROVAL.value} made"] = Proof("ssh-ed25519 AAAA")
    ruled.sim.edit_version(V2)
    found = ruled.audit().faults
    assert [fault.code for fault in found] == ["rule-signature", "rule-approvals", "approval-unlisted"]
    assert found[-1].place == path


def test_audit_approval_that_was_spent_is_replayed(ruled: Stand) -> None:
    path = ruled.approve(V2)
    ruled.sim.promote(V2)
    ruled.sim.rollback()
    ruled.sim.edit_version(V2)
    assert [(fault.code, fault.place) for fault in ruled.audit().faults] == [
        ("rule-approvals", stage_path()),
        ("approval-replayed", path),
    ]


def test_audit_approval_that_comes_too_late(ruled: Stand) -> None:
    ruled.sim.edit_version(V2)
    path = ruled.approve(V2, replaces=V1)
    ruled.approve(V3)
    found = ruled.audit().faults
    assert [(fault.code, fault.place) for fault in found] == [("rule-approvals", stage_path()), ("approval-late", path)]
    ruled.sim.rollback()
    ruled.approve(V2)
    assert ruled.codes() == ["rule-approvals", "approval-late"]


def test_audit_wrong_approval_is_told_though_enough_others_are_there(ruled: Stand) -> None:
    forged = ruled.approve(V2, by=BO, email=EVE)
    ruled.approve(V2)
    ruled.approve(V2, by=EVE, email=EVE)
    ruled.sim.promote(V2)
    assert [(fault.code, fault.place) for fault in ruled.audit().faults] == [("approval-forged", forged)]


def test_audit_wrong_approval_is_told_before_it_is_used_and_once(ruled: Stand) -> None:
    forged = ruled.approve(V2, by=BO, email=EVE)
    found = ruled.audit().faults
    assert [(fault.code, fault.place) for fault in found] == [("approval-forged", forged)]
    assert found[0].commit == ruled.sim.commits[-1].oid
    ruled.sim.edit_version(V2)
    ruled.sim.edit(None)
    ruled.sim.edit_version(V2)
    assert ruled.codes().count("approval-forged") == 1


def test_audit_pending_approval_of_a_stage_without_rules_is_nothing(ruled: Stand) -> None:
    ruled.approve(V2, StageName("elsewhere"), email=EVE)
    ruled.approve(V2, STAGING, by=EVE, email=EVE)
    ruled.approve(Version(9), STAGING)
    assert ruled.codes() == []


def test_audit_approval_that_was_changed_is_one_fault(ruled: Stand) -> None:
    path = ruled.approve(V2)
    text = json.loads(ruled.sim.tree[path])
    ruled.sim.commit({path: json.dumps({**text, "reason": "other"})}, email=BO)
    ruled.sim.edit_version(V2)
    assert ruled.codes() == ["approval-changed", "rule-approvals"]


def test_audit_approval_that_cannot_be_read_is_one_fault(ruled: Stand) -> None:
    path = ruled.approve(V2)
    ruled.blind.add(oid_of(ruled.sim.tree[path]))
    ruled.sim.edit_version(V2)
    assert ruled.codes() == ["approval-unreadable", "rule-approvals"]


def test_audit_approval_that_is_withdrawn_is_none(ruled: Stand) -> None:
    path = ruled.approve(V2, by=BO, email=EVE)
    ruled.sim.commit({path: None})
    assert ruled.codes() == []


def test_audit_records_are_written_once(ruled: Stand) -> None:
    path = ruled.sim.layout.record(CHURN, V2)
    ruled.sim.commit({path: "another"})
    ruled.sim.commit({path: None})
    ruled.sim.commit({path: "a third"})
    assert ruled.codes() == ["record-changed", "record-deleted", "record-changed"]


def test_audit_record_that_cannot_be_read_is_a_fault(stand: Stand) -> None:
    path = stand.sim.layout.record(CHURN, V1)
    stand.blind.add(oid_of(f"record {path}"))
    stand.sim.register(V1)
    assert [(fault.code, fault.place) for fault in stand.audit().faults] == [("unreadable-record", path)]


def test_audit_file_lists_come_with_their_record(stand: Stand) -> None:
    record, files = stand.sim.layout.record(CHURN, V1), stand.sim.layout.file_list(CHURN, V1)
    stand.sim.commit({record: "record", files: "list"})
    assert stand.codes() == []
    stand.sim.commit({files: "another"})
    stand.sim.commit({files: None})
    stand.sim.commit({files: "again"})
    assert stand.codes() == ["file-list-changed"] * 3


def test_audit_stage_file_that_cannot_be_read_is_one_fault(ruled: Stand) -> None:
    ruled.sim.edit(["no mapping"])
    ruled.sim.commits[-1] = replace(ruled.sim.commits[-1], trailers=(("Mreg-Model", "fraud"),))
    assert [(fault.code, fault.place) for fault in ruled.audit().faults] == [("unreadable-stage", stage_path())]


def test_audit_stray_files(stand: Stand) -> None:
    strays = ["registry/churn/stages/x.txt", "registry/loose.bin"]
    beside = ["registry/README.md", "registry/churn/.gitkeep", "elsewhere/x.txt"]
    stand.sim.commit(dict.fromkeys([*strays, *beside], "text"))
    stand.sim.commit(dict.fromkeys(strays))
    assert [(fault.code, fault.place) for fault in stand.audit().faults] == [("stray-file", path) for path in strays]


def test_audit_hold_by_someone_else_is_a_fault(stand: Stand) -> None:
    stand.settle({**PEOPLE, "stages": {"production": {"who": ["able"]}, "staging": {}}})
    stand.sim.register(V1)
    stand.sim.promote(V1)
    path = stage_path()
    document = json.loads(stand.sim.tree[path])
    stand.sim.commit({path: json.dumps({**document, "hold": True})}, email=ADA)
    assert stand.codes() == []
    stand.sim.commit({path: json.dumps(document)}, email=EVE)
    stand.sim.commit({stage_path(STAGING): json.dumps({"version": "none", "hold": True})}, email=EVE)
    stand.sim.edit({"version": "none", "hold": True}, StageName("elsewhere"))
    stand.sim.commit({path: None}, email=ADA)
    stand.sim.commit({path: json.dumps({"version": "none", "hold": True})}, email=EVE)
    found = stand.audit().faults
    assert [(fault.code, fault.place) for fault in found] == [("rule-who", path)] * 2
    assert ["released" in found[0].message, "is set" in found[1].message] == [True, True]


def test_audit_statement_rewritten_is_a_fault(ruled: Stand) -> None:
    path = stage_path()
    document = json.loads(ruled.sim.tree[path])
    ruled.sim.commit({path: json.dumps({**document, "by": EVE})})
    ruled.sim.commit({path: json.dumps({**document, "by": EVE, "adopted": {"tag": "churn#production#7"}})})
    assert [(fault.code, fault.place) for fault in ruled.audit().faults] == [("statement-changed", path)]


def test_audit_archived_version_in_a_stage_is_told_when_it_comes(stand: Stand) -> None:
    stand.settle({})
    stand.sim.register(V1)
    stand.sim.register(V2)
    stand.sim.edit({"version": "v1.0.0"})
    archive = stand.sim.layout.stage(CHURN, StageName("archived"))
    stand.sim.commit({archive: json.dumps({"versions": {"v1.0.0": {}}})})
    stand.sim.edit({"version": "v2.0.0"}, STAGING)
    assert [(fault.code, fault.place) for fault in stand.audit().faults] == [("archived-in-stage", stage_path())]
    stand.sim.commit({archive: json.dumps({"versions": {"v1.0.0": {}, "v8.0.0": {}}})})
    assert stand.codes() == ["archived-in-stage", "unknown-version"]


def test_audit_trailers_that_contradict_the_tree(ruled: Stand) -> None:
    ruled.sim.commit({}, trailers=(("Mreg-Model", "churn"), ("Mreg-Version", "v3.0.0"), ("Mreg-Stage", "production")))
    path = ruled.sim.layout.record(CHURN, Version(4))
    ruled.sim.commit({path: "record"}, trailers=(("Mreg-Model", "fraud"),))
    found = ruled.audit().faults
    assert [(fault.code, fault.place) for fault in found] == [
        ("trailer-contradicts", "registry"),
        ("trailer-contradicts", path),
    ]
    assert "churn v3.0.0 production" in found[0].message


def test_audit_trailers_of_a_squash_name_one_of_its_changes(ruled: Stand) -> None:
    ruled.sim.promote(V3, STAGING)
    trailers = ruled.sim.commits[-1].trailers
    ruled.sim.register(Version(4))
    ruled.sim.squash(2)
    ruled.sim.commits[-1] = replace(ruled.sim.commits[-1], trailers=trailers)
    assert ruled.codes() == []


def test_audit_unproven_is_no_fault(stand: Stand) -> None:
    stand.settle({"stages": {"production": {"gates": [{"pickle": "scan"}]}}})
    artifact = Artifact("model.pkl", 7, "", oid_of("churn v1.0.0"), format="pickle")
    stand.sim.facts[CHURN, V1] = Record(CHURN, V1, artifact)
    stand.sim.register(V1)
    stand.sim.promote(V1)
    found = stand.audit()
    assert (found.faults, [each.code for each in found.unproven]) == ([], ["unproven-pickle"])


def test_audited_counts() -> None:
    audit = Audit("a" * 40, transitions=3, proven=1)
    assert (audit.ok, audit.complete, audit.claimed) == (True, True, 2)
    assert not replace(audit, faults=(AuditFault("x", "y", "z"),)).ok
    broken = replace(audit, gaps=(Finding("x", "y", "z"),))
    assert (broken.ok, broken.complete) == (False, False)


def test_judged_tells_whether_it_is_signed(ruled: Stand) -> None:
    ruled.sim.edit({"version": "v2.0.0", "by": ADA, "signature": "x"}, STAGING)
    ruled.sim.edit({"version": "v1.0.0"}, STAGING)
    assert [each.is_signed for each in ruled.judged()] == [False, True, False]
    assert "rule-signature" in ruled.codes()
