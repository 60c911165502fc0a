from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.fields import Plain, format_moment
from mreg.core.history.manifest import Adopted, StageEntry
from mreg.core.history.record import Artifact
from mreg.core.history.statements import Namespace, artifact_name, encode_statement, encode_transition
from mreg.core.names import ModelName, StageName, Version
from tests.core.strategies import model_names, moments, plain, stage_entries, stage_names, texts, versions

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
AT = datetime(2026, 11, 23, 23, 37, 20, tzinfo=timezone.utc)
ENTRY = StageEntry(Version(2), Version(1), True, "AUC 0.9", "jane@example.com", AT, ("bo", "ann"))


def encode(entry: StageEntry, artifact: str = "sha256:0f") -> bytes:
    return encode_transition(CHURN, PRODUCTION, artifact, entry)


def test_transition_is_these_bytes() -> None:
    assert encode(ENTRY) == (
        b'{"approved_by":["bo","ann"],"artifact":"sha256:0f","at":"2026-11-23T23:37:20Z","by":"jane@example.com",'
        b'"kind":"transition.mreg","model":"churn","reason":"AUC 0.9","replaces":"v1.0.0","schema":1,'
        b'"stage":"production","version":"v2.0.0"}\n'
    )
    assert encode(StageEntry(None), artifact="") == (
        b'{"approved_by":[],"artifact":"","at":"","by":"","kind":"transition.mreg","model":"churn","reason":"",'
        b'"replaces":"none","schema":1,"stage":"production","version":"none"}\n'
    )


@pytest.mark.parametrize(
    "change",
    [
        {"version": Version(3)},
        {"version": Version(2, 0, 1)},
        {"version": Version(2, prerelease=("rc",))},
        {"version": None},
        {"replaces": None},
        {"replaces": Version(2)},
        {"reason": "AUC 0.9 "},
        {"reason": ""},
        {"by": "Jane@example.com"},
        {"by": ""},
        {"at": AT + timedelta(seconds=1)},
        {"at": AT.astimezone(timezone(timedelta(hours=1)))},
        {"at": None},
        {"approved_by": ("ann", "bo")},
        {"approved_by": ("bo", "ann", "bo")},
        {"approved_by": ("bo, ann",)},
        {"approved_by": ()},
    ],
)
def test_transition_changes_with_all_that_it_binds(change: dict[str, object]) -> None:
    assert encode(replace(ENTRY, **change)) != encode(ENTRY)


def test_transition_changes_with_the_model_the_stage_and_the_artifact() -> None:
    others = {
        encode(ENTRY),
        encode(ENTRY, artifact="sha256:0e"),
        encode(ENTRY, artifact="md5:0f"),
        encode_transition(ModelName("churn-2"), PRODUCTION, "sha256:0f", ENTRY),
        encode_transition(CHURN, StageName("staging"), "sha256:0f", ENTRY),
    }
    assert len(others) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"hold": True},
        {"signature": "x"},
        {"adopted": Adopted("churn#production#1")},
        {"still_assigned": (Version(1),)},
        {"at": AT + timedelta(microseconds=999_999)},  # no file says so
    ],
)
def test_transition_does_not_bind_the_rest(change: dict[str, object]) -> None:
    assert encode(replace(ENTRY, **change)) == encode(ENTRY)


bound = {
    "version": st.none() | versions,
    "replaces": st.none() | versions,
    "reason": texts,
    "by": texts,
    "at": st.none() | moments,
    "approved_by": st.lists(texts, max_size=3).map(tuple),
}


@given(stage_entries(), st.data())
def test_transition_is_the_same_just_where_all_that_it_binds_is(entry: StageEntry, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(bound)))
    other = replace(entry, **{name: data.draw(bound[name])})
    is_same = spell(getattr(entry, name)) == spell(getattr(other, name))
    assert (encode(entry) == encode(other)) is is_same


def spell(value: object) -> str:
    """Returns a value as a file would have it: equal moments of two zones are not."""
    return format_moment(value) if isinstance(value, datetime) else repr(value)


@given(model_names, stage_names, model_names, stage_names)
def test_transition_of_two_stages_is_never_the_same(
    model: ModelName, stage: StageName, other: ModelName, another: StageName
) -> None:
    one, two = encode_transition(model, stage, "", ENTRY), encode_transition(other, another, "", ENTRY)
    assert (one == two) is ((model, stage) == (other, another))


@given(stage_entries())
def test_transition_can_be_made_again_in_any_language(entry: StageEntry) -> None:
    encoded = encode(entry)
    assert encoded.isascii()
    assert encoded.endswith(b"}\n")
    assert encoded.count(b"\n") == 1
    document = json.loads(encoded)
    assert list(document) == sorted(document)
    assert document["schema"] == 1
    again = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert again == encoded


@given(st.dictionaries(texts, plain, max_size=5), st.randoms())
def test_statement_is_the_same_in_any_order_of_keys(facts: dict[str, Plain], random: object) -> None:
    names = list(facts)
    random.shuffle(names)  # type: ignore[attr-defined]
    for kind in Namespace:
        assert encode_statement({name: facts[name] for name in names}, kind) == encode_statement(facts, kind)


@given(st.dictionaries(texts, plain, max_size=3))
def test_statement_of_one_kind_is_never_one_of_another(facts: dict[str, Plain]) -> None:
    one, two = (encode_statement(facts, kind) for kind in Namespace)
    assert one != two
    assert json.loads(one)["kind"] == "transition.mreg"


def test_statement_cannot_say_its_own_kind() -> None:
    said = encode_statement({"kind": "approval.mreg", "schema": 2}, Namespace.TRANSITION)
    assert said == b'{"kind":"transition.mreg","schema":1}\n'


def test_statement_escapes_what_is_no_ascii_and_lone_surrogates() -> None:
    assert encode_statement({"é\n": "\ud800"}, Namespace.APPROVAL) == (
        b'{"kind":"approval.mreg","schema":1,"\\u00e9\\n":"\\ud800"}\n'
    )


def test_namespaces_are_those_of_the_format() -> None:
    assert [each.value for each in Namespace] == ["transition.mreg", "approval.mreg"]


@pytest.mark.parametrize(
    ("artifact", "name"),
    [
        (None, ""),
        (Artifact("m", 1, "", ""), ""),
        (Artifact("m", 1, "0f", ""), "md5:0f"),
        (Artifact("m", 1, "", "0e"), "sha256:0e"),
        (Artifact("m", 1, "0f.dir", "0e"), "sha256:0e"),
        (Artifact("m", 1, "0f.dir", ""), "md5:0f.dir"),
    ],
)
def test_artifact_is_named_by_its_best_hash(artifact: Artifact | None, name: str) -> None:
    assert artifact_name(artifact) == name


@given(st.dictionaries(st.text(max_size=4), st.text() | st.lists(st.text(max_size=4)) | st.integers(0, 9), max_size=4))
@example({"reason": "\x7f"})
@example({"reason": "\ud800", "by": 'J\u00f6rg "q" \\ /\b\f\n\r\t\x1f'})
@example({"b": "2", "a": "1", "\u00e9": "3", "Z": "0"})
def test_statement_is_what_pythons_json_makes_of_it(facts: dict[str, Plain]) -> None:
    document = {**facts, "schema": 1, "kind": "approval.mreg"}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert encode_statement(facts, Namespace.APPROVAL) == f"{text}\n".encode()
