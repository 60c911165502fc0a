"""What is kept of ``git log`` equals what Git says, whichever commit it was kept for."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from mreg.stores.git import log_cache
from mreg.stores.git.log_cache import read_log
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git

FOLDERS = ["registry/churn/versions", "registry/churn/stages"]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what Git answered, however fast it was."""
    monkeypatch.setattr(log_cache, "SLOW_S", 0.0)


def entries(repo: Path) -> list[Path]:
    return sorted((repo / ".git" / "mreg" / "history").glob("*"))


def grow(repo: Path, git: Git, chance: random.Random, commits: int) -> list[str]:
    """Makes a history with merges, and gives its commits: not all of them are first parents of the others."""
    tips = ["main"]
    for number in range(commits):
        kind = chance.random()
        branch = chance.choice(tips)
        git("checkout", "--quiet", branch)
        if kind < 0.2:
            tips.append(f"b{number}")
            git("checkout", "--quiet", "-b", tips[-1])
        elif kind < 0.45 and len(tips) > 1:
            other = chance.choice([tip for tip in tips if tip != branch])
            git("merge", "--quiet", "--no-ff", "--strategy-option=ours", f"--message=Merge {number}", other)
        place = repo / chance.choice([*FOLDERS, "registry/other/versions"]) / f"{chance.randrange(4)}.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{number}\n")
        git("add", "registry")
        git("commit", "--quiet", f"--message=Change {number}\n\nMreg-Action: x{number}")
    return git("rev-list", "--all").splitlines()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", [1, 2])
def test_kept_log_equals_what_git_says_for_any_two_commits(seed: int, repo: Path, git: Git) -> None:
    chance = random.Random(seed)
    commits = grow(repo, git, chance, 24)
    place = GitRepository(repo)
    expected = {commit: place.log(commit, FOLDERS) for commit in commits}
    for _ in range(60):
        commit = chance.choice(commits)
        assert read_log(place, commit, FOLDERS, keep=chance.random() < 0.5) == expected[commit]
    assert len(entries(repo)) == 1


@pytest.mark.usefixtures("eager")
def test_kept_log_holds_any_text_that_git_holds(repo: Path, git: Git) -> None:
    odd = os.fsencode(repo) + b"/registry/churn/versions/\xff\xe9.yaml"
    Path(os.fsdecode(odd)).parent.mkdir(parents=True)
    Path(os.fsdecode(odd)).write_text("x")
    git("add", "registry")
    git(
        "commit",
        "--quiet",
        "--message=é\u2028\x01",
        "--author=Ünï <a@b.c>",
        env={"GIT_COMMITTER_DATE": "@99999999999 +0000"},
    )
    place = GitRepository(repo)
    tip = git("rev-parse", "HEAD")
    first = read_log(place, tip, FOLDERS, keep=True)
    assert read_log(place, tip, FOLDERS, keep=True) == first == place.log(tip, FOLDERS)
    assert first[0].changes[0].path.endswith("\udcff\udce9.yaml")


@pytest.mark.usefixtures("eager")
def test_kept_log_that_was_damaged_counts_for_nothing(repo: Path, git: Git) -> None:
    tip = grow(repo, git, random.Random(3), 6)[0]
    place = GitRepository(repo)
    expected = read_log(place, tip, FOLDERS, keep=True)
    [entry] = entries(repo)
    whole = entry.read_bytes()
    head, _, body = whole.partition(b"\n")
    forged = b"[[1]]"
    checksum = log_cache._checksum(tip.encode(), forged).encode()
    for damaged in (
        b"",
        whole[:-1],
        whole.replace(b"Change", b"Chance", 1),
        head + b"\n",
        head.replace(tip.encode(), b"--output=/tmp/x") + b"\n" + body,
        b"mreg-log-2 %s %s\n%s" % (tip.encode(), checksum, forged),
        b"mreg-log-1" + whole[10:],
    ):
        entry.write_bytes(damaged)
        assert read_log(place, tip, FOLDERS, keep=False) == expected
    entry.unlink()
    entry.mkdir()
    assert read_log(place, tip, FOLDERS, keep=True) == expected
    assert entries(repo) == [entry]


@pytest.mark.usefixtures("eager")
def test_kept_log_of_a_commit_that_is_gone_counts_for_nothing(repo: Path, git: Git) -> None:
    base = git("rev-parse", "HEAD")
    grow(repo, git, random.Random(4), 4)
    place = GitRepository(repo)
    read_log(place, git("rev-parse", "HEAD"), FOLDERS, keep=True)
    [entry] = entries(repo)
    tip = git("rev-parse", "HEAD")
    body = entry.read_bytes().partition(b"\n")[2]
    gone = b"0" * len(tip)
    entry.write_bytes(b"mreg-log-2 %s %s\n%s" % (gone, log_cache._checksum(gone, body).encode(), body))
    assert read_log(place, base, FOLDERS, keep=False) == []


def test_short_history_is_not_kept(repo: Path, git: Git) -> None:
    tip = grow(repo, git, random.Random(5), 4)[0]
    read_log(GitRepository(repo), tip, FOLDERS, keep=True)
    assert entries(repo) == []
