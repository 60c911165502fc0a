from __future__ import annotations

from typing import Any

import pytest

from mreg.core.setup.workflows import Flaw, examine_workflow

SHA = "0" * 40
CHECKOUT = {"uses": f"actions/checkout@{SHA}", "with": {"fetch-depth": 0, "persist-credentials": False}}
SHALLOW = {"uses": f"actions/checkout@{SHA}"}
ACTION = {"uses": f"acme/mreg@{SHA}", "with": {"command": "check --base HEAD^1"}}


def workflow(
    *steps: object, on: object = "push", job: dict[str, object] | None = None, **top: object
) -> dict[str, Any]:
    return {"on": on, "permissions": {}, "jobs": {"job": {"steps": list(steps), **(job or {})}}, **top}


def found(document: object) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(flaw.rule, flaw.path) for flaw in examine_workflow(document)]


def rules(document: object) -> list[str]:
    return [flaw.rule for flaw in examine_workflow(document)]


def only(document: object) -> Flaw:
    [flaw] = examine_workflow(document)
    return flaw


def test_workflow_without_mistakes_has_no_flaw() -> None:
    assert rules(workflow(CHECKOUT, ACTION, {"run": "mreg history"}, on={"pull_request": None})) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "text",
        {"on": None, "jobs": None},
        {"jobs": {1: {"steps": [{"uses": "a/b@v1"}]}, "a": None, "b": "text", "c": {"steps": None}}, "permissions": {}},
        {"on": [None, 1], "permissions": "read-all", "jobs": {"a": {"steps": [None, "text", {}, {"run": None}]}}},
        {"on": {"push": "text"}, "jobs": []},
    ],
)
def test_workflow_of_another_form_is_passed_over(document: object) -> None:
    assert rules(document) == []


@pytest.mark.parametrize("pattern", ["churn@v*", "*@v*", "*#*", "*", "**", "churn#production#*"])
@pytest.mark.parametrize("is_list", [True, False])
def test_tag_trigger_that_mregs_tags_fit_is_found(pattern: str, is_list: bool) -> None:
    flaw = only(workflow(on={"push": {"tags": ["v1.*", pattern] if is_list else pattern}}))
    assert (flaw.rule, flaw.path) == ("tag-trigger", ("on", "push", "tags", int(is_list)))
    assert repr(pattern) in flaw.message
    assert "more than three" in flaw.message


@pytest.mark.parametrize("on", [{"push": {"tags": ["v*", "!*@*", "release-*"]}}, {"push": None}, "push", ["push"]])
def test_tag_trigger_of_other_tags_is_none(on: object) -> None:
    assert rules(workflow(on=on)) == []


def test_missing_permissions_are_found_where_neither_workflow_nor_job_has_any() -> None:
    document = {"on": "push", "jobs": {"a": {}, "b": {"permissions": {}}, "c": {"uses": "./x.yml"}}}
    assert found(document) == [("missing-permissions", ("jobs", "a")), ("missing-permissions", ("jobs", "c"))]
    assert found({**document, "permissions": {"contents": "read"}}) == []


@pytest.mark.parametrize(
    ("permissions", "words"),
    [({"contents": "write", "issues": "read"}, "(contents)"), ("write-all", "(write-all)")],
)
@pytest.mark.parametrize("trigger", ["pull_request", "pull_request_target"])
def test_write_permissions_of_a_check_are_found(permissions: object, words: str, trigger: str) -> None:
    document = workflow(CHECKOUT, {"run": "mreg check"}, on=[trigger], job={"permissions": permissions})
    flaw = only(document)
    assert (flaw.rule, flaw.path) == ("write-permissions", ("jobs", "job", "permissions"))
    assert words in flaw.message
    del document["jobs"]["job"]["permissions"]
    assert found({**document, "permissions": permissions}) == [("write-permissions", ("permissions",))]


def test_write_permissions_elsewhere_are_none_of_the_checks() -> None:
    writes: dict[str, object] = {"permissions": {"contents": "write"}}
    assert rules(workflow(CHECKOUT, {"run": "mreg check"}, on="push", job=writes)) == []
    assert rules(workflow({"run": "curl comment"}, on="pull_request", job=writes)) == []
    assert rules(workflow(CHECKOUT, {"run": "mreg check"}, on="pull_request", job={"permissions": "read-all"})) == []


@pytest.mark.parametrize(
    "ref", ["${{ github.event.pull_request.head.sha }}", "${{ github.head_ref }}", "refs/pull/${{ x }}/merge"]
)
def test_target_checkout_of_the_head_is_found(ref: str) -> None:
    step = {**CHECKOUT, "with": {"fetch-depth": 0, "ref": ref}}
    flaws = found(workflow(step, on={"pull_request_target": None}))
    assert flaws == [("target-checkout", ("jobs", "job", "steps", 0, "with", "ref"))]
    assert found(workflow(step, on="pull_request")) == []
    assert found(workflow(CHECKOUT, on="pull_request_target")) == []


@pytest.mark.parametrize(
    "call",
    [
        "mreg check",
        "set -e\nmreg -C models sync",
        "./.venv/bin/mreg verify",
        "a && mreg history",
        "python -m mreg plan",
    ],
)
def test_shallow_checkout_before_mreg_is_found(call: str) -> None:
    assert found(workflow(SHALLOW, {"run": call})) == [("shallow-checkout", ("jobs", "job", "steps", 0))]
    part = {**SHALLOW, "with": {"fetch-depth": 50}}
    path = ("jobs", "job", "steps", 0, "with", "fetch-depth")
    assert found(workflow(part, {"run": call}, {"run": call})) == [("shallow-checkout", path)]
    assert found(workflow(CHECKOUT, {"run": call})) == []
    assert found(workflow({**SHALLOW, "with": {"fetch-depth": "0"}}, {"run": call})) == []
    assert found(workflow(SHALLOW, {"run": "git fetch --unshallow --tags"}, {"run": call})) == []


