"""Killed, interrupted, crowded or out of disk: a command lands whole, or leaves no trace.

A scene is a registry with a remote, beside work of its user that no command may touch.  It is copied back to the same
path for each run, so that every run that lands makes the same commit, and "as before" and "as after" can be compared
to the byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import OnReplace, Registry
from mreg.core.results import History, ModelList
from mreg.stores.git.writing import worktrees
from tests.conftest import Git, Mreg, Result
from tests.registry.victim import Outcome, Victims

COMMANDS: dict[str, tuple[str, ...]] = {
    "register-file": ("register", "churn", "../model.bin", "--metric", "auc=0.9"),
    "register-directory": ("register", "churn", "../model", "--stage", "staging", "--reason", "a directory"),
    "promote": ("promote", "churn@v3", "production", "--reason", "better", "--archive-replaced"),
    "rollback": ("rollback", "churn", "production", "--to", "v1", "--reason", "worse"),
}
MOVES = ("git ", "os.link ", "os.remove ", "os.rename ", "os.symlink ")
"""The steps at which every command is killed each time; folders made and files opened are for the long run."""
KILLED = -signal.SIGKILL
DATES = {"GIT_AUTHOR_DATE": "1770000000 +0000", "GIT_COMMITTER_DATE": "1770000000 +0000"}


@dataclass(frozen=True)
class Snapshot:
    """What the user sees of a repository."""

    refs: Mapping[str, str]
    index: str
    status: str
    files: Mapping[str, bytes]

    @property
    def main(self) -> str:
        return self.refs["refs/heads/main"]


@dataclass(frozen=True)
class Scene:
    """One registry, as often as it is wanted."""

    work: Path
    template: Path
    git: Git

    @property
    def repo(self) -> Path:
        return self.work / "repo"

    def reset(self) -> None:
        for path in self.work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.template, self.work, symlinks=True, copy_function=_copy, dirs_exist_ok=True)

    def snapshot(self) -> Snapshot:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=self.repo).split("\n")
        index = self.git("ls-files", "--stage", cwd=self.repo)
        status = self.git("status", "--porcelain", "--untracked-files=all", cwd=self.repo)
        names = {line.partition("\t")[2] for line in index.split("\n")} | {line[3:] for line in status.split("\n")}
        files = {name: (self.repo / name).read_bytes() for name in sorted(names) if (self.repo / name).is_file()}
        return Snapshot(dict(line.split(" ") for line in lines), index, status, files)

    def answers(self) -> tuple[ModelList, History]:
        registry = Registry.open(self.repo)
        return registry.list(), registry.history()

    def locks(self) -> list[str]:
        """Returns what a command keeps in the Git directory while it writes."""
        found = [
            *self.repo.rglob(".git/**/*.lock"),
            *self.repo.glob(".git/mreg-index*"),
            *self.repo.glob(".git/mreg/pending*"),
        ]
        return sorted(str(path.relative_to(self.repo)) for path in found)

    def scratch(self) -> list[Path]:
        return [path for path in self.work.rglob(".mreg-*.tmp") if path.is_dir()]

    def age_scratch(self) -> None:
        """Lets the temporaries look old enough for a later run to take them away."""
        for path in self.scratch():
            os.utime(path, (time.time() - 60, time.time() - 60))

    def check_stores(self, *, has_new: bool) -> None:
        """Fails where the DVC cache or the remote holds half an object, or lacks one that the registry names."""
        for store in (self.repo / ".dvc" / "cache", self.work / "remote"):
            objects = {path.parent.name + path.name: path for path in store.glob("files/md5/??/*")}
            for name, path in objects.items():
                assert hashlib.md5(path.read_bytes()).hexdigest() == name.removesuffix(".dir"), path
                if name.endswith(".dir"):
                    assert {each["md5"] for each in json.loads(path.read_bytes())} <= objects.keys(), path
            named = self.git("grep", "-h", "md5:", "main", "--", "*.dvc", "*/versions/*.yaml", cwd=self.repo)
            assert {line.split()[-1] for line in named.split("\n")} <= objects.keys()
            assert len(objects) >= 3 + has_new


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scene of all tests is: commits of a registry depend on where it is."""
    return tmp_path_factory.mktemp("killed")


