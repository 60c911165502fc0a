"""What of a serving cache goes: the least recently used, as far as the limit asks, and never what somebody needs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.storage.trimming import Held, Kept, Trim, parse_limit, plan_trim, usual_limit

A, B, C = ("abc"[at] * 32 for at in range(3))
LIST = f"{'d' * 32}.dir"
GB = 10**9


def held(md5: str, used_s: float, size: int = 10, kept: Kept | None = None) -> Held:
    return Held(md5, {md5: size}, used_s, kept)


def fate(trim: Trim) -> dict[str, Kept | None]:
    return {each.md5: each.kept for each in trim.held}


def test_plan_trim_takes_the_least_recently_used_and_no_more_than_it_must() -> None:
    trim = plan_trim([held(A, 3), held(B, 1), held(C, 2)], 20)
    assert (trim.size, trim.freed, list(trim.objects)) == (30, 10, [B])
    assert fate(trim) == {A: Kept.FITS, C: Kept.FITS, B: None}
    assert list(plan_trim([held(A, 3), held(B, 1), held(C, 2)], 19).objects) == [B, C]


def test_plan_trim_without_a_limit_takes_nothing() -> None:
    trim = plan_trim([held(A, 1), held(B, 2)], None)
    assert (trim.size, trim.freed) == (20, 0)
    assert set(fate(trim).values()) == {Kept.FITS}


def test_plan_trim_leaves_what_is_needed_whatever_the_limit() -> None:
    trim = plan_trim([held(A, 1, kept=Kept.LAST), held(B, 2, kept=Kept.USED), held(C, 3)], 0)
    assert (list(trim.objects), trim.freed) == ([C], 10)


def test_plan_trim_counts_shared_bytes_once_and_takes_them_with_the_last_that_needs_them() -> None:
    folder = Held(LIST, {LIST: 1, A: 10, B: 10}, 2)
    alone = held(A, 1)
    assert plan_trim([folder, alone], 21).freed == 0
    trim = plan_trim([folder, alone], 20)  # the lone file frees nothing while the folder needs it
    assert (trim.size, list(trim.objects), trim.freed) == (21, [A, B, LIST], 21)
    kept = plan_trim([folder, Held(A, {A: 10}, 1, Kept.LAST)], 0)
    assert list(kept.objects) == [B, LIST]


ENTRIES = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from("abcdef"), min_size=1), st.integers(0, 5), st.sampled_from([None, *Kept][:-1])
    ),
    max_size=8,
)


@given(ENTRIES, st.integers(0, 60) | st.none())
def test_plan_trim_keeps_its_promises(
    entries: list[tuple[frozenset[str], int, Kept | None]], limit: int | None
) -> None:
    sizes = {name: 2**at for at, name in enumerate("abcdef")}
    found = [
        Held(f"{at:032x}", {name: sizes[name] for name in names}, used, kept)
        for at, (names, used, kept) in enumerate(entries)
    ]
    trim = plan_trim(found, limit)
    needed = {name for each in trim.held if each.kept for name in each.objects}
    assert needed.isdisjoint(trim.objects)
    assert needed | trim.objects.keys() == {name for each in found for name in each.objects}
    kept = {each.md5: each.kept for each in found if each.kept}
    assert kept.items() <= fate(trim).items()
    if limit is None:
        assert trim.freed == 0
    elif any(each.kept is Kept.FITS for each in trim.held):
        assert trim.size - trim.freed <= limit


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("20GB", 20 * GB),
        ("20 GB", 20 * GB),
        ("20g", 20 * GB),
        ("1.5 GiB", 3 << 29),
        ("2gib", 2 << 30),
        ("5%", 50 * GB),
        ("100 %", 1000 * GB),
        (" unlimited", None),
    ],
)
def test_parse_limit_takes_sizes_and_shares(text: str, size: int | None) -> None:
    assert parse_limit(text, 1000 * GB) == size


@pytest.mark.parametrize("text", ["", "-1", "20 XB", "101%", "%", "1e9", "ten", "inf"])
def test_parse_limit_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_limit(text, 1000 * GB)


def test_usual_limit_is_a_tenth_and_no_more_than_50_gb() -> None:
    assert (usual_limit(8 * GB), usual_limit(4000 * GB)) == (8 * GB // 10, 50 * GB)
