"""``push`` killed at any instant: remote and clone are as before or as after, and the next push completes it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import Registry
from tests.conftest import Git
from tests.registry.test_killed import DATES, KILLED, MOVES, Death, Scene, Snapshot, fake_git
from tests.registry.victim import Outcome, Victims

DEATHS = {
    "push when done": Death("push", '$git "$@"'),
    "read-tree at its first write": Death("read-tree", '(ulimit -f 0; $git "$@")'),
    "update-ref between branch and tags": Death("update-ref", "sed -z '5,/^prepare$/{/^prepare$/!d;}' | $git \"$@\""),
    "update-ref when done": Death("update-ref", '$git "$@"'),
}


@dataclass(frozen=True)
class Sides:
    """A clone and its remote, which have diverged."""

    scene: Scene
    victims: Victims

    @property
    def bare(self) -> Path:
        return self.scene.work / "bare.git"

    def remote(self) -> dict[str, str]:
        lines = self.scene.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=self.bare).split("\n")
        return dict(line.split(" ") for line in lines)

    def here(self) -> Snapshot:
        found = self.scene.snapshot()
        refs = {ref: oid for ref, oid in found.refs.items() if not ref.startswith("refs/remotes/")}
        return Snapshot(refs, found.index, found.status.replace("\n\n", "\n"), found.files)

    def push(self, *, stop: int = 0, git: Path | None = None) -> Outcome:
        path = os.environ["PATH"]
        env, scene = {**DATES, "PATH": f"{git.parent}{os.pathsep}{path}" if git else path}, self.scene
        return self.victims.run("push", cwd=scene.repo, root=scene.work, env=env, stop=stop)


@pytest.fixture
def sides(repo: Path, tmp_path: Path, git: Git, victims: Victims, monkeypatch: pytest.MonkeyPatch) -> Sides:
    """Here two changes, one of code, and work that is not committed; there another change of another stage."""
    work = tmp_path / "work"
    work.mkdir()
    repo.rename(work / "repo")
    here, bare, other = work / "repo", work / "bare.git", tmp_path / "other"
    monkeypatch.chdir(tmp_path)
    registry = Registry.init(here, remote=str(work / "remote"))
    (work / "model.bin").write_bytes(b"model 1")
    registry.register("churn", work / "model.bin")
    git("init", "--quiet", "--bare", str(bare))
    git("remote", "add", "origin", str(bare), cwd=here)
    registry.push()
    git("clone", "--quiet", str(bare), str(other))
    Registry.open(other).promote("churn@v1", "staging", reason="theirs", push=True)
    registry.promote("churn@v1", "production", reason="mine")
    (here / "train.py").write_text("code\n")
    git("add", "train.py", cwd=here)
    git("commit", "--quiet", "--message=Code", cwd=here)
    registry.clear("churn", "production", reason="mine again")
    (here / "README.md").write_text("unstaged\n")
    (here / "notes.txt").write_text("untracked\n")
    git("repack", "-adq", cwd=here)
    git("pack-refs", "--all", cwd=here)
    shutil.copytree(work, tmp_path / "template", symlinks=True)
    return Sides(Scene(work, tmp_path / "template", git), victims)


@dataclass(frozen=True)
class Trial:
    """One push, as it is without being killed."""

    sides: Sides
    before: tuple[Snapshot, dict[str, str]]
    after: tuple[Snapshot, dict[str, str]]
    steps: tuple[str, ...]

    @classmethod
    def prepare(cls, sides: Sides) -> Trial:
        before = sides.here(), sides.remote()
        whole = sides.push()
        assert whole.status == 0, whole.output
        after = sides.here(), sides.remote()
        assert after[0].refs == after[1] != before[1]
        assert sides.scene.locks() == []
        return cls(sides, before, after, tuple(whole.steps))

    def check(self, name: str) -> None:
        sides = self.sides
        sides.scene.git("fsck", "--strict", "--no-dangling", "--no-progress", cwd=sides.scene.repo)
        here, there = sides.here(), sides.remote()
        assert there in (self.before[1], self.after[1]), name
        assert here.main in {self.before[0].main, self.after[0].main}, name
        if here.main == self.after[0].main:
            assert there == self.after[1], "here, and not there"
        for file in ("README.md", "notes.txt"):
            assert here.files[file] == self.before[0].files[file]
        again = sides.push()
        assert again.status == 0, again.output
        assert (sides.here(), sides.remote()) == self.after, name
        assert sides.scene.locks() == []


@pytest.mark.slow
def test_push_killed_at_every_move_is_completed_by_the_next(sides: Sides, soak: bool) -> None:
    trial = Trial.prepare(sides)
    moves = [number for number, step in enumerate(trial.steps, 1) if step.startswith(MOVES)]
    for number in moves if soak else moves[:: max(1, len(moves) // 6)]:
        sides.scene.reset()
        killed = sides.push(stop=number)
        assert killed.status == KILLED, killed.output
        trial.check(trial.steps[number - 1])


@pytest.mark.slow
def test_push_with_git_killed_below_it_is_completed_by_the_next(sides: Sides, tmp_path: Path) -> None:
    trial = Trial.prepare(sides)
    for name, death in DEATHS.items():
        sides.scene.reset()
        killed = sides.push(git=fake_git(tmp_path, death.subcommand, f"{death.body}; kill -KILL $PPID $$"))
        assert killed.status == KILLED, killed.output
        trial.check(name)