@pytest.fixture
def scene(place: Path, repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Versions 1 to 3 of churn; production went from 1 to 2, which archived 1."""
    monkeypatch.chdir(tmp_path)
    if not (place / "template").exists():
        _make_scene(place / "work", repo, git)
        shutil.copytree(place / "work", place / "template", symlinks=True)
    shutil.copytree(place / "template", tmp_path / "template", symlinks=True, copy_function=_copy)
    scene = Scene(place / "work", tmp_path / "template", git)
    scene.reset()
    return scene


def _make_scene(work: Path, repo: Path, git: Git) -> None:
    work.mkdir()
    repo.rename(work / "repo")
    registry = Registry.init(work / "repo", remote=str(work / "remote"))
    for number in (1, 2, 3):
        (work / "model.bin").write_bytes(b"model %d" % number)
        registry.register("churn", work / "model.bin", metrics={"auc": number / 10})
    for number in (1, 2):
        registry.promote(f"churn@v{number}", "production", reason="why", on_replace=OnReplace.ARCHIVE)
    (work / "model.bin").write_bytes(b"model 4")
    (work / "model" / "weights").mkdir(parents=True)
    for name in ("config.json", "weights/a.bin"):
        (work / "model" / name).write_bytes(f"new {name}".encode())
    (work / "repo" / "README.md").write_text("unstaged\n")
    (work / "repo" / "staged.txt").write_text("staged\n")
    git("add", "staged.txt", cwd=work / "repo")
    (work / "repo" / "notes.txt").write_text("untracked\n")
    git("repack", "-adq", cwd=work / "repo")


def _copy(source: str, target: str) -> None:
    if "/objects/" in source or "/files/md5/" in source:  # what is never written to again
        with contextlib.suppress(OSError):  # another file system
            os.link(source, target)
            return
    shutil.copy2(source, target)


@dataclass(frozen=True)
class Trial:
    """One command on one scene: what is there before it, and what there is after it."""

    scene: Scene
    victims: Victims
    args: Sequence[str]
    before: Snapshot
    after: Snapshot
    answers: Mapping[str, tuple[ModelList, History]]
    """By commit of the registry branch."""
    steps: Sequence[str]

    @classmethod
    def prepare(cls, scene: Scene, victims: Victims, args: Sequence[str]) -> Trial:
        scene.reset()
        before = scene.snapshot()
        answers = {before.main: scene.answers()}
        scene.reset()  # what is remembered of a file hangs on its age: here as in each run that follows
        whole = victims.run(*args, cwd=scene.repo, root=scene.work, env=DATES)
        assert whole.status == 0, whole.output
        after = scene.snapshot()
        assert after.main != before.main
        assert (scene.locks(), scene.scratch()) == ([], [])
        answers[after.main] = scene.answers()
        return cls(scene, victims, args, before, after, answers, whole.steps)

    def run(
        self, *, stop: int = 0, git: Path | None = None, signal: int = signal.SIGKILL, is_again: bool = False
    ) -> Outcome:
        """Runs the command on the scene as it was at first, or once more on what became of it."""
        if not is_again:
            self.scene.reset()
        env = {**DATES, "PATH": f"{git.parent}{os.pathsep}{os.environ['PATH']}"} if git else DATES
        return self.victims.run(
            *self.args, cwd=self.scene.repo, root=self.scene.work, env=env, stop=stop, signal=signal
        )

    def check(self, *, again: bool) -> bool:
        """Fails where the repository is neither as before nor as after, now or once the next command ran.

        Returns whether the command landed.
        """
        scene, before, after = self.scene, self.before, self.after
        scene.git("fsck", "--strict", "--no-dangling", "--no-progress", cwd=scene.repo)
        now = scene.snapshot()
        assert now.main in {before.main, after.main}
        has_landed = now.main == after.main
        wanted = after if has_landed else before
        assert scene.answers() == self.answers[now.main]
        made = now.refs.items() - before.refs.items()
        assert made <= after.refs.items() - before.refs.items()
        assert has_landed or not made, "a tag, and not its commit"
        assert now.index in {before.index, after.index}
        for name in ("README.md", "staged.txt", "notes.txt"):
            assert now.files[name] == before.files[name]
        scene.check_stores(has_new=has_landed and self.args[0] == "register")
        if again:
            scene.age_scratch()
            outcome = self.run(is_again=True)
            assert outcome.status == 0 or (has_landed and "the same bytes as churn" in outcome.output), outcome.output
            wanted = after
            assert scene.scratch() == []
        else:
            Registry.open(scene.repo).sync()
        assert scene.snapshot() == wanted
        assert scene.locks() == []
        return has_landed


def fake_git(folder: Path, subcommand: str, body: str) -> Path:
    """Makes a `git` that once does something else for one of its commands; ``$git`` is the real one in ``body``."""
    path = folder / "bin" / "git"
    path.parent.mkdir(exist_ok=True)
    path.with_name("done").unlink(missing_ok=True)
    real = shlex.quote(str(shutil.which("git")))
    once = f'[ -e "${{0%/*}}/done" ] || {{ : > "${{0%/*}}/done"\n{body}\n}}'
    path.write_text(f'#!/bin/sh\ngit={real}\ncase " $* " in *" {subcommand} "*)\n{once};;\nesac\nexec $git "$@"\n')
    path.chmod(0o755)
    return path


class TestKilled:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_at_every_move_is_as_before_or_as_after(self, scene: Scene, victims: Victims, name: str) -> None:
        self._sweep(Trial.prepare(scene, victims, COMMANDS[name]), MOVES)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", COMMANDS)
    def test_at_every_other_change_of_the_disk_too(self, scene: Scene, victims: Victims, name: str) -> None:
        self._sweep(Trial.prepare(scene, victims, COMMANDS[name]), ("open ", "os.mkdir ", "os.rmdir "))

    def _sweep(self, trial: Trial, kinds: tuple[str, ...]) -> None:
        outcomes: list[bool] = []
        for number, step in enumerate(trial.steps, 1):
            if step.startswith(kinds):
                killed = trial.run(stop=number)
                assert killed.status == KILLED, killed.output
                print(number, step)
                outcomes.append(trial.check(again=len(outcomes) % 2 == 0))
        assert outcomes == sorted(outcomes)
        assert not outcomes[0]


@dataclass(frozen=True)
class Death:
    """Where Git is killed."""

    subcommand: str
    body: str
    """What it has done by then."""
    lands: bool = False


DEATHS = {
    "unpack-objects at its first write": Death("unpack-objects", '(ulimit -f 0; $git "$@")'),
    "unpack-objects when done": Death("unpack-objects", '$git "$@"'),
    "read-tree at its first write": Death("read-tree", '(ulimit -f 0; $git "$@")'),
    "read-tree when done": Death("read-tree", '$git "$@"'),
    "update-ref at its first write": Death("update-ref", '(ulimit -f 0; $git "$@")'),
    "update-ref between branch and tag": Death(
        "update-ref", "sed -z '5,/^prepare$/{/^prepare$/!d;}' | $git \"$@\"", lands=True
    ),
    "update-ref when done": Death("update-ref", '$git "$@"', lands=True),
}


class TestGitKilled:
    """Git is killed below a command: alone, or together with it as when the power fails."""

    @pytest.mark.parametrize(("name", "again"), [("promote", False), ("promote", True), ("register-directory", True)])
    def test_together_with_mreg(self, scene: Scene, victims: Victims, tmp_path: Path, name: str, again: bool) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS[name])
        for name, death in DEATHS.items():
            git = fake_git(tmp_path, death.subcommand, f"{death.body}; kill -KILL $PPID $$")
            assert trial.run(git=git).status == KILLED
            print(name)
            assert trial.check(again=again) == death.lands

    def test_alone(self, scene: Scene, victims: Victims, tmp_path: Path) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["promote"])
        for name, death in DEATHS.items():
            failed = trial.run(git=fake_git(tmp_path, death.subcommand, f"{death.body}; kill -KILL $$"))
            assert failed.status == 6, failed.output
            print(name)
            assert scene.locks() == []
            assert trial.check(again=False) == death.lands


class TestInterrupted:
    """Ctrl-C, or another signal that asks for an end, ends a command with all put right behind it."""

    @pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
    def test_at_every_step_of_promote(self, scene: Scene, victims: Victims, sign: signal.Signals) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["promote"])
        for number, step in enumerate(trial.steps, 1):
            stopped = trial.run(stop=number, signal=sign)
            print(number, step)
            assert stopped.status == 128 + sign, stopped.output
            assert "Traceback" not in stopped.output
            assert scene.snapshot() in (trial.before, trial.after)
            assert scene.locks() == []
            has_landed = scene.snapshot() == trial.after
            assert (f"it landed as {trial.after.main[:12]} on main" in stopped.output) is has_landed
            assert ("run the command again" in stopped.output) is not has_landed
        assert trial.check(again=False)

    def test_while_git_runs(self, scene: Scene, victims: Victims, tmp_path: Path) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["promote"])
        for name, death in DEATHS.items():
            # A terminal sends it to every process of the group, mreg and Git alike.
            stopped = trial.run(git=fake_git(tmp_path, death.subcommand, f"{death.body}; kill -INT 0; sleep 5"))
            print(name)
            assert stopped.status == 130, stopped.output
            assert scene.locks() == []
            assert scene.snapshot() == (trial.after if death.lands else trial.before)


class TestLeftBehind:
    """What a killed command leaves in the user's way, and who says what to do."""

    def test_lock_of_a_killed_command_is_explained_and_goes_with_the_next(
        self, scene: Scene, victims: Victims, mreg_here: Mreg
    ) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["promote"])
        trial.run(stop=trial.steps.index("git update-ref") + 1)
        add = ["git", "add", "notes.txt"]
        refused = subprocess.run(add, cwd=scene.repo, stderr=subprocess.PIPE, encoding="utf-8", check=False)
        assert "index.lock" in refused.stderr
        diagnosis = mreg_here("doctor", cwd=scene.repo, check=1)
        assert "was killed while it wrote" in diagnosis.out
        assert "mreg sync" in diagnosis.out
        mreg_here("sync", cwd=scene.repo, check=0)
        subprocess.run(add, cwd=scene.repo, check=True)

    def test_lock_of_git_itself_is_named_with_what_to_do(
        self, scene: Scene, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worktrees, "INDEX_LOCK_TIMEOUT_S", 0.1)
        lock = scene.repo / ".git" / "index.lock"
        lock.touch()
        before = scene.snapshot()
        refused = mreg_here(*COMMANDS["promote"], cwd=scene.repo, check=6)
        assert f"rm {lock}" in refused.err
        assert scene.snapshot() == before
        lock.unlink()
        mreg_here(*COMMANDS["promote"], cwd=scene.repo, check=0)


