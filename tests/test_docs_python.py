"""The Python of the documents, run from top to bottom in a registry of its own.

A block of YAML becomes the ``registry.yaml`` that the blocks below it work with.  What a line prints is told by the
comment behind it, unless it differs from machine to machine.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mreg import Registry, errors
from mreg.cli.exit_codes import exit_code
from tests.conftest import Git, Mreg

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(?P<language>python|yaml)\n(?P<block>.*?)^```", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^ *print\(.*\)  +# (?P<text>.+)$", re.MULTILINE)
ROW = re.compile(r"^\| (?P<below>– )?`(?P<name>\w+)` \| `(?P<code>[a-z-]+)` \| (?P<exit>\d) \|", re.MULTILINE)


@pytest.fixture
def registry_here(mreg_here: Mreg, repo: Path, tmp_path: Path) -> None:
    """A registry where the documents find what they register."""
    mreg_here("init", "--remote", str(tmp_path / "remote"), check=0)
    for name in ("model.bin", "model.pkl"):
        (repo / name).write_bytes(f"weights of {name}".encode())


def run_block(block: str, place: str, names: dict[str, object]) -> list[str]:
    """Runs a block, and returns the lines that it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, place, "exec"), names)
    return printed.getvalue().splitlines()


def run_blocks(document: str, git: Git) -> Iterator[tuple[list[str], list[str]]]:
    """Runs the blocks of a document, and yields what each printed and what it says that it prints."""
    names: dict[str, object] = {"__name__": "document"}
    text = (ROOT / document).read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        block, line = match["block"], text.count("\n", 0, match.start("block"))
        if match["language"] == "yaml":
            Path("registry.yaml").write_text(f"schema: 1\n{block}", encoding="utf-8")
            git("commit", "--quiet", "--message=Rules", "registry.yaml")
            continue
        yield run_block("\n" * line + block, document, names), [found["text"] for found in PRINTED.finditer(block)]


def test_docs_python_runs_and_prints_what_it_says(registry_here: None, repo: Path, git: Git) -> None:
    count = 0
    for printed, promised in run_blocks("docs/python.md", git):
        assert [text for text in printed if text in promised] == promised, printed
        count += len(promised)
    assert count > 25
    assert Registry.open(repo).verify().ok


def test_readme_python_runs_as_it_stands(registry_here: None, repo: Path, git: Git) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["language"] == "python":
            run_block(match["block"], "README.md", {})
    assert Registry.open(repo).show("churn@v1").stages


def test_docs_python_table_has_every_error_with_its_code_exit_code_and_parent() -> None:
    rows = list(ROW.finditer((ROOT / "docs" / "python.md").read_text(encoding="utf-8")))
    parent = errors.MregError
    for row in rows:
        kind = getattr(errors, row["name"])
        parent = parent if row["below"] else kind
        assert issubclass(kind, parent)
        assert bool(row["below"]) == (kind.__mro__[1] is not errors.MregError)
        assert (row["code"], int(row["exit"])) == (kind.code, exit_code(kind("what went wrong")))
    assert sorted(row["name"] for row in rows) == sorted({*errors.__all__} - {"MregError"})
