"""What a command costs in things that can be counted: Git processes, imports, bytes read and written.

Seconds differ from machine to machine and are measured in ``benchmarks/``; a count is the same everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import git.cmd  # noqa: F401 - when it is imported it runs `git version`, which is to be no command's cost
import pytest

from benchmarks.generate import generate
from mreg.registry.reading import models as listed
from mreg.stores.git.history import log_cache
from tests.conftest import Git, Mreg

SIZES = {"small": (6, 2), "large": (180, 20)}
"""Versions and models: ten times the models, thirty times the versions and the transitions."""
MODEL = "model-0000"
SERVED = f"{MODEL}@production"
READERS: dict[str, tuple[str, ...]] = {
    "list": ("list",),
    "list of a model": ("list", MODEL),
    "list of all versions": ("list", "--versions"),
    "list of a stage": ("list", "--stage", "production"),
    "list of the past": ("list", "--at", "main~2"),
    "show": ("show", SERVED),
    "history": ("history",),
    "history of a model": ("history", MODEL),
    "history of a stage": ("history", MODEL, "production"),
    "compare": ("compare", f"{MODEL}@v1", SERVED),
    "compare across models": ("compare", f"{MODEL}@v1", f"{MODEL}@v2", "model-0001@v1", "model-0001@v2"),
    "best": ("best", MODEL, "--by", "auc:higher", "--stage", "production"),
    "pull": ("pull", SERVED, "--output", "served.bin"),
    "doctor": ("doctor",),
    "sync": ("sync", "--dry-run"),
}
FEW = 16
"""More Git processes than this no reader may start, whatever there is to read."""
FEW_TO_WRITE = 26
DECIDING = {
    "mreg.core.versions.best",
    "mreg.core.review.gates",
    "mreg.core.writing.plan",
    "mreg.registry.api.facade",
    "mreg.registry.writing.writer",
    "mreg.stores.artifacts.ingesting",
    "mreg.stores.dvc",
}
"""What decides, writes or moves bytes; nobody who only looks waits for it."""
LOOKING = [
    (*READERS[name], "--format", form)
    for name, forms in {
        "list": ("table", "json", "markdown"),
        "list of a model": ("table", "json", "markdown"),
        "list of all versions": ("table", "json"),
        "history": ("table", "json"),  # in Markdown it is a report, for which everything is judged again
        "history of a model": ("table", "json"),
    }.items()
    for form in forms
]
HEAVY = {"dvc", "dvc_data", "dvc_objects", "fsspec", "pydantic", "rich", "scmrepo"}

MEBIBYTE = 1 << 20
WEIGHTS = 16 * MEBIBYTE
FILES = 200

needs_proc = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes through /proc")


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the log of one registry would be kept, being slow to read, and that of the other not.
    monkeypatch.setattr(log_cache, "SLOW_S", float("inf"))


@pytest.fixture(scope="session")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generated")


@pytest.fixture
def registries(_generated: Path, tmp_path: Path, mreg_here: Mreg) -> dict[str, Path]:
    """The same registry in both sizes, where the version in production was pulled before."""
    for name, (versions, models) in SIZES.items():
        if not (_generated / name).exists():
            generate(_generated / name, versions=versions, models=models)
            mreg_here(*READERS["pull"], cwd=_generated / name, check=0)
    shutil.copytree(_generated, tmp_path / "registries", symlinks=True)
    return {name: tmp_path / "registries" / name for name in SIZES}


def count_git(mreg: Mreg, repo: Path, *words: str, cwd: Path | None = None) -> list[str]:
    """Returns the Git processes of a command, children of Git's too, by what each does."""
    traces = repo.with_name("traces")
    traces.mkdir()
    # Into a folder, Git writes one file a process.
    mreg(*words, cwd=cwd or repo, env={"GIT_TRACE2_EVENT": str(traces)}, check=0)
    events = [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted(traces.iterdir())]
    shutil.rmtree(traces)
    return sorted(next(event["name"] for event in each if event["event"] == "cmd_name") for each in events)


@pytest.mark.parametrize("name", READERS)
def test_reader_starts_as_many_git_processes_whatever_there_is_to_read(
    name: str, registries: dict[str, Path], mreg_here: Mreg
) -> None:
    small, large = (count_git(mreg_here, registries[size], *READERS[name]) for size in SIZES)
    assert small == large
    assert 0 < len(small) <= FEW


def test_list_of_versions_asks_git_for_no_record_twice(registries: dict[str, Path], mreg_here: Mreg) -> None:
    repo = registries["large"]
    first, second = (count_git(mreg_here, repo, *READERS["list of all versions"]) for _ in range(2))
    assert (first.count("cat-file"), len(first)) == (second.count("cat-file") + 1, len(second) + 1)


def test_list_of_a_large_registry_reads_what_changed(
    registries: dict[str, Path], mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "LARGE", 100)
    repo = registries["large"]
    first, second = (count_git(mreg_here, repo, "list") for _ in range(2))
    mreg_here("clear", MODEL, "production", "--reason", "bad", cwd=repo, check=0)
    third = count_git(mreg_here, repo, "list")
    assert [names.count("ls-tree") for names in (first, second, third)] == [1, 0, 1]
    assert [names.count("diff-tree") for names in (first, second, third)] == [0, 0, 1]
    assert len(second) < len(first)
    assert mreg_here("list", cwd=repo, check=0) == mreg_here("list", "--at", "main", cwd=repo, check=0)


