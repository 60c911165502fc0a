"""What is asked for on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Git

PROMOTE = [sys.executable, "-m", "mreg", "promote", "churn@v3", "staging"]


@pytest.mark.parametrize(("typed", "code"), [("better recall\n", 0), ("\x04", 130)])
def test_promote_on_a_terminal_asks_for_the_reason(typed: str, code: int, churn: Path, git: Git) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = subprocess.run(PROMOTE, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    assert done.returncode == code, shown
    assert "Reason:" in shown
    if code:
        assert "\nerror: interrupted\n" in shown
    else:
        assert git("log", "-1", "--format=%b").startswith("better recall\n")
