"""DVC's cache and the default remote of one repository: where bytes are, and how they get from one to the other."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from mreg.errors import NotFoundError, StorageError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import Meter, Progress
from mreg.stores.disk import scratch_folder
from mreg.stores.dvc.config import Sections, cache_of, load_sections, remote_of
from mreg.stores.dvc.errors import Place
from mreg.stores.dvc.folder import FolderRemote
from mreg.stores.dvc.holdings import FolderHoldings, Shelf
from mreg.stores.dvc.traffic import Traffic
from mreg.stores.dvc_files.pointer import parse_directory
from mreg.stores.surroundings import strip_credentials

__all__ = ["STALL_S", "DvcStore", "Uploaded"]

_JOBS = 8
STALL_S = 60.0
"""Seconds that a remote may be silent."""
_ASK_S = 10.0
_URL = re.compile(r"\w+://")


class Uploaded(Struct, frozen=True):
    """What an upload did."""

    remote: str
    """The default remote's name; empty where there is none, and nothing was done."""
    objects: int = 0
    """How many were not there, or not whole."""
    size: int = 0
    """Bytes of these."""


class DvcStore:
    """The bytes of one repository, below ``dvc.repo.Repo``.

    A ``Repo`` reads every ``.dvc`` file before it does anything, and fails in a SHA-256 repository.
    """

    def __init__(
        self,
        dvc_dir: Path,
        root: Path,
        config_text: str | None = None,
        *,
        stall_s: float | Callable[[], float] = STALL_S,
    ) -> None:
        """Reads nothing yet.

        Args:
            dvc_dir: The ``.dvc`` folder of the worktree, or a folder that takes its place in a bare repository.
            root: The root of the worktree.
            config_text: The committed ``.dvc/config``, where it is not in ``dvc_dir``.
            stall_s: Seconds without a sign of life after which a transfer is given up; or what finds it out, once it
                matters.
        """
        self._dvc_dir = dvc_dir
        self._root = root
        self._config_text = config_text
        self._find_stall = stall_s if callable(stall_s) else lambda: stall_s

    @property
    def _stall_s(self) -> float:
        return self._find_stall()

    def cache(self) -> Cache:
        """Returns the cache that DVC uses here.

        Raises:
            DataError: DVC's settings cannot be read.
            StorageError: Neither can their files.
        """
        return cache_of(self._sections(), self._dvc_dir)

    def remote(self) -> Place | None:
        """Returns the name and the public URL of the default remote, ``None`` where there is none.

        Raises:
            DataError: DVC's settings cannot be read, or do not declare the remote that they name.
            StorageError: Their files cannot be read.
        """
        return _default_place(self._sections())

    def require_remote(self) -> Place | None:
        """Returns what ``remote`` does, once it is sure that a remote which is a folder is there.

        Raises:
            DataError: As ``remote``.
            StorageError: As ``remote``; or the folder is not there.
        """
        place = self.remote()
        if place is not None and not _URL.match(place.url):
            _require_folder(Path(place.url), place)
        return place

    def ask_remote(self) -> Place | None:
        """Returns what ``require_remote`` does, once the remote has answered and lets us read; nothing is written.

        Raises:
            DataError: As ``remote``.
            StorageError: It cannot be reached in ``_ASK_S``, refuses the credentials, or has no such bucket.
        """
        place = self.require_remote()
        if place is None or not _URL.match(place.url):
            return place
        patience_s = min(self._stall_s, _ASK_S)
        asking = DvcStore(self._dvc_dir, self._root, self._config_text, stall_s=patience_s)
        with asking._traffic(is_written=False, jobs=1) as traffic, TemporaryDirectory() as folder:
            if traffic is not None:
                traffic.ask(Path(folder))
        return place

    def upload(self, md5: str, *, progress: Progress | None = None) -> Uploaded:
        """Brings an artifact from the cache to the default remote; what is there and whole is left alone.

        The files of a directory go before its list.  All that was sent is looked up again.

        Args:
            md5: DVC's name of the artifact; ends in ``.dir`` for a directory.

        Raises:
            NotFoundError: An object is not in the cache.
            CorruptArtifactError: An object in the cache has changed.
            StorageError: The remote refuses, does not answer, or does not hold what it was sent.
        """
        with self._traffic(is_written=True) as traffic:
            if traffic is None:
                return Uploaded("")
            sizes = _sizes([*_members(md5, traffic.cache), md5], traffic.cache)
            files = {each: size for each, size in sizes.items() if each != md5}
            meter = Meter(progress, sum(sizes.values()))
            sent = traffic.send(files, meter) | traffic.send({md5: sizes[md5]}, meter)
            return Uploaded(traffic.place.name, len(sent), sum(sizes[each] for each in sent))

    def download(self, md5: str, *, size: int = 0, progress: Progress | None = None) -> None:
        """Brings an artifact from the default remote into the cache; what the cache holds is left alone.

        Args:
            md5: DVC's name of the artifact; ends in ``.dir`` for a directory.
            size: All its bytes, for ``progress``.

        Raises:
            NotFoundError: There is no default remote, or an object is not there.
            CorruptArtifactError: The bytes of an object are not those that its name promises; the cache has not got it.
            StorageError: The remote refuses or does not answer, or the disk is full.
        """
        with self._traffic(is_written=False) as traffic:
            if traffic is None:
                raise NotFoundError(
                    f"object {md5} is not in the DVC cache, and no default DVC remote is set",
                    hint="mreg init --remote s3://bucket/path",
                    details={"md5": md5},
                )
            try:
                with traffic.cache.scratch() as scratch:
                    traffic.fetch([md5] if md5.endswith(".dir") else [], scratch, Meter(None, 0))
                    traffic.fetch(_members(md5, traffic.cache) or [md5], scratch, Meter(progress, size))
            except NotFoundError:
                self.require_remote()  # a disk that is not mounted has lost nothing
                raise

    def send(self, md5s: Iterable[str], *, progress: Progress | None = None) -> int:
        """Brings objects from the cache to the default remote, lists last, and returns how many were not there.

        Raises:
            NotFoundError: An object is not in the cache.
            CorruptArtifactError: An object in the cache has changed.
            StorageError: There is no default remote; or it refuses, or does not answer.
        """
        with self._traffic(is_written=True) as traffic:
            if traffic is None:
                raise StorageError("no default DVC remote is set", hint="mreg init --remote s3://bucket/path")
            sizes = _sizes(sorted(set(md5s)), traffic.cache)
            meter = Meter(progress, sum(sizes.values()))
            lists = {md5: size for md5, size in sizes.items() if md5.endswith(".dir")}
            files = {md5: size for md5, size in sizes.items() if md5 not in lists}
            return len(traffic.send(files, meter) | traffic.send(lists, meter))

    def fetch(self, md5s: Iterable[str], *, size: int = 0, progress: Progress | None = None) -> None:
        """Brings objects from the default remote into the cache; what the cache holds is left alone.

        Raises:
            NotFoundError: An object is not there.
            CorruptArtifactError: The bytes of an object are not those that its name promises.
            StorageError: There is no default remote; or it refuses, or does not answer.
        """
        with self._traffic(is_written=False) as traffic:
            if traffic is None:
                raise StorageError("no default DVC remote is set", hint="mreg init --remote s3://bucket/path")
            with traffic.cache.scratch() as scratch:
                traffic.fetch(md5s, scratch, Meter(progress, size))

    def cache_shelf(self) -> Shelf:
        """Returns the cache, to be looked at."""
        cache = self.cache()
        return Shelf(FolderHoldings(cache.root), Place("cache", os.fspath(cache.root)), _JOBS, self._stall_s)

    def remote_shelf(self) -> Shelf | None:
        """Returns the default remote, to be looked at; ``None`` where there is none.

        Raises:
            StorageError: A plugin is missing, or the folder is not there.
        """
        sections = self._sections()
        place = _default_place(sections)
        if place is None:
            return None
        options = sections["remote"][place.name]
        if _URL.match(options["url"]):
            from mreg.stores.dvc.cloud import CloudRemote  # noqa: PLC0415 - what follows imports DVC

            return Shelf(CloudRemote(sections, place, stall_s=self._stall_s), place, _jobs(options), self._stall_s)
        folder = Path(options["url"])
        _require_folder(folder, place)
        return Shelf(FolderHoldings(folder), place, _jobs(options), self._stall_s)

    def _sections(self) -> Sections:
        return load_sections(self._dvc_dir, self._root, self._config_text)

    @contextmanager
    def _traffic(self, *, is_written: bool, jobs: int | None = None) -> Iterator[Traffic | None]:
        sections = self._sections()
        place = _default_place(sections)
        if place is None:
            yield None
            return
        cache = cache_of(sections, self._dvc_dir)
        options = sections["remote"][place.name]
        jobs = jobs or _jobs(options)
        if _URL.match(options["url"]):
            from mreg.stores.dvc.remotes import open_remote  # noqa: PLC0415 - what follows imports DVC

            stall_s = self._stall_s
            with open_remote(sections, place, stall_s=stall_s) as remote:
                yield Traffic(cache, remote, place, jobs, stall_s)
            return
        folder = Path(options["url"])
        if is_written:
            _require_folder(folder, place)
            with scratch_folder(folder) as scratch:
                yield Traffic(cache, FolderRemote(folder, scratch), place, jobs, self._stall_s)
        else:
            yield Traffic(cache, FolderRemote(folder), place, jobs, self._stall_s)


