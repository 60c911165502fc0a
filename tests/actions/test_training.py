"""The jobs of ``examples/training``: train, register, propose the promotion; on GitHub by ``act``, on GitLab by hand.

Both push over HTTP to a host that asks for the job's token.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mreg.core.setup.hosting import Host
from mreg.registry.setup.hosting import open_hosting
from mreg.registry.setup.initialising import initialise
from mreg.stores import yaml
from tests import hosts
from tests.actions.conftest import ROOT, SHA, Act, Api
from tests.conftest import Git, Mreg
from tests.hosts import GitHost, git_host

EXAMPLES = ROOT / "examples" / "training"
MODEL = "breast-cancer"
TOKEN = "Job-t0ken"

pytestmark = pytest.mark.slow


@pytest.fixture
def pipeline(
    repo: Path, tmp_path: Path, mreg_here: Mreg, git: Git, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitHost]:
    """A host with a registry that has the example's pipeline, not yet run; its clone is the working directory."""
    for user in ("mreg", "x-access-token"):
        monkeypatch.setitem(hosts.PASSWORDS, user, TOKEN)
    for file in (EXAMPLES / "pipeline").iterdir():
        shutil.copy(file, repo)
    git("add", "--all")
    git("commit", "--quiet", "--message=Add the pipeline")
    mreg_here("init", "--remote", str(tmp_path / "remote"), check=0)
    bare = tmp_path / "registry.git"
    git("clone", "--quiet", "--bare", str(repo), str(bare))
    (tmp_path / "host").mkdir()
    with git_host("python", bare, tmp_path / "host") as host:
        host.unprotect()
        git("remote", "add", "origin", host.url)
        yield host


def read(path: Path) -> dict[str, Any]:
    document = yaml.load_foreign(path.read_bytes(), path.name)
    assert isinstance(document, dict)
    return document


def check_registered(host: GitHost, git: Git, branch: str) -> None:
    """Checks what either job has left on the host: code, version and tag on main; the promotion beside it."""
    bare = host.repo
    subjects = git("log", "--first-parent", "-3", "--format=%s", "main", cwd=bare).splitlines()
    assert subjects[:2] == [f"Register {MODEL} v1.0.0", f"Train {MODEL}"]
    record = yaml.load_foreign(
        git("show", f"main:registry/{MODEL}/versions/v1.0.0.yaml", cwd=bare).encode(), "the record"
    )
    assert isinstance(record, dict)
    assert record["code"] | {"repo": ""} == {
        "repo": "", "commit": git("rev-parse", "main~1", cwd=bare), "dirty": False
    }  # fmt: skip
    assert record["params"]["train.n_estimators"] == 20
    assert record["dataset"]["path"] == "data.csv"
    assert set(record["metrics"]) == {"auc", "log_loss"}
    assert git("rev-parse", f"{MODEL}@v1.0.0^{{commit}}", cwd=bare) == git("rev-parse", "main", cwd=bare)
    assert git("log", "--format=%s", f"main..{branch}", cwd=bare) == f"Promote {MODEL} v1.0.0 to production"
    assert git("tag", "--list", "*#*", cwd=bare) == ""


@pytest.fixture
def github(pipeline: GitHost, tmp_path: Path, action: Path, api: Api, git_config: Path, git: Git) -> Act:
    """Runs the workflow, which is on the host."""
    repo = Path.cwd()
    text = (EXAMPLES / "github" / "train.yml").read_text()
    place = repo / ".github" / "workflows" / "train.yml"
    place.parent.mkdir(parents=True)
    place.write_text(text.replace(f"OWNER/mreg@{'0' * 40}", f"acme/mreg@{SHA}"))
    git("add", ".github")
    git("commit", "--quiet", "--message=Train in CI")
    git("push", "--quiet", pipeline.url_of("mreg"), "main")
    home = tmp_path / "runner"
    home.mkdir()
    return Act(repo, home, action, api, str(git_config))