@pytest.mark.parametrize("call", ["mreg pull churn@production", "mreg --version", "pip install mreg", "echo mreg", ""])
def test_shallow_checkout_is_enough_for_what_reads_the_tip(call: str) -> None:
    assert found(workflow(SHALLOW, {"run": call})) == []


def test_shallow_checkout_before_the_action_matters_where_it_cannot_fetch() -> None:
    assert found(workflow(SHALLOW, ACTION)) == []
    stripped = {**SHALLOW, "with": {"persist-credentials": False}}
    assert found(workflow(stripped, ACTION)) == [("shallow-checkout", ("jobs", "job", "steps", 0))]
    assert found(workflow(stripped, {**ACTION, "with": {"command": "pull"}})) == []
    assert found(workflow(stripped, {"uses": f"acme/mreg@{SHA}"})) == []


@pytest.mark.parametrize(
    "uses", ["actions/setup-python@v5", "acme/mreg@main", "acme/mreg", "docker://alpine:3", "a/b@" + "f" * 39]
)
def test_unpinned_action_is_found(uses: str) -> None:
    assert ("unpinned-action", ("jobs", "job", "steps", 0, "uses")) in found(workflow({"uses": uses}))
    assert found(workflow(job={"uses": "a/b/.github/workflows/c.yml@v1"})) == [
        ("unpinned-action", ("jobs", "job", "uses"))
    ]


@pytest.mark.parametrize(
    "uses",
    [
        f"a/b@{SHA}",
        f"a/b/c@{SHA}",
        "./local",
        "../local",
        "$/local",
        f"docker://a@sha256:{'0' * 64}",
        "./.github/workflows/x.yml",
    ],
)
def test_pinned_action_is_none(uses: str) -> None:
    assert rules(workflow({"uses": uses}, job={"uses": uses})) == []


@pytest.mark.parametrize(
    "expression",
    [
        "github.event.pull_request.title",
        "github.event.comment.body",
        "github.head_ref",
        "github.ref_name",
        "github.ref",
        "inputs.reason",
        "github.event.inputs.reason",
        "steps.mreg.outputs.report",
        "needs.sync.outputs.transitions",
        "env.TITLE",
        "toJSON(github)",
        "format('{0} {1}', github.event.number, github.event.issue.title)",
    ],
)
def test_script_injection_is_found(expression: str) -> None:
    flaw = only(workflow({"run": f"echo a\necho ${{{{ {expression} }}}}\n"}))
    assert (flaw.rule, flaw.path) == ("script-injection", ("jobs", "job", "steps", 0, "run"))
    assert f"${{{{ {expression} }}}}" in flaw.message
    assert "$TEXT" in flaw.fix
    script = {"uses": f"actions/github-script@{SHA}", "with": {"script": f"x(`${{{{ {expression} }}}}`)"}}
    assert found(workflow(script)) == [("script-injection", ("jobs", "job", "steps", 0, "with", "script"))]


@pytest.mark.parametrize(
    "expression",
    [
        "github.sha",
        "github.run_id",
        "github.event_name",
        "github.event.number",
        "github.event.pull_request.number",
        "github.event.pull_request.head.sha",
        "secrets.TOKEN",
        "runner.temp",
        "matrix.python",
    ],
)
def test_script_with_what_nobody_else_writes_is_none(expression: str) -> None:
    run = {"run": f"echo ${{{{ {expression} }}}}"}
    assert rules(workflow(run, job={"strategy": {"matrix": {"python": ["3.10"]}}})) == []
    assert rules(workflow({"env": {"A": "${{ inputs.reason }}"}, "run": 'echo "$A"'})) == []


def test_script_injection_through_a_filled_matrix_is_found() -> None:
    job: dict[str, object] = {"strategy": {"matrix": {"each": "${{ fromJSON(needs.sync.outputs.transitions) }}"}}}
    assert rules(workflow({"run": "echo ${{ matrix.each.reason }}"}, job=job)) == ["script-injection"]
    assert rules(workflow({"run": "echo ${{ github.sha }}"}, job=job)) == []


@pytest.mark.parametrize(
    "step",
    [
        {"uses": f"acme/mreg@{SHA}", "with": {"command": "sync --push"}},
        {"run": "mreg sync --push"},
        {"run": "mreg sync\ngit push --atomic --follow-tags"},
    ],
)
def test_silent_push_is_a_note(step: dict[str, object]) -> None:
    flaw = only(workflow(CHECKOUT, step, step))
    assert (flaw.rule, flaw.path, flaw.is_note) == ("silent-push", ("jobs", "job", "steps", 1), True)
    for secret in ("token", "ssh-key"):
        checkout = {**CHECKOUT, "with": {"fetch-depth": 0, secret: "${{ secrets.KEY }}"}}
        assert rules(workflow(checkout, step)) == []


def test_silent_push_of_something_else_is_none() -> None:
    assert (
        rules(workflow({"run": "git push"}, {"run": "mreg sync"}, {"uses": "./mreg", "with": {"command": "sync"}}))
        == []
    )
