"""The Python of the documents, run from top to bottom in a registry of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mreg import Registry, errors
from tests.conftest import Mreg

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_blocks(document: str) -> None:
    names: dict[str, object] = {}
    for block in FENCE.findall((ROOT / document).read_text(encoding="utf-8")):
        exec(compile(block, document, "exec"), names)


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_docs_python_runs_as_it_stands(document: str, mreg_here: Mreg, repo: Path, tmp_path: Path) -> None:
    mreg_here("init", "--remote", str(tmp_path / "remote"), check=0)
    for name in ("model.bin", "model.pkl"):
        (repo / name).write_bytes(b"weights")
    run_blocks(document)
    assert Registry.open(repo).show("churn@v1").stages


def test_docs_python_names_the_branches_of_the_errors() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    branches = [name for name in errors.__all__ if getattr(errors, name).__mro__[1] is errors.MregError]
    assert sorted(rows) == sorted(branches)
