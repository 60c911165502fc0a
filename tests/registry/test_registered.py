from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path

import pytest

from mreg.core.history.record import Record
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.registry.storage import registered
from mreg.registry.storage.registered import file_list_oids, find_registered, read_artifacts
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git

RECORD = """schema: 1
model: {model}
version: v{number}
artifact: {{path: a, size: {size}, md5: {md5}, sha256: {sha256}}}
"""
FOLDER = "registry/churn/versions"


def record(number: int, size: int = 1, model: str = "churn") -> str:
    return RECORD.format(model=model, number=number, size=size, md5=f"{size:032}", sha256=f"{size:064}")


def commit(git: Git, files: Mapping[str, str | None]) -> None:
    for name, content in files.items():
        if content is None:
            Path(name).unlink()
        else:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content)
    git("add", "--all", "registry", "registry.yaml")
    git("commit", "--quiet", "--allow-empty", "--message=Change")


@pytest.fixture
def reader(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr(registered, "_AT_ONCE", 2)
    commit(git, {"registry.yaml": "schema: 1\nstages: {production: {}}\n", f"{FOLDER}/v1.0.0.yaml": record(1)})
    commit(git, {f"{FOLDER}/v{number}.0.0.yaml": record(number, number) for number in (2, 3, 4)})
    commit(git, {f"{FOLDER}/v3.0.0.files": "first", "registry/churn/stages/production.yaml": "no: [version"})
    commit(git, {f"{FOLDER}/v1.0.0.yaml": record(1, 9), f"{FOLDER}/v3.0.0.files": "second"})
    commit(git, {f"{FOLDER}/v2.0.0.yaml": None})
    commit(git, {f"{FOLDER}/v2.0.0.yaml": record(2, 8), "registry/a/b/versions/v1.0.0.yaml": record(1, 5, "a/b")})
    reader = Reader(GitRepository(repo))
    reader.settings()
    return reader


def test_find_registered_is_what_the_fold_says(reader: Reader) -> None:
    settings = reader.settings()
    layout = settings.policy.layout
    found = find_registered(reader.repo, settings.tip, layout)
    commits = reader.commits(settings.tip, layout)
    timeline = reader.timeline(commits, layout)
    assert found.records == {key: each.record for key, each in timeline.appearances.items()}
    assert found.file_lists == file_list_oids(commits, layout)
    assert (len(found.records), len(found.file_lists)) == (5, 1)


def test_read_artifacts_keeps_no_record(reader: Reader) -> None:
    settings = reader.settings()
    layout = settings.policy.layout
    oids = find_registered(reader.repo, settings.tip, layout).records
    found = read_artifacts(reader, layout, oids)
    assert [(str(version), each.size) for (_, version), each in found.items()] == [
        ("v1.0.0", 1), ("v2.0.0", 2), ("v3.0.0", 3), ("v4.0.0", 4), ("v1.0.0", 5),
    ]  # fmt: skip
    gc.collect()
    there = {id(each.artifact) for each in gc.get_objects() if isinstance(each, Record)}
    assert there.isdisjoint(map(id, found.values()))


def test_read_artifacts_of_another_version_is_an_error(reader: Reader) -> None:
    settings = reader.settings()
    layout = settings.policy.layout
    (first, oid), (second, _), *_ = find_registered(reader.repo, settings.tip, layout).records.items()
    with pytest.raises(DataError, match="is the record of churn v1"):
        read_artifacts(reader, layout, {first: oid, second: oid})
    with pytest.raises(DataError, match="missing from this clone"):
        read_artifacts(reader, layout, {first: "0" * 40})
