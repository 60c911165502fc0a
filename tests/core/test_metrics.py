from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.settings.policy import Direction, MetricRule
from mreg.core.versions.metrics import (
    Delta,
    Number,
    Verdict,
    check_metric,
    format_metric,
    measure_delta,
    override_directions,
)
from mreg.errors import NotFoundError, UsageError

HUGE = 10**400
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def test_override_directions_replaces_the_policys_and_keeps_unit_and_format() -> None:
    rules = {"auc": MetricRule(Direction.LOWER, "%", ".1f"), "loss": MetricRule(Direction.LOWER)}
    assert override_directions(rules, higher=["auc"], lower=["ms"]) == {
        "auc": MetricRule(Direction.HIGHER, "%", ".1f"),
        "loss": MetricRule(Direction.LOWER),
        "ms": MetricRule(Direction.LOWER),
    }


def test_override_directions_both_ways_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'auc' cannot be better both higher and lower") as caught:
        override_directions({}, higher=["f1", "auc"], lower=["auc"])
    assert caught.value.hint == "give --higher auc or --lower auc, not both"


def test_check_metric_unknown_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="no version of churn has a metric 'acu'") as caught:
        check_metric("acu", {"auc", "loss"}, "no version of churn")
    assert caught.value.hint == "did you mean 'auc'?"
    assert caught.value.details == {"metric": "acu", "known": ["auc", "loss"]}


@pytest.mark.parametrize(("known", "hint"), [({"b", "a"}, "the metrics are: a, b"), ((), "the metrics are: none")])
def test_check_metric_unlike_any_lists_all(known: set[str], hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        check_metric("latency", known, "no version of churn")
    assert caught.value.hint == hint


def test_check_metric_known_passes() -> None:
    check_metric("auc", {"auc"}, "no version of churn")


@pytest.mark.parametrize(
    ("value", "baseline", "direction", "expected"),
    [
        (0.913, 0.902, Direction.HIGHER, Delta(0.011, 0.011 / 0.902, Verdict.BETTER)),
        (0.902, 0.913, Direction.HIGHER, Delta(-0.011, -0.011 / 0.913, Verdict.WORSE)),
        (11, 14, Direction.LOWER, Delta(-3, -3 / 14, Verdict.BETTER)),
        (14, 11, Direction.LOWER, Delta(3, 3 / 11, Verdict.WORSE)),
        (2.5, 2.5, Direction.LOWER, Delta(0.0, 0.0, Verdict.EQUAL)),
        (2, 1, None, Delta(1, 1.0, Verdict.UNKNOWN)),
        (1, 1, None, Delta(0, 0.0, Verdict.EQUAL)),
        (3, 0, Direction.HIGHER, Delta(3, None, Verdict.BETTER)),
        (1.0, -2.0, Direction.HIGHER, Delta(3.0, 1.5, Verdict.BETTER)),
        (None, 1, Direction.HIGHER, Delta(None, None, Verdict.UNKNOWN)),
        (1, None, Direction.HIGHER, Delta(None, None, Verdict.UNKNOWN)),
        (1.7e308, -1.7e308, Direction.HIGHER, Delta(None, 2.0, Verdict.BETTER)),
        (1.0, 5e-324, Direction.LOWER, Delta(1.0, None, Verdict.WORSE)),
    ],
)
def test_measure_delta_is_that_of_the_decimals(
    value: Number | None, baseline: Number | None, direction: Direction | None, expected: Delta
) -> None:
    delta = measure_delta(value, baseline, direction)
    assert (delta.absolute, delta.verdict) == (expected.absolute, expected.verdict)
    assert delta.relative == pytest.approx(expected.relative) if expected.relative else delta == expected
    assert type(delta.absolute) is type(expected.absolute)


@given(NUMBERS, NUMBERS, st.sampled_from([*Direction, None]))
def test_measure_delta_better_one_way_is_worse_the_other(one: Number, other: Number, way: Direction | None) -> None:
    there, back = measure_delta(one, other, way).verdict, measure_delta(other, one, way).verdict
    assert {there, back} in ({Verdict.BETTER, Verdict.WORSE}, {Verdict.EQUAL}, {Verdict.UNKNOWN})


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        (0.913, MetricRule(), "0.913"),
        (0.9123456789012345, MetricRule(), "0.912346"),
        (123456789012, MetricRule(), "123456789012"),
        (0.9, MetricRule(format=".3f"), "0.900"),
        (5, MetricRule(format=".3"), "5"),
        (10000, MetricRule(format=","), "10,000"),
        (0.125, MetricRule(format=".1%"), "12.5%"),
        (11.2, MetricRule(unit="ms"), "11.2 ms"),
        (HUGE, MetricRule(format=".3f"), "1.00000e+400"),
    ],
)
def test_format_metric_follows_the_rule(value: Number, rule: MetricRule, expected: str) -> None:
    assert format_metric(value, rule) == expected


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        (0.011, MetricRule(format=".3f"), "+0.011"),
        (-3.1, MetricRule(unit="ms"), "-3.1 ms"),
        (0.0001, MetricRule(format=".3f"), "+0.0001"),
        (-0.00001, MetricRule(format=".1%", unit="x"), "-1e-05 x"),
        (0, MetricRule(format=".1f"), "±0.0"),
    ],
)
def test_format_metric_signed_never_hides_a_difference(value: Number, rule: MetricRule, expected: str) -> None:
    assert format_metric(value, rule, signed=True) == expected
