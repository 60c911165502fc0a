"""A registry on a bare repository, as far away as a machine without a clone sees it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import Registry
from mreg.registry.serving.remote_pulling import Serving
from tests.conftest import Git

__all__ = ["Connections", "Far", "connections", "copy_far"]


@dataclass(frozen=True)
class Far:
    """The bare repository, a clone whose users push there, and the folder that is the DVC remote."""

    bare: Path
    clone: Path
    store: Path
    git: Git

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    @property
    def registry(self) -> Registry:
        return Registry.open(self.clone)

    @property
    def tip(self) -> str:
        return self.git("rev-parse", "main", cwd=self.bare)

    def register(self, content: bytes, model: str = "churn") -> None:
        source = self.clone.parent / "model.bin"
        source.write_bytes(content)
        self.registry.register(model, source, push=True)

    def promote(self, selector: str, stage: str = "production") -> str:
        return str(self.registry.promote(selector, stage, reason="better", push=True).commit)

    def write(self, path: str, text: str) -> str:
        """Commits a file by hand, and pushes that."""
        (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
        (self.clone / path).write_text(text)
        self.git("add", "--", path, cwd=self.clone)
        self.git("commit", "--quiet", f"--message=Write {path}", cwd=self.clone)
        self.git("push", "--quiet", "origin", "main", cwd=self.clone)
        return self.tip

    def serving(self, *, branch: str | None = None, allow_older: bool = False) -> Serving:
        return Serving(self.url, branch=branch, allow_older=allow_older)


@dataclass
class Connections:
    """How often Git talked to a remote."""

    count: int = 0


@contextmanager
def connections() -> Iterator[Connections]:
    """Counts the connections that Git makes, in this process and those that it starts."""
    found = Connections()
    trace = Path.cwd() / "trace2"
    trace.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_TRACE2_EVENT", os.fspath(trace))
        yield found
    lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    events = [json.loads(line) for line in lines]
    found.count = sum(
        event["event"] == "start" and any("upload-pack" in word or "remote-http" in word for word in event["argv"])
        for event in events
    )
    trace.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def _far_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("far") / "far"


@pytest.fixture
def shelf(_far_template: Path, git: Git) -> Far:
    """A registry with v1, v2 and v3 of churn, the second in production, for those who only read."""
    found = _at(_far_template, git)
    if not found.bare.exists():
        _make(found)
    git.clock.now += 1000
    return found


@pytest.fixture
def far(shelf: Far, tmp_path: Path) -> Far:
    """The same, of one's own."""
    return copy_far(shelf, tmp_path / "far")


def copy_far(shelf: Far, folder: Path) -> Far:
    """Returns a registry that nobody else has, with all that the other has."""
    shutil.copytree(shelf.bare.parent, folder)
    found = _at(folder, shelf.git)
    found.git("remote", "set-url", "origin", str(found.bare), cwd=found.clone)
    config = (found.clone / ".dvc" / "config").read_text()
    found.write(".dvc/config", config.replace(str(shelf.store), str(found.store)))
    return found


def _at(folder: Path, git: Git) -> Far:
    return Far(folder / "registry.git", folder / "clone", folder / "store", git)


def _make(far: Far) -> None:
    far.store.mkdir(parents=True)
    far.git("init", "--quiet", "--bare", str(far.bare))
    far.git("config", "uploadpack.allowFilter", "true", cwd=far.bare)
    far.git("clone", "--quiet", str(far.bare), str(far.clone))
    far.git("commit", "--quiet", "--allow-empty", "--message=Begin", cwd=far.clone)
    far.git("push", "--quiet", "origin", "main", cwd=far.clone)
    Registry.init(far.clone, remote=str(far.store))
    far.git("push", "--quiet", "origin", "main", cwd=far.clone)
    for number in (1, 2, 3):
        far.register(b"churn %d" % number)
    far.promote("churn@v2")
