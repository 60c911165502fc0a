"""Nothing that one command left, or that its user did since, may keep the next ones from writing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mreg.errors import ConflictError, GitError, UsageError
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing import pending, publishing
from mreg.stores.git.writing.pending import Journal, Pending, RefUpdate
from mreg.stores.git.writing.publishing import Publisher
from tests.conftest import Git
from tests.stores.git.conftest import CHANGE, GONE, RECORD, STAGE, fsck, land, snapshot
from tests.stores.git.test_publishing import TESTS, run_land, without_override

KILL = """\
import os, signal, subprocess, sys
from pathlib import Path
communicate = subprocess.Popen.communicate
def check(process, data=b"", timeout=None):
    out = communicate(process, data, timeout)
    if sys.argv[1] in process.args:
        os.kill(os.getpid(), signal.SIGKILL)
    return out
subprocess.Popen.communicate = check
from tests.stores.git.conftest import land
land(Path("."), tags=["churn@v2.0.0"])
"""
LONG = "x" * 300


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "_EMPTY_LOCK_S", 0.1)


def kill_after(program: str, folder: Path) -> None:
    """Lands a change, and kills what does it once one Git command has come to its end."""
    env = {**os.environ, "PYTHONPATH": TESTS}
    done = subprocess.run([sys.executable, "-c", KILL, program], cwd=folder, env=env, check=False)
    assert done.returncode == -signal.SIGKILL


def recover(folder: Path) -> None:
    with Publisher(GitRepository(folder)).locked():
        pass


class TestNames:
    @pytest.mark.parametrize(
        "branch", ["main/sub", "main/sub/deep", LONG, f"a/{LONG}/b"], ids=["sub", "deep", "long", "folder"]
    )
    def test_branch_that_cannot_be_leaves_no_trace(self, registry: Path, git: Git, branch: str) -> None:
        before, tip = snapshot(registry), git("rev-parse", "HEAD")
        with pytest.raises(GitError, match="git update-ref failed: prepare: cannot lock ref"):
            land(registry, branch=branch, parent=tip)
        assert snapshot(registry) == before
        land(registry)

    @pytest.mark.parametrize(
        "branch",
        ["main/sub", "main/sub/deep", "feature", "feature/a", LONG, f"{LONG}/b"],
        ids=["sub", "deep", "above", "between", "long", "folder"],
    )
    def test_branch_that_cannot_be_is_refused(self, registry: Path, git: Git, branch: str) -> None:
        git("branch", "feature/a/b")
        with pytest.raises(UsageError, match="branch") as caught:
            GitRepository(registry).check_branch_name(branch)
        assert caught.value.details["branch"] == branch

    @pytest.mark.parametrize("branch", ["main", "mai", "main-2", "feature/a/c", "x" * 250], ids=lambda name: name[:20])
    def test_branch_that_can_be_is_not_refused(self, registry: Path, git: Git, branch: str) -> None:
        git("branch", "feature/a/b")
        git("pack-refs", "--all")
        GitRepository(registry).check_branch_name(branch)

    def test_file_with_too_long_a_name_leaves_no_trace(self, registry: Path) -> None:
        before = snapshot(registry)
        with pytest.raises(GitError, match="git read-tree failed"):
            land(registry, {**CHANGE, f"registry/churn/{LONG}": b"x"})
        assert snapshot(registry) == before
        land(registry)


class TestUserWentOn:
    """A command was killed, and its user did what Git says of its lock."""

    def test_commit_of_all_that_was_there_stays(self, registry: Path, git: Git) -> None:
        kill_after("read-tree", registry)
        (registry / "train.py").write_text("mine\n")
        (registry / ".git" / "index.lock").unlink()
        git("add", "--all")
        git("commit", "--quiet", "--message=What was there")
        before = snapshot(registry)
        assert (registry / RECORD).exists()
        recover(registry)
        after = snapshot(registry)
        assert (after.refs, after.index, after.files, after.status) == (before.refs, before.index, before.files, "")
        assert after.leftovers == ()
        land(registry, {STAGE: b"version: v3.0.0\n"})
        fsck(registry)

    def test_what_was_staged_stays(self, registry: Path, git: Git) -> None:
        kill_after("read-tree", registry)
        (registry / ".git" / "index.lock").unlink()
        git("add", RECORD)
        staged = git("ls-files", "--stage", RECORD)
        recover(registry)
        assert git("ls-files", "--stage", RECORD) == staged
        assert snapshot(registry).status == f"A  {RECORD}\n"
        assert (registry / GONE).exists()

    def test_commit_of_tracked_files_alone_leaves_the_others_where_they_are(self, registry: Path, git: Git) -> None:
        kill_after("read-tree", registry)
        (registry / ".git" / "index.lock").unlink()
        git("commit", "--quiet", "--all", "--message=What was tracked")
        before = snapshot(registry)
        recover(registry)
        after = snapshot(registry)
        assert (after.refs, after.index, after.files) == (before.refs, before.index, before.files)

    def test_reset_to_another_commit_is_left_alone(self, registry: Path, git: Git) -> None:
        git("commit", "--quiet", "--allow-empty", "--message=Other")
        kill_after("read-tree", registry)
        (registry / ".git" / "index.lock").unlink()
        git("reset", "--quiet", "--hard", "HEAD^")
        before = snapshot(registry)
        recover(registry)
        assert snapshot(registry).files == before.files
        assert snapshot(registry).leftovers == ()

    def test_commit_after_the_branch_had_moved_stays(self, registry: Path, git: Git) -> None:
        kill_after("update-ref", registry)
        (registry / ".git" / "index.lock").unlink()
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message=Mine")
        before = snapshot(registry)
        recover(registry)
        after = snapshot(registry)
        assert (after.refs, after.index, after.files, after.status) == (before.refs, before.index, before.files, "")


class TestMoved:
    """The repository is somewhere else than when the command was killed."""

    @pytest.mark.parametrize("program", ["read-tree", "update-ref"])
    def test_moved_repository_is_put_right_where_it_is_now(
        self, registry: Path, tmp_path: Path, program: str, git: Git
    ) -> None:
        before = snapshot(registry)
        kill_after(program, registry)
        moved = registry.rename(tmp_path / "elsewhere")
        os.chdir(moved)
        recover(moved)
        found = snapshot(moved)
        assert (found.status, found.leftovers) == ("", ())
        assert (found == before) is (program == "read-tree")

    def test_copy_leaves_the_original_alone(self, registry: Path, tmp_path: Path) -> None:
        kill_after("read-tree", registry)
        shutil.copytree(registry, tmp_path / "copy", symlinks=True)
        before = snapshot(registry)
        recover(tmp_path / "copy")
        assert snapshot(registry) == before
        assert (snapshot(tmp_path / "copy").status, snapshot(tmp_path / "copy").leftovers) == ("", ())
        recover(registry)
        assert (snapshot(registry).status, snapshot(registry).leftovers) == ("", ())

    def test_copy_with_a_linked_worktree_leaves_that_of_the_original_alone(
        self, registry: Path, tmp_path: Path, git: Git
    ) -> None:
        git("checkout", "--quiet", "-b", "topic")
        git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
        shutil.copytree(registry, tmp_path / "copy", symlinks=True)
        before = snapshot(tmp_path / "linked")
        land(tmp_path / "copy")
        assert snapshot(tmp_path / "linked") == before


class TestFolders:
    @pytest.mark.slow
    def test_read_only_folder_is_named_and_leaves_no_trace(self, registry: Path) -> None:
        before = snapshot(registry)
        os.utime(registry / STAGE, (1, 1))  # as in a copy: Git no longer knows by the times that it is unchanged
        stages = registry / "registry" / "churn" / "stages"
        stages.chmod(0o555)
        said = run_land(registry, wrap=without_override())
        stages.chmod(0o755)
        assert said.startswith("mreg.errors.GitError: git read-tree failed: unable to unlink")
        assert snapshot(registry) == before
        land(registry)

    def test_draft_of_a_note_goes_with_the_full_disk(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = (
            "import resource, signal, sys\nfrom pathlib import Path\n"
            "from mreg.stores.git.writing.pending import Journal, Pending\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            "Journal(Path('pending.json')).save(Pending((), '.'))\n"
        )
        env = {**os.environ, "PYTHONPATH": TESTS}
        done = subprocess.run([sys.executable, "-c", script], env=env, check=False, capture_output=True)
        assert b"File too large" in done.stderr
        assert not list(Path().glob("pending*"))


class TestNote:
    def test_whole_note_is_read(self, registry: Path) -> None:
        assert self.load(registry) == Pending(
            (RefUpdate("refs/heads/main", "1" * 40, None),), git_dir=".", worktrees=(".",), begun=True
        )

    @pytest.mark.parametrize(
        "parts",
        [
            {"updates": [{"ref": 5, "new": "1" * 40, "old": None}]},
            {"updates": [{"ref": "refs/heads/main", "new": ["1"], "old": None}]},
            {"updates": [{"ref": "refs/heads/main", "new": "", "old": None}]},
            {"updates": [{"ref": "refs/heads/main", "new": "1" * 40, "old": 1.5}]},
            {"updates": [{"ref": "refs/../../precious", "new": "1" * 40, "old": None}]},
            {"updates": [{"ref": "/etc/passwd", "new": "1" * 40, "old": None}]},
            {"updates": [{"ref": "refs/heads/a\nb", "new": "1" * 40, "old": None}]},
            {"updates": []},
            {"git_dir": 5},
            {"git_dir": "../../elsewhere"},
            {"worktrees": [5]},
            {"worktrees": ["worktrees/../.."]},
            {"begun": "yes"},
        ],
        ids=str,
    )
    def test_note_broken_by_hand_is_none(self, registry: Path, parts: dict[str, object]) -> None:
        assert self.load(registry, **parts) is None
        land(registry)
        assert snapshot(registry).leftovers == ()

    def test_note_as_deep_as_the_sea_is_none(self, registry: Path) -> None:
        path = registry / ".git" / "mreg" / "pending.json"
        path.parent.mkdir()
        path.write_text("[" * 100_000)
        land(registry)

    def load(self, registry: Path, **parts: object) -> Pending | None:
        path = registry / ".git" / "mreg" / "pending.json"
        path.parent.mkdir(exist_ok=True)
        updates = [{"ref": "refs/heads/main", "new": "1" * 40, "old": None}]
        path.write_text(json.dumps({"updates": updates, "git_dir": ".", "worktrees": ["."], "begun": True, **parts}))
        return Journal(path).load()


class TestRebase:
    """A branch that Git is rebasing goes where Git says at the end, and not where it was moved meanwhile."""

    def conflict(self, git: Git) -> None:
        """Makes two branches that change the same file."""
        for branch, text in (("other", "theirs\n"), ("main", "ours\n")):
            git("checkout", "--quiet", "-B", branch, "HEAD")
            Path("train.py").write_text(text)
            git("commit", "--quiet", "--all", f"--message=In {branch}")
            git("checkout", "--quiet", "main")

    @pytest.mark.parametrize("backend", ["--merge", "--apply"])
    @pytest.mark.parametrize("is_linked", [False, True])
    def test_branch_under_rebase_is_refused(
        self, registry: Path, tmp_path: Path, git: Git, backend: str, is_linked: bool
    ) -> None:
        self.conflict(git)
        folder = registry
        if is_linked:
            folder = tmp_path / "linked"
            git("checkout", "--quiet", "-b", "topic")
            git("worktree", "add", "--quiet", str(folder), "main")
        with pytest.raises(subprocess.CalledProcessError):
            git("rebase", "--quiet", backend, "other", cwd=folder)
        before = snapshot(registry)
        with pytest.raises(GitError, match="main is being rebased") as caught:
            land(registry)
        assert caught.value.hint == f"finish it, or abort it: git -C {folder} rebase --abort"
        assert snapshot(registry) == before
        land(registry, branch="another", parent=git("rev-parse", "HEAD"))
        git("rebase", "--abort", cwd=folder)
        land(registry)

    def test_rebase_in_a_worktree_that_is_gone_is_passed_over(self, registry: Path, tmp_path: Path, git: Git) -> None:
        self.conflict(git)
        git("checkout", "--quiet", "-b", "topic")
        git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
        with pytest.raises(subprocess.CalledProcessError):
            git("rebase", "--quiet", "other", cwd=tmp_path / "linked")
        shutil.rmtree(tmp_path / "linked")
        land(registry)

    def test_change_during_a_bisection_is_kept(self, registry: Path, git: Git) -> None:
        for number in range(3):
            git("commit", "--quiet", "--allow-empty", f"--message={number}")
        git("bisect", "start", "HEAD", "HEAD~3")
        commit = land(registry).commit
        git("bisect", "reset")
        assert git("rev-parse", "HEAD", "main") == f"{commit}\n{commit}"
        assert snapshot(registry).status == ""

    @pytest.mark.parametrize("command", ["cherry-pick", "am"])
    @pytest.mark.parametrize("end", ["--abort", "--continue"])
    def test_change_during_a_pick_is_kept(self, registry: Path, git: Git, command: str, end: str) -> None:
        self.conflict(git)
        args = ["am", "--quiet", "--3way"] if command == "am" else ["cherry-pick", "other"]
        patch = git("format-patch", "--stdout", "-1", "other") + "\n"
        with pytest.raises(subprocess.CalledProcessError):
            git(*args, input=patch)
        with pytest.raises(GitError):  # the conflict is in the index
            land(registry)
        Path("train.py").write_text("both\n")
        git("add", "train.py")
        commit = land(registry).commit
        env = {"GIT_EDITOR": "true"}
        git(command, end, env=env)
        git("merge-base", "--is-ancestor", commit, "main")
        assert Path(STAGE).read_bytes() == CHANGE[STAGE]


class TestWaiting:
    """A writer waits for another, and says so."""

    class Listener:
        def __init__(self) -> None:
            self.told: list[int | None] = []

        def waiting(self, pid: int | None) -> None:
            self.told.append(pid)

        def outrun(self, branch: str) -> None:
            pass

        def landing(self, branch: str, commit: str, remote: str) -> None:
            raise AssertionError

    def test_process_that_writes_is_named_once(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(publishing, "LOCK_TIMEOUT_S", 0.5)
        monkeypatch.setattr(pending, "_SILENT_S", 0.1)
        repo = GitRepository(registry)
        repo.listener = listener = self.Listener()
        with Publisher(GitRepository(registry)).locked():
            with pytest.raises(ConflictError) as caught, Publisher(repo).locked():
                pass
            assert pending.find_writer(repo.state_dir / "lock") == os.getpid()
        assert listener.told == [os.getpid()]
        assert caught.value.details["pid"] == os.getpid()

    def test_nobody_is_named_who_writes_no_more(self, registry: Path) -> None:
        repo = GitRepository(registry)
        assert pending.find_writer(repo.state_dir / "lock") is None
        repo.listener = listener = self.Listener()
        for _ in range(2):
            with Publisher(repo).locked():
                pass
        assert pending.find_writer(repo.state_dir / "lock") is None
        assert listener.told == []

    def test_process_that_has_not_said_is_none(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(publishing, "LOCK_TIMEOUT_S", 0.3)
        monkeypatch.setattr(pending, "_SILENT_S", 0.1)
        repo = GitRepository(registry)
        repo.listener = listener = self.Listener()
        with Publisher(GitRepository(registry)).locked():
            (repo.state_dir / "lock").write_text("")
            with pytest.raises(ConflictError), Publisher(repo).locked():
                pass
            assert pending.find_writer(repo.state_dir / "lock") == 0
        assert listener.told == [None]
