"""SIGKILL at every step of a change, then the next command in another process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing import pending
from mreg.stores.git.writing.publishing import Publisher
from tests.conftest import Git
from tests.stores.git.conftest import Snapshot, fsck, land, make_registry, snapshot
from tests.stores.git.dying import TAGS

HERE = Path(__file__).parent
ENV = {"PYTHONPATH": str(HERE.parents[2])}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "_EMPTY_LOCK_S", 0.1)


def plain(folder: Path, git: Git) -> Path:
    git("init", "--quiet", str(folder))
    return make_registry(folder, git)


def sha256(folder: Path, git: Git) -> Path:
    git("init", "--quiet", "--object-format=sha256", str(folder))
    return make_registry(folder, git)


def unborn(folder: Path, git: Git) -> Path:
    git("init", "--quiet", str(folder))
    (folder / "train.py").write_text("mine\n")
    return folder


def bare(folder: Path, git: Git) -> Path:
    plain(folder.with_name("source"), git)
    git("clone", "--quiet", "--bare", str(folder.with_name("source")), str(folder))
    return folder


def crlf(folder: Path, git: Git) -> Path:
    plain(folder, git)
    git("config", "core.autocrlf", "true", cwd=folder)
    git("rm", "--quiet", "-r", "--cached", ".", cwd=folder)
    git("reset", "--quiet", "--hard", cwd=folder)
    return folder


def dirty(folder: Path, git: Git) -> Path:
    plain(folder, git)
    (folder / "train.py").write_text("staged\n")
    git("add", "train.py", cwd=folder)
    (folder / "train.py").write_text("changed since\n")
    (folder / "registry" / "churn" / "notes").write_text("untracked\n")
    return folder


def large(folder: Path, git: Git) -> Path:
    return dirty(folder, git)


MAKERS = [plain, sha256, unborn, bare, crlf, dirty, large]


class Judge:
    """Says whether a repository is as before a change or as after it."""

    def __init__(self, template: Path, scratch: Path) -> None:
        self.is_bare = GitRepository(template).is_bare
        self.before = self.look(template)
        shutil.copytree(template, scratch, symlinks=True)
        land(scratch, tags=TAGS)
        self.after = self.look(scratch)

    def look(self, place: Path) -> Snapshot:
        if not self.is_bare:
            return snapshot(place)
        left = tuple(
            str(path) for path in place.rglob("*") if path.suffix == ".lock" or path.name.startswith("pending")
        )
        refs = subprocess.run(["git", "for-each-ref"], cwd=place, stdout=subprocess.PIPE, encoding="utf-8", check=True)
        return Snapshot(refs.stdout, "", {}, "", left)

    def judge(self, place: Path) -> str:
        """Recovers, and returns which it is; then the change must still land."""
        repo = GitRepository(place)
        with Publisher(repo).locked():
            pass
        found = self.look(place)
        fsck(place)
        untagged = "\n".join(line for line in self.after.refs.split("\n") if "refs/tags" not in line)
        if found == self.before:
            land(place, tags=TAGS)
            assert self.look(place) == self.after
            return "before"
        if found == self.after:
            return "after"
        assert found.refs.startswith(untagged.rstrip("\n"))
        assert (found.index, found.files, found.status, found.leftovers) == (
            self.after.index, self.after.files, self.after.status, ()
        )  # fmt: skip
        return "untagged"


@pytest.fixture
def judged(tmp_path: Path, git: Git) -> Callable[[Callable[[Path, Git], Path]], tuple[Path, Judge]]:
    """Makes a template repository, and what judges its copies."""

    def make(maker: Callable[[Path, Git], Path]) -> tuple[Path, Judge]:
        template = maker(tmp_path / ("large" if maker is large else "template"), git)
        (tmp_path / "out").mkdir()
        return template, Judge(template, tmp_path / "scratch")

    return make


@pytest.mark.slow
@pytest.mark.parametrize("when", ["step", "orphan"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_killed_at_every_step_is_as_before_or_as_after(
    tmp_path: Path,
    judged: Callable[[Callable[[Path, Git], Path]], tuple[Path, Judge]],
    maker: Callable[[Path, Git], Path],
    when: str,
    *,
    soak: bool,
) -> None:
    if when == "orphan" and maker in {sha256, unborn, crlf, large} and not soak:
        pytest.skip("with --soak: what Git does without its parent hangs on none of these")
    template, judge = judged(maker)
    command = [sys.executable, str(HERE / "dying.py"), str(template), str(tmp_path / "out"), when]
    subprocess.run(command, env={**os.environ, **ENV}, check=True)
    places = sorted((tmp_path / "out").iterdir(), key=lambda place: int(place.name))
    found = [judge.judge(place) for place in places]
    assert len(found) > 5
    # Once it is as after, it stays so.
    assert found == sorted(found, key=["before", "after"].index)
    # Without a reader `git update-ref` may end at its first word, so an orphan may move nothing.
    assert set(found) == {"before", "after"} or when == "orphan"


def test_killed_in_a_linked_worktree_others_follow(
    tmp_path: Path, git: Git, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("checkout", "--quiet", "-b", "topic")
    git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    before = snapshot(registry), snapshot(tmp_path / "linked")
    for program, landed in (("read-tree", False), ("update-ref", True)):
        script = (
            "import os, subprocess, signal\nfrom pathlib import Path\n"
            "communicate = subprocess.Popen.communicate\n"
            "def check(process, data=b'', timeout=None):\n"
            "    out = communicate(process, data, timeout)\n"
            f"    if '{program}' in process.args: os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return out\n"
            "subprocess.Popen.communicate = check\n"
            "from tests.stores.git.conftest import land\n"
            "land(Path('.'))\n"
        )
        done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **ENV}, check=False)
        assert done.returncode < 0
        assert "index.lock" in "".join(snapshot(tmp_path / "linked").leftovers)
        with Publisher(GitRepository(registry)).locked():
            pass
        after = snapshot(registry), snapshot(tmp_path / "linked")
        assert (after == before) is not landed
        assert (after[0].files, after[0].status) == (before[0].files, "")
        assert after[1].status == ""
        assert after[1].leftovers == ()


CALLS = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,symlink,symlinkat,rmdir"


@pytest.mark.slow
@pytest.mark.parametrize("both", ["die", "live"])
def test_git_killed_at_every_change_of_a_name(
    tmp_path: Path,
    judged: Callable[[Callable[[Path, Git], Path]], tuple[Path, Judge]],
    both: str,
) -> None:
    probe = ["strace", "-f", "-qq", "-o", os.devnull, "true"]
    if not shutil.which("strace") or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("strace is not there, or may not trace")
    template, judge = judged(plain)
    found = []
    for number in range(1, 60):
        place = tmp_path / "out" / str(number)
        shutil.copytree(template, place, symlinks=True)
        # Without --seccomp-bpf, with which strace 6.1 does not inject.  It counts each process for itself.
        trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={CALLS}"]
        inject = ["-e", f"inject={CALLS}:signal=KILL:when={number}"]
        command = [*trace, *inject, sys.executable, str(HERE / "dying.py"), str(place), both, "once"]
        done = subprocess.run(command, env={**os.environ, **ENV}, check=False, capture_output=True)
        if done.returncode == 0:
            break
        found.append(judge.judge(place))
    else:
        pytest.fail("it never came through")
    assert "before" in found
    assert set(found) <= {"before", "after", "untagged"}
