"""A command that ends before its time says what became of its change: whoever runs it again must know."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mreg.cli.signals import Ended, orderly_end
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing import pending, publishing
from mreg.stores.git.writing.publishing import Publisher
from tests.conftest import Git, Mreg, Result
from tests.registry.test_killed import fake_git

ROLLBACK = ("rollback", "churn", "production", "--reason", "worse")
SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]


def run(git: Path, words: Sequence[str], **env: str) -> Result:
    """Runs a command in a process group of its own, with another `git`."""
    script = "import signal; from mreg.cli import main\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += "signal.signal(signal.SIGHUP, signal.SIG_DFL)\nraise SystemExit(main())"
    path = f"{git.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        encoding="utf-8",
        check=False,
        start_new_session=True,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def leftovers(repo: Path) -> list[str]:
    found = [*(repo / ".git").rglob("*.lock"), *(repo / ".git").rglob("pending*"), *repo.rglob(".mreg-*")]
    return [str(path) for path in found]


@pytest.mark.parametrize("number", SIGNALS)
def test_after_it_landed_it_says_so(churn: Path, tmp_path: Path, git: Git, number: signal.Signals) -> None:
    # `timeout` and a terminal send it to every process of the group.
    fake = fake_git(tmp_path, "update-ref", f'$git "$@"; kill -{number.value} 0; sleep 5')
    result = run(fake, ROLLBACK)
    commit = git("rev-parse", "main")
    assert result.code == 128 + number
    assert f"error: interrupted, but it landed as {commit[:12]} on main\n" in result.err
    assert f"hint: git show {commit[:12]}\n" in result.err
    assert "Traceback" not in result.err
    assert leftovers(churn) == []
    assert git("status", "--porcelain") == ""
    assert git("tag", "--list", "churn#production#3") == "churn#production#3"


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["read-tree", "unpack-objects"])
def test_before_it_landed_it_says_so(
    churn: Path, tmp_path: Path, git: Git, number: signal.Signals, command: str
) -> None:
    before = git("rev-parse", "main")
    result = run(fake_git(tmp_path, command, f"kill -{number.value} 0; sleep 5"), ROLLBACK)
    assert result.code == 128 + number
    assert "error: interrupted" in result.err
    assert "landed as" not in result.err
    assert "run the command again" in result.err
    assert git("rev-parse", "main") == before
    assert git("status", "--porcelain") == ""
    assert leftovers(churn) == []


def test_only_the_command_itself_is_told_to_end(churn: Path, tmp_path: Path, git: Git) -> None:
    before = git("rev-parse", "main")
    result = run(fake_git(tmp_path, "read-tree", "kill -TERM $PPID; exec sleep 60"), ROLLBACK)
    assert (result.code, git("rev-parse", "main")) == (143, before)
    assert leftovers(churn) == []


def test_as_json_it_has_the_commit(churn: Path, tmp_path: Path, git: Git) -> None:
    fake = fake_git(tmp_path, "update-ref", '$git "$@"; kill -TERM 0; sleep 5')
    error = json.loads(run(fake, [*ROLLBACK, "--format", "json"]).err)["error"]
    assert (error["code"], error["details"]) == ("interrupted", {"branch": "main", "commit": git("rev-parse", "main")})


@pytest.fixture
def hub(churn: Path, tmp_path: Path, git: Git) -> Path:
    git("clone", "--quiet", "--bare", str(churn), str(tmp_path / "hub.git"))
    git("remote", "add", "origin", str(tmp_path / "hub.git"))
    return tmp_path / "hub.git"


def test_after_the_remote_took_it_it_says_so(churn: Path, hub: Path, tmp_path: Path, git: Git, mreg: Mreg) -> None:
    before = git("rev-parse", "main")
    fake = fake_git(tmp_path, "push", '$git "$@"; kill -INT 0; sleep 5')
    result = run(fake, [*ROLLBACK, "--push"])
    commit = git("rev-parse", "main", cwd=hub)
    assert commit != before
    assert f"error: interrupted, but it landed as {commit[:12]} on main of origin\n" in result.err
    assert "hint: mreg sync --push\n" in result.err
    mreg("sync", "--push", check=0)
    assert git("rev-parse", "main") == commit
    assert leftovers(churn) == []


def test_while_it_is_pushed_nobody_knows(churn: Path, hub: Path, tmp_path: Path, git: Git) -> None:
    result = run(fake_git(tmp_path, "push", "kill -INT 0; sleep 5"), [*ROLLBACK, "--push"])
    assert "error: interrupted: it may have landed on origin\n" in result.err
    assert "hint: git fetch origin && git branch --remotes --contains " in result.err


def test_full_disk_below_the_output_does_not_hide_that_it_landed(churn: Path, git: Git) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mreg", *ROLLBACK],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    commit = git("rev-parse", "main")[:12]
    assert done.returncode == 6
    assert (
        f"standard output cannot be written: no space left on device, but it landed as {commit} on main" in done.stderr
    )
    assert f"hint: git show {commit}\n" in done.stderr


def test_who_is_waited_for_is_named(churn: Path, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "LOCK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(pending, "_SILENT_S", 0.1)
    for words in (ROLLBACK, ("sync",), ("register", "churn", "registry.yaml"), ("init",)):
        with Publisher(GitRepository(churn)).locked():
            result = mreg_here(*words, check=5)
        assert result.err.startswith(f"waiting for another mreg command that is writing here (pid {os.getpid()})\n")
        assert result.out == ""


class TestOrderlyEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_second_signal_does_not_disturb_what_the_first_began(self, number: signal.Signals) -> None:
        before = signal.signal(number, signal.SIG_DFL)
        with orderly_end():
            with pytest.raises(Ended):
                os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
        signal.signal(number, before)

    def test_signal_that_is_ignored_stays_so(self) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with orderly_end():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.signal(signal.SIGHUP, before)
