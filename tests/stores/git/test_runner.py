from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mreg.errors import GitError, OutsideError, UsageError
from mreg.stores.git.descendants import find_descendants
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, GitRunner, failure
from tests.conftest import Git
from tests.stores.git.conftest import land


def test_complete_gives_status_output_and_error(repo: Path) -> None:
    done = GitRunner(repo).complete("rev-parse", "--verify", "nothing")
    assert (done.status, done.stdout) == (128, b"")
    assert "Needed a single revision" in done.stderr


def test_run_failure_names_command_reason_and_status(repo: Path) -> None:
    with pytest.raises(GitError, match="git rev-parse failed: Needed a single revision") as caught:
        GitRunner(repo).run("rev-parse", "--verify", "nothing")
    assert caught.value.details["status"] == 128


def test_run_ten_megabytes_through_both_pipes_does_not_deadlock(repo: Path) -> None:
    content = os.urandom(1 << 20) * 10
    oid = GitRunner(repo).run("hash-object", "-w", "--stdin", stdin=content).decode().strip()
    assert GitRunner(repo).run("cat-file", "blob", oid) == content


def test_run_git_that_reads_no_input_is_no_error(repo: Path) -> None:
    assert GitRunner(repo).run("version", stdin=b"x" * (1 << 20)).startswith(b"git version")


@pytest.mark.parametrize("name", ["nul\0", "half a pair \ud800"])
def test_run_argument_that_cannot_be_one_is_refused(repo: Path, name: str) -> None:
    with pytest.raises(UsageError, match="git rev-parse"):
        GitRunner(repo).run("rev-parse", name)


def test_run_directory_gone_is_an_error_and_no_other_repository_answers(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(GitError, match="cannot change to"):
        GitRunner(tmp_path / "gone").run("rev-parse", "HEAD")


def test_run_works_where_the_current_directory_was_deleted(repo: Path, tmp_path: Path) -> None:
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    os.chdir(doomed)
    doomed.rmdir()
    try:
        assert len(GitRunner(repo).text("rev-parse", "HEAD")) == 40
    finally:
        os.chdir(tmp_path)


@pytest.mark.parametrize("is_in_hook", [False, True])
def test_no_git_on_path_is_a_clean_error_with_a_hint(tmp_path: Path, is_in_hook: bool) -> None:
    # In a process of its own: GitPython looks for Git when it is imported.
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "env").symlink_to(str(shutil.which("env")))
    script = (
        "from pathlib import Path\n"
        "from mreg.errors import GitError\n"
        "from mreg.stores.git.repository import GitRepository\n"
        "try:\n    GitRepository(Path('.'))\n"
        "except GitError as error:\n    print(error.message, '|', error.hint)\n"
    )
    env = {**os.environ, "PATH": str(bin_), **({"GIT_DIR": "/elsewhere"} if is_in_hook else {})}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "git was not found | install git (https://git-scm.com) and put it on PATH\n", done.stderr


def test_git_removed_later_is_a_clean_error(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = GitRunner(repo)
    runner.run("version")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "env").symlink_to(str(shutil.which("env")))
    monkeypatch.setenv("PATH", str(bin_))
    for name in ("", "GIT_DIR"):
        with monkeypatch.context() as patch:
            if name:
                patch.setenv(name, "/elsewhere")
            with pytest.raises(GitError, match="git was not found"):
                runner.run("version")


def test_git_that_may_not_be_executed_is_a_clean_error(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = GitRunner(repo)
    runner.run("version")
    (tmp_path / "git").write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutsideError, match="git could not be run"):
        runner.run("version")


