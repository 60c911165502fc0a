"""The seal itself: what it shuts out, and that both ways to run mreg give one answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg


def test_seal_environment_holds_nothing_of_the_machine() -> None:
    assert not [name for name in os.environ if name.startswith(("AWS_ACCESS", "AWS_CA", "CI", "GITHUB_", "GITLAB_"))]
    assert list(Path.home().iterdir()) == []
    assert Path.cwd() != Path(__file__).parents[1]


def test_seal_identity_is_pinned_and_dates_advance(git: Git, repo: Path) -> None:
    git("commit", "--allow-empty", "--message=One")
    git("commit", "--allow-empty", "--message=Two")
    times = git("log", "--format=%at %ct %an <%ae>").splitlines()
    seconds = [int(line.split()[0]) for line in times]
    assert seconds == sorted(set(seconds), reverse=True)
    assert all(line.endswith("Ada Author <ada@example.com>") for line in times)
    assert git("status", "--porcelain", cwd=repo) == ""


def test_seal_empty_repo_is_on_main_without_commits(git: Git, empty_repo: Path) -> None:
    assert git("symbolic-ref", "HEAD", cwd=empty_repo) == "refs/heads/main"
    with pytest.raises(subprocess.CalledProcessError):
        git("rev-parse", "--verify", "HEAD")


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1"])
def test_seal_network_beyond_loopback_fails(host: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="reached for the network"):
        socket.create_connection((host, 80))
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match="reached for the network"):
        client.connect((host, 80))


def test_seal_loopback_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.slow
def test_seal_file_in_home_fails_the_test(tmp_path: Path) -> None:
    outer = tmp_path / "tests"
    outer.mkdir()
    (outer / "conftest.py").write_bytes(Path(__file__).with_name("conftest.py").read_bytes())
    (outer / "test_stray.py").write_text(
        "from pathlib import Path\n\ndef test_stray():\n    (Path.home() / '.stray').touch()\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(outer)],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "the test wrote to the user's home" in done.stdout


@pytest.mark.parametrize("args", [("--version",), ("--help",), ("list",), ("no-such-command",)])
def test_mreg_here_equals_mreg(args: tuple[str, ...], mreg: Mreg, mreg_here: Mreg, repo: Path) -> None:
    assert mreg_here(*args, cwd=repo) == mreg(*args, cwd=repo)
