"""The serving cache of one user on one machine: what was seen of registries, and bytes, for all processes.

Safe to delete at any moment, and never the source of truth; save for what keeps a machine from going back: the newest
commit that was seen of each branch, and what each version was when it was first pulled.

Layout: ``repos/<hash of the URL>/`` has a repository (``git-<n>``), ``state.json`` and a lock; ``files/md5/…`` is a
cache in DVC's layout, shared by all registries; ``claims/`` what is being downloaded; ``stat/`` what was put in place;
``uses/`` who uses which bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from mreg.errors import OutsideError, StorageError
from mreg.stores.artifacts.stat_cache import StatCache
from mreg.stores.disk import disk_errors, scratch_folder
from mreg.stores.git.remotes.shallow import BrokenCacheError, Remote, ShallowRepository
from mreg.stores.git.runner import GitRunner
from mreg.stores.serving.single_flight import lock_file
from mreg.stores.serving.uses import Uses

__all__ = ["Failure", "Memory", "Pin", "Pinned", "RemoteCache", "ServingCache"]

_VARIABLE = "MREG_CACHE_DIR"
_SIZE_VARIABLE, _SIZE_SETTING = "MREG_CACHE_SIZE", "mreg.cacheSize"
_PRIVATE = 0o700
_SCHEMA = 1
_USUAL_DISK = 500 * 10**9


class Pin(Struct, frozen=True):
    """What a version was when it was first pulled."""

    record: str
    """Object id of its record."""
    md5: str
    sha256: str


class Pinned(Struct, frozen=True):
    """A version that was pulled here once."""

    repo: str
    """The registry's URL, without a secret."""
    model: str
    version: str
    md5: str


class Failure(Struct, frozen=True):
    """A look that failed, for those who waited for it."""

    number: int
    message: str
    hint: str

    @property
    def error(self) -> OutsideError:
        """The error to raise."""
        return OutsideError(self.message, hint=self.hint)


class Memory(Struct, frozen=True):
    """What is known of one registry elsewhere."""

    branch: str = ""
    """The registry branch, as far as is known."""
    root: str = "registry"
    """Its folder."""
    repository: int = 0
    """Number of the folder ``git-<n>``; 0 before there is one."""
    kind: str = "blob:none"
    """What the server can leave out; empty for nothing."""
    begun: int = 0
    """How many looks were begun."""
    looks: Mapping[str, int] = field(default_factory=dict)
    """Number of the last look that ended well, by branch; ``""`` is the registry branch."""
    failure: Failure | None = None
    """The last look that failed."""
    tips: Mapping[str, str] = field(default_factory=dict)
    """The newest commit seen, by branch."""
    pins: Mapping[str, Pin] = field(default_factory=dict)
    """By ``<model>@<version>``."""


