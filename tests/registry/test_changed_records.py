"""A record that a later commit changed: what counts is what was registered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mreg import Registry
from mreg.errors import DataError, IncompleteHistoryError
from tests.conftest import Git, Mreg

RECORD = "registry/churn/versions/v{}.0.0.yaml"


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    """Three versions of churn; production holds v2, and held v1."""
    registry = Registry.init(repo, remote=str(tmp_path / "remote"))
    for number in (1, 2, 3):
        path = tmp_path / "model.bin"
        path.write_bytes(b"model %d" % number)
        registry.register("churn", path, metrics={"auc": number / 10})
    for number in (1, 2):
        registry.promote(f"churn@v{number}", "production", reason="x")
    return registry


def swap(repo: Path, git: Git, number: int = 2) -> str:
    """Lets a record name the bytes of v1, in a commit of its own, which is returned."""
    mine, other = (repo / RECORD.format(each) for each in (number, 1))
    text = mine.read_text()
    for key in ("md5", "sha256"):
        text = re.sub(rf"{key}: \w+", re.search(rf"{key}: \w+", other.read_text())[0], text)  # type: ignore[index]
    mine.write_text(text)
    git("commit", "-qam", "Tidy", cwd=repo)
    return git("rev-parse", "HEAD", cwd=repo)


def test_pull_gives_the_bytes_that_were_registered(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    commit = swap(repo, git)
    for selector in ("churn@v2", "churn@production"):
        pulled = registry.pull(selector, tmp_path / selector)
        assert pulled.path.read_bytes() == b"model 2"
        assert [commit[:12] in note and "mreg verify" in note for note in pulled.notices] == [True]
    assert registry.pull("churn@v1", tmp_path / "v1").notices == ()


def test_pull_says_so_on_stderr_and_in_json(registry: Registry, repo: Path, git: Git, mreg_here: Mreg) -> None:
    swap(repo, git)
    result = mreg_here("pull", "churn@v2", "-o", "out.bin", check=0)
    assert result.out == f"{repo / 'out.bin'}\n"
    assert result.err.startswith("note: registry/churn/versions/v2.0.0.yaml: commit ")
    assert '"notices": [\n    "registry/churn' in mreg_here("pull", "churn@v2", "-o", "out.bin", "-f", "json").out


@pytest.mark.parametrize("act", ["promote", "approve"])
def test_no_version_goes_forward_on_a_changed_record(registry: Registry, repo: Path, git: Git, act: str) -> None:
    commit = swap(repo, git, 3)
    with pytest.raises(DataError, match=commit[:12]) as caught:
        getattr(registry, act)("churn@v3", "production", reason="x")
    assert "mreg verify" in caught.value.hint
    git("revert", "--no-edit", "HEAD", cwd=repo)
    assert getattr(registry, act)("churn@v3", "production", reason="x").changed


def test_rollback_goes_back_to_what_was_registered(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    (repo / RECORD.format(1)).write_text("nothing\n")
    git("commit", "-qam", "Break it", cwd=repo)
    assert registry.rollback("churn", "production", reason="outage").tags == ("churn#production#3",)
    assert registry.pull("churn@production", tmp_path / "out").path.read_bytes() == b"model 1"


def test_gates_ask_what_was_registered(registry: Registry, repo: Path, git: Git) -> None:
    (repo / "registry.yaml").write_text("schema: 1\nstages: {production: {gates: [{metric: auc, min: 0.5}]}}\n")
    record = repo / RECORD.format(3)
    record.write_text(record.read_text().replace("auc: 0.3", "auc: 0.9"))
    git("commit", "-qam", "Polish", cwd=repo)
    stage = repo / "registry/churn/stages/production.yaml"
    stage.write_text("version: v3.0.0\n")
    git("commit", "-qam", "Promote by hand", cwd=repo)
    assert "rule-metric" in [fault.code for fault in registry.verify().faults]


def test_pull_in_a_shallow_clone_goes_by_the_tag(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    swap(repo, git)
    git("clone", "-q", "--depth=1", f"file://{repo}", str(tmp_path / "shallow"), cwd=tmp_path)
    shallow = Registry.open(tmp_path / "shallow")
    pulled = shallow.pull("churn@v2", tmp_path / "out")
    assert [note.partition(":")[0] for note in pulled.notices] == ["this clone is shallow"]
    git("fetch", "-q", "--depth=1", "origin", "tag", "churn@v2.0.0", "tag", "churn@v3.0.0", cwd=tmp_path / "shallow")
    assert shallow.pull("churn@v3", tmp_path / "v3").notices == ()
    with pytest.raises(IncompleteHistoryError, match=r"churn@v2\.0\.0"):
        shallow.pull("churn@v2", tmp_path / "v2")
