"""Reviewing a difference.

Rules:
    * The whole difference counts as one commit on top of the base, as a squash merge lands it.
    * Rules and people are those of the base, so nothing in a difference loosens what it is judged by.
    * Where no statement speaks for a change, everyone who changed the file is asked; one who may not is enough.
    * A file that both sides changed is a conflict, and what it would say is not judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.fold import ManifestReader
from mreg.core.history.timeline import Action, Commit, Timeline, Transition
from mreg.core.layout import SETTINGS_FILE, PathKind, pathspec
from mreg.core.names import ARCHIVED, ModelName, StageName
from mreg.core.review.ballots import find_approvals
from mreg.core.review.cases import find_actor, find_record, open_cases
from mreg.core.review.difference import PLAIN, Before, Difference, find_clashes
from mreg.core.review.filefaults import FileEvidence, find_faults, line_in
from mreg.core.review.gates import Case, GateFinding, Outcome, judge
from mreg.core.review.refusals import advise, format_finding
from mreg.core.review.reviewed import Fault, HoldChange, Registration, Review, ReviewedChange, SettingsReview, name_able
from mreg.core.review.squashing import advise_forged, find_co_authors
from mreg.core.settings.changed import compare_settings
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import ApprovalRule, Policy, StageRule
from mreg.core.versions.compare import Subject, compare

__all__ = ["review"]

_GRAVE = {"approval-forged", "approval-unreadable"}
"""Approvals that say what is not so; others merely do not count."""
_THIS_BRANCH = '"$(git branch --show-current)"'


def review(
    difference: Difference,
    timeline: Timeline,
    *,
    policy: Policy,
    read: ManifestReader,
    evidence: FileEvidence,
    found: Iterable[Fault] = (),
) -> Review:
    """Returns what a difference does to the registry, and whether it may land.

    Args:
        difference: Which files differ, and who changed them.
        timeline: The history up to the base, of the models that are touched at least; it is changed.
        policy: The settings of the base.
        read: Gives the parsed manifest file of a blob.
        evidence: Records, approvals, signatures and scans.
        found: Faults that are known already.
    """
    return _Reviewer(difference, timeline, policy, read, evidence).run(found)


class _Reviewer(Struct):
    difference: Difference
    timeline: Timeline
    policy: Policy
    read: ManifestReader
    evidence: FileEvidence

    def run(self, found: Iterable[Fault]) -> Review:
        difference, timeline, policy, evidence = self.difference, self.timeline, self.policy, self.evidence
        before = Before.of(timeline)
        faults = [*self._conflicts(), *find_faults(difference, timeline, policy, self.read, evidence)]
        cases = open_cases(timeline, difference.landing, policy.layout, self.read, policy=policy, evidence=evidence)
        changes = tuple(self._judge(move, case) for move, case in cases)
        faults += [fault for change in changes for fault in self._misplaced(change)]
        given = tuple(find_approvals(difference, before, timeline, policy, evidence, changes=changes))
        faults += [
            Fault(each.code, each.path, each.why, fix=advise_forged(each, difference))
            for each in given
            if each.code in _GRAVE
        ]
        moved = {(each.transition.model, each.transition.stage) for each in changes}
        faults += [*self._rewritten(before, moved), *self._clashes(before, changes), *self._settings_faults(), *found]
        made = Review(
            base=difference.base,
            head=difference.landing.oid,
            base_name=difference.base_name,
            is_staged=difference.is_staged,
            is_draft=difference.is_draft,
            policy=policy,
            changes=changes,
            registrations=tuple(self._registrations()),
            settings=self._settings(),
            approvals=given,
            holds=tuple(self._holds(before, moved)),
            faults=tuple(dict.fromkeys(faults)),
            co_authors=find_co_authors(given, difference),
        )
        return replace(
            made, notices=(*self._withdrawn(), *self._misattributed(changes), *self._late(changes), *_remark(made))
        )

    def _conflicts(self) -> Iterator[Fault]:
        named, oid = self.difference.base_name, self.difference.base[:12]
        base = named if PLAIN.fullmatch(named) else oid
        for path in self.difference.conflicts:
            message = f"both sides changed it: {named or oid} has moved on and says something else now"
            yield Fault("conflict", path, message, fix=f"git merge {base}   # then resolve the conflict in this file")

    def _judge(self, move: Transition, case: Case) -> ReviewedChange:
        path = self.policy.layout.stage(move.model, move.stage)
        sources = self.difference.sources.get(path, ())
        judged = [(actor, judge(replace(case, actor=actor))) for actor in self._actors(move, case, sources)]
        actor, judgement = max(judged, key=lambda each: len(each[1].refusals))
        rule = self.policy.stages.get(move.stage, StageRule())
        is_promotion = move.action is Action.PROMOTE and move.target is not None
        replaced = find_record(self.timeline, move.model, move.source, self.evidence)
        is_pair = replaced is not None and case.record is not None and move.stage != ARCHIVED
        subjects = [Subject(each) for each in (replaced, case.record) if each]
        return ReviewedChange(
            transition=_as_committed(move, actor, sources),
            path=path,
            judgement=judgement,
            actor=actor,
            approvals=rule.approvals if is_promotion else ApprovalRule(),
            record=case.record,
            is_known=move.target is None or (move.model, move.target) in self.timeline.records,
            comparison=compare(subjects, self.policy.metrics) if is_pair else None,
            line=self.difference.lines.get(path),
            steps=tuple(self._advise(case, refusal) for refusal in judgement.refusals),
        )

    def _actors(self, move: Transition, case: Case, sources: Iterable[Commit]) -> list[Actor]:
        if move.statement and move.statement.by:
            return [case.actor]
        moves = (replace(move, by=email) for email in dict.fromkeys(each.email for each in sources))
        return [find_actor(self.policy, each, case.record, self.evidence) for each in moves] or [case.actor]

    def _advise(self, case: Case, refusal: GateFinding) -> str:
        if refusal.rule == "who":
            return name_able(self.policy, self.policy.stages[case.stage].who)
        if refusal.rule == "approvals":
            branch = self.difference.branch or _THIS_BRANCH
            return f"mreg approve {case.model}@{case.target} {case.stage} --branch {branch}"
        return advise(case, refusal)

    def _misplaced(self, change: ReviewedChange) -> Iterator[Fault]:
        """Yields why a stage cannot hold what it is to hold, where no gate says so."""
        move, known = change.transition, ", ".join(self.policy.stages)
        if move.target is None:
            return
        is_said = any(each.rule == "record" for each in change.judgement.refusals)
        if not change.is_known and not is_said:
            message = f"{move.model} has no version {move.target}: its record is not there"
            yield Fault("unknown-version", change.path, message, change.line, f"mreg list {move.model}")
        if move.stage != ARCHIVED and move.stage not in self.policy.stages and self.difference.has_rules:
            message = f"stage {move.stage} is not declared in {SETTINGS_FILE} of the base, which has {known}"
            fix = f"declare it in {SETTINGS_FILE} first, and let that land"
            yield Fault("undeclared-stage", change.path, message, change.line, fix)

    def _registrations(self) -> Iterator[Registration]:
        for change, place in self.difference.of_kind(self.policy.layout, PathKind.RECORD):
            if change.old is None and place.version is not None:
                record = find_record(self.timeline, place.model, place.version, self.evidence)
                yield Registration(place.model, place.version, change.path, record)

    def _holds(self, before: Before, moved: Collection[tuple[ModelName, StageName]]) -> Iterator[HoldChange]:
        for change, place in self.difference.of_kind(self.policy.layout, PathKind.STAGE):
            if place.stage is None or place.stage == ARCHIVED:
                continue
            key = (place.model, place.stage)
            old, new = before.entries.get(key), self.timeline.lane(*key).entry
            was, now = (each is not None and each.hold for each in (old, new))
            if was != now:
                actors = self.difference.editors(change.path, self.policy.people)
                rule = self.policy.stages.get(place.stage, StageRule())
                findings = () if key in moved else tuple(self._judge_roles("who", rule.who, actors))
                yield HoldChange(change.path, *key, now, actors[0], findings)

    def _rewritten(self, before: Before, moved: Collection[tuple[ModelName, StageName]]) -> Iterator[Fault]:
        for change, place in self.difference.of_kind(self.policy.layout, PathKind.STAGE):
            key = (place.model, place.stage or ARCHIVED)
            old, new = before.entries.get(key), self.timeline.lane(*key).entry
            if old is None or new is None or key in moved or new.adopted != old.adopted:
                continue
            if replace(new, hold=old.hold) != old:
                message = f"it rewrites who put {new.version or 'nothing'} there and why, but not the version itself"
                yield Fault("statement-changed", change.path, message, self.difference.lines.get(change.path))

    def _clashes(self, before: Before, changes: Iterable[ReviewedChange]) -> Iterator[Fault]:
        told = {
            (each.transition.model, each.transition.stage, each.transition.target)
            for each in changes
            if any(refusal.rule in {"archived", "deleted"} for refusal in each.judgement.refusals)
        }
        for model, stage, version in sorted(set(find_clashes(self.timeline)) - before.clashes - told):
            fix = f"mreg archive {model}@{version} --undo --reason 'why'"
            if self.timeline.archived[model][version].deletion:
                fix = f"mreg clear {model} {stage} --reason 'why'"
            path = self.policy.layout.stage(model, stage)
            yield Fault("archived-in-stage", path, f"{model} {version} is archived and in {stage}", fix=fix)

    def _withdrawn(self) -> Iterator[str]:
        for change, _ in self.difference.of_kind(self.policy.layout, PathKind.APPROVAL):
            if change.new is None:
                yield f"{change.path}: the approval is withdrawn"

    def _misattributed(self, changes: Iterable[ReviewedChange]) -> Iterator[str]:
        for change in changes:
            editors = self.difference.editors(change.path, self.policy.people)
            if not change.actor.is_proven and change.actor.name not in {each.name for each in editors}:
                who = ", ".join(each.email for each in editors)
                yield f"{change.title}: it says that {change.actor.email} makes it, but {who} committed it"

    def _late(self, changes: Iterable[ReviewedChange]) -> Iterator[str]:
        rank = {oid: index for index, oid in enumerate(self.difference.history)}
        for change in changes if rank else ():
            moved = [rank[each.oid] for each in self.difference.sources.get(change.path, ())]
            votes = (self.difference.sources.get(path, ()) for path in change.judgement.tally.votes.values())
            given = [rank[each.oid] for vote in votes for each in vote]
            if moved and given and min(given) < min(moved):
                yield f"{change.title}: merge or squash it; a rebase would land it before its approval"

    def _settings(self) -> SettingsReview | None:
        found = self.difference.settings
        if found is None:
            return None
        actors = self.difference.editors(SETTINGS_FILE, self.policy.people)
        changes = compare_settings(found.old or {}, found.new) if found.new is not None else ()
        findings = tuple(self._judge_roles("owners", self.policy.owners, actors))
        return SettingsReview(SETTINGS_FILE, changes, actors, findings, is_there=found.new is not None)

    def _settings_faults(self) -> Iterator[Fault]:
        found = self.difference.settings
        restore = f"git checkout {self.difference.base[:12]} -- {pathspec(SETTINGS_FILE)}"
        if found and found.fault:
            error = found.fault
            yield Fault("policy-unreadable", SETTINGS_FILE, error.message, line_in(error), error.hint or restore)
        elif found and found.new is None:
            yield Fault("policy-deleted", SETTINGS_FILE, "without it there is no registry", fix=restore)
        elif found and found.new and self.difference.has_rules and self.difference.has_files:
            root = found.new.get("root") or Policy().root
            if root != self.policy.root:
                message = f"root: {self.policy.root} becomes {root}, but the registry's files stay where they are"
                yield Fault("root-changed", SETTINGS_FILE, message, fix=restore)

    def _judge_roles(self, rule: str, roles: tuple[str, ...], actors: tuple[Actor, ...]) -> Iterator[GateFinding]:
        if not roles:
            return
        wanted = " or ".join(roles)
        unable = [each.email for each in actors if not self.policy.people.has_role(each.person, roles)]
        outcome = Outcome.FAIL if unable else Outcome.PASS
        why = f"not in {wanted}: {', '.join(unable)}" if unable else ""
        yield GateFinding(rule, f"changed by {wanted}", outcome, ", ".join(map(str, actors)), why)


def _as_committed(move: Transition, actor: Actor, sources: tuple[Commit, ...]) -> Transition:
    """Returns a transition as the newest commit that made it has it, not as the one that it is judged as."""
    if not sources:
        return move
    newest, says = sources[0], move.statement
    return replace(
        move,
        by=(says.by if says else "") or actor.email,
        reason=(says.reason if says else "") or newest.subject,
        at=move.at if move.adopted else newest.time,
        commit=newest.oid,
        author=newest.author,
        email=newest.email,
    )


def _remark(made: Review) -> Iterator[str]:
    """Yields what stops nothing, and should be known."""
    for change in made.changes:
        for finding in change.judgement.findings:
            if finding.outcome is Outcome.UNPROVEN:
                yield f"{change.title}: {format_finding(finding)}"
        if made.is_draft and change.lacking:
            yield f"{change.title}: {change.lacking} more must approve before it lands"
    if made.settings and made.settings.changes:
        if any(each.key == "branch" for each in made.settings.changes):
            yield "branch: names another branch: from then on, that branch is the registry"
        if any(not made.is_allowed(change) for change in made.changes):
            yield "the rules change too, but only apply once they have landed: land them first, in a separate change"
