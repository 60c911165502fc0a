"""How many changes a second one branch takes, from one writer and from several at once.

    python benchmarks/writers.py [--writers 1,2,4,8] [--changes 6] [--versions 1000]

A push of the branch and a tag either lands or finds that another was first; then its writer fetches, plans and judges
again.  The remote is a folder, and Git's own HTTP server on this machine; a network adds its round trips.  Each writer
has a clone and a model of its own.  Prints what landed a second, and the CPU time that a change took its writer: what
it takes more than alone are attempts that came too late.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.generate import generate
from benchmarks.measuring import BIN, ENV, Command, Failed, describe_machine, run
from tests.hosts import MERGER, git_host

MODELS = 20


class Writer:
    """A clone, and the model whose stage it changes."""

    def __init__(self, url: str, folder: Path, number: int) -> None:
        """Makes the clone."""
        self._folder = folder
        self._model = f"model-{number:04}"
        self._changes = 0
        _call(["git", "clone", "--quiet", url, folder])

    def promote(self) -> float:
        """Changes the stage, pushes, and returns the CPU time."""
        version = ("v1", "v2")[self._changes % 2]
        self._changes += 1
        words = ["promote", f"{self._model}@{version}", "staging", "--reason", "measured", "--push"]
        return run([BIN / "mreg", *words], cwd=self._folder).cpu_s

    def push(self) -> float:
        """Pushes a commit without content and a tag, by Git alone, and returns the CPU time."""
        self._changes += 1
        _call(["git", "-C", self._folder, "commit", "--quiet", "--allow-empty", "-m", f"bench {self._changes}"])
        _call(["git", "-C", self._folder, "tag", "-m", "bench", f"bench/{self._changes}"])
        command = ["git", "push", "--quiet", "--atomic", "origin", "HEAD", f"bench/{self._changes}"]
        return run(command, cwd=self._folder).cpu_s


def measure(url: str, scratch: Path, counts: Sequence[int], changes: int) -> None:
    """Prints a line for each number of writers."""
    alone = Writer(url, scratch / "git", 0)
    start = time.perf_counter()
    used = [alone.push() for _ in range(changes)]
    _tell("git push, one writer", used, time.perf_counter() - start)
    for count in counts:
        writers = [Writer(url, scratch / f"{count}-{number}", number) for number in range(count)]
        refused = 0

        def work(writer: Writer) -> list[float | None]:
            return [_try(writer) for _ in range(changes)]

        start = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            found = [each for some in pool.map(work, writers) for each in some]
        refused = found.count(None)
        title = f"mreg promote --push, {count} writer{'s' * (count > 1)}"
        _tell(title + f", {refused} given up" * bool(refused), [each for each in found if each is not None],
              time.perf_counter() - start)  # fmt: skip


def _try(writer: Writer) -> float | None:
    try:
        return writer.promote()
    except Failed as failure:
        print(failure, file=sys.stderr)
        return None


def _tell(title: str, used: Sequence[float], wall_s: float) -> None:
    print(f"  {title:44} {len(used) / wall_s:8.2f} a second {sum(used) / len(used):8.2f} s of CPU each", flush=True)


def _call(command: Command) -> None:
    subprocess.run(command, check=True, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Measures what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", default="1,2,4,8")
    parser.add_argument("--changes", type=int, default=6, help="by each writer")
    parser.add_argument("--versions", type=int, default=1000)
    arguments = parser.parse_args()
    counts = [int(word) for word in arguments.writers.split(",")]
    with tempfile.TemporaryDirectory(prefix="mreg-bench-") as name:
        scratch = Path(name)
        generate(scratch / "registry", versions=arguments.versions, models=MODELS)
        for kind in ("folder", "http"):
            place = scratch / kind
            origin = place / "registry.git"
            _call(["git", "clone", "--quiet", "--mirror", scratch / "registry", origin])
            with ExitStack() as stack:
                url = origin.as_uri()
                if kind == "http":
                    (place / "host").mkdir()
                    url = stack.enter_context(git_host("python", origin, place / "host")).url_of(MERGER)
                print(f"\n{arguments.versions} versions, the remote by {kind}; load {describe_machine()['load']}")
                measure(url, place, counts, arguments.changes)


if __name__ == "__main__":
    main()
