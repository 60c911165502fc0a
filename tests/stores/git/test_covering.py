"""Git is asked for what holds several folders: the answer is as if it had been asked for each."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mreg.stores.git.history.covering import MANY, cover, gather
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git

PARTS = ("versions", "stages", "approvals", "artifact")
MODELS = [f"model-{number}" for number in range(MANY + 3)]


@pytest.mark.parametrize(
    ("paths", "asked"),
    [
        (["registry"], ["registry"]),
        (["registry/a/versions", "registry/a/stages"], ["registry/a"]),
        ([f"registry/{model}/stages" for model in MODELS], ["registry"]),
        ([f"registry/{model}/stages" for model in MODELS[:MANY]], [f"registry/{m}/stages" for m in MODELS[:MANY]]),
        (["registry", "registry.yaml"], ["registry", "registry.yaml"]),
        ([*(f"registry/{model}/stages" for model in MODELS), "registry.yaml"], None),
        ([f"{model}/stages" for model in MODELS], None),
    ],
)
def test_cover_is_one_folder_unless_that_is_the_repository(paths: list[str], asked: list[str] | None) -> None:
    assert cover(paths) == (paths if asked is None else asked)


@pytest.mark.parametrize(
    ("paths", "gathered"),
    [
        (["registry"], ["registry"]),
        (["registry", "registry.yaml"], ["registry", "registry.yaml"]),
        (["registry/a/versions", "registry/b/stages", "registry/a/stages"], ["registry/a", "registry/b/stages"]),
        (["registry/a", "registry/b", "registry.yaml"], ["registry/a", "registry/b", "registry.yaml"]),
    ],
)
def test_gather_names_folders_that_hold_several(paths: list[str], gathered: list[str]) -> None:
    assert gather(paths) == gathered


@pytest.mark.parametrize("count", [1, 2, len(MODELS)])
def test_log_of_several_folders_is_that_of_each(count: int, repo: Path, git: Git) -> None:
    chance = random.Random(count)
    for number in range(30):
        for _ in range(chance.randrange(1, 4)):
            file = repo / "registry" / chance.choice(MODELS) / chance.choice(PARTS) / f"{chance.randrange(3)}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number}\n")
        git("add", "registry")
        git("commit", "--quiet", f"--message=Change {number}")
    place = GitRepository(repo)
    folders = [f"registry/{model}/{part}" for model in MODELS[:count] for part in PARTS[:2]]
    expected: dict[str, set[object]] = {}
    for folder in folders:
        for commit in place.log("HEAD", [folder]):
            expected.setdefault(commit.oid, set()).update(commit.changes)
    found = place.log("HEAD", folders)
    assert {commit.oid: set(commit.changes) for commit in found} == expected
    assert [each.oid for each in found] == [oid for oid in git("rev-list", "HEAD").split()[::-1] if oid in expected]
