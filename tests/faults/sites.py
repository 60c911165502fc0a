"""A registry whose bytes are in a real S3 server behind a proxy, and what must not be seen of a command that failed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg, Result
from tests.faults.proxy import Proxy
from tests.s3 import BUCKET, KEYS, S3

__all__ = ["LARGE_SIZE", "Site", "make_model", "remote_of", "require"]

ADMIN = {"AWS_ACCESS_KEY_ID": "mregkey", "AWS_SECRET_ACCESS_KEY": KEYS["mregkey"]}
LARGE_SIZE = 9 << 20
"""Goes to S3 in two parts."""


@dataclass
class Site:
    """One registry, one prefix of the bucket, one proxy before it."""

    root: Path
    s3: S3
    proxy: Proxy
    git: Git
    prefix: str
    env: dict[str, str] = field(default_factory=dict)
    """Of the commands, besides the test's own."""
    wrapper: tuple[str, ...] = ()
    """A program that runs the commands."""
    is_apart: bool = False
    """Each command runs in a process of its own: what it waits for may never come."""

    @property
    def out(self) -> Path:
        """Where models are pulled to."""
        return self.root.parent / "out"

    def mreg(self, *args: str) -> Result:
        """Runs a command to its end."""
        if self.is_apart or self.wrapper:
            return self.run(*self.wrapper, sys.executable, "-m", "mreg", *args)
        return Mreg(self.git.clock, in_process=True)(*args, cwd=self.root, env={**ADMIN, **self.env})

    def run(self, *command: str) -> Result:
        """Runs a program, with the keys to the bucket."""
        env = {**os.environ, **ADMIN, **self.git.clock.tick(), **self.env}
        done = subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, encoding="utf-8", check=False, timeout=180
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def fail(self, args: Sequence[str], *, code: int, says: str, within_s: float = 60) -> str:
        """Runs a command that must fail, in time and without a trace; returns what it says, where ``says`` is found."""
        before, started_s = self.trace(), time.monotonic()
        result = self.mreg(*args)
        took_s = time.monotonic() - started_s
        assert result.code == code, result.out + result.err
        assert re.search(says, result.err), result.err
        assert result.err.count("error: ") == 1
        assert "\nhint: " in result.err
        assert "Traceback" not in result.err
        assert took_s < within_s
        assert self.trace() == before
        assert not list(self.root.parent.rglob(".mreg-*"))
        assert not self.s3.unfinished(self.prefix)
        assert not any(secret in result.err for secret in KEYS.values())
        return result.err

    def succeed(self, args: Sequence[str]) -> Result:
        """Runs a command that must not fail."""
        result = self.mreg(*args)
        assert result.code == 0, result.out + result.err
        return result

    def trace(self) -> Mapping[str, object]:
        """Returns all that a registry shows of itself: refs, changed files, and where models were put."""
        models = sorted(path for path in self.out.glob("**/*") if path.is_file())
        return {
            "refs": self.git("for-each-ref", cwd=self.root),
            "files": self.git("status", "--porcelain", cwd=self.root),
            "models": {os.fspath(path): path.read_bytes() for path in models},
        }

    def set(self, name: str, value: str) -> None:
        """Sets something in Git's configuration."""
        self.git("config", name, value, cwd=self.root)

    def forget(self) -> None:
        """Loses the cache."""
        shutil.rmtree(self.root / ".dvc" / "cache", ignore_errors=True)

    def keys(self) -> list[str]:
        """Returns the keys of this registry's objects in the bucket."""
        return self.s3.keys(f"{self.prefix}/")

    def key_of(self, name: str) -> str:
        """Returns the key of one file of the model that was registered, or of its list where the name is ``.dir``."""
        content = (self.root.parent / "model" / name).read_bytes() if name != ".dir" else b""
        md5 = hashlib.md5(content).hexdigest()
        [key] = [key for key in self.keys() if key.endswith(".dir" if name == ".dir" else f"{md5[:2]}/{md5[2:]}")]
        return key


def make_model(folder: Path, size: int = LARGE_SIZE) -> Path:
    """Writes a directory with a small and a large file, unlike any other."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(f'{{"name": "{os.urandom(4).hex()}"}}')
    (folder / "weights.bin").write_bytes(os.urandom(size))
    return folder


def remote_of(prefix: str) -> str:
    """Returns the URL of a prefix."""
    return f"s3://{BUCKET}/{prefix}"


def require(program: str) -> None:
    """Skips a test where a program is not installed, and says so."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
