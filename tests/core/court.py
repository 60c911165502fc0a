"""A simulated registry of people who have keys, and what its gates say of each promotion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from mreg.core.history.manifest import StageEntry, format_stage
from mreg.core.history.record import Artifact, Record
from mreg.core.history.statements import Namespace, artifact_name, encode_transition
from mreg.core.names import StageName, Version
from mreg.core.review.approvals import Approval, approval_id, encode_approval, format_approval
from mreg.core.review.gates import Case, GateFinding, Judgement, judge
from mreg.core.settings.people import People, Person, Proof
from mreg.core.settings.policy import ApprovalRule, Direction, MetricRule, Policy, Signatures, StageRule
from mreg.core.settings.rules import Gate
from tests.core.simulator import CHURN, PRODUCTION, STAGING, V1, V2, V3, Simulator, oid_of, simulate


def key_of(name: str) -> str:
    return f"ssh-ed25519 {name * 16}"


def email_of(name: str) -> str:
    return f"{name}@example.com"


PEOPLE = People(
    {name: Person(name, (email_of(name), f"{name}@home.example"), (key_of(name),)) for name in ("ada", "bo", "cy")},
    {"managers": ("ada",), "reviewers": ("bo", "cy")},
)
"""``eve`` is nobody of them."""
ADA, BO, CY, EVE = (PEOPLE.persons.get(name, Person(name, (email_of(name),))) for name in ("ada", "bo", "cy", "eve"))
METRICS = {"auc": MetricRule(Direction.HIGHER), "latency_ms": MetricRule(Direction.LOWER, unit="ms")}


def make_rule(
    *gates: Gate,
    approvals: int = 0,
    by: tuple[str, ...] = ("reviewers",),
    who: tuple[str, ...] = (),
    is_signed: bool = False,
    origin: tuple[StageName, ...] = (),
) -> StageRule:
    """Returns the rule of a stage."""
    approval = ApprovalRule(approvals, by, not_author=True) if approvals else ApprovalRule()
    signatures = Signatures.REQUIRED if is_signed else Signatures.OPTIONAL
    return StageRule(origin, gates=gates, approvals=approval, who=who, signatures=signatures)


def make_policy(production: StageRule) -> Policy:
    """Returns a policy that asks for something before a version enters production."""
    return Policy(stages={STAGING: StageRule(), PRODUCTION: production}, metrics=METRICS, people=PEOPLE)


def make_record(version: Version, metrics: Mapping[str, float] | None = None, **changes: Any) -> Record:  # noqa: ANN401
    """Returns a record; the changes are those of its artifact."""
    artifact = Artifact("model.onnx", 7, "", oid_of(f"bytes of {version}"), format="onnx")
    return Record(CHURN, version, replace(artifact, **changes), metrics=metrics or {})


@dataclass
class Court:
    """A registry that takes every commit, and says of each what the gates say."""

    registry: Simulator
    cases: list[Case] = field(default_factory=list)
    """Of the last commit."""

    @classmethod
    def of(cls, production: StageRule, *versions: Version) -> Court:
        """Returns a registry of some versions, none of which is anywhere."""
        registry = simulate(policy=make_policy(production))
        for version in versions or (V1, V2, V3):
            registry.facts[CHURN, version] = make_record(version)
            registry.register(version)
        return cls(registry)

    def sign(self, statement: bytes, kind: Namespace, name: str) -> str:
        """Returns a signature that proves whose key made it."""
        signature = f"a signature by {name}, {len(self.registry.proofs)}"
        self.registry.proofs[statement, f"{kind.value} {signature}"] = Proof(key_of(name))
        return signature

    def approval(self, version: Version, *, by: str = "bo", stage: StageName = PRODUCTION) -> Approval:
        """Returns what an approval of a version says now."""
        source = self.registry.timeline().lane(CHURN, stage).current
        artifact = artifact_name(self.registry.facts[CHURN, version].artifact)
        return Approval(CHURN, version, stage, artifact, source, email_of(by), self.registry.now, "looked at it")

    def plant(self, approval: Approval, *, signer: str = "", email: str = "", path: str = "") -> str:
        """Commits an approval; returns its path."""
        if signer:
            signature = self.sign(encode_approval(approval), Namespace.APPROVAL, signer)
            approval = replace(approval, signature=signature)
        name = approval_id(approval)
        path = path or self.registry.layout.approval(approval.model, approval.version, approval.stage, name)
        self.registry.commit({path: json.dumps(format_approval(approval))}, email=email or approval.by)
        return path

    def approve(self, version: Version, *, by: str = "bo", is_signed: bool = False) -> str:
        """Commits an approval as ``mreg approve`` does."""
        return self.plant(self.approval(version, by=by), signer=by if is_signed else "")

    def entry(self, version: Version | None, *, by: str = "ada", stage: StageName = PRODUCTION) -> StageEntry:
        """Returns what the stage file says where someone moves the stage now."""
        source = self.registry.timeline().lane(CHURN, stage).current
        return StageEntry(
            version, source, True, f"reason {len(self.registry.commits)}", email_of(by), self.registry.now
        )

    def signed(self, entry: StageEntry, signer: str, *, stage: StageName = PRODUCTION) -> StageEntry:
        """Returns a statement with a signature of someone's."""
        record = self.registry.facts.get((CHURN, entry.version)) if entry.version else None
        statement = encode_transition(CHURN, stage, artifact_name(record.artifact if record else None), entry)
        return replace(entry, signature=self.sign(statement, Namespace.TRANSITION, signer))

    def land(self, entry: StageEntry, *, email: str = "", stage: StageName = PRODUCTION) -> Judgement:
        """Commits a stage file, and returns what the gates say."""
        return self.judge({self.registry.layout.stage(CHURN, stage): json.dumps(format_stage(entry))}, email=email)

    def move(
        self, version: Version | None, *, by: str = "ada", is_signed: bool = False, stage: StageName = PRODUCTION
    ) -> Judgement:
        """Moves a stage as ``mreg promote`` does, whatever the gates say."""
        entry = self.entry(version, by=by, stage=stage)
        return self.land(self.signed(entry, by, stage=stage) if is_signed else entry, email=email_of(by), stage=stage)

    def judge(self, files: Mapping[str, str | None], *, email: str = "") -> Judgement:
        """Commits files, and returns what the gates say of the one transition that is in them."""
        before = self.registry.timeline()
        commit = self.registry.commit(files, email=email or email_of("ada"))
        self.cases = self.registry.cases(before, commit)
        (case,) = self.cases
        return judge(case)

    @property
    def path(self) -> str:
        """The stage file of production."""
        return self.registry.layout.stage(CHURN, PRODUCTION)


def said(judgement: Judgement, rule: str) -> GateFinding:
    """Returns the one answer of one rule."""
    (finding,) = (each for each in judgement.findings if each.rule == rule)
    return finding


def refused(judgement: Judgement) -> list[str]:
    """Returns the rules that say no."""
    return [finding.rule for finding in judgement.refusals]


def codes(judgement: Judgement) -> list[str]:
    """Returns why approvals do not count."""
    return [code for code, _, _ in judgement.tally.faults]
