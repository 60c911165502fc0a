"""Rules on a real repository: what is refused and with which findings, approvals, holds, signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.review.gates import Outcome
from mreg.errors import IdentityError, RefusedError
from tests.conftest import Git

RULES = """\
schema: 1
people:
  ada: {{emails: [ada@example.com]{ada}}}
  bo: {{emails: [bo@example.com, bo@corp.example]{bo}}}
roles:
  reviewers: [ada, bo]
metrics:
  auc: {{direction: higher}}
stages:
  staging: {{}}
  production:
    from: staging
    approvals: {{count: 1, by: [reviewers], not: [author]}}
    signatures: {signatures}
    gates:
      - {{metric: auc, min: 0.9, no_worse_than: production}}
"""


def settle(repo: Path, git: Git, *, ada: str = "", bo: str = "", signatures: str = "optional") -> Registry:
    registry = Registry.init(repo)
    (repo / "registry.yaml").write_text(RULES.format(ada=ada, bo=bo, signatures=signatures))
    git("commit", "--quiet", "--all", "--message=Rules", cwd=repo)
    for number, auc in enumerate((0.85, 0.92, 0.93), 1):
        path = repo.parent / "model.bin"
        path.write_bytes(b"model %d" % number)
        registry.register("churn", path, metrics={"auc": auc}, upload=False)
    registry.promote("churn@v2", "staging", reason="try it")
    return registry


def become(monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, email)


def test_refused_promotion_has_every_finding_and_leaves_nothing(repo: Path, git: Git) -> None:
    registry = settle(repo, git)
    before = git("rev-parse", "HEAD"), git("tag", "--list")
    with pytest.raises(RefusedError, match=r"churn v1\.0\.0 may not enter production: 3 of 3 gates block it") as caught:
        registry.promote("churn@v1", "production", reason="x")
    findings = caught.value.details["findings"]
    assert isinstance(findings, list)
    assert [(each["rule"], each["outcome"]) for each in findings] == [
        ("from", "fail"),
        ("metric", "fail"),
        ("approvals", "fail"),
    ]
    assert (git("rev-parse", "HEAD"), git("tag", "--list")) == before


def test_approval_by_another_lets_a_promotion_pass_once(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = settle(repo, git)
    registry.approve("churn@v2", "production", reason="mine")
    with pytest.raises(RefusedError, match="1 of 3 gates blocks it"):
        registry.promote("churn@v2", "production", reason="x")
    become(monkeypatch, "bo@corp.example")
    given = registry.approve("churn@v2", "production", reason="looked at it")
    assert (given.changed, given.tags) == (True, ())
    assert not registry.approve("churn@v2", "production", reason="again").changed
    become(monkeypatch, "ada@example.com")
    receipt = registry.promote("churn@v2", "production", reason="x")
    assert {each.outcome for each in receipt.findings} == {Outcome.PASS}
    assert registry.history("churn", "production").transitions[0].approved_by == ("bo@corp.example",)
    assert "Approved-by: bo@corp.example" in git("log", "-1", "--format=%B")
    registry.clear("churn", "production", reason="take it out")
    with pytest.raises(RefusedError) as caught:
        registry.promote("churn@v2", "production", reason="once more")
    assert "1 of 3 gates blocks it" in caught.value.message
    assert registry.verify().ok


def test_approval_on_the_branch_of_a_pull_request_is_named_in_the_history(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = settle(repo, git)
    proposed = registry.promote("churn@v2", "production", reason="better", branch="promote")
    assert [each.rule for each in proposed.findings if each.outcome is Outcome.FAIL] == ["approvals"]
    assert not registry.check(head="promote").ok
    become(monkeypatch, "bo@example.com")
    registry.approve("churn@v2", "production", branch="promote")
    assert registry.check(head="promote").ok
    become(monkeypatch, "ada@example.com")
    git("merge", "--quiet", "--no-ff", "--message=Merge", "promote")
    (planned,) = registry.sync(dry_run=True).transitions
    report = registry.sync()
    assert report.created == ("churn#production#2",)
    (move,) = registry.history("churn", "production").transitions
    assert (planned, report.transitions) == (move, (move,))
    assert (move.by, move.reason, move.approved_by) == ("ada@example.com", "better", ("bo@example.com",))
    assert registry.show("churn@v2").transitions[0].approved_by == ("bo@example.com",)
    assert registry.verify().ok


def test_approve_is_refused_to_who_has_no_say(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = settle(repo, git)
    become(monkeypatch, "eve@example.com")
    with pytest.raises(RefusedError, match=r"eve@example\.com may not approve for production: only reviewers may"):
        registry.approve("churn@v2", "production")


def test_hold_is_set_and_released_without_a_new_statement(repo: Path, git: Git) -> None:
    registry = settle(repo, git)
    assert registry.hold("churn", "staging", reason="drift").changed
    assert not registry.hold("churn", "staging", reason="drift").changed
    assert registry.list().models[0].holds == ("staging",)
    assert registry.hold("churn", "staging", off=True, reason="over").changed
    assert registry.list().models[0].holds == ()
    assert len(registry.history("churn", "staging")) == 1
    assert registry.verify().ok


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def test_signatures_are_asked_for_made_and_proven(
    repo: Path, git: Git, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = key.with_suffix(".pub").read_text().strip()
    registry = settle(repo, git, ada=f', keys: ["{public}"]', signatures="required")
    with pytest.raises(IdentityError, match="git is not configured to sign with an SSH key"):
        registry.promote("churn@v2", "production", reason="x")
    git("config", "gpg.format", "ssh")
    git("config", "user.signingKey", str(key))
    with pytest.raises(RefusedError) as caught:
        registry.promote("churn@v2", "production", reason="x")
    findings = caught.value.details["findings"]
    assert isinstance(findings, list)
    assert [each["rule"] for each in findings if each["outcome"] == "fail"] == ["approvals"]
    # An approval that ada signs in bo's name proves nothing.
    become(monkeypatch, "bo@example.com")
    registry.approve("churn@v2", "production")
    become(monkeypatch, "ada@example.com")
    with pytest.raises(RefusedError) as caught:
        registry.promote("churn@v2", "production", reason="x")
    findings = caught.value.details["findings"]
    assert isinstance(findings, list)
    assert "it says bo@example.com, and ada signed it" in findings[-1]["why"]


def test_approve_again_is_planned_where_the_first_does_not_count(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = settle(repo, git)
    become(monkeypatch, "bo@example.com")
    given = registry.approve("churn@v2", "production", branch="forged")
    (path,) = git("diff", "--name-only", "main", "forged").split()
    # What eve commits in bo's name stands in nobody's way.
    text = git("show", f"forged:{path}")
    (repo / path).parent.mkdir(parents=True)
    (repo / path).with_name("0a1b.yaml").write_text(text)
    become(monkeypatch, "eve@example.com")
    git("add", "--all")
    git("commit", "--quiet", "--message=Forge")
    become(monkeypatch, "bo@example.com")
    assert given.changed
    assert registry.approve("churn@v2", "production").changed
    assert not registry.approve("churn@v2", "production").changed


def test_approve_on_a_branch_again_is_planned_where_the_first_is_spent(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = settle(repo, git)
    become(monkeypatch, "bo@example.com")
    registry.approve("churn@v2", "production")
    become(monkeypatch, "ada@example.com")
    registry.promote("churn@v2", "production", reason="better")
    registry.clear("churn", "production", reason="worse")
    registry.promote("churn@v2", "production", reason="once more", branch="again")
    become(monkeypatch, "bo@example.com")
    assert registry.approve("churn@v2", "production", branch="again").changed
    assert not registry.approve("churn@v2", "production", branch="again").changed
    assert registry.check(head="again").ok
