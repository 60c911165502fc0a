"""Version commits: the commit that a version's tags point at.

It is the commit on the registry branch that added the record, where GTO and DVC can use that one.  They cannot where a
merge or a squash brought two versions of one model at once (GTO fails on two versions on one commit), or where the
tree there names another version's bytes (``dvc artifacts get`` opens ``dvc.yaml`` and the pointer at the tag's commit).
There the tags point at a seal: a child of that commit with the version's own pointer, on no branch, and a pure function
of the history like the tags themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache

from mreg.core.history.record import Record
from mreg.core.history.tags import tagger_of
from mreg.core.history.timeline import Appearance, Timeline
from mreg.core.layout import DVC_FILE, Layout
from mreg.core.names import ModelName, Version
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.stores.dvc_files.dvc_yaml import find_artifacts, set_artifact
from mreg.stores.dvc_files.pointer import format_pointer
from mreg.stores.git.objects import Identity
from mreg.stores.git.writing.publishing import Publisher

__all__ = ["Key", "dvc_entry", "is_seal", "pointer_path", "read_records", "require_own", "version_commits"]

Key = tuple[ModelName, Version]

_FEW = 100


def pointer_path(layout: Layout, record: Record) -> str:
    """Returns where a version's DVC pointer is."""
    return layout.artifact(record.model, record.artifact.path) + ".dvc"


def dvc_entry(layout: Layout, record: Record) -> dict[str, str]:
    """Returns a model's entry below ``artifacts:`` in ``dvc.yaml``."""
    return {"path": layout.artifact(record.model, record.artifact.path), "type": "model"}


def read_records(
    reader: Reader, timeline: Timeline, layout: Layout, wanted: Iterable[Key]
) -> dict[Key, Record | DataError]:
    """Returns the records of some versions as they appeared, or why one cannot be read; one Git call."""
    keys = [key for key in dict.fromkeys(wanted) if key in timeline.appearances]
    blobs = [(layout.record(*key), timeline.appearances[key].record) for key in keys]
    found = dict(zip(keys, reader.records(blobs), strict=True))
    return {key: require_own(record, key, layout.record(*key)) for key, record in found.items()}


def require_own(record: Record | DataError, key: Key, path: str) -> Record | DataError:
    """Returns a record that was found in the file of a version, or an error where it is another's."""
    if isinstance(record, DataError) or (record.model, record.version) == key:
        return record
    return DataError(f"{path} is the record of {record.model} {record.version}", details={"file": path})


def version_commits(
    reader: Reader, publisher: Publisher, timeline: Timeline, layout: Layout, records: Mapping[Key, Record]
) -> dict[Key, str]:
    """Returns the commits that the tags of some versions point at, building the seals that are needed.

    A version that no seal can be built for is left out: its commit has a folder where a file must be, or the reverse.
    """
    names = [
        f"{timeline.appearances[key].commit.oid}:{path}"
        for key, record in records.items()
        for path in (pointer_path(layout, record), DVC_FILE)
    ]
    contents = _read_each_once(reader, names)
    newest = _newest_by_commit(timeline)
    entries = cache(find_artifacts)
    commits: dict[Key, str] = {}
    for index, (key, record) in enumerate(records.items()):
        appearance = timeline.appearances[key]
        pointer, dvc_yaml = contents[2 * index : 2 * index + 2]
        if record.adopted and record.adopted.commit:
            commits[key] = record.adopted.commit
        elif (
            newest[appearance.commit.oid, record.model] == record.version
            and pointer == format_pointer(record.artifact).encode()
            and entries(dvc_yaml).get(record.model, {}).get("path") == dvc_entry(layout, record)["path"]
        ):
            commits[key] = appearance.commit.oid
        else:
            with suppress(DataError):
                commits[key] = _seal(publisher, layout, appearance, record, dvc_yaml)
    return commits


def _read_each_once(reader: Reader, names: Sequence[str]) -> list[bytes | None]:
    if len(names) <= _FEW:
        return reader.repo.read(names)
    # Thousands of commits have one dvc.yaml between them.
    oids = reader.repo.resolve(names)
    distinct = list(dict.fromkeys(oid for oid in oids if oid))
    contents = dict(zip(distinct, reader.repo.read(distinct), strict=True))
    return [contents[oid] if oid else None for oid in oids]


def is_seal(content: bytes | None, appearance: Appearance) -> bool:
    """Returns whether a commit is a seal of a version, as far as its parent and its message tell."""
    head, _, message = (content or b"").decode("utf-8", "replace").partition("\n\n")
    parents = [line for line in head.split("\n") if line.startswith("parent ")]
    return parents == [f"parent {appearance.commit.oid}"] and message == _message(appearance)


def _newest_by_commit(timeline: Timeline) -> dict[tuple[str, ModelName], Version]:
    newest: dict[tuple[str, ModelName], Version] = {}
    for each in timeline.appearances.values():
        key = (each.commit.oid, each.model)
        newest[key] = max(newest.get(key, each.version), each.version)
    return newest


def _seal(publisher: Publisher, layout: Layout, each: Appearance, record: Record, dvc_yaml: bytes | None) -> str:
    entry = dvc_entry(layout, record)
    try:
        document = set_artifact(dvc_yaml, record.model, entry)
    except DataError:
        document = set_artifact(None, record.model, entry)
    name, email = tagger_of(each.commit.author, each.commit.email)
    who = Identity(name, email, int(each.commit.time.timestamp()))
    files = {pointer_path(layout, record): format_pointer(record.artifact).encode(), DVC_FILE: document}
    return publisher.unsigned_commit(parent=each.commit.oid, files=files, who=who, message=_message(each))


def _message(each: Appearance) -> str:
    return f"Seal {each.model} {each.version}\n\nMreg-Commit: {each.commit.oid}\n"