def test_dubious_ownership_hint_is_git_s_own_command(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(GitError, match="dubious ownership") as caught:
        GitRepository(registry)
    assert caught.value.hint == f"git config --global --add safe.directory {registry}"


def test_failure_on_a_lock_names_the_file_to_remove() -> None:
    stderr = "fatal: Unable to create '/r/.git/refs/heads/main.lock': File exists.\n\nAnother git process"
    error = failure(("update-ref",), Completed(128, b"", stderr))
    assert error.hint.endswith("rm '/r/.git/refs/heads/main.lock'")


@pytest.mark.parametrize(
    ("said", "folder"),
    [
        (
            "error: unable to unlink old 'registry/churn/stages/production.yaml': Permission denied",
            "registry/churn/stages",
        ),
        ("error: unable to create file registry/churn/x.yaml: Permission denied", "registry/churn"),
        ("fatal: cannot create directory at 'registry/it is new': Permission denied", "registry"),
        ("fatal: cannot lock ref 'HEAD': Unable to create '/r/.git/HEAD.lock': Permission denied", "/r/.git"),
    ],
)
def test_failure_on_a_folder_that_may_not_be_written_to_names_it(said: str, folder: str) -> None:
    error = failure(("read-tree",), Completed(128, b"", f"{said}\n"), folder=Path("/work tree"))
    assert error.hint == f"check the permissions: ls -ld {shlex.quote(str(Path('/work tree', folder)))}"


def test_failure_of_a_login_is_not_taken_for_one_of_a_file() -> None:
    done = Completed(128, b"", "git@example.com: Permission denied (publickey).\nfatal: Could not read from remote.\n")
    assert failure(("fetch",), done).hint == ""


def test_failure_by_signal_says_so() -> None:
    error = failure(("read-tree",), Completed(-9, b"", ""))
    assert error.message == "git read-tree failed: signal 9 ended it"


HOOK = {
    "GIT_DIR": ".git",
    "GIT_WORK_TREE": "/elsewhere",
    "GIT_INDEX_FILE": "/elsewhere/index",
    "GIT_OBJECT_DIRECTORY": "/elsewhere/objects",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/elsewhere/more",
    "GIT_COMMON_DIR": "/elsewhere/common",
    "GIT_NAMESPACE": "elsewhere",
    "GIT_PREFIX": "sub/",
    "GIT_CONFIG": "/elsewhere/config",
    "GIT_SHALLOW_FILE": "/elsewhere/shallow",
    "GIT_ICASE_PATHSPECS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_GLOB_PATHSPECS": "0",
}


def test_environment_of_a_hook_changes_nothing(
    registry: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", "other", cwd=tmp_path)
    for name, value in HOOK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "other")
    repo = GitRepository(registry)
    assert repo.worktree == registry
    assert repo.config("user.useConfigOnly") == ["true"]
    commit = land(registry).commit
    assert repo.head() == commit
    for name in HOOK:
        monkeypatch.delenv(name)
    assert git("status", "--porcelain", cwd=registry) == ""
    assert git("rev-parse", "HEAD", cwd=registry) == commit


def test_real_hook_of_another_repository_reads_and_writes_the_one_asked_for(
    registry: Path, tmp_path: Path, git: Git
) -> None:
    other = tmp_path / "other"
    git("init", "--quiet", str(other))
    hook = other / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!{sys.executable}\n"
        "from pathlib import Path\n"
        "from tests.stores.git.conftest import land\n"
        f"print(land(Path({str(registry)!r})).commit)\n"
    )
    hook.chmod(0o755)
    (other / "file").write_text("x")
    git("add", "file", cwd=other)
    env = {"PYTHONPATH": str(Path(__file__).parents[3])}
    git("-c", "core.hooksPath=.git/hooks", "commit", "--quiet", "--message=x", cwd=other, env=env)
    assert git("log", "-1", "--format=%s", cwd=registry) == "Change it"
    assert git("log", "--format=%s", cwd=other) == "x"


def test_quarantined_objects_are_read_in_a_pre_receive_hook(registry: Path, tmp_path: Path, git: Git) -> None:
    git("clone", "--quiet", "--bare", str(registry), "server.git", cwd=tmp_path)
    hook = tmp_path / "server.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom pathlib import Path\n"
        "from mreg.stores.git.repository import GitRepository\n"
        "old, new, ref = sys.stdin.read().split()\n"
        "print(GitRepository(Path('.')).log(new, [], since=old)[0].subject, file=open('said', 'w'))\n"
    )
    hook.chmod(0o755)
    git("commit", "--quiet", "--allow-empty", "--message=Pushed", cwd=registry)
    git("-c", f"core.hooksPath={hook.parent}", "push", "--quiet", "../server.git", "main", cwd=registry)
    assert (tmp_path / "server.git" / "said").read_text() == "Pushed\n"


def test_hooks_are_not_executed(registry: Path, git: Git) -> None:
    hooks = registry / ".git" / "our hooks"
    hooks.mkdir()
    names = ("pre-commit", "commit-msg", "post-checkout", "post-index-change", "reference-transaction", "post-merge")
    for name in (*names, "fsmonitor"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> '{registry}/.git/ran'\n")
        (hooks / name).chmod(0o755)
    git("config", "core.hooksPath", str(hooks), cwd=registry)
    git("config", "core.fsmonitor", str(hooks / "fsmonitor"), cwd=registry)
    land(registry, tags=["churn@v2.0.0"])
    assert not (registry / ".git" / "ran").exists()


def test_replacements_and_grafts_are_ignored(registry: Path, git: Git) -> None:
    commit = git("rev-parse", "HEAD", cwd=registry)
    stand_in = git("commit-tree", "-m", "Another story", "HEAD~^{tree}", cwd=registry)
    git("replace", commit, stand_in, cwd=registry)
    (registry / ".git" / "info").mkdir(exist_ok=True)
    (registry / ".git" / "info" / "grafts").write_text(f"{commit}\n")
    assert git("log", "--format=%s", cwd=registry) == "Another story"
    assert [each.subject for each in GitRepository(registry).log("HEAD", [])] == ["Begin", "Registry"]


def test_stream_gives_all_that_git_prints(repo: Path) -> None:
    runner = GitRunner(repo)
    assert b"".join(runner.stream("rev-list", "HEAD")) == runner.run("rev-list", "HEAD")


def test_stream_failure_is_the_one_of_run(repo: Path) -> None:
    with pytest.raises(GitError, match="git rev-list failed: ambiguous argument 'nothing'"):
        list(GitRunner(repo).stream("rev-list", "nothing"))


@pytest.mark.parametrize("end", [KeyboardInterrupt, GeneratorExit])
def test_stream_that_nobody_reads_on_ends_its_git(repo: Path, end: type[BaseException]) -> None:
    runner = GitRunner(repo)
    pieces = runner.stream("-c", "alias.endless=!yes", "endless")

    def read_one() -> None:
        with closing(pieces):
            assert next(pieces).startswith(b"y\n")
            assert find_descendants(os.getpid())
            raise end

    with pytest.raises(end):
        read_one()
    assert find_descendants(os.getpid()) == []


def test_stream_ten_megabytes_of_complaints_do_not_deadlock(repo: Path) -> None:
    loud = "alias.loud=!yes | head -c 10000000 >&2; echo said"
    assert list(GitRunner(repo).stream("-c", loud, "loud")) == [b"said\n"]
