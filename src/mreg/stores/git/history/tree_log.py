"""What ``git log`` says of all that is in a large folder, without comparing it name by name at each commit.

Git is asked at which commits the folder became another tree.  In what the two trees differ is read from how they are
stored (``tree_deltas``): nearly always it is one model, and Git compares what that was with what it became.  A commit
of which that cannot be told so is left to Git as a whole.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from mreg.core.history.timeline import Commit, FileChange
from mreg.stores.git.history.packs import Packs
from mreg.stores.git.history.tree_deltas import Pair, Replaced, find_replaced
from mreg.stores.git.history.tree_search import FAR
from mreg.stores.git.parsing import LOG_OF_TOP, PAIRS, parse_log, parse_pairs
from mreg.stores.git.runner import GitRunner

__all__ = ["is_large", "read_tree_log"]

PIECE = 16_384
"""Commits that are looked at together: with fewer Git takes longer, since it finds less of a model side by side."""
_ALL_PARENTS = ("--no-diff-merges",)
_FIRST_PARENT = ("--first-parent", "--diff-merges=first-parent")


def is_large(runner: GitRunner, tip: str, paths: Sequence[str]) -> bool:
    """Returns whether one of some folders at the top has so many names that it is worth it; one Git call."""
    if not paths or any("/" in path or "\n" in path for path in paths):
        return False
    asked = "".join(f"{tip}:{path}/\n" for path in paths).encode("utf-8", "surrogateescape")
    # The slash is for a folder: a clone may lack files.
    sizes = runner.run("cat-file", "--batch-check=%(objectsize)", "--buffer", stdin=asked).split(b"\n")
    return any(int(size) >= FAR for size in sizes if size.isdigit())


def read_tree_log(
    runner: GitRunner, objects: Path, tip: str, paths: Sequence[str], *, is_first_parent: bool, is_whole: bool
) -> Iterator[Commit]:
    """Yields what Git says of the commits up to one, newest first; a Git call, and three more a piece.

    Args:
        runner: Runs Git in the repository.
        objects: Its folder of objects.
        tip: The newest commit.
        paths: Files and folders at the top; the changes are those below them.
        is_first_parent: Only first parents are followed, and what a merge brings is its change; else all are, and a
            merge changes nothing.
        is_whole: Also the commits that changed none of them.

    Raises:
        GitError: A commit or a tree is missing, or cannot be read.
    """
    merges = _FIRST_PARENT if is_first_parent else _ALL_PARENTS
    command = (*LOG_OF_TOP, *merges, *(["--always"] if is_whole else []))
    with closing(_walk(runner, tip, *(merges[:1] if is_first_parent else ()))) as walk:
        while oids := list(islice(walk, PIECE)):
            commits = list(_ask(runner, command, oids, paths))
            with closing(Packs(objects, len(oids[0]) // 2)) as packs:
                replaced = find_replaced(packs, list(dict.fromkeys(pair for each in commits for pair in _pairs(each))))
            left = [each.oid.encode() for each in commits if any(pair not in replaced for pair in _pairs(each))]
            told = {each.oid: each for each in _ask(runner, (*command, "-r"), left, paths)}
            files = _compare(runner, replaced.values())
            for each in commits:
                if all(pair in replaced for pair in _pairs(each)):
                    commit = replace(each, changes=tuple(_expand(each.changes, replaced, files)))
                else:
                    commit = told.get(each.oid, replace(each, changes=()))
                if is_whole or commit.changes:
                    yield commit


def _ask(runner: GitRunner, command: Sequence[str], oids: Sequence[bytes], paths: Sequence[str]) -> Iterator[Commit]:
    """Yields what Git says of some commits; in no Git call where there are none."""
    asked = b"".join(b"%s\n" % oid for oid in oids)
    return parse_log(runner.run(*command, "--", *paths, stdin=asked) if oids else b"")


def _pairs(commit: Commit) -> Iterator[Pair]:
    """Yields the ids of each folder that it changed, before and after; an empty one where it was or is none."""
    return ((each.old or "", each.new or "") for each in commit.changes if each.path.endswith("/"))


def _compare(runner: GitRunner, replaced: Iterable[Iterable[Replaced]]) -> dict[Pair, list[FileChange]]:
    """Returns in which files folders differ that are in the place of others; their paths begin there."""
    names = {(each.old, each.new): each.name for some in replaced for each in some if each.is_folder}
    # Side by side, so that Git reads what they are stored as differences from once.
    asked = "".join(f"{old} {new}\n" for old, new in sorted(names, key=names.__getitem__))
    return dict(parse_pairs(runner.run(*PAIRS, stdin=asked.encode("ascii")))) if asked else {}


def _expand(
    changes: Iterable[FileChange],
    replaced: Mapping[Pair, Iterable[Replaced]],
    files: Mapping[Pair, Iterable[FileChange]],
) -> Iterator[FileChange]:
    """Yields the files that are changed, in the place of the folders that they are in."""
    for change in changes:
        if not change.path.endswith("/"):
            yield change
            continue
        for each in replaced[change.old or "", change.new or ""]:
            path = change.path + each.name
            if not each.is_folder:
                yield FileChange(path, each.old, each.new)
            for file in files.get((each.old, each.new), ()):
                yield FileChange(f"{path}/{file.path}", file.old, file.new)


def _walk(runner: GitRunner, tip: str, *options: str) -> Generator[bytes, None, None]:
    """Yields the ids of commits, as Git comes to them."""
    rest = b""
    for piece in runner.stream("rev-list", *options, tip, "--"):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
