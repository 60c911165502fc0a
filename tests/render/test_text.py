from __future__ import annotations

import json
import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Plain
from mreg.core.names import StageName, Version
from mreg.core.settings.policy import Policy
from mreg.errors import MregError, NotFoundError, UsageError
from mreg.render.text import clean, format_bytes, format_moment, format_plain, order_stages, render_error, short_oid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AUC 0.913 – größer", "AUC 0.913 – größer"),
        ("one\r\n\ttwo", "one two"),
        ("\x1b[31mred\x07\x9b", "\\x1b[31mred\\x07\\x9b"),
        ("a\u202eb\u2066c\u200fd\ufeff", "a\\u202eb\\u2066c\\u200fd\\ufeff"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("क\u200dष 👩\u200d🔬", "क\u200dष 👩\u200d🔬"),
        ("two  spaces\u00a0kept", "two  spaces\u00a0kept"),
    ],
)
def test_clean_makes_invisible_characters_visible(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text())
def test_clean_leaves_nothing_that_steers_a_terminal(text: str) -> None:
    steering = {"Cc", "Cs", "Zl", "Zp"}
    assert not [each for each in clean(text) if unicodedata.category(each) in steering]
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (48213, "47.1 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (3 * 2**30, "3.0 GiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_format_bytes_in_binary_units(size: int, expected: str) -> None:
    assert format_bytes(size) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 20, 12, tzinfo=timezone.utc), "2026-11-20T12:00:00Z"),
        (datetime(2026, 11, 20, 1, tzinfo=timezone(timedelta(hours=2))), "2026-11-19T23:00:00Z"),
        (datetime(2026, 11, 20, 12), "2026-11-20T12:00:00Z"),  # noqa: DTZ001 - what a caller of the API may give
    ],
)
def test_format_moment_in_utc(moment: datetime, expected: str) -> None:
    assert format_moment(moment) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a b", "a b"), (1.0, "1.0"), (True, "true"), (None, "null"), ([1, {"ü": None}], '[1, {"ü": null}]')],
)
def test_format_plain_as_it_was_written(value: Plain, expected: str) -> None:
    assert format_plain(value) == expected


def test_order_stages_follows_the_policy_and_then_the_alphabet() -> None:
    stages = [StageName(name) for name in ("zoo", "production", "canary", "staging")]
    assert order_stages(stages, Policy()) == ("staging", "production", "canary", "zoo")


@pytest.mark.parametrize(("oid", "expected"), [("0123456789abcdef", "0123456789ab"), (None, "-"), ("", "-")])
def test_short_oid_has_twelve_digits(oid: str | None, expected: str) -> None:
    assert short_oid(oid) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UsageError("no reason", hint="--reason 'why'"), "error: no reason\nhint: --reason 'why'"),
        (NotFoundError("no model 'x\ny\x1b[2J'"), "error: no model 'x y\\x1b[2J'"),
    ],
)
def test_render_error_for_people_is_one_line_and_a_hint(error: MregError, expected: str) -> None:
    assert render_error(error) == expected


def test_render_error_as_json_keeps_the_contract() -> None:
    error = NotFoundError("no \u202e", hint="mreg list", details={"model": "x", "version": Version(1), "at": 2})
    text = render_error(error, as_json=True)
    assert text.isascii()
    assert json.loads(text) == {
        "schema": 1,
        "error": {
            "code": "not-found",
            "message": "no \u202e",
            "hint": "mreg list",
            "details": {"model": "x", "version": "v1.0.0", "at": 2},
        },
    }
