from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone

import pytest
from hypothesis import assume, given
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain
from mreg.core.history.manifest import (
    Adopted,
    ArchivedMark,
    StageEntry,
    format_archived,
    format_stage,
    parse_archived,
    parse_stage,
    read_version,
)
from mreg.core.names import Version
from mreg.errors import DataError
from tests.core.strategies import archives, stage_entries, versions

V1, V2, V3 = Version(1), Version(2), Version(3)
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def read(document: object) -> Fields:
    return Fields(json.loads(json.dumps(document)), where="production.yaml")


def has_long_version(*some: Version | None) -> bool:
    return any(version and len(str(version)) > 100 for version in some)


@given(stage_entries())
def test_stage_format_reads_back(entry: StageEntry) -> None:
    assume(not has_long_version(entry.version, entry.replaces))
    assert parse_stage(read(format_stage(entry))) == entry


@given(archives)
def test_archived_format_reads_back_in_ascending_order(marks: Mapping[Version, ArchivedMark]) -> None:
    assume(not has_long_version(*marks))
    parsed = parse_archived(read(format_archived(marks)))
    assert parsed == marks
    assert list(parsed) == sorted(marks)


def test_stage_format_shows_what_is_there_in_order() -> None:
    entry = StageEntry(
        V2, V1, True, "better", "ada@example.com", NOON, ("bob", "eve"), True, "SIG", Adopted("a#b#1", NOON, "0f")
    )
    document = format_stage(entry)
    assert list(document) == [
        "version",
        "replaces",
        "reason",
        "by",
        "at",
        "approved_by",
        "hold",
        "signature",
        "adopted",
    ]
    assert document["at"] == "2026-11-20T12:00:00Z"
    assert format_stage(StageEntry(None)) == {"version": "none"}
    assert format_stage(StageEntry(None, None, True)) == {"version": "none", "replaces": "none"}


@pytest.mark.parametrize("typed", ["v3.0.0", "v3", "3", "3.0", "V3.0.0", 3])
def test_stage_version_alone_is_enough(typed: str | int) -> None:
    assert parse_stage(read({"version": typed})) == StageEntry(V3)


def test_stage_version_none_empties_the_stage() -> None:
    assert parse_stage(read({"version": "none"})) == StageEntry(None)


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        ({}, "version: a version is needed, and there is none", "write it as: version: v3.0.0"),
        ({"version": None}, "version: a version is needed, and there is none", "write it as: version: v3.0.0"),
        ({"version": 1.1}, "version: 1.1 is not a version", "write all three numbers: v1.10.0"),
        ({"version": True}, "version: True is not a version", "write all three numbers: v1.10.0"),
        ({"version": ["v1"]}, "version: ['v1'] is not a version", "write all three numbers: v1.10.0"),
        ({"version": -1}, "version: '-1' is not a version", ""),
        ({"version": ""}, "version: '' is not a version", ""),
        ({"version": "None"}, "version: 'None' is not a version", ""),
        ({"version": "latest"}, "version: 'latest' is not a version", ""),
        ({"version": "v1\n"}, "version: 'v1\\n' is not a version", ""),
        ({"version": "v1", "replaces": "x"}, "replaces: 'x' is not a version", ""),
        ({"version": "v1", "replaces": None}, "replaces: a version is needed, and there is none", ""),
        ({"version": "v1", "hold": "yes"}, "hold: true or false is expected here", ""),
        ({"version": "v1", "reason": 3}, "reason: text is expected here", ""),
        ({"version": "v1", "approved_by": "eve"}, "approved_by: a list of texts is expected here", ""),
        ({"version": "v1", "at": "yesterday"}, "at: 'yesterday' is not a time", ""),
        ({"version": "v1", "reasn": "x"}, "reasn: unknown key", "did you mean 'reason'?"),
        ({"version": "v1", "adopted": {"at": "2026-01-01"}}, "adopted.tag: required, but missing", ""),
        ({"version": "v1", "adopted": {"tag": "x", "by": "y"}}, "adopted.by: unknown key", ""),
        ({"version": "v1", "still_assigned": ["x"]}, "still_assigned: 'x' is not a version", "write it as v3.0.0"),
        ({"version": "v1", "still_assigned": [2]}, "still_assigned: a list of texts is expected here", ""),
    ],
)
def test_stage_bad_names_key_and_remedy(document: object, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_stage(read(document))
    assert f"production.yaml: {message}" in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.details["file"] == "production.yaml"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"versions": {"v1.x": {}}}, "versions.v1.x: 'v1.x' is not a version"),
        ({"versions": {"v1": {}, "v1.0.0": {}}}, "versions.v1.0.0: v1.0.0 appears twice"),
        (
            {"versions": {"v1": {"replaced_in": "Production"}}},
            "versions.v1.replaced_in: 'Production' is not a stage name",
        ),
        ({"versions": {"v1": {"why": "old"}}}, "versions.v1.why: unknown key"),
        ({"versions": ["v1"]}, "versions: a mapping is expected here"),
        ({"v1": {}}, "v1: unknown key"),
    ],
)
def test_archived_bad_names_key(document: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_archived(read(document))
    assert f"production.yaml: {message}" in caught.value.message


def test_archived_by_hand_needs_the_version_alone() -> None:
    assert parse_archived(read({"versions": {"v2": None, "v1": {}}})) == {V1: ArchivedMark(), V2: ArchivedMark()}
    assert parse_archived(read({})) == {}


def test_read_version_key_in_a_section_is_named() -> None:
    with pytest.raises(DataError, match=r"f: a\.version: 1\.5 is not a version"):
        read_version(Fields({"version": 1.5}, where="f", path=("a",)), "version")


def test_adopted_reads_back() -> None:
    entry = StageEntry(V1, adopted=Adopted("churn#production#3"))
    document: dict[str, Plain] = {"version": "v1.0.0", "adopted": {"tag": "churn#production#3"}}
    assert format_stage(entry) == document
    assert parse_stage(read(format_stage(entry))) == entry
    entry = replace(entry, still_assigned=(V3, V2))
    assert format_stage(entry) == {**document, "still_assigned": ["v3.0.0", "v2.0.0"]}
    assert parse_stage(read(format_stage(entry))) == entry


def test_speaks_for_the_change_it_names() -> None:
    entry = StageEntry(V2, replaces=V1, has_replaces=True, reason="better")
    assert entry.speaks_for(V1, None)
    assert entry.speaks_for(V1, entry)
    assert not entry.speaks_for(None, None)
    assert not entry.speaks_for(V3, None)
    first = replace(entry, replaces=None)
    assert first.speaks_for(None, None)
    assert not first.speaks_for(V1, None)


def test_speaks_for_without_replaces_only_if_the_statement_is_new() -> None:
    before = StageEntry(V1, reason="better", by="ada@example.com", at=NOON, approved_by=("bob",))
    assert before.speaks_for(None, None)
    assert not replace(before, version=V2).speaks_for(V1, before)
    assert not replace(before, version=V2, hold=True).speaks_for(V1, before)
    for change in ({"reason": "x"}, {"by": "x"}, {"at": None}, {"approved_by": ()}):
        assert replace(before, version=V2, **change).speaks_for(V1, before)


@given(stage_entries(), versions)
def test_speaks_for_hand_edit_of_the_version_alone_never(entry: StageEntry, version: Version) -> None:
    assume(version != entry.version)
    # A stage that holds what it replaced would let the old statement pass; mreg never writes that.
    assume(not entry.has_replaces or entry.replaces != entry.version)
    assert not replace(entry, version=version).speaks_for(entry.version, entry)