class TestAtOnce:
    """Several commands on one repository at the same moment."""

    def test_two_promotions_both_land(self, scene: Scene) -> None:
        found = _run_at_once(
            scene,
            ("promote", "churn@v3", "staging", "--reason", "one", "--format", "json"),
            ("promote", "churn@v3", "production", "--reason", "two", "--format", "json"),
        )
        assert [each.code for each in found] == [0, 0], found
        tags = sorted(tag for each in found for tag in json.loads(each.out)["tags"])
        assert [tag.rpartition("#")[2] for tag in tags] in (["3", "4"], ["4", "3"])
        shown = Registry.open(scene.repo).show("churn@v3")
        assert sorted(shown.stages) == ["production", "staging"]
        self._check(scene, commits=2)

    def test_the_same_promotion_twice_lands_once(self, scene: Scene) -> None:
        args = ("promote", "churn@v3", "staging", "--reason", "both", "--format", "json")
        found = _run_at_once(scene, args, args)
        assert [each.code for each in found] == [0, 0], found
        assert sorted(json.loads(each.out)["changed"] for each in found) == [False, True]
        self._check(scene, commits=1)

    def test_four_registrations_are_four_versions(self, scene: Scene) -> None:
        files = [scene.work / f"model{number}.bin" for number in range(4)]
        for number, path in enumerate(files):
            path.write_bytes(b"at once %d" % number)
        found = _run_at_once(scene, *(("register", "churn", str(path), "--format", "json") for path in files))
        assert [each.code for each in found] == [0] * 4, found
        versions = [json.loads(each.out)["version"] for each in found]
        assert sorted(versions) == ["v4.0.0", "v5.0.0", "v6.0.0", "v7.0.0"]
        registry = Registry.open(scene.repo)
        for version, path in zip(versions, files, strict=True):
            assert registry.pull(f"churn@{version}", scene.work / "out.bin").path.read_bytes() == path.read_bytes()
        self._check(scene, commits=4)

    def _check(self, scene: Scene, *, commits: int) -> None:
        count = int(scene.git("rev-list", "--count", "main", cwd=scene.repo))
        template = int(scene.git("rev-list", "--count", "main", cwd=scene.template / "repo"))
        assert count == template + commits
        synced = Registry.open(scene.repo).sync()
        assert (synced.created, synced.findings) == ((), ())
        scene.git("fsck", "--strict", "--no-dangling", "--no-progress", cwd=scene.repo)
        assert scene.git("status", "--porcelain", cwd=scene.repo) == " M README.md\nA  staged.txt\n?? notes.txt"
        assert scene.locks() == []


