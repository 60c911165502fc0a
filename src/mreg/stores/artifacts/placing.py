"""Puts an artifact of the cache where the user wants it, verified, or leaves the place as it was.

Rules:
    * What is put in place was hashed with SHA-256 in the pass that wrote it, and equals the record.  A link is made
      only to an object that was hashed.
    * The last step is one rename, or one exchange of two directories: at no moment is there half an artifact.
    * What is there already, and neither is a version of the model nor was put there by mreg, is the user's and stays.
    * A symbolic link at the destination is replaced itself; nothing is written through it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Mapping
from pathlib import Path

from msgspec import Struct

from mreg.core.history.filelist import hash_file_list
from mreg.core.history.record import Artifact
from mreg.core.results import LinkMode
from mreg.errors import CorruptArtifactError, DataError, MregError, NotFoundError, RefusedError, StorageError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.destination import Destination, Occupant
from mreg.stores.artifacts.hashing import SMALL_SIZE, Digests, Meter, Progress, copy_hashed
from mreg.stores.artifacts.ingesting import Ingested
from mreg.stores.artifacts.stat_cache import StatCache
from mreg.stores.disk import clone, disk_errors, scratch_folder
from mreg.stores.dvc_files.pointer import parse_directory

__all__ = ["Placed", "Placing", "place"]

_FILE_MODE = 0o644
"""Less the umask."""


class Placing(Struct, frozen=True):
    """How to place, and what may be replaced."""

    link: LinkMode = LinkMode.AUTO
    force: bool = False
    """True to replace whatever is there."""
    known: Container[str] = ()
    """SHA-256 of every artifact that may be replaced because the registry has it."""


_AS_IT_IS = Placing()


class Placed(Struct, frozen=True):
    """Where the artifact is now, and whether anything was written."""

    path: Path
    changed: bool


def place(
    content: Ingested,
    cache: Cache,
    destination: Path,
    *,
    how: Placing = _AS_IT_IS,
    stats: StatCache | None = None,
    progress: Progress | None = None,
) -> Placed:
    """Puts the artifact at ``destination``; writes nothing if it is there already.

    Args:
        content: The artifact as recorded and, for a directory, its list of files; their MD5s are not needed.
        cache: Holds every object of it.
        destination: The path of the artifact itself, not of the folder for it.

    Raises:
        RefusedError: Something of the user's is there, and ``how.force`` is not set.
        NotFoundError: An object is not in the cache.
        CorruptArtifactError: An object is not what the record says.  It was taken out of the cache, so that the caller
            can fetch it anew and try once more; the destination is as it was.
        DataError: The record and its list of files do not agree.
        ConflictError: Something appeared at the destination meanwhile.
        StorageError: The disk is full, or something cannot be read, written or linked.
    """
    started_ns = time.time_ns()
    artifact = content.artifact
    target = Destination(Path(os.path.abspath(destination)), cache.root, stats)  # noqa: PTH100 - a link stays a link
    members = _members(content, cache)
    occupant = target.look()
    is_current = occupant is not None and _is_current(target, occupant, artifact, how)
    if not is_current:
        source = _Source(cache, how.link, Meter(progress, artifact.size))
        with scratch_folder(target.path.parent) as scratch, disk_errors("written", target.path):
            fresh = scratch / "artifact"
            source.build(fresh, members)
            target.put(fresh, occupant)
    target.remember(members, started_ns)
    return Placed(target.path, changed=not is_current)


def _members(content: Ingested, cache: Cache) -> Mapping[str, Digests]:
    """Returns both names of each file by its path; ``""`` for an artifact that is one file."""
    artifact = content.artifact
    if not artifact.is_directory:
        return {"": Digests(artifact.md5, artifact.sha256)}
    if hash_file_list(content.files) != artifact.sha256:
        raise DataError(
            f"the file list of {artifact.path!r} is not the one that its record names by SHA-256",
            hint="restore the record and its list as they were committed",
            details={"sha256": artifact.sha256},
        )
    names = parse_directory(cache.read(artifact.md5), artifact.md5)
    if names.keys() != {file.path for file in content.files}:
        raise CorruptArtifactError(
            f"DVC's list of the directory {artifact.path!r} names other files than its record",
            hint="register the artifact again, as a new version",
            details={"md5": artifact.md5},
        )
    return {file.path: Digests(names[file.path], file.sha256) for file in content.files}


def _is_current(target: Destination, occupant: Occupant, artifact: Artifact, how: Placing) -> bool:
    """True where the artifact is in place already; refuses what may not be replaced, and hashes only if it must."""
    may_replace = occupant.is_free or how.force
    survey = occupant.survey
    if survey and (survey.size == artifact.size or not may_replace):
        sha256 = target.hash(survey)
        if sha256 == artifact.sha256 and survey.is_directory == artifact.is_directory:
            return True
        may_replace = may_replace or sha256 in how.known
    if not may_replace:
        raise RefusedError(
            f"{os.fspath(target.path)!r} exists already and is not a version of this model",
            hint="move it away, choose another path with --output, or replace it with --force",
            details={"path": os.fspath(target.path)},
        )
    return False


class _Source:
    """Makes verified files out of the objects of a cache."""

    def __init__(self, cache: Cache, link: LinkMode, meter: Meter) -> None:
        self._cache = cache
        self._link = link
        self._meter = meter

    def build(self, fresh: Path, members: Mapping[str, Digests]) -> None:
        """Makes the file, or the directory with all its files, under a new name.

        Raises:
            NotFoundError: An object is not in the cache.
            CorruptArtifactError: An object is not what the record says; all such objects were taken out of the cache.
            StorageError: A link cannot be made.
        """
        if "" in members:
            self._make(os.fspath(fresh), members[""])
            return
        for folder in sorted({os.path.dirname(path) for path in members} | {""}):  # noqa: PTH120 - paths as text
            (fresh / folder).mkdir(parents=True, exist_ok=True)
        faults: list[MregError] = []
        for path, digests in members.items():
            try:
                self._make(f"{fresh}/{path}", digests)
            except (CorruptArtifactError, NotFoundError) as error:
                faults.append(error)  # goes on: every corrupt object must leave the cache before they are fetched anew
        if faults:
            raise faults[0]

    def _make(self, path: str, digests: Digests) -> None:
        with self._cache.open(digests.md5) as source:
            is_link = self._link in {LinkMode.HARDLINK, LinkMode.SYMLINK}
            found = self._hash(source) if is_link else self._copy(source, path)
            if found != digests.sha256:
                raise self._corrupt(source, digests)
        if is_link:
            self._make_link(self._cache.path(digests.md5), path)

    def _copy(self, source: int, path: str) -> str:
        size = os.fstat(source).st_size
        target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        try:
            if self._link is LinkMode.AUTO and size > SMALL_SIZE and clone(source, target):
                return self._hash(target)
            [sha256] = copy_hashed(source, target, ["sha256"], size=size, meter=self._meter)
        finally:
            os.close(target)
        return sha256

    def _hash(self, file: int) -> str:
        [sha256] = copy_hashed(file, None, ["sha256"], size=os.fstat(file).st_size, meter=self._meter)
        return sha256

    def _make_link(self, object_path: Path, path: str) -> None:
        try:
            if self._link is LinkMode.HARDLINK:
                os.link(object_path, path)
            else:
                Path(path).symlink_to(object_path.resolve())
        except OSError as error:
            raise StorageError(
                f"a {self._link.value} to the DVC cache cannot be made at {path!r}: {(error.strerror or '').lower()}",
                hint="copy instead: --link copy",
                details={"path": path, "errno": error.errno},
            ) from error

    def _corrupt(self, source: int, digests: Digests) -> CorruptArtifactError:
        os.lseek(source, 0, os.SEEK_SET)
        [md5] = copy_hashed(source, None, ["md5"], size=os.fstat(source).st_size, meter=Meter(None, 0))
        if md5 != digests.md5:
            return self._cache.reject(digests.md5, source)
        return CorruptArtifactError(
            f"object {md5} has the MD5 of the record and not its SHA-256: other bytes than were registered",
            hint="trust neither: find out who can write to the DVC remote, then register the artifact again",
            details={"md5": md5, "sha256": digests.sha256},
        )
