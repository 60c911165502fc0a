from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.patterns import find_pattern_fault

TAKEN = [
    "",
    "[a-z]+_[a-z0-9_]+",
    "(?:fraud|churn)(?:/[a-z]{2})?",
    "[a-z]+(_[a-z]+)*",
    r"[a-z0-9]+(?:\-[a-z0-9]+)+",
    "[a-z]+(/[a-z]+(-[a-z]+)?)*",
    "team-(?P<team>[a-z]+)/.+",
    "([a-z]{2}_){2}[a-z]+",
    r"(?!test)[\w/-]*",
    "(abc)+",
    r"[]a-z\]]+",
    "(?i)churn.*",
    r"([a-z])\1",
]
REFUSED = [
    "(a+)+",
    "([a-z]+)*x",
    "(a|aa)+",
    "(?:a|a)*b",
    "([a-z]+_?)*",
    "(_[a-z_]+)*",
    r"(_\w+)*",
    "(-.+)*",
    "(-[^x]+)*",
    "((_a+)*)*",
    "(_(_a+)*)*",
    "(_?a+)*",
    r"(-a+\1)*",
    "(a?){50}a{50}",
    "(a+){9}",
    "(-(a|b)+|c)*",
    "a*" * 6,
    "a?" * 9,
    ".*.*.*.*.*.*x",
    "a" * 201,
]


@pytest.mark.parametrize("pattern", TAKEN)
def test_pattern_of_names_is_taken(pattern: str) -> None:
    re.compile(pattern)
    assert find_pattern_fault(pattern) is None


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda pattern: pattern[:24])
def test_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    assert find_pattern_fault(pattern)


@given(st.text(alphabet="a_-/()[]{}*+?|.,19^\\w", max_size=40))
def test_pattern_that_is_taken_takes_no_time(pattern: str) -> None:
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, FutureWarning):
        return
    if find_pattern_fault(pattern) is None:
        start = time.process_time()
        for text in ("a" * 99 + "!", "_a" * 49 + "!", "-a/a_" * 19 + "!"):
            expression.fullmatch(text)
        assert time.process_time() - start < 5
