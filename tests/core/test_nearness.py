from __future__ import annotations

from mreg.core.nearness import ask_near, find_near


def test_find_near_is_the_most_alike_whatever_the_order() -> None:
    assert find_near("chrun", ["fraud", "churn", "chum"]) == "churn"
    assert find_near("ab", ["ac", "aa"]) == find_near("ab", ["aa", "ac"])
    assert find_near("zebra", ["churn"]) is None
    assert find_near("s4", {"s3": 1}, cutoff=0.5) == "s3"


def test_ask_near_asks_nothing_where_nothing_is_alike() -> None:
    assert ask_near("chrun", ["churn"]) == "did you mean 'churn'?"
    assert ask_near("zebra", ["churn"]) == ""
