"""Start-up: what costs time is imported by the command that needs it, not by all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.generate import generate

HEAVY = {
    "botocore",
    "concurrent.futures",
    "configobj",
    "cryptography",
    "ctypes",
    "dvc",
    "dvc_data",
    "dvc_objects",
    "email",
    "fractions",
    "fsspec",
    "git",
    "importlib.metadata",
    "json",
    "pickletools",
    "platformdirs",
    "pydantic",
    "rich",
    "typer",
    "typing",
    "yaml",
}
"""What takes a millisecond or more to import, where it is not needed."""
PARTS = {"api.facade", "reading", "review", "serving", "setup", "sharing", "storage", "writing"}
"""Of ``mreg.registry``."""
REPORT = """
import sys
sys.stderr.write("\\n" + "\\n".join(sys.modules))
"""
VERSION = "from mreg.cli import main\nmain(['--version'])"
COMMAND = "import sys\nfrom mreg.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass"
ALWAYS = {"git", "typer", "typing"}
MODEL = "model-0000"
SERVED = f"{MODEL}@production"
BYTES = {"concurrent.futures", "configobj", "ctypes", "json", "platformdirs"}
"""What finding, comparing and hashing bytes takes."""
COMMANDS: Mapping[tuple[str, ...], tuple[set[str], set[str]]] = {
    ("list",): (set(), {"reading"}),
    ("show", SERVED): ({"json"}, {"reading"}),
    ("history",): (set(), {"reading"}),
    ("compare", f"{MODEL}@v1", SERVED): ({"json"}, {"reading"}),
    ("check",): ({"json"}, {"reading", "review"}),
    ("pull", SERVED, "--output", "served.bin"): (BYTES, {"reading", "serving"}),
    ("promote", f"{MODEL}@v1", "production", "--reason", "better", "--dry-run"): (
        {"json", "yaml"},
        {"api.facade", "reading", "writing"},
    ),
    ("sync", "--dry-run"): ({"json"}, {"api.facade", "reading", "sharing", "writing"}),
}
"""What each imports besides ``ALWAYS``, JSON for parameters that are numbers, and the parts of ``mreg.registry``."""


def load(code: str, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> set[str]:
    """Returns the modules that some code loads."""
    command = [sys.executable, "-c", f"{code}\n{REPORT}", *words]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, encoding="utf-8", check=True
    )
    return set(done.stderr.splitlines())


def parts_of(loaded: set[str]) -> set[str]:
    return {part for part in PARTS if f"mreg.registry.{part}" in loaded}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "registry"
    generate(path, versions=6, models=2)
    return path


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param("import mreg", set(), id="import mreg"),
        pytest.param("import mreg.registry", set(), id="import mreg.registry"),
        pytest.param(VERSION, set(), id="mreg --version"),
    ],
)
def test_startup_loads_only_what_it_needs(code: str, allowed: set[str]) -> None:
    assert load(code) & HEAVY <= allowed


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_command_loads_only_what_it_needs(words: tuple[str, ...], registry: Path) -> None:
    heavy, parts = COMMANDS[words]
    loaded = load(COMMAND, *words, cwd=registry)
    assert loaded & HEAVY <= {*ALWAYS, *heavy}
    assert parts_of(loaded) == parts
    assert ("mreg.stores.dvc" in loaded) == (heavy is BYTES)


@pytest.mark.parametrize("words", [("promote", "--help"), ("promote",)], ids=" ".join)
def test_help_loads_one_command_and_asks_no_git(words: tuple[str, ...]) -> None:
    loaded = load(COMMAND, *words)
    assert loaded & HEAVY <= {"typer", "typing"}
    assert {name for name in loaded if name.startswith("mreg.cli.commands.")} == {"mreg.cli.commands.promote"}


def test_completion_loads_one_command(registry: Path) -> None:
    words = ["mreg", "-C", str(registry), "promote", ""]
    env = {"_MREG_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    loaded = load(COMMAND, env=env)
    assert loaded & HEAVY <= ALWAYS
    assert parts_of(loaded) == {"reading"}
    assert {name for name in loaded if name.startswith("mreg.cli.commands.")} == {"mreg.cli.commands.promote"}
