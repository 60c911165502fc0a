"""A long history, oldest first, without ever holding all of it: Git tells it newest first."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

from mreg.core.history.timeline import Commit
from mreg.stores.git.history.log_file import Stretch, decode_stretch, encode_stretch
from mreg.stores.git.repository import GitRepository

__all__ = ["read_stretches"]

STRETCH = 2048
"""Commits that are there at once."""


def read_stretches(
    repo: GitRepository, tip: str, paths: Sequence[str], *, since: str | None = None, is_whole: bool = False
) -> Iterator[list[Commit]]:
    """Asks Git what ``repo.log`` returns, and gives some thousand commits at a time; the others are packed until then.

    Args:
        repo: The repository.
        tip: The newest commit.
        paths: Files and folders; the changes are those below them.
        since: Only what came after this commit.
        is_whole: Also the commits that changed none of them.
    """
    log = repo.iter_log(tip, paths, since=since, is_whole=is_whole)
    packed = []
    while len(commits := list(islice(log, STRETCH))) == STRETCH:
        packed.append(zlib.compress(encode_stretch(Stretch(commits[::-1], {})), 1))
    return _unpack(packed, commits[::-1])


def _unpack(packed: list[bytes], oldest: list[Commit]) -> Iterator[list[Commit]]:
    if oldest:
        yield oldest
    del oldest
    while packed:
        yield decode_stretch(zlib.decompress(packed.pop())).commits
