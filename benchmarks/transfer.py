"""Artifacts to and from a real S3 server: mreg beside boto3, s5cmd and DVC, in one run.

    python benchmarks/transfer.py [--mib 1024] [--files 10000] [--repeat 3] [--folder /var/tmp] [--only "large down,…"]

Prints wall and CPU seconds and peak memory, the medians, and ratios to the first line.  The server runs on the same
machine and takes its share: its CPU is in nobody's figures and in everybody's wall time.  Every run begins
without a cache, with bytes that the server has not seen.

docs/performance.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import peers, s3
from benchmarks.measuring import BIN, ENV, Command, Cost, Groups, print_costs, run, take_turns

MREG, DVC = BIN / "mreg", BIN / "dvc"
FILE_SIZE = 4096
THREADS = "16"
BOTO = Path(__file__).with_name("boto.py")
MODEL = "model"
HASH = "import hashlib, sys; hashlib.file_digest(open(sys.argv[1], 'rb'), sys.argv[2])"


@dataclass
class Bench:
    """One server, one kind of artifact, and the programs that move it."""

    scratch: Path
    server: s3.Server
    peers: Path
    make: Callable[[Path], None]
    """Writes an artifact of fresh bytes."""
    name: str
    other: Path | None = None
    """The ``src`` of another checkout, to be measured beside this one."""
    env: Mapping[str, str] = field(init=False)
    _numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        """Adds the credentials."""
        self.env = {**ENV, **self.server.env}

    def fresh(self) -> Path:
        """Returns a new folder."""
        folder = self.scratch / str(next(self._numbers))
        folder.mkdir()
        return folder

    def artifact(self) -> Path:
        """Returns a new artifact."""
        path = self.fresh() / self.name
        self.make(path)
        return path

    def repository(self) -> Path:
        """Returns a new registry with a Git remote and a DVC remote, ready to register and to push."""
        folder = self.fresh() / "repo"
        origin = folder.with_name("origin.git")
        self.call(["git", "init", "--quiet", "--bare", "--initial-branch=main", origin])
        self.call(["git", "clone", "--quiet", origin, folder])
        self.call(["git", "checkout", "--quiet", "-b", "main"], folder)
        self.call([DVC, "init", "--quiet"], folder)
        self.call([DVC, "remote", "add", "--default", "storage", f"s3://{s3.BUCKET}/{folder.parent.name}"], folder)
        self.call([DVC, "remote", "modify", "storage", "endpointurl", self.server.url], folder)
        self.call(["git", "commit", "--quiet", "--all", "--message", "Set DVC up"], folder)
        self.call([MREG, "init"], folder)
        self.call(["git", "push", "--quiet", "--set-upstream", "origin", "main"], folder)
        return folder

    def call(self, command: Command, folder: Path | None = None) -> None:
        """Runs what is not measured."""
        subprocess.run(command, cwd=folder or self.scratch, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def cost(self, command: Command, folder: Path | None = None, source: Path | None = None) -> Cost:
        """Runs what is measured, once the disk has nothing else to do."""
        os.sync()
        env = {**self.env, "PYTHONPATH": str(source)} if source else self.env
        return run(command, cwd=folder or self.scratch, env=env)

    # Up.

    def boto_up(self, *threads: str) -> Cost:
        """Returns what boto3 takes for an upload."""
        artifact = self.artifact()
        return self.boto_up_of(artifact, f"boto/{artifact.parent.name}", *threads)

    def boto_up_of(self, artifact: Path, key: str, *threads: str) -> Cost:
        """Returns what boto3 takes to bring this artifact to this key."""
        return self.cost(self._boto("up-all" if threads else "up", artifact, key, *threads))

    def boto_up_hashed(self) -> Cost:
        """Returns the reference: both sums at once, then boto3's upload."""
        artifact = self.artifact()
        sums = f"sha256sum {artifact} & md5sum {artifact}; wait"
        return self.cost(["sh", "-c", sums]) + self.cost(self._boto("up", artifact, f"boto/{artifact.parent.name}"))

    def s5_up(self) -> Cost:
        """Returns what s5cmd takes."""
        artifact = self.artifact()
        return self.cost(self._s5(f"{artifact}/", f"s3://{s3.BUCKET}/s5/{artifact.parent.name}/"))

    def dvc_up(self) -> Cost:
        """Returns what ``dvc add`` and ``dvc push`` take."""
        folder = self.repository()
        self.make(folder / self.name)
        return self.cost([DVC, "add", "--quiet", "--no-relink", self.name], folder) + self.cost(
            [DVC, "push", "--quiet"], folder
        )

    def mreg_up(self, source: Path | None = None) -> Cost:
        """Returns what ``mreg register --push`` takes, of another checkout where ``source`` is its ``src``."""
        folder, artifact = self.repository(), self.artifact()
        return self.cost([MREG, "register", MODEL, artifact, "--push"], folder, source)

    # Down.

    def boto_down(self, key: str, *threads: str) -> Cost:
        """Returns what boto3 takes for a download."""
        verb = "down-all" if threads else "down"
        return self.cost(self._boto(verb, self.fresh() / self.name, key, *threads))

    def boto_down_hashed(self, key: str) -> Cost:
        """Returns the reference: boto3's download, then ``sha256sum``."""
        path = self.fresh() / self.name
        return self.cost(self._boto("down", path, key)) + self.cost(["sha256sum", path])

    def boto_down_hashed_by_python(self, key: str) -> Cost:
        """Returns a harder reference: OpenSSL's SHA-256, which is faster than ``sha256sum``."""
        path = self.fresh() / self.name
        return self.cost(self._boto("down", path, key)) + self.cost([sys.executable, "-c", HASH, path, "sha256"])

    def s5_down(self, prefix: str) -> Cost:
        """Returns what s5cmd takes."""
        return self.cost(self._s5(f"s3://{s3.BUCKET}/{prefix}/*", f"{self.fresh()}/"))

    def mreg_down(self, repository: Path, source: Path | None = None) -> Cost:
        """Returns what ``mreg pull`` takes in a clone without a cache."""
        _forget(repository)
        return self.cost([MREG, "pull", MODEL, "--output", self.fresh() / self.name], repository, source)

    def mreg_down_by_url(self, repository: Path) -> Cost:
        """Returns what ``mreg pull --repo`` takes on a machine that has nothing yet."""
        url = f"file://{repository.with_name('origin.git')}"
        folder = self.fresh()
        os.sync()
        env = {**self.env, "MREG_CACHE_DIR": str(folder / "cache")}
        return run([MREG, "pull", MODEL, "--repo", url, "--output", folder / self.name], cwd=folder, env=env)

    def dvc_pull(self, repository: Path) -> Cost:
        """Returns what ``dvc pull`` takes in a clone without a cache."""
        path = self._tracked(repository)
        return self.cost([DVC, "pull", "--quiet", f"{path}.dvc"], repository)

    def dvc_get(self, repository: Path) -> Cost:
        """Returns what ``dvc get`` takes."""
        path = self._tracked(repository)
        return self.cost([DVC, "get", "--quiet", repository, path, "--out", self.fresh() / self.name])

    def _tracked(self, repository: Path) -> str:
        """Returns the path that DVC tracks, where nothing is in place: ``dvc get`` would copy it."""
        _forget(repository)
        path = f"registry/{MODEL}/artifact/{self.name}"
        shutil.rmtree(repository / path, ignore_errors=True)
        (repository / path).unlink(missing_ok=True)
        return path

    def _boto(self, verb: str, path: Path, key: str, *threads: str) -> list[str | Path]:
        return [self.peers / "python", BOTO, verb, self.server.url, path, key, *threads]

    def _s5(self, source: str, target: str) -> list[str | Path]:
        return [self.peers / "s5cmd", "--endpoint-url", self.server.url, "cp", source, target]


