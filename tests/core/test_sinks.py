from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields, Plain
from mreg.core.names import ARCHIVED, StageName
from mreg.core.settings.sinks import Sink, SinkKind, parse_sinks
from mreg.errors import DataError
from tests.core.strategies import plain

STAGING, PRODUCTION = StageName("staging"), StageName("production")
SECRET = "https://hooks.example.com/services/T0/B0/secret"


def read(*sinks: object) -> tuple[Sink, ...]:
    return parse_sinks(Fields({"notify": list(sinks)}, where="registry.yaml"), [STAGING, PRODUCTION])


def test_sinks_are_none_or_in_the_order_of_the_file() -> None:
    assert parse_sinks(Fields({}, where="x"), []) == ()
    assert parse_sinks(Fields({"notify": None}, where="x"), []) == ()
    assert read() == ()
    made = read({"to": "slack", "url_env": "A"}, {"to": "webhook", "url_env": "A"}, {"to": "slack", "url_env": "B"})
    assert [sink.name for sink in made] == ["slack-1", "webhook-2", "slack-3"]


@pytest.mark.parametrize("kind", SinkKind)
def test_sink_of_each_kind_reads(kind: SinkKind) -> None:
    mail = {"recipients": ["team@example.com"]} if kind is SinkKind.EMAIL else {}
    (sink,) = read({"to": kind.value, "url_env": "_URL2", **mail})
    assert sink == Sink(f"{kind.value}-1", kind, "_URL2", recipients=tuple(mail.get("recipients", ())))


def test_sink_largest_reads() -> None:
    (sink,) = read(
        {
            "to": "email",
            "name": "release team",
            "url_env": "MAIL_URL",
            "recipients": ["a@example.com", "b@example.com"],
            "sender": "mreg@example.com",
            "stages": ["production", "archived"],
            "actions": ["promote", "rollback", "clear", "archive"],
        }
    )
    assert sink == Sink(
        "release team",
        SinkKind.EMAIL,
        "MAIL_URL",
        ("a@example.com", "b@example.com"),
        "mreg@example.com",
        (PRODUCTION, ARCHIVED),
        ("promote", "rollback", "clear", "archive"),
    )


@pytest.mark.parametrize(
    ("sink", "key", "message"),
    [
        (None, "", "a mapping is expected"),
        ("slack", "", "a mapping is expected"),
        ({}, "to", "no destination is given"),
        ({"to": ""}, "to", "no destination is given"),
        ({"to": "teams"}, "to", "'teams' is not one of slack, email, webhook"),
        ({"to": ["slack"]}, "to", "text is expected"),
        ({"to": "slack"}, "url_env", "required, but missing"),
        ({"to": "slack", "url_env": ""}, "url_env", "required, but missing"),
        ({"to": "slack", "url_env": 5}, "url_env", "text is expected"),
        ({"to": "slack", "url_env": SECRET}, "url_env", "this is not the name of an environment variable"),
        ({"to": "slack", "url_env": "$URL"}, "url_env", "this is not the name of an environment variable"),
        ({"to": "slack", "url_env": "2URL"}, "url_env", "this is not the name of an environment variable"),
        ({"to": "slack", "url_env": "URL\n"}, "url_env", "this is not the name of an environment variable"),
        ({"to": "slack", "url": SECRET, "url_env": "A"}, "url", "unknown key"),
        ({"to": "slack", "url_env": "A", "recipients": ["a@b.c"]}, "recipients", "unknown key"),
        ({"to": "webhook", "url_env": "A", "sender": "a@b.c"}, "sender", "unknown key"),
        ({"to": "email", "url_env": "A"}, "recipients", "required, but missing"),
        ({"to": "email", "url_env": "A", "recipients": []}, "recipients", "required, but missing"),
        ({"to": "email", "url_env": "A", "recipients": "a@b.c"}, "recipients", "a list of texts is expected"),
        ({"to": "slack", "url_env": "A", "stages": ["prod"]}, "stages", "stage 'prod' is not declared"),
        ({"to": "slack", "url_env": "A", "stages": "staging"}, "stages", "a list of texts is expected"),
        (
            {"to": "slack", "url_env": "A", "actions": ["approve"]},
            "actions",
            "'approve' is not one of promote, rollback",
        ),
        ({"to": "slack", "url_env": "A", "actions": [True]}, "actions", "a list of texts is expected"),
        ({"to": "slack", "url_env": "A", "name": 5}, "name", "text is expected"),
    ],
)
def test_sink_bad_names_its_key(sink: object, key: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(sink)
    assert caught.value.details["key"] == f"notify.0.{key}".rstrip(".")
    assert message in caught.value.message


def test_sink_with_a_url_for_a_variable_does_not_repeat_it() -> None:
    for sink in ({"to": "slack", "url_env": SECRET}, {"to": "slack", "url_env": "A", "url": SECRET}):
        with pytest.raises(DataError) as caught:
            read(sink)
        assert "secret" not in f"{caught.value.message}{caught.value.hint}{caught.value.details}"
    assert "url_env" in caught.value.hint


def test_sink_errors_say_what_to_do() -> None:
    hints = {
        "to: slack, or to: email, or to: webhook": {},
        "recipients: [team@example.com]": {"to": "email", "url_env": "A"},
        "the stages are: staging, production": {"to": "slack", "url_env": "A", "stages": ["prod"]},
        "actions: [promote]": {"to": "slack", "url_env": "A", "actions": ["promoted"]},
        "did you mean 'slack'?": {"to": "slak"},
    }
    for hint, sink in hints.items():
        with pytest.raises(DataError) as caught:
            read(sink)
        assert caught.value.hint == hint


@pytest.mark.parametrize("name", ["webhook-2", "mine"])
def test_sink_names_are_their_own(name: str) -> None:
    with pytest.raises(DataError, match="is another sink's name") as caught:
        read(
            {"to": "slack", "url_env": "A", "name": name},
            {"to": "webhook", "url_env": "A", **({} if name == "webhook-2" else {"name": name})},
        )
    assert caught.value.details["key"] == "notify.1.name"


@given(plain, st.dictionaries(st.sampled_from(["to", "url_env", "name", "stages", "actions", "recipients"]), plain))
def test_sinks_of_any_data_are_read_or_refused(notify: Plain, sink: dict[str, Plain]) -> None:
    with suppress(DataError):
        parse_sinks(Fields({"notify": notify}, where="x"), [])
    with suppress(DataError):
        read({"to": "email", "url_env": "A", **sink})
