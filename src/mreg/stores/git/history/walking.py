"""Files of many commits at once: each tree is read once, however many commits share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mreg.errors import IncompleteHistoryError
from mreg.stores.git.objects import TREE_MODE, parse_tree
from mreg.stores.git.repository import GitRepository

__all__ = ["find_files"]

_FILE = "100"


def find_files(
    repo: GitRepository, commits: Iterable[str], is_wanted: Callable[[str], bool], is_entered: Callable[[str], bool]
) -> dict[tuple[str, str], str]:
    """Returns files of some commits, as path and object id, each with a commit that has it; a Git call a level.

    Args:
        repo: The repository.
        commits: Full ids.
        is_wanted: Whether the file at a path counts.
        is_entered: Whether the folder at a path is looked into.

    Raises:
        IncompleteHistoryError: A tree is not in this clone.
    """
    commits = list(dict.fromkeys(commits))
    roots = repo.resolve([f"{commit}^{{tree}}" for commit in commits])
    seen: set[tuple[str, str]] = set()
    found: dict[tuple[str, str], str] = {}
    level = {("", oid or commit): commit for commit, oid in zip(commits, roots, strict=True)}
    while level:
        seen.update(level)
        contents = repo.read_objects([oid for _, oid in level])
        below: dict[tuple[str, str], str] = {}
        for ((folder, oid), commit), content in zip(level.items(), contents, strict=True):
            if content is None or content[1] != "tree":
                raise _missing(folder, oid, commit)
            for name, entry in parse_tree(content[2], repo.id_bytes):
                path = f"{folder}/{name}" if folder else name
                if entry.mode == TREE_MODE and (path, entry.oid) not in seen and is_entered(path):
                    below.setdefault((path, entry.oid), commit)
                elif entry.mode.startswith(_FILE) and is_wanted(path):
                    found.setdefault((path, entry.oid), commit)
        level = below
    return found


def _missing(folder: str, oid: str, commit: str) -> IncompleteHistoryError:
    return IncompleteHistoryError(
        f"the tree {folder or '/'} of commit {commit[:12]} is not in this clone",
        hint="git fetch --unshallow --tags   # or work in a whole clone",
        details={"commit": commit, "object": oid},
    )
