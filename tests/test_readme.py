"""The two commands of the README: the ones that CI and contributors run, letter by letter."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest -n auto"
DEMO_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/mreg demo"


@pytest.mark.parametrize("command", [TEST_COMMAND, DEMO_COMMAND])
def test_readme_has_the_command_on_a_line_of_its_own(command: str) -> None:
    assert command in _lines("README.md")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert TEST_COMMAND in _lines(".ci/run")


def _lines(path: str) -> list[str]:
    return [line.strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines()]
