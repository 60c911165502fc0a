"""The generated workflows and ``action.yml``, run by ``act`` on the events of GitHub."""

from __future__ import annotations

import json
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


def test_push_with_nothing_new_deploys_nothing(act: Act, remote: Path) -> None:
    run = act("push", "mreg-sync", {"ref": "refs/heads/main"})
    assert (run.code, run.results.get("sync")) == (0, "success"), run.log
    assert run.outputs("sync")["transitions"] == "[]"
    assert "List what to deploy" not in run.log
