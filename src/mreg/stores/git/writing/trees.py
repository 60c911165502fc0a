"""New trees: those of a commit with some files changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from mreg.core.layout import pathspec
from mreg.errors import DataError, GitError
from mreg.stores.git.objects import BLOB_MODE, TREE_MODE, ObjectWriter, TreeEntry, parse_tree
from mreg.stores.git.repository import GitRepository

__all__ = ["build_tree"]

_FILE_MODES = {"100", "120"}


def build_tree(
    repo: GitRepository, objects: ObjectWriter, base: str | None, files: Mapping[str, bytes | TreeEntry | None]
) -> str:
    """Builds the tree of a commit with some files changed, and returns its id; one Git call.

    Args:
        repo: Where the commit is.
        objects: Takes what is new.
        base: The commit, or a tree; ``None`` for a tree of these files alone.
        files: New content by path, or an entry of what is stored already; ``None`` deletes.

    Raises:
        DataError: A folder of a path is no folder in the commit, or the file is no file.
        GitError: A tree of the commit is missing.
    """
    trees = _read_trees(repo, base, sorted({"", *(folder for path in files for folder in _folders(path))}))
    for path, content in files.items():
        folder, _, name = path.rpartition("/")
        if name in trees[folder] and trees[folder][name].mode[:3] not in _FILE_MODES:
            raise _odd_path(base, path, "is no file")
        if content is None:
            trees[folder].pop(name, None)
        elif isinstance(content, TreeEntry):
            trees[folder][name] = content
        else:
            trees[folder][name] = TreeEntry(BLOB_MODE, objects.add("blob", content))
    for folder in sorted(trees, key=len, reverse=True):
        if folder:
            parent, _, name = folder.rpartition("/")
            trees[parent].pop(name, None)
            if trees[folder]:
                trees[parent][name] = TreeEntry(TREE_MODE, objects.add_tree(trees[folder]))
    return objects.add_tree(trees[""])


def _read_trees(repo: GitRepository, base: str | None, folders: list[str]) -> dict[str, dict[str, TreeEntry]]:
    contents = repo.read([f"{base}:{folder}" for folder in folders]) if base else [None] * len(folders)
    trees: dict[str, dict[str, TreeEntry]] = {}
    for folder, content in zip(folders, contents, strict=True):
        parent, _, name = folder.rpartition("/")
        entry = trees[parent].get(name) if folder else None
        if entry and entry.mode != TREE_MODE:
            raise _odd_path(base, folder, "is no folder")
        if content is None and base and (entry or not folder):
            raise GitError(f"the tree {folder or '/'} of commit {base[:12]} is missing", hint="git fsck")
        trees[folder] = dict(parse_tree(content or b"", repo.id_bytes))
    return trees


def _folders(path: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(path).parents[:-1]]


def _odd_path(base: str | None, path: str, what: str) -> DataError:
    return DataError(
        f"{path} {what} in commit {(base or '')[:12]}, and mreg has to write there",
        hint=f"git log -3 -- {pathspec(path)}",
        details={"file": path, "commit": base},
    )
