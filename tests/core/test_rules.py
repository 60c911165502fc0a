from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields, Plain
from mreg.core.names import StageName
from mreg.core.settings.rules import (
    FormatGate,
    FreezeGate,
    Gate,
    MetricGate,
    PickleGate,
    PickleMode,
    RequireGate,
    SizeGate,
    SoakGate,
    format_duration,
    parse_gates,
)
from mreg.errors import DataError
from tests.core.strategies import moments, plain

STAGING, PRODUCTION = StageName("staging"), StageName("production")
UTC = timezone.utc
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def read(*gates: object) -> tuple[Gate, ...]:
    fields = Fields({"gates": list(gates)}, where="registry.yaml", path=("stages", "production"))
    return parse_gates(fields, [STAGING, PRODUCTION], ["auc"])


def read_one(**gate: object) -> Gate:
    (found,) = read(gate)
    return found


@pytest.mark.parametrize(
    ("document", "gate", "shown"),
    [
        ({"metric": "auc", "min": 0.9}, MetricGate("auc", min=0.9), "auc ≥ 0.9"),
        ({"metric": "f1", "max": 3}, MetricGate("f1", max=3), "f1 ≤ 3"),
        ({"metric": "f1", "min": 0, "max": 0}, MetricGate("f1", 0, 0), "f1 ≥ 0, f1 ≤ 0"),
        (
            {"metric": "auc", "no_worse_than": "production"},
            MetricGate("auc", no_worse_than=PRODUCTION),
            "auc no worse than production",
        ),
        (
            {"metric": "auc", "min": 0.9, "no_worse_than": "staging", "tolerance": 0.005},
            MetricGate("auc", min=0.9, no_worse_than=STAGING, tolerance=0.005),
            "auc ≥ 0.9, auc no worse than staging by more than 0.005",
        ),
        (
            {"metric": "auc", "no_worse_than": "production", "tolerance": "0.7 %"},
            MetricGate("auc", no_worse_than=PRODUCTION, tolerance=0.007, is_relative=True),
            "auc no worse than production by more than 0.7%",
        ),
        (
            {"metric": "auc", "no_worse_than": "production", "tolerance": "0%"},
            MetricGate("auc", no_worse_than=PRODUCTION, is_relative=True),
            "auc no worse than production",
        ),
        (
            {"require": ["dataset.version", "notes"]},
            RequireGate(("dataset.version", "notes")),
            "the record has dataset.version, notes",
        ),
        ({"formats": ["onnx", "gguf"]}, FormatGate(("onnx", "gguf")), "format is onnx or gguf"),
        ({"max_size": "500 MB"}, SizeGate(500_000_000), "size ≤ 500000000 bytes"),
        ({"pickle": "forbid"}, PickleGate(PickleMode.FORBID), "no pickle"),
        ({"pickle": "scan"}, PickleGate(PickleMode.SCAN), "a pickle is scanned and clean"),
        ({"was_in": "staging"}, SoakGate(STAGING), "was in staging"),
        ({"was_in": "staging", "for": "24h"}, SoakGate(STAGING, 86_400), "was in staging for 1d"),
        ({"frozen": {"days": ["Sat", "sun"], "why": "x"}}, FreezeGate(days=("sat", "sun"), why="x"), "not on sat, sun"),
        (
            {"frozen": {"from": "2026-01-01", "until": "2026-01-02T03:00:00+05:30"}},
            FreezeGate(JANUARY, datetime(2026, 1, 1, 21, 30, tzinfo=UTC)),
            "not from 2026-01-01T00:00:00Z until 2026-01-02T03:00:00+05:30",
        ),
        ({"frozen": {"from": "2026-01-01"}}, FreezeGate(JANUARY), "not from 2026-01-01T00:00:00Z"),
        ({"frozen": {"until": "2026-01-01"}}, FreezeGate(end=JANUARY), "not until 2026-01-01T00:00:00Z"),
    ],
)
def test_gate_is_read_and_shown(document: dict[str, object], gate: Gate, shown: str) -> None:
    assert read_one(**document) == gate
    assert str(read_one(**document)) == shown


def test_gates_are_none_or_in_the_order_of_the_file() -> None:
    assert parse_gates(Fields({}, where="x"), [], []) == ()
    assert read() == ()
    assert read({"max_size": 1}, {"pickle": "scan"}, {"max_size": 1}) == (
        SizeGate(1),
        PickleGate(PickleMode.SCAN),
        SizeGate(1),
    )


