"""GitHub on loopback: ``act`` runs the workflows, a bare repository is the remote, a small server is the API."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mreg.stores import yaml
from tests.cli.conftest import _churn_template, churn
from tests.conftest import Git, Mreg

__all__ = ["_churn_template", "churn"]

ROOT = Path(__file__).parents[2]
SHA = "0123456789" * 4
HOSTILE = (
    "why `id` $(touch pwned)\n::set-output name=ok::stolen\n##[add-mask]churn ${{ github.token }} 'a' \"b\" \\ %0A"
)
"""What a person may write as a reason or a note."""
# What the job's pip needs to install the action without a network: all but mreg itself comes from this environment.
OFFLINE = {
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as --no-build-isolation
    "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1",
    "PYTHONPATH": sysconfig.get_path("purelib"),
}


@dataclass
class Api:
    """The issues and workflows of GitHub's API, as far as the workflows ask."""

    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    status: int = 0
    """Answered to everything, unless 0."""
    url: str = ""

    def answer(self, method: str, path: str, data: dict[str, Any]) -> tuple[int, object]:
        self.requests.append((method, path, data))
        place, _, query = path.partition("?")
        if self.status:
            return self.status, {"message": "no"}
        if method == "GET":
            page = int(query.rpartition("page=")[2])
            return 200, self.comments[100 * (page - 1) : 100 * page]
        if place.endswith("/dispatches"):
            return 204, None
        if method == "PATCH":
            [found] = [each for each in self.comments if place.endswith(f"/issues/comments/{each['id']}")]
            found.update(data)
            return 200, found
        self.comments.append({"id": 1000 + len(self.comments), "user": {"login": "github-actions[bot]"}, **data})
        return 201, self.comments[-1]


@pytest.fixture
def api() -> Iterator[Api]:
    """A server that answers as GitHub does."""
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            data = json.loads(self.rfile.read(size) or b"{}")
            status, body = state.answer(self.command, self.path, data)
            self.send_response(status)
            text = b"" if body is None else json.dumps(body).encode()
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_GET  # noqa: N815 - the names that the server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()


@dataclass(frozen=True)
class Run:
    """What one run of a workflow left."""

    code: int
    entries: tuple[Mapping[str, Any], ...]
    """The lines of act's log."""

    @property
    def log(self) -> str:
        return "\n".join(str(entry.get("msg", "")).rstrip() for entry in self.entries)

    @property
    def results(self) -> dict[str, str]:
        """How each job ended."""
        return {entry["jobID"]: entry["jobResult"] for entry in self.entries if "jobResult" in entry}

    def outputs(self, job: str, step: str = "mreg") -> dict[str, str]:
        """The outputs of a step as the job sees them."""
        return {
            entry["name"]: entry["arg"]
            for entry in self.entries
            if entry.get("command") == "set-output" and entry["jobID"] == job and entry["stepID"] == [step]
        }

    def commanded(self) -> set[str]:
        """The names of all outputs that anything set, and how: by the file alone, if all is well."""
        return {entry["command"] for entry in self.entries if "command" in entry}

    def summary(self, job: str) -> str:
        """What the job's steps wrote for people."""
        found = [entry for entry in self.entries if entry.get("command") == "summary" and entry["jobID"] == job]
        return "\n".join(dict.fromkeys(entry["content"] for entry in found))


@dataclass(frozen=True)
class Act:
    """Runs one workflow on an event: ``act("push", "mreg-sync", {...})``."""

    repo: Path
    home: Path
    action: Path
    api: Api
    git_config: str
    programs: Path | None = None
    """A folder of programs that the job finds before all others."""

    def __call__(self, event: str, workflow: str, payload: Mapping[str, Any], **secrets: str) -> Run:
        file = self.home / "event.json"
        file.write_text(json.dumps({"repository": {"full_name": "acme/models"}, **payload}), encoding="utf-8")
        env = {
            **OFFLINE,
            "GITHUB_API_URL": self.api.url,
            "GITHUB_REPOSITORY": "acme/models",
            "GIT_CONFIG_GLOBAL": self.git_config,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "LC_ALL": "C.UTF-8",
        }
        words = [
            "--workflows",
            f".github/workflows/{workflow}.yml",
            "--eventpath",
            str(file),
            "--json",
            "--actor",
            "jane",
        ]
        words += ["--platform", "ubuntu-latest=-self-hosted", "--no-cache-server"]
        words += ["--local-repository", f"acme/mreg@{SHA}={self.action}"]
        words += [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
        words += [word for name, value in secrets.items() for word in ("--secret", f"{name}={value}")]
        done = subprocess.run(
            [Path(sys.executable).with_name("act"), event, *words],
            cwd=self.repo,
            env={"HOME": str(self.home), "PATH": f"{self.programs}:{_path()}" if self.programs else _path()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        lines = (line for line in done.stdout.splitlines() if line.startswith("{"))
        run = Run(done.returncode, tuple(json.loads(line) for line in lines))
        (self.home / "act.log").write_text(done.stdout, encoding="utf-8")
        return run


def _path() -> str:
    return f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What GitHub would check out of mreg's repository."""
    folder = tmp_path_factory.mktemp("action") / "mreg"
    folder.mkdir()
    for name in ("action.yml", ".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def remote(churn: Path, tmp_path: Path, mreg_here: Mreg, git: Git) -> Path:
    """The bare repository behind ``origin`` of ``churn``, which has the workflows of ``mreg init --github``."""
    bare = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", str(bare))
    git("remote", "add", "origin", str(bare))
    mreg_here("init", "--github", "--mreg", f"acme/mreg@{SHA}", check=0)
    git("push", "--quiet", "--atomic", "--follow-tags", "origin", "main")
    return bare


@pytest.fixture(scope="session")
def installed(action: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that save the first step of the action 5 s: a ``python3`` whose environments are there already.

    What is in them was installed by that very step.  ``test_training`` runs workflows without this.
    """
    place = tmp_path_factory.mktemp("installed")
    document = yaml.load_foreign((action / "action.yml").read_bytes(), "action.yml")
    assert isinstance(document, dict)
    [step] = [each for each in document["runs"]["steps"] if each["name"] == "Install mreg"]
    env = {
        **OFFLINE,
        "PATH": _path(),
        "MREG_PYTHON": "python3",
        "RUNNER_TEMP": str(place),
        "GITHUB_ACTION_PATH": str(action),
    }
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", step["run"]], env=env, check=True)
    programs = place / "bin"
    programs.mkdir()
    real = shutil.which("python3", path=_path())
    (programs / "pip").write_text("#!/bin/sh\n")
    (programs / "python3").write_text(
        f"""#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && ln -sf "{programs}/pip" "{place}/mreg/bin/mreg" "$3/bin" ;;
*) exec {real} "$@" ;;
esac
"""
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    return programs


@pytest.fixture
def act(churn: Path, remote: Path, action: Path, api: Api, git_config: Path, installed: Path) -> Act:
    """Runs a workflow of ``churn``."""
    if not Path(sys.executable).with_name("act").exists():
        pytest.skip("act is not installed")
    home = remote.with_name("runner")
    home.mkdir()
    return Act(churn, home, action, api, str(git_config), installed)
