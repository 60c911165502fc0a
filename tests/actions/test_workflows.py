"""The generated workflows and ``action.yml``, run by ``act`` on the events of GitHub."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.actions.conftest import HOSTILE, Act, Api
from tests.conftest import Git, Mreg

pytestmark = pytest.mark.slow


def test_dispatched_promotion_lands_and_starts_sync(act: Act, api: Api, remote: Path, git: Git) -> None:
    head = git("rev-parse", "main", cwd=remote)
    inputs = {"selector": "churn@v3", "stage": "staging", "reason": HOSTILE}
    run = act("workflow_dispatch", "mreg-promote", {"ref": "refs/heads/main", "inputs": inputs})
    assert (run.code, run.results) == (0, {"promote": "success"}), run.log
    assert git("rev-parse", "main~1", cwd=remote) == head
    assert (
        git("log", "-1", "--format=%an|%s|%cn", "main", cwd=remote)
        == "jane|Promote churn v3.0.0 to staging|github-actions[bot]"
    )
    shown = git("show", "main:registry/churn/stages/staging.yaml", cwd=remote)
    assert "$(touch pwned)" in shown
    outputs = run.outputs("promote")
    assert (outputs["ok"], outputs["changed"], outputs["version"]) == ("true", "true", "v3.0.0")
    assert outputs["commit"] == git("rev-parse", "main", cwd=remote)
    assert json.loads(outputs["tags"]) == ["churn#staging#3"]
    assert "Promote churn v3.0.0 to staging" in run.summary("promote")
    assert api.requests == [("POST", "/repos/acme/models/actions/workflows/mreg-sync.yml/dispatches", {"ref": "main"})]
    assert not list(act.home.rglob("pwned"))
    assert run.commanded() <= {"set-output", "summary", "notice"}


def test_dispatched_promotion_that_is_refused_says_why(act: Act, api: Api, remote: Path, git: Git) -> None:
    head = git("rev-parse", "main", cwd=remote)
    inputs = {"selector": "churn@v9 --dry-run", "stage": "staging", "reason": "x"}
    run = act("workflow_dispatch", "mreg-promote", {"ref": "refs/heads/main", "inputs": inputs})
    assert (run.code, run.results) == (1, {"promote": "failure"})
    assert (run.outputs("promote")["ok"], run.outputs("promote")["changed"]) == ("false", "false")
    assert "**error: " in run.summary("promote")
    assert (git("rev-parse", "main", cwd=remote), api.requests) == (head, [])


def test_dispatched_rollback_lands_and_starts_sync(act: Act, api: Api, remote: Path, git: Git) -> None:
    inputs = {"model": "churn", "stage": "production", "to": "", "reason": HOSTILE}
    run = act("workflow_dispatch", "mreg-rollback", {"ref": "refs/heads/main", "inputs": inputs})
    assert (run.code, run.outputs("rollback")["version"]) == (0, "v1.0.0"), run.log
    assert git("log", "-1", "--format=%s", "main", cwd=remote) == "Roll back churn production to v1.0.0"
    assert len(api.requests) == 1
    assert not list(act.home.rglob("pwned"))


def test_push_makes_the_tags_and_hands_the_transitions_to_the_deploy_job(
    act: Act, remote: Path, mreg_here: Mreg, git: Git
) -> None:
    mreg_here("promote", "churn@v3", "staging", "--reason", HOSTILE, "--branch", "proposal", check=0)
    git("merge", "--quiet", "--no-ff", "--message=Merge the proposal", "proposal")
    git("push", "--quiet", "origin", "main")
    run = act("push", "mreg-sync", {"ref": "refs/heads/main"})
    assert (run.code, run.results) == (0, {"sync": "success", "deploy": "success"}), run.log
    assert git("tag", "--list", "churn#staging#*", cwd=remote) == "churn#staging#3"
    assert git("cat-file", "-t", "churn#staging#3", cwd=remote) == "tag"
    outputs = run.outputs("sync")
    [transition] = json.loads(outputs["transitions"])
    assert (transition["model"], transition["stage"], transition["to"]) == ("churn", "staging", "v3.0.0")
    assert transition["reason"] == HOSTILE
    assert (outputs["ok"], outputs["changed"], json.loads(outputs["tags"])) == ("true", "true", ["churn#staging#3"])
    assert run.summary("deploy").strip() == "- churn staging: none → v3.0.0"
    assert "made 1 tag" in run.summary("sync")
    assert not list(act.home.rglob("pwned"))
    assert run.commanded() <= {"set-output", "summary", "notice"}


def test_push_of_a_promotion_with_its_tags_is_deployed_once(act: Act, remote: Path, mreg_here: Mreg, git: Git) -> None:
    assert act("push", "mreg-sync", {"ref": "refs/heads/main"}).outputs("sync")["transitions"] == "[]"
    mreg_here("promote", "churn@v3", "staging", "--reason", "by hand", "--push", check=0)
    run = act("push", "mreg-sync", {"ref": "refs/heads/main"})
    assert (run.code, run.results) == (0, {"sync": "success", "deploy": "success"}), run.log
    assert json.loads(run.outputs("sync")["tags"]) == []
    assert run.summary("deploy").strip() == "- churn staging: none → v3.0.0"
    assert git("rev-parse", "refs/mreg/handed-on", cwd=remote) == git("rev-parse", "main")
    assert act("push", "mreg-sync", {"ref": "refs/heads/main"}).outputs("sync")["transitions"] == "[]"


def test_push_with_nothing_new_deploys_nothing(act: Act, remote: Path) -> None:
    run = act("push", "mreg-sync", {"ref": "refs/heads/main"})
    assert (run.code, run.results.get("sync")) == (0, "success"), run.log
    assert run.outputs("sync")["transitions"] == "[]"
    assert "List what to deploy" not in run.log


def pull_request(git: Git, branch: str, *, head: str = "acme/models") -> dict[str, object]:
    """Checks out what GitHub would for a pull request of a branch, and gives its event."""
    git("checkout", "--quiet", "--detach", "main")
    git("merge", "--quiet", "--no-ff", "--message=Merge the pull request", branch)
    return {
        "number": 7,
        "action": "opened",
        "pull_request": {"number": 7, "title": HOSTILE, "base": {"ref": "main"}, "head": {"repo": {"full_name": head}}},
    }


def propose(git: Git, path: str, text: str) -> None:
    """Commits a file by hand on the branch ``proposal``."""
    git("checkout", "--quiet", "-b", "proposal")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    git("add", path)
    git("commit", "--quiet", "--message=Propose")


def test_pull_request_is_checked_and_commented_once(act: Act, api: Api, mreg_here: Mreg, git: Git) -> None:
    api.comments += [{"id": number, "user": None, "body": "<!-- mreg:check --> not ours"} for number in range(101)]
    mreg_here("promote", "churn@v3", "staging", "--reason", HOSTILE, "--branch", "proposal", check=0)
    event = pull_request(git, "proposal")
    run = act("pull_request", "mreg-check", event)
    assert (run.code, run.results) == (0, {"check": "success", "comment": "success"}), run.log
    outputs = run.outputs("check")
    assert (outputs["ok"], outputs["changed"]) == ("true", "true")
    [change] = json.loads(outputs["report"])["changes"]
    assert change["transition"]["reason"] == HOSTILE
    *_, comment = api.comments
    assert (len(api.comments), comment["body"]) == (102, outputs["comment"])
    assert comment["body"].startswith("<!-- mreg:check -->\n")
    assert comment["body"].strip() in run.summary("check")
    assert [method for method, _, _ in api.requests] == ["GET", "GET", "GET", "POST"]
    assert not list(act.home.rglob("pwned"))
    assert run.commanded() <= {"set-output", "summary", "notice"}
    api.requests.clear()
    assert act("pull_request", "mreg-check", event).code == 0
    assert [method for method, _, _ in api.requests] == ["GET", "GET", "PATCH"]
    assert len(api.comments) == 102


def test_pull_request_that_may_not_land_fails_with_a_comment(act: Act, api: Api, git: Git) -> None:
    propose(git, "registry/churn/stages/production.yaml", "version: v9.0.0\n")
    run = act("pull_request", "mreg-check", pull_request(git, "proposal"))
    assert (run.code, run.results) == (1, {"check": "failure", "comment": "success"}), run.log
    assert run.outputs("check")["ok"] == "false"
    [comment] = api.comments
    assert "v9.0.0" in comment["body"]
    errors = [entry for entry in run.entries if entry.get("command") == "error"]
    assert errors
    assert all("v9.0.0" in entry["msg"] for entry in errors)


def test_pull_request_from_a_fork_is_checked_without_a_comment(act: Act, api: Api, git: Git) -> None:
    propose(git, "registry/churn/stages/staging.yaml", "version: v3.0.0\nreason: |\n  ::set-output name=ok::stolen\n")
    run = act("pull_request", "mreg-check", pull_request(git, "proposal", head="mallory/models"))
    assert (run.code, run.results.get("check")) == (0, "success"), run.log
    assert run.outputs("check")["ok"] == "true"
    assert run.summary("check").startswith("<!-- mreg:check -->")
    assert api.requests == []


def test_pull_request_beside_the_registry_ends_at_once(act: Act, api: Api, git: Git) -> None:
    propose(git, "src/train.py", "pass\n")
    event = pull_request(git, "proposal")
    run = act("pull_request", "mreg-check", event)
    assert (run.code, run.results) == (0, {"check": "success", "comment": "success"}), run.log
    assert "Install mreg" not in run.log
    assert [method for method, _, _ in api.requests] == ["GET"]
    api.comments.append({"id": 1, "user": {"login": "github-actions[bot]"}, "body": "<!-- mreg:check -->\nold"})
    assert act("pull_request", "mreg-check", event).code == 0
    assert api.comments[0]["body"].endswith("\nThis pull request changes nothing in the registry.")


@pytest.mark.parametrize("status", [403, 500])
def test_comment_that_is_not_taken_fails_nothing(status: int, act: Act, api: Api, git: Git) -> None:
    api.status = status
    propose(git, "src/train.py", "pass\n")
    run = act("pull_request", "mreg-check", pull_request(git, "proposal"))
    assert (run.code, run.results["comment"]) == (0, "success"), run.log
    assert f"the comment was not written: {status}" in run.log


def test_push_of_hostile_names_and_notes_runs_nothing(
    act: Act, remote: Path, mreg_here: Mreg, model_file: Path, git: Git
) -> None:
    settings = Path("registry.yaml").read_text(encoding="utf-8")
    Path("registry.yaml").write_text(
        settings + 'notify:\n  - {to: webhook, name: "a\\n::set-output name=ok::x", url_env: HOOK}\n'
    )
    git("commit", "--quiet", "--all", "--message=::set-output name=ok::stolen")
    mreg_here("register", "churn", str(model_file), "--notes", HOSTILE, "--metric", "auc=0.95", check=0)
    mreg_here("promote", "churn@v4", "staging", "--reason", HOSTILE, check=0)
    git("tag", "--delete", "churn@v4.0.0", "churn#staging#3")
    git("push", "--quiet", "origin", "main")
    run = act("push", "mreg-sync", {"ref": "refs/heads/main", "head_commit": {"message": HOSTILE}})
    assert run.results["sync"] == "success", run.log
    assert git("tag", "--list", "churn@v4*", cwd=remote) == "churn@v4.0.0"
    assert run.outputs("sync")["ok"] == "true"
    assert "\nwarning: " in run.log
    assert run.commanded() == {"set-output", "summary", "notice", "warning"}
    assert not list(act.home.rglob("pwned"))


def test_shallow_clone_is_completed_by_the_action(act: Act, remote: Path, git: Git, tmp_path: Path) -> None:
    git("clone", "--quiet", "--depth=1", f"file://{remote}", str(tmp_path / "shallow"))
    shallow = replace(act, repo=tmp_path / "shallow")
    run = shallow("push", "mreg-sync", {"ref": "refs/heads/main"})
    assert (run.code, run.results["sync"]) == (0, "success"), run.log
    assert run.outputs("sync")["transitions"] == "[]"
    assert int(json.loads(run.outputs("sync")["report"])["present"]) == 5
