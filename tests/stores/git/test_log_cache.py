"""What is kept of ``git log`` equals what Git says, whichever commit it was kept for."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mreg.core.history.manifest import Adopted, StageEntry
from mreg.core.history.timeline import Commit
from mreg.core.names import Version
from mreg.stores.git.history import log_cache, log_file, stretches
from mreg.stores.git.history.log_cache import read_log
from mreg.stores.git.history.log_file import LogWriter, Stretch, decode_stretch, encode_stretch, open_log
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git

FOLDERS = ["registry/churn/versions", "registry/churn/stages"]
WIDER = ["registry"]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what Git answered, however fast it was."""
    monkeypatch.setattr(log_cache, "SLOW_S", 0.0)


def read(place: GitRepository, tip: str, folders: Sequence[str] = FOLDERS, *, keep: bool = True) -> list[Commit]:
    """Gives the commits of a log, once what it says of stage files was found to be what they say."""
    found = []
    for stretch in read_log(
        place, tip, folders, keep=keep, read_entries=say, within=WIDER if folders == FOLDERS else ()
    ):
        brought = {change.new for commit in stretch.commits for change in commit.changes if change.new}
        assert {oid: StageEntry(None, reason=oid) for oid in brought} == stretch.entries
        found += stretch.commits
    return found


