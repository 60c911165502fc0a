from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mreg
from mreg.core.history.record import Run
from mreg.core.text import find_secret
from mreg.stores.surroundings import detect_entrypoint, detect_environment, detect_run, strip_credentials

GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/models",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_TOKEN": "ghs_" + "a" * 36,
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_JOB_URL": "https://gitlab.com/acme/models/-/jobs/9",
    "CI_PIPELINE_URL": "https://gitlab.com/acme/models/-/pipelines/5",
}
AZURE = {
    "TF_BUILD": "True",
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_TEAMPROJECT": "Model Zoo",
    "BUILD_BUILDID": "42",
}
BUILDKITE = {"BUILDKITE": "true", "BUILDKITE_BUILD_URL": "https://buildkite.com/acme/train/builds/7"}


@pytest.mark.parametrize(
    ("env", "tool", "url"),
    [
        (GITHUB, "github-actions", "https://github.com/acme/models/actions/runs/1658821493"),
        (
            {**GITHUB, "GITHUB_RUN_ATTEMPT": "3", "GITHUB_SERVER_URL": "https://git.acme.example"},
            "github-actions",
            "https://git.acme.example/acme/models/actions/runs/1658821493/attempts/3",
        ),
        ({"GITHUB_ACTIONS": "true"}, "github-actions", ""),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b"}, "github-actions", ""),
        (GITLAB, "gitlab-ci", "https://gitlab.com/acme/models/-/jobs/9"),
        ({**GITLAB, "CI_JOB_URL": ""}, "gitlab-ci", "https://gitlab.com/acme/models/-/pipelines/5"),
        ({"GITLAB_CI": "true"}, "gitlab-ci", ""),
        (
            {"JENKINS_URL": "https://ci.example/", "BUILD_URL": "https://ci.example/job/train/3/", "BUILD_NUMBER": "3"},
            "jenkins",
            "https://ci.example/job/train/3/",
        ),
        (
            {"CIRCLECI": "true", "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/models/8"},
            "circleci",
            "https://circleci.com/gh/acme/models/8",
        ),
        (BUILDKITE, "buildkite", "https://buildkite.com/acme/train/builds/7"),
        ({**BUILDKITE, "BUILDKITE_JOB_ID": "0-1"}, "buildkite", "https://buildkite.com/acme/train/builds/7#0-1"),
        (AZURE, "azure-pipelines", "https://dev.azure.com/acme/Model%20Zoo/_build/results?buildId=42"),
        ({**AZURE, "BUILD_BUILDID": ""}, "azure-pipelines", ""),
        (
            {"BITBUCKET_BUILD_NUMBER": "12", "BITBUCKET_REPO_FULL_NAME": "acme/models"},
            "bitbucket-pipelines",
            "https://bitbucket.org/acme/models/pipelines/results/12",
        ),
        ({"BITBUCKET_BUILD_NUMBER": "12"}, "bitbucket-pipelines", ""),
    ],
)
def test_detect_run_each_service_gives_its_job(env: Mapping[str, str], tool: str, url: str) -> None:
    assert detect_run(env) == Run(tool, url)


@pytest.mark.parametrize("env", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "false"}, {"CIRCLECI": ""}, {"BUILD_URL": "x"}])
def test_detect_run_outside_of_ci_gives_none(env: Mapping[str, str]) -> None:
    assert detect_run(env) is None


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://bot:hunter2@ci.example/job/3", "https://ci.example/job/3"),
        ("https://ci.example/job/3?token=hunter2", "https://ci.example/job/3"),
        ("javascript:alert(1)", ""),
        ("https://ci.example/a b", ""),
        ("https://ci.example/\nx: y", ""),
        ("https://ci.example/\u202e", ""),
    ],
)
def test_detect_run_url_is_clean_or_left_out(url: str, kept: str) -> None:
    assert detect_run({"JENKINS_URL": "x", "BUILD_URL": url}) == Run("jenkins", kept)


def test_detect_environment_versions_are_those_that_importlib_tells() -> None:
    found = detect_environment()
    assert found.python == platform.python_version()
    assert list(found.packages) == sorted(found.packages)
    assert {"numpy", "scikit-learn", "joblib"} <= set(found.packages)
    for name, version in found.packages.items():
        assert version == importlib.metadata.version(name)


