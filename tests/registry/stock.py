"""A registry that many share: a bare Git remote, a DVC remote that is a folder, and clones of people."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mreg import Registry
from mreg.stores.dvc import dvc_files
from tests.conftest import Git

__all__ = ["Clone", "Stock", "object_path"]


def object_path(folder: Path, md5: str) -> Path:
    """Returns where a cache or a remote keeps an object."""
    return folder / "files" / "md5" / md5[:2] / md5[2:]


@dataclass(frozen=True)
class Clone:
    """One person's clone."""

    path: Path
    git: Git

    @property
    def registry(self) -> Registry:
        return Registry.open(self.path)

    @property
    def cache(self) -> Path:
        return self.path / ".dvc" / "cache"

    def register(self, model: str, content: bytes | dict[str, bytes], **more: object) -> str:
        """Registers a file, or a directory, and returns DVC's name of it."""
        source = self.path.parent / f"{self.path.name}-{model.replace('/', '-')}.bin"
        if isinstance(content, bytes):
            source.write_bytes(content)
        else:
            shutil.rmtree(source.with_suffix(""), ignore_errors=True)
            for name, each in content.items():
                (source.with_suffix("") / name).parent.mkdir(parents=True, exist_ok=True)
                (source.with_suffix("") / name).write_bytes(each)
            source = source.with_suffix("")
        options = {"force": True, **more}
        receipt = self.registry.register(model, source, **options)  # type: ignore[arg-type]
        assert receipt.record
        return receipt.record.artifact.md5

    def push(self) -> None:
        """Shares what was made here, as ``git push`` does."""
        self.git("push", "--quiet", "--tags", "origin", "main", cwd=self.path)

    def track(self, name: str, md5: str, *, size: int = 1) -> None:
        """Commits what ``dvc add`` would, of bytes that are elsewhere."""
        (self.path / name).write_text(f"outs:\n- md5: {md5}\n  size: {size}\n  hash: md5\n  path: data\n")
        self.git("add", name, cwd=self.path)
        self.git("commit", "--quiet", f"--message=Track {name}", cwd=self.path)


@dataclass(frozen=True)
class Stock:
    """The two remotes, and one clone that made the registry."""

    root: Path
    git: Git

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def ann(self) -> Clone:
        return Clone(self.root / "ann", self.git)

    def clone(self, name: str, *options: str) -> Clone:
        """Makes a clone, of all that the first one has where nobody else is ahead of it."""
        with suppress(subprocess.CalledProcessError):
            self.ann.push()
        self.git("clone", "--quiet", *options, self.origin.as_uri(), name, cwd=self.root)
        return Clone(self.root / name, self.git)

    def holds(self, *md5s: str) -> list[bool]:
        return [object_path(self.store, md5).exists() for md5 in md5s]

    def hook(self, name: str, command: str) -> None:
        """Runs a command once, within the next push to the Git remote."""
        path = self.origin / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        clean = "unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH"
        path.write_text(f"#!/bin/sh\nrm -f {path}\n{clean}\n{command} >{self.root}/log 2>&1\n")
        path.chmod(0o755)

    def objects(self) -> set[str]:
        return {"".join(path.parts[-2:]) for path in self.store.glob("files/md5/*/*")}


def make_stock(root: Path, git: Git, *, settings: str = "", config: dict[str, str] | None = None) -> Stock:
    """Makes an empty registry.

    Args:
        root: An empty folder.
        git: Real Git.
        settings: More of ``registry.yaml``.
        config: Options of the DVC remote; by default it is the folder ``store``.
    """
    stock = Stock(root, git)
    stock.store.mkdir()
    git("init", "--quiet", "--bare", "origin.git", cwd=root)
    git("clone", "--quiet", "origin.git", "ann", cwd=root)
    ann = stock.ann
    files = dvc_files(str(stock.store), ann.path)
    if config:
        lines = "".join(f"    {key} = {value}\n" for key, value in config.items())
        files[".dvc/config"] = f"[core]\n    remote = storage\n['remote \"storage\"']\n{lines}"
    for path, text in {**files, "registry.yaml": f"schema: 1\n{settings}"}.items():
        (ann.path / path).parent.mkdir(parents=True, exist_ok=True)
        (ann.path / path).write_text(text, encoding="utf-8")
    git("add", "--all", cwd=ann.path)
    git("commit", "--quiet", "--message=Begin", cwd=ann.path)
    git("push", "--quiet", "origin", "main", cwd=ann.path)
    return stock
