"""Listings with what is remembered of records and without: the same, whatever the registry went through."""

from __future__ import annotations

import gc
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.json import encode

from mreg.core.history.record import Record
from mreg.core.results import VersionList
from mreg.errors import NotFoundError
from mreg.registry.api.queries import Queries
from mreg.registry.reading import models, records
from mreg.render.formats.json import render_json
from mreg.stores.caches import models as model_cache
from mreg.stores.checksummed import format_checksummed
from tests.conftest import Git

MODELS = ("churn", "fraud/eu", "fraud/us")
RECORD = """schema: 1
model: {model}
version: {version}
artifact: {{path: model.pkl, size: 7, md5: {md5}, sha256: {sha256}}}
metrics: {{auc: 0.{number}, loss: {number}}}
params: {params}
trained_at: 2026-11-20T09:12:00+05:30
"""
ODD = (
    "{a: [1, 1.0, true, null, 1e16]}",
    "{rate: .nan}",
    "{n: 1180591620717411303424}",
    "{ü: \u2028}",
    '{half: "\\ud800"}',
)


@pytest.fixture(params=["sha1", "sha256"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(records, "MANY", 1)
    monkeypatch.setattr(records, "GROUP", 4)
    git("init", "--quiet", f"--object-format={request.param}", str(tmp_path / "repo"))
    monkeypatch.chdir(tmp_path / "repo")
    Path("registry.yaml").write_text("schema: 1\n")
    return tmp_path / "repo"


def change(chance: random.Random, number: int, *, spoils: bool = True) -> None:
    """Adds, changes, spoils or deletes the record of a version, or what a stage holds."""
    model, version = chance.choice(MODELS), f"v{chance.randrange(1, 9)}.0.0"
    path = Path(f"registry/{model}/versions/{version}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    named = chance.choice([version] * 9 + ["v99.0.0"])
    params = chance.choice(["{depth: 3}", *ODD])
    text = RECORD.format(model=model, version=named, md5="a" * 32, sha256="b" * 64, number=number, params=params)
    kind = chance.random()
    if kind < 0.15 and spoils:
        path.unlink(missing_ok=True)
    else:
        path.write_text("schema: [\n" if 0.15 <= kind < 0.25 else text, encoding="utf-8")
    stage = Path(f"registry/{model}/stages/production.yaml")
    stage.parent.mkdir(parents=True, exist_ok=True)
    stage.write_text(f"version: {version}\n" if chance.random() < 0.9 or not spoils else "version: [\n")


def look(at: str | None = None) -> list[VersionList]:
    queries = Queries.snapshot()
    found = [queries.versions(at=at)]
    for model in MODELS:
        try:
            found.append(queries.versions(model, at=at))
        except NotFoundError:
            found.append(VersionList(None, (), None))
    return found


def look_without(registry: Path, at: str | None = None) -> list[VersionList]:
    kept = registry / ".git/mreg/records"
    aside = registry / "aside"
    if kept.exists():
        kept.rename(aside)
    found = look(at)
    shutil.rmtree(kept, ignore_errors=True)
    if aside.exists():
        aside.rename(kept)
    return found


def test_versions_are_the_same_with_what_is_remembered_and_without(registry: Path, git: Git) -> None:
    chance = random.Random(5)
    for number in range(1, 7):
        for _ in range(8):
            change(chance, number)
        git("add", "registry.yaml", "registry")
        git("commit", "--quiet", f"--message={number}")
        if number == 4:  # back, and on from there
            git("reset", "--quiet", "--hard", "HEAD~2")
        at = chance.choice([None, "HEAD~1"]) if number > 1 else None
        expected = look_without(registry, at)
        for _ in range(2):
            found = look(at)
            assert list(map(repr, found)) == list(map(repr, expected))
            assert list(map(render_json, found)) == list(map(render_json, expected))
        assert render_json(Queries.snapshot().stream_versions(at=at)) == render_json(expected[0])
    assert expected[0].findings
    assert list((registry / ".git/mreg/records").iterdir())


def test_models_are_the_same_with_what_is_remembered_and_without(
    registry: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "LARGE", 1)
    chance = random.Random(7)
    kept = registry / ".git/mreg/models"
    met = set()
    for number in range(1, 25):
        for _ in range(chance.choice([0, 1, 1, 2])):
            change(chance, number, spoils=chance.random() < 0.2)
        if number % 7 == 0:
            Path("registry/README.md").write_text(f"{number}\n")
            Path("registry/notes.txt").write_text("a stray\n")
        elif number % 7 == 2:
            Path("registry/notes.txt").unlink(missing_ok=True)
        if number == 9:
            Path("registry.yaml").write_text("schema: 1\nstages: {shadow: {}, production: {}}\n")
        git("add", "registry.yaml", "registry")
        git("commit", "--quiet", "--allow-empty", f"--message={number}")
        if number in {8, 15}:
            git("reset", "--quiet", "--hard", f"HEAD~{number // 3}")
        expected = Queries.snapshot().list(at="HEAD")
        for _ in range(2):
            assert encode(Queries.snapshot().list()) == encode(expected)  # the order of stages too
        is_kept = kept.exists() and git("rev-parse", "HEAD:registry").encode() in kept.read_bytes()
        assert is_kept != bool(expected.findings)
        met.add(is_kept)
    assert met == {True, False}


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda whole: whole[:-1],
        lambda whole: whole.replace(b"mreg-models-1", b"mreg-models-0"),
        lambda whole: whole.replace(b"churn", b"chunk"),
        lambda _: format_checksummed(model_cache._FORM, b"\x01"),
    ],
)
def test_what_is_remembered_of_models_counts_for_nothing_where_it_was_damaged(
    damage: Callable[[bytes], bytes], repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "LARGE", 1)
    Path("registry.yaml").write_text("schema: 1\n")
    path = Path("registry/churn/versions/v1.0.0.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(RECORD.format(model="churn", version="v1", md5="", sha256="", number=1, params="{}"))
    git("add", "registry.yaml", "registry")
    git("commit", "--quiet", "--message=One")
    expected = Queries.snapshot().list()
    kept = repo / ".git/mreg/models"
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert Queries.snapshot().list() == expected
    assert kept.read_bytes() == whole


def test_what_is_remembered_of_a_tree_that_is_gone_counts_for_nothing(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "LARGE", 1)
    Path("registry.yaml").write_text("schema: 1\n")
    for number in (1, 2):
        path = Path(f"registry/churn/versions/v{number}.0.0.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RECORD.format(model="churn", version=f"v{number}", md5="", sha256="", number=1, params="{}"))
        git("add", "registry.yaml", "registry")
        git("commit", "--quiet", f"--message={number}")
        if number == 1:
            Queries.snapshot().list()
            git("reset", "--quiet", "--soft", "HEAD~1")
    git("reflog", "expire", "--expire=now", "--all")
    git("prune", "--expire=now")
    assert Queries.snapshot().list() == Queries.snapshot().list(at="HEAD")


def count_records() -> int:
    gc.collect()
    return sum(isinstance(each, Record) for each in gc.get_objects())


def test_stream_of_versions_keeps_no_more_than_a_group(registry: Path, git: Git) -> None:
    for number in range(1, 41):
        folder = Path(f"registry/model-{number % 10}/versions")
        folder.mkdir(parents=True, exist_ok=True)
        text = RECORD.format(
            model=f"model-{number % 10}", version=f"v{number}", md5="", sha256="", number=number, params="{a: [1]}"
        )
        (folder / f"v{number}.0.0.yaml").write_text(text)
    git("add", "registry.yaml", "registry")
    git("commit", "--quiet", "--message=All")
    for _ in range(2):  # what is parsed, and what is remembered
        queries = Queries.snapshot()
        others = count_records()  # other tests' in this process
        most, seen = 0, 0
        for _version in queries.stream_versions().versions:
            seen += 1
            if seen % 13 == 0:
                most = max(most, count_records() - others)
        assert (seen, 0 < most <= 8) == (40, True)


def test_versions_of_all_models_forget_those_that_are_gone(registry: Path, git: Git) -> None:
    chance = random.Random(6)
    for number in range(20):
        change(chance, number)
    git("add", "registry.yaml", "registry")
    git("commit", "--quiet", "--message=All")
    look()
    assert len(list((registry / ".git/mreg/records").iterdir())) == len(MODELS)
    git("rm", "-r", "--quiet", "registry/fraud")
    Path("registry/churn/versions/v8.0.0.yaml").write_text(
        RECORD.format(model="churn", version="v8.0.0", md5="", sha256="", number=77, params="{}")
    )
    git("add", "registry")
    git("commit", "--quiet", "--message=Fewer")
    Queries.snapshot().versions("churn")
    assert len(list((registry / ".git/mreg/records").iterdir())) == len(MODELS)
    git("commit", "--quiet", "--message=Again", "--allow-empty")
    Path("registry/churn/versions/v7.0.0.yaml").write_text(
        RECORD.format(model="churn", version="v7.0.0", md5="", sha256="", number=78, params="{}")
    )
    git("add", "registry")
    git("commit", "--quiet", "--message=One more")
    Queries.snapshot().versions()
    assert len(list((registry / ".git/mreg/records").iterdir())) == 1
