"""``mreg init --github`` and ``--gitlab``: what is written, that it is valid, and that nothing is overwritten."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from mreg.core.results import Receipt
from mreg.core.setup.hosting import Host, Source
from mreg.errors import DirtyFilesError, UsageError
from mreg.registry.setup.hosting import open_hosting
from mreg.registry.setup.initialising import initialise
from mreg.registry.setup.workflows import examine_workflows
from mreg.stores import yaml
from tests.conftest import Git

ROOT = Path(__file__).parents[2]
SHA = "0123456789" * 4
SOURCE = f"https://git.example/acme/mreg.git@{SHA}"
WORKFLOWS = tuple(f".github/workflows/mreg-{name}.yml" for name in ("check", "promote", "rollback", "sync"))
GITHUB = {
    *WORKFLOWS,
    ".github/CODEOWNERS",
    ".github/rulesets/README.md",
    ".github/rulesets/mreg-branch.json",
    ".github/rulesets/mreg-tags.json",
}
GITLAB = {".gitlab/mreg.gitlab-ci.yml"}
SETTINGS = """\
schema: 1
branch: release+1/2026
root: ml/models
people:
  jane: {emails: [jane@example.com]}
roles: {release-managers: [jane], leads: [jane]}
owners: [leads]
stages:
  staging: {}
  production: {who: [release-managers], approvals: {count: 1, by: [leads, release-managers]}}
notify:
  - {to: slack, url_env: SLACK_URL}
  - {to: webhook, url_env: HOOK_URL}
  - {to: webhook, name: other, url_env: HOOK_URL}
