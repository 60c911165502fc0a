"""The fold: from the first-parent history of the registry branch to what the registry says.

Rules:
    * Order is that of the history; no time is compared with another.
    * What counts is the tree: a commit changes a stage if and only if the version in its stage file differs from its
      first parent's.  Messages, trailers and tags decide nothing.
    * A stage's transitions replay as a stack: a version that is not in it is pushed (promote); one that is, pops down
      to it (rollback); emptying the stage leaves the stack.
    * A statement (``by``, ``reason``, ``approved_by``) counts for the change that it was written for: the file never
      said the same before, and what it says it replaces was replaced.  Else who and why are the commit's.
    * ``adopted`` counts once: a stage file that still names the tag of an earlier change was edited by hand.
    * A file that cannot be read is a finding and changes nothing; the rest still reads.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from mreg.core.layout import Layout, PathKind
from mreg.core.manifest import ArchivedMark, Manifest, StageEntry
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.errors import DataError

__all__ = [
    "Action",
    "AdoptedTag",
    "Appearance",
    "Commit",
    "FileChange",
    "Finding",
    "Lane",
    "ManifestReader",
    "Timeline",
    "Transition",
    "fold",
]


class Action(str, Enum):
    """What a transition did."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CLEAR = "clear"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that a commit changed against its first parent."""

    path: str
    old: str | None
    """Object id of the blob before; ``None`` where there was none."""
    new: str | None
    """Object id of the blob after; ``None`` where it was deleted."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the first-parent history, with what it changed in the registry."""

    oid: str
    author: str
    email: str
    """The author's e-mail address."""
    time: datetime
    """The committer's, as written; not monotonic."""
    subject: str
    changes: tuple[FileChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and where."""

    code: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Appearance:
    """A version's record as it came onto the registry branch."""

    model: ModelName
    version: Version
    commit: Commit
    record: str
    """Object id of the record's blob."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one stage of one model."""

    model: ModelName
    stage: StageName
    action: Action
    source: Version | None
    """The version that the stage held before."""
    target: Version | None
    """The version that it holds since."""
    by: str
    """E-mail address."""
    at: datetime
    reason: str
    approved_by: tuple[str, ...]
    commit: str
    author: str
    """Name of the commit's author."""
    email: str
    """E-mail address of the commit's author."""
    adopted: str = ""
    """The tag of GTO that this change was read from; empty for all others."""


@dataclass(frozen=True, slots=True)
class AdoptedTag:
    """A tag of GTO that a stage file names, and that changed no stage: only its number and its time are taken."""

    model: ModelName
    name: str
    at: datetime


@dataclass(slots=True)
class Lane:
    """One stage of one model while its history is replayed."""

    stack: list[Version] = field(default_factory=list)
    current: Version | None = None
    entry: StageEntry | None = None
    seen: set[StageEntry] = field(default_factory=set)
    """All that the stage file ever said."""
    held: set[Version] = field(default_factory=set)
    """Every version that the stage ever held."""
    adopted: set[str] = field(default_factory=set)
    """Tags of GTO that the stage file has named."""

    def apply(self, target: Version | None) -> Action:
        """Moves the stage to ``target`` and says which action that is."""
        self.current = target
        if target is None:
            return Action.CLEAR
        self.held.add(target)
        if target in self.stack:
            is_top = self.stack[-1] == target
            del self.stack[self.stack.index(target) + 1 :]
            # The version that a clear took out comes back: nothing is rolled back over.
            return Action.PROMOTE if is_top else Action.ROLLBACK
        self.stack.append(target)
        return Action.PROMOTE

    def would(self, target: Version | None) -> Action:
        """Returns which action a move to ``target`` would be; nothing moves."""
        return Lane(stack=list(self.stack), current=self.current).apply(target)

    def last_good(self, skip: Container[Version]) -> Version | None:
        """Returns what a rollback puts back: the entry below the top, or the top itself where the stage was cleared."""
        below = self.stack if self.current is None else self.stack[:-1]
        return next((version for version in reversed(below) if version not in skip), None)


ManifestReader = Callable[[str, str], Manifest]
"""Gives the manifest file of a blob (path, object id), or raises DataError."""


@dataclass(slots=True)
class Timeline:
    """What the history says."""

    appearances: dict[tuple[ModelName, Version], Appearance] = field(default_factory=dict)
    """In order of appearance; only a version's first."""
    transitions: list[Transition] = field(default_factory=list)
    """Oldest first."""
    events: list[Appearance | Transition | AdoptedTag] = field(default_factory=list)
    """Appearances and transitions together, and tags that GTO made besides, oldest first: what tags come from."""
    lanes: dict[tuple[ModelName, StageName], Lane] = field(default_factory=dict)
    archived: dict[ModelName, dict[Version, ArchivedMark]] = field(default_factory=dict)
    marks: set[tuple[ModelName, Version, ArchivedMark]] = field(default_factory=set)
    """Every mark that was ever there."""
    findings: list[Finding] = field(default_factory=list)

    def lane(self, model: ModelName, stage: StageName) -> Lane:
        """Returns the stage as it stands at the end; an empty one where it was never entered."""
        return self.lanes.get((model, stage), Lane())


def fold(commits: Iterable[Commit], layout: Layout, read: ManifestReader) -> Timeline:
    """Replays commits, oldest first.

    Args:
        commits: The first-parent history, or the part of it that touches the models asked for.
        layout: Where the registry's files are.
        read: Gives the parsed manifest file of a blob.
    """
    timeline = Timeline()
    for commit in commits:
        # Versions come first: a squashed pull request can register and promote in one commit.
        timeline.events += _appear(timeline, commit, layout)
        moves = list(_move(timeline, commit, layout, read))
        timeline.events += moves
        timeline.transitions += moves
    return timeline


def _appear(timeline: Timeline, commit: Commit, layout: Layout) -> Iterator[Appearance]:
    born = []
    for change in commit.changes:
        place = layout.locate(change.path)
        if place is None or place.kind is not PathKind.RECORD or place.version is None:
            continue
        if change.new is None:
            problem = Finding("record-deleted", change.path, f"commit {commit.oid[:12]} deletes a record")
            timeline.findings.append(problem)
        elif change.old is None and (place.model, place.version) not in timeline.appearances:
            born.append(Appearance(place.model, place.version, commit, change.new))
        else:
            why = f"commit {commit.oid[:12]} writes a record that was there before"
            timeline.findings.append(Finding("record-changed", change.path, why))
    for event in sorted(born, key=lambda event: (event.model, event.version)):
        timeline.appearances[event.model, event.version] = event
        yield event


def _move(timeline: Timeline, commit: Commit, layout: Layout, read: ManifestReader) -> Iterator[Transition]:
    for change in sorted(commit.changes, key=lambda change: change.path):
        place = layout.locate(change.path)
        if place is None or place.kind is not PathKind.STAGE or place.stage is None:
            continue
        try:
            after = read(change.path, change.new) if change.new else Manifest()
        except DataError as error:
            timeline.findings.append(Finding(error.code, change.path, f"commit {commit.oid[:12]}: {error.message}"))
            continue
        if place.stage == ARCHIVED:
            yield from _move_archived(timeline, commit, place.model, after)
        else:
            yield from _move_stage(timeline, commit, (place.model, place.stage), after.entry)


def _move_stage(
    timeline: Timeline, commit: Commit, key: tuple[ModelName, StageName], entry: StageEntry | None
) -> Iterator[Transition]:
    lane = timeline.lanes.setdefault(key, Lane())
    before, source = lane.entry, lane.current
    is_new = entry not in lane.seen
    lane.entry = entry
    if entry:
        lane.seen.add(entry)
    target = entry.version if entry else None
    adopted = entry.adopted if entry and entry.adopted and entry.adopted.tag not in lane.adopted else None
    if adopted:
        lane.adopted.add(adopted.tag)
    if target == source:
        if adopted:
            timeline.events.append(AdoptedTag(key[0], adopted.tag, adopted.at or commit.time))
        return
    action = lane.apply(target)
    statement = entry if entry and is_new and entry.speaks_for(source, before) else None
    yield Transition(
        model=key[0],
        stage=key[1],
        action=action,
        source=source,
        target=target,
        by=(statement.by if statement else "") or commit.email,
        at=(adopted.at if adopted and adopted.at else commit.time),
        reason=(statement.reason if statement else "") or commit.subject,
        approved_by=statement.approved_by if statement else (),
        commit=commit.oid,
        author=commit.author,
        email=commit.email,
        adopted=adopted.tag if adopted else "",
    )


def _move_archived(timeline: Timeline, commit: Commit, model: ModelName, after: Manifest) -> Iterator[Transition]:
    before = timeline.archived.get(model, {})
    timeline.archived[model] = dict(after.archived)
    for version in sorted({*before, *after.archived}):
        mark, was = after.archived.get(version), before.get(version)
        is_new = mark is not None and (model, version, mark) not in timeline.marks
        if mark is not None:
            timeline.marks.add((model, version, mark))
        if (mark is None) == (was is None):
            continue
        statement = mark if is_new else None
        yield Transition(
            model=model,
            stage=ARCHIVED,
            action=Action.ARCHIVE if mark else Action.CLEAR,
            source=None if mark else version,
            target=version if mark else None,
            by=(statement.by if statement else "") or commit.email,
            at=commit.time,
            reason=(statement.reason if statement else "") or commit.subject,
            approved_by=(),
            commit=commit.oid,
            author=commit.author,
            email=commit.email,
        )
