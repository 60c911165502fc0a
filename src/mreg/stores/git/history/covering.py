"""Which paths Git is asked about, where the question is about several folders.

At each commit Git compares every path that it was asked for, and the Bloom filters of its commit-graph know of one path
at a time: what holds all of them is looked at in a fraction of the time, and what was not asked for is left out here.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from mreg.core.history.timeline import Commit

__all__ = ["cover", "gather", "only_below"]

MANY = 2
"""Folders that Git finds in the time that it takes to read all that is beside them: it compares each name with each."""


def cover(paths: Sequence[str]) -> list[str]:
    """Returns what Git is to look at: the paths, or the folder that they are in."""
    folders = {posixpath.dirname(path) for path in paths}
    if len(paths) > 1 and (len(folders) == 1 or len(folders) > MANY):
        folder = posixpath.commonpath(folders)
        if folder:  # not the whole repository, most of which is no registry
            return [folder]
    return list(paths)


def gather(paths: Sequence[str]) -> list[str]:
    """Returns paths, and in the place of several in one folder that folder, unless it is one at the top."""
    folders = [posixpath.dirname(path) for path in paths]
    inside = Counter(folders)
    pairs = zip(paths, folders, strict=True)
    return list(dict.fromkeys(folder if inside[folder] > 1 and "/" in folder else path for path, folder in pairs))


def only_below(commits: Iterable[Commit], paths: Sequence[str]) -> Iterator[Commit]:
    """Yields the commits that changed some files and folders, with no other change."""
    exact, prefixes = set(paths), tuple(f"{path}/" for path in paths)
    for commit in commits:
        changes = tuple(each for each in commit.changes if each.path.startswith(prefixes) or each.path in exact)
        if len(changes) == len(commit.changes):
            yield commit
        elif changes:
            yield replace(commit, changes=changes)
