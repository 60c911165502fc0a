"""Takes an artifact into DVC's cache: one read for hashing and copying, and the user's files stay untouched.

``mreg.stores.artifacts.survey`` says which files belong to it; ``mreg.stores.artifacts.placing`` is the way back.
"""

from __future__ import annotations

import lzma
import os
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from mreg.core.history.filelist import hash_file_list
from mreg.core.history.record import Artifact, ArtifactFile
from mreg.core.versions.formats import HEAD_SIZE, ZIP_STARTS, recognise_directory, recognise_file
from mreg.errors import DataError, NotFoundError, StorageError
from mreg.stores.artifacts.cache import Cache, create_object
from mreg.stores.artifacts.hashing import (
    SMALL_SIZE,
    Digests,
    Meter,
    Progress,
    hash_bytes,
    hash_equal,
    hash_file,
    read_all,
)
from mreg.stores.artifacts.stat_cache import Seen, Stamp, StatCache, StatEntry
from mreg.stores.artifacts.survey import SourceFile, Survey, survey_artifact
from mreg.stores.disk import clone, disk_error, write_all
from mreg.stores.dvc_files.pointer import format_directory, parse_directory

__all__ = ["Ingested", "ingest", "ingest_cached", "ingest_surveyed"]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
"""A pipe that takes the file's place must not make mreg wait."""


class Ingested(Struct, frozen=True):
    """An artifact whose bytes are in DVC's cache."""

    artifact: Artifact
    files: tuple[ArtifactFile, ...] = ()
    """Of a directory, sorted by path; empty for a single file."""


class _Taken(Struct, frozen=True):
    """One file whose bytes are in the cache."""

    path: str
    seen: Seen
    format: str


def ingest(
    source: Path, cache: Cache, *, tracked: str = "", stats: StatCache | None = None, progress: Progress | None = None
) -> Ingested:
    """Puts a file or a directory into the cache and returns its hashes: ``ingest_surveyed``, and the survey before.

    Raises:
        NotFoundError: Nothing is there.
        UsageError: The artifact is empty, or holds what ``mreg.stores.artifacts.survey`` refuses.
        ConflictError: It changed while it was read.
        StorageError: Reading or writing failed, or the disk is full.
    """
    survey = survey_artifact(source, cache.root)
    return ingest_surveyed(survey, cache, tracked=tracked, stats=stats, progress=progress)


def ingest_surveyed(
    survey: Survey, cache: Cache, *, tracked: str = "", stats: StatCache | None = None, progress: Progress | None = None
) -> Ingested:
    """Puts what was surveyed into the cache and returns its hashes.

    An object that the cache holds already is kept where its bytes are equal, else replaced.  What ``stats`` knows to be
    unchanged, and the cache holds, is not read again.

    Args:
        survey: The artifact.
        cache: Where its bytes go.
        tracked: DVC's name of it, if DVC tracks it: what is in the cache by that name, and equal, is not copied again.
        stats: What is known of unchanged files.
        progress: Called with bytes done and bytes in all.

    Raises:
        NotFoundError: A file of it is gone.
        ConflictError: It changed since.
        StorageError: Reading or writing failed, or the disk is full.
    """
    path = Path(survey.root)
    entry = stats.load(path) if stats else StatEntry()
    with cache.scratch() as scratch:
        intake = _Intake(cache, f"{scratch}/object", entry, _members(tracked, cache), Meter(progress, survey.size))
        taken = [intake.take(file) for file in survey.files]
        survey.check_unchanged()
        content = _describe(survey.name, taken, is_directory=survey.is_directory)
        if survey.is_directory:
            intake.add(content.artifact.md5, format_directory(content.files))
    if stats:
        stats.save(path, _entry(survey.begun_ns, taken))
    return content


def ingest_cached(
    name: str, md5: str, cache: Cache, *, stats: StatCache | None = None, progress: Progress | None = None
) -> Ingested:
    """Returns the hashes of what DVC tracks and has in its cache already; copies nothing.

    Args:
        name: The base name of the artifact.
        md5: DVC's name of it; ends in ``.dir`` for a directory.

    Raises:
        NotFoundError: An object is not in the cache.
        CorruptArtifactError: An object's bytes are not those that its name promises; it was taken out of the cache.
        DataError: ``md5`` or the directory's list is malformed.
    """
    started_ns = time.time_ns()
    is_directory = md5.endswith(".dir")
    members = parse_directory(cache.read(md5), md5) if is_directory else {"": md5}
    entry = stats.load(cache.path(md5)) if stats else StatEntry()
    meter = Meter(progress, sum(cache.size(member) or 0 for member in members.values()))
    taken = []
    for path, member in sorted(members.items()):
        with cache.open(member) as file:
            try:  # no context manager: it is asked of each of 10 000 files
                stamp = Stamp.of(os.fstat(file))
                digests = entry.find(path, stamp) or hash_file(file, stamp.size, meter)
                head = os.pread(file, HEAD_SIZE, 0)
            except OSError as error:
                raise disk_error(error, "read", cache.path(member)) from error
            cache.check(member, digests.md5, file)
            taken.append(_Taken(path, Seen(stamp, digests), _recognise(path or name, head, cache, member)))
    if stats:
        stats.save(cache.path(md5), _entry(started_ns, taken))
    return _describe(name, taken, is_directory=is_directory)


