"""A bare repository and clones of it: a registry that several people share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from mreg import Registry
from tests.conftest import Git

__all__ = ["Team", "found"]


@dataclass
class Team:
    """A remote whose registry has v1, v2 and v3 of churn, with an AUC of 0.91, 0.92 and 0.93, and no stage taken."""

    bare: Path
    folder: Path
    git: Git

    def clone(self, name: str) -> Path:
        """Returns a fresh clone."""
        path = self.folder / name
        self.git("clone", "--quiet", str(self.bare), str(path))
        return path

    def member(self, name: str) -> Registry:
        return Registry.open(self.clone(name))

    def set_rules(self, text: str) -> None:
        """Lands a ``registry.yaml``."""
        path = self.clone(f"rules-{self.git.clock.now}")
        (path / "registry.yaml").write_text(text)
        self.git("commit", "--quiet", "--all", "--message=Set the rules", cwd=path)
        self.git("push", "--quiet", "origin", "main", cwd=path)

    def refs(self, where: Path | None = None) -> dict[str, str]:
        """Returns the refs of the remote, or of a clone; not those that track others."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=where or self.bare).splitlines()
        refs = dict(line.split(" ") for line in lines)
        return {ref: oid for ref, oid in refs.items() if not ref.startswith("refs/remotes/")}

    def tags(self, where: Path | None = None) -> list[str]:
        """Returns the names of the tags of stages, sorted."""
        refs = self.refs(where)
        return sorted(ref.removeprefix("refs/tags/") for ref in refs if ref.startswith("refs/tags/") and "#" in ref)

    def add_hook(self, name: str, script: str) -> None:
        """Adds a hook of the remote."""
        hook = self.bare / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}")
        hook.chmod(0o755)


def found(made: Path, repo: Path, folder: Path, git: Git) -> Team:
    """Returns a team of its own for one test.

    Args:
        made: Where the first one is kept, and copied from.
        repo: A repository to make it in.
        folder: Where its clones go.
        git: Real Git.
    """
    if not (made / "bare.git").exists():
        registry = Registry.init(repo, remote=str(made / "store"))
        for number in (1, 2, 3):
            (folder / "model.bin").write_bytes(b"model %d" % number)
            registry.register("churn", folder / "model.bin", metrics={"auc": 0.9 + number / 100})
        git("init", "--quiet", "--bare", str(made / "bare.git"))
        git("push", "--quiet", "--atomic", "--follow-tags", str(made / "bare.git"), "main")
    git.clock.now += 1000
    shutil.copytree(made / "bare.git", folder / "bare.git")
    return Team(folder / "bare.git", folder, git)
