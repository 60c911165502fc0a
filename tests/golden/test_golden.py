"""Frozen registries, one a schema: every later mreg reads them and makes the very same tags.

The files are never edited.  ``schema-1.fi`` is a ``git fast-export`` of what mreg 0.1 wrote: promotions, a rollback, an
archive, a clear, a hand edit, its revert, and two versions and a promotion squashed into one commit.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mreg import Registry
from mreg.registry.api.queries import Queries
from mreg.render.formats.json import render_json
from tests.conftest import Git

HERE = Path(__file__).parent


@pytest.fixture
def frozen(empty_repo: Path, git: Git) -> Path:
    with (HERE / "schema-1.fi").open("rb") as stream:
        subprocess.run(["git", "fast-import", "--quiet"], cwd=empty_repo, stdin=stream, check=True)
    git("reset", "--quiet", "--hard", "main", cwd=empty_repo)
    return empty_repo


def test_sync_of_a_frozen_registry_makes_the_same_tag_objects(frozen: Path, git: Git) -> None:
    report = Registry.open(frozen).sync()
    assert report.findings == ()
    form = "--format=%(objectname) %(refname:short)"
    assert git("for-each-ref", form, "refs/tags", cwd=frozen) == (HERE / "schema-1.tags").read_text().strip()
    assert git("fsck", "--strict", cwd=frozen) == ""


def test_history_of_a_frozen_registry_reads_the_same(frozen: Path) -> None:
    found = json.loads(render_json(Queries.open(frozen).history()))
    expected = json.loads((HERE / "schema-1.history.json").read_text())
    # Later versions may say more of a transition, never less or otherwise.
    for now, then in zip(found["transitions"], expected["transitions"], strict=True):
        assert now | then == now
