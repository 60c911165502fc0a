"""What the surroundings tell of a training run: the CI job, the interpreter, the script.

Nothing here asks the network or starts a program, and no credential comes out of it.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from mreg.core.history.record import Environment, Run
from mreg.core.text import find_secret

__all__ = ["detect_entrypoint", "detect_environment", "detect_run", "strip_credentials"]

_PACKAGES = frozenset({
    "catboost", "jax", "joblib", "keras", "lightgbm", "numpy", "onnx", "onnxruntime", "pandas", "polars", "safetensors",
    "scikit-learn", "scipy", "skops", "tensorflow", "torch", "transformers", "xgboost",
})  # fmt: skip
_INSTALLED = re.compile(r"(?P<name>[\w.]+)-(?P<version>[^-]+)(?:-[^-]+)?\.(?:dist|egg)-info")
_SCHEME = re.compile(r"[\w+.:-]+")
_SSH = re.compile(r"(?:.*::)?(?:git\+)?ssh(?:\+git)?", re.IGNORECASE)
_PORT = re.compile(r":(?!\d*$)(?![^\[]*\])")
"""A colon that begins neither a port nor a part of an IPv6 address."""
_SECRET_NAME = re.compile(r"token|secret|passw|pwd|sig|credential|auth|key|jwt", re.IGNORECASE)


def detect_run(env: Mapping[str, str]) -> Run | None:
    """Returns the CI job that this process is part of, or ``None`` where it is none.

    Args:
        env: The environment.  A variable that is missing makes the URL empty.
    """
    for tool, mark, locate in _SERVICES:
        if env.get(mark, "").lower() not in {"", "false", "0"}:
            url = strip_credentials(locate(env))
            return Run(tool, url if re.fullmatch(r"https?://[!-~]+", url) else "")
    return None


def detect_environment() -> Environment:
    """Returns the version of the running Python, and of those well-known ML packages that are installed in it.

    The folders' names tell the versions: importing ``importlib.metadata`` alone would take fifty times as long.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")  # noqa: PTH208 - names are enough, and fast
        except OSError:
            continue  # a zip file, or a folder that is not there
        for entry in entries:
            match = _INSTALLED.fullmatch(entry)
            if match and (package := re.sub(r"[-_.]+", "-", match["name"]).lower()) in _PACKAGES:
                found.setdefault(package, match["version"])
    return Environment(platform.python_version(), dict(sorted(found.items())))


def strip_credentials(url: str) -> str:
    """Returns a URL without the user, password and tokens in it.

    The user of an SSH URL stays, since it is no secret: ``git@host:x``.  Empty where a secret cannot be taken out.
    """
    url = url.strip()
    scheme, sign, rest = url.partition("://")
    if sign and _SCHEME.fullmatch(scheme):
        url = _strip_url(scheme, rest)
    else:
        user, at, rest = url.partition("@")
        url = user.partition(":")[0] + at + rest if at and "/" not in user else url
    return "" if find_secret(url) else url


def detect_entrypoint(argv: Sequence[str], root: Path) -> str:
    """Returns the Python script that runs, as a POSIX path relative to the repository.

    Args:
        argv: The process's own, ``sys.argv``.
        root: The repository's root.

    Returns:
        Empty where what runs is no script of this repository: mreg itself, a notebook, an installed program.
    """
    if not argv or not argv[0].endswith(".py"):
        return ""
    try:
        script = Path(argv[0]).resolve(strict=True)
        inside = script.relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return ""
    is_installed = "site-packages" in inside.parts or "dist-packages" in inside.parts
    is_own = Path(__file__).resolve().parents[1] in script.parents
    return "" if is_installed or is_own or not script.is_file() else inside.as_posix()


def _strip_url(scheme: str, rest: str) -> str:
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    end = host.rfind("@")
    if end < 0 and _PORT.search(host):
        end = rest.rfind("@")  # a password with one of / ? # in it
    if end >= 0:
        user = rest[:end].partition(":")[0]
        rest = f"{user}@{rest[end + 1 :]}" if _SSH.fullmatch(scheme) else rest[end + 1 :]
    rest, hash_sign, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    query = "&".join(
        part for part in re.split("[&;]", query) if not _SECRET_NAME.search(unquote(part.partition("=")[0]))
    )
    fragment = "" if _SECRET_NAME.search(unquote(fragment)) else hash_sign + fragment
    return f"{scheme}://{rest}{'?' if query else ''}{query}{fragment}"


def _locate_github(env: Mapping[str, str]) -> str:
    repository, run = env.get("GITHUB_REPOSITORY"), env.get("GITHUB_RUN_ID")
    if not repository or not run:
        return ""
    attempt = env.get("GITHUB_RUN_ATTEMPT", "1")
    again = f"/attempts/{attempt}" if attempt not in {"", "1"} else ""
    return f"{env.get('GITHUB_SERVER_URL') or 'https://github.com'}/{repository}/actions/runs/{run}{again}"


def _locate_azure(env: Mapping[str, str]) -> str:
    server = env.get("SYSTEM_COLLECTIONURI") or env.get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")
    project, build = env.get("SYSTEM_TEAMPROJECT"), env.get("BUILD_BUILDID")
    if not server or not project or not build:
        return ""
    return f"{server.rstrip('/')}/{quote(project)}/_build/results?buildId={build}"


def _locate_bitbucket(env: Mapping[str, str]) -> str:
    repository, number = env.get("BITBUCKET_REPO_FULL_NAME"), env.get("BITBUCKET_BUILD_NUMBER")
    return f"https://bitbucket.org/{repository}/pipelines/results/{number}" if repository else ""


def _locate_buildkite(env: Mapping[str, str]) -> str:
    build, job = env.get("BUILDKITE_BUILD_URL", ""), env.get("BUILDKITE_JOB_ID", "")
    return f"{build}#{job}" if build and job else build


_SERVICES: Sequence[tuple[str, str, Callable[[Mapping[str, str]], str]]] = (
    ("github-actions", "GITHUB_ACTIONS", _locate_github),
    ("gitlab-ci", "GITLAB_CI", lambda env: env.get("CI_JOB_URL") or env.get("CI_PIPELINE_URL", "")),
    ("circleci", "CIRCLECI", lambda env: env.get("CIRCLE_BUILD_URL", "")),
    ("buildkite", "BUILDKITE", _locate_buildkite),
    ("azure-pipelines", "TF_BUILD", _locate_azure),
    ("bitbucket-pipelines", "BITBUCKET_BUILD_NUMBER", _locate_bitbucket),
    ("jenkins", "JENKINS_URL", lambda env: env.get("BUILD_URL", "")),
)
