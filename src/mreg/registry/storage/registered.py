"""What versions were registered as, for whoever goes through all of them: a large registry's records are not kept.

Nothing that an earlier command has kept is believed: what is read here decides whether bytes are good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.fold import step
from mreg.core.history.manifest import Manifest
from mreg.core.history.record import Artifact
from mreg.core.history.timeline import Appearance, Commit, Standing
from mreg.core.layout import Layout, PathKind
from mreg.core.storage.retention import Key
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import require_own
from mreg.stores.git.history.stretches import read_stretches
from mreg.stores.git.repository import GitRepository

__all__ = ["Registered", "file_list_oids", "find_registered", "read_artifacts"]

_AT_ONCE = 2048


class Registered(Struct, frozen=True):
    """Object ids of what came onto the registry branch with each version."""

    records: dict[Key, str] = field(default_factory=dict)
    file_lists: dict[Key, str] = field(default_factory=dict)


def find_registered(repo: GitRepository, tip: str, layout: Layout) -> Registered:
    """Returns what came with each version, by the history up to a commit; of a clone that is not shallow."""
    found, standing = Registered(), Standing()
    for commits in read_stretches(repo, tip, [layout.root]):
        for key, oid in file_list_oids(commits, layout).items():
            found.file_lists.setdefault(key, oid)
        for commit in commits:
            for event in step(standing, _only_records(commit, layout), layout, _read_nothing):
                if isinstance(event, Appearance):
                    found.records[event.model, event.version] = event.record
    return found


def file_list_oids(commits: Iterable[Commit], layout: Layout) -> dict[Key, str]:
    """Returns the object id of each version's file list, as it came onto the registry branch."""
    found: dict[Key, str] = {}
    for commit in commits:
        for change in commit.changes:
            place = layout.locate(change.path) if change.new else None
            if place and place.kind is PathKind.FILE_LIST and place.version:
                found.setdefault((place.model, place.version), str(change.new))
    return found


def read_artifacts(reader: Reader, layout: Layout, oids: Mapping[Key, str]) -> dict[Key, Artifact]:
    """Returns what the records of versions, whose object ids are given, say of their bytes.

    Raises:
        DataError: A record cannot be read, or is another version's.
    """
    found: dict[Key, Artifact] = {}
    rest = iter(oids.items())
    while some := list(islice(rest, _AT_ONCE)):
        blobs = [(layout.record(*key), oid) for key, oid in some]
        for (key, _), (path, _), record in zip(some, blobs, reader.parse_records(blobs), strict=True):
            placed = require_own(record, key, path)
            if isinstance(placed, DataError):
                raise placed
            found[key] = placed.artifact
    return found


def _only_records(commit: Commit, layout: Layout) -> Commit:
    places = ((change, layout.locate(change.path)) for change in commit.changes)
    return replace(commit, changes=tuple(each for each, at in places if at and at.kind is PathKind.RECORD))


def _read_nothing(path: str, oid: str) -> Manifest:
    raise DataError(f"{path}: {oid} is not asked for")
