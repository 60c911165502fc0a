"""A registry in memory: the pure core, with plain values in the place of Git and YAML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from msgspec.structs import replace

from mreg.core.fields import Fields, Plain
from mreg.core.history.fold import fold
from mreg.core.history.manifest import Manifest, parse_archived, parse_stage
from mreg.core.history.record import Artifact, Record
from mreg.core.history.state import ModelState
from mreg.core.history.statements import Namespace
from mreg.core.history.timeline import ApprovalFile, Commit, FileChange, Finding, Timeline, Transition
from mreg.core.layout import Layout, PathKind
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.review.approvals import Vote, encode_approval, parse_approval
from mreg.core.review.cases import open_cases
from mreg.core.review.gates import Case, Scan, judge
from mreg.core.review.refusals import refuse
from mreg.core.settings.people import Proof
from mreg.core.settings.policy import OnReplace, Policy
from mreg.core.writing.plan import Plan, Statement
from mreg.core.writing.transitions import plan_archive, plan_clear, plan_promote, plan_rollback
from mreg.errors import DataError, RefusedError

CHURN = ModelName("churn")
STAGING, PRODUCTION = StageName("staging"), StageName("production")
V1, V2, V3, V4 = (Version(number) for number in range(1, 5))
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
ADA, HAND = "ada@example.com", "hand@example.com"


def oid_of(text: str) -> str:
    """Returns an object id, which like Git's depends on the content alone."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass
