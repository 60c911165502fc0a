from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields, format_moment
from mreg.errors import DataError


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def fields(**data: object) -> Fields:
    return Fields(data, where="f.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "f.yaml: a mapping is expected here, not empty"),
        (["a"], "f.yaml: a mapping is expected here, not a list: ['a']"),
        ("x" * 50, f"f.yaml: a mapping is expected here, not text: '{'x' * 39}…"),
        (b"x", "f.yaml: a mapping is expected here, not bytes: b'x'"),
        ({1: "a"}, "f.yaml: 1: a key must be text; write '1' in quotes"),
    ],
)
def test_fields_no_mapping_with_text_keys_is_refused(data: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Fields(data, where="f.yaml")
    assert caught.value.message == message


def test_fields_error_names_file_and_key_path() -> None:
    section = fields(stages={"production": {"hold": "no"}}).required_section("stages").required_section("production")
    with pytest.raises(DataError) as caught:
        section.boolean("hold")
    assert str(caught.value) == "f.yaml: stages.production.hold: true or false is expected here, not text: 'no'"
    assert caught.value.details == {
        "file": "f.yaml",
        "key": "stages.production.hold",
        "path": ["stages", "production", "hold"],
    }


def test_error_key_with_dots_is_split_as_the_data_says() -> None:
    found = fields(versions={"v3.0.0": {"by": 1}}).error("versions.v3.0.0.by", "no")
    assert found.details["path"] == ["versions", "v3.0.0", "by"]
    assert fields(a=1).error("b.c", "no").details["path"] == ["b.c"]


@pytest.mark.parametrize(
    ("value", "shown", "hint"),
    [
        (1.1, "a number: 1.1", 'write it in quotes: version: "1.1"'),
        (3, "a number: 3", 'write it in quotes: version: "3"'),
        (True, "true or false: true", 'write it in quotes: version: "true"'),
        (["v3"], "a list: ['v3']", ""),
    ],
)
def test_text_other_value_is_refused_and_shown_in_quotes(value: object, shown: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        fields(version=value).text("version")
    assert caught.value.message == f"f.yaml: version: text is expected here, not {shown}"
    assert caught.value.hint == hint


def test_text_missing_or_null_gives_default() -> None:
    assert fields().text("a") == ""
    assert fields(a=None).text("a", "x") == "x"
    assert fields(a="b").text("a", "x") == "b"


def test_required_text_that_is_there_is_read() -> None:
    assert fields(a="b").required_text("a") == "b"


@pytest.mark.parametrize("data", [{}, {"a": None}, {"a": ""}])
def test_required_text_missing_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"f\.yaml: a: required, but missing"):
        fields(**data).required_text("a")


def test_integer_whole_numbers_are_read() -> None:
    read = fields(a=0, b=None, c=7)
    assert (read.integer("a"), read.integer("x"), read.required_integer("c")) == (0, None, 7)


@pytest.mark.parametrize("value", [1.0, True, "1", -1, [1]])
def test_integer_other_value_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="a whole number, 0 or more, is expected here"):
        fields(a=value).integer("a")


def test_required_integer_missing_is_refused() -> None:
    with pytest.raises(DataError, match="required, but missing"):
        fields().required_integer("a")


def test_boolean_values_are_read() -> None:
    assert fields(a=True).boolean("a") is True
    assert fields().boolean("a") is False
    assert fields(a=None).boolean("a") is False


def test_texts_list_is_read() -> None:
    assert fields(a=["x", "y"]).texts("a") == ("x", "y")
    assert fields().texts("a") == ()


@pytest.mark.parametrize("value", ["x", ["x", 1], {"x": 1}])
def test_texts_other_value_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="a list of texts is expected here"):
        fields(a=value).texts("a")


def test_numbers_mapping_is_read() -> None:
    assert fields(a={"auc": 0.9, "n": -3}).numbers("a") == {"auc": 0.9, "n": -3}
    assert fields().numbers("a") == {}


def test_number_integer_beyond_the_range_of_floats_is_read() -> None:
    assert fields(a=10**400).number("a") == 10**400


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None])
def test_number_not_a_finite_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"f\.yaml: a.auc: a finite number is expected here"):
        fields(a={"auc": value}).numbers("a")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T09:12:00Z", datetime(2026, 11, 20, 9, 12, tzinfo=timezone.utc)),
        ("2026-11-20T09:12:00", datetime(2026, 11, 20, 9, 12, tzinfo=timezone.utc)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=timezone.utc)),
        ("2026-11-20 09:12Z", datetime(2026, 11, 20, 9, 12, tzinfo=timezone.utc)),
        ("2026-11-20T09:12:00.5Z", datetime(2026, 11, 20, 9, 12, 0, 500_000, tzinfo=timezone.utc)),
        ("2026-11-20T09:12:00.123456789", datetime(2026, 11, 20, 9, 12, 0, 123_456, tzinfo=timezone.utc)),
        ("2026-11-20T09:12:00+02:00", datetime(2026, 11, 20, 9, 12, tzinfo=timezone(timedelta(hours=2)))),
        ("", None),
    ],
)
def test_moment_text_gives_time_with_zone(text: str, moment: datetime | None) -> None:
    assert fields(at=text).moment("at") == moment