class _Intake:
    """Brings files into the cache one by one, each under the same temporary name first."""

    def __init__(
        self, cache: Cache, temporary: str, entry: StatEntry, tracked: Mapping[str, str], meter: Meter
    ) -> None:
        self._cache = cache
        self._temporary = temporary
        self._entry = entry
        self._tracked = tracked
        self._meter = meter
        self._verb = f"copied into the DVC cache {os.fspath(cache.root)!r}"

    def take(self, file: SourceFile) -> _Taken:
        """Takes one file in; reads no more than its head if it is known and in the cache."""
        try:
            source = os.open(file.place, _READ)
        except OSError as error:
            raise disk_error(error, "read", file.place) from error
        try:
            digests, head = self._take(source, file)
        except OSError as error:
            raise disk_error(error, self._verb, file.place) from error
        finally:
            os.close(source)
        return _Taken(
            file.path, Seen(file.stamp, digests), _recognise(file.path or file.place, head, self._cache, digests.md5)
        )

    def add(self, md5: str, content: bytes) -> None:
        """Adds an object from memory."""
        try:
            if not self._cache.holds(md5, content):
                target = create_object(self._temporary)
                try:
                    write_all(target, content)
                finally:
                    os.close(target)
                self._cache.adopt(self._temporary, md5)
        except OSError as error:
            raise disk_error(error, self._verb, md5) from error

    def _take(self, source: int, file: SourceFile) -> tuple[Digests, bytes]:
        size = file.stamp.size
        known = self._entry.find(file.path, file.stamp)
        if known and self._cache.size(known.md5) == size:
            file.check_unchanged(size)
            self._meter.add(size)
            return known, os.read(source, HEAD_SIZE)
        if size > SMALL_SIZE:
            return self._take_large(source, file)
        content = read_all(source, size)
        file.check_unchanged(len(content))
        digests = hash_bytes(content)
        self.add(digests.md5, content)
        self._meter.add(size)
        return digests, content[:HEAD_SIZE]

    def _take_large(self, source: int, file: SourceFile) -> tuple[Digests, bytes]:
        size = file.stamp.size
        head = os.pread(source, HEAD_SIZE, 0)
        target = create_object(self._temporary)
        try:
            is_cloned = clone(source, target)
            if not is_cloned and (held := self._hash_held(source, file)):
                return held, head
            digests = hash_file(target if is_cloned else source, size, self._meter, into=None if is_cloned else target)
            copied = os.fstat(target).st_size
        finally:
            os.close(target)
        file.check_unchanged(copied)
        self._cache.adopt(self._temporary, digests.md5)
        return digests, head

    def _hash_held(self, source: int, file: SourceFile) -> Digests | None:
        """Returns the digests of a file whose bytes the cache holds by the name that DVC gave them."""
        size, md5 = file.stamp.size, self._tracked.get(file.path)
        if md5 is None or self._cache.size(md5) != size:
            return None
        digests = None
        with suppress(NotFoundError, StorageError), self._cache.open(md5) as held:
            digests = hash_equal(source, held, size, self._meter)
        if digests is None or digests.md5 != md5:  # it changed since, or it is the cache that is not to be trusted
            os.lseek(source, 0, os.SEEK_SET)
            return None
        file.check_unchanged(os.lseek(source, 0, os.SEEK_CUR))
        return digests


def _members(md5: str, cache: Cache) -> Mapping[str, str]:
    """Returns DVC's names of an artifact's files by their paths, as far as its list can be read."""
    if not md5.endswith(".dir"):
        return {"": md5} if md5 else {}
    try:
        return parse_directory(cache.read(md5), md5)
    except (NotFoundError, StorageError, DataError):
        return {}


def _entry(started_ns: int, taken: Sequence[_Taken]) -> StatEntry:
    return StatEntry(started_ns, False, {each.path: each.seen for each in taken})


def _describe(name: str, taken: Sequence[_Taken], *, is_directory: bool) -> Ingested:
    if not is_directory:
        [only] = taken
        digests = only.seen.digests
        return Ingested(Artifact(name, only.seen.stamp.size, digests.md5, digests.sha256, only.format))
    files = tuple(
        ArtifactFile(each.path, each.seen.stamp.size, each.seen.digests.sha256, each.seen.digests.md5) for each in taken
    )
    return Ingested(
        Artifact(
            path=name,
            size=sum(file.size for file in files),
            md5=f"{hash_bytes(format_directory(files)).md5}.dir",
            sha256=hash_file_list(files),
            format=recognise_directory((each.path, each.format) for each in taken),
            files=len(files),
        ),
        files,
    )


def _recognise(name: str, head: bytes, cache: Cache, md5: str) -> str:
    return recognise_file(name, head, _zip_members(cache.path(md5)) if head.startswith(ZIP_STARTS) else {})


def _zip_members(place: Path) -> Mapping[str, bytes]:
    try:
        with zipfile.ZipFile(place) as archive:
            return {name: _member_head(archive, name) for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return {}


def _member_head(archive: zipfile.ZipFile, name: str) -> bytes:
    if not name.endswith(".npy"):
        return b""
    try:
        with archive.open(name) as member:
            return member.read(HEAD_SIZE)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, lzma.LZMAError, zlib.error):
        return b""  # cut off, encrypted, or packed in a way that Python does not know
