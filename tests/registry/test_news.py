"""What a sync in CI hands on to be deployed: every transition once, whoever made its tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.results import SyncReport
from tests.conftest import Git


@pytest.fixture
def clones(repo: Path, tmp_path: Path, git: Git) -> tuple[Registry, Registry]:
    """Two clones of one registry: of who promotes, and of CI."""
    bare = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", str(bare))
    git("remote", "add", "origin", str(bare))
    registry = Registry.init(repo, remote=str(tmp_path / "store"))
    for number in (1, 2):
        (tmp_path / "model.bin").write_bytes(b"model %d" % number)
        registry.register("churn", tmp_path / "model.bin")
    git("push", "--quiet", "--atomic", "--follow-tags", "origin", "main")
    git("clone", "--quiet", str(bare), str(tmp_path / "ci"))
    return registry, Registry.open(tmp_path / "ci")


def sync(registry: Registry, *, push: bool = True, ci: bool = True) -> SyncReport:
    return registry.sync(push=push, environ={"CI": "true"} if ci else {})


def news(report: SyncReport) -> list[tuple[str, str]]:
    return [(each.stage, str(each.target)) for each in report.transitions]


def test_news_of_tags_that_were_pushed_with_the_promotion(clones: tuple[Registry, Registry]) -> None:
    person, ci = clones
    assert news(sync(ci)) == []  # the first sync marks where the news begin
    person.promote("churn@v1", "staging", reason="try", push=True)
    report = sync(ci)
    assert (report.created, news(report)) == ((), [("staging", "v1.0.0")])
    assert news(sync(ci)) == []
    person.promote("churn@v2", "staging", reason="try", push=True)
    person.promote("churn@v1", "production", reason="good", push=True)
    assert news(sync(person, ci=False)) == []  # at a desk: nothing is made here, and nothing taken away
    assert news(sync(ci)) == [("staging", "v2.0.0"), ("production", "v1.0.0")]
    assert news(sync(ci)) == []


def test_news_of_tags_that_are_made_now(clones: tuple[Registry, Registry], git: Git, tmp_path: Path) -> None:
    person, ci = clones
    person.promote("churn@v1", "staging", reason="try", branch="proposal")
    git("merge", "--quiet", "proposal")
    git("push", "--quiet", "origin", "main")
    report = sync(ci)
    assert (report.created, news(report)) == (("churn#staging#1",), [("staging", "v1.0.0")])
    git("push", "--quiet", "origin", ":refs/tags/churn#staging#1", cwd=tmp_path / "ci")
    git("tag", "--delete", "churn#staging#1", cwd=tmp_path / "ci")
    report = sync(ci)
    assert (report.created, news(report)) == (("churn#staging#1",), [])  # a tag that was lost is no news


def test_news_without_a_push_are_the_tags_made_here(clones: tuple[Registry, Registry], git: Git) -> None:
    person, _ = clones
    person.promote("churn@v1", "staging", reason="try")
    git("tag", "--delete", "churn#staging#1")
    assert news(sync(person, push=False)) == [("staging", "v1.0.0")]
    assert news(sync(person, push=False)) == []
    assert git("for-each-ref", "refs/mreg") == ""
