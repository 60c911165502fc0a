"""DVC's cache on disk: objects named by their MD5, written once, read-only.

The layout is DVC's (``files/md5/ab/cdef…``, ``.dir`` at the end of a directory's list), so DVC and mreg share one
cache.  Unlike DVC, nothing is trusted here for being there: whoever reads an object hashes it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from mreg.errors import CorruptArtifactError, DataError, NotFoundError
from mreg.stores.artifacts.hashing import hash_bytes
from mreg.stores.disk import disk_error, disk_errors, scratch_folder

__all__ = ["OBJECT_MODE", "Cache", "create_object"]

_OBJECT_NAME = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
OBJECT_MODE = 0o444
"""DVC trusts an object of exactly this mode."""
_SHARED_FOLDER_MODE = 0o2775


def create_object(path: str) -> int:
    """Returns a new file, open for reading and writing, with the permissions of an object.

    Raises:
        OSError: It cannot be made.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, OBJECT_MODE)
    if stat.S_IMODE(os.fstat(file).st_mode) != OBJECT_MODE:  # the umask took some of it
        os.fchmod(file, OBJECT_MODE)
    return file


class Cache(Struct, frozen=True):
    """One DVC cache folder, which need not exist yet."""

    root: Path
    """Holds ``files/md5``; what DVC calls ``cache.dir``."""
    is_shared: bool = False
    """True where DVC's ``cache.shared = group`` lets a group write."""

    def path(self, md5: str) -> Path:
        """Returns where the object is, or would be.

        Raises:
            DataError: Not a name of DVC's.
        """
        return Path(self._place(md5))

    def size(self, md5: str) -> int | None:
        """Returns the bytes of the object on disk, ``None`` where it is not there."""
        try:
            return os.stat(self._place(md5)).st_size  # noqa: PTH116 - a path as text
        except (FileNotFoundError, NotADirectoryError):
            return None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Gives a private folder on the cache's file system, for ``adopt`` to take files from."""
        with scratch_folder(self.root) as folder:
            yield folder

    @contextmanager
    def open(self, md5: str) -> Iterator[int]:
        """Gives the object as a file descriptor.

        Raises:
            NotFoundError: It is not in the cache.
            StorageError: It cannot be read.
        """
        place = self._place(md5)
        try:
            file = os.open(place, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(
                f"object {md5} is not in the DVC cache {os.fspath(self.root)!r}",
                hint="dvc fetch, or pull from a repository whose remote holds it",
                details={"md5": md5, "cache": os.fspath(self.root)},
            ) from error
        except OSError as error:
            raise disk_error(error, "read", place) from error
        try:
            yield file
        finally:
            os.close(file)

    def read(self, md5: str) -> bytes:
        """Returns a small object, verified.

        Raises:
            NotFoundError: It is not in the cache.
            CorruptArtifactError: Its bytes have another MD5; it is no longer in the cache.
        """
        with self.open(md5) as file:
            with disk_errors("read", self.path(md5)):
                content = os.pread(file, os.fstat(file).st_size, 0)
            self.check(md5, hash_bytes(content).md5, file)
        return content

    def holds(self, md5: str, content: bytes) -> bool:
        """True where the object is there and has these bytes; small ones only, as they are compared."""
        place = self._place(md5)
        if not os.access(place, os.F_OK):  # asked, as an error takes twice as long
            return False
        try:
            file = os.open(place, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return os.read(file, len(content) + 1) == content
        finally:
            os.close(file)

    def adopt(self, temporary: str, md5: str) -> None:
        """Moves a finished file of ``scratch``, from ``create_object``, into place, over an object of that name.

        Raises:
            OSError: The cache cannot be written.
        """
        target = self._place(md5)
        try:
            os.rename(temporary, target)  # noqa: PTH104 - paths as text
        except FileNotFoundError:
            self._make_folders(Path(target).parent)
            os.rename(temporary, target)  # noqa: PTH104

    def check(self, md5: str, found: str, file: int) -> None:
        """Does nothing where the object's bytes have its name.

        Args:
            md5: The object's name.
            found: The MD5 of its bytes.
            file: The object as ``open`` gave it.

        Raises:
            CorruptArtifactError: They have not; the object was taken out of the cache, so that it can be fetched again.
        """
        if found != md5.removesuffix(".dir"):
            raise self.reject(md5, file)

    def reject(self, md5: str, file: int) -> CorruptArtifactError:
        """Takes a corrupt object out of the cache and returns the error to raise.

        The bytes are kept as ``<root>/mreg-corrupt/<md5>``: they may be all that is left.
        """
        path = self.path(md5)
        aside = self.root / "mreg-corrupt" / md5
        with suppress(OSError):  # a cache that may only be read keeps its corrupt object
            if os.path.samestat(path.stat(), os.fstat(file)):  # else it was replaced meanwhile
                aside.parent.mkdir(exist_ok=True)
                path.rename(aside)
        return CorruptArtifactError(
            f"the bytes of object {md5} in the DVC cache {os.fspath(self.root)!r} have changed: their MD5 is another",
            hint="run the command again to download the object anew",
            details={"md5": md5, "cache": os.fspath(self.root), "kept": os.fspath(aside)},
        )

    def _place(self, md5: str) -> str:
        # Text, not ``Path``: it is what a directory of 10 000 files spends a tenth of its time on.
        if not _OBJECT_NAME.fullmatch(md5):
            raise DataError(f"{md5!r} is not a name that DVC gives to bytes", details={"md5": md5})
        return f"{os.fspath(self.root)}/files/md5/{md5[:2]}/{md5[2:]}"

    def _make_folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folders(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            if self.is_shared:
                folder.chmod(_SHARED_FOLDER_MODE)
