"""Reviews of a simulated registry: what its last commits would do on top of those before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from mreg.core.fields import Plain
from mreg.core.history.fold import fold
from mreg.core.history.record import Artifact, Dataset, Record
from mreg.core.history.statements import artifact_name
from mreg.core.history.timeline import ApprovalFile, Commit, FileChange
from mreg.core.layout import SETTINGS_FILE
from mreg.core.names import ModelName, StageName, Version
from mreg.core.review.approvals import Approval, Vote, format_approval
from mreg.core.review.difference import Difference, SettingsDifference
from mreg.core.review.review import review
from mreg.core.review.reviewed import Fault, Review
from mreg.core.settings.people import People, Person
from mreg.core.settings.policy import ApprovalRule, Direction, MetricRule, OnReplace, Policy, StageRule
from mreg.core.settings.rules import Gate, MetricGate
from mreg.core.writing.transitions import plan_promote, plan_rollback
from mreg.errors import DataError
from tests.core.simulator import ADA, CHURN, HAND, PRODUCTION, STAGING, Simulator, Witness, oid_of

BO, CY, EVE = "bo@example.com", "cy@example.com", "eve@example.com"
PEOPLE = People(
    {name: Person(name, (f"{name}@example.com",), (f"ssh-ed25519 {name}",)) for name in ("ada", "bo", "cy", "hand")},
    {"managers": ("ada", "bo", "cy")},
)
METRICS = {"auc": MetricRule(Direction.HIGHER, format=".3f"), "latency_ms": MetricRule(Direction.LOWER, unit="ms")}


def make_policy(
    *gates: Gate,
    approvals: int = 0,
    not_author: bool = True,
    who: tuple[str, ...] = (),
    owners: tuple[str, ...] = (),
    naming: str = "",
    on_replace: OnReplace = OnReplace.KEEP,
) -> Policy:
    """Returns a policy whose production asks for something."""
    rule = ApprovalRule(approvals, ("managers",), not_author) if approvals else ApprovalRule()
    production = StageRule(gates=gates, approvals=rule, who=who, on_replace=on_replace)
    stages = {STAGING: StageRule(), PRODUCTION: production}
    return Policy(stages=stages, metrics=METRICS, people=PEOPLE, owners=owners, naming=naming)


STRICT = make_policy(MetricGate("auc", min=0.9, no_worse_than=PRODUCTION), approvals=1, who=("managers",))


@dataclass
class FileWitness(Witness):
    """Evidence that knows who committed each approval, and which records cannot be read."""

    unreadable: dict[str, DataError] = field(default_factory=dict)
    """By path."""

    def vote(self, file: ApprovalFile) -> Vote:
        changes = ((each.email, change) for each in self.registry.commits for change in each.changes)
        authors = {email for email, change in changes if (change.path, change.new) == (file.path, file.oid)}
        try:
            return replace(super().vote(file), authors=frozenset(authors))
        except DataError as error:
            return Vote(file.path, None, fault=error.message)

    def record(self, model: ModelName, version: Version, oid: str) -> Record | None:
        is_unreadable = self.registry.layout.record(model, version) in self.unreadable
        return None if is_unreadable else super().record(model, version, oid)

    def fault(self, path: str, oid: str) -> DataError | None:
        return self.unreadable.get(path)


@dataclass
class Branch:
    """A simulated registry; what is committed after ``begin`` is under review."""

    registry: Simulator
    start: int = 0
    unreadable: dict[str, DataError] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy, metrics: Mapping[Version, Mapping[str, float]]) -> Branch:
        """Returns a registry with some versions of churn, one commit each, and nothing on the branch."""
        registry = Simulator(policy)
        for version, values in metrics.items():
            registry.facts[CHURN, version] = make_record(version, values)
            registry.register(version)
        return cls(registry, len(registry.commits))

    def begin(self) -> None:
        """Lets all that was committed land."""
        self.start = len(self.registry.commits)

    def promote(self, version: Version, stage: StageName = PRODUCTION, *, email: str = ADA, reason: str = "why") -> str:
        """Commits what ``mreg promote --branch`` does, whatever the gates say; returns the path."""
        registry = self.registry
        statement = replace(registry.statement(reason), by=email)
        lane = registry.timeline().lane(CHURN, stage)
        plan = plan_promote(registry.policy, registry.state(), lane, version, stage, statement)
        registry.commit({path: _spell(document) for path, document in plan.documents.items()}, email=email)
        return registry.layout.stage(CHURN, stage)

    def rollback(self, *, email: str = ADA) -> None:
        registry = self.registry
        statement = replace(registry.statement("error rate doubled"), by=email)
        lane = registry.timeline().lane(CHURN, PRODUCTION)
        plan = plan_rollback(registry.policy, registry.state(), lane, PRODUCTION, statement)
        registry.commit({path: _spell(document) for path, document in plan.documents.items()}, email=email)

    def approve(
        self,
        version: Version,
        replaces: Version | None,
        *,
        by: str = BO,
        email: str | None = None,
        stage: StageName = PRODUCTION,
        name: str = "",
        **said: object,
    ) -> str:
        """Commits an approval, and returns its path."""
        record = self.registry.facts.get((CHURN, version)) or make_record(version, {})
        approval = Approval(CHURN, version, stage, artifact_name(record.artifact), replaces, by, reason="looked at it")
        path = self.registry.layout.approval(CHURN, version, stage, name or by.partition("@")[0])
        document = {**format_approval(approval), **said}
        self.registry.commit({path: json.dumps(document)}, email=email or by)
        return path

    def difference(self, **values: object) -> Difference:
        """Returns what the branch adds."""
        before, after = _tree(self.registry.commits[: self.start]), _tree(self.registry.commits)
        paths = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        new = self.registry.commits[self.start :]
        newest = new[-1] if new else self.registry.commits[-1]
        changes = tuple(FileChange(path, before.get(path), after.get(path)) for path in paths)
        landing = replace(newest, changes=changes, time=self.registry.now + timedelta(minutes=1))
        made = Difference(
            base=self.registry.commits[self.start - 1].oid,
            landing=landing,
            sources={path: tuple(each for each in new[::-1] if _touches(each, path)) for path in paths},
            history=tuple(each.oid for each in new[::-1]),
            lines={path: 1 for path in paths if "/stages/" in path},
            base_name="main",
            branch="promote-churn",
        )
        return replace(made, **values)

    def review(
        self,
        *,
        settings: SettingsDifference | None = None,
        at: datetime | None = None,
        found: Iterable[Fault] = (),
        **values: object,
    ) -> Review:
        """Returns the review of the branch; what is named here differs from what the commits tell."""
        registry, difference = self.registry, self.difference(settings=settings, **values)
        timeline = fold(registry.commits[: self.start], registry.layout, registry.manifest)
        return review(
            replace(difference, landing=replace(difference.landing, time=at or difference.landing.time)),
            timeline,
            policy=registry.policy,
            read=registry.manifest,
            evidence=FileWitness(registry, unreadable=self.unreadable),
            found=found,
        )

    def edit_settings(self, *, email: str = HAND) -> None:
        """Commits another ``registry.yaml``; what is in it, ``review`` is told."""
        self.registry.commit({SETTINGS_FILE: f"settings {len(self.registry.commits)}"}, email=email)


def make_record(version: Version, metrics: Mapping[str, float], *, format: str = "onnx", notes: str = "") -> Record:
    """Returns a record whose hash is that which the simulator's approvals name."""
    artifact = Artifact("model.onnx", 48213, "", oid_of(f"{CHURN} {version}"), format=format)
    return Record(CHURN, version, artifact, metrics=dict(metrics), dataset=Dataset("customers", "2026-10"), notes=notes)


def settings(old: Mapping[str, Plain], new: Mapping[str, Plain]) -> SettingsDifference:
    return SettingsDifference(dict(old), dict(new))


def _spell(document: object) -> str | None:
    return None if document is None else json.dumps(document)


def _tree(commits: list[Commit]) -> dict[str, str]:
    tree: dict[str, str] = {}
    for commit in commits:
        for change in commit.changes:
            tree.pop(change.path, None)
            if change.new:
                tree[change.path] = change.new
    return tree


def _touches(commit: Commit, path: str) -> bool:
    return any(change.path == path for change in commit.changes)
