"""JSON text against ``json``: it says the same, and looks the same but for how floats are spelled."""

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

TEXTS = st.text() | st.text(st.characters(categories=["Cs", "Cc", "Ll"]))
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def documents(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
    )
    return st.dictionaries(TEXTS, values, min_size=1, max_size=5)


class Color(str, Enum):
    RED = "red"


def write(document: dict[str, Any]) -> list[str]:
    lazy = {key: iter(value) if isinstance(value, list) else value for key, value in document.items()}
    return ["".join(json_pieces(each)) for each in (document, lazy)]


@given(documents(SCALARS))
def test_json_pieces_are_what_json_dumps_writes(document: dict[str, Any]) -> None:
    assert write(document) == [json.dumps(document, indent=2)] * 2


@given(documents(SCALARS | FLOATS))
def test_json_pieces_keep_every_number(document: dict[str, Any]) -> None:
    for text in write(document):
        assert repr(json.loads(text)) == repr(json.loads(json.dumps(document)))  # 1 is not 1.0, and 0 is not -0
        assert text.isascii()


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
        ("\u2028\x1b\x7f", '"\\u2028\\u001b\\u007f"'),
        ("\udcff\U0001f600", '"\\udcff\\ud83d\\ude00"'),
        (2**70, "1180591620717411303424"),
        (1e16, "1e16"),
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
