"""What a pull is to put in place: one version's record, and what proves its bytes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Container, Iterable

from msgspec import Struct

from mreg.core.fields import format_moment
from mreg.core.history.filelist import hash_file_list, parse_file_list
from mreg.core.history.manifest import Deletion, tell_deletion
from mreg.core.history.record import ArtifactFile, Record
from mreg.core.history.state import RegistryState
from mreg.core.layout import pathspec
from mreg.core.names import ModelName, Selector, Version
from mreg.errors import BytesDeletedError, DataError, NotFoundError
from mreg.registry.reading.originals import find_original
from mreg.registry.reading.reader import Reader

__all__ = ["Known", "Wanted", "check_bytes_named", "find_deletion", "find_wanted", "hashes_of", "read_files"]


class Known(Container[str]):
    """The SHA-256 of everything that a model ever had, read when somebody asks."""

    def __init__(self, read: Callable[[], Iterable[str]]) -> None:
        """Keeps what reads them."""
        self._read = read
        self._hashes: frozenset[str] | None = None

    def __contains__(self, sha256: object) -> bool:
        """Returns whether an artifact of the model has this hash."""
        if self._hashes is None:
            self._hashes = frozenset(self._read())
        return sha256 in self._hashes


class Wanted(Struct, frozen=True):
    """One version."""

    record: Record
    files: tuple[ArtifactFile, ...]
    """Of a directory; empty for a single file."""
    known: Container[str]
    """SHA-256 of what may be replaced by it."""
    notices: tuple[str, ...] = ()
    deletion: Deletion | None = None
    """Where the bytes were given up: somebody may still have them, and nobody need."""
    repo: str = ""
    """The registry's URL, where there is no clone of it."""

    def refuse_deleted(self) -> None:
        """Says of bytes that were not found that they were deleted on purpose, where they were.

        Raises:
            BytesDeletedError: They were.
        """
        record, deletion = self.record, self.deletion
        if deletion:
            hint = f"mreg list {record.model}   # the versions that still have theirs are not archived"
            if self.repo:
                hint = f"mreg pull {record.model}@latest --repo {shlex.quote(self.repo)}   # the newest"
            raise BytesDeletedError(
                f"the bytes of {record.model} {record.version} were deleted {tell_deletion(deletion)}",
                hint=hint,
                details={
                    "model": record.model,
                    "version": str(record.version),
                    "by": deletion.by,
                    "at": format_moment(deletion.at) if deletion.at else None,
                    "reason": deletion.reason,
                },
            )


def find_wanted(reader: Reader, state: RegistryState, selector: Selector) -> Wanted:
    """Returns what a selector names in a clone, as it was registered.

    Raises:
        NotFoundError: It names nothing, or no bytes.
        DataError: The record or its file list cannot be read, or proves nothing.
    """
    version = state.select(selector)
    record, notices = find_original(reader, state, selector.model, version)
    check_bytes_named(state, record)
    known = Known(lambda: hashes_of(reader, state, selector.model))
    deletion = find_deletion(state, selector.model, version)
    return Wanted(record, read_files(reader, state, record), known, notices, deletion)


def find_deletion(state: RegistryState, model: ModelName, version: Version) -> Deletion | None:
    """Returns who gave a version's bytes up; ``None`` where nobody did."""
    mark = state.models[model].archived.get(version)
    return mark.deletion if mark else None


def hashes_of(reader: Reader, state: RegistryState, model: ModelName) -> set[str]:
    """Returns the SHA-256 of every version of a model whose record can be read, in one Git call."""
    records = reader.records_of(state, [(model, version) for version in state.models[model].versions])
    return {each.artifact.sha256 for each in records if not isinstance(each, DataError)}


def check_bytes_named(state: RegistryState, record: Record) -> None:
    """Refuses a record that does not say which bytes they are.

    Raises:
        NotFoundError: DVC did not track them.
        DataError: Nothing proves them.
    """
    model, version = record.model, record.version
    if not record.artifact.md5:
        raise NotFoundError(
            f"the record of {model} {version} names no bytes: DVC did not track them",
            hint=f"mreg show {model}@{version}",
            details={"model": model, "version": str(version)},
        )
    if not record.artifact.sha256 and record.adopted is None:
        path = state.policy.layout.record(model, version)
        raise DataError(
            f"{path}: artifact.sha256 is missing, so nothing proves what the bytes of {version} are",
            hint=f"git log -p -- {pathspec(path)}",
            details={"file": path, "key": "artifact.sha256"},
        )


def read_files(reader: Reader, state: RegistryState, record: Record) -> tuple[ArtifactFile, ...]:
    """Returns the files of a directory artifact; empty for a single file.

    Raises:
        DataError: The file list is not the one that the record names.
    """
    if not record.artifact.is_directory or not record.artifact.sha256:
        return ()
    path = state.policy.layout.file_list(record.model, record.version)
    blob = state.models[record.model].file_lists.get(record.version)
    (data,) = reader.repo.read([blob]) if blob else [None]
    files = parse_file_list(data or b"", path)
    if hash_file_list(files) != record.artifact.sha256:
        raise DataError(
            f"{path} is not the file list that the record of {record.version} names",
            hint=f"git log -p -- {pathspec(path)}",
            details={"file": path},
        )
    return files