def test_train_workflow_registers_and_proposes_the_promotion_once(
    pipeline: GitHost, github: Act, api: Api, git: Git, soak: bool
) -> None:
    run = github("push", "train", {"ref": "refs/heads/main"}, GITHUB_TOKEN=TOKEN)
    assert (run.code, run.results) == (0, {"train": "success"}), run.log
    branch = f"promote/{MODEL}-v1.0.0"
    check_registered(pipeline, git, branch)
    [(method, path, body)] = api.requests
    assert (method, path) == ("POST", "/repos/acme/models/pulls")
    assert (body["title"], body["head"], body["base"]) == (f"Promote {MODEL} v1.0.0 to production", branch, "main")
    left = [file for place in (github.repo, github.home) for file in place.rglob("*") if file.is_file()]
    assert not [file for file in left if TOKEN.encode() in file.read_bytes()]
    if not soak:  # ten seconds for what the job of GitLab shows below
        return
    # Once more, from what is there now: nothing is trained, registered or proposed.
    git("fetch", "--quiet", pipeline.url_of("mreg"), "main")
    git("reset", "--quiet", "--hard", "FETCH_HEAD")
    refs = pipeline.refs()
    run = github("push", "train", {"ref": "refs/heads/main"}, GITHUB_TOKEN=TOKEN)
    assert (run.code, run.results) == (0, {"train": "success"}), run.log
    assert "nothing to train" in run.summary("train")
    assert (pipeline.refs(), len(api.requests)) == (refs, 1)


def run_gitlab(job: dict[str, Any], clone: Path, host: GitHost) -> str:
    """Runs the script of a job as GitLab's runner does: in one shell, to the first failure."""
    variables = {name: value for name, value in job["variables"].items() if name.startswith("GIT_")}
    env = {
        **os.environ,
        **variables,
        "HOME": str(clone.parent / "runner"),
        "CI_COMMIT_BRANCH": "main",
        "CI_PIPELINE_ID": "12",
        "CI_PIPELINE_URL": "https://gitlab.example/acme/models/-/pipelines/12",
        "CI_PROJECT_URL": host.url.removesuffix(".git"),
        "MREG_PUSH_TOKEN": TOKEN,
        "PIP_NO_INDEX": "1",
    }
    script = "\n".join(job["script"])
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def clone(pipeline: GitHost, repo: Path, tmp_path: Path, git: Git) -> Path:
    """What GitLab's runner checks out: a detached HEAD."""
    path = tmp_path / "clone"
    git("clone", "--quiet", pipeline.url_of("mreg"), str(path))
    git("checkout", "--quiet", "--detach", cwd=path)
    return path


def test_gitlab_train_job_registers_and_asks_for_the_merge_request(
    pipeline: GitHost, clone: Path, tmp_path: Path, git: Git
) -> None:
    git("config", "receive.advertisePushOptions", "true", cwd=pipeline.repo)
    hook = pipeline.repo / "hooks" / "post-receive"
    hook.write_text(f'#!/bin/sh\nread -r _ _ ref\necho "$ref $GIT_PUSH_OPTION_0" >> {tmp_path}/options\n')
    hook.chmod(0o755)
    job = read(EXAMPLES / "gitlab" / "train.gitlab-ci.yml")["train"]

    run_gitlab(job, clone, pipeline)
    check_registered(pipeline, git, "promote/breast-cancer-12")
    *_, last = (tmp_path / "options").read_text().splitlines()
    assert last == "refs/heads/promote/breast-cancer-12 merge_request.create"

    refs = pipeline.refs()
    assert "nothing to train" in run_gitlab(job, clone, pipeline)
    assert pipeline.refs() == refs


def test_gitlab_sync_job_pushes_the_tags(
    pipeline: GitHost, clone: Path, repo: Path, model_file: Path, mreg_here: Mreg, git: Git
) -> None:
    initialise(repo, hosting=open_hosting([Host.GITLAB], f"https://gitlab.example/acme/mreg@{SHA}"))
    mreg_here("register", MODEL, str(model_file), check=0)
    git("push", "--quiet", pipeline.url_of("mreg"), "main")
    assert not pipeline.refs("refs/tags")
    job = read(repo / ".gitlab" / "mreg.gitlab-ci.yml")["mreg sync"]
    out = run_gitlab(job, clone, pipeline)
    assert json.loads(out[out.index("{") :])["tags"] == [f"{MODEL}@v1.0.0"]
    assert list(pipeline.refs("refs/tags")) == [f"refs/tags/{MODEL}@v1.0.0"]
