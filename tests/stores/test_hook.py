"""The command that is told of a version: how it is run, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mreg.stores.serving.hook import run_hook
from tests.hosts import check_ended


def run(
    command: Sequence[str], *, timeout_s: float = 30, is_stopped: Callable[[], bool] = lambda: False, **variables: str
) -> str:
    return run_hook(command, variables, timeout_s=timeout_s, is_stopped=is_stopped)


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_hook_gets_its_variables_no_input_and_no_shell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "import os, sys; print(os.environ['MREG_VERSION'], sys.stdin.read(), sys.argv[1:], os.environ['HOME'])"
    assert run([*python(script), "$(id)", ";", "a b"], MREG_VERSION="v1.0.0") == ""
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"v1.0.0  ['$(id)', ';', 'a b'] {os.environ['HOME']}\n")
    assert "MREG_VERSION" not in os.environ


@pytest.mark.parametrize(
    ("script", "why"), [("exit 3", "'sh' failed with exit status 3"), ("kill -9 $$", "'sh' was ended by signal 9")]
)
def test_hook_that_fails_says_how(script: str, why: str) -> None:
    assert run(["sh", "-c", script]) == why


def test_hook_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert run([str(tmp_path / "none")]) == f"'{tmp_path / 'none'}' cannot be started: no such file or directory"


def test_hook_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    # It ignores the first signal, so that the second must come.
    script = f"import signal, time; signal.signal(15, signal.SIG_IGN); print({os.getpid()}); time.sleep(60)"
    child = f"{sys.executable} -c '{script}'"
    assert run(["sh", "-c", f"{child} & wait"], timeout_s=0.5) == "'sh' did not end within 0.5 s, and was ended"
    check_ended(script)


def test_hook_ends_when_the_watch_does(tmp_path: Path) -> None:
    started = tmp_path / "started"
    why = run(["sh", "-c", f"echo > {started}; exec sleep 60"], is_stopped=started.exists)
    assert why == "'sh' was ended"


def test_hook_what_it_leaves_running_is_its_own_affair(tmp_path: Path) -> None:
    assert run(["sh", "-c", f"sleep 60 > /dev/null 2>&1 & echo $! > {tmp_path / 'pid'}"]) == ""
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it is still there
