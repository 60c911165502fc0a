"""Unsigned approvals and real squash merges: who committed an approval is all that says whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.review.audited import Audit
from tests.conftest import Git

RULES = """\
schema: 1
people:
  ada: {emails: [ada@example.com]}
  bo: {emails: [bo@example.com]}
  eve: {emails: [eve@example.com]}
roles:
  reviewers: [ada, bo]
stages:
  production:
    approvals: {count: 1, by: [reviewers], not: [author]}
"""


@dataclass
class Desk:
    """A clone at which several people commit, one after the other."""

    repo: Path
    git: Git
    monkeypatch: pytest.MonkeyPatch

    @property
    def registry(self) -> Registry:
        return Registry.open(self.repo)

    def become(self, name: str) -> None:
        for role in ("AUTHOR", "COMMITTER"):
            self.monkeypatch.setenv(f"GIT_{role}_NAME", name.title())
            self.monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{name}@example.com")

    def promote(self, branch: str = "feature") -> None:
        self.become("ada")
        self.registry.promote("churn@v1", "production", reason="better", branch=branch)

    def approve(self, who: str = "bo", branch: str = "feature") -> str:
        """Commits the approval of one person, and returns its path."""
        self.become(who)
        self.registry.approve("churn@v1", "production", branch=branch)
        self.become("ada")
        changed = self.git("show", "--format=", "--name-only", branch)
        return changed.splitlines()[-1]

    def squash(self, *messages: str, branch: str = "feature") -> str:
        """Lands a branch as one commit of Ada's, and returns that."""
        self.git("merge", "--quiet", "--squash", branch)
        self.git("commit", "--quiet", *(f"--message={each}" for each in ("Promote churn", *messages)))
        self.registry.sync()
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str, *, ours: bool = False) -> None:
        """Lands a branch by a merge commit, which changes nothing if ``ours``."""
        how = ("--strategy=ours",) if ours else ("--no-ff",)
        self.become("ada")
        self.git("merge", "--quiet", *how, "--message=Merge", branch)
        self.registry.sync()

    def verify(self) -> Audit:
        """Returns what an audit finds, whether it begins with the first commit or with what is new."""
        news, found = self.registry.verify(incremental=True), self.registry.verify()
        assert news.faults == found.faults
        return found

    def codes(self) -> list[str]:
        return [fault.code for fault in self.verify().faults]


@pytest.fixture
def desk(
    kept: Callable[[Callable[[], object]], None], repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    def make() -> None:
        registry = Registry.init(repo)
        (repo / "registry.yaml").write_text(RULES)
        git("commit", "--quiet", "--all", "--message=Rules")
        (tmp_path / "model.bin").write_bytes(b"model")
        registry.register("churn", tmp_path / "model.bin", metrics={"auc": 0.9}, upload=False)

    kept(make)
    git.clock.now += 1000
    return Desk(repo, git, monkeypatch)


def test_verify_after_a_squash_that_names_nobody(desk: Desk) -> None:
    desk.promote()
    desk.approve()
    desk.squash()
    assert desk.codes() == ["rule-approvals", "approval-forged"]


def test_verify_takes_nothing_from_an_approval_that_someone_adds_again(desk: Desk) -> None:
    """Else a merge that changes nothing, and an old date, could spoil what was good."""
    base = desk.git("rev-parse", "HEAD")
    desk.promote()
    path = desk.approve()
    desk.merge("feature")
    assert desk.codes() == []
    desk.git("checkout", "--quiet", "-b", "spoil", base)
    desk.git("checkout", "--quiet", "feature", "--", path)
    old = {f"GIT_{role}_DATE": "946684800 +0000" for role in ("AUTHOR", "COMMITTER")}
    desk.become("eve")
    desk.git("commit", "--quiet", "--message=Add it again", env=old)
    desk.git("checkout", "--quiet", "main")
    assert desk.registry.check(head="spoil").ok
    desk.merge("spoil")
    assert desk.codes() == []
