"""Which objects of DVC's the versions are made of: from records and file lists, and from DVC's lists of directories.

A record and the file list beside it tell the SHA-256 of every file; the names that DVC gave to the files of a directory
are in DVC's own list of it alone, which is an object too, and may be anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from mreg.core.history.filelist import parse_file_list
from mreg.core.history.record import Artifact, ArtifactFile
from mreg.core.layout import Layout, pathspec
from mreg.core.storage.objects import StoredObject, VersionBytes
from mreg.core.storage.retention import Key
from mreg.errors import DataError
from mreg.stores.dvc.holdings import Shelf
from mreg.stores.dvc_files.pointer import parse_directory
from mreg.stores.git.repository import GitRepository

__all__ = ["describe", "find_lists", "read_file_lists"]


def read_file_lists(
    repo: GitRepository, layout: Layout, artifacts: Mapping[Key, Artifact], oids: Mapping[Key, str]
) -> dict[Key, tuple[ArtifactFile, ...]]:
    """Returns the files of those versions that are directories, as Git has them; one Git call.

    A version adopted from GTO has no list, and is left out.

    Args:
        repo: Where the lists are.
        layout: Names them.
        artifacts: What the records say of the bytes.
        oids: Object ids of the lists.

    Raises:
        DataError: A list is missing, cannot be read, or is not the one that the record names.
    """
    keys = [key for key, artifact in artifacts.items() if artifact.is_directory and artifact.sha256]
    there = [oids[key] for key in keys if key in oids]
    found = dict(zip(there, repo.read(there), strict=True))
    lists = {}
    for key in keys:
        path, data = layout.file_list(*key), found.get(oids.get(key, ""))
        if data is None or hashlib.sha256(data).hexdigest() != artifacts[key].sha256:
            raise DataError(
                f"{path} is not the file list that the record of {key[0]} {key[1]} names",
                hint=f"git log -p -- {pathspec(path)}",
                details={"file": path},
            )
        lists[key] = parse_file_list(data, path)
    return lists


def find_lists(md5s: Iterable[str], shelves: Sequence[Shelf]) -> dict[str, Mapping[str, str]]:
    """Returns DVC's lists of directories, the MD5 of each path, from the first place that has one.

    Raises:
        StorageError: A place cannot be read.
    """
    missing = set(md5s)
    found: dict[str, Mapping[str, str]] = {}
    for shelf in shelves:
        contents = shelf.read_lists(missing)
        found |= {md5: parse_directory(content, md5) for md5, content in contents.items()}
        missing -= contents.keys()
    return found


def describe(
    artifacts: Mapping[Key, Artifact],
    file_lists: Mapping[Key, tuple[ArtifactFile, ...]],
    lists: Mapping[str, Mapping[str, str]],
) -> dict[Key, VersionBytes]:
    """Returns what the bytes of versions are made of; those of which DVC knew nothing are left out.

    Args:
        artifacts: What the records say of them.
        file_lists: The files of directories, as Git has them.
        lists: DVC's lists of directories, by their names.
    """
    found = {}
    for key, artifact in artifacts.items():
        if not artifact.md5:
            continue
        if not artifact.md5.endswith(".dir"):
            objects = [StoredObject(artifact.md5, artifact.size, artifact.sha256)]
            found[key] = VersionBytes(*key, tuple(objects))
            continue
        names = lists.get(artifact.md5)
        known = {file.path: file for file in file_lists.get(key, ())}
        # A list that names other files than the record is that of other bytes: its objects are not the version's.
        is_listed = names is not None and (not known or names.keys() == known.keys())
        objects = (
            [_file(path, md5, known.get(path)) for path, md5 in sorted(names.items())] if names and is_listed else []
        )
        found[key] = VersionBytes(*key, (*objects, StoredObject(artifact.md5, None)), is_listed)
    return found


def _file(path: str, md5: str, file: ArtifactFile | None) -> StoredObject:
    return StoredObject(md5, file.size, file.sha256, path) if file else StoredObject(md5, None, path=path)
