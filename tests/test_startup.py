"""Start-up: what costs time is imported by the command that needs it, not by all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"cryptography", "dvc", "dvc_data", "dvc_objects", "git", "pydantic", "rich", "typer", "yaml"}
VERSION = "from mreg.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param("import mreg", set(), id="import mreg"),
        pytest.param("import mreg.registry", {"git", "yaml"}, id="import mreg.registry"),
        pytest.param(VERSION, {"typer"}, id="mreg --version"),
    ],
)
def test_startup_loads_only_what_it_needs(code: str, allowed: set[str]) -> None:
    report = "\nimport json, sys\nprint()\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & HEAVY <= allowed