def test_compare_starts_no_git_process_a_version(registries: dict[str, Path], mreg_here: Mreg) -> None:
    two, many = (
        count_git(mreg_here, registries["large"], "compare", *(f"{MODEL}@v{number}" for number in range(1, count)))
        for count in (3, 10)
    )
    assert two == many


def test_promote_starts_as_many_git_processes_whatever_there_is(registries: dict[str, Path], mreg_here: Mreg) -> None:
    words = ("promote", MODEL, "production", "--reason", "better")
    small, large = (count_git(mreg_here, registries[size], *words) for size in SIZES)
    assert small == large
    assert 0 < len(small) <= FEW_TO_WRITE


LOAD = """
import json, sys
from mreg.cli import main
for words in json.loads(sys.argv[1]):
    status = main(words)
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & set(json.loads(sys.argv[2])))
    print(json.dumps([words, status, loaded]), file=sys.stderr)
"""


def test_readers_import_neither_dvc_nor_what_else_is_slow(registries: dict[str, Path]) -> None:
    command = [sys.executable, "-c", LOAD, json.dumps(list(READERS.values())), json.dumps(sorted(HEAVY))]
    done = subprocess.run(command, cwd=registries["small"], capture_output=True, encoding="utf-8", check=True)
    seen = [json.loads(line) for line in done.stderr.splitlines()]
    assert seen == [[list(words), 0, []] for words in READERS.values()]


NAME_LOADED = """
import json, sys
from mreg.cli import main
status = main(sys.argv[1:])
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_reader_loads_nothing_that_decides(words: tuple[str, ...], registries: dict[str, Path]) -> None:
    command = [sys.executable, "-c", NAME_LOADED, *words]
    done = subprocess.run(command, cwd=registries["small"], capture_output=True, encoding="utf-8", check=True)
    status, loaded = json.loads(done.stderr)
    assert (status, DECIDING & set(loaded)) == (0, set())


REGISTER = """
import json, os, sys
from mreg.cli import main

def traffic():
    with open("/proc/self/io") as file:
        counts = dict(line.split(": ") for line in file)
    return int(counts["rchar"]), int(counts["wchar"])

def watch(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        opened.append(os.path.realpath(os.fsdecode(args[0])))

warm, source = sys.argv[1:]
main(["register", "warm", warm])  # what is imported and read once is not the artifact's cost
opened, before = [], traffic()
sys.addaudithook(watch)
status = main(["register", "churn", source])
after = traffic()
root = os.path.realpath(source)
inside = [path for path in opened if path == root or path.startswith(root + "/")]
print(json.dumps([status, inside, after[0] - before[0], after[1] - before[1]]), file=sys.stderr)
"""


def register(source: Path, warm: Path) -> tuple[list[str], int, int]:
    """Returns which of a source's files were opened while it was registered, and the bytes read and written."""
    command = [sys.executable, "-c", REGISTER, str(warm), str(source)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", check=True)
    status, opened, read, written = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr
    return opened, read, written


def make_source(kind: str, folder: Path) -> tuple[Path, list[str]]:
    """Returns an artifact of ``WEIGHTS`` bytes and its files."""
    if kind == "file":
        path = folder / "weights.bin"
        path.write_bytes(os.urandom(WEIGHTS))
        return path, [str(path)]
    root = folder / "weights"
    root.mkdir()
    for number in range(FILES):
        (root / f"{number:03}.bin").write_bytes(os.urandom(WEIGHTS // FILES))
    return root, sorted(map(str, root.iterdir()))


@needs_proc
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_register_reads_the_artifact_once(
    kind: str, repo: Path, tmp_path: Path, model_file: Path, mreg_here: Mreg
) -> None:
    mreg_here("init", check=0)
    source, files = make_source(kind, tmp_path)
    opened, read, _ = register(source, model_file)
    assert _files_of(opened) == files
    assert WEIGHTS * 0.99 < read < WEIGHTS * 1.2


@needs_proc
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_register_with_a_remote_reads_the_artifact_once(
    kind: str, repo: Path, tmp_path: Path, model_file: Path, mreg_here: Mreg
) -> None:
    mreg_here("init", "--remote", str(tmp_path / "store"), check=0)
    source, files = make_source(kind, tmp_path)
    opened, _, _ = register(source, model_file)
    assert _files_of(opened) == files
    assert len(list((tmp_path / "store" / "files").rglob("?" * 30 + "*"))) == len(files) + 1 + (kind == "directory")


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_register_copies_nothing_that_dvc_has_in_its_cache(
    kind: str, repo: Path, tmp_path: Path, model_file: Path, mreg_here: Mreg, git: Git
) -> None:
    mreg_here("init", check=0)
    source, files = make_source(kind, repo)
    dvc = Path(sys.executable).with_name("dvc")
    subprocess.run([dvc, "add", "--quiet", "--no-relink", source.name], check=True)
    git("add", f"{source.name}.dvc", ".gitignore")
    git("commit", "--quiet", "--message=Track it")
    opened, _, written = register(source, model_file)
    assert _files_of(opened) == files
    assert written < WEIGHTS * 0.2


def _files_of(opened: Sequence[str]) -> list[str]:
    """Returns the files among what was opened, each as often as it was; a folder is opened to list it."""
    return sorted(path for path in opened if Path(path).is_file())
