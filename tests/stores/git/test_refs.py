"""What a remote has, and what makes Git show another history."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mreg.errors import GitError, NotFoundError, OutsideError
from mreg.stores.git.disguises import find_grafts, find_replacements
from mreg.stores.git.remotes.refs import RemoteRefs, describe_tags, list_remote
from mreg.stores.git.repository import GitRepository, TagRef
from tests.conftest import Git


@pytest.fixture
def origin(repo: Path, git: Git, tmp_path: Path) -> Path:
    git("tag", "--annotate", "--message=x", "a@v1.0.0")
    git("tag", "light")
    git("clone", "--quiet", "--bare", str(repo), str(tmp_path / "origin.git"))
    git("remote", "add", "origin", str(tmp_path / "origin.git"))
    return tmp_path / "origin.git"


def test_list_remote_tells_branch_and_tags(repo: Path, origin: Path, git: Git) -> None:
    head, tag = git("rev-parse", "HEAD"), git("rev-parse", "refs/tags/a@v1.0.0")
    found = list_remote(GitRepository(repo), "origin", "main")
    assert found == RemoteRefs(head, {"a@v1.0.0": tag, "light": head}, {"a@v1.0.0": head})
    assert list_remote(GitRepository(repo), "origin", "trunk").branch is None


def test_describe_tags_of_objects_that_are_here_and_that_are_not(repo: Path, origin: Path, git: Git) -> None:
    git("tag", "--annotate", "--message=y", "b@v1.0.0", "main", cwd=origin)
    head, tag, there = (
        git("rev-parse", "HEAD"),
        git("rev-parse", "refs/tags/a@v1.0.0"),
        git("rev-parse", "refs/tags/b@v1.0.0", cwd=origin),
    )
    stray = git("commit-tree", "main^{tree}", "-m", "Stray", cwd=origin)
    git("update-ref", "refs/tags/stray", stray, cwd=origin)
    found = describe_tags(GitRepository(repo), list_remote(GitRepository(repo), "origin", "main"))
    assert found == [
        TagRef("a@v1.0.0", tag, "tag", head),
        TagRef("b@v1.0.0", there, "tag", head),
        TagRef("light", head, "commit", ""),
        TagRef("stray", stray, "commit", ""),
    ]


def test_list_remote_that_is_not_there_is_an_error_with_a_way_on(repo: Path, git: Git, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no remote 'origin'"):
        list_remote(GitRepository(repo), "origin", "main")
    git("remote", "add", "origin", str(tmp_path / "gone"))
    with pytest.raises(GitError, match="origin could not be used") as caught:
        list_remote(GitRepository(repo), "origin", "main")
    assert "git ls-remote origin" in caught.value.hint


def test_list_remote_that_says_nothing_is_left(repo: Path, git: Git, silent: int) -> None:
    git("config", "mreg.timeout", "0.5")
    git("remote", "add", "origin", f"git://127.0.0.1:{silent}/x.git")
    start = time.monotonic()
    with pytest.raises(OutsideError, match="did not answer"):
        list_remote(GitRepository(repo), "origin", "main")
    assert time.monotonic() - start < 20


def test_find_replacements_and_grafts(repo: Path, git: Git) -> None:
    found = GitRepository(repo)
    assert (find_replacements(found), find_grafts(found)) == ([], [])
    git("commit", "--quiet", "--allow-empty", "--message=Second")
    first, second = git("rev-parse", "HEAD~"), git("rev-parse", "HEAD")
    git("replace", second, first)
    (repo / ".git" / "info").mkdir(exist_ok=True)
    (repo / ".git" / "info" / "grafts").write_text(f"# a comment\n\n{second}\n")
    assert find_replacements(found) == [(f"refs/replace/{second}", second)]
    assert find_grafts(found) == [second]
    assert [each.oid for each in found.log("main", ["nowhere"], is_whole=True)] == [first, second]
