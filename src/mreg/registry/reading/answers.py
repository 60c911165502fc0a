"""Answers of the readers, made from a state and a history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.state import ModelState, RegistryState
from mreg.core.history.timeline import Finding, Timeline, Transition
from mreg.core.names import ARCHIVED, ModelName, Selector, StageName, Version
from mreg.core.results import ModelList, ModelSummary, VersionDetails, VersionList, VersionStream, VersionSummary
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, IncompleteHistoryError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.records import Records, read_held, read_models
from mreg.stores import yaml

if TYPE_CHECKING:
    from mreg.core.versions.compare import Subject

__all__ = [
    "find_renamed",
    "list_models",
    "list_versions",
    "name_approvers",
    "pick_versions",
    "readable_records",
    "show_version",
    "stream_versions",
]


_NAMED = re.compile(rb"""^model:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)
"""Whose record a record says that it is."""


def list_models(reader: Reader, state: RegistryState) -> ModelList:
    """Returns one summary a model, from the manifest alone, and what is wrong; one Git call."""
    summaries = tuple(_summarise(model, state.policy) for model in state.models.values() if model.records)
    ghosts = [finding for model in state.models.values() for finding in _ghosts(model, state.policy)]
    return ModelList(summaries, state.commit, (*state.findings, *ghosts, *find_renamed(reader, state)))


def find_renamed(reader: Reader, state: RegistryState) -> Iterator[Finding]:
    """Yields the models whose newest record is that of another: somebody renamed the folder; one Git call.

    Of a partial clone none: it would fetch them all.
    """
    models = [] if reader.repo.is_partial else [each for each in state.models.values() if each.records]
    newest = [list(each.records.items())[-1] for each in models]
    read = reader.repo.read([oid for _, oid in newest])
    for model, (version, _), data in zip(models, newest, read, strict=True):
        named = _NAMED.search(data or b"")
        if named and named[1] != model.model.encode():
            path, other = state.policy.layout.record(model.model, version), named[1].decode("utf-8", "replace")
            message = f"{path} is a record of {other}: a model's folder keeps its name; mreg doctor has the way back"
            yield Finding("bad-data", path, message)


def stream_versions(
    reader: Reader,
    state: RegistryState,
    model: ModelName | None = None,
    stage: StageName | None = None,
    *,
    is_whole: bool = True,
) -> VersionStream:
    """Returns one summary a version, newest first; of all models, by name, where none is named.

    Args:
        reader: Reads the records.
        state: Has the model, or all models.
        model: Only this one.
        stage: Only what it holds, or the archived versions.
        is_whole: The state has all models.

    Raises:
        NotFoundError: The model is not registered, or the stage is neither declared nor used.
    """
    models = [state.model(model)] if model is not None else list(state.models.values())
    if stage is None:
        read = read_models(reader, state, model, is_whole=is_whole)
    else:
        if stage != ARCHIVED and not any(stage in found.entries or stage in found.unreadable for found in models):
            state.policy.stage(stage)
        read = read_held(reader, state, stage, model)
    findings = [*state.findings]
    begun = chain(list(islice(read, 1)), read)  # what Git has to complain of, it does before anything is written
    return VersionStream(model, _summarise_all(begun, findings, state.policy), state.commit, findings)


def list_versions(stream: VersionStream) -> VersionList:
    """Returns what comes out of a stream."""
    versions = tuple(stream.versions)
    return VersionList(stream.model, versions, stream.commit, tuple(stream.findings))


def readable_records(versions: VersionList) -> dict[Version, Record]:
    """Returns the records that can be read, versions ascending."""
    return {each.version: each.record for each in reversed(versions.versions) if each.record}


def pick_versions(reader: Reader, state: RegistryState, wanted: Sequence[Selector]) -> list[Subject]:
    """Returns the versions that selectors name, to be compared; one Git call.

    Raises:
        NotFoundError: A selector names nothing.
        DataError: A record cannot be read.
    """
    from mreg.core.versions.compare import Subject  # noqa: PLC0415 - readers do without

    keys = [(selector.model, state.select(selector)) for selector in wanted]
    subjects = []
    for (name, version), record in zip(keys, reader.records_of(state, keys), strict=True):
        if isinstance(record, DataError):
            raise record
        model = state.models[name]
        subjects.append(Subject(record, model.stages_of(version), archived=version in model.archived))
    return subjects


