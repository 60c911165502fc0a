"""Uploading the bytes of versions that were registered without: before anything names them on the remote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mreg.core.history.record import Record
from mreg.core.layout import Layout, PathKind
from mreg.core.sharing.joints import Local
from mreg.errors import NotFoundError
from mreg.registry.reading.artifacts import open_store
from mreg.registry.reading.reader import Reader
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.dvc import DvcStore
from mreg.stores.git.repository import GitRepository

__all__ = ["new_records", "upload_new"]

_NO_REMOTE = "no DVC remote is set, so the bytes are only in this clone's cache: mreg init --remote URL"


def new_records(locals_: Iterable[Local], layout: Layout) -> Iterator[tuple[str, str]]:
    """Yields path and blob of the records that commits bring."""
    for local in locals_:
        for change in local.commit.changes:
            place = layout.locate(change.path)
            if place and place.kind is PathKind.RECORD and change.old is None and change.new:
                yield change.path, change.new


def upload_new(
    repo: GitRepository, locals_: Iterable[Local], progress: Progress | None = None
) -> tuple[int, tuple[str, ...]]:
    """Brings the bytes of new versions to the DVC remote, and returns how many it lacked, and what to know of it.

    Raises:
        NotFoundError: Bytes are neither here nor there.
        StorageError: The remote refuses, does not answer, or does not hold what it was sent.
    """
    reader = Reader(repo)
    found = reader.records(list(new_records(locals_, reader.settings().policy.layout)))
    records = [each for each in found if isinstance(each, Record) and not each.adopted]
    if not records:
        return 0, ()
    store = open_store(repo)
    if store.require_remote() is None:
        return 0, (_NO_REMOTE,)
    return sum(_upload(store, each, progress) for each in records), ()


def _upload(store: DvcStore, record: Record, progress: Progress | None) -> int:
    artifact = record.artifact
    try:
        return store.upload(artifact.md5, progress=progress).size
    except NotFoundError:
        pass  # what somebody else registered may be there, and not here
    try:
        store.download(artifact.md5, size=artifact.size, progress=progress)
    except NotFoundError as error:
        raise NotFoundError(
            f"the bytes of {record.model} {record.version} are neither in this clone's DVC cache nor on the remote: "
            f"{error.message}",
            hint="push from the clone where it was registered",
            details={**error.details, "model": record.model, "version": str(record.version)},
        ) from error
    return 0
