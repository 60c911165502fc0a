"""The files of a commit, folder by folder: a large registry has a hundred thousand, and few folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from mreg.stores.git.repository import GitRepository

__all__ = ["SUBMODULE", "list_folders"]

SUBMODULE = "160000"
"""The mode of a commit of another repository, in the place of a file."""
_FILE = re.compile(r"([0-9]+) [a-z]+ ([0-9a-f]+)\t(?:([^\0]*)/)?([^\0]*)\0")


def list_folders(
    repo: GitRepository, commit: str, folders: Sequence[str]
) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Yields the folders that have files, below some of a commit, sorted by path, in one Git call.

    Each comes with files of it, as mode, object id, folder and name; one of many files may come in parts.
    """
    rest = b""
    for piece in repo.runner.stream(
        "ls-tree", "-r", "-z", "--full-tree", commit, "--", *(f"{each}/" for each in folders)
    ):
        lines, end, rest = (rest + piece).rpartition(b"\0")
        found = _FILE.findall((lines + end).decode("utf-8", "surrogateescape"))
        for folder, files in groupby(found, itemgetter(2)):
            yield folder, list(files)
