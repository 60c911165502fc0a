"""Unsigned approvals and real squash merges: who committed an approval is all that says whose it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.review.audited import Audit
from tests.conftest import Git, Mreg, become

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
        become(name, self.monkeypatch)

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


def test_check_says_whom_a_squash_must_name(desk: Desk) -> None:
    desk.promote()
    assert desk.registry.check(head="feature").co_authors == ()
    desk.approve()
    review = desk.registry.check(head="feature")
    assert (review.ok, review.co_authors) == (True, ("Bo <bo@example.com>",))
    desk.squash("\n".join(f"Co-authored-by: {each}" for each in review.co_authors))
    assert desk.codes() == []


def test_check_names_approvers_whose_approval_waits_or_does_not_count(desk: Desk) -> None:
    """A squash would make them forged as well."""
    desk.approve("ada")
    desk.approve()
    assert desk.registry.check(head="feature").co_authors == ("Ada <ada@example.com>", "Bo <bo@example.com>")
    desk.become("eve")
    desk.squash()
    assert desk.codes() == ["approval-forged", "approval-forged"]


def test_check_prints_the_lines_to_paste(desk: Desk, mreg_here: Mreg) -> None:
    desk.promote()
    desk.approve()
    line = "Co-authored-by: Bo <bo@example.com>"
    for form in ("table", "markdown"):
        assert line in mreg_here("check", "--head", "feature", "--format", form, check=0).out.splitlines()
    assert f"%0A{line}" in mreg_here("check", "--head", "feature", "--format", "github", check=0).out


def test_fix_of_a_squash_that_is_not_pushed(desk: Desk) -> None:
    desk.promote()
    desk.approve()
    desk.git("merge", "--quiet", "--squash", "feature")
    desk.git("commit", "--quiet", "--message=Promote churn")
    forged = desk.registry.check(base="HEAD^").complaints[1]
    assert forged.code == "approval-forged"
    run(forged.fix)
    assert desk.registry.check(base="HEAD^").ok
    desk.registry.sync()
    assert desk.codes() == []


def test_fix_of_a_squash_whose_branch_is_there(desk: Desk, mreg_here: Mreg) -> None:
    desk.promote()
    desk.approve()
    tree = desk.git("rev-parse", f"{desk.squash()}^{{tree}}")
    approved = desk.git("rev-parse", "feature")
    shown = mreg_here("verify", check=1).out
    assert f"commit {approved[:12]}, by bo@example.com, adds the same file" in shown.replace("\n", " ")
    (fix,) = {fault.fix for fault in desk.verify().faults if fault.fix}
    assert fix in shown
    assert f"fix: {fix}".replace("%", "%25") in mreg_here("verify", "--format", "github", check=1).out
    run(fix)
    assert (desk.codes(), desk.git("rev-parse", "HEAD^{tree}")) == ([], tree)


def test_fix_of_a_squash_whose_branch_is_gone(desk: Desk) -> None:
    desk.promote()
    desk.approve()
    desk.squash()
    desk.git("update-ref", "refs/pull/7/head", "feature")  # where a host keeps it
    desk.git("branch", "--quiet", "-D", "feature")
    fault = desk.verify().faults[1]
    assert fault.message.endswith("a squash needs the line Co-authored-by: … <bo@example.com>")
    run(fault.fix.replace("origin", ".").replace("/N/", "/7/"))
    run(desk.verify().faults[1].fix)
    assert desk.codes() == []


def test_fix_of_what_is_forged_names_no_commit(desk: Desk) -> None:
    """Another branch has the file too, and by another person again."""
    desk.promote()
    path = desk.approve("bo", branch="real")
    desk.git("checkout", "--quiet", "feature")
    for who, branch in (("eve", "feature"), ("ada", "copy")):
        desk.git("checkout", "--quiet", "-B", branch, "feature")
        desk.git("checkout", "--quiet", "real", "--", path)
        desk.become(who)
        desk.git("commit", "--quiet", "--allow-empty", "--message=Approve")
    desk.git("branch", "--quiet", "-D", "real")
    desk.git("checkout", "--quiet", "main")
    desk.merge("feature")
    found = desk.verify().faults
    assert [fault.code for fault in found] == ["rule-approvals", "approval-forged"]
    assert found[1].fix.startswith("git fetch origin refs/pull/N/head")
    desk.merge("copy", ours=True)
    assert desk.codes() == ["rule-approvals", "approval-forged"]


def run(command: str) -> None:
    """Runs a fix as it is pasted."""
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def test_check_staged_knows_who_approved_what_is_squashed(desk: Desk) -> None:
    desk.promote()
    path = desk.approve()
    desk.git("commit", "--quiet", "--allow-empty", "--message=Work goes on")
    desk.git("merge", "--quiet", "--squash", "feature")
    review = desk.registry.check(staged=True)
    assert (review.ok, review.co_authors) == (True, ("Bo <bo@example.com>",))
    (desk.repo / path).write_text((desk.repo / path).read_text().replace("by: bo", "by: Bo"))
    desk.git("add", path)
    codes = [each.code for each in desk.registry.check(staged=True).complaints]
    assert codes == ["rule-approvals", "approval-forged"]
    desk.git("checkout", "--quiet", "feature", "--", path)
    desk.git("commit", "--quiet", "--message=Promote churn", "--trailer=Co-authored-by: Bo <bo@example.com>")
    desk.registry.sync()
    assert desk.codes() == []


def test_check_staged_takes_no_message_for_a_squash(desk: Desk) -> None:
    desk.promote()
    desk.approve()
    desk.git("merge", "--quiet", "--squash", "feature")
    for text in ("", f"commit {'01' * 20}\n", f"    commit {desk.git('rev-parse', 'feature')}\n"):
        (desk.repo / ".git" / "SQUASH_MSG").write_text(text)
        assert not desk.registry.check(staged=True).ok


def test_push_of_a_squash_says_how_to_amend_it(desk: Desk, mreg_here: Mreg) -> None:
    desk.git("clone", "--quiet", "--bare", ".", "../hub.git")
    desk.git("remote", "add", "origin", "../hub.git")
    desk.git("fetch", "--quiet", "origin")
    desk.promote()
    desk.approve()
    desk.git("merge", "--quiet", "--squash", "feature")
    desk.git("commit", "--quiet", "--message=Promote churn")
    hint = mreg_here("push", check=1).err.splitlines()[-1].removeprefix("hint: ")
    assert hint.endswith("; then: mreg push")
    run(hint.partition("   #")[0])
    mreg_here("push", check=0)
    assert desk.codes() == []