@pytest.mark.parametrize(
    ("gate", "key", "message"),
    [
        (None, "", "a mapping is expected here, not empty"),
        ("auc", "", "a mapping is expected here"),
        ({"min": 0.9}, None, "no gate is asked for by min"),
        ({}, None, "no gate is asked for by nothing"),
        ({"metric": None}, "metric", "required, but missing"),
        ({"metric": ""}, "metric", "required, but missing"),
        ({"metric": 5}, "metric", "text is expected"),
        ({"metric": "auc"}, "metric", "what is asked of auc is not said"),
        ({"metric": "auc", "min": None}, "min", "a finite number is expected here, not empty"),
        ({"metric": "auc", "min": True}, "min", "a finite number is expected"),
        ({"metric": "auc", "min": "0.9"}, "min", "a finite number is expected"),
        ({"metric": "auc", "max": float("nan")}, "max", "a finite number is expected"),
        ({"metric": "auc", "max": float("inf")}, "max", "a finite number is expected"),
        ({"metric": "auc", "min": 2, "max": 1}, "min", "min 2 is more than max 1"),
        ({"metric": "auc", "minimum": 2, "max": 1}, "minimum", "unknown key"),
        ({"metric": "auc", "no_worse_than": "prod"}, "no_worse_than", "stage 'prod' is not declared"),
        ({"metric": "auc", "no_worse_than": ["staging"]}, "no_worse_than", "text is expected"),
        ({"metric": "f1", "no_worse_than": "staging"}, "no_worse_than", "it is not declared which way f1 is better"),
        ({"metric": "auc", "min": 1, "tolerance": 0.1}, "tolerance", "a tolerance is that of no_worse_than:"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": -0.1}, "tolerance", "-0.1 is negative"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": "-1%"}, "tolerance", "'-1%' is not a tolerance"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": "1"}, "tolerance", "'1' is not a tolerance"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": "1e3%"}, "tolerance", "'1e3%' is not a tolerance"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": "nan%"}, "tolerance", "'nan%' is not a tolerance"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": True}, "tolerance", "a finite number is expected"),
        ({"metric": "auc", "no_worse_than": "staging", "tolerance": [1]}, "tolerance", "a finite number is expected"),
        ({"metric": "auc", "min": 1, "max_size": 5}, "max_size", "this gate is about metric: begin another one"),
        ({"require": []}, "require", "at least one field is needed"),
        ({"require": None}, "require", "at least one field is needed"),
        ({"require": "notes"}, "require", "a list of texts is expected"),
        ({"require": ["note"]}, "require", "a record has no field 'note'"),
        ({"require": [5]}, "require", "a list of texts is expected"),
        ({"formats": []}, "formats", "at least one format is needed"),
        ({"formats": "onnx"}, "formats", "a list of texts is expected"),
        ({"max_size": None}, "max_size", "None is not a size"),
        ({"max_size": True}, "max_size", "True is not a size"),
        ({"max_size": -1}, "max_size", "-1 is not a size"),
        ({"max_size": 1.5}, "max_size", "1.5 is not a size"),
        ({"max_size": ""}, "max_size", "'' is not a size"),
        ({"max_size": "MB"}, "max_size", "'MB' is not a size"),
        ({"max_size": "1 XB"}, "max_size", "'1 XB' is not a size"),
        ({"max_size": "1e9"}, "max_size", "'1e9' is not a size"),
        ({"max_size": "5 MB\n"}, "max_size", "is not a size"),
        ({"max_size": 10**20}, "max_size", "is not a size"),
        ({"max_size": [1]}, "max_size", "[1] is not a size"),
        ({"pickle": None}, "pickle", "what is asked of pickles is not said"),
        ({"pickle": "allow"}, "pickle", "'allow' is not one of forbid, scan"),
        ({"pickle": False}, "pickle", "text is expected"),
        ({"was_in": ""}, "was_in", "required, but missing"),
        ({"was_in": "stage"}, "was_in", "stage 'stage' is not declared"),
        ({"was_in": "staging", "for": "90s"}, "for", "'90s' is not a duration"),
        ({"was_in": "staging", "for": "24"}, "for", "'24' is not a duration"),
        ({"was_in": "staging", "for": " "}, "for", "' ' is not a duration"),
        ({"was_in": "staging", "for": "1h 1d"}, "for", "is not a duration"),
        ({"was_in": "staging", "for": "-1h"}, "for", "is not a duration"),
        ({"was_in": "staging", "for": "999999999999d"}, "for", "is not a duration"),
        ({"was_in": "staging", "for": 24}, "for", "text is expected"),
        ({"frozen": None}, "frozen", "required, but missing"),
        ({"frozen": {}}, "frozen", "either from: and until:, or days: is needed"),
        ({"frozen": {"why": "x"}}, "frozen", "either from: and until:, or days: is needed"),
        ({"frozen": {"days": []}}, "frozen", "either from: and until:, or days: is needed"),
        ({"frozen": {"from": "2026-01-01", "days": ["sat"]}}, "frozen", "either from: and until:, or days: is needed"),
        ({"frozen": {"days": ["saturday"]}}, "frozen.days", "'saturday' is not a day of the week"),
        ({"frozen": {"from": "2026-01-01", "until": "2026-01-01"}}, "frozen.until", "it ends before it begins"),
        (
            {"frozen": {"from": "2026-01-01T05:00:00+05:30", "until": "2025-12-31T23:00:00Z"}},
            "frozen.until",
            "it ends before it begins",
        ),
        ({"frozen": {"from": "soon"}}, "frozen.from", "'soon' is not a time"),
        ({"frozen": {"to": "2026-01-01", "from": "2026-01-01"}}, "frozen.to", "unknown key"),
        ({"frozen": ["sat"]}, "frozen", "a mapping is expected"),
    ],
)
def test_gate_that_asks_for_what_cannot_be_names_its_key(gate: object, key: str | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(gate)
    path = "stages.production.gates" if key is None else f"stages.production.gates.0.{key}".rstrip(".")
    assert caught.value.details["key"] == path
    assert message in caught.value.message
    assert caught.value.message.startswith(f"registry.yaml: {path}: ")


@pytest.mark.parametrize("gates", [{"metric": "auc"}, "metric", 5, True])
def test_gates_that_are_no_list_are_refused(gates: object) -> None:
    with pytest.raises(DataError, match=r"stages\.gates: a list of mappings is expected here"):
        parse_gates(Fields({"gates": gates}, where="x", path=("stages",)), [], [])


def test_gate_of_no_kind_or_of_two_says_what_to_write() -> None:
    with pytest.raises(DataError) as caught:
        read({"metrics": "auc"})
    assert caught.value.hint == "one of: metric, require, formats, max_size, pickle, was_in, frozen"
    with pytest.raises(DataError) as caught:
        read({"pickle": "forbid", "formats": ["onnx"]})
    assert caught.value.details["key"] == "stages.production.gates.0.pickle"
    assert caught.value.hint == "- pickle: …"
    with pytest.raises(DataError) as caught:
        read({"metric": "auc", "no_worse_then": "production", "min": 0})
    assert "did you mean 'no_worse_than'?" in caught.value.hint


@given(
    st.dictionaries(
        st.sampled_from(["metric", "min", "tolerance", "max_size", "frozen", "was_in", "for", "require", "x"]), plain
    )
)
def test_gates_of_any_data_are_read_or_refused(gate: dict[str, Plain]) -> None:
    with suppress(DataError):
        assert len(read(gate)) == 1


# Durations and sizes.


@given(st.integers(0, 99_999), st.integers(0, 23), st.integers(0, 59))
def test_duration_is_read_as_it_is_shown(days: int, hours: int, minutes: int) -> None:
    seconds = days * 86_400 + hours * 3600 + minutes * 60
    shown = format_duration(seconds)
    assert read_one(was_in="staging", **{"for": shown}) == SoakGate(STAGING, seconds)
    assert read_one(was_in="staging", **{"for": shown.replace(" ", "")}) == SoakGate(STAGING, seconds)
    assert format_duration(seconds + 59) == shown


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("48h", 172_800), ("7d 12h", 648_000), ("1d 1m", 86_460), ("0m", 0)]
)
def test_duration_may_have_more_than_a_day_of_hours(text: str, seconds: int) -> None:
    assert read_one(was_in="staging", **{"for": text}) == SoakGate(STAGING, seconds)


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [
        (0, 0),
        (500, 500),
        ("500", 500),
        ("500 B", 500),
        ("1 kB", 1000),
        ("1KB", 1000),
        ("1 KiB", 1024),
        ("1 k", 1000),
        ("1.5 MiB", 1_572_864),
        ("2 GB", 2_000_000_000),
        ("1 TiB", 2**40),
        ("1.005 kB", 1005),  # 1004.9999999999999 as a float
        ("999999999999999", 999_999_999_999_999),
        ("999999999999.999 kB", 999_999_999_999_999),
    ],
)
def test_size_is_bytes_to_the_last_one(size: object, size_bytes: int) -> None:
    assert read_one(max_size=size) == SizeGate(size_bytes)


