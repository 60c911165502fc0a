"""Scanning a version's bytes before a promotion: fetched, verified, and looked at by a scanner; never loaded."""

from __future__ import annotations

from mreg.core.history.record import Record
from mreg.core.review.gates import Scan
from mreg.errors import CorruptArtifactError, MregError, NotFoundError
from mreg.registry.reading.artifacts import open_stats, open_store
from mreg.stores.artifacts.ingesting import Ingested, ingest_cached
from mreg.stores.dvc import DvcStore
from mreg.stores.git.repository import GitRepository
from mreg.stores.scanner import scan_pickles

__all__ = ["scan_artifact"]


def scan_artifact(repo: GitRepository, record: Record) -> Scan:
    """Returns what a scanner says of a version's bytes; what cannot be fetched or read is not clean."""
    try:
        store = open_store(repo)
        content = _fetch(repo, store, record)
    except MregError as error:
        return Scan("mreg", is_clean=False, message=f"the bytes could not be scanned: {error.message}")
    if record.artifact.sha256 and content.artifact.sha256 != record.artifact.sha256:
        return Scan("mreg", is_clean=False, message="the bytes are not those of the record")
    cache = store.cache()
    members = {file.path: cache.path(file.md5) for file in content.files}
    return scan_pickles(members or {record.artifact.path: cache.path(content.artifact.md5)})


def _fetch(repo: GitRepository, store: DvcStore, record: Record) -> Ingested:
    name, md5, stats = record.artifact.path, record.artifact.md5, open_stats(repo)
    try:
        return ingest_cached(name, md5, store.cache(), stats=stats)
    except (NotFoundError, CorruptArtifactError):
        store.download(md5, size=record.artifact.size)
        return ingest_cached(name, md5, store.cache(), stats=stats)
