"""Which commits changed some files and folders that stand among very many others, found without comparing all of those.

``git log -- FOLDER`` goes through the names beside a folder one by one, in two trees for each commit: the last of 2 000
models takes it six times as long as the first.  Here Git says which trees there were, and what they say of the
folders is read from how they are stored (``tree_deltas``): in the same time for any of them, and for several.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import count, islice
from pathlib import Path
from typing import TypeAlias

from mreg.core.history.timeline import Commit
from mreg.errors import GitError
from mreg.stores.git.history.covering import cover, only_below
from mreg.stores.git.history.packs import Packs
from mreg.stores.git.history.tree_deltas import find_entries
from mreg.stores.git.parsing import LOG_OF_SOME, parse_batch, parse_log
from mreg.stores.git.runner import GitRunner

__all__ = ["add_newer", "find_changed", "read_changed"]

FAR = 12 * 1024
"""Bytes of a tree that Git may go through at each commit before it is at the names that it looks for."""
PIECE = 65_536
"""Commits that are looked at together: with less Git takes longer, since it sorts each time what a pack holds."""
_AT_ONCE = 4096
_SAMPLE = 500
_WELL_PACKED = 8
"""So many times its size in a pack is a tree of a folder, on average; where it is less, most are stored as a whole."""
_NOTHING = b""
_FILTERS, _CONTENTS = b"BIDX", 128
"""A chunk of a commit-graph, and in how many bytes it is named."""
_PLAIN = re.compile(r"(?!\.{0,2}(?:/|$))[^\n/]+(?:/(?!\.{0,2}(?:/|$))[^\n/]+)*")
"""A path that means the same behind a colon."""

_Said: TypeAlias = object
"""What a commit says of the paths; what says the same is equal."""


def find_changed(
    runner: GitRunner, common_dir: Path, tip: str, paths: Sequence[str], *, is_first_parent: bool
) -> list[str] | None:
    """Returns the commits that changed some paths, and maybe others, in the order of ``git log``: newest first.

    ``None`` where that finds them as soon: it has to go through less than 12 KiB to be at the names, some 330 models;
    or it is one path, and the commit-graph has filters that say of nearly all commits that they did not change it.

    Args:
        runner: Runs Git in the repository.
        common_dir: Its folder.
        tip: The newest commit; it is taken that the folders of others are as large.
        paths: Files and folders.
        is_first_parent: Only first parents are followed, and what a merge brings is its change; else all are, and a
            merge changes nothing.

    Raises:
        GitError: A tree is missing, or cannot be read.
    """
    wanted = _by_folder(paths)
    top = [os.fsdecode(name) for name in wanted.pop("", [])]
    if (len(paths) == 1 and _has_filters(common_dir)) or not _is_far(runner, tip, paths):
        return None
    only = ["--first-parent"] if is_first_parent else ["--full-history"]
    known = set(runner.run("rev-list", *only, tip, "--", *top).split()) if top else set()
    said: dict[bytes, _Said] = {_NOTHING: tuple((None,) * len(names) for names in wanted.values())}
    waiting: list[tuple[int, bytes, bytes]] = []
    found: list[tuple[int, bytes]] = []
    numbers = count()
    walk = _walk(runner, tip, *only)
    objects = common_dir / "objects"
    while commits := list(islice(walk, PIECE)):
        trees = [tree for tree, *_ in commits]
        said.update(zip((oid for _, oid, *_ in commits), _look(runner, objects, trees, wanted), strict=True))
        for (_, oid, *parents), number in zip(commits, numbers, strict=False):
            if oid in known:
                found.append((number, oid))
            else:
                waiting.append((number, oid, parents[0] if parents else _NOTHING))
        found += [(number, oid) for number, oid, parent in waiting if parent in said and said[oid] != said[parent]]
        waiting = [each for each in waiting if each[2] not in said]
    return [oid.decode() for _, oid in sorted(found)]


def add_newer(runner: GitRunner, changed: Sequence[str], old: str, tip: str) -> list[str] | None:
    """Returns what ``find_changed`` does of a newer commit, from what it found of first parents up to an old one.

    ``None`` where there are merges, whose other parents were not followed, or the one does not lead to the other.
    """
    if runner.text("rev-list", "--min-parents=2", "--max-count=1", tip):
        return None
    lines = runner.text("rev-list", "--parents", f"{old}..{tip}").splitlines()
    newer = [line.split(" ") for line in lines]
    leads = newer[-1][1:] == [old] if newer else old == tip
    return [*(oid for oid, *_ in newer), *changed] if leads else None


def read_changed(runner: GitRunner, oids: Sequence[str], paths: Sequence[str]) -> Iterator[Commit]:
    """Yields those of some commits that changed some paths, with no other change."""
    for at in range(0, len(oids), _AT_ONCE):
        asked = "".join(f"{oid}\n" for oid in oids[at : at + _AT_ONCE])
        commits = parse_log(runner.run(*LOG_OF_SOME, *cover(paths), stdin=asked.encode("ascii")))
        yield from (commit for commit in only_below(commits, paths) if commit.changes)


def _has_filters(common_dir: Path) -> bool:
    """Returns whether ``git commit-graph write --changed-paths`` was run."""
    info = common_dir / "objects" / "info"
    for path in (info / "commit-graph", *(info / "commit-graphs").glob("*.graph")):
        with suppress(OSError), path.open("rb") as file:
            if _FILTERS in file.read(_CONTENTS):
                return True
    return False


def _is_far(runner: GitRunner, tip: str, paths: Iterable[str]) -> bool:
    """Returns whether Git has to go through many names to be at those of some paths; one Git call."""
    steps = _by_folder(path[:end] for path in paths for end in _ends(path))
    steps.pop("", None)
    if not all(_PLAIN.fullmatch(folder) for folder in steps):
        return False
    way = 0
    asked = b"".join(os.fsencode(f"{tip}:{folder}\n") for folder in steps)
    out = runner.run("cat-file", "--batch", "--buffer", stdin=asked) if steps else b""
    for found, names in zip(parse_batch(out, len(steps)), steps.values(), strict=True):
        content = found[2] if found else b""
        places = [content.find(b" %s\0" % name) for name in names]
        way += sum(len(content) if place < 0 else place for place in places)
    return way >= FAR


def _ends(path: str) -> Iterator[int]:
    """Yields where each name of a path ends."""
    yield from (at for at, char in enumerate(path) if char == "/")
    yield len(path)


def _by_folder(paths: Iterable[str]) -> dict[str, list[bytes]]:
    """Returns the names of files and folders by the path of the folder that they are in."""
    names: dict[str, list[bytes]] = {}
    for path in dict.fromkeys(paths):
        folder, name = posixpath.split(path)
        names.setdefault(folder, []).append(os.fsencode(name))
    return names


def _walk(runner: GitRunner, tip: str, *options: str) -> Iterator[list[bytes]]:
    """Yields tree, id and parents of each commit, as Git comes to them."""
    rest = b""
    for piece in runner.stream("log", *options, "--no-decorate", "--format=%T %H %P", tip, "--"):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.split()


def _look(
    runner: GitRunner, objects: Path, trees: Sequence[bytes], wanted: Mapping[str, Sequence[bytes]]
) -> Iterator[_Said]:
    """Yields what each of some trees says of the folders."""
    columns = []
    for folder, names in wanted.items():
        ids: list[bytes | None] = [*trees]
        for name in folder.split("/"):
            ids = _go_down(runner, ids, os.fsencode(name))
        there = list(dict.fromkeys(each for each in ids if each is not None))
        said: Mapping[bytes, _Said] = {each: each for each in there}  # any change in there counts, and Git looks at it
        if _are_differences(runner, there):
            with suppress(GitError), closing(Packs(objects, len(there[0]) // 2)) as packs:  # as Git will say too
                said = find_entries(runner, packs, there, names)
        nothing = (None,) * len(names)
        columns.append([nothing if each is None else said[each] for each in ids])
    return zip(*columns, strict=True)


def _go_down(runner: GitRunner, trees: Iterable[bytes | None], name: bytes) -> list[bytes | None]:
    """Returns the folder of a name in each of some trees; ``None`` where there is none."""
    trees = list(trees)
    asked = list(dict.fromkeys(each for each in trees if each is not None))
    below: dict[bytes | None, bytes | None] = {None: None}
    # The slash is for a folder: a file or a submodule of that name is none.
    lines = _check(runner, "objectname", (b"%s:%s/" % (tree, name) for tree in asked))
    for tree, line in zip(asked, lines, strict=True):
        below[tree] = None if line.endswith(b" missing") else line
    without = [tree for tree in asked if below[tree] is None]
    for tree, line in zip(without, _check(runner, "objecttype", without), strict=True):
        if line != b"tree":
            raise GitError(f"the tree {tree.decode()} is missing", hint="git fsck", details={"object": tree.decode()})
    return [below[each] for each in trees]


def _are_differences(runner: GitRunner, trees: Sequence[bytes]) -> bool:
    """Returns whether Git stores most of some trees as differences from others."""
    sample = trees[:: len(trees) // _SAMPLE + 1]
    sizes = [line.split() for line in _check(runner, "objectsize:disk) %(objectsize", sample)]
    if not all(stored.isdigit() for stored, _ in sizes):
        return False
    return _WELL_PACKED * sum(int(stored) for stored, _ in sizes) < sum(int(size) for _, size in sizes)


def _check(runner: GitRunner, atom: str, names: Iterable[bytes]) -> list[bytes]:
    """Returns what ``git cat-file --batch-check`` prints, in one Git call; in none where there are no names."""
    asked = b"".join(b"%s\n" % name for name in names)
    if not asked:
        return []
    return runner.run("cat-file", f"--batch-check=%({atom})", "--buffer", stdin=asked).split(b"\n")[:-1]
