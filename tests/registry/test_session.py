"""The Python API as somebody meets it at a prompt, in a notebook, and from threads and other processes."""

from __future__ import annotations

import asyncio
import copy
import inspect
import multiprocessing
import pickle
import pydoc
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import mreg
from mreg import Registry
from mreg.errors import NotFoundError, UsageError
from tests.conftest import Git

ADA = "ada@example.com"


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    """Two versions of churn; production held both."""
    registry = Registry.init(repo)
    for number in (1, 2):
        (tmp_path / "model.bin").write_bytes(b"model %d" % number)
        metrics = dict.fromkeys("bcde", 1) if number == 1 else {}
        registry.register("churn", tmp_path / "model.bin", metrics={"auc": number / 10, **metrics})
        registry.promote(f"churn@v{number}", "production", reason="better")
    return registry


def test_session_shows_each_value_in_a_line(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    tip = git("rev-parse", "HEAD")
    one, two = registry.versions("churn").versions[::-1]
    (tmp_path / "model.bin").write_bytes(b"model 3")
    shown: list[tuple[object, str]] = [
        (registry, f"<Registry in '{repo}'>"),
        (registry.list(), f"<ModelList: 1 model at {tip[:12]}>"),
        (registry.list().models[0], "<ModelSummary churn: 2 versions, production v2.0.0>"),
        (registry.versions(), f"<VersionList: 2 versions at {tip[:12]}>"),
        (registry.versions("churn"), f"<VersionList of churn: 2 versions at {tip[:12]}>"),
        (one, "<VersionSummary churn v1.0.0: auc=0.1, b=1, c=1, d=1, …>"),
        (two, "<VersionSummary churn v2.0.0 in production: auc=0.2>"),
        (two.record, "<Record churn v2.0.0: auc=0.2>"),
        (registry.show("churn"), "<VersionDetails churn v2.0.0 in production: auc=0.2>"),
        (registry.history(), "<History: 2 transitions>"),
        (
            next(iter(registry.history())),
            f"<Transition churn production: v1.0.0 → v2.0.0 (promote) by {ADA}: 'better'>",
        ),
        (registry.report(), "<Report: 2 transitions>"),
        (registry.compare("churn@v1", "churn@v2"), "<Comparison of v1.0.0, v2.0.0>"),
        (
            registry.best("churn", by="auc:higher"),
            "<Choice churn v2.0.0: auc 0.2 is the highest of 2; next v1.0.0 with 0.1>",
        ),
        (registry.plan(base="HEAD"), "<Review of no version: may land>"),
        (
            registry.plan(base="HEAD~2"),
            "<Review of churn production: v1.0.0 → v2.0.0 (promote), churn v2.0.0: may land>",
        ),
        (registry.pull("churn", tmp_path / "out"), f"<Pulled churn v2.0.0 in production: '{tmp_path / 'out'}'>"),
    ]
    assert [repr(value) for value, _ in shown] == [text for _, text in shown]


def test_session_shows_what_was_done_or_would_be(registry: Registry, repo: Path, git: Git) -> None:
    planned = registry.clear("churn", "production", dry_run=True)
    assert repr(planned) == "<Receipt: Clear churn production of v2.0.0, dry run>"
    assert repr(planned.plan) == "<Plan: Clear churn production of v2.0.0>"
    done, tip = registry.clear("churn", "production"), git("rev-parse", "HEAD")
    tags = "churn#production!#3, churn#production!#4"
    assert repr(done) == f"<Receipt: Clear churn production of v2.0.0, commit {tip[:12]}, {tags}>"
    assert repr(registry.clear("churn", "production")) == "<Receipt: nothing to do>"
    (repo / "registry/churn/stages/production.yaml").write_text("version: v9.0.0\n", encoding="utf-8")
    git("commit", "--quiet", "--all", "--message=By hand")
    assert "nothing → v9.0.0 (promote): may not land: " in repr(registry.plan(base="HEAD~1"))
    assert "churn production: v2.0.0 → nothing (clear)" in repr(registry.history().transitions[1])


def test_session_lists_can_be_iterated_and_counted(registry: Registry) -> None:
    assert [summary.model for summary in registry.list()] == ["churn"]
    assert [str(each.version) for each in registry.versions("churn")] == ["v2.0.0", "v1.0.0"]
    assert [str(each.version) for each in registry.stream_versions("churn")] == ["v2.0.0", "v1.0.0"]
    assert [each.transition.reason for each in registry.report()] == ["better", "better"]
    assert (len(registry.list()), len(registry.versions()), len(registry.report())) == (1, 2, 2)


def test_session_lists_know_what_is_in_them_by_name(registry: Registry) -> None:
    models, versions = registry.list(), registry.versions("churn")
    assert "churn" in models
    assert models.models[0] in models
    assert "chrn" not in models
    assert all(each in versions for each in ("v2", "v2.0.0", mreg.Version(1), versions.versions[0]))
    assert "v3" not in versions


def test_session_values_are_equal_and_come_out_of_pickle_and_copy(registry: Registry) -> None:
    asked: list[Callable[[], object]] = [
        registry.list,
        registry.versions,
        registry.history,
        registry.report,
        lambda: registry.show("churn@v1"),
        lambda: registry.compare("churn@v1", "churn@v2", higher="auc"),
        lambda: registry.best("churn", by="auc:higher"),
        lambda: registry.plan(base="HEAD~1"),
        lambda: registry.promote("churn@v1", "staging", reason="x", dry_run=True),
    ]
    for ask in asked[:-1]:
        assert ask() == ask()
    for ask in asked:
        value = ask()
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value


def test_registry_is_opened_and_not_made_of_a_path(repo: Path) -> None:
    for path in ("models", repo, None):
        with pytest.raises(UsageError, match="is opened") as caught:
            Registry(path)
        assert "Registry.open('" in caught.value.hint


def test_registry_stays_where_it_was_opened(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = Registry.open("repo")
    monkeypatch.chdir("/")
    assert str(opened.show("churn").record.version) == "v2.0.0"
    monkeypatch.chdir(tmp_path)
    assert opened.register("other", "model.bin").changed  # as a path is read everywhere: from where you are
    assert opened.pull("other", "copy.bin").path == tmp_path / "copy.bin"


def test_registry_of_another_repository_around_is_not_taken(registry: Registry, tmp_path: Path, git: Git) -> None:
    git("init", "--quiet", str(tmp_path / "code"))
    with pytest.raises(mreg.errors.NotARegistryError):
        Registry.open(tmp_path / "code")


def _newest(registry: Registry, selector: str) -> str:
    return str(registry.show(selector).record.version)


def _train(registry: Registry, number: int) -> str:
    path = Path(f"candidate-{number}.bin").absolute()
    path.write_bytes(b"candidate %d" % number)
    return str(registry.register("candidate", path).version)


@pytest.mark.parametrize("open_", [Registry.open, Registry.snapshot])
def test_registry_may_be_shared_by_threads(registry: Registry, repo: Path, open_: Callable[[Path], Registry]) -> None:
    shared = open_(repo)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(_newest, [shared] * 16, ["churn@v1", "churn@production"] * 8))
    assert found == ["v1.0.0", "v2.0.0"] * 8


def test_registry_registers_from_threads_each_its_own_number(registry: Registry, repo: Path, git: Git) -> None:
    with ThreadPoolExecutor(4) as pool:
        versions = sorted(pool.map(_train, [registry] * 4, range(4)))
    assert versions == ["v1.0.0", "v2.0.0", "v3.0.0", "v4.0.0"]
    assert git("fsck", "--no-progress") == ""
    assert registry.verify().ok


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_registry_goes_to_other_processes_and_their_errors_come_back(registry: Registry, method: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        assert pool.submit(_train, registry, 1).result() == "v1.0.0"
        with pytest.raises(NotFoundError) as caught:
            pool.submit(_newest, registry, "chrn").result()
    assert "'churn'" in caught.value.hint


def test_registry_answers_under_asyncio(registry: Registry) -> None:
    async def ask() -> list[str]:
        return await asyncio.gather(*(asyncio.to_thread(_newest, registry, "churn") for _ in range(3)))

    assert asyncio.run(ask()) == ["v2.0.0"] * 3


SCRIPT = """
from mreg import *

registry = Registry.open(".")
try:
    registry.show("chrn")
except errors.NotFoundError:
    version = registry.register("quiet", "../model.bin").version
pulled = registry.pull(f"quiet@{version}", "pulled.bin")
"""


@pytest.mark.parametrize("closed", [(), (1,), (0, 1, 2)], ids=str)
def test_api_prints_nothing_and_needs_no_stream(registry: Registry, repo: Path, closed: tuple[int, ...]) -> None:
    code = f"import os\nfor each in {closed}: os.close(each)\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (repo / "pulled.bin").read_bytes() == b"model 2"


def test_api_errors_come_with_the_package() -> None:
    code = "import mreg\ntry: mreg.Registry.open('/none')\nexcept mreg.errors.NotFoundError: print('caught')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "caught\n"


def test_api_exports_what_its_methods_return() -> None:
    exported = set(mreg.__all__)
    assert exported <= set(dir(mreg))
    assert all(getattr(mreg, name) is not None for name in exported)
    internal = {"Landed", "Settings"}  # of what the command line uses
    for name, method in inspect.getmembers(Registry, inspect.isfunction):
        returned = str(inspect.signature(method).return_annotation).strip("'")
        if not name.startswith("_") and returned != "None":
            assert returned in exported | internal | {"QueriesT"}, name


@pytest.mark.parametrize("name", sorted({*mreg.__all__} - {"__version__"}))
def test_api_help_tells_of_each_name(name: str) -> None:
    named = getattr(mreg, name)
    assert pydoc.plain(pydoc.render_doc(named)).count("\n") > 3
    if isinstance(named, type):
        inspect.signature(named)  # as editors and IPython do


def test_api_help_has_every_method_with_its_words() -> None:
    text = pydoc.plain(pydoc.render_doc(Registry))
    for name in ("open", "register", "promote", "best", "pull", "history"):
        assert f" |  {name}(" in text
    for name, method in inspect.getmembers(Registry, inspect.isroutine):
        if not name.startswith("_"):
            assert inspect.getdoc(method), name
