from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.versions.constraint import Constraint, Operator, parse_constraint
from mreg.core.versions.metrics import Number
from mreg.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency_ms<=50", Constraint("latency_ms", Operator.AT_MOST, 50)),
        (" auc >= 0.9 ", Constraint("auc", Operator.AT_LEAST, 0.9)),
        ("val/loss<1e-3", Constraint("val/loss", Operator.BELOW, 0.001)),
        ("top@5.acc>.5", Constraint("top@5.acc", Operator.ABOVE, 0.5)),
        ("share%==+1.", Constraint("share%", Operator.EQUALS, 1.0)),
        ("bias!=-0", Constraint("bias", Operator.DIFFERS, 0)),
        ("f1 score>=0.5", Constraint("f1 score", Operator.AT_LEAST, 0.5)),
        ("rows==9007199254740993", Constraint("rows", Operator.EQUALS, 9007199254740993)),
    ],
)
def test_parse_constraint_reads_all_operators(text: str, expected: Constraint) -> None:
    assert parse_constraint(text) == expected
    assert type(parse_constraint(text).limit) is type(expected.limit)


@pytest.mark.parametrize(
    "text",
    [
        "", "auc", "auc=0.9", "auc=<0.9", "auc<", "<=5", "auc<=nan", "auc<=inf", "auc<=1e999", "auc<=1_000", "auc<=x",
        "auc<=0.9 0.8", "auc<=0.9<=1", "auc < = 1", "auc<=" + "9" * 401, "auc<=٣",
    ],
)  # fmt: skip
def test_parse_constraint_refuses_all_else(text: str) -> None:
    with pytest.raises(UsageError, match="is not a constraint") as caught:
        parse_constraint(text)
    assert caught.value.hint == "--where 'latency_ms<=50'"
    assert caught.value.details == {"constraint": text}


@given(
    st.from_regex(r"[a-z0-9_./@%-]+", fullmatch=True),
    st.sampled_from(Operator),
    st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False),
)
def test_parse_constraint_reads_what_it_writes(metric: str, operator: Operator, limit: Number) -> None:
    constraint = Constraint(metric, operator, limit)
    assert parse_constraint(str(constraint)) == constraint


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("<=", True, True, False),
        (">=", False, True, True),
        ("<", True, False, False),
        (">", False, False, True),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_constraint_allows_by_its_operator(operator: str, below: bool, equal: bool, above: bool) -> None:
    constraint = parse_constraint(f"x{operator}2")
    assert (constraint.allows(1.9), constraint.allows(2.0), constraint.allows(3)) == (below, equal, above)