class Simulator:
    """A registry branch: every method that changes something makes one commit."""

    policy: Policy = field(default_factory=Policy)
    facts: dict[tuple[ModelName, Version], Record] = field(default_factory=dict)
    """Records that say more than that the version is there."""
    proofs: dict[tuple[bytes, str], Proof] = field(default_factory=dict)
    """What a signature over a statement shows; any other shows nothing."""
    commits: list[Commit] = field(default_factory=list)
    tree: dict[str, str] = field(default_factory=dict)
    """Text by path, as the last commit has it."""
    now: datetime = START
    _blobs: dict[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        return self.policy.layout

    def commit(
        self,
        files: Mapping[str, str | None],
        *,
        email: str = ADA,
        subject: str = "Change",
        trailers: tuple[tuple[str, str], ...] = (),
    ) -> Commit:
        """Commits texts by path; ``None`` deletes."""
        self.now += timedelta(minutes=1)
        changes = []
        for path, text in files.items():
            before = self.tree.pop(path, None)
            if text is not None:
                self._blobs[oid_of(text)] = self.tree[path] = text
            if before != text:
                sides = (None if each is None else oid_of(each) for each in (before, text))
                changes.append(FileChange(path, *sides))
        self._blobs |= {oid_of(text): text for text in self.tree.values()}
        oid = oid_of(f"{len(self.commits)} {files}")
        made = Commit(oid, "Ada", email, self.now, subject, tuple(changes), trailers)
        self.commits.append(made)
        return made

    def apply(self, plan: Plan, *, email: str = ADA) -> Plan:
        """Commits what a plan wants, if anything, and if every gate allows it."""
        documents = {path: None if document is None else _text(document) for path, document in plan.documents.items()}
        if plan.changed:
            before, tree, now = self.timeline(), dict(self.tree), self.now
            made = self.commit(documents, email=email, subject=plan.subject, trailers=plan.trailers)
            try:
                for case in self.cases(before, made):
                    refuse(case, judge(case))
            except RefusedError:
                self.commits.pop()
                self.tree, self.now = tree, now
                raise
        return plan

    def cases(self, before: Timeline, commit: Commit) -> list[Case]:
        """Returns what a commit is judged by; ``before`` is the history up to its parent, and is changed."""
        found = open_cases(before, commit, self.layout, self.manifest, policy=self.policy, evidence=Witness(self))
        return [case for _, case in found]

    def register(self, *versions: Version, model: ModelName = CHURN) -> Commit:
        paths = [self.layout.record(model, version) for version in versions]
        return self.commit({path: f"record {path}" for path in paths}, subject="Register")

    def edit(self, document: Plain, stage: StageName = PRODUCTION, *, model: ModelName = CHURN) -> Commit:
        """Writes a stage file by hand; ``None`` deletes it, a text is no mapping and cannot be read."""
        text = None if document is None else json.dumps(document)
        return self.commit({self.layout.stage(model, stage): text}, email=HAND, subject="By hand")

    def edit_version(self, version: Version | None, stage: StageName = PRODUCTION) -> Commit:
        """Changes the ``version`` of a stage file and nothing else in it."""
        document = json.loads(self.tree.get(self.layout.stage(CHURN, stage), "{}"))
        return self.edit({**document, "version": str(version or "none")}, stage)

    def revert(self, index: int = -1, *, email: str = HAND) -> Commit:
        """Does what ``git revert`` does, to the files of one commit."""
        files = {change.path: self._blobs[change.old] if change.old else None for change in self.commits[index].changes}
        return self.commit(files, email=email, subject="Revert")

    def squash(self, count: int, *, email: str = HAND, subject: str = "Merge (#1)") -> Commit:
        """Makes one commit of the last ones."""
        tree = dict(self.tree)
        paths = [change.path for commit in self.commits[-count:] for change in commit.changes]
        for _ in range(count):
            for change in self.commits.pop().changes:
                self.tree.pop(change.path, None)
                if change.old:
                    self.tree[change.path] = self._blobs[change.old]
        return self.commit({path: tree.get(path) for path in paths}, email=email, subject=subject)

    def statement(self, reason: str = "", *approved_by: str) -> Statement:
        return Statement(reason or f"reason {len(self.commits)}", ADA, self.now, approved_by)

    def promote(
        self, version: Version, stage: StageName = PRODUCTION, *, on_replace: OnReplace | None = None, reason: str = ""
    ) -> Plan:
        lane, statement = self.timeline().lane(CHURN, stage), self.statement(reason)
        plan = plan_promote(self.policy, self.state(), lane, version, stage, statement, on_replace=on_replace)
        return self.apply(plan)

    def rollback(self, stage: StageName = PRODUCTION, *, to: Version | None = None) -> Plan:
        lane = self.timeline().lane(CHURN, stage)
        return self.apply(plan_rollback(self.policy, self.state(), lane, stage, self.statement(), to=to))

    def clear(self, stage: StageName = PRODUCTION) -> Plan:
        return self.apply(plan_clear(self.policy, self.state(), stage, self.statement()))

    def archive(self, version: Version, *, undo: bool = False) -> Plan:
        return self.apply(plan_archive(self.policy, self.state(), version, self.statement(), undo=undo))

    def text_of(self, oid: str) -> str:
        return self._blobs[oid]

    def manifest(self, path: str, oid: str) -> Manifest:
        """Reads a manifest file, as ``ManifestReader`` asks."""
        fields = Fields(json.loads(self._blobs[oid]), where=path)
        if path.endswith(f"/{ARCHIVED}.yaml"):
            return Manifest(archived=parse_archived(fields))
        return Manifest(entry=parse_stage(fields))

    def timeline(self, model: ModelName | None = None) -> Timeline:
        """Replays the history; with ``model`` from what ``git log`` shows of its folder."""
        commits = self.commits
        if model is not None:
            of_model = f"{self.layout.model(model)}/"
            pairs = [(each, tuple(c for c in each.changes if c.path.startswith(of_model))) for each in commits]
            commits = [replace(each, changes=changes) for each, changes in pairs if changes]
        return fold(commits, self.layout, self.manifest)

    def last_transitions(self) -> list[Transition]:
        """Returns what the last commit did."""
        return [each for each in self.timeline().transitions if each.commit == self.commits[-1].oid]

    def stacks(self) -> dict[StageName, list[Version]]:
        return {stage: lane.stack for (_, stage), lane in self.timeline().lanes.items()}

    def state(self, model: ModelName = CHURN) -> ModelState:
        """Reads the tree, and nothing of the history."""
        state = ModelState(model)
        for path, text in sorted(self.tree.items()):
            place = self.layout.locate(path)
            if place is None or place.model != model:
                continue
            if place.kind is PathKind.RECORD and place.version:
                state = replace(state, records=dict(sorted({**state.records, place.version: oid_of(text)}.items())))
            elif place.kind is PathKind.STAGE and place.stage:
                state = self._with_stage(state, place.stage, path, text)
        return state

    def _with_stage(self, state: ModelState, stage: StageName, path: str, text: str) -> ModelState:
        try:
            manifest = self.manifest(path, oid_of(text))
        except DataError as error:
            finding = Finding(error.code, path, error.message)
            return replace(state, unreadable={**state.unreadable, stage: finding})
        if manifest.entry:
            return replace(state, entries={**state.entries, stage: manifest.entry})
        return replace(state, archived={**state.archived, **manifest.archived})


@dataclass
class Witness:
    """The evidence of a simulated registry."""

    registry: Simulator
    scanned: Scan | None = None

    def record(self, model: ModelName, version: Version, oid: str) -> Record | None:
        plain = Record(model, version, Artifact("model.bin", 7, "", oid_of(f"{model} {version}"), format="onnx"))
        return self.registry.facts.get((model, version), plain)

    def vote(self, file: ApprovalFile) -> Vote:
        authors = frozenset({file.commit.email.casefold()})
        try:
            approval = parse_approval(Fields(json.loads(self.registry.text_of(file.oid)), where=file.path))
        except DataError as error:
            return Vote(file.path, None, fault=error.message, authors=authors)
        proof = self.proof(encode_approval(approval), Namespace.APPROVAL, approval.signature)
        return Vote(file.path, approval, authors=authors, proof=proof if approval.signature else None)

    def proof(self, statement: bytes, kind: Namespace, signature: str) -> Proof:
        unknown = Proof(fault="the signature is not one of this statement")
        return self.registry.proofs.get((statement, f"{kind.value} {signature}"), unknown)

    def scan(self, record: Record) -> Scan | None:
        return self.scanned


def _text(document: Mapping[str, Plain] | bytes) -> str:
    return document.decode() if isinstance(document, bytes) else json.dumps(document)


def simulate(*versions: Version, policy: Policy | None = None) -> Simulator:
    """Returns a registry that has some versions of ``churn``, one commit each."""
    made = Simulator(policy or Policy())
    for version in versions:
        made.register(version)
    return made