@given(st.integers(0, 999_999), st.sampled_from([("k", 3), ("M", 6), ("G", 9), ("T", 12)]))
def test_size_in_decimal_units_is_exact(thousandths: int, unit: tuple[str, int]) -> None:
    text = f"{Decimal(thousandths) / 1000:f} {unit[0]}B"
    assert read_one(max_size=text) == SizeGate(thousandths * 10 ** (unit[1] - 3))


# Tolerances.


@pytest.mark.parametrize(
    ("tolerance", "value", "other", "allowed"),
    [
        (0.011, 0.902, 0.913, True),  # 0.01100000000000001 as floats
        (0.0109, 0.902, 0.913, False),
        (0.1, 0.2, 0.3, True),  # 0.09999999999999998
        (0.1, 0.6, 0.7, True),
        (0, 1, 1.0, True),
        pytest.param(0, 10**400, 10**400 - 1, False, id="huge"),
        pytest.param(1, 10**400, 10**400 - 1, True, id="huge within"),
        (1.0, -1, 0, True),
        (1e-300, 1e308, -1e308, False),
        ("0.7%", 993, 1000, True),  # 0.7 / 100 is 0.006999999999999999
        ("0.7%", 992.999999, 1000, False),
        ("100%", 0, -5, True),
        ("999%", 0.0000001, 0, False),  # nothing is near zero, relatively
        ("0%", 0, 0.0, True),
        pytest.param("0%", 10**400, 10**400 + 1, False, id="huge relative"),
        ("50%", -1.5, -1, True),
        ("50%", -1.500001, -1, False),
    ],
)
def test_tolerance_is_that_of_the_written_decimals(
    tolerance: float | str, value: float, other: float, allowed: bool
) -> None:
    gate = read_one(metric="auc", no_worse_than="production", tolerance=tolerance)
    assert isinstance(gate, MetricGate)
    assert gate.allows(value, other) is allowed


