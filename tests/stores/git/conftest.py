"""What the tests of the Git store share: a way to land a change, and all of a repository that must not change."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg.stores.git.objects import Identity
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import NewTag, Publisher, RefUpdate
from tests.conftest import Git
from tests.hosts import silent_server
from tests.stores.git.wild import grow

ADA = Identity("Ada Author", "ada@example.com", 1_767_300_000, "+0130")

STAGE = "registry/churn/stages/production.yaml"
RECORD = "registry/churn/versions/v2.0.0.yaml"
GONE = "registry/churn/approvals/old.yaml"
CHANGE: Mapping[str, bytes | None] = {STAGE: b"version: v2.0.0\n", RECORD: b"schema: 1\nmodel: churn\n", GONE: None}
"""Changes a file, adds one in a new folder, and deletes the last one of its folder."""


@dataclass(frozen=True)
class Landed:
    """The ids of what one change made."""

    commit: str
    tags: tuple[str, ...] = ()


Land = Callable[..., Landed]


def land(
    place: Path,
    files: Mapping[str, bytes | None] = CHANGE,
    *,
    branch: str = "main",
    tags: Sequence[str] = (),
    parent: str | None = None,
    publisher: Publisher | None = None,
) -> Landed:
    """Commits files on a branch, with tags on the commit."""
    repo = GitRepository(place)
    publisher = publisher or Publisher(repo)
    with publisher.locked():
        tip = repo.branch_tip(branch)
        commit = publisher.commit(parent=tip or parent, files=files, author=ADA, committer=ADA, message="Change it\n")
        made = [publisher.tag(NewTag(name, commit, ADA, f"Tag {name}\n")) for name in tags]
        updates = [RefUpdate(f"refs/heads/{branch}", commit, tip)]
        updates += [RefUpdate(f"refs/tags/{name}", oid, None) for name, oid in zip(tags, made, strict=True)]
        publisher.publish(updates, paths=tuple(files), reason="mreg: change it")
    return Landed(commit, tuple(made))


@dataclass(frozen=True)
class Snapshot:
    """All of a repository that its user can see."""

    refs: str
    index: str
    files: Mapping[str, bytes | str]
    status: str
    leftovers: tuple[str, ...]


def snapshot(folder: Path) -> Snapshot:
    """Returns what there is: refs and HEAD, staged entries, files in the worktree, locks and notes left behind."""

    def git(*args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=folder, stdout=subprocess.PIPE, encoding="utf-8", errors="surrogateescape", check=True
        ).stdout

    files: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if ".git" in path.relative_to(folder).parts:
            continue
        if path.is_symlink():
            files[str(path.relative_to(folder))] = str(path.readlink())
        elif path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes()
    common = Path(git("rev-parse", "--path-format=absolute", "--git-common-dir").removesuffix("\n"))
    left = [
        str(path.relative_to(common))
        for path in common.rglob("*")
        if path.suffix == ".lock" or path.name.startswith(("mreg-index", "pending"))
    ]
    head = "".join(
        subprocess.run(["git", *args], cwd=folder, stdout=subprocess.PIPE, encoding="utf-8", check=False).stdout
        for args in (("symbolic-ref", "--quiet", "HEAD"), ("rev-parse", "--quiet", "--verify", "HEAD"))
    )
    refs = head + git("for-each-ref", "--format=%(refname) %(objectname)")
    return Snapshot(refs, git("ls-files", "--stage"), files, git("status", "--porcelain"), tuple(left))


def fsck(folder: Path) -> None:
    """Fails where Git finds a fault in the repository."""
    subprocess.run(["git", "fsck", "--strict", "--no-dangling", "--no-progress"], cwd=folder, check=True)


@contextmanager
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Gives a list that at the end holds the subcommand of each Git process started, not counting what Git starts."""
    trace = tmp_path / "trace2.json"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    commands: list[str] = []
    yield commands
    monkeypatch.delenv("GIT_TRACE2_EVENT")
    for line in trace.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "cmd_name" and "/" not in event["sid"]:
            commands.append(event["name"])
    trace.unlink()


@pytest.fixture
def registry(repo: Path, git: Git) -> Path:
    """A repository on ``main`` with files that ``CHANGE`` changes, and others; the working directory."""
    return make_registry(repo, git)


def make_registry(repo: Path, git: Git) -> Path:
    """Commits the files that ``CHANGE`` is about."""
    for path, content in {STAGE: "version: v1.0.0\n", GONE: "old\n", "train.py": "print(1)\n"}.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(content)
    git("add", ".", cwd=repo)
    git("commit", "--quiet", "--message=Registry", cwd=repo)
    return repo


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections, and says nothing."""
    with silent_server() as port:
        yield port


@pytest.fixture
def origin(tmp_path: Path, git: Git) -> Path:
    """A repository whose tip has 120 commits behind it, stored as differences."""
    folder = tmp_path / "origin"
    git("init", "--quiet", str(folder))
    tip = grow(folder, git, random.Random(5), 120, merges=0.05)[-1]
    git("update-ref", "refs/heads/main", tip, cwd=folder)
    git("config", "uploadpack.allowFilter", "true", cwd=folder)
    git("repack", "-adfq", "--depth=6", "--window=30", cwd=folder)
    return folder
