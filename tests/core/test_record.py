from __future__ import annotations

import copy
import json

import pytest
from hypothesis import assume, given

from mreg.core.fields import Fields, Plain
from mreg.core.history.record import Artifact, Code, Record, format_record, parse_record
from mreg.core.names import ModelName, Version
from mreg.errors import DataError
from tests.core.strategies import records

SMALLEST: dict[str, Plain] = {
    "schema": 1,
    "model": "churn",
    "version": "v3.0.0",
    "artifact": {"path": "model.pkl", "size": 48213},
}
LARGEST: dict[str, Plain] = {
    "schema": 1,
    "model": "churn",
    "version": "v3.0.0",
    "artifact": {
        "path": "model.pkl",
        "size": 48213,
        "md5": "9f" * 16,
        "sha256": "03" * 32,
        "format": "sklearn-pickle",
        "files": 3,
    },
    "metrics": {"auc": 0.913, "latency_ms": 11},
    "params": {"max_depth": 6, "layers": [1, {"deep": None}]},
    "dataset": {"name": "customers", "version": "2026-10", "path": "data/train.parquet", "md5": "77ab"},
    "code": {"commit": "4f1c", "dirty": False, "repo": "https://example.com/r", "entrypoint": "train.py"},
    "run": {"tool": "github-actions", "url": "https://example.com/run/1"},
    "trained_at": "2026-11-20T09:12:00Z",
    "environment": {"python": "3.11.7", "packages": {"scikit-learn": "1.7.2"}},
    "notes": "retrained on October data",
    "metadata": {"anything": [1, "goes"]},
    "adopted": {"tag": "churn@v3.0.0", "at": "2026-11-20T09:12:00Z", "commit": "0f"},
}


def read(document: object) -> Record:
    return parse_record(Fields(json.loads(json.dumps(document)), where="v3.0.0.yaml"))


def changed(path: str, value: object) -> dict[str, object]:
    document: dict[str, object] = {**copy.deepcopy(LARGEST)}
    *sections, key = path.split(".")
    inner = document
    for section in sections:
        below = inner[section]
        assert isinstance(below, dict)
        inner = below
    inner[key] = value
    return document


@given(records)
def test_record_format_reads_back(record: Record) -> None:
    assume(len(str(record.version)) <= 100)
    assert read(format_record(record)) == record


def test_record_smallest_reads() -> None:
    assert read(SMALLEST) == Record(ModelName("churn"), Version(3), Artifact("model.pkl", 48213, "", ""))
    assert format_record(read(SMALLEST)) == SMALLEST


def test_record_largest_keeps_every_key_in_order() -> None:
    assert json.dumps(format_record(read(LARGEST))) == json.dumps(LARGEST)


@pytest.mark.parametrize("key", list(SMALLEST))
def test_record_without_a_required_key_is_refused(key: str) -> None:
    with pytest.raises(DataError) as caught:
        read({name: value for name, value in LARGEST.items() if name != key})
    assert caught.value.details["key"] == key


@pytest.mark.parametrize("key", ["artifact.path", "artifact.size"])
def test_artifact_without_a_required_key_is_refused(key: str) -> None:
    with pytest.raises(DataError) as caught:
        read(changed(key, None))
    assert caught.value.details["key"] == key


@pytest.mark.parametrize("section", ["", "artifact.", "dataset.", "code.", "run.", "environment.", "adopted."])
def test_record_unknown_key_is_refused_outside_metadata(section: str) -> None:
    with pytest.raises(DataError, match="unknown key") as caught:
        read(changed(f"{section}extra", "x"))
    assert caught.value.details["key"] == f"{section}extra"


@pytest.mark.parametrize("schema", [0, 2, "1", True, 1.0])
def test_record_of_another_schema_is_refused(schema: object) -> None:
    with pytest.raises(DataError) as caught:
        read(changed("schema", schema))
    assert caught.value.details["key"] == "schema"


def test_record_of_a_newer_schema_hints_at_the_upgrade() -> None:
    with pytest.raises(DataError, match="schema 2 is not known to this mreg, which reads 1") as caught:
        read({"schema": 2, "whatever": "comes"})
    assert caught.value.hint.startswith("install a newer mreg")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "Churn"),
        ("model", "../churn"),
        ("version", 1.1),
        ("version", "latest"),
        ("version", "none"),
        ("artifact.path", "a/b"),
        ("artifact.path", "/etc/passwd"),
        ("artifact.path", "a\\b"),
        ("artifact.path", "."),
        ("artifact.path", ".."),
        ("artifact.path", ""),
        ("artifact.path", ".git"),
        ("artifact.path", ".GIT"),
        ("artifact.path", ".g\u200cit"),
        ("artifact.path", ".dvc"),
        ("artifact.path", "a\nb"),
        ("artifact.path", "a\0b"),
        ("artifact.path", "a\x1b[2J"),
        ("artifact.path", "\ufeffa"),
        ("artifact.size", -1),
        ("artifact.size", 1.5),
        ("artifact.size", "48213"),
        ("artifact.md5", "9F" * 16),
        ("artifact.md5", "9f" * 15),
        ("artifact.md5", "9f" * 16 + "\n"),
        ("artifact.md5", "9f" * 16 + ".dirt"),
        ("artifact.sha256", "03" * 31),
        ("artifact.sha256", "sha256:" + "03" * 32),
        ("artifact.sha256", "03" * 32 + ".dir"),
        ("artifact.files", -1),
        ("metrics.auc", "0.9"),
        ("metrics.auc", None),
        ("metrics.auc", True),
        ("metrics.auc", float("nan")),
        ("metrics.auc", float("inf")),
        ("metrics.auc", {"train": 0.9}),
        ("params", ["max_depth"]),
        ("dataset.version", 2026),
        ("code.dirty", "no"),
        ("run", "https://example.com"),
        ("trained_at", "yesterday"),
        ("environment.packages.scikit-learn", 1.7),
        ("notes", ["x"]),
        ("metadata", "x"),
    ],
)
def test_record_bad_value_names_its_key(key: str, value: object) -> None:
    with pytest.raises(DataError) as caught:
        read(changed(key, value))
    assert caught.value.details["key"] == key
    assert caught.value.message.startswith(f"v3.0.0.yaml: {key}: ")


def test_record_version_may_be_typed_short() -> None:
    assert read(changed("version", 3)).version == Version(3)


@pytest.mark.parametrize("path", ["model.pkl", "my model", "-rf", "$(id)", "[x]", ".env", "a.dvc", "модель", "a" * 200])
def test_artifact_path_any_plain_name_is_taken(path: str) -> None:
    assert read(changed("artifact.path", path)).artifact.path == path


def test_artifact_is_directory_where_files_are_counted() -> None:
    assert read(LARGEST).artifact.is_directory
    assert not read(SMALLEST).artifact.is_directory


def test_record_empty_sections_are_left_out() -> None:
    record = Record(ModelName("churn"), Version(3), Artifact("m", 0, "", ""), code=Code())
    assert format_record(record) == {
        "schema": 1,
        "model": "churn",
        "version": "v3.0.0",
        "artifact": {"path": "m", "size": 0},
        "code": {"dirty": False},
    }