def _run_at_once(scene: Scene, *commands: Sequence[str]) -> list[Result]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "mreg", *command],
            cwd=scene.repo,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for command in commands
    ]
    outputs = [process.communicate() for process in processes]
    return [Result(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


@pytest.fixture
def disk(scene: Scene) -> Iterator[Path]:
    """A file system of 8 MB where the scene will be."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(scene.work)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no file system may be mounted here: only root can")
    (scene.template / "model.bin").write_bytes(os.urandom(1_500_000))
    yield scene.work
    subprocess.run(["umount", "--lazy", str(scene.work)], check=True)


class TestDisk:
    """A disk that is full, or that may only be read."""

    @pytest.mark.parametrize(
        ("name", "room"),
        [
            ("register-file", (0, 200_000, 1_600_000, 2_000_000, 3_020_000)),
            ("promote", range(0, 100_000, 12_000)),
        ],
    )
    def test_full_at_any_moment(
        self, scene: Scene, disk: Path, victims: Victims, name: str, room: Sequence[int]
    ) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS[name])
        for size in room:
            scene.reset()
            _fill(disk / "fill", leave=size)
            failed = trial.run(is_again=True)
            if failed.status == 0:  # there was room enough
                (disk / "fill").unlink()
                continue
            assert failed.status == 6, failed.output
            (disk / "fill").unlink()
            assert scene.locks() == []
            assert scene.snapshot() == trial.before
            assert not trial.check(again=True)


def _fill(path: Path, *, leave: int) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    os.truncate(path, max(path.stat().st_size - leave, 0))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed: apt-get install strace")
class TestTraced:
    """The kernel kills at every single call, however deep inside of Git."""

    CALLS = (
        "rename,?renameat,?renameat2",
        "unlink,?unlinkat,?rmdir",
        "link,?linkat,?symlink",
        "mkdir,?mkdirat",
    )

    @pytest.mark.parametrize("name", ["promote", "rollback", "register-directory"])
    @pytest.mark.parametrize("subcommand", ["read-tree", "update-ref"])
    def test_git_with_mreg(self, scene: Scene, victims: Victims, tmp_path: Path, subcommand: str, name: str) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS[name])
        counts = {calls: self._sweep(trial, tmp_path, subcommand, calls) for calls in self.CALLS}
        assert counts[self.CALLS[0]] >= (2 if subcommand == "update-ref" else 1)

    @pytest.mark.parametrize("subcommand", ["read-tree", "update-ref"])
    def test_git_with_mreg_at_every_write(
        self, scene: Scene, victims: Victims, tmp_path: Path, subcommand: str
    ) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["promote"])
        assert self._sweep(trial, tmp_path, subcommand, "write,?pwrite64") >= 3

    def test_unpack_objects_with_mreg(self, scene: Scene, victims: Victims, tmp_path: Path) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["promote"])
        assert self._sweep(trial, tmp_path, "unpack-objects", "rename,?renameat,link,?linkat") >= 6

    def _sweep(self, trial: Trial, folder: Path, subcommand: str, calls: str) -> int:
        """Kills at the first such call, the second and so on until there is none; returns how many there were."""
        count = 0
        while True:
            body = f'{shlex.join(_strace(calls, count + 1))} $git "$@"; status=$?'
            body += "\n[ $status = 137 ] && kill -KILL $PPID $$\nexit $status"
            killed = trial.run(git=fake_git(folder, subcommand, body))
            if killed.status == 0:
                return count
            assert killed.status == KILLED, killed.output
            count += 1
            print(subcommand, calls, count)
            trial.check(again=count % 2 == 0)

    def test_all_of_a_command(self, scene: Scene, victims: Victims) -> None:
        trial = Trial.prepare(scene, victims, COMMANDS["register-file"])
        for count in range(1, 99):
            scene.reset()
            command = [*_strace(self.CALLS[0], count), sys.executable, "-m", "mreg", *trial.args]
            env = {**os.environ, **DATES, "PYTHONDONTWRITEBYTECODE": "1"}
            status = subprocess.run(command, cwd=scene.repo, env=env, stdout=subprocess.DEVNULL, check=False).returncode
            if status == 0:
                break
            assert status in {KILLED, 6}
            trial.check(again=count % 2 == 0)
        assert count > 4


def _strace(calls: str, number: int) -> list[str]:
    names = "?" + calls
    inject = f"inject={names}:signal=KILL:when={number}"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={names}", "-e", inject]
