"""mreg, GTO and DVC on the same generated registries, with what Git and Python need at the least beside them.

    python benchmarks/readers.py [--sizes 100,1000,10000] [--repeat 3]

Prints CPU seconds (user + system, children included, the median) and ratios of one run on one machine; wall times are
noisier.  GTO's slowest command is run once above 1 000 versions.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generate import generate

BIN = Path(sys.executable).parent
MREG = (str(BIN / "mreg"),)
GTO = (str(BIN / "gto"),)
DVC = (str(BIN / "dvc"),)
MODEL = "model-0000"
SLOW_SIZE = 1000

COMMANDS: dict[str, tuple[str, ...]] = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "git for-each-ref": ("git", "for-each-ref", "--format=%(refname)", "refs/tags"),
    "git log --first-parent": ("git", "log", "--first-parent", "--format=%H%x00%s", "main"),
    "git ls-tree -r": ("git", "ls-tree", "-r", "main"),
    "mreg --version": (*MREG, "--version"),
    "gto --version": (*GTO, "--version"),
    "mreg list": (*MREG, "list", "--format", "json"),
    "gto show": (*GTO, "show", "--json"),
    "mreg list MODEL": (*MREG, "list", MODEL, "--format", "json"),
    "gto show MODEL": (*GTO, "show", MODEL, "--json"),
    "mreg show MODEL@production": (*MREG, "show", f"{MODEL}@production", "--format", "json"),
    "gto which MODEL production": (*GTO, "which", MODEL, "production"),
    "mreg history MODEL": (*MREG, "history", MODEL, "--format", "json"),
    "gto history MODEL": (*GTO, "history", MODEL, "--json"),
    "mreg history": (*MREG, "history", "--format", "json"),
    "gto history": (*GTO, "history", "--json"),
    "mreg sync --dry-run": (*MREG, "sync", "--dry-run"),
    "mreg promote --dry-run": (*MREG, "promote", MODEL, "production", "--reason", "why", "--dry-run"),
    "gto check-ref": (*GTO, "check-ref", f"{MODEL}@v1.0.0"),
    "dvc artifacts (start-up)": (*DVC, "artifacts", "get", "--help"),
}
PAIRS = (
    ("gto --version", "mreg --version"),
    ("gto show", "mreg list"),
    ("gto show MODEL", "mreg list MODEL"),
    ("gto which MODEL production", "mreg show MODEL@production"),
    ("gto history MODEL", "mreg history MODEL"),
    ("gto history", "mreg history"),
    ("mreg history", "git log --first-parent"),
    ("mreg --version", "python -c pass"),
)


def main() -> None:
    """Measures each size and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mreg-bench-") as scratch:
        for size in map(int, arguments.sizes.split(",")):
            folder = Path(scratch) / str(size)
            generate(folder, versions=size, models=max(1, size // 50))
            _report(folder, size, arguments.repeat)


def _report(folder: Path, size: int, repeat: int) -> None:
    seconds: dict[str, float] = {}
    print(f"\n{size} versions in {max(1, size // 50)} models, CPU seconds")
    for name, command in COMMANDS.items():
        runs = 1 if command[0] == GTO[0] and size > SLOW_SIZE else repeat
        seconds[name] = statistics.median(_measure(command, folder) for _ in range(runs))
        print(f"  {name:28} {seconds[name]:8.3f}", flush=True)
    for slow, fast in PAIRS:
        print(f"  {slow} / {fast}: {seconds[slow] / max(seconds[fast], 1e-3):.1f}")


def _measure(command: Sequence[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "NO_COLOR": "1"}
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