class RemoteCache:
    """The place of one registry in the cache; ``locked`` is to be held while it is used."""

    def __init__(self, folder: Path, remote: Remote) -> None:
        """Names it; ``folder`` exists."""
        self._folder = folder
        self._remote = remote

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes away; waits for them."""
        with ExitStack() as stack:
            with _writing(self._folder):
                stack.enter_context(lock_file(self._folder / "lock"))
            yield

    def load(self) -> Memory:
        """Returns what is known; an empty memory where that is nothing, or cannot be read."""
        try:
            return _parse_memory(msgspec.json.decode((self._folder / "state.json").read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Memory()

    def save(self, memory: Memory) -> None:
        """Remembers; the file is replaced in one step.

        Raises:
            StorageError: The disk is full, or cannot be written.
        """
        document = {"schema": _SCHEMA, "url": self._remote.label, **msgspec.to_builtins(memory)}
        place = self._folder / "state.json"
        with _writing(place), scratch_folder(self._folder) as scratch:
            (scratch / "state.json").write_bytes(msgspec.json.encode(document))
            (scratch / "state.json").replace(place)

    def open(self, memory: Memory) -> ShallowRepository:
        """Returns the repository that is there.

        Raises:
            BrokenCacheError: There is none that can be read.
        """
        if not memory.repository:
            raise BrokenCacheError("there is no repository yet")
        return ShallowRepository(self._path(memory.repository), self._remote, kind=memory.kind)

    def create(self, number: int, kind: str, form: str) -> ShallowRepository:
        """Returns a new repository; one of that number is deleted first."""
        path = self._path(number)
        with _writing(path):
            shutil.rmtree(path, ignore_errors=True)
            return ShallowRepository.create(path, self._remote, kind=kind, form=form)

    def tidy(self, number: int) -> None:
        """Deletes every repository but one."""
        for path in self._folder.glob("git-*"):
            if path != self._path(number):
                shutil.rmtree(path, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"git-{number}"


class ServingCache:
    """The whole cache."""

    def __init__(self, root: Path) -> None:
        """Names it; nothing is there yet."""
        self.root = root

    @classmethod
    def find(cls) -> ServingCache:
        """Returns the cache of this user: ``$MREG_CACHE_DIR``, or ``mreg`` in the user's folder for caches.

        Raises:
            StorageError: It cannot be made, or others can write to it.
        """
        asked = os.environ.get(_VARIABLE)
        if asked:
            root = Path(os.path.abspath(Path(asked).expanduser()))  # noqa: PTH100 - links stay
        else:
            import platformdirs  # noqa: PLC0415 - 20 ms

            root = Path(platformdirs.user_cache_dir("mreg", appauthor=False))
        with _writing(root):
            root.parent.mkdir(parents=True, exist_ok=True)
        _make_private(root, is_root=True)
        for name in ("repos", "files", "claims", "stat", "uses"):
            _make_private(root / name)
        return cls(root)

    @property
    def stats(self) -> StatCache:
        """What is known of files that were put in place."""
        return StatCache(self.root / "stat")

    @property
    def uses(self) -> Uses:
        """Who uses which bytes."""
        return Uses(self.root / "uses")

    @property
    def disk_size(self) -> int:
        """Bytes of the file system that it is on; a usual disk's where it does not tell."""
        with _writing(self.root):
            found = os.statvfs(self.root)
        return found.f_frsize * found.f_blocks or _USUAL_DISK

    def asked_size(self) -> tuple[str, str]:
        """Returns how large it may become, as somebody wrote it, and where; empty texts where nobody did."""
        if text := os.environ.get(_SIZE_VARIABLE):
            return text, _SIZE_VARIABLE
        done = GitRunner(self.root).complete("config", "--get", _SIZE_SETTING)
        text = done.stdout.decode("utf-8", "replace").removesuffix("\n")
        return (text, _SIZE_SETTING) if text else ("", "")

    def pinned(self) -> Iterator[Pinned]:
        """Yields every version that was pulled here once, in the order of their names."""
        for place in sorted((self.root / "repos").glob("*/state.json")):
            try:
                state = msgspec.json.decode(place.read_bytes())
                pins = _parse_memory(state).pins
                for name in sorted(pins):
                    model, _, version = name.rpartition("@")
                    yield Pinned(str(state["url"]), model, version, pins[name].md5)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # it is made anew by the next look

    def of(self, remote: Remote) -> RemoteCache:
        """Returns the place of one registry; its name tells nothing of the URL."""
        known_by = remote.label if remote.label != Remote("").label else remote.url
        name = hashlib.sha256(known_by.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        _make_private(self.root / "repos" / name)
        return RemoteCache(self.root / "repos" / name, remote)


def _make_private(folder: Path, *, is_root: bool = False) -> None:
    with _writing(folder):
        with suppress(FileExistsError):
            folder.mkdir(mode=_PRIVATE)
        found = folder.stat() if is_root else folder.lstat()  # who sets a link as the cache means what it leads to
        if is_root and not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(folder))
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StorageError(
            f"the serving cache {os.fspath(folder)!r} is not yours alone: others could put other models there",
            hint=f"export {_VARIABLE}=~/.cache/mreg-2   # a folder of your own, where each user has one",
            details={"path": os.fspath(folder)},
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Names the variable that moves the cache, where it cannot be written; a disk that is full says so itself."""
    try:
        with disk_errors("written", path):
            yield
    except StorageError as error:
        if error.details.get("errno") in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise StorageError(
            f"the serving cache: {error.message}",
            hint=f'export {_VARIABLE}="$(mktemp -d)"   # or another folder of your own, which can be written and stays',
            details=error.details,
        ) from error


def _parse_memory(found: Mapping[str, Any]) -> Memory:
    return msgspec.convert(found, Memory) if found["schema"] == _SCHEMA else Memory()
