"""``--format github``: what a step leaves in its log and its files, and that no text out of a registry is a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mreg.cli.options import OutputFormat
from tests.conftest import Git, Mreg, Result
from tests.render.test_github import Runner

HOSTILE = "why `id` $(id)\n::set-output name=ok::stolen\n##[add-mask]production ${{ github.token }}\n\nEOF\nok=stolen"


class Steps:
    """Runs commands as steps of a job do."""

    def __init__(self, mreg: Mreg, folder: Path) -> None:
        self.mreg = mreg
        self.output, self.summary = folder / "output", folder / "summary"
        self.runner = Runner()

    def __call__(self, *words: str, check: int = 0) -> Result:
        for file in (self.output, self.summary):
            file.unlink(missing_ok=True)
        env = {"GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary)}
        result = self.mreg(*words, "--format", "github", env=env, check=check)
        self.runner.commands.clear()
        for text in (result.out, result.err):
            if text:
                self.runner.read_log(text.removesuffix("\n"))
        return result

    @property
    def outputs(self) -> dict[str, str]:
        return self.runner.read_file(self.output.read_text(encoding="utf-8"))


@pytest.fixture
def step(mreg_here: Mreg, tmp_path: Path) -> Steps:
    return Steps(mreg_here, tmp_path)


def test_github_promote_gives_outputs_and_a_summary(churn: Path, step: Steps, git: Git) -> None:
    result = step("promote", "churn@v3", "staging", "--reason", HOSTILE)
    assert result.err == ""
    assert step.runner.commands == [("notice", {"title": "mreg"}, "Promote churn v3.0.0 to staging\nchurn#staging#3")]
    outputs = step.outputs
    report, [transition] = json.loads(outputs.pop("report")), json.loads(outputs.pop("transitions"))
    assert outputs == {
        "ok": "true",
        "changed": "true",
        "commit": git("rev-parse", "HEAD"),
        "tags": '["churn#staging#3"]',
        "version": "v3.0.0",
    }
    assert report["subject"] == "Promote churn v3.0.0 to staging"
    assert (transition["model"], transition["stage"], transition["to"]) == ("churn", "staging", "v3.0.0")
    assert step.summary.read_text().startswith("**Promote churn v3.0.0 to staging**\n")


def test_github_sync_gives_the_transitions_with_hostile_notes(churn: Path, step: Steps, git: Git) -> None:
    step("promote", "churn@v3", "staging", "--reason", HOSTILE)
    git("tag", "--delete", "churn#staging#3")
    step("sync")
    outputs = step.outputs
    [transition] = json.loads(outputs["transitions"])
    assert (transition["stage"], transition["reason"]) == ("staging", HOSTILE)
    assert (outputs["ok"], outputs["changed"], outputs["tags"]) == ("true", "true", '["churn#staging#3"]')
    assert "##[" not in outputs["transitions"] + outputs["report"]
    assert "\n" not in outputs["transitions"]


def test_github_error_is_an_annotation_and_outputs(churn: Path, step: Steps) -> None:
    result = step("promote", "churn@v9", "staging", "--reason", "x", check=4)
    assert result.out == ""
    [(name, properties, text)] = step.runner.commands
    assert (name, properties) == ("error", {"title": "mreg: not-found"})
    assert text.startswith("churn has no version v9.0.0\nhint: mreg list churn")
    assert (step.outputs["ok"], step.outputs["changed"]) == ("false", "false")
    assert step.summary.read_text().startswith("**error: churn has no version v9.0.0**\n\nhint: `mreg list churn")


@pytest.mark.parametrize("words", [("--format=github",), ("-f", "github"), ("-fgithub",), ("--format", "github")])
def test_github_error_however_the_format_is_asked_for(words: tuple[str, ...], churn: Path, mreg_here: Mreg) -> None:
    result = mreg_here("show", "churn@v9", *words, check=4)
    assert (result.out, result.err.startswith("::error title=mreg%3A not-found::")) == ("", True)


def test_github_outside_of_a_step_writes_the_log_or_says_that_there_is_none(churn: Path, mreg_here: Mreg) -> None:
    result = mreg_here("sync", "--format", "github", check=0)
    assert (result.out, result.err) == ("::notice title=mreg sync::no tag is missing\n", "")
    result = mreg_here("show", "churn", "--format", "github", check=0)
    assert result.out == ""
    assert result.err.startswith("note: no step of GitHub Actions")
    assert "--format markdown" in result.err


def test_github_with_an_unwritable_output_says_so(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    env = {"GITHUB_OUTPUT": str(tmp_path / "gone" / "output")}
    result = mreg_here("sync", "--format", "github", env=env, check=6)
    assert result.err.startswith("::error title=mreg%3A outside::")
    assert "no such file or directory" in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "churn"),
        ("show", "churn"),
        ("history",),
        ("compare", "churn@v1", "churn@v2"),
        ("best", "churn", "--by", "auc"),
        ("pull", "churn", "-o", "pulled"),
        ("doctor",),
        ("doctor", "--ci"),
        ("init",),
        ("rollback", "churn", "production", "--reason", "x"),
        ("clear", "churn", "production"),
        ("archive", "churn@v1"),
    ],
)
def test_github_of_every_command_is_the_summary_and_the_report(
    words: tuple[str, ...], churn: Path, step: Steps
) -> None:
    step(*words)
    assert json.loads(step.outputs["report"])["schema"] == 1
    assert step.summary.read_text().strip()


@pytest.mark.parametrize("output", OutputFormat)
def test_every_format_writes_something(output: OutputFormat, churn: Path, mreg_here: Mreg) -> None:
    assert mreg_here("sync", "--format", output.value, check=0).out.strip()
