"""Metrics: their direction, the difference between two, and how they are written.

Rules:
    * A metric without a direction is never better or worse.
    * What is missing is never taken for zero: its delta is unknown.
    * Differences are those of the written decimals: 0.913 - 0.902 is 0.011.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.nearness import ask_near
from mreg.core.settings.policy import Direction, MetricRule
from mreg.errors import NotFoundError, UsageError

__all__ = ["Delta", "Number", "Verdict", "check_metric", "format_metric", "measure_delta", "override_directions"]

Number = int | float
_READABLE = 10
"""Characters of a number that a person still reads at a glance."""


class Verdict(str, Enum):
    """How a metric stands against the one it is measured against."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    UNKNOWN = "unknown"
    """A value or the direction is missing."""


class Delta(Struct, frozen=True):
    """The difference of one metric from another version's."""

    absolute: Number | None
    """``None`` where either value is missing, or the difference is beyond the range of floats."""
    relative: float | None
    """As a fraction of the other version's value; ``None`` also where that is zero."""
    verdict: Verdict


def override_directions(
    rules: Mapping[str, MetricRule], *, higher: Collection[str] = (), lower: Collection[str] = ()
) -> dict[str, MetricRule]:
    """Returns the rules with the directions that were asked for in place of the policy's.

    Raises:
        UsageError: A metric is to be both higher and lower.
    """
    both = sorted(set(higher) & set(lower))
    if both:
        raise UsageError(
            f"metric {both[0]!r} cannot be better both higher and lower",
            hint=f"give --higher {both[0]} or --lower {both[0]}, not both",
            details={"metric": both[0]},
        )
    wanted = {**dict.fromkeys(higher, Direction.HIGHER), **dict.fromkeys(lower, Direction.LOWER)}
    changed = {name: replace(rules.get(name, MetricRule()), direction=way) for name, way in wanted.items()}
    return {**rules, **changed}


def check_metric(name: str, known: Collection[str], who: str) -> None:
    """Passes a metric that some version has.

    Args:
        name: The metric.
        known: The metrics that there are.
        who: Whose metrics they are, as in "no version of churn".

    Raises:
        NotFoundError: It is not among them; the hint names the nearest that is.
    """
    if name in known:
        return
    names = ", ".join(sorted(known)) or "none"
    raise NotFoundError(
        f"{who} has a metric {name!r}",
        hint=ask_near(name, known) or f"the metrics are: {names}",
        details={"metric": name, "known": sorted(known)},
    )


def measure_delta(value: Number | None, baseline: Number | None, direction: Direction | None) -> Delta:
    """Returns how far a value is from the baseline, and whether that is better."""
    if value is None or baseline is None:
        return Delta(None, None, Verdict.UNKNOWN)
    difference = _exact(value) - _exact(baseline)
    absolute = int(difference) if difference.as_tuple().exponent == 0 else _finite(difference)
    relative = _finite(difference / abs(_exact(baseline))) if baseline else None
    return Delta(absolute, relative, _judge(value, baseline, direction))


def format_metric(value: Number, rule: MetricRule, *, signed: bool = False) -> str:
    """Returns a metric as people read it: in the policy's format and unit, or with six digits where it is long.

    A difference (``signed``) gets a sign, and more digits than the format has where else nothing would be seen of it.
    """
    text = _format(abs(value) if signed else value, rule.format)
    if signed and value and not any(digit in text for digit in "123456789"):
        text = f"{abs(value):.2g}"
    sign = ("+" if value > 0 else "-" if value < 0 else "±") if signed else ""
    return f"{sign}{text} {rule.unit}".rstrip()


def _format(value: Number, specification: str) -> str:
    if not specification:
        text = str(value)
        return text if len(text) <= _READABLE or isinstance(value, int) else f"{value:.6g}"
    try:
        return format(value, specification)
    except (OverflowError, ValueError):
        # An integer beyond the range of floats, or one where the format names a precision and no type.
        return f"{Decimal(value):.6g}"


def _judge(value: Number, baseline: Number, direction: Direction | None) -> Verdict:
    if value == baseline:
        return Verdict.EQUAL
    if direction is None:
        return Verdict.UNKNOWN
    return Verdict.BETTER if (value > baseline) == (direction is Direction.HIGHER) else Verdict.WORSE


def _exact(value: Number) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _finite(value: Decimal) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