def _twice(bench: Bench, name: str, step: Callable[[Path | None], Cost]) -> dict[str, Callable[[], Cost]]:
    """Returns a step and, where there is another checkout, the same step of that."""
    steps = {name: lambda: step(None)}
    return {**steps, f"{name}, other": lambda: step(bench.other)} if bench.other else steps


def _forget(repository: Path) -> None:
    for known in (".dvc/cache", ".dvc/tmp", ".git/mreg"):
        shutil.rmtree(repository / known, ignore_errors=True)


@dataclass(frozen=True)
class Options:
    """What of it is measured."""

    groups: Sequence[str] = ("large up", "large down", "small up", "small down")
    without: Sequence[str] = ()
    """Words; a line that holds one is left out."""
    other: Path | None = None
    """The ``src`` of another checkout."""


def large_up(bench: Bench) -> dict[str, Callable[[], Cost]]:
    """One large file to S3."""
    return {
        "sha256sum and md5sum at once, then boto3": bench.boto_up_hashed,
        "boto3 upload_file": bench.boto_up,
        **_twice(bench, "mreg register --push", bench.mreg_up),
        "dvc add, dvc push": bench.dvc_up,
    }


def large_down(bench: Bench) -> dict[str, Callable[[], Cost]]:
    """One large file from S3."""
    repository, key = _registered(bench)
    return {
        "boto3 download_file, then sha256sum": lambda: bench.boto_down_hashed(key),
        "boto3, then SHA-256 by Python": lambda: bench.boto_down_hashed_by_python(key),
        "boto3 download_file": lambda: bench.boto_down(key),
        **_twice(bench, "mreg pull", lambda source: bench.mreg_down(repository, source)),
        "mreg pull --repo URL": lambda: bench.mreg_down_by_url(repository),
        "dvc pull": lambda: bench.dvc_pull(repository),
        "dvc get": lambda: bench.dvc_get(repository),
    }