@given(st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-3, minutes=-30))])))
def test_format_moment_is_read_back(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert fields(at=format_moment(moment)).moment("at") == moment


@pytest.mark.parametrize(
    "text",
    ["20261120T091200Z", "2026-W47-5", "2026-13-01", "2026-11-20Z", "2026-11-20T24:00Z", "2026-11-20T09:12.5Z",
     "2026-11-20T09:12:00+25:00", "2026-11-20T09", "Z", "\uff12026-11-20", "2026-11-20T09:12:00Z\n"],
)  # fmt: skip
def test_moment_what_only_some_pythons_read_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a time"):
        fields(at=text).moment("at")


def test_moment_other_text_is_refused() -> None:
    with pytest.raises(DataError, match="'yesterday' is not a time"):
        fields(at="yesterday").moment("at")


def test_section_missing_or_null_gives_none() -> None:
    assert fields().section("a") is None
    assert fields(a=None).section("a") is None
    with pytest.raises(DataError, match=r"f\.yaml: a: required, but missing"):
        fields().required_section("a")


def test_sections_null_value_counts_as_empty() -> None:
    found = fields(stages={"staging": None, "production": {"hold": True}}).sections("stages")
    assert [(name, section.boolean("hold")) for name, section in found] == [("staging", False), ("production", True)]
    assert fields().sections("stages") == ()


@pytest.mark.parametrize("value", [0, "", [], False])
def test_sections_other_value_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"f\.yaml: stages\.staging: a mapping is expected here"):
        fields(stages={"staging": value}).sections("stages")


def test_list_of_sections_items_know_their_place() -> None:
    first, second = fields(rules=[{"a": "x"}, {"a": 1}]).list_of_sections("rules")
    assert first.text("a") == "x"
    with pytest.raises(DataError) as caught:
        second.text("a")
    assert caught.value.details["path"] == ["rules", 1, "a"]
    assert fields().list_of_sections("rules") == ()


def test_list_of_sections_mapping_is_refused() -> None:
    with pytest.raises(DataError, match="a list of mappings is expected here, not a mapping"):
        fields(rules={"a": 1}).list_of_sections("rules")


def test_plain_nested_data_is_copied() -> None:
    data: dict[str, object] = {"layers": [1, {"units": 2.5}], "name": None, "on": True}
    found = fields(params=data).plain("params")
    assert found == data
    assert found is not data
    assert fields().plain("params") == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "f.yaml: params: a mapping is expected here"),
        ({"a": [b"x"]}, "f.yaml: params.a.0: plain data is expected here, not bytes"),
        ({"a": {1: 2}}, "f.yaml: params.a: a key must be text; write '1' in quotes"),
    ],
)
def test_plain_other_data_is_refused(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        fields(params=value).plain("params")
    assert caught.value.message.startswith(message)


def test_choice_text_gives_member() -> None:
    assert fields(a="red").choice("a", Colour, None) is Colour.RED
    assert fields().choice("a", Colour, Colour.GREEN) is Colour.GREEN


@pytest.mark.parametrize(("text", "hint"), [("grene", "did you mean 'green'?"), ("mauve", "")])
def test_choice_unknown_text_is_refused_with_the_nearest(text: str, hint: str) -> None:
    with pytest.raises(DataError, match=f"{text}' is not one of red, green") as caught:
        fields(a=text).choice("a", Colour, None)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("reson", "did you mean 'reason'? known here: by, hold, reason"),
        ("zzz", "known here: by, hold, reason"),
    ],
)
def test_finish_unknown_key_is_refused_with_the_nearest(key: str, hint: str) -> None:
    read = fields(**{key: 1})
    read.text("reason"), read.text("by"), read.has("hold")
    with pytest.raises(DataError, match=f"f.yaml: {key}: unknown key") as caught:
        read.finish()
    assert caught.value.hint == hint


def test_finish_nothing_known_says_so() -> None:
    with pytest.raises(DataError) as caught:
        fields(a=1).finish()
    assert caught.value.hint == "known here: no key"


def test_finish_all_names_asked_for_passes() -> None:
    read = fields(a=1, b=2)
    assert read.names == ("a", "b")
    assert read.value("a") == 1
    assert read.has("b")
    read.finish()
