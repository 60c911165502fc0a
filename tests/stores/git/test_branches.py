from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mreg.errors import ConflictError, GitError
from mreg.stores.git.branches import changed_since, index_tree, merge_base, now, parse_commit
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git


def commit(git: Git, path: str, text: str, subject: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    git("add", path)
    git("commit", "--quiet", f"--message={subject}")
    return git("rev-parse", "HEAD")


def test_merge_base_is_where_two_commits_parted(repo: Path, git: Git) -> None:
    shared = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "one")
    one = commit(git, "a", "1", "one")
    git("checkout", "--quiet", "main")
    two = commit(git, "b", "2", "two")
    git("checkout", "--quiet", "--orphan", "alone")
    alone = commit(git, "c", "3", "alone")
    repository = GitRepository(repo)
    assert merge_base(repository, one, two) == shared
    assert merge_base(repository, one, alone) is None
    with pytest.raises(GitError):
        merge_base(repository, one, "f" * 40)


def test_changed_since_follows_both_sides_of_merges_newest_first(repo: Path, git: Git) -> None:
    base = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "side")
    commit(git, "registry/a", "1", "side")
    git("checkout", "--quiet", "main")
    commit(git, "registry/b", "2", "main")
    commit(git, "elsewhere", "3", "elsewhere")
    git("merge", "--quiet", "--no-edit", "side")
    found = changed_since(GitRepository(repo), base, "HEAD", ["registry"])
    assert {each.subject: [change.path for change in each.changes] for each in found} == {
        "side": ["registry/a"],
        "main": ["registry/b"],
    }
    assert changed_since(GitRepository(repo), "HEAD", "HEAD", ["registry"]) == []


def test_changed_since_has_what_was_made_and_undone(repo: Path, git: Git) -> None:
    base = git("rev-parse", "HEAD")
    commit(git, "registry/a", "1", "there")
    git("revert", "--no-edit", "HEAD")
    assert len(changed_since(GitRepository(repo), base, "HEAD", ["registry"])) == 2


def test_index_tree_is_that_of_a_commit(repo: Path, git: Git) -> None:
    Path("new").write_text("x", encoding="utf-8")
    git("add", "new")
    tree = index_tree(GitRepository(repo))
    git("commit", "--quiet", "--message=New")
    assert git("rev-parse", "HEAD^{tree}") == tree


def test_index_tree_in_a_linked_worktree_is_its_own(repo: Path, git: Git, tmp_path: Path) -> None:
    git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    (tmp_path / "linked" / "new").write_text("x", encoding="utf-8")
    git("add", "new", cwd=tmp_path / "linked")
    assert index_tree(GitRepository(repo)) == git("rev-parse", "HEAD^{tree}")
    assert index_tree(GitRepository(tmp_path / "linked")) != git("rev-parse", "HEAD^{tree}")


def test_index_tree_of_the_index_that_a_hook_is_given(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("new").write_text("x", encoding="utf-8")
    git("add", "new", env={"GIT_INDEX_FILE": ".git/next-index-1.lock"})
    own = index_tree(GitRepository(repo))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/next-index-1.lock")
    assert index_tree(GitRepository(repo)) != own
    (repo / ".git" / "next-index-1.lock").rename(tmp_path / "index")
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert index_tree(GitRepository(repo)) == own


def test_index_tree_with_conflicts_names_the_files(repo: Path, git: Git) -> None:
    for branch, text in (("one", "1"), ("two", "2")):
        git("checkout", "--quiet", "-b", branch, "main")
        commit(git, "a file", text, branch)
    assert subprocess.run(["git", "merge", "one"], capture_output=True, check=False).returncode == 1
    with pytest.raises(ConflictError) as caught:
        index_tree(GitRepository(repo))
    assert caught.value.details["files"] == ["a file"]


def test_index_tree_of_an_index_that_cannot_be_read(repo: Path) -> None:
    (repo / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(GitError):
        index_tree(GitRepository(repo))


def test_now_is_the_time_of_a_commit_and_needs_no_identity(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1770000000 +0130")
    moment = now(GitRepository(repo))
    assert moment.isoformat() == "2026-02-02T04:10:00+01:30"


def test_parse_commit_gives_author_and_subject(repo: Path, git: Git) -> None:
    oid = commit(git, "a", "1", "A subject\n\nauthor Eve <eve@example.com> 1 +0000")
    (content,) = GitRepository(repo).read([oid])
    author, subject = parse_commit(content or b"")
    assert (author.name, author.email, subject) == ("Ada Author", "ada@example.com", "A subject")
    assert parse_commit(b"")[1] == ""
