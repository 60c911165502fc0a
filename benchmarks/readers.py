"""mreg, GTO and DVC on the same generated registries, with what Git and Python need at the least beside them.

    python benchmarks/readers.py [--sizes 100,1000,10000] [--repeat 3] [--no-peers]

Prints CPU seconds (user + system, children included, the median) and ratios of one run on one machine; wall times are
noisier.  Above 1 000 versions one command of GTO's is run, once: each of them reads all tags anew, in a quarter of an
hour.

docs/performance.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.generate import generate

BIN = Path(sys.executable).parent
MREG = (str(BIN / "mreg"),)
GTO = (str(BIN / "gto"),)
DVC = (str(BIN / "dvc"),)
MODEL = "model-0000"
OUTPUT = "served.bin"
SLOW_SIZE = 1000
ENV = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "",  # an installed program is compiled once
    "DVC_NO_ANALYTICS": "1",
    "NO_COLOR": "1",
}

COMMANDS: dict[str, tuple[str, ...]] = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "python -c import": (sys.executable, "-c", "import git, typer.main, yaml"),
    "git for-each-ref": ("git", "for-each-ref", "--format=%(refname)", "refs/tags"),
    "git log --first-parent": ("git", "log", "--first-parent", "--format=%H%x00%s", "main"),
    "git log --first-parent --raw": ("git", "log", "--first-parent", "--raw", "--format=%H%x00%s", "main"),
    "git ls-tree -r": ("git", "ls-tree", "-r", "main"),
    "mreg --version": (*MREG, "--version"),
    "gto --version": (*GTO, "--version"),
    "dvc --version": (*DVC, "--version"),
    "mreg list": (*MREG, "list", "--format", "json"),
    "gto show": (*GTO, "show", "--json"),
    "mreg list MODEL": (*MREG, "list", MODEL, "--format", "json"),
    "mreg show MODEL@production": (*MREG, "show", f"{MODEL}@production", "--format", "json"),
    "gto show MODEL": (*GTO, "show", MODEL, "--json"),
    "gto show MODEL#production": (*GTO, "show", f"{MODEL}#production", "--json"),
    "mreg history MODEL": (*MREG, "history", MODEL, "--format", "json"),
    "gto history MODEL": (*GTO, "history", MODEL, "--json"),
    "mreg history": (*MREG, "history", "--format", "json"),
    "gto history": (*GTO, "history", "--json"),
    "mreg compare": (*MREG, "compare", f"{MODEL}@v1", f"{MODEL}@production", "--format", "json"),
    "mreg best MODEL": (*MREG, "best", MODEL, "--by", "auc:higher", "--format", "json"),
    "mreg doctor": (*MREG, "doctor"),
    "mreg sync --dry-run": (*MREG, "sync", "--dry-run"),
    "mreg promote --dry-run": (*MREG, "promote", MODEL, "production", "--reason", "why", "--dry-run"),
    "mreg pull": (*MREG, "pull", f"{MODEL}@production", "--output", OUTPUT),
    "mreg pull, there already": (*MREG, "pull", f"{MODEL}@production", "--output", OUTPUT),
    "dvc artifacts get": (*DVC, "artifacts", "get", ".", MODEL, "--stage", "production", "--out", OUTPUT),
}
PAIRS = (
    ("gto --version", "mreg --version"),
    ("dvc --version", "mreg --version"),
    ("gto show", "mreg list"),
    ("gto show MODEL", "mreg list MODEL"),
    ("gto show MODEL#production", "mreg show MODEL@production"),
    ("gto history MODEL", "mreg history MODEL"),
    ("gto history", "mreg history"),
    ("dvc artifacts get", "mreg pull"),
    ("mreg --version", "python -c pass"),
    ("mreg list", "python -c import"),
    ("mreg history", "git log --first-parent --raw"),
)
"""Slow and fast, so that a ratio tells how many times faster mreg is, or how far from what it needs at the least."""
FETCHES = {"mreg pull", "dvc artifacts get"}
"""They begin without a cache: the bytes come from the remote."""


def main() -> None:
    """Measures each size and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true", help="leave GTO and DVC out")
    arguments = parser.parse_args()
    subprocess.run([*MREG, "--help"], env=ENV, check=True, stdout=subprocess.DEVNULL)  # compiles all of it
    with tempfile.TemporaryDirectory(prefix="mreg-bench-") as scratch:
        for size in map(int, arguments.sizes.split(",")):
            folder = Path(scratch) / str(size)
            generate(folder, versions=size, models=max(1, size // 50))
            _report(folder, size, arguments.repeat, has_peers=not arguments.no_peers)


def _report(folder: Path, size: int, repeat: int, *, has_peers: bool) -> None:
    seconds: dict[str, float] = {}
    print(f"\n{size} versions in {max(1, size // 50)} models, CPU seconds")
    for name, command in COMMANDS.items():
        is_slow = command[0] == GTO[0] and size > SLOW_SIZE and name != "gto --version"
        if (is_slow and name != "gto show") or (command[0] in {*GTO, *DVC} and not has_peers):
            continue
        runs = 1 if is_slow else repeat
        seconds[name] = statistics.median(_measure(name, folder) for _ in range(runs))
        print(f"  {name:28} {seconds[name]:8.3f}", flush=True)
    for slow, fast in (pair for pair in PAIRS if seconds.keys() >= set(pair)):
        print(f"  {slow} / {fast}: {seconds[slow] / max(seconds[fast], 1e-3):.1f}")


def _measure(name: str, folder: Path) -> float:
    if name in FETCHES:
        (folder / OUTPUT).unlink(missing_ok=True)
        for known in (".dvc/cache", ".dvc/tmp", ".git/mreg"):
            shutil.rmtree(folder / known, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(COMMANDS[name], cwd=folder, env=ENV, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
