"""``mreg doctor --ci``: known mistakes in workflows, each with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg

SHA = "0" * 40
BAD = """\
name: publish
on:
  pull_request_target:
  push:
    tags: ['churn@v*']
jobs:
  check:
    permissions: write-all
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{ github.head_ref }}
      - name: Check
        run: |
          mreg check
          echo "${{ github.event.pull_request.title }}"
  sync:
    runs-on: ubuntu-latest
    steps:
      - run: mreg sync --push
"""
PLACES = [
    ("tag-trigger", 5),
    ("write-permissions", 8),
    ("target-checkout", 13),
    ("shallow-checkout", 11),
    ("unpinned-action", 11),
    ("script-injection", 15),
    ("missing-permissions", 18),
]


@pytest.fixture
def workflows(repo: Path) -> Path:
    folder = repo / ".github" / "workflows"
    folder.mkdir(parents=True)
    return folder


def test_doctor_ci_finds_each_mistake_with_its_line(workflows: Path, mreg_here: Mreg) -> None:
    (workflows / "publish.yml").write_text(BAD)
    (workflows / "fine.yaml").write_text("on: push\npermissions: {}\njobs: {}\n")
    (workflows / "notes.txt").write_text("uses: a/b@v1")
    (workflows / "folder.yml").mkdir()
    found = json.loads(mreg_here("doctor", "--ci", "--format", "json", check=1).out)
    wrong = [check for check in found["checks"] if not check["ok"]]
    place = ".github/workflows/publish.yml"
    assert [(check["name"], check["message"].split(": ")[0]) for check in wrong] == [
        (name, f"{place}:{line}") for name, line in PLACES
    ]
    assert all(check["fix"] for check in wrong)
    right = [(check["name"], check["message"]) for check in found["checks"] if check["ok"]]
    assert right[0] == ("workflow", ".github/workflows/fine.yaml: no known mistake")
    assert right[1][0] == "silent-push"
    assert right[1][1].startswith(f"{place}:21: what is pushed")
    assert len(right) == 2


def test_doctor_ci_in_github_marks_the_lines(workflows: Path, mreg_here: Mreg) -> None:
    (workflows / "a.yml").write_text("on: push\npermissions: {}\njobs: {a: {steps: [{uses: a/b@v1}]}}\n")
    result = mreg_here("doctor", "--ci", "--format", "github", check=1)
    assert result.out.startswith("::error file=.github/workflows/a.yml,line=3,title=mreg%3A unpinned-action::")


def test_doctor_ci_of_yaml_that_cannot_be_read_says_where(workflows: Path, mreg_here: Mreg) -> None:
    (workflows / "a.yml").write_text("on: push\non: push\n")
    (workflows / "b.yml").write_text("a: &x 1\non: push\npermissions: {}\njobs: *x\n")
    found = json.loads(mreg_here("doctor", "--ci", "--format", "json", check=1).out)
    [bad, fine] = found["checks"]
    assert (bad["ok"], bad["message"]) == (False, ".github/workflows/a.yml:2: key 'on' appears twice")
    assert fine["ok"]


def test_doctor_ci_without_workflows_says_how_to_get_some(repo: Path, mreg_here: Mreg) -> None:
    result = mreg_here("doctor", "--ci", check=0)
    assert "there is no workflow in .github/workflows" in result.out
    assert "mreg init --github" in result.out


def test_doctor_ci_in_a_bare_repository_reads_the_commit(
    workflows: Path, mreg_here: Mreg, git: Git, tmp_path: Path, repo: Path
) -> None:
    bare, empty = tmp_path / "bare.git", tmp_path / "empty.git"
    (workflows / "publish.yml").write_text(BAD)
    git("add", "--all")
    git("commit", "--quiet", "--message=Workflow")
    git("clone", "--quiet", "--bare", str(repo), str(bare))
    git("init", "--quiet", "--bare", str(empty))
    assert ".github/workflows/publish.yml:5: " in mreg_here("doctor", "--ci", cwd=bare, check=1).out
    assert "there is no workflow" in mreg_here("doctor", "--ci", cwd=empty, check=0).out
