"""The files of ``stages/`` as their blobs have them: each is read and parsed once, many in one Git call."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress

from mreg.core.fields import Fields
from mreg.core.history.manifest import Manifest, StageEntry, parse_archived, parse_stage
from mreg.core.history.timeline import Commit
from mreg.core.layout import Layout, PathKind
from mreg.core.names import ARCHIVED
from mreg.errors import DataError
from mreg.stores import yaml
from mreg.stores.git.repository import GitRepository

__all__ = ["StageFiles", "parse_manifest", "required", "stage_blobs"]

_MARKS = f"/{ARCHIVED}.yaml"


class StageFiles:
    """Stage files of one repository, named by path and object id."""

    def __init__(self, repo: GitRepository) -> None:
        """Keeps the repository; nothing is read yet."""
        self._repo = repo
        self._parsed: dict[tuple[str, str], Manifest | DataError] = {}
        self.entries: dict[str, StageEntry] = {}
        """What some say, by object id, as an earlier command kept it: these are not read."""

    def manifest(self, path: str, oid: str) -> Manifest:
        """Returns what one file says.

        Raises:
            DataError: It cannot be read; ``details`` names key and line.
        """
        entry = self.entries.get(oid)
        if entry and not _is_of_marks(path):
            return Manifest(entry=entry)
        if (path, oid) not in self._parsed:
            self.prefetch([(path, oid)])
        found = self._parsed[path, oid]
        if isinstance(found, DataError):
            raise found
        return found

    def read(self, blobs: Sequence[tuple[str, str]]) -> Iterator[Manifest | DataError]:
        """Yields what some files say, or why one cannot be read; one Git call."""
        self.prefetch(blobs)
        for path, oid in blobs:
            try:
                yield self.manifest(path, oid)
            except DataError as error:
                yield error

    def prefetch(self, blobs: Iterable[tuple[str, str]]) -> None:
        """Reads and parses those that are not known yet; one Git call."""
        missing = [
            (path, oid)
            for path, oid in dict.fromkeys(blobs)
            if (path, oid) not in self._parsed and (oid not in self.entries or _is_of_marks(path))
        ]
        for (path, oid), data in zip(missing, self._repo.read([oid for _, oid in missing]), strict=True):
            try:
                self._parsed[path, oid] = parse_manifest(path, required(data, path, oid))
            except DataError as error:
                self._parsed[path, oid] = error

    def forget(self) -> None:
        """Lets go of all that is known."""
        self._parsed.clear()
        self.entries = {}

    def read_entries(self, layout: Layout, commits: Sequence[Commit]) -> dict[str, StageEntry]:
        """Returns what the stage files say that some commits brought, to be kept for later; one Git call."""
        blobs = {oid: path for path, oid in stage_blobs(commits, layout) if not _is_of_marks(path)}
        found: dict[str, StageEntry] = {}
        for (oid, path), data in zip(blobs.items(), self._repo.read(list(blobs)), strict=True):
            with suppress(DataError):
                entry = parse_manifest(path, required(data, path, oid)).entry
                # MessagePack has times in UTC alone.
                if entry and not any(at and at.utcoffset() for at in (entry.at, entry.adopted and entry.adopted.at)):
                    found[oid] = entry
        return found


def stage_blobs(commits: Iterable[Commit], layout: Layout, besides: Container[str] = ()) -> Iterator[tuple[str, str]]:
    """Yields path and object id of each stage file that some commits brought, but for what is known of it."""
    for commit in commits:
        for change in commit.changes:
            if change.new and "/stages/" in change.path and (change.new not in besides or _is_of_marks(change.path)):
                place = layout.locate(change.path)
                if place and place.kind is PathKind.STAGE:
                    yield change.path, change.new


def parse_manifest(path: str, data: bytes) -> Manifest:
    """Returns what a file of ``stages/`` says.

    Raises:
        DataError: It cannot be read.
    """
    return yaml.read(data, path, _parse_marks if _is_of_marks(path) else _parse_entry)


def required(data: bytes | None, path: str, oid: str) -> bytes:
    """Returns the content of a blob that must be there.

    Raises:
        DataError: This clone lacks it.
    """
    if data is None:
        raise DataError(f"{path}: object {oid} is missing from this clone", hint="git fsck", details={"file": path})
    return data


def _is_of_marks(path: str) -> bool:
    return path.endswith(_MARKS)


def _parse_entry(fields: Fields) -> Manifest:
    return Manifest(entry=parse_stage(fields))


def _parse_marks(fields: Fields) -> Manifest:
    return Manifest(archived=parse_archived(fields))
