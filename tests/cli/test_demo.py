"""``mreg demo``: the main job from one end to the other, as the README promises it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.checks import check_refused
from tests.conftest import Git, Mreg


def test_demo_runs_to_its_end_and_prints_what_it_did(mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    result = mreg_here("-C", str(tmp_path), "demo", "scratch", cwd=Path("/"), check=0)
    place = tmp_path / "scratch" / "registry"
    steps = [line.split()[2] for line in result.out.splitlines() if line.startswith("$ mreg ")]
    assert steps == ["init", *["register"] * 3, "list", "compare", "promote", "best", "promote", "rollback", "history", "pull", "list"]  # fmt: skip
    assert result.err == ""
    assert f"git -C {place} log" in result.out
    assert git("tag", cwd=place).split() == [
        "churn#production#1", "churn#production#2", "churn#production#3", "churn@v1.0.0", "churn@v2.0.0", "churn@v3.0.0"
    ]  # fmt: skip
    assert git("fsck", "--strict", cwd=place) == ""
    assert (place / "served.json").read_bytes() != (place / "model.json").read_bytes()
    assert json.loads((place / "served.json").read_text())["features"]
    assert list((tmp_path / "scratch" / "dvc-remote").rglob("??/*"))
    check_refused(mreg_here("demo", str(tmp_path / "scratch")), 2, "is not empty", hint="mreg demo")