"""


def init(repo: Path, *hosts: Host, source: str | None = SOURCE, dry_run: bool = False) -> Receipt:
    return initialise(repo, hosting=open_hosting(hosts, source), dry_run=dry_run)


def read(path: str) -> Any:  # noqa: ANN401 - any document
    return yaml.load_foreign(Path(path).read_bytes(), path)


def run(*words: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name(words[0]), *words[1:]], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=["new", "with settings of its own"])
def written(request: pytest.FixtureRequest, repo: Path, git: Git) -> Path:
    """A repository with everything written."""
    if request.param != "new":
        git("checkout", "--quiet", "-b", "release+1/2026")
        Path("registry.yaml").write_text(SETTINGS)
        git("add", "registry.yaml")
        git("commit", "--quiet", "--message=Settings")
    init(repo, *Host)
    return repo


def test_init_with_hosts_is_one_commit_with_all_files(repo: Path, git: Git) -> None:
    head = git("rev-parse", "HEAD")
    planned = init(repo, *Host, dry_run=True)
    assert git("rev-parse", "HEAD") == head
    assert git("status", "--porcelain") == ""
    receipt = init(repo, *Host)
    assert set(planned.plan.documents) == set(receipt.plan.documents)
    assert set(git("ls-files").splitlines()) > GITHUB | GITLAB
    assert git("rev-parse", "HEAD~1") == head
    assert git("status", "--porcelain") == ""
    assert receipt.plan.subject == "Make this repository a model registry"


def test_init_with_a_host_later_adds_its_files_alone(repo: Path, git: Git) -> None:
    initialise(repo)
    receipt = init(repo, Host.GITHUB)
    assert set(git("diff", "--name-only", "HEAD~1").splitlines()) == GITHUB
    assert receipt.plan.subject == git("log", "-1", "--format=%s") == "Write the workflows of the registry"
    assert receipt.plan.notices[0].startswith("still to do on GitHub: import the rulesets")
    plan = init(repo, Host.GITLAB).plan
    assert (set(plan.documents), ["%{co_authored_by}" in each for each in plan.notices]) == (GITLAB, [True])


def test_init_with_hosts_again_changes_nothing_and_says_so(repo: Path, git: Git) -> None:
    init(repo, *Host)
    head = git("rev-parse", "HEAD")
    receipt = init(repo, *Host, source=SOURCE)
    assert (receipt.changed, receipt.commit, git("rev-parse", "HEAD")) == (False, None, head)
    first, *rest = receipt.plan.notices
    assert first == "this is already a model registry"
    assert {notice.split(" ")[0] for notice in rest} == (GITHUB | GITLAB) - {".github/CODEOWNERS"}


def test_init_keeps_files_of_the_user(repo: Path, git: Git) -> None:
    mine = Path(".github/workflows/mreg-sync.yml")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=Mine")
    receipt = init(repo, Host.GITHUB)
    assert mine.read_text() == "mine\n"
    assert f"{mine} exists already, and stays as it is" in receipt.plan.notices


def test_init_keeps_files_of_the_user_that_are_not_committed(repo: Path, git: Git) -> None:
    mine = Path(".github/workflows/mreg-sync.yml")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    with pytest.raises(DirtyFilesError):
        init(repo, Host.GITHUB)
    assert mine.read_text() == "mine\n"
    assert git("log", "--format=%s") == "Begin"


@pytest.mark.parametrize("place", [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"])
def test_init_with_owners_there_says_what_to_add(place: str, repo: Path, git: Git) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text("* @acme/everyone\n")
    Path("registry.yaml").write_text(SETTINGS.replace("release+1/2026", "main"))
    git("remote", "add", "origin", "git@git.example:acme/churn.git")
    git("add", "--all")
    git("commit", "--quiet", "--message=Owners")
    receipt = init(repo, Host.GITHUB)
    assert Path(place).read_text() == "* @acme/everyone\n"
    assert ".github/CODEOWNERS" not in receipt.plan.documents
    say = f"{place} exists already, and stays as it is; add to it: "
    assert receipt.plan.notices[:-1] == (
        f"{say}/registry.yaml @acme/leads",
        f"{say}/.github/ @acme/leads",
        f"{say}/ml/models/**/stages/production.yaml @acme/release-managers @acme/leads",
    )


def test_written_owners_are_those_of_the_roles(repo: Path, git: Git) -> None:
    Path("registry.yaml").write_text(SETTINGS.replace("release+1/2026", "main"))
    git("add", "--all")
    git("commit", "--quiet", "--message=Settings")
    init(repo, Host.GITHUB)
    assert [line for line in Path(".github/CODEOWNERS").read_text().splitlines() if "/" in line] == [
        "/registry.yaml @OWNER/leads",
        "/.github/ @OWNER/leads",
        "/ml/models/**/stages/production.yaml @OWNER/release-managers @OWNER/leads",
        "# /ml/models/**/stages/staging.yaml @OWNER/release-managers",
    ]


def test_written_files_are_filled_in_and_read(written: Path) -> None:
    has_settings = "schema: 1\nbranch: release" in Path("registry.yaml").read_text()
    root, branch = ("ml/models", "release+1/2026") if has_settings else ("registry", "main")
    for path in (*GITHUB, *GITLAB):
        assert not re.search(r"__[A-Z]", Path(path).read_text()), path
    check, sync, promote = (read(f".github/workflows/mreg-{name}.yml") for name in ("check", "sync", "promote"))
    assert check["on"]["pull_request"]["branches"] == [branch.replace("+", "\\+")]
    assert check["jobs"]["check"]["steps"][1]["env"]["ROOT"] == root
    assert sync["on"]["push"]["paths"] == ["registry.yaml", "dvc.yaml", f"{root}/**"]
    assert sync["jobs"]["sync"]["steps"][0]["with"]["ref"] == f"refs/heads/{branch}"
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in ("SLACK_URL", "HOOK_URL")} if has_settings else None
    assert sync["jobs"]["sync"]["steps"][1].get("env") == secrets
    assert promote["on"]["workflow_dispatch"]["inputs"]["stage"]["options"] == ["staging", "production"]
    for name in ("promote", "rollback"):
        body = read(f".github/workflows/mreg-{name}.yml")["jobs"][name]["steps"][-1]["env"]["BODY"]
        assert json.loads(body) == {"ref": branch}
    assert f"uses: acme/mreg@{SHA}\n" in Path(WORKFLOWS[0]).read_text()
    assert f'"mreg[notify,scan] @ git+https://git.example/acme/mreg.git@{SHA}"' in Path(*GITLAB).read_text()


def test_written_workflows_grant_no_more_than_they_need(written: Path) -> None:
    granted = {}
    for path in WORKFLOWS:
        document = read(path)
        assert document["permissions"] == {}
        granted.update({(document["name"], name): job["permissions"] for name, job in document["jobs"].items()})
    assert granted == {
        ("mreg check", "check"): {"contents": "read"},
        ("mreg check", "comment"): {"pull-requests": "write"},
        ("mreg promote", "promote"): {"contents": "write", "actions": "write"},
        ("mreg rollback", "rollback"): {"contents": "write", "actions": "write"},
        ("mreg sync", "sync"): {"contents": "write"},
        ("mreg sync", "deploy"): {"contents": "read"},
    }


def test_written_workflows_have_none_of_the_known_mistakes(written: Path) -> None:
    checks = examine_workflows(written).checks
    assert [check.message for check in checks] == [f"{path}: no known mistake" for path in WORKFLOWS]


def test_written_rulesets_protect_the_tags_and_the_branch(written: Path) -> None:
    tags, branch = (json.loads(Path(f".github/rulesets/mreg-{name}.json").read_text()) for name in ("tags", "branch"))
    patterns = tags["conditions"]["ref_name"]["include"]
    for name in ("churn@v3.0.0", "fraud/eu@v1.0.0-rc.1", "churn#production#5", "a/b#staging!#6"):
        assert any(fnmatchcase(f"refs/tags/{name}", pattern) for pattern in patterns), name
    assert not any(fnmatchcase("refs/tags/v1.0.0", pattern) for pattern in patterns)
    assert {rule["type"] for rule in tags["rules"]} == {"deletion", "update", "non_fast_forward"}
    [ref] = branch["conditions"]["ref_name"]["include"]
    assert ref in {"refs/heads/main", "refs/heads/release+1/2026"}
    required = next(rule for rule in branch["rules"] if rule["type"] == "required_status_checks")
    [context] = required["parameters"]["required_status_checks"]
    assert context["context"] == read(WORKFLOWS[0])["jobs"]["check"]["name"]


@pytest.mark.slow
def test_written_files_pass_the_schemas_and_zizmor(written: Path) -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    run("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *GITLAB)
    run("zizmor", "--offline", "--no-progress", "--quiet", *WORKFLOWS)


@pytest.mark.slow
def test_action_passes_the_schema_and_zizmor() -> None:
    path = str(ROOT / "action.yml")
    run("check-jsonschema", "--builtin-schema", "vendor.github-actions", path)
    run("zizmor", "--offline", "--no-progress", "--quiet", path)


def test_action_has_no_expression_in_a_script_and_every_input_reaches_one() -> None:
    action = read(str(ROOT / "action.yml"))
    steps = action["runs"]["steps"]
    assert not [step for step in steps if "${{" in step["run"]]
    handed = {value for step in steps for value in step["env"].values()}
    assert handed == {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    assert {name: output["value"] for name, output in action["outputs"].items()} == {
        name: f"${{{{ steps.mreg.outputs.{name} }}}}" for name in action["outputs"]
    }


def test_init_without_a_known_source_says_what_to_give(repo: Path, git: Git) -> None:
    # The mreg under test is installed from a checkout; where that has a remote, it is the source.
    try:
        hosting = open_hosting([Host.GITHUB])
    except UsageError as error:
        assert error.hint.startswith("mreg init --github --mreg OWNER/mreg@COMMIT")  # noqa: PT017 - depends on the clone
    else:
        assert hosting is not None
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # \S+", hosting.source.action)


def test_init_refuses_a_source_that_the_host_does_not_know() -> None:
    with pytest.raises(UsageError, match="jobs of gitlab install mreg from its repository"):
        open_hosting([Host.GITLAB], f"acme/mreg@{SHA}")
    with pytest.raises(UsageError, match="jobs of github"):
        open_hosting([Host.GITHUB], f"https://git.example/a/b/mreg@{SHA}")
    with pytest.raises(UsageError, match="none is named"):
        open_hosting([], f"acme/mreg@{SHA}")
    assert open_hosting([]) is None
    found = open_hosting([Host.GITHUB], "./.github/mreg")
    assert found is not None
    assert found.source == Source("./.github/mreg")


@pytest.mark.slow
def test_wheel_has_the_templates(tmp_path: Path) -> None:
    words = ("--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path), str(ROOT))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *words], env={**os.environ, "HOME": str(tmp_path)}, check=True
    )
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    templates = ROOT / "src" / "mreg" / "registry" / "templates"
    assert {str(path.relative_to(ROOT / "src")) for path in templates.rglob("*") if path.is_file()} <= set(names)
