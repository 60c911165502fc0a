from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.results import History, ModelList, VersionDetails
from mreg.render.formats.json import render_json
from tests.render.samples import HOSTILE, JANE, TIP, make_bare_details, make_results

RESULTS = make_results()
TRANSITION = {
    "model": "churn",
    "stage": "production",
    "action": "promote",
    "from": "v1.0.0",
    "to": "v2.0.0",
    "by": JANE,
    "at": "2026-11-20T12:00:00Z",
    "reason": "retrained on October data",
    "approved_by": ["joe@example.com", "retrained on October data"],
    "commit": "d" * 40,
    "author": "Jane",
    "email": JANE,
    "adopted": None,
}


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_json(RESULTS[name]))
    return document


@pytest.mark.parametrize("name", RESULTS)
def test_render_json_every_document_names_its_schema_and_is_ascii(name: str) -> None:
    text = render_json(make_results(HOSTILE)[name])
    assert text.isascii()
    assert next(iter(json.loads(text).items())) == ("schema", 1)
    assert text == render_json(make_results(HOSTILE)[name])


def test_render_json_list() -> None:
    assert read("models") == {
        "schema": 1,
        "models": [
            {
                "model": "churn",
                "latest": "v4.0.0",
                "versions": 4,
                "stages": {"staging": None, "production": "v2.0.0", "shadow": "v1.0.0"},
                "archived": 1,
                "holds": ["production"],
                "unreadable": [],
            }
        ],
        "commit": TIP,
        "findings": [],
    }


def test_render_json_list_without_models() -> None:
    assert json.loads(render_json(ModelList((), None))) == {"schema": 1, "models": [], "commit": None, "findings": []}


def test_render_json_versions_an_unreadable_one_has_the_same_keys() -> None:
    document = read("versions")
    unreadable, *_, archived = document["versions"]
    assert (document["model"], unreadable["version"], unreadable["readable"]) == ("churn", "v4.0.0", False)
    assert list(unreadable) == list(archived)
    assert unreadable["metrics"] is None
    assert (archived["archived"], archived["metrics"]["auc"], archived["stages"]) == (True, 0.9, [])
    assert document["findings"] == [
        {
            "code": "bad-data",
            "place": "registry/churn/versions/v4.0.0.yaml",
            "message": "retrained on October data",
        }
    ]


def test_render_json_show() -> None:
    text = "retrained on October data"
    assert read("details") == {
        "schema": 1,
        "model": "churn",
        "version": "v2.0.0",
        "stages": ["production"],
        "archived": True,
        "metrics": {"auc": 0.902, "latency_ms": 11.2, "loss": 0.5},
        "params": {"depth": 4, "seed": 1, "words": text},
        "artifact": {
            "path": "model.pkl",
            "size": 96426,
            "md5": "2" * 32,
            "sha256": "2" * 64,
            "format": "pickle",
            "files": None,
        },
        "dataset": {"name": "customers", "version": "2026-10", "path": "data/train.parquet", "md5": None},
        "code": {"commit": "2" * 40, "dirty": True, "repo": None, "entrypoint": text},
        "run": {"tool": "ci", "url": "https://ci.example/1"},
        "trained_at": "2026-11-20T12:00:00Z",
        "environment": {"python": "3.11.7", "packages": {"scikit-learn": "1.7.2"}},
        "notes": text,
        "metadata": {"nested": {"list": [1, None, True]}, "note": text},
        "commit": TIP,
        "tag": "churn@v2.0.0",
        "registered_by": JANE,
        "registered_at": "2026-11-20T12:00:00Z",
        "archive": {
            "reason": text,
            "by": JANE,
            "at": "2026-11-20T12:00:00Z",
            "replaced_in": "production",
            "deletion": None,
        },
        "adopted": {},
        "transitions": [TRANSITION],
        "notices": [text],
    }


def test_render_json_show_what_is_unknown_is_null_or_empty() -> None:
    document = json.loads(render_json(make_bare_details()))
    assert (document["code"], document["archive"], document["archived"]) == ({}, {}, False)
    assert (document["commit"], document["tag"], document["registered_by"], document["notes"]) == (None,) * 4
    assert document["artifact"] == {
        "path": "model", "size": 10, "md5": None, "sha256": None, "format": None, "files": 2
    }  # fmt: skip
    assert document["adopted"] == {"tag": "churn@v1.0.0", "at": None, "commit": None}


def test_render_json_history() -> None:
    assert read("history") == {"schema": 1, "transitions": [TRANSITION], "findings": []}
    assert json.loads(render_json(History(()))) == {"schema": 1, "transitions": [], "findings": []}


