"""JSON text against ``json.dumps``: the same, however deep and however odd."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.names import Version
from mreg.render.json_text import json_pieces

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


class Color(str, Enum):
    RED = "red"


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=5))
def test_json_pieces_are_what_json_dumps_writes(document: dict[str, Any]) -> None:
    expected = json.dumps(document, indent=2)
    assert "".join(json_pieces(document)) == expected
    lazy = {key: iter(value) if isinstance(value, list) else value for key, value in document.items()}
    assert "".join(json_pieces(lazy)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Version(3), '"v3.0.0"'),
        (Color.RED, '"red"'),
        (datetime(2026, 11, 20, 9, 12, tzinfo=timezone.utc), '"2026-11-20T09:12:00Z"'),
        (math.nan, '"nan"'),
        (-math.inf, '"-inf"'),
        ((1, "a"), '[\n    1,\n    "a"\n  ]'),
        ({Version(1): ()}, '{\n    "v1.0.0": []\n  }'),
        ("\u2028\x1b", '"\\u2028\\u001b"'),
    ],
)
def test_json_pieces_write_values_of_mreg_as_text(value: object, text: str) -> None:
    assert "".join(json_pieces({"key": value})) == f'{{\n  "key": {text}\n}}'


def test_json_pieces_take_no_more_than_one_item_at_a_time() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for each in range(3):
            taken.append(each)
            yield each

    pieces = json_pieces({"items": items()})
    text = ""
    while "0" not in text:
        text += next(pieces)
    assert taken == [0]
