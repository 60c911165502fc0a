"""Constraints: what a metric of a version must keep to, as typed in ``--where 'latency_ms<=50'``.

Rules:
    * A constraint is a metric, one of ``<= >= < > == !=`` and a finite number, in that order.
    * ``parse_constraint(str(constraint)) == constraint``.
"""

from __future__ import annotations

import math
import operator
import re
from enum import Enum

from msgspec import Struct

from mreg.core.versions.metrics import Number
from mreg.errors import UsageError

__all__ = ["Constraint", "Operator", "parse_constraint"]

_CONSTRAINT = re.compile(r"\s*([^<>=!]*[^<>=!\s])\s*(<=|>=|==|!=|<|>)\s*(\S{1,400})\s*")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


class Operator(str, Enum):
    """How a constraint compares."""

    AT_MOST = "<="
    AT_LEAST = ">="
    BELOW = "<"
    ABOVE = ">"
    EQUALS = "=="
    DIFFERS = "!="


_COMPARE = {
    Operator.AT_MOST: operator.le,
    Operator.AT_LEAST: operator.ge,
    Operator.BELOW: operator.lt,
    Operator.ABOVE: operator.gt,
    Operator.EQUALS: operator.eq,
    Operator.DIFFERS: operator.ne,
}


class Constraint(Struct, frozen=True):
    """What a metric must keep to."""

    metric: str
    operator: Operator
    limit: Number

    def __str__(self) -> str:
        """Returns it as ``parse_constraint`` reads it."""
        return f"{self.metric} {self.operator.value} {self.limit}"

    def allows(self, value: Number) -> bool:
        """Returns whether a measured value keeps to it."""
        return bool(_COMPARE[self.operator](value, self.limit))


def parse_constraint(text: str) -> Constraint:
    """Returns what ``latency_ms<=50`` asks for.

    Raises:
        UsageError: It is not a metric, an operator and a finite number.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match and _NUMBER.fullmatch(match[3]):
        limit = int(match[3]) if _INTEGER.fullmatch(match[3]) else float(match[3])
        if isinstance(limit, int) or math.isfinite(limit):
            return Constraint(match[1], Operator(match[2]), limit)
    raise UsageError(
        f"{text!r} is not a constraint: a metric, one of <= >= < > == != and a finite number",
        hint="--where 'latency_ms<=50'",
        details={"constraint": text},
    )