def show_version(reader: Reader, state: RegistryState, tip: str, model: ModelName, version: Version) -> VersionDetails:
    """Returns all that is known of one version.

    In a shallow clone what only history knows is left empty, and a notice says so.
    """
    from mreg.core.history.tags import version_tag  # noqa: PLC0415 - the other answers need no tags

    found = state.model(model)
    record = reader.record(state, model, version)
    layout = state.policy.layout
    notices: tuple[str, ...] = ()
    timeline = Timeline()
    try:
        timeline = reader.timeline(reader.commits(tip, layout, [model], remember=True), layout)
    except IncompleteHistoryError as error:
        notices = (f"{error.message}: {error.hint}",)
    appearance = timeline.appearances.get((model, version))
    if appearance and appearance.record != found.records[version]:
        notices = (f"the record was changed after {appearance.commit.oid[:12]} registered it: mreg doctor",)
    notices += tuple(finding.message for finding in found.unreadable.values())
    tag = version_tag(model, version)
    (oid,) = reader.repo.resolve([f"refs/tags/{tag}"])
    return VersionDetails(
        record=record,
        stages=found.stages_of(version),
        archived=found.archived.get(version),
        commit=appearance.commit.oid if appearance else None,
        tag=tag if oid else None,
        registered_by=appearance.commit.email if appearance else "",
        registered_at=appearance.commit.time if appearance else None,
        transitions=name_approvers(
            reader, (each for each in reversed(timeline.transitions) if version in {each.source, each.target})
        ),
        notices=notices,
    )


def name_approvers(reader: Reader, transitions: Iterable[Transition]) -> tuple[Transition, ...]:
    """Returns transitions that name also those whose approval files were there; one Git call where there are any.

    As claimed: whether an approval counts, the gates tell, and ``verify``.
    """
    moves = tuple(transitions)
    files = {file.oid: file.path for each in moves for file in each.approvals}
    contents = dict(zip(files, reader.repo.read(list(files)), strict=True))
    return tuple(
        replace(each, approved_by=tuple(dict.fromkeys((*each.approved_by, *_approvers(each, contents)))))
        if each.approvals
        else each
        for each in moves
    )


def _approvers(move: Transition, contents: Mapping[str, bytes | None]) -> Iterator[str]:
    from mreg.core.review.approvals import parse_approval  # noqa: PLC0415 - few histories have one

    for file in sorted(move.approvals, key=lambda file: file.path):
        with suppress(DataError):
            approval = yaml.read(contents[file.oid] or b"", file.path, parse_approval)
            if (approval.version, approval.replaces) == (move.target, move.source) and approval.by != move.by:
                yield approval.by


def _ghosts(model: ModelState, policy: Policy) -> Iterator[Finding]:
    """Yields the stages that hold what was never registered: a hand edit, or a record that was deleted."""
    for stage, entry in sorted(model.entries.items()):
        if entry.version is not None and entry.version not in model.records:
            place = policy.layout.stage(model.model, stage)
            yield Finding("unknown-version", place, f"{model.model} {entry.version} is not registered")


def _unreadable_records(model: ModelState, records: Records, policy: Policy) -> Iterator[Finding]:
    for version, record in records.items():
        if isinstance(record, DataError):
            yield Finding(record.code, policy.layout.record(model.model, version), record.message)


def _summarise_all(
    read: Iterable[tuple[ModelState, Records]], findings: list[Finding], policy: Policy
) -> Iterator[VersionSummary]:
    for model, records in read:
        findings += _ghosts(model, policy)
        findings += _unreadable_records(model, records, policy)
        yield from _summarise_versions(model, records)


def _summarise_versions(model: ModelState, records: Records) -> Iterator[VersionSummary]:
    stages: dict[Version, tuple[StageName, ...]] = {}
    for stage, entry in sorted(model.entries.items()):
        if entry.version is not None:
            stages[entry.version] = (*stages.get(entry.version, ()), stage)
    for version, found in reversed(records.items()):
        record = found if isinstance(found, Record) else None
        yield VersionSummary(model.model, version, stages.get(version, ()), version in model.archived, record)


def _summarise(state: ModelState, policy: Policy) -> ModelSummary:
    holders: dict[StageName, Version | None] = dict.fromkeys(policy.stages)
    for stage, entry in sorted(state.entries.items()):
        if stage in holders or entry.version is not None:
            holders[stage] = entry.version
    unreadable = tuple(sorted(state.unreadable))
    holders |= dict.fromkeys(stage for stage in unreadable if stage != ARCHIVED)
    return ModelSummary(
        model=state.model,
        latest=state.latest,
        versions=len(state.records),
        stages=holders,
        archived=len(state.archived),
        holds=_holds(state),
        unreadable=unreadable,
    )


def _holds(state: ModelState) -> tuple[StageName, ...]:
    return tuple(sorted(stage for stage, entry in state.entries.items() if entry.hold))