def test_render_json_compare() -> None:
    document = read("comparison")
    assert document["versions"] == ["v1.0.0", "v2.0.0", "v3.0.0"]
    assert (document["baseline"], document["models"]) == ("v1.0.0", ["churn"])
    assert document["metrics"]["auc"] == {
        "values": {"v1.0.0": 0.9, "v2.0.0": 0.902, "v3.0.0": 0.913},
        "best": "v3.0.0",
        "tied": [],
        "missing": [],
        "direction": "higher",
        "unit": None,
        "deltas": {
            "v2.0.0": {"absolute": 0.002, "relative": pytest.approx(0.002 / 0.9), "verdict": "better"},
            "v3.0.0": {"absolute": 0.013, "relative": pytest.approx(0.013 / 0.9), "verdict": "better"},
        },
    }
    assert document["params"]["differ"] == {"depth": {"v1.0.0": 3, "v2.0.0": 4, "v3.0.0": 5}}
    assert document["params"]["same"]["seed"] == 1
    assert document["lineage"]["differ"]["code.dirty"] == {"v1.0.0": False, "v2.0.0": True, "v3.0.0": False}
    assert document["artifact"]["same_bytes"] is False
    assert document["stages"] == {"v1.0.0": [], "v2.0.0": ["production"], "v3.0.0": ["staging"]}
    assert document["archived"] == {"v1.0.0": True, "v2.0.0": False, "v3.0.0": False}


def test_render_json_best() -> None:
    document = read("choice")
    against = document.pop("against")
    assert document == {
        "schema": 1,
        "model": "churn",
        "version": "v3.0.0",
        "stage": "production",
        "holder": "v2.0.0",
        "holds_already": False,
        "command": "mreg promote churn@v3.0.0 production "
        "--reason 'auc 0.913 is the highest of 2; next v2.0.0 with 0.902'",
        "reasons": ["auc 0.913 is the highest of 2; next v2.0.0 with 0.902", "production holds v2.0.0"],
        "by": [{"metric": "auc", "direction": "higher"}],
        "where": ["latency_ms <= 100"],
        "ranking": [
            {"rank": 1, "version": "v3.0.0", "values": {"auc": 0.913}},
            {"rank": 2, "version": "v2.0.0", "values": {"auc": 0.902}},
        ],
        "tied": [],
        "excluded": [
            {"version": "v4.0.0", "reason": "its record cannot be read"},
            {"version": "v1.0.0", "reason": "archived"},
        ],
    }
    assert against["metrics"]["auc"]["deltas"]["v3.0.0"]["absolute"] == 0.011


def test_render_json_writer() -> None:
    assert read("promote") == {
        "schema": 1,
        "changed": True,
        "dry_run": False,
        "model": "churn",
        "version": "v2.0.0",
        "stage": "production",
        "subject": "Promote churn v2.0.0 to production",
        "commit": "e" * 40,
        "branch": "main",
        "remote": None,
        "tags": ["churn#production#5"],
        "changes": [
            {"stage": "production", "action": "promote", "from": "v1.0.0", "to": "v2.0.0"},
            {"stage": "archived", "action": "archive", "from": None, "to": "v1.0.0"},
        ],
        "hold": False,
        "files": ["registry/churn/stages/production.yaml"],
        "record": None,
        "adopted": 0,
        "findings": [],
        "notices": ["retrained on October data"],
    }


def test_render_json_writer_with_nothing_to_do() -> None:
    document = read("nothing")
    assert (document["changed"], document["commit"], document["tags"], document["subject"]) == (False, None, [], None)


def test_render_json_writer_tells_hold_record_and_files() -> None:
    assert read("rollback")["hold"] is True
    assert read("register")["record"]["artifact"]["sha256"] == "3" * 64
    assert read("register")["files"] == ["a", "b"]
    assert read("init")["model"] is None


def test_render_json_pull_sync_and_doctor() -> None:
    assert read("pulled") == {
        "schema": 1, "changed": True, "model": "churn", "version": "v2.0.0", "path": "/models/model.pkl", "size": 96426,
        "sha256": "2" * 64, "notices": [], "branch": "main", "commit": TIP, "repo": None, "stages": [],
    }  # fmt: skip
    text = "retrained on October data"
    assert read("sync") == {
        "schema": 1, "changed": True, "dry_run": False, "commit": None, "tags": ["churn@v2.0.0", "churn#production#1"],
        "remote": None,
        "promotions": [],
        "notifications": [],
        "present": 3, "transitions": [TRANSITION], "findings": [{"code": "tag-moved", "place": text, "message": text}],
    }  # fmt: skip
    assert read("diagnosis") == {
        "schema": 1,
        "ok": False,
        "checks": [
            {"name": "git", "ok": True, "message": "2.39.5", "fix": None},
            {"name": "identity", "ok": False, "message": text, "fix": text},
        ],
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_render_json_params_come_back_as_they_were(params: dict[str, Any]) -> None:
    shown = RESULTS["details"]
    assert isinstance(shown, VersionDetails)
    result = replace(shown, record=replace(shown.record, params=params))
    assert json.loads(render_json(result))["params"] == params


def test_render_json_numbers_that_json_lacks_become_text() -> None:
    shown = make_bare_details()
    result = replace(shown, record=replace(shown.record, params={"a": float("nan"), "b": [float("-inf")]}))
    assert json.loads(render_json(result))["params"] == {"a": "nan", "b": ["-inf"]}
