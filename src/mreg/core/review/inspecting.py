"""What a commit does to the registry besides transitions: each such change needs an explanation.

Rules:
    * A file list comes with its record, and is written once.
    * While a stage keeps its version, its file keeps saying who put it there and why; only a hold may change, by those
      who may change the stage.
    * No version is archived and in a stage.
    * The message names no other change than the commit makes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.manifest import ArchivedMark, StageEntry
from mreg.core.history.timeline import Commit, FileChange, Lane, Standing
from mreg.core.history.trailers import Touch, find_contradiction
from mreg.core.layout import Layout, PathKind, Place
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.review.audited import AuditFault
from mreg.core.settings.policy import Policy

__all__ = ["Inspector", "Snapshot"]

_Clash = tuple[ModelName, StageName, Version]
_EMPTY = Lane()


class Snapshot(Struct, frozen=True):
    """What the files that a commit changes said before."""

    places: tuple[tuple[FileChange, Place], ...]
    entries: Mapping[tuple[ModelName, StageName], StageEntry | None]
    archived: Mapping[ModelName, Mapping[Version, ArchivedMark]]
    clashes: frozenset[_Clash]
    known: frozenset[tuple[ModelName, Version]]
    """Versions of the changed file lists that were there already."""


class Inspector(Struct):
    """Looks at each commit before and after it is folded."""

    layout: Layout
    timeline: Standing
    _stages: dict[ModelName, set[StageName]] = field(default_factory=dict)
    """All stages that ever had a file."""

    def look(self, commit: Commit) -> Snapshot:
        """Returns what is there before a commit is folded."""
        places = tuple((each, place) for each in commit.changes if (place := self.layout.locate(each.path)))
        keys = [(place.model, place.stage) for _, place in places if place.kind is PathKind.STAGE and place.stage]
        for model, stage in keys:
            self._stages.setdefault(model, set()).add(stage)
        lists = ((place.model, place.version) for _, place in places if place.kind is PathKind.FILE_LIST)
        return Snapshot(
            places=places,
            entries={key: self._lane(*key).entry for key in keys if key[1] != ARCHIVED},
            archived={model: self.timeline.archived.get(model, {}) for model, stage in keys if stage == ARCHIVED},
            clashes=frozenset(self._clashes({model for model, _ in keys})),
            known=frozenset((model, v) for model, v in lists if v is not None and (model, v) in self.timeline.records),
        )

    def inspect(
        self, commit: Commit, before: Snapshot, policy: Policy, *, unreadable: Collection[str]
    ) -> Iterator[AuditFault]:
        """Yields what is wrong with a commit, once it was folded.

        Args:
            commit: The commit.
            before: What ``look`` returned.
            policy: The rules in force for it.
            unreadable: Paths of its files that cannot be read.
        """
        yield from _find_strays(commit, self.layout)
        yield from _find_lists(commit, before)
        for key, entry in before.entries.items():
            if self.layout.stage(*key) not in unreadable:
                yield from self._compare(commit, key, entry, policy)
        for clash in sorted(set(self._clashes({place.model for _, place in before.places})) - before.clashes):
            yield self._archived_fault(commit, clash)
        # What lies in another folder than now, or cannot be read, is not seen here; that is a fault of its own.
        is_seen = commit.trailers and not unreadable and policy.root == self.layout.root
        lost = find_contradiction(commit.trailers, list(self._touches(before))) if is_seen else None
        if lost:
            place = before.places[0][0].path if before.places else self.layout.root
            message = f"the message says {lost}, but the commit does not do that"
            yield AuditFault("trailer-contradicts", place, message, commit.oid)

    def _compare(
        self, commit: Commit, key: tuple[ModelName, StageName], before: StageEntry | None, policy: Policy
    ) -> Iterator[AuditFault]:
        old, after = before or StageEntry(None), self._lane(*key).entry
        new, path = after or StageEntry(None), self.layout.stage(*key)
        if new.version != old.version:
            return  # a transition, which is judged as one
        if new.hold != old.hold:
            yield from _judge_hold(commit, path, key[1], policy, is_set=new.hold)
        is_rewritten = replace(new, hold=old.hold) != old and new.adopted == old.adopted
        if is_rewritten and before is not None and after is not None:
            message = f"it rewrites who put {new.version or 'nothing'} there and why, but not the version itself"
            yield AuditFault("statement-changed", path, message, commit.oid)

    def _clashes(self, models: Collection[ModelName]) -> Iterator[_Clash]:
        for model in models:
            archived = self.timeline.archived.get(model)
            for stage in self._stages.get(model, ()) if archived else ():
                version = self._lane(model, stage).current
                if version is not None and archived and version in archived:
                    yield (model, stage, version)

    def _archived_fault(self, commit: Commit, clash: _Clash) -> AuditFault:
        model, stage, version = clash
        message = f"{model} {version} is archived and in {stage}"
        return AuditFault("archived-in-stage", self.layout.stage(model, stage), message, commit.oid)

    def _touches(self, before: Snapshot) -> Iterator[Touch]:
        for _, place in before.places:
            if place.kind in {PathKind.RECORD, PathKind.APPROVAL}:
                yield Touch(place.model, place.version, place.stage)
        for model, stage in before.entries:
            entry = self._lane(model, stage).entry
            yield Touch(model, entry.version if entry else None, stage)
        for model, marks in before.archived.items():
            now = self.timeline.archived.get(model, {})
            for version in {*marks, *now}:
                if marks.get(version) != now.get(version):
                    yield Touch(model, version, ARCHIVED)
                if version not in now:
                    yield Touch(model, None, ARCHIVED)

    def _lane(self, model: ModelName, stage: StageName) -> Lane:
        return self.timeline.lanes.get((model, stage), _EMPTY)


def _find_strays(commit: Commit, layout: Layout) -> Iterator[AuditFault]:
    for change in commit.changes:
        if change.new and layout.is_stray(change.path):
            yield AuditFault("stray-file", change.path, "this is not a registry file", commit.oid)


def _find_lists(commit: Commit, before: Snapshot) -> Iterator[AuditFault]:
    for change, place in before.places:
        if place.kind is not PathKind.FILE_LIST:
            continue
        if change.new is None:
            yield AuditFault("file-list-changed", change.path, "a file list is deleted", commit.oid)
        elif change.old is not None or (place.model, place.version) in before.known:
            message = "a file list is written, but its version already existed"
            yield AuditFault("file-list-changed", change.path, message, commit.oid)


def _judge_hold(commit: Commit, path: str, stage: StageName, policy: Policy, *, is_set: bool) -> Iterator[AuditFault]:
    rule = policy.stages.get(stage)
    if rule is None or not rule.who:
        return
    if not policy.people.has_role(policy.people.find_by_email(commit.email), rule.who):
        verb = "set" if is_set else "released"
        message = f"the hold of {stage} is {verb} by {commit.email}, who is not in {' or '.join(rule.who)}"
        yield AuditFault("rule-who", path, message, commit.oid)
