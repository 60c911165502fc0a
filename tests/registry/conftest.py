from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mreg import Registry
from tests.conftest import Git
from tests.registry.victim import Victims
from tests.registry.world import World, Worlds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first team of a module is kept, which ``tests.registry.teams`` copies for each test."""
    return tmp_path_factory.mktemp("team")


@pytest.fixture
def kept(made: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Runs what makes the registry in ``repo`` for the first test of a module, and copies it for the others."""

    def keep(make: Callable[[], object]) -> None:
        template = made / "kept"
        if template.exists():
            shutil.rmtree(repo)
            shutil.copytree(template, repo, symlinks=True)
            monkeypatch.chdir(repo)
        else:
            make()
            shutil.copytree(repo, template, symlinks=True)

    return keep


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    """A registry with nothing in it."""
    return Registry.init(repo, remote=str(tmp_path / "remote"))


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """The first world of a module is kept, and copied for each test."""
    return Worlds(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(worlds: Worlds, repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> World:
    return worlds.copy(repo, tmp_path, git, monkeypatch)


@pytest.fixture(scope="session")
def victims() -> Iterator[Victims]:
    """Runs commands to the step at which they are to end; it loads all of mreg, once for all tests."""
    with Victims() as running:
        yield running
