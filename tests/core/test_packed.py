from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core import packed
from mreg.core.packed import Packed
from tests.core.strategies import moments, stage_entries, texts

VALUES = st.lists(st.one_of(stage_entries(), moments, texts, st.just("\udcff")), max_size=12)
"""What a history holds, with times of any zone and text that is not UTF-8."""


@given(VALUES, st.booleans(), st.integers(1, 5))
def test_packed_is_the_sequence_that_was_put_in(values: list[object], is_backwards: bool, at_once: int) -> None:
    with patch.object(packed, "AT_ONCE", at_once):
        found = Packed(iter(values), is_backwards=is_backwards)
        expected = tuple(reversed(values) if is_backwards else values)
        for _ in range(2):
            assert (tuple(found), tuple(reversed(found))) == (expected, expected[::-1])
        assert repr(found) == repr(expected)  # the zones of times too
        assert (len(found), bool(found)) == (len(expected), bool(expected))
        places = range(-len(values), len(values))
        assert [found[place] for place in places] == [expected[place] for place in places]
        assert (found[1:-1], found[::-2]) == (expected[1:-1], expected[::-2])
        assert found == expected
        assert expected == found
        assert hash(found) == hash(expected)
        assert found != (*expected, 1)
        assert found != list(expected)


def test_packed_has_no_place_behind_its_end() -> None:
    with patch.object(packed, "AT_ONCE", 2), pytest.raises(IndexError):
        Packed(range(3))[3]


def test_packed_of_few_values_keeps_them_as_they_are() -> None:
    value = object()
    with patch.object(pickle, "dumps", side_effect=AssertionError):
        assert list(Packed([value])) == [value]


def test_packed_is_read_twice_at_once() -> None:
    with patch.object(packed, "AT_ONCE", 2):
        found = Packed(range(7))
        assert list(zip(found, reversed(found), strict=True)) == list(zip(range(7), range(6, -1, -1), strict=True))


def test_packed_holds_a_tenth_and_never_all() -> None:
    def make() -> Iterator[tuple[str, int]]:
        return ((f"model-{number % 100} was promoted", number) for number in range(5 * packed.AT_ONCE))

    tracemalloc.start()
    try:
        found = Packed(make())
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert sum(number for _, number in found) == sum(range(5 * packed.AT_ONCE))
        _, most = tracemalloc.get_traced_memory()
        whole = tuple(make())
        all_of_them = tracemalloc.get_traced_memory()[0] - kept
    finally:
        tracemalloc.stop()
    assert len(found) == len(whole)
    assert kept < all_of_them / 10
    assert most < all_of_them / 2
