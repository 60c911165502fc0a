"""Records of many versions: of whole models, most of which an earlier command has parsed, and of what a stage holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mreg.core.history.record import Record
from mreg.core.history.state import ModelState, RegistryState
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.stores.caches.records import RecordCache

__all__ = ["Records", "read_held", "read_models"]

Records = dict[Version, Record | DataError]
"""Versions ascending, with their records or why one cannot be read."""

GROUP = 4096
"""Records, or some more, that are read together: one Git call for those that nobody has parsed before."""
MANY = 100
"""Records of a group that were parsed anew, before they are remembered."""


def read_models(
    reader: Reader, state: RegistryState, model: ModelName | None = None, *, is_whole: bool = True
) -> Iterator[tuple[ModelState, Records]]:
    """Yields one model, or all of a state, with the records of its versions.

    What is parsed for the tip of the registry branch is remembered; of a state that has all models, no other stays.
    """
    cache = RecordCache(reader.repo.state_dir / "records")
    has_news = False
    for group in _groups(_models(state, model)):
        known = {oid: record for each in group for oid, record in cache.load(each.model).items()}
        read = _read(reader, state, [(each, each.records) for each in group], known)
        readable = {each.model: _by_blob(each, records) for each, records in read}
        if reader.is_landed(state.commit) and sum(len(new.keys() - known.keys()) for new in readable.values()) >= MANY:
            has_news = True
            cache.save({name: new for name, new in readable.items() if not known.keys() >= new.keys()})
        yield from read
    if has_news and model is None and is_whole:
        cache.forget_all_but(state.models)


def read_held(
    reader: Reader, state: RegistryState, stage: StageName, model: ModelName | None = None
) -> Iterator[tuple[ModelState, Records]]:
    """Yields the same with the versions in one stage alone, or with the archived ones; one Git call."""
    yield from _read(reader, state, [(each, _held(each, stage)) for each in _models(state, model)])


def _models(state: RegistryState, model: ModelName | None) -> list[ModelState]:
    return list(state.models.values()) if model is None else [state.model(model)]


def _held(model: ModelState, stage: StageName) -> list[Version]:
    if stage == ARCHIVED:
        return [version for version in model.records if version in model.archived]
    version = model.entries[stage].version if stage in model.entries else None
    return [version] if version is not None and version in model.records else []


def _read(
    reader: Reader,
    state: RegistryState,
    wanted: Iterable[tuple[ModelState, Iterable[Version]]],
    known: dict[str, Record] | None = None,
) -> list[tuple[ModelState, Records]]:
    keys = [(model.model, version) for model, versions in wanted for version in versions]
    found = iter(reader.records_of(state, keys, known))
    return [(model, {version: next(found) for version in versions}) for model, versions in wanted]


def _by_blob(model: ModelState, records: Records) -> dict[str, Record]:
    """Returns the records that can be read."""
    return {model.records[version]: record for version, record in records.items() if isinstance(record, Record)}


def _groups(models: Iterable[ModelState]) -> Iterator[list[ModelState]]:
    group: list[ModelState] = []
    count = 0
    for model in models:
        group.append(model)
        count += len(model.records)
        if count >= GROUP:
            yield group
            group, count = [], 0
    if group:
        yield group