def say(commits: Sequence[Commit]) -> dict[str, StageEntry]:
    oids = {change.new for commit in commits for change in commit.changes if change.new}
    return {oid: StageEntry(None, reason=oid) for oid in oids}


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
@pytest.mark.parametrize("stretch", [2, 4096])
def test_kept_log_equals_what_git_says_for_any_two_commits(
    stretch: int, repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH", stretch)
    chance = random.Random(stretch)
    commits = grow(repo, git, chance, 24)
    place = GitRepository(repo)
    expected = {(commit, wide): place.log(commit, WIDER if wide else FOLDERS) for commit in commits for wide in (0, 1)}
    for _ in range(80):
        commit, wide, dice = chance.choice(commits), chance.randrange(2), chance.random()
        found = entries(repo)
        if found and dice < 0.1:  # someone cut one short, or deleted it
            torn = chance.choice(found)
            torn.write_bytes(torn.read_bytes()[: chance.randrange(400)])
        elif found and dice < 0.2:
            chance.choice(found).unlink()
        assert read(place, commit, WIDER if wide else FOLDERS, keep=dice < 0.7) == expected[commit, wide]
    assert len(entries(repo)) <= 2


@pytest.mark.usefixtures("eager")
def test_kept_log_of_wider_folders_serves_those_below(repo: Path, git: Git) -> None:
    [*_, early], chance = grow(repo, git, random.Random(8), 12), random.Random(9)
    place = GitRepository(repo)
    read(place, git("rev-parse", "HEAD"), WIDER)
    [wide] = entries(repo)
    grow(repo, git, chance, 3)
    tip = git("rev-parse", "HEAD")
    assert read(place, tip) == place.log(tip, FOLDERS)
    [own] = set(entries(repo)) - {wide}
    said = open_log(own)
    assert said
    assert said.tip == tip
    said.close()
    assert early


@pytest.mark.usefixtures("eager")
def test_kept_log_of_two_that_write_at_once_is_that_of_the_last(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH", 2)
    grow(repo, git, random.Random(6), 12)
    place, tip = GitRepository(repo), git("rev-parse", "HEAD")
    expected = place.log(tip, FOLDERS)
    both = [read_log(place, tip, FOLDERS, keep=True, read_entries=say) for _ in range(2)]
    pairs = list(zip(*both, strict=True))
    assert all(left == right for left, right in pairs)
    assert [commit for left, _ in pairs for commit in left.commits] == expected
    assert len(entries(repo)) == 1
    assert read(place, tip) == expected


@pytest.mark.usefixtures("eager")
def test_kept_log_that_is_not_read_to_its_end_leaves_nothing(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH", 1)
    grow(repo, git, random.Random(7), 6)
    told = read_log(GitRepository(repo), git("rev-parse", "HEAD"), WIDER, keep=True, read_entries=say)
    next(told)
    assert [each.name[0] for each in entries(repo)] == ["."]
    del told
    assert entries(repo) == []


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
    first = read(place, tip)
    assert read(place, tip) == first == place.log(tip, FOLDERS)
    assert first[0].changes[0].path.endswith("\udcff\udce9.yaml")


@pytest.mark.usefixtures("eager")
def test_kept_log_that_was_damaged_counts_for_nothing(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH", 2)
    grow(repo, git, random.Random(3), 12)
    place, tip = GitRepository(repo), git("rev-parse", "HEAD")
    expected = read(place, tip)
    [entry] = entries(repo)
    whole = entry.read_bytes()
    head, _, body = whole.partition(b"\n")
    for damaged in (
        b"",
        whole[:-1],
        whole.replace(b"Change", b"Chance", 1),
        head + b"\n",
        head.replace(tip.encode(), b"--output=/tmp/x") + b"\n" + body,
        b"mreg-log-2" + whole[10:],
        forge(entry, tip, body[: len(body) // 2]),
        forge(entry, tip, body[:50]),
        forge(entry, tip, b"\0\0\0\5[[1]]"),
    ):
        entry.write_bytes(damaged)
        found = [
            commit for each in read_log(place, tip, FOLDERS, keep=False, read_entries=say) for commit in each.commits
        ]
        assert found == expected
    entry.unlink()
    entry.mkdir()
    assert read(place, tip) == expected
    assert entries(repo) == [entry]


def forge(entry: Path, tip: str, body: bytes) -> bytes:
    """Gives a file whose checksum is right."""
    count = b"%012d" % 7
    checksum = log_file._checksum(tip.encode(), count, [body])
    return b"mreg-log-3 %s %s %s\n%s" % (tip.encode(), count, checksum.encode(), body)


@pytest.mark.usefixtures("eager")
def test_kept_log_of_a_commit_that_is_gone_counts_for_nothing(repo: Path, git: Git) -> None:
    base = git("rev-parse", "HEAD")
    grow(repo, git, random.Random(4), 4)
    place = GitRepository(repo)
    read(place, git("rev-parse", "HEAD"))
    [entry] = entries(repo)
    entry.write_bytes(forge(entry, "0" * len(base), entry.read_bytes().partition(b"\n")[2]))
    assert read(place, base, keep=False) == []


def test_short_history_is_not_kept(repo: Path, git: Git) -> None:
    tip = grow(repo, git, random.Random(5), 4)[0]
    read(GitRepository(repo), tip)
    assert entries(repo) == []


@pytest.mark.usefixtures("eager")
def test_new_entry_takes_the_place_of_other_forms_and_of_the_oldest_of_very_many(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MOST_FILES", 4)
    folder = repo / ".git" / "mreg" / "history"
    folder.mkdir(parents=True)
    for name in (".torn", ".busy", "old.json", *(f"{age}.log3" for age in range(4))):
        (folder / name).touch()
        if name != ".busy":
            os.utime(folder / name, ns=(0, ord(name[0])))
    grow(repo, git, random.Random(5), 4)
    read(GitRepository(repo), git("rev-parse", "HEAD"))
    assert {".busy", "2.log3", "3.log3"} < {each.name for each in entries(repo)}
    assert len(entries(repo)) == 4


def test_kept_log_that_cannot_be_written_is_none(repo: Path, git: Git) -> None:
    (repo / ".git" / "mreg").write_text("in the way")
    writer = LogWriter(repo / ".git" / "mreg" / "history" / "x.log3", git("rev-parse", "HEAD"))
    writer.add(Stretch([], {}))
    writer.finish()
    writer.close()
    assert open_log(repo / ".git" / "mreg" / "history" / "x.log3") is None


def test_stretch_of_any_stage_file_reads_back_as_it_was() -> None:
    moment = datetime(2026, 11, 20, 9, 12, 0, 250, tzinfo=timezone.utc)
    version = Version(1, 2, 3, ("rc", "1"))
    entry = StageEntry(
        version,
        replaces=version,
        has_replaces=True,
        reason="ä\n\x00",
        by="a@b.c",
        at=moment,
        approved_by=("d", "e"),
        hold=True,
        signature="sig",
        adopted=Adopted("churn#x#1", moment, "0" * 40),
        still_assigned=(version,),
    )
    stretch = Stretch([], {"1": entry, "2": StageEntry(None)})
    assert decode_stretch(encode_stretch(stretch)) == stretch