def test_detect_environment_names_and_folders_of_any_form_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for name in ("Scikit_Learn-1.7.2.dist-info", "torch-2.9.0+cu126.dist-info", "numpy-1.24.2.egg-info", "jax"):
        (first / name).mkdir(parents=True)
    for name in ("pandas-2.0.0-py3.11.egg-info", "torch-1.0.dist-info", "jaxlib-0.4.dist-info", "polars.dist-info"):
        (second / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(first), str(second), str(tmp_path / "lib.zip"), ""])
    assert detect_environment().packages == {
        "numpy": "1.24.2",
        "pandas": "2.0.0",
        "scikit-learn": "1.7.2",
        "torch": "2.9.0+cu126",
    }


def test_detect_environment_is_quick_and_imports_nothing() -> None:
    program = """
import sys, time
from mreg.stores.surroundings import detect_environment
before = set(sys.modules)
times = []
for _ in range(3):
    start = time.process_time()
    found = detect_environment()
    times.append(time.process_time() - start)
assert found.packages and min(times) < 0.02, times
assert not {name for name in set(sys.modules) - before if name.partition(".")[0] in {"numpy", "sklearn", "importlib"}}
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": _source()})


def _source() -> str:
    return str(Path(mreg.__file__).parents[1])


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://github.com/acme/models.git", "https://github.com/acme/models.git"),
        ("https://jane:hunter2@github.com/acme/models.git", "https://github.com/acme/models.git"),
        ("https://hunter2@github.com/acme/models", "https://github.com/acme/models"),
        ("https://jane:@github.com/x", "https://github.com/x"),
        ("HTTPS://jane:hunter2@github.com/x", "HTTPS://github.com/x"),
        ("https://x-access-token:hunter2@github.com:8443/x", "https://github.com:8443/x"),
        ("https://jane:hun%40ter2@github.com/x", "https://github.com/x"),
        ("https://jane:hun@ter2@github.com/x", "https://github.com/x"),
        ("https://jane:hun/ter2@github.com/x", "https://github.com/x"),
        ("https://jane:hun?ter2@github.com/x", "https://github.com/x"),
        ("https://jane:hun#ter2@github.com/x", "https://github.com/x"),
        ("http://jane:hunter2@[::1]:80/x", "http://[::1]:80/x"),
        ("https://github.com/@acme/x", "https://github.com/@acme/x"),
        ("https://github.com:443/@acme/x", "https://github.com:443/@acme/x"),
        ("git+https://jane:hunter2@github.com/x", "git+https://github.com/x"),
        ("https://ci.example/x?token=hunter2", "https://ci.example/x"),
        ("https://ci.example/x?a=1&access_token=hunter2&b=2", "https://ci.example/x?a=1&b=2"),
        ("https://ci.example/x?X-Amz-Signature=hunter2&ACCESS_TOKEN=hunter2", "https://ci.example/x"),
        ("https://ci.example/x?tok%65n=hunter2", "https://ci.example/x"),
        ("https://ci.example/x?a=1;private_token=hunter2", "https://ci.example/x?a=1"),
        ("https://ci.example/x?buildId=42#L3", "https://ci.example/x?buildId=42#L3"),
        ("https://ci.example/x#access_token=hunter2", "https://ci.example/x"),
        ("git@github.com:acme/models.git", "git@github.com:acme/models.git"),
        ("git:hunter2@github.com:acme/models.git", "git@github.com:acme/models.git"),
        ("github.com:acme/models.git", "github.com:acme/models.git"),
        ("ssh://git@github.com/acme/models", "ssh://git@github.com/acme/models"),
        ("ssh://git@github.com:22/acme/models", "ssh://git@github.com:22/acme/models"),
        ("ssh://git:hunter2@github.com/acme/models", "ssh://git@github.com/acme/models"),
        ("git+ssh://git:hunter2@github.com/x", "git+ssh://git@github.com/x"),
        ("ssh://github.com/acme/models", "ssh://github.com/acme/models"),
        ("codecommit::eu-west-1://jane:hunter2@models", "codecommit::eu-west-1://models"),
        ("gcrypt::https://jane:hunter2@host/x", "gcrypt::https://host/x"),
        ("s3://bucket/models?versionId=3", "s3://bucket/models?versionId=3"),
        ("file:///srv/models.git", "file:///srv/models.git"),
        ("/srv/a@b/models.git", "/srv/a@b/models.git"),
        ("../models.git", "../models.git"),
        (" https://github.com/x\n", "https://github.com/x"),
        ("", ""),
        ("https://", "https://"),
        (f"https://github.com/{'ghp_' + 'a' * 36}/x", ""),
        ("https://github.com/x https://jane:hunter2@github.com", ""),
    ],
)
def test_strip_credentials_leaves_what_is_no_secret(url: str, clean: str) -> None:
    assert strip_credentials(url) == clean
    assert strip_credentials(clean) == clean


USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/@:"), max_size=8)
SECRETS = st.text("abcXYZ019:@/?#&=%+~ é", max_size=8).map(lambda text: f"hunter2{text}")
TAILS = st.sampled_from(["", "/", "/acme/models.git", ":8443/x", "/x?a=1", "/x?token=hunter2", "/@scope/x#y"])


@given(st.sampled_from(["https", "http", "ssh", "git+https", "S3", "ftp"]), USERS, SECRETS, TAILS)
def test_strip_credentials_password_of_any_kind_never_stays(scheme: str, user: str, secret: str, tail: str) -> None:
    assert "hunter2" not in strip_credentials(f"{scheme}://{user}:{secret}@host.example{tail}")


@given(st.text())
def test_strip_credentials_any_text_gives_text_without_secret(text: str) -> None:
    clean = strip_credentials(text)
    assert find_secret(clean) is None
    assert strip_credentials(clean) == clean


def test_strip_credentials_long_input_is_quick() -> None:
    start = time.process_time()
    for url in (
        "a::" * 50_000,
        "a" * 50_000 + "://",
        "https://" + "a:" * 50_000,
        "@" * 50_000,
        "https://" + "?" * 50_000,
    ):
        strip_credentials(url)
    assert time.process_time() - start < 1


@pytest.fixture
def script(repo: Path) -> Path:
    path = repo / "src" / "train.py"
    path.parent.mkdir()
    path.touch()
    return path


def test_detect_entrypoint_script_of_the_repository_is_named(
    repo: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert detect_entrypoint([str(script), "--epochs", "3"], repo) == "src/train.py"
    assert detect_entrypoint(["src/train.py"], repo) == "src/train.py"
    monkeypatch.chdir(script.parent)
    assert detect_entrypoint(["train.py"], repo) == "src/train.py"
    assert detect_entrypoint(["./../src/train.py"], repo) == "src/train.py"


def test_detect_entrypoint_links_are_followed(repo: Path, script: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo)
    assert detect_entrypoint([str(tmp_path / "link" / "src" / "train.py")], repo) == "src/train.py"
    assert detect_entrypoint([str(script)], tmp_path / "link") == "src/train.py"


@pytest.mark.parametrize(
    "argv", [[], [""], ["-c"], ["-m"], ["src/absent.py"], ["src"], ["README.md"], ["src/train.py\0.py"], ["/loop.py"]]
)
def test_detect_entrypoint_no_script_gives_nothing(repo: Path, script: Path, argv: list[str]) -> None:
    assert detect_entrypoint(argv, repo) == ""


def test_detect_entrypoint_what_is_not_the_users_gives_nothing(repo: Path, tmp_path: Path) -> None:
    installed = repo / ".venv" / "lib" / "python3.11" / "site-packages" / "ipykernel_launcher.py"
    installed.parent.mkdir(parents=True)
    outside, folder, loop = tmp_path / "outside.py", repo / "folder.py", repo / "loop.py"
    installed.touch()
    outside.touch()
    folder.mkdir()
    loop.symlink_to(loop)
    for path in (installed, outside, folder, loop):
        assert detect_entrypoint([str(path)], repo) == ""
    own = Path(mreg.__file__)
    assert detect_entrypoint([str(own.with_name("__main__.py"))], own.parents[2]) == ""
