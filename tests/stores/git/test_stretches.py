"""A history in stretches is the history."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mreg.stores.git.history import stretches
from mreg.stores.git.history.stretches import read_stretches
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git
from tests.stores.git.test_log_cache import grow


@pytest.mark.parametrize("size", [1, 4, 7, 1000])
@pytest.mark.parametrize("is_whole", [True, False])
def test_stretches_are_what_the_log_is(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch, size: int, is_whole: bool
) -> None:
    monkeypatch.setattr(stretches, "STRETCH", size)
    grow(repo, git, random.Random(size), 24)
    place, paths = GitRepository(repo), ["registry"]
    found = list(read_stretches(place, "main", paths, is_whole=is_whole))
    assert [commit for each in found for commit in each] == place.log("main", paths, is_whole=is_whole)
    assert all(0 < len(each) <= size for each in found)
    assert len(found) == -(-sum(map(len, found)) // size)


def test_stretches_of_nothing_are_none(repo: Path, git: Git) -> None:
    git("commit", "--quiet", "--allow-empty", "--message=Nothing")
    assert list(read_stretches(GitRepository(repo), "HEAD", ["registry"])) == []