def _jobs(options: Mapping[str, object]) -> int:
    configured = str(options.get("jobs", ""))
    return (int(configured) if configured.isdecimal() else 0) or _JOBS


def _default_place(sections: Sections) -> Place | None:
    found = remote_of(sections)
    return Place(found[0], strip_credentials(str(found[1]["url"])) or "…") if found else None


def _require_folder(folder: Path, place: Place) -> None:
    if not folder.exists():
        # Not made: what should be mounted there would hide it, or miss what is written now.
        raise StorageError(
            f"the folder of DVC {place} is not there",
            hint=f"mount it; or, where it is new: mkdir -p {shlex.quote(os.fspath(folder))}",
            details={"remote": place.name, "path": os.fspath(folder)},
        )


def _members(md5: str, cache: Cache) -> list[str]:
    """Returns the objects of a directory's files; empty for an artifact that is one file."""
    return sorted(parse_directory(cache.read(md5), md5).values()) if md5.endswith(".dir") else []


def _sizes(md5s: Iterable[str], cache: Cache) -> dict[str, int]:
    sizes = {}
    for md5 in md5s:
        size = cache.size(md5)
        if size is None:
            raise NotFoundError(
                f"object {md5} is not in the DVC cache {os.fspath(cache.root)!r}, so it cannot be uploaded",
                hint="dvc fetch, or register the artifact again",
                details={"md5": md5},
            )
        sizes[md5] = size
    return sizes
