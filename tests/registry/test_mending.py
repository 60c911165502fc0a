"""What doctor says of each fault mends it, when it is pasted into a shell; or says that nothing does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mreg import Registry
from mreg.registry.setup.doctor import examine
from tests.conftest import Git

STAGE = "registry/churn/stages/production.yaml"
RECORD = "registry/churn/versions/v1.0.0.yaml"


@pytest.fixture
def registry(repo: Path, tmp_path: Path, git: Git) -> Registry:
    """Two versions of churn, both in production in turn; pushed."""
    git("init", "-q", "--bare", str(tmp_path / "hub.git"))
    registry = Registry.init(repo, remote=str(tmp_path / "remote"))
    for number in (1, 2):
        (tmp_path / "model.bin").write_bytes(b"model %d" % number)
        registry.register("churn", tmp_path / "model.bin")
        registry.promote(f"churn@v{number}", "production", reason="x")
    git("remote", "add", "origin", str(tmp_path / "hub.git"))
    git("push", "-q", "--tags", "origin", "main")
    return registry


def faults(repo: Path) -> list[str]:
    return [check.fix for check in examine(repo).checks if not check.ok]


def paste(repo: Path, fix: str) -> None:
    done = subprocess.run(["bash", "-c", fix], cwd=repo, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, (fix, done.stderr)


def commit(repo: Path, git: Git, path: str, text: str) -> None:
    (repo / path).parent.mkdir(parents=True, exist_ok=True)
    (repo / path).write_text(text)
    git("add", "--force", path)
    git("commit", "-qm", "By hand")


@pytest.mark.parametrize("path", [STAGE, "registry/churn/stages/o ops.txt", "registry/$(touch pwned)"])
def test_fix_of_a_file_mends_it(registry: Registry, repo: Path, git: Git, path: str) -> None:
    commit(repo, git, path, "version: [v1\n")
    git("push", "-q", "origin", "main")
    fixes = faults(repo)
    assert fixes
    paste(repo, fixes[0])
    assert git("status", "--porcelain") == ""
    assert [fix for fix in faults(repo) if not fix.startswith("nothing: it is right again")] == []
    assert not (repo / "pwned").exists()


def test_fix_of_a_record_puts_back_what_was_registered(registry: Registry, repo: Path, git: Git) -> None:
    for text in ("nothing\n", None):
        if text is None:
            git("rm", "-q", RECORD)
            git("commit", "-qm", "Delete it")
        else:
            commit(repo, git, RECORD, text)
        paste(repo, faults(repo)[-1])
        assert {fix.partition(":")[0] for fix in faults(repo)} == {"nothing"}
    assert registry.promote("churn@v1", "staging", reason="x").changed


def test_fix_of_a_tag_takes_it_out_of_the_way_here_and_there(registry: Registry, repo: Path, git: Git) -> None:
    git("tag", "churn#production#9", "HEAD")
    git("tag", "-a", "-m", "x", "churn@v7.0.0", "HEAD")
    git("tag", "-f", "-a", "-m", "x", "churn@v2.0.0", "HEAD")
    git("push", "-q", "--force", "--tags", "origin")
    found = sorted(faults(repo), key=lambda fix: "mreg sync" in fix)
    assert len(found) == 3
    for fix in found:
        assert "# only if nobody needs it" in fix
        paste(repo, fix)
    assert faults(repo) == []
    git("push", "-q", "--tags", "origin")
    there = git("ls-remote", "--tags", "--refs", "origin").split()[1::2]
    assert there == [f"refs/tags/{name}" for name in git("tag").split()]
    git("tag", "-d", "churn@v1.0.0")
    paste(repo, faults(repo)[0])
    assert faults(repo) == []


def test_fix_of_an_approval_is_none(registry: Registry, repo: Path, git: Git) -> None:
    registry.approve("churn@v1", "production")
    path = git("ls-files", "registry/churn/approvals")
    commit(repo, git, path, (repo / path).read_text() + "reason: y\n")
    git("push", "-q", "origin", "main")
    assert any(fix.startswith("nothing: it does not count") for fix in faults(repo))
