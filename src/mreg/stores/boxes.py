"""What libraries hand out where a plain value is meant: told by what it can do, as mreg imports none of them.

Rules:
    * A scalar of NumPy, PyTorch, JAX or TensorFlow counts as what it holds; a masked one holds nothing.
    * A member of an enum counts as its value, a path as its text, a decimal as a number.
    * An array, a set or any other sequence counts as a list; that of a set is sorted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence, Set
from datetime import date, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import cast

__all__ = ["as_items", "as_only", "as_scalar", "count_items"]


def as_scalar(value: object) -> object:
    """Returns the plain value of a scalar or of a subclass of a plain type; anything else as it is."""
    if isinstance(value, Enum):
        value = value.value
    if getattr(value, "ndim", None) == 0:
        value = _open(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Real | Decimal):
        return _as_number(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.isoformat() if isinstance(value, date | time) else value


def as_only(value: object) -> object:
    """Returns the plain value of a scalar, also out of an array that holds nothing else; anything else as it is."""
    return as_scalar(_open(value)) if count_items(value) == 1 else as_scalar(value)


def as_items(value: object) -> Sequence[object] | None:
    """Returns what a sequence, a set or an array holds, copied as late as may be; ``None`` for anything else."""
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, Sequence):
        return value
    if isinstance(value, Set):
        return sorted(value, key=str)
    if count_items(value) is None or not hasattr(value, "tolist"):
        return None
    return cast("Sequence[object]", value.tolist())


def count_items(value: object) -> int | None:
    """Returns how many values an array holds; ``None`` where it is none."""
    shape = getattr(value, "shape", None)
    return math.prod(shape) if isinstance(shape, tuple) else None


def _as_number(value: Real | Decimal) -> int | float:
    if isinstance(value, Integral):
        return int(value)
    return math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)  # a signalling one has no float


def _open(value: object) -> object:
    if getattr(value, "mask", False):
        return None
    item = getattr(value, "item", None)
    if callable(item):
        return cast("object", item())
    return float(cast("float", value)) if hasattr(value, "__float__") else value
