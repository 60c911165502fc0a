"""A long history, oldest first, without ever holding all of it: Git tells it newest first."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

from mreg.core.history import Commit
from mreg.stores.git.log_file import Stretch, decode_stretch, encode_stretch
from mreg.stores.git.repository import GitRepository

__all__ = ["read_stretches"]

STRETCH = 4096
"""Commits that are there at once."""


def read_stretches(
    repo: GitRepository, tip: str, paths: Sequence[str], *, is_whole: bool = False
) -> Iterator[list[Commit]]:
    """Yields what ``repo.log`` returns, some thousand commits at a time; the others are packed until then.

    Args:
        repo: The repository.
        tip: The newest commit.
        paths: Files and folders; the changes are those below them.
        is_whole: Also the commits that changed none of them.
    """
    log = repo.iter_log(tip, paths, is_whole=is_whole)
    packed = []
    while len(commits := list(islice(log, STRETCH))) == STRETCH:
        packed.append(zlib.compress(encode_stretch(Stretch(commits[::-1], {})), 1))
    if commits:
        yield commits[::-1]
    del commits
    while packed:
        yield decode_stretch(zlib.decompress(packed.pop())).commits
