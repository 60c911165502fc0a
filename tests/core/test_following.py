"""When a watch looks again, and what it tells once."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.following import NewsKind, Pace, Troubles
from mreg.core.names import ModelName, Version
from mreg.core.results import Pulled
from mreg.errors import CorruptArtifactError, GitError, NotFoundError

V1 = Pulled(
    ModelName("churn"),
    Version(1, 0, 0),
    Path("model.bin"),
    True,
    "ab",
    7,
    commit="0123456789abcdef",
    committed_at=datetime(2026, 11, 25, 9, 12, tzinfo=timezone.utc),
)
V2 = replace(V1, version=Version(2, 0, 0))
HERE = "churn v1.0.0 of registry commit 0123456789ab (2026-11-25T09:12:00Z) at 'model.bin'"


@given(every=st.floats(0.01, 10_000), failures=st.integers(0, 10**6), chance=st.floats(0, 1))
def test_pace_waits_stay_within_their_bounds(every: float, failures: int, chance: float) -> None:
    wait = Pace(every).wait_s(failures, chance)
    longest = every if failures == 0 else max(every, min(300, 10 * every))
    assert 0.74 * every <= wait <= 1.26 * longest


def test_pace_failures_double_it_up_to_the_bound() -> None:
    pace = Pace(30)
    assert [pace.wait_s(count, 0.5) for count in range(6)] == [30, 60, 120, 240, 300, 300]
    assert [Pace(0.5).wait_s(count, 0.5) for count in range(6)] == [0.5, 1, 2, 4, 5, 5]
    assert [Pace(900).wait_s(count, 0.5) for count in range(3)] == [900, 900, 900]


def test_pace_chance_spreads_the_waits() -> None:
    assert [Pace(100).wait_s(0, chance) for chance in (0, 0.25, 1)] == [75, 87.5, 125]


def test_troubles_an_outage_is_told_once_and_its_end_once() -> None:
    troubles = Troubles()
    assert troubles.succeed(V1) is None
    first = troubles.fail(GitError("no route", hint="git ls-remote"), V1)
    assert first is not None
    assert (first.kind, first.code, first.hint, first.pulled) == (NewsKind.FAILING, "git", "git ls-remote", V1)
    assert first.message == f"no route; {HERE} stays"
    assert not first.is_good
    assert troubles.fail(GitError("connection refused"), V1) is None
    assert troubles.failures == 2
    over = troubles.succeed(V1)
    assert over is not None
    assert (over.kind, over.is_good) == (NewsKind.RECOVERED, True)
    assert over.message == f"following again after 2 failed looks: {HERE}"
    assert troubles.failures == 0
    assert troubles.succeed(V1) is None


def test_troubles_another_trouble_is_told_too() -> None:
    troubles = Troubles()
    assert troubles.fail(GitError("no route"), V1)
    assert troubles.fail(CorruptArtifactError("changed"), V1)
    assert troubles.fail(GitError("no route"), None)


def test_troubles_what_the_remote_lacks_slows_nothing() -> None:
    troubles = Troubles()
    assert troubles.fail(GitError("no route"), None)
    empty = troubles.fail(NotFoundError("churn has no version in production"), V1, slows=False)
    assert empty is not None
    assert empty.message == f"churn has no version in production; {HERE} stays"
    assert troubles.failures == 0
    over = troubles.succeed(V1)
    assert over is not None
    assert "after 2 failed looks" in over.message


def test_troubles_nothing_in_place_is_said() -> None:
    news = Troubles().fail(GitError("no route"), None)
    assert news is not None
    assert (news.message, news.pulled) == ("no route; nothing is in place", None)


@pytest.mark.parametrize("why", ["'reload' failed with exit status 1"])
def test_troubles_a_hook_that_fails_is_told_once_a_version(why: str) -> None:
    troubles = Troubles()
    assert troubles.hook("", V1) is None
    failed = troubles.hook(why, V1)
    assert failed is not None
    assert (failed.kind, failed.code) == (NewsKind.HOOK_FAILED, "hook")
    assert failed.message == f"{why}, for {HERE}; it is run again"
    assert troubles.hook(why, V1) is None
    assert troubles.hook(why, V2)
    done = troubles.hook("", V2)
    assert done is not None
    assert (done.kind, done.is_good) == (NewsKind.HOOK_DONE, True)
    assert troubles.hook("", V2) is None
