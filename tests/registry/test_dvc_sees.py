"""DVC on a registry's files: what is tracked, fetched and kept, in the repository and in a fresh clone."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.repo import Repo as DvcRepo

from mreg import Registry
from mreg.registry.setup.doctor import examine
from mreg.registry.setup.initialising import initialise
from tests.conftest import Git

HIDING = "# mine\n**/artifact/*\n!**/artifact/*.dvc\n"
"""What mreg wrote at first: dulwich, by which DVC reads it, then takes the folder itself for ignored."""

pytestmark = pytest.mark.filterwarnings("ignore")  # those of DVC


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    """A file and a directory with a YAML file in it, one version each."""
    registry = Registry.init(repo, remote=str(tmp_path / "remote"))
    (tmp_path / "model.bin").write_bytes(b"model")
    (tmp_path / "flavour" / "deep").mkdir(parents=True)
    (tmp_path / "flavour" / "conda.yaml").write_text("a: 1\n")
    (tmp_path / "flavour" / "deep" / "w.bin").write_bytes(b"weights")
    registry.register("churn", tmp_path / "model.bin")
    registry.register("fraud/eu", tmp_path / "flavour")
    return registry


def cached(repo: Path) -> int:
    return sum(path.is_file() for path in (repo / ".dvc" / "cache" / "files").rglob("*"))


def test_dvc_pull_in_a_clone_fetches_what_git_then_ignores(
    registry: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    git("clone", "-q", str(repo), str(tmp_path / "clone"))
    with DvcRepo(str(tmp_path / "clone")) as dvc:
        assert len(dvc.status()) == 2
        dvc.pull()
        assert dvc.status() == {}
    placed = tmp_path / "clone" / "registry"
    assert (placed / "churn/artifact/model.bin").read_bytes() == b"model"
    assert (placed / "fraud/eu/artifact/flavour/deep/w.bin").read_bytes() == b"weights"
    assert git("status", "--porcelain", cwd=tmp_path / "clone") == ""
    DvcRepo.get(str(tmp_path / "clone"), "registry/churn/artifact/model.bin", out=str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"model"


def test_dvc_gc_keeps_the_newest_versions(registry: Registry, repo: Path) -> None:
    before = cached(repo)
    with DvcRepo(str(repo)) as dvc:
        dvc.gc(workspace=True)
    assert cached(repo) == before > 0


def test_init_mends_an_ignore_file_that_hides_models_and_doctor_names_it(
    registry: Registry, repo: Path, git: Git
) -> None:
    assert [check.fix for check in examine(repo).checks if "DVC" in check.message] == []
    (repo / "registry" / ".gitignore").write_text(HIDING)
    git("commit", "-qam", "As it was")
    assert [check.fix for check in examine(repo).checks if "DVC" in check.message] == ["mreg init"]
    receipt = initialise(repo)
    assert receipt.plan.subject == "Let DVC see the models of the registry"
    assert git("show", "HEAD:registry/.gitignore") == "# mine\n**/artifact/?*\n!**/artifact/*.dvc"
    assert not initialise(repo).changed
    assert [check.fix for check in examine(repo).checks if "DVC" in check.message] == []
    with DvcRepo(str(repo)) as dvc:
        assert len(dvc.status()) == 2