thousandths = st.integers(-(10**9), 10**9)


@given(thousandths, thousandths, st.integers(0, 10**9), st.booleans())
def test_tolerance_is_exact(value: int, other: int, tolerance: int, is_relative: bool) -> None:
    gate = MetricGate("auc", no_worse_than=PRODUCTION, tolerance=tolerance / 1000, is_relative=is_relative)
    limit = tolerance * abs(other) / Decimal(1000) if is_relative else tolerance
    assert gate.allows(value / 1000, other / 1000) is (abs(value - other) <= limit)
    assert gate.allows(value, other) is (abs(value - other) <= (limit if is_relative else limit / Decimal(1000)))


@given(st.decimals(0, 999, places=6))
def test_tolerance_in_percent_is_the_decimal_that_was_written(percent: Decimal) -> None:
    gate = read_one(metric="auc", no_worse_than="production", tolerance=f"{percent:f}%")
    assert isinstance(gate, MetricGate)
    assert Decimal(repr(gate.tolerance)) == percent / 100


# Freezes.


@given(moments, moments, moments)
def test_freeze_begins_with_its_start_and_ends_before_its_end(start: datetime, end: datetime, moment: datetime) -> None:
    assert FreezeGate(start, end).covers(moment) is (start <= moment < end)
    assert FreezeGate(start).covers(moment) is (start <= moment)
    assert FreezeGate(end=end).covers(moment) is (moment < end)
    assert FreezeGate(start).covers(start)
    assert not FreezeGate(end=end).covers(end)


@pytest.mark.parametrize(
    ("moment", "is_frozen"),
    [
        (datetime(2026, 1, 3, tzinfo=UTC), True),
        (datetime(2026, 1, 2, 23, 59, 59, 999_999, tzinfo=UTC), False),
        (datetime(2026, 1, 4, 23, 59, 59, 999_999, tzinfo=UTC), True),
        (datetime(2026, 1, 5, tzinfo=UTC), False),
        # Saturday there, and Friday in UTC; Monday there, and Sunday in UTC.
        (datetime(2026, 1, 3, 4, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))), False),
        (datetime(2026, 1, 5, 4, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))), True),
        # Friday there, and Saturday in UTC.
        (datetime(2026, 1, 2, 14, 0, tzinfo=timezone(timedelta(hours=-11))), True),
    ],
)
def test_freeze_of_a_weekend_is_that_of_utc(moment: datetime, is_frozen: bool) -> None:
    assert FreezeGate(days=("sat", "sun")).covers(moment) is is_frozen


@given(moments)
def test_freeze_of_all_days_covers_all_and_of_each_one_of_them(moment: datetime) -> None:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    assert FreezeGate(days=days).covers(moment)
    (day,) = (each for each in days if FreezeGate(days=(each,)).covers(moment))
    assert day == f"{moment.astimezone(UTC):%a}".lower()
