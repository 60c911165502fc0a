"""Taking artifacts in and putting them in place, beside what the same bytes cost other programs, in one run.

    python benchmarks/artifact.py [--mib 512] [--files 10000] [--repeat 3] [--folder /var/tmp]

Prints wall and CPU seconds, medians, and ratios of one run on one machine.  Every run writes to a fresh folder and
nothing is deleted before the end: ext4 is slow to make files where it has just deleted many (it took 3 s instead of 0.3
for 10 000, minutes after another program had deleted some).

Small files are compared with hashing them, and with what storing their bytes costs besides: once, as the cache holds
them, and twice, where there is a remote.

docs/performance.md has the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.ingesting import ingest, ingest_cached
from mreg.stores.artifacts.placing import place

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.measuring import BIN, ENV, Cost, Failed, Groups, print_costs, take_turns

DVC, MREG = BIN / "dvc", BIN / "mreg"
FILE_SIZE = 4096
COPIES = 14
"""How often a run has the artifact on disk at its end."""

Step = Callable[[Path, Path], object]
"""Takes the source and a fresh folder."""


def measure(folder: Path | None, *, mib: int, files: int, repeat: int) -> Groups:
    """Returns what each step takes for one large file, and for many small ones."""
    with tempfile.TemporaryDirectory(prefix="mreg-bench-", dir=folder) as name:
        scratch = Path(name)
        needed = COPIES * repeat * max(mib << 20, files * FILE_SIZE)
        if shutil.disk_usage(scratch).free < 2 * needed:  # in a tmpfs it is memory, and others need some
            raise SystemExit(
                f"{scratch.parent} needs {2 * needed >> 30} GiB of free space: --mib, --repeat or --folder"
            )
        large = scratch / "model.bin"
        with large.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(1 << 20))
        small = scratch / "model"
        for number in range(files):
            path = small / f"{number % 100:02}" / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(FILE_SIZE))
        found = {
            "large": _measure(large, {"sums at once, then cp": _sums_and_copy, **STEPS}, scratch, repeat),
            "small": _measure(small, SMALL_STEPS, scratch, repeat),
        }
    print_costs(f"one file of {mib} MiB", found["large"])
    print_costs(f"{files} files of {FILE_SIZE} bytes", found["small"])
    return found


def main() -> None:
    """Measures what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    measure(arguments.folder, mib=arguments.mib, files=arguments.files, repeat=arguments.repeat)


def _sums_and_copy(source: Path, fresh: Path) -> None:
    sums = [subprocess.Popen([program, source], stdout=subprocess.DEVNULL) for program in ("sha256sum", "md5sum")]
    for each in sums:
        each.wait()
    _copy(source, fresh)


def _copy(source: Path, fresh: Path) -> None:
    subprocess.run(["cp", "-r", source, fresh / "copy"], check=True)


def _read_and_hash(source: Path, _fresh: Path) -> None:
    for folder, _, names in os.walk(source):
        for name in names:
            file = os.open(f"{folder}/{name}", os.O_RDONLY)
            content = os.read(file, FILE_SIZE)
            os.close(file)
            hashlib.md5(content, usedforsecurity=False).hexdigest()
            hashlib.sha256(content).hexdigest()


def _hash_and_store(source: Path, fresh: Path) -> None:
    _read_and_hash(source, fresh)
    _copy(source, fresh)


def _hash_and_store_twice(source: Path, fresh: Path) -> None:
    _hash_and_store(source, fresh)
    subprocess.run(["cp", "-r", fresh / "copy", fresh / "remote"], check=True)


def _ingest(source: Path, fresh: Path) -> None:
    ingest(source, Cache(fresh / "cache"))


def _ingest_again(source: Path, fresh: Path) -> None:
    ingest(source, Cache(fresh.parent / "kept"))


def _ingest_tracked(source: Path, fresh: Path) -> None:
    ingest(source, Cache(fresh.parent / "kept"), tracked=KEPT[source])


def _place(source: Path, fresh: Path) -> None:
    cache = Cache(fresh.parent / "kept")
    place(ingest_cached(source.name, KEPT[source], cache), cache, fresh / "placed")


def _dvc_add(source: Path, fresh: Path) -> None:
    subprocess.run([DVC, "add", "--quiet", "--no-relink", source.name], cwd=fresh, env=ENV, check=True)


def _register(source: Path, fresh: Path) -> None:
    command: list[str | Path] = [MREG, "-C", fresh, "register", "model", source]
    subprocess.run(command, env=ENV, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _register_and_upload(source: Path, fresh: Path) -> None:
    _register(source, fresh)


STEPS: dict[str, Step] = {
    "cp": _copy,
    "ingest": _ingest,
    "ingest, in the cache": _ingest_again,
    "ingest, DVC tracks it": _ingest_tracked,
    "verify and place": _place,
    "mreg register": _register,
    "dvc add": _dvc_add,
}
SMALL_STEPS: dict[str, Step] = {
    "read and hash": _read_and_hash,
    "hash, and store with cp": _hash_and_store,
    "hash, and store twice with cp": _hash_and_store_twice,
    **STEPS,
    "mreg register, with a remote": _register_and_upload,
}
KEPT: dict[Path, str] = {}
"""The MD5 of each source, whose objects are in the folder ``kept``."""


def _prepare(step: Step, source: Path, fresh: Path) -> None:
    if step in {_register, _register_and_upload, _dvc_add}:
        subprocess.run(["git", "init", "--quiet"], cwd=fresh, check=True)
    if step in {_register, _register_and_upload}:
        remote = fresh.with_suffix(".remote")
        words: list[str | Path] = ["--remote", remote] if step is _register_and_upload else []
        remote.mkdir()
        subprocess.run([MREG, "-C", fresh, "init", *words], env=ENV, check=True, stdout=subprocess.DEVNULL)
    if step is _dvc_add:
        subprocess.run([DVC, "init", "--quiet"], cwd=fresh, env=ENV, check=True)
        _copy(source, fresh)
        (fresh / "copy").rename(fresh / source.name)


def _measure(source: Path, steps: dict[str, Step], scratch: Path, repeat: int) -> dict[str, Cost | Failed]:
    KEPT[source] = ingest(source, Cache(scratch / "kept")).artifact.md5
    return take_turns({name: partial(_run, step, source, scratch) for name, step in steps.items()}, repeat)


def _run(step: Step, source: Path, scratch: Path) -> Cost:
    fresh = Path(tempfile.mkdtemp(dir=scratch))
    _prepare(step, source, fresh)
    subprocess.run(["sync", "--file-system", fresh], check=True)
    cpu, wall = sum(_cpu()), time.perf_counter()
    step(source, fresh)
    return Cost(time.perf_counter() - wall, sum(_cpu()) - cpu, 0)


def _cpu() -> Iterator[float]:
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        yield used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
