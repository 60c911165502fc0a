"""The audit: every commit of the history, judged by the rules and keys of its first parent.

Rules:
    * The rules in force are those of the first parent; while there is no ``registry.yaml`` yet, there are none.
    * A ``registry.yaml`` that is deleted or cannot be read changes nothing: the last one that could be stays in force.
    * A transition is judged like one that is to be made now, wherever it came from.
    * What a gate cannot answer any more (a scan, without the bytes) is unproven, and no fault.
    * One bad thing is one fault: the next commit is judged by what is there then.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from mreg.core.history.fold import ManifestReader, step
from mreg.core.history.statements import artifact_name
from mreg.core.history.timeline import Action, ApprovalFile, Commit, Event, FileChange, Standing, Transition
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.review.approvals import Ballot, count_votes
from mreg.core.review.audited import AuditFault, Judged
from mreg.core.review.cases import Evidence, cases_of, look_before
from mreg.core.review.gates import Case, Outcome, judge
from mreg.core.review.inspecting import Inspector
from mreg.core.review.refusals import format_finding
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import Policy
from mreg.errors import DataError

__all__ = ["NO_RULES", "Auditor"]

NO_RULES = Policy(stages={})
"""In force before there is a ``registry.yaml``."""
_NEVER_RIGHT = {"approval-changed", "approval-forged", "approval-unreadable"}
"""What is wrong with an approval even where enough others are there."""
_VERBS = {Action.PROMOTE: "entered", Action.ROLLBACK: "went back into", Action.CLEAR: "left"}


class Auditor:
    """Judges a history commit by commit, oldest first; in time linear in their number."""

    def __init__(
        self,
        layout: Layout,
        read: ManifestReader,
        evidence: Evidence,
        read_policy: Callable[[str], Policy],
        *,
        policy: Policy | None = None,
        tell: Callable[[Judged], None] | None = None,
    ) -> None:
        """Starts before the first commit.

        Args:
            layout: Where the registry's files are.
            read: Gives the parsed manifest file of a blob.
            evidence: Records, approvals, signatures and scans.
            read_policy: Gives the settings in a blob, or raises DataError.
            policy: What is in force where the history of the settings is left out.
            tell: Is told of each transition that is judged; none of them is kept.
        """
        self.standing = Standing()
        self.policy = policy or NO_RULES
        """In force for the next commit."""
        self.transitions = self.signed = self.proven = 0
        """How many were judged, bear a signature, and show by it who made them."""
        self.faults: list[AuditFault] = []
        self.unproven: list[AuditFault] = []
        self._layout = layout
        self._read = read
        self._evidence = evidence
        self._read_policy = read_policy
        self._tell = tell
        self._inspector = Inspector(layout, self.standing)
        self._has_policy = self._has_files = policy is not None
        self._weighed: set[str] = set()
        """Paths of approvals that were counted for a transition."""
        self._told: set[tuple[str, str]] = set()
        """Code and path of what is wrong with an approval by itself."""
        self._lacking: dict[tuple[ModelName, StageName], Version] = {}
        """What stages hold without the approvals that they ask for."""

    def step(self, commit: Commit, *, is_judged: bool = True) -> list[Event]:
        """Adds the next commit, and returns what it did.

        Args:
            commit: With its changes in the registry's folder and to ``registry.yaml``.
            is_judged: False where it is only to be known to those after it.
        """
        if is_judged:
            events = self._judge(commit)
        else:
            self._inspector.look(commit)
            events = step(self.standing, commit, self._layout, self._read)
        root = f"{self.policy.root}/"
        self._has_files = self._has_files or any(change.path.startswith(root) for change in commit.changes)
        for change in commit.changes:
            if change.path == SETTINGS_FILE:
                self._follow_policy(commit, change, is_judged=is_judged)
        return events

    def finish(self) -> None:
        """Weighs the approvals that no transition has used yet, by the rules in force at the end."""
        for (model, version, stage), files in self.standing.approvals.items():
            since = self.standing.lane(model, stage).position
            pending = [each for each in files.values() if each.position > since and each.path not in self._weighed]
            if pending and stage in self.policy.stages:
                self._weigh_pending(model, version, stage, pending)

    def _judge(self, commit: Commit) -> list[Event]:
        standing, policy, told = self.standing, self.policy, len(self.standing.findings)
        before, held = self._inspector.look(commit), look_before(standing, commit, self._layout, policy)
        events = step(standing, commit, self._layout, self._read)
        moves = [event for event in events if isinstance(event, Transition)]
        cases = cases_of(standing, commit, moves, held, policy, self._evidence) if moves else []
        unreadable = []
        for finding in standing.findings[told:]:
            is_unreadable = finding.code == DataError.code
            unreadable += [finding.place] if is_unreadable else []
            code = "unreadable-stage" if is_unreadable else finding.code
            self._tell_once(AuditFault(code, finding.place, finding.message, commit.oid))
        self._read_new(commit)
        for move, case in cases:
            self._judge_move(commit, move, case)
        self.faults += self._inspector.inspect(commit, before, policy, unreadable=unreadable)
        return events

    def _read_new(self, commit: Commit) -> None:
        for change in commit.changes:
            place = self._layout.locate(change.path)
            if change.new is None or place is None or place.version is None:
                continue
            if place.kind is PathKind.RECORD and not self._evidence.record(place.model, place.version, change.new):
                message = f"it cannot be read as the record of {place.model} {place.version}"
                self.faults.append(AuditFault("unreadable-record", change.path, message, commit.oid))
            elif place.kind is PathKind.APPROVAL and place.stage:
                file = self.standing.approvals[place.model, place.version, place.stage][change.path]
                vote = self._evidence.vote(file)
                if vote.approval is None:
                    self._tell_once(AuditFault("approval-unreadable", change.path, vote.fault, commit.oid))
                elif self._lacking.get((place.model, place.stage)) == place.version:
                    message = f"it was added after {place.model} {place.version} had entered {place.stage} without it"
                    self.faults.append(AuditFault("approval-late", change.path, message, commit.oid))

    def _judge_move(self, commit: Commit, move: Transition, case: Case) -> None:
        judgement, path = judge(case), self._layout.stage(move.model, move.stage)
        rule = case.policy.stages.get(move.stage)
        self._count(Judged(move, case.actor, judgement, rule.approvals.count if rule else 0))
        self._weighed.update(vote.path for vote in case.votes)
        what = f"{move.model} {move.target or move.source}"
        is_unknown = move.target is not None and (move.model, move.target) not in self.standing.records
        if is_unknown:
            self.faults.append(AuditFault("unknown-version", path, f"{what} is not registered", commit.oid))
        is_undeclared = move.target is not None and move.stage not in {ARCHIVED, *self.policy.stages}
        if is_undeclared and self._has_policy and not move.adopted:
            message = f"{what} entered {move.stage}, which is not a stage in registry.yaml"
            self.faults.append(AuditFault("undeclared-stage", path, message, commit.oid))
        for finding in judgement.findings:
            message = f"{what} {_VERBS.get(move.action, 'changed')} {move.stage}: {format_finding(finding)}"
            if finding.outcome is Outcome.UNPROVEN:
                self.unproven.append(AuditFault(f"unproven-{finding.rule}", path, message, commit.oid))
            elif finding.outcome is Outcome.FAIL and not (is_unknown and finding.rule == "record"):
                self.faults.append(AuditFault(f"rule-{finding.rule}", path, message, commit.oid))
        lacks = any(finding.rule == "approvals" for finding in judgement.refusals)
        self._lacking.pop((move.model, move.stage), None)
        if lacks and move.target is not None:
            self._lacking[move.model, move.stage] = move.target
        for code, place, message in judgement.tally.faults:
            if code in _NEVER_RIGHT:
                self._tell_once(AuditFault(code, place, message, commit.oid))
            elif lacks:
                self.faults.append(AuditFault(code, place, message, commit.oid))

    def _count(self, judged: Judged) -> None:
        self.transitions += 1
        self.signed += judged.is_signed
        self.proven += judged.actor.is_proven
        if self._tell:
            self._tell(judged)

    def _weigh_pending(self, model: ModelName, version: Version, stage: StageName, pending: list[ApprovalFile]) -> None:
        rule, source = self.policy.stages[stage], self.standing.lane(model, stage).current
        oid = self.standing.records.get((model, version))
        record = self._evidence.record(model, version, oid) if oid else None
        ballot = Ballot(model, version, stage, artifact_name(record.artifact if record else None), source, Actor(""))
        votes = [replace(self._evidence.vote(each), is_changed=each.is_changed) for each in pending]
        tally = count_votes(rule.approvals, rule.signatures, self.policy.people, ballot, votes)
        commits = {each.path: each.commit.oid for each in pending}
        for code, path, message in tally.faults:
            if code in _NEVER_RIGHT:
                self._tell_once(AuditFault(code, path, message, commits[path]))

    def _tell_once(self, fault: AuditFault) -> None:
        if (fault.code, fault.place) not in self._told or fault.code not in _NEVER_RIGHT:
            self.faults.append(fault)
        self._told.add((fault.code, fault.place))

    def _follow_policy(self, commit: Commit, change: FileChange, *, is_judged: bool) -> None:
        before, faults = self.policy, []
        author = before.people.find_by_email(commit.email)
        if self._has_policy and before.owners and not before.people.has_role(author, before.owners):
            message = f"{commit.email} changes it, but is not in {' or '.join(before.owners)}"
            faults.append(AuditFault("policy-not-by-owner", SETTINGS_FILE, message, commit.oid))
        if change.new is None:
            message = "it is deleted; its last rules stay in force"
            faults.append(AuditFault("policy-deleted", SETTINGS_FILE, message, commit.oid))
        else:
            try:
                self.policy = self._read_policy(change.new)
            except DataError as error:
                message = f"{error.message}; the previous rules stay in force"
                faults.append(AuditFault("policy-unreadable", SETTINGS_FILE, message, commit.oid))
            else:
                if self._has_policy and self._has_files and self.policy.root != before.root:
                    message = f"root: {before.root} becomes {self.policy.root}, but there are registry files already"
                    faults.append(AuditFault("root-changed", SETTINGS_FILE, message, commit.oid))
                self._has_policy = True
        self.faults += faults if is_judged else []
