"""Machines whose clocks are years off: order comes from the history, and everything that sorts by time still agrees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mreg import Registry
from tests.conftest import Git
from tests.faults.proof import check_clone, check_registry
from tests.registry.teams import Team, found

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed: apt-get install faketime"),
]
CLOCKS = {"past": "-20y", "future": "+20y", "now": "+0"}
TURNS = (
    ("future", "promote", "churn@v1", "production"),
    ("past", "promote", "churn@v2", "production"),
    ("past", "register", "churn", "model.bin"),
    ("now", "rollback", "churn", "production"),
    ("past", "clear", "churn", "production"),
    ("now", "promote", "churn@v4", "production"),
)


def run(clone: Path, clock: str, *args: str) -> dict[str, object]:
    env = {name: text for name, text in os.environ.items() if not name.endswith("_DATE")}
    command = ["faketime", "-f", CLOCKS[clock], sys.executable, "-m", "mreg", *args, "--push", "--format", "json"]
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    receipt: dict[str, object] = json.loads(done.stdout)
    return receipt


def test_writers_whose_clocks_are_years_off_agree_on_the_order(repo: Path, tmp_path: Path, git: Git) -> None:
    (tmp_path / "made").mkdir()
    team: Team = found(tmp_path / "made", repo, tmp_path, git)
    clones = {clock: team.clone(clock) for clock in CLOCKS}
    (tmp_path / "model.bin").write_bytes(b"model 4")
    for number, (clock, *args) in enumerate(TURNS):
        words = [str(tmp_path / word) if word == "model.bin" else word for word in args]
        why = ["--notes" if args[0] == "register" else "--reason", f"turn {number}"]
        assert run(clones[clock], clock, *words, *why)["changed"]
    for clone in clones.values():
        Registry.open(clone).sync(push=True)
        check_clone(git, clone, team.bare)
    fresh = check_registry(git, team.bare, tmp_path / "fresh")
    moves = Registry.open(fresh).history("churn", "production").transitions
    assert [each.reason for each in reversed(moves)] == ["turn 0", "turn 1", "turn 3", "turn 4", "turn 5"]
    years = [each.at.year for each in moves]
    assert years != sorted(years)
    assert years != sorted(years, reverse=True)
    assert str(Registry.open(fresh).show("churn@production").record.version) == "v4.0.0"
    assert str(Registry.open(fresh).versions("churn").versions[0].version) == "v4.0.0"
