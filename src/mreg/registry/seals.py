"""Version commits: the commit that a version's tags point at.

It is the commit on the registry branch that added the record, where GTO and DVC can use that one.  They cannot where a
merge or a squash brought two versions of one model at once (GTO fails on two versions on one commit), or where the
tree there names another version's bytes (``dvc artifacts get`` opens ``dvc.yaml`` and the pointer at the tag's commit).
There the tags point at a seal: a child of that commit with the version's own pointer, on no branch, and a pure function
of the history like the tags themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from mreg.core.history import Appearance, Timeline
from mreg.core.layout import DVC_FILE, Layout
from mreg.core.names import ModelName, Version
from mreg.core.record import Record
from mreg.core.tags import tagger_of
from mreg.errors import DataError
from mreg.registry.reader import Reader
from mreg.stores.dvc_yaml import find_artifact, set_artifact
from mreg.stores.git.objects import Identity
from mreg.stores.git.publishing import Publisher
from mreg.stores.pointer import format_pointer

__all__ = ["dvc_entry", "pointer_path", "version_commits"]


def pointer_path(layout: Layout, record: Record) -> str:
    """Returns where a version's DVC pointer is."""
    return layout.artifact(record.model, record.artifact.path) + ".dvc"


def dvc_entry(layout: Layout, record: Record) -> dict[str, str]:
    """Returns a model's entry below ``artifacts:`` in ``dvc.yaml``."""
    return {"path": layout.artifact(record.model, record.artifact.path), "type": "model"}


def version_commits(
    reader: Reader,
    publisher: Publisher,
    timeline: Timeline,
    layout: Layout,
    wanted: Iterable[tuple[ModelName, Version]],
) -> dict[tuple[ModelName, Version], str]:
    """Returns the commits that the tags of some versions point at, building the seals that are needed.

    A version whose record cannot be read is left out.
    """
    appearances = [timeline.appearances[key] for key in dict.fromkeys(wanted) if key in timeline.appearances]
    blobs = [(layout.record(each.model, each.version), each.record) for each in appearances]
    found = reader.records(blobs)
    pairs = [
        (each, record) for each, record in zip(appearances, found, strict=True) if not isinstance(record, DataError)
    ]
    names = [f"{each.commit.oid}:{path}" for each, record in pairs for path in (pointer_path(layout, record), DVC_FILE)]
    contents = reader.repo.read(names)
    newest = _newest_by_commit(timeline)
    commits: dict[tuple[ModelName, Version], str] = {}
    for index, (each, record) in enumerate(pairs):
        pointer, dvc_yaml = contents[2 * index : 2 * index + 2]
        path = find_artifact(dvc_yaml, record.model).get("path")
        fits = pointer == format_pointer(record.artifact).encode() and path == dvc_entry(layout, record)["path"]
        if record.adopted and record.adopted.commit:
            commits[each.model, each.version] = record.adopted.commit
        elif fits and newest[each.commit.oid, each.model] == each.version:
            commits[each.model, each.version] = each.commit.oid
        else:
            commits[each.model, each.version] = _seal(publisher, layout, each, record, dvc_yaml)
    return commits


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
    message = f"Seal {each.model} {each.version}\n\nMreg-Commit: {each.commit.oid}\n"
    return publisher.unsigned_commit(parent=each.commit.oid, files=files, who=who, message=message)
