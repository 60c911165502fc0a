"""Which files an artifact on disk consists of, and whether they stay as they are while they are read.

What counts as part of a directory:
    * every regular file in it, hidden ones too; empty folders do not count, as in Git and DVC;
    * a symbolic link to a regular file inside the directory or inside the DVC cache, as the bytes it leads to;
    * anything else (a link that leads elsewhere or to a folder, a socket, a pipe, a ``.git`` folder, a name that is not
      UTF-8) is an error that names it: nothing is left out silently;
    * so is a pointer of Git LFS: it stands for bytes that are not here.

The artifact itself may be a symbolic link, which is what DVC can make of the files that it tracks.
"""

from __future__ import annotations

import os
import shlex
import stat
import time
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from msgspec import Struct

from mreg.core.paths import find_name_fault, find_path_fault
from mreg.errors import ConflictError, NotFoundError, UsageError
from mreg.stores.artifacts.stat_cache import Stamp
from mreg.stores.disk import disk_error, disk_errors

__all__ = ["SourceFile", "Survey", "survey_artifact"]

_NAME = "name the file or directory that holds the model"
_COPY = "register a copy without it; cp -rL makes files of links"
_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_SIZES = range(100, 400)
"""Bytes that such a pointer may have; to look into every file would take as long as to hash the small ones."""


class SourceFile(Struct, frozen=True):
    """One file to read."""

    path: str
    """POSIX, relative to the directory; empty for an artifact that is one file."""
    place: str
    """Where to open it: no link."""
    stamp: Stamp

    def check_unchanged(self, size: int) -> None:
        """Does nothing where the file is still the one that was surveyed.

        Args:
            size: How many bytes were read.

        Raises:
            ConflictError: Its inode, size or time of change is another.
        """
        try:  # no context manager: it is asked of each of 10 000 files
            now = os.lstat(self.place)
        except OSError as error:
            raise disk_error(error, "read", self.place) from error
        then = self.stamp
        if (now.st_ino, now.st_size, size, now.st_mtime_ns) != (then.inode, then.size, then.size, then.mtime_ns):
            raise _changed(self.place)


class Survey(Struct, frozen=True):
    """All files of one artifact, sorted by path, and the folders that they lie in."""

    root: str
    is_directory: bool
    files: tuple[SourceFile, ...]
    folders: tuple[tuple[str, int], ...]
    """Path and mtime in nanoseconds: a folder's time changes when a name in it comes or goes."""
    begun_ns: int
    """When the look at it began."""

    @property
    def name(self) -> str:
        """The artifact's base name."""
        return os.path.basename(self.root)  # noqa: PTH119 - a path as text

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(file.stamp.size for file in self.files)

    @property
    def written_ns(self) -> int:
        """When a file, or a folder in the directory, was last written."""
        inside = (mtime_ns for _, mtime_ns in self.folders[1:])
        return max(*(file.stamp.mtime_ns for file in self.files), *inside, 0)

    def check_unchanged(self) -> None:
        """Does nothing where no file came or went.

        Raises:
            ConflictError: One did.
        """
        for folder, mtime_ns in self.folders:
            with disk_errors("read", folder):
                now = os.stat(folder)  # noqa: PTH116 - a path as text
            if now.st_mtime_ns != mtime_ns:
                raise _changed(folder)


def survey_artifact(source: Path, cache_root: Path) -> Survey:
    """Returns what there is to read.

    Raises:
        NotFoundError: Nothing is there, or what stands for the bytes in Git LFS.
        UsageError: It is empty, or holds what the module's rules refuse.
        StorageError: It cannot be read.
    """
    begun_ns = time.time_ns()
    root = os.path.abspath(source)  # noqa: PTH100 - a link keeps its own name
    fault = find_name_fault(os.path.basename(root))  # noqa: PTH119 - a path as text
    if fault:
        raise _refused(root, fault, _NAME)
    if os.path.islink(root) and not os.path.exists(root):  # noqa: PTH110, PTH114 - a path as text
        raise _missing(root)
    with disk_errors("read", root):
        place = os.path.realpath(root, strict=True)
        found = os.stat(place)  # noqa: PTH116 - a path as text
        if stat.S_ISREG(found.st_mode):
            survey = Survey(root, False, (SourceFile("", place, Stamp.of(found)),), (), begun_ns)
        elif stat.S_ISDIR(found.st_mode):
            folders: list[tuple[str, int]] = []
            havens = (place, os.path.realpath(cache_root))
            files = sorted(_walk(place, havens, "", folders), key=attrgetter("path"))
            survey = Survey(root, True, tuple(files), tuple(folders), begun_ns)
        else:
            raise _refused(root, "it is neither a file nor a directory", _NAME)
    if not survey.files or not survey.size:
        raise UsageError(f"{root!r} is empty", hint=_NAME)
    for file in survey.files:
        if file.stamp.size in _LFS_SIZES and _is_lfs_pointer(file.place):
            message = f"{file.place!r} is a pointer of Git LFS, and its bytes are not here"
            raise NotFoundError(message, hint="git lfs pull", details={"path": file.place})
    return survey


def _is_lfs_pointer(place: str) -> bool:
    with disk_errors("read", place), open(place, "rb") as file:  # noqa: PTH123 - a path as text
        return file.read(len(_LFS)) == _LFS


def _walk(folder: str, havens: tuple[str, str], prefix: str, folders: list[tuple[str, int]]) -> Iterator[SourceFile]:
    folders.append((folder, os.stat(folder).st_mtime_ns))  # noqa: PTH116 - a path as text
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            fault = find_path_fault(entry.name)
            if fault:
                raise _refused(entry.path, fault)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, havens, f"{path}/", folders)
            elif entry.is_file(follow_symlinks=False):
                yield SourceFile(path, entry.path, Stamp.of(entry.stat(follow_symlinks=False)))
            else:
                yield _follow(entry, path, havens)


def _follow(entry: os.DirEntry[str], path: str, havens: tuple[str, str]) -> SourceFile:
    if not entry.is_symlink():
        raise _refused(entry.path, "it is neither a file nor a directory")
    place = os.path.realpath(entry.path)
    if not any(place.startswith(f"{haven}{os.sep}") for haven in havens):
        raise _refused(entry.path, "the link leads out of the directory")
    try:
        found = entry.stat()
    except OSError:
        raise _refused(entry.path, "the link leads nowhere") from None
    if not stat.S_ISREG(found.st_mode):
        raise _refused(entry.path, "the link does not lead to a file")
    return SourceFile(path, place, Stamp.of(found))


def _missing(place: str) -> NotFoundError:
    hint = f"ls -l {shlex.quote(place)}   # shows where it leads"
    return NotFoundError(f"{place!r} cannot be read: the link leads nowhere", hint=hint, details={"path": place})


def _refused(place: str, why: str, hint: str = _COPY) -> UsageError:
    return UsageError(f"{place!r} cannot be part of an artifact: {why}", hint=hint, details={"path": place})


def _changed(place: str) -> ConflictError:
    return ConflictError(
        f"{place!r} changed while it was read",
        hint="run the command again once nothing writes there any more",
        details={"path": place},
    )