def small_up(bench: Bench) -> dict[str, Callable[[], Cost]]:
    """Many small files to S3."""
    return {
        f"boto3, {THREADS} threads": lambda: bench.boto_up(THREADS),
        "boto3, one by one": lambda: bench.boto_up("1"),
        "s5cmd cp": bench.s5_up,
        **_twice(bench, "mreg register --push", bench.mreg_up),
        "dvc add, dvc push": bench.dvc_up,
    }


def small_down(bench: Bench) -> dict[str, Callable[[], Cost]]:
    """Many small files from S3."""
    repository, key = _registered(bench)
    return {
        f"boto3, {THREADS} threads": lambda: bench.boto_down(key, THREADS),
        "boto3, one by one": lambda: bench.boto_down(key, "1"),
        "s5cmd cp": lambda: bench.s5_down(key),
        **_twice(bench, "mreg pull", lambda source: bench.mreg_down(repository, source)),
        "mreg pull --repo URL": lambda: bench.mreg_down_by_url(repository),
        "dvc pull": lambda: bench.dvc_pull(repository),
        "dvc get": lambda: bench.dvc_get(repository),
    }


def _registered(bench: Bench) -> tuple[Path, str]:
    """Returns a registry whose only version is on the server, and the key of the same bytes there."""
    repository, artifact = bench.repository(), bench.artifact()
    bench.call([MREG, "register", MODEL, artifact, "--push"], repository)
    threads = [THREADS] if artifact.is_dir() else []
    bench.boto_up_of(artifact, "boto/kept", *threads)
    return repository, "boto/kept"


GROUPS: dict[str, Callable[[Bench], dict[str, Callable[[], Cost]]]] = {
    "large up": large_up,
    "large down": large_down,
    "small up": small_up,
    "small down": small_down,
}


def measure(folder: Path, *, mib: int, files: int, repeat: int, options: Options = Options()) -> Groups:
    """Returns what each program of each group takes, in turns."""
    programs = peers.install("boto3", "s5cmd")
    results: Groups = {}
    for group in options.groups:
        with tempfile.TemporaryDirectory(prefix="mreg-bench-", dir=folder) as name:
            scratch = Path(name)
            is_large = group.startswith("large")
            make = _make_large(mib) if is_large else _make_small(files)
            with s3.serve(scratch / "s3") as server:
                kind = "model.bin" if is_large else "model"
                steps = GROUPS[group](Bench(scratch, server, programs, make, kind, options.other))
                steps = {
                    name: step for name, step in steps.items() if not any(word in name for word in options.without)
                }
                results[group] = take_turns(steps, repeat)
        size = f"{mib} MiB" if is_large else f"{files} files of {FILE_SIZE} bytes"
        print_costs(f"{group}: {size}", results[group])
    return results


def main() -> None:
    """Measures the groups that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default=",".join(GROUPS))
    parser.add_argument("--without", default="", help="leave out lines that hold one of these words, e.g. dvc,boto3")
    parser.add_argument("--other", type=Path, help="the src folder of another checkout, measured beside this one")
    arguments = parser.parse_args()
    without = [word for word in arguments.without.split(",") if word]
    options = Options(arguments.only.split(","), without, arguments.other)
    folder = arguments.folder or Path(tempfile.gettempdir())
    measure(folder, mib=arguments.mib, files=arguments.files, repeat=arguments.repeat, options=options)


def _make_large(mib: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(1 << 20))

    return make


def _make_small(files: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        for number in range(files):
            file = path / f"{number % 100:02}" / f"{number}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(FILE_SIZE))

    return make


if __name__ == "__main__":
    main()
