"""What the README shows, made anew: its registry, its commands and what they print, letter by letter.

Ids of commits and times differ from run to run, and are masked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg, become

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<block>.*?)^```", re.MULTILINE | re.DOTALL)
MASKS = ((r"\b[0-9a-f]{12}\b", "<commit id>"), (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<moment>"))
METRICS = {1: 0.902, 2: 0.913, 3: 0.887}


def blocks(language: str) -> list[str]:
    return [match["block"] for match in FENCE.finditer(README) if match["language"] == language]


def block(language: str, holds: str) -> str:
    """Returns the one block of a language that holds a text."""
    (found,) = (each for each in blocks(language) if holds in each)
    return found


def mask(text: str) -> str:
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text


def sessions(text: str) -> Iterator[tuple[list[str], str]]:
    """Yields the words of each command of a console, without ``mreg``, and what it printed."""
    for part in text.split("$ mreg ")[1:]:
        command, _, printed = part.partition("\n")
        yield shlex.split(command, comments=True), printed


@pytest.fixture
def team(repo: Path, tmp_path: Path, git: Git, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with the rules of the README and a remote, at which Jane sits."""
    become("jane", monkeypatch)
    mreg_here("init", "--remote", str(tmp_path / "store"), check=0)
    (repo / "registry.yaml").write_text(block("yaml", "no_worse_than: production"))
    git("commit", "--quiet", "--all", "--message=Rules")
    for number, auc in METRICS.items():
        (tmp_path / "model.bin").write_bytes(b"model %d" % number)
        register(mreg_here, tmp_path, auc)
    git("init", "--quiet", "--bare", "../hub.git")
    git("remote", "add", "origin", str(tmp_path / "hub.git"))
    return repo


def register(mreg_here: Mreg, folder: Path, auc: float) -> None:
    described = ("--metric", f"auc={auc}", "--dataset", "customers@2026-10", "--notes", "nightly", "--stage", "staging")
    mreg_here("register", "churn", str(folder / "model.bin"), *described, check=0)


def test_readme_console_prints_what_it_shows(team: Path, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, reason in (("v1", "first release"), ("v2", "AUC 0.913 against 0.902")):
        mreg_here("promote", f"churn@{version}", "staging", "--reason", "nightly run", check=0)
        become("bo", monkeypatch)
        mreg_here("approve", f"churn@{version}", "production", check=0)
        become("jane", monkeypatch)
        mreg_here("promote", f"churn@{version}", "production", "--reason", reason, check=0)
    mreg_here("promote", "churn@v3", "staging", "--reason", "nightly run", check=0)
    shown = list(sessions(block("console", "$ mreg list")))
    assert len(shown) == 3
    for words, promised in shown:
        result = mreg_here(*words)
        assert mask(result.out + result.err) == mask(promised), words


def test_readme_quick_start_runs_and_prints_what_it_shows(repo: Path, mreg_here: Mreg) -> None:
    printed = {}
    for line in block("bash", "mreg init --remote ../model-store").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["mreg"]:
            printed[words[1]] = mreg_here(*words[1:], check=0).out
        elif words[:1] == ["echo"]:
            _, text, arrow, name = words
            assert arrow == ">"
            Path(name).write_text(f"{text}\n")
        else:
            assert words[:2] in ([], ["git", "init"])
    assert block("text", "metrics: ") in printed["compare"]
    assert Path("served.bin").read_text() == "first weights\n"


def test_readme_pull_request_way_runs(
    team: Path, tmp_path: Path, git: Git, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.bin").write_bytes(b"a better model")
    register(mreg_here, tmp_path, 0.92)
    git("push", "--quiet", "--follow-tags", "--set-upstream", "origin", "main")
    git("clone", "--quiet", str(tmp_path / "hub.git"), str(tmp_path / "bo"))
    text = block("console", "--branch promote-churn --push").replace("churn@v3", "churn@v4")
    promote, check, approve, sync, verify = (words for words, _ in sessions(text))
    mreg_here(*promote, check=0)
    assert "1 more needed" in mreg_here(*check, check=1).out
    become("bo", monkeypatch)
    git("fetch", "--quiet", cwd=tmp_path / "bo")
    mreg_here(*approve, cwd=tmp_path / "bo", check=0)
    become("jane", monkeypatch)
    git("fetch", "--quiet")
    git("merge", "--quiet", "--no-ff", "--message=Merge", "origin/promote-churn")
    mreg_here(*sync, check=0)
    mreg_here(*verify, check=0)
    assert "refs/tags/churn#production#5" in git("ls-remote", "--tags", "origin")
