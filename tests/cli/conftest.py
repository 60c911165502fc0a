"""A registry with a short history, made once and copied for every test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg

SETTINGS = """\
schema: 1
branch: main
stages:
  staging: {}
  production: {}
metrics:
  auc: {direction: higher, format: .3f}
  latency_ms: {direction: lower, unit: ms}
"""


@pytest.fixture(scope="session")
def _churn_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("churn") / "repo"


@pytest.fixture
def churn(
    _churn_template: Path, repo: Path, tmp_path: Path, mreg_here: Mreg, git: Git, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A registry with v1, v2 and v3 of churn; production held v1 and now holds v2.  The working directory."""
    if not _churn_template.exists():
        _make(repo, tmp_path, mreg_here, git)
        shutil.copytree(repo, _churn_template)
    shutil.rmtree(repo)
    shutil.copytree(_churn_template, repo)
    monkeypatch.chdir(repo)
    return repo


def _make(repo: Path, tmp_path: Path, mreg_here: Mreg, git: Git) -> None:
    (repo / ".git" / "info").mkdir(exist_ok=True)
    (repo / ".git" / "info" / "exclude").write_text("/store/\n")
    mreg_here("init", "--remote", "store", cwd=repo, check=0)
    (repo / "registry.yaml").write_text(SETTINGS)
    git("commit", "--quiet", "--all", "--message=Declare the metrics", cwd=repo)
    model = tmp_path / "model.bin"
    for number, auc, latency in ((1, "0.902", "20"), (2, "0.913", "30"), (3, "0.91", "25")):
        model.write_bytes(b"churn %d" % number)
        facts = ("--metric", f"auc={auc}", "--metric", f"latency_ms={latency}", "--param", f"depth={number}")
        mreg_here("register", "churn", str(model), *facts, "--trained-at", "2026-01-01", cwd=repo, check=0)
    mreg_here("promote", "churn@v1", "production", "--reason", "first", cwd=repo, check=0)
    why = ("--reason", "AUC 0.913 against 0.902", "--approved-by", "jane@example.com")
    mreg_here("promote", "churn@v2", "production", *why, cwd=repo, check=0)
    model.unlink()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An artifact that is not registered yet, outside of the repository."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"churn 4")
    return path
