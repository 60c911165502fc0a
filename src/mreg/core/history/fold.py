"""The fold: from the first-parent history of the registry branch to what the registry says.

Rules:
    * Order is that of the history; no time is compared with another.
    * What counts is the tree: a commit changes a stage if and only if the version in its stage file differs from its
      first parent's.  Messages, trailers and tags decide nothing.
    * A stage's transitions replay as a stack: a version that is not in it is pushed (promote); one that is, pops down
      to it (rollback); emptying the stage leaves the stack.
    * A statement (``by``, ``reason``, ``approved_by``) counts for the change that it was written for: the file never
      said the same before, and what it says it replaces was replaced.  Else who and why are the commit's.  A signature
      counts once.
    * ``adopted`` counts once: a stage file that still names the tag of an earlier change was edited by hand.
    * A file that cannot be read is a finding and changes nothing; the rest still reads.
    * A record counts as it came onto the branch: what a later commit makes of it is seen, and changes nothing.
    * An approval is there from the commit that adds it until one deletes it; one that changes it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from mreg.core.history.manifest import Manifest, StageEntry
from mreg.core.history.statements import encode_transition
from mreg.core.history.timeline import (
    Action,
    AdoptedTag,
    Appearance,
    ApprovalFile,
    Commit,
    Event,
    FileChange,
    Finding,
    Lane,
    Standing,
    Timeline,
    Transition,
)
from mreg.core.layout import Layout, PathKind, Place
from mreg.core.names import ARCHIVED, ModelName, StageName
from mreg.errors import DataError

__all__ = ["ManifestReader", "advance", "fold", "step"]

_STAGE, _RECORD, _APPROVAL = PathKind.STAGE, PathKind.RECORD, PathKind.APPROVAL

ManifestReader = Callable[[str, str], Manifest]
"""Gives the manifest file of a blob (path, object id), or raises DataError."""


def fold(commits: Iterable[Commit], layout: Layout, read: ManifestReader) -> Timeline:
    """Replays commits, oldest first, and keeps all that they say.

    Args:
        commits: The first-parent history, or the part of it that touches the models asked for.
        layout: Where the registry's files are.
        read: Gives the parsed manifest file of a blob.
    """
    timeline = Timeline()
    for commit in commits:
        advance(timeline, commit, layout, read)
    return timeline


def advance(timeline: Timeline, commit: Commit, layout: Layout, read: ManifestReader) -> list[Transition]:
    """Adds one commit to a timeline, and returns the transitions that it makes."""
    events = step(timeline, commit, layout, read)
    moves = []
    for event in events:
        if isinstance(event, Transition):
            moves.append(event)
        elif isinstance(event, Appearance):
            timeline.appearances[event.model, event.version] = event
    timeline.events += events
    timeline.transitions += moves
    return moves


def step(standing: Standing, commit: Commit, layout: Layout, read: ManifestReader) -> list[Event]:
    """Brings what a history has come to past one commit, and returns what that commit did, in order."""
    records: list[tuple[FileChange, Place]] = []
    stages: list[tuple[FileChange, Place]] = []
    for change in commit.changes:
        place = layout.locate(change.path)
        if place is None:
            continue
        kind = place.kind
        if kind is _STAGE:
            stages.append((change, place))
        elif kind is _RECORD:
            records.append((change, place))
        elif kind is _APPROVAL:
            _collect_approval(standing, commit, change, place)
    # Versions come first: a squashed pull request can register and promote in one commit.
    events: list[Event] = list(_appear(standing, commit, records)) if records else []
    if stages:
        stages.sort(key=_by_path)
        moves = [event for change, place in stages for event in _move(standing, commit, change, place, read)]
        # A tag of GTO's that changed nothing came before what the same commit changed.
        events += sorted(moves, key=_is_transition) if len(moves) > 1 else moves
    standing.position += 1
    return events


def _is_transition(event: Event) -> bool:
    return isinstance(event, Transition)


def _by_path(found: tuple[FileChange, Place]) -> str:
    return found[0].path


def _appear(standing: Standing, commit: Commit, changes: Iterable[tuple[FileChange, Place]]) -> Iterator[Appearance]:
    born = []
    for change, place in changes:
        if place.version is None:
            continue
        key = (place.model, place.version)
        there = standing.records.get(key)
        first = None if key in standing.unseen else there or standing.gone.get(key)
        if change.new is None:
            if there and first:
                standing.gone[key] = first
            standing.records.pop(key, None)
            problem = Finding("record-deleted", change.path, f"commit {commit.oid[:12]} deletes a record")
            standing.findings.append(problem)
            continue
        standing.records[key] = first or change.new
        if change.old is None and first is None:
            standing.unseen.discard(key)
            born.append(Appearance(*key, commit, change.new))
            continue
        if first is None:
            standing.unseen.add(key)
        why = f"commit {commit.oid[:12]} writes a record that was there before"
        standing.findings.append(Finding("record-changed", change.path, why))
    yield from sorted(born, key=lambda event: (event.model, event.version)) if len(born) > 1 else born


def _collect_approval(standing: Standing, commit: Commit, change: FileChange, place: Place) -> None:
    if place.version is None or place.stage is None:
        return
    key = (place.model, place.version, place.stage)
    files = standing.approvals.setdefault(key, {})
    before = files.pop(change.path, None)
    if before is not None and change.new is None:
        standing.withdrawn.setdefault(key, []).append(before)
    elif before is not None:
        files[change.path] = replace(before, is_changed=True)
        why = f"commit {commit.oid[:12]} changes an approval that was there before"
        standing.findings.append(Finding("approval-changed", change.path, why))
    elif change.new is not None:
        files[change.path] = ApprovalFile(change.path, change.new, commit, standing.position)


def _move(
    standing: Standing, commit: Commit, change: FileChange, place: Place, read: ManifestReader
) -> Iterable[Transition | AdoptedTag]:
    if place.stage is None:
        return ()
    try:
        after = read(change.path, change.new) if change.new else Manifest()
    except DataError as error:
        standing.findings.append(Finding(error.code, change.path, f"commit {commit.oid[:12]}: {error.message}"))
        return ()
    if place.stage == ARCHIVED:
        return _move_archived(standing, commit, place.model, after)
    event = _move_stage(standing, commit, (place.model, place.stage), after.entry)
    return () if event is None else (event,)


def _move_stage(
    standing: Standing, commit: Commit, key: tuple[ModelName, StageName], entry: StageEntry | None
) -> Transition | AdoptedTag | None:
    lane = standing.lanes.get(key)
    if lane is None:
        lane = standing.lanes[key] = Lane()
    before, source = lane.entry, lane.current
    is_new = lane.hear(entry, encode_transition(*key, "", entry) if entry and entry.signature else None)
    adopted = lane.adopt(entry.adopted) if entry else None
    target = entry.version if entry else None
    if target == source:
        if entry and adopted:
            moment = adopted.at or commit.time
            return AdoptedTag(*key, adopted.tag, moment, target, entry.still_assigned)
        return None
    lane.leave(key[1], commit.time)
    since, lane.entered, lane.position = lane.position, commit.time, standing.position
    action = lane.apply(target)
    given = standing.approvals.get((key[0], target, key[1]), {}) if target and action is Action.PROMOTE else {}
    statement = entry if entry and is_new and entry.speaks_for(source, before) else None
    return Transition(
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
        author=_once(standing, commit.author),
        email=_once(standing, commit.email),
        adopted=adopted.tag if adopted else "",
        still_assigned=entry.still_assigned if entry and adopted else (),
        statement=statement,
        approvals=tuple(file for file in given.values() if file.position > since and not file.is_changed),
    )


def _once(standing: Standing, text: str) -> str:
    return standing.words.setdefault(text, text)


def _move_archived(standing: Standing, commit: Commit, model: ModelName, after: Manifest) -> Iterator[Transition]:
    before = standing.archived.get(model, {})
    standing.archived[model] = dict(after.archived)
    for version in sorted({*before, *after.archived}):
        mark, was = after.archived.get(version), before.get(version)
        is_new = mark is not None and (model, version, mark) not in standing.marks
        if mark is not None:
            standing.marks.add((model, version, mark))
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
            author=_once(standing, commit.author),
            email=_once(standing, commit.email),
        )
