"""``mreg schema``: what editors are told of ``registry.yaml`` is what the parser takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mreg.core.fields import Fields
from mreg.core.settings.policy import parse_policy
from mreg.errors import DataError
from mreg.stores import yaml
from tests.conftest import Mreg

EXAMPLE = Path(__file__).parents[1] / "registry.example.yaml"
SCHEMA: dict[str, Any] = json.loads(files("mreg.registry").joinpath("settings.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def is_read(document: object) -> bool:
    try:
        parse_policy(Fields(document, where="registry.yaml"))
    except DataError:
        return False
    return True


def test_schema_is_printed_and_sound(mreg_here: Mreg) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(mreg_here("schema", check=0).out) == SCHEMA


def test_schema_takes_the_example() -> None:
    document = yaml.load(EXAMPLE.read_bytes(), EXAMPLE.name)
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


def sections(schema: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yields every part of the schema that lists keys."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield path, schema
        for key, value in schema.items():
            yield from sections(value, (*path, key))
    for index, value in enumerate(schema) if isinstance(schema, list) else ():
        yield from sections(value, (*path, str(index)))


def test_schema_refuses_unknown_keys_everywhere() -> None:
    found = dict(sections(SCHEMA))
    assert len(found) > 10
    assert [path for path, section in found.items() if section.get("additionalProperties") is not False] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("push", "yes"),
        ("branch", 1),
        ("stages", {}),
        ("stages", {"prod": {"on_replace": "delete"}}),
        ("stages", {"prod": {"approvals": {"by": []}}}),
        ("stages", {"prod": {"approvals": {"count": -1}}}),
        ("stages", {"prod": {"approvals": {"count": 1, "not": ["me"]}}}),
        ("stages", {"prod": {"signatures": "sometimes"}}),
        ("stages", {"prod": {"gates": [{"metric": "auc"}]}}),
        ("stages", {"prod": {"gates": [{"metric": "auc", "min": "0.9"}]}}),
        ("stages", {"prod": {"gates": [{"metric": "auc", "min": 0.9, "formats": ["onnx"]}]}}),
        ("stages", {"prod": {"gates": [{"require": []}]}}),
        ("stages", {"prod": {"gates": [{"require": ["weights"]}]}}),
        ("stages", {"prod": {"gates": [{"max_size": "much"}]}}),
        ("stages", {"prod": {"gates": [{"pickle": "maybe"}]}}),
        ("stages", {"prod": {"gates": [{"frozen": {"days": ["someday"]}}]}}),
        ("stages", {"prod": {"gates": [{"nothing": 1}]}}),
        ("stages", {"prod": {"gates": [{"was_in": "prod", "for": "long"}]}}),
        ("people", {"Jane Doe": {}}),
        ("people", {"jane": {"keys": ["secret"]}}),
        ("people", {"jane": {"phone": "1"}}),
        ("metrics", {"auc": {"direction": "up"}}),
        ("notify", [{"to": "pager", "url_env": "X"}]),
        ("notify", [{"to": "slack"}]),
        ("notify", [{"to": "slack", "url_env": "https://example.com"}]),
        ("notify", [{"to": "slack", "url_env": "X", "actions": ["deploy"]}]),
    ],
)
def test_schema_refuses_what_the_parser_refuses(key: str, value: object) -> None:
    document = {"schema": 1, key: value}
    assert not is_read(document)
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stages", {"prod": None, "dev": {"from": "prod"}}),
        ("stages", {"prod": {"gates": [{"max_size": 1000}, {"was_in": "prod"}, {"frozen": {"until": "2026-01-01"}}]}}),
        ("people", {"jane": None}),
        ("metrics", {"auc": None}),
        ("roles", {"nobody": None}),
        ("notify", None),
        ("owners", None),
    ],
)
def test_schema_takes_what_the_parser_takes(key: str, value: object) -> None:
    document = {"schema": 1, key: value}
    assert is_read(document)
    assert VALIDATOR.is_valid(document)
