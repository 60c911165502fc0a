"""What others can put in a registry's way, and what its user asks for that cannot be: the rest goes on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.names import ModelName, parse_version
from mreg.core.writing.plan import Plan
from mreg.errors import GitError, RefusedError, UsageError
from mreg.registry.storage.taken_tags import refuse_foreign_tag
from mreg.registry.writing.view import View
from mreg.registry.writing.writer import Writer
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git, Mreg
from tests.registry.test_registry import add

PLACE = "refs/tags/churn#production#3/foo"


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    """Version 1 and 2 of churn; both were in production, the second is."""
    registry = Registry.init(repo, remote=str(tmp_path / "remote"))
    for number in (1, 2):
        add(registry, tmp_path, number)
        registry.promote(f"churn@v{number}", "production", reason="better")
    return registry


@pytest.fixture
def hub(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> Path:
    """A remote that has it all."""
    git("clone", "--quiet", "--bare", str(repo), str(tmp_path / "hub.git"))
    git("remote", "add", "origin", str(tmp_path / "hub.git"))
    return tmp_path / "hub.git"


class TestTags:
    """A tag that anybody may push, below the name of one that the registry will need."""

    def test_it_is_a_finding_before_it_does_harm(self, registry: Registry, git: Git, mreg_here: Mreg) -> None:
        git("tag", "--annotate", "--message=x", "churn#production#3/foo")
        (finding,) = registry.sync().findings
        assert (finding.code, finding.place) == ("blocking-tag", PLACE)
        assert "churn#production#3 beside it: delete it" in finding.message
        assert PLACE in mreg_here("doctor", check=1).out

    @pytest.mark.parametrize("name", ["release/x", "parser@v1.0.0/x", "churn@latest/x", "churn/x"])
    def test_others_are_no_finding(self, registry: Registry, git: Git, name: str) -> None:
        git("tag", "--annotate", "--message=x", name)
        assert registry.sync().findings == ()

    def test_stage_changes_all_the_same_and_the_tag_comes_later(
        self, registry: Registry, git: Git, mreg_here: Mreg
    ) -> None:
        git("tag", "--annotate", "--message=x", "churn#production#3/foo")
        receipt = registry.rollback("churn", "production", reason="worse")
        assert receipt.commit == git("rev-parse", "main")
        assert receipt.tags == ()
        (notice,) = receipt.notices
        assert notice.startswith("refs/tags/churn#production#3: churn#production#3/foo is in the way of 'Roll back ")
        assert [each.code for each in registry.sync().findings] == ["taken-tag"]
        diagnosis = json.loads(mreg_here("doctor", "--format", "json", check=1).out)
        (fix,) = (each["fix"] for each in diagnosis["checks"] if each["name"] == "tags")
        delete, *_ = fix.split(" && ")
        git(*shlex.split(delete)[1:])
        assert registry.sync().created == ("churn#production#3",)

    def test_version_tag_that_nothing_explains_is_told_with_what_deletes_it(
        self, registry: Registry, tmp_path: Path, git: Git
    ) -> None:
        git("tag", "--annotate", "--message=x", "churn@v3.0.0")
        with pytest.raises(RefusedError, match=r"churn@v3\.0\.0 exists already") as caught:
            add(registry, tmp_path, 3)
        assert caught.value.hint.startswith("git tag -d churn@v3.0.0   #")
        assert caught.value.hint.endswith("--version v4.0.0")

    def test_version_tag_that_another_process_made_meanwhile_is_not_refused(
        self, registry: Registry, repo: Path, tmp_path: Path, git: Git
    ) -> None:
        views: list[View] = []

        def keep(view: View) -> Plan:
            views.append(view)
            raise EOFError

        with pytest.raises(EOFError):
            Writer(GitRepository(repo)).write(ModelName("churn"), keep, dry_run=True)
        assert add(registry, tmp_path, 3) == "v3.0.0"
        refuse_foreign_tag(views[0], parse_version("v3"), is_pushed=False)
        git("update-ref", "refs/heads/main", "main~1")
        with pytest.raises(RefusedError, match="no record on this branch explains it"):
            refuse_foreign_tag(views[0], parse_version("v3"), is_pushed=False)

    def test_receipt_says_when_the_tag_can_be_made(self, registry: Registry, git: Git, mreg_here: Mreg) -> None:
        git("tag", "--annotate", "--message=x", "churn#production#3/foo")
        result = mreg_here("rollback", "churn", "production", "--reason", "worse", check=0)
        assert "mreg doctor   # shows what blocks its tags, and how to fix it" in result.out

    def test_version_is_registered_all_the_same(self, registry: Registry, tmp_path: Path, git: Git) -> None:
        git("tag", "--annotate", "--message=x", "churn@v3.0.0/foo/bar")
        assert add(registry, tmp_path, 3) == "v3.0.0"
        assert [each.place for each in registry.sync().findings] == ["refs/tags/churn@v3.0.0"]

    def test_stage_changes_on_the_remote_too(self, registry: Registry, hub: Path, git: Git) -> None:
        git("tag", "--annotate", "--message=x", "churn#production#3/foo", "main", cwd=hub)
        receipt = registry.rollback("churn", "production", reason="worse", push=True)
        assert (receipt.tags, receipt.remote) == ((), "origin")
        assert git("rev-parse", "main", cwd=hub) == receipt.commit
        git("push", "--quiet", "origin", "--delete", PLACE)
        git("tag", "--delete", "churn#production#3/foo")
        assert registry.sync(push=True).created == ("churn#production#3",)
        assert git("rev-parse", "churn#production#3", cwd=hub)

    def test_tag_that_is_here_already_does_not_land_and_the_rest_does(
        self, registry: Registry, hub: Path, tmp_path: Path, git: Git
    ) -> None:
        registry.rollback("churn", "production", reason="worse", push=False)
        git("tag", "--annotate", "--message=x", "churn#production#3/foo", "main", cwd=hub)
        receipt = registry.promote("churn@v2", "staging", reason="again", push=True)
        assert receipt.tags == ("churn#staging#4",)
        assert git("rev-parse", "main", cwd=hub) == receipt.commit
        assert git("tag", "--list", "*#[34]*", cwd=hub).split("\n") == ["churn#production#3/foo", "churn#staging#4"]

    def test_sync_says_what_the_remote_cannot_have(self, registry: Registry, hub: Path, git: Git) -> None:
        registry.rollback("churn", "production", reason="worse", push=False)
        git("tag", "--annotate", "--message=x", "churn#production#3/foo", "main", cwd=hub)
        report = registry.sync(push=True)
        (finding,) = report.findings
        assert (finding.code, finding.place) == ("taken-tag", "refs/tags/churn#production#3")
        assert finding.message.endswith("git push origin --delete 'refs/tags/churn#production#3/foo'")
        assert git("rev-parse", "main", cwd=hub) == git("rev-parse", "main")
        git("push", "--quiet", "origin", "--delete", PLACE)
        assert registry.sync(push=True).findings == ()
        assert git("rev-parse", "churn#production#3", cwd=hub) == git("rev-parse", "churn#production#3")


class TestNames:
    @pytest.mark.parametrize("branch", ["main/sub", "x" * 300], ids=["folder", "long"])
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_branch_that_cannot_be_is_refused(self, registry: Registry, repo: Path, branch: str, dry_run: bool) -> None:
        with pytest.raises(UsageError, match="branch"):
            registry.promote("churn@v1", "staging", reason="x", branch=branch, dry_run=dry_run)
        assert not list((repo / ".git").rglob("*.lock"))
        registry.promote("churn@v1", "staging", reason="x", branch="main-sub")

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_artifact_with_too_long_a_name_is_refused_before_it_is_read(
        self, registry: Registry, repo: Path, tmp_path: Path, git: Git, dry_run: bool
    ) -> None:
        path = tmp_path / ("ü" * 126)
        path.write_bytes(b"model 3")
        before = git("rev-parse", "main")
        with pytest.raises(UsageError, match="252 bytes long") as caught:
            registry.register("churn", path, dry_run=dry_run)
        assert "251 are the most" in caught.value.message
        assert git("rev-parse", "main") == before
        assert not list((repo / ".git").rglob("*.lock"))
        longest = path.rename(tmp_path / ("x" * 251))
        receipt = registry.register("churn", longest)
        assert receipt.commit == git("rev-parse", "main")
        assert registry.pull("churn@v3", into=tmp_path / "out").path.name == "x" * 251


def test_branch_under_rebase_is_refused_with_what_to_do(
    registry: Registry, repo: Path, git: Git, mreg_here: Mreg
) -> None:
    git("branch", "side", "main~1")
    git("-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "--quiet", "--interactive", "main~1")
    refused = mreg_here("rollback", "churn", "production", "--reason", "x", check=6)
    assert "main is being rebased" in refused.err
    assert f"git -C {repo} rebase --abort" in refused.err
    with pytest.raises(GitError):
        registry.promote("churn@v1", "staging", reason="x")
    git("rebase", "--abort")
    registry.promote("churn@v1", "staging", reason="x")
