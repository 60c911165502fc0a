"""``.pre-commit-hooks.yaml``: pre-commit installs the hook, and it refuses what may not land."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mreg.stores import yaml
from tests.actions.conftest import OFFLINE, ROOT
from tests.conftest import Git


def hook() -> dict[str, object]:
    found = yaml.load_foreign((ROOT / ".pre-commit-hooks.yaml").read_bytes(), ".pre-commit-hooks.yaml")
    assert isinstance(found, list)
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize(
    ("path", "is_asked"),
    [
        ("registry.yaml", True),
        ("dvc.yaml", True),
        ("registry/churn/stages/production.yaml", True),
        ("ml/models/fraud/eu/versions/v1.0.0.yaml", True),
        ("registry/churn/approvals/v3.0.0/production/jane.yaml", True),
        ("registry/churn/artifact/model.pkl.dvc", True),
        ("src/train.py", False),
        ("docs/registry.yaml", False),
        ("stages/production.yaml", False),
    ],
)
def test_hook_is_asked_of_the_files_of_a_registry_alone(path: str, is_asked: bool) -> None:
    assert bool(re.search(str(hook()["files"]), path)) == is_asked


@pytest.mark.slow
def test_hook_refuses_a_commit_that_may_not_land(
    churn: Path, action: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "mreg"
    shutil.copytree(action, source)
    git("init", "--quiet", cwd=source)
    git("add", "--all", cwd=source)
    git("commit", "--quiet", "--message=mreg", cwd=source)
    rev = git("rev-parse", "HEAD", cwd=source)
    Path(".pre-commit-config.yaml").write_text(
        f"repos: [{{repo: '{source}', rev: {rev}, hooks: [{{id: mreg-check}}]}}]\n"
    )
    git("add", ".pre-commit-config.yaml")
    for name, value in {**OFFLINE, "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"), "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)

    def commit() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "run", "--color=never", "--verbose"]
        return subprocess.run(command, env=os.environ, capture_output=True, encoding="utf-8", check=False)

    done = commit()
    assert (done.returncode, "no files to check" in done.stdout) == (0, True), done.stdout + done.stderr
    stage = Path("registry/churn/stages/staging.yaml")
    for version, code in (("v3.0.0", 0), ("v9.0.0", 1)):
        stage.write_text(f"version: {version}\n")
        git("add", str(stage))
        done = commit()
        assert done.returncode == code, done.stdout + done.stderr
    assert "v9.0.0" in done.stdout
