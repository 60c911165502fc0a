"""Which versions' bytes are kept: what was in a stage, the newest, the young, and all that cannot be decided on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields
from mreg.core.history.manifest import Deletion
from mreg.core.names import ARCHIVED, ModelName, Version, parse_version
from mreg.core.settings.retention import Retention, parse_retention
from mreg.core.storage.retention import Key, Verdict, judge_versions
from mreg.errors import DataError
from tests.core.simulator import CHURN, PRODUCTION, STAGING, START, V1, V2, V3, V4, Simulator, simulate

DAY = 86_400
ONE = Retention(newest=1)


def judge(
    registry: Simulator,
    retention: Retention = ONE,
    *,
    now: datetime | None = None,
    shielded: Mapping[Key, str] | None = None,
) -> tuple[Verdict, ...]:
    moment = now or registry.now
    return judge_versions(
        registry.timeline(), registry.commits, registry.layout, retention, now=moment, shielded=shielded or {}
    )


def reasons(registry: Simulator, retention: Retention = ONE, *, now: datetime | None = None) -> dict[Version, str]:
    return {each.version: each.why for each in judge(registry, retention, now=now)}


def dropped(registry: Simulator, retention: Retention = ONE, *, now: datetime | None = None) -> list[Version]:
    return [version for version, why in reasons(registry, retention, now=now).items() if not why]


def read(text: object) -> Retention:
    return parse_retention(Fields({"retention": text}, where="registry.yaml").section("retention"))


def test_retention_of_settings() -> None:
    assert read(None) == Retention()
    assert read({"keep_newest": 5, "keep_within": "90d"}) == Retention(5, 90 * DAY)
    assert read({"keep_within": "7d 12h"}) == Retention(None, 7 * DAY + 12 * 3600)
    assert not read({}).is_set
    assert read({"keep_newest": 1}).is_set
    assert read({"keep_within": "1m"}).is_set


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ({"keep_newest": 0}, "the newest version of a model is always kept"),
        ({"keep_newest": "5"}, "keep_newest"),
        ({"keep_within": "soon"}, "'soon' is not a duration"),
        ({"keep_within": 3}, "keep_within: 3d"),
        ({"keep_newset": 5}, "keep_newest"),
    ],
)
def test_retention_that_cannot_be_is_refused(text: object, why: str) -> None:
    with pytest.raises(DataError) as caught:
        read(text)
    assert why in f"{caught.value.message} {caught.value.hint}"


def test_retention_in_words() -> None:
    assert str(Retention(3)) == "the newest 3 of each model"
    assert str(Retention(within_s=90 * DAY)) == "the newest 1 of each model and what is younger than 90d"


def test_judge_without_settings_keeps_all() -> None:
    assert set(reasons(simulate(V1, V2), Retention()).values()) == {"nothing says what to keep"}


def test_judge_keeps_the_newest_by_number_and_the_latest_release() -> None:
    beta = parse_version("v4.0.0-beta")
    registry = simulate(V3, V1, V2, beta)
    assert dropped(registry) == [V1, V2]
    assert reasons(registry)[beta] == reasons(registry)[V3] == "among the newest 1"
    assert dropped(registry, Retention(3)) == [V1]
    assert dropped(simulate(parse_version("v1.0.0-a"), parse_version("v1.0.0-b"))) == [parse_version("v1.0.0-a")]


def test_judge_keeps_what_is_or_was_in_a_stage() -> None:
    registry = simulate(V1, V2, V3, V4)
    registry.promote(V1)
    registry.promote(V2)
    registry.promote(V3, STAGING)
    registry.clear(STAGING)
    found = reasons(registry)
    assert (found[V1], found[V2], found[V3]) == ("was in production", "is in production", "was in staging")


def test_judge_keeps_what_is_approved() -> None:
    registry = simulate(V1, V2, V3)
    path = registry.layout.approval(CHURN, V1, PRODUCTION, "0a")
    registry.commit({path: "{}"})
    assert reasons(registry)[V1] == "approved for production"
    registry.commit({path: None})
    assert dropped(registry) == [V1, V2]


def test_judge_keeps_what_others_name() -> None:
    registry = simulate(V1, V2, V3)
    found = {each.version: each.why for each in judge(registry, shielded={(CHURN, V1): "a branch says so"})}
    assert found[V1] == "a branch says so"


def test_judge_keeps_a_model_whose_stages_cannot_be_read_in_some_commit() -> None:
    registry = simulate(V1, V2, V3)
    other = ModelName("other")
    registry.register(V1, model=other)
    registry.register(V2, model=other)
    registry.edit("nothing that reads")
    registry.edit(None)
    verdicts = {each.key: each.why for each in judge(registry)}
    assert verdicts[CHURN, V1] == "a stage file of the model cannot be read in some commit"
    assert verdicts[other, V1] == ""


def test_judge_keeps_what_was_changed_or_deleted() -> None:
    registry = simulate(V1, V2, V3, V4)
    registry.commit({registry.layout.record(CHURN, V1): "another record"})
    registry.commit({registry.layout.record(CHURN, V2): None})
    found = reasons(registry)
    assert found[V1] == "its record was changed"
    assert found[V2] == "its record was deleted, and its tag stays"
    assert found[V3] == ""


def test_judge_keeps_the_young() -> None:
    registry = simulate(V1, V2)
    registry.now += timedelta(days=89)
    registry.register(V3)
    assert reasons(registry, Retention(1, 90 * DAY))[V1] == "younger than 90d"
    later = registry.now + timedelta(days=1)
    assert dropped(registry, Retention(1, 90 * DAY), now=later) == [V1, V2]


def test_judge_by_a_clock_that_is_years_ahead_makes_nothing_old() -> None:
    registry = simulate(V1, V2, V3)
    later = registry.now + timedelta(days=10_000)
    for days in (1, 7, 30, 90):
        assert reasons(registry, Retention(1, days * DAY), now=later)[V1] == f"younger than {days}d"
    registry.now += timedelta(days=20)
    registry.register(V4)
    assert dropped(registry, Retention(1, 30 * DAY), now=later) == [V1, V2, V3]  # by 20 days, and half of 30


def test_judge_by_a_clock_that_is_years_ahead_and_has_committed_makes_nothing_old() -> None:
    registry = simulate(V1, V2)
    before = registry.now
    registry.now += timedelta(days=7_300)
    registry.register(V3)
    found = reasons(registry, Retention(1, 30 * DAY), now=registry.now + timedelta(hours=1))
    assert found[V1] == found[V2] == "younger than 30d"
    registry.now = before + timedelta(minutes=1)  # by a clock that is right, and behind that one
    registry.register(V4)
    found = reasons(registry, Retention(1, 30 * DAY), now=before + timedelta(days=7_300, hours=1))
    assert set(found.values()) == {"younger than 30d", "among the newest 1"}


def test_judge_by_the_time_of_a_registry_that_rests_between_commits() -> None:
    registry = simulate(V1, V2)
    registry.now += timedelta(days=200)
    registry.register(V3)
    assert dropped(registry, Retention(1, 90 * DAY)) == [V1, V2]


def test_judge_believes_no_commit_older_than_those_before_it() -> None:
    registry = simulate(V1)
    registry.now = datetime(1970, 1, 1, tzinfo=timezone.utc)  # whoever registered v2 has a dead battery
    registry.register(V2)
    registry.now = START + timedelta(hours=1)
    registry.register(V3)
    assert dropped(registry, Retention(1, DAY)) == []
    assert [each.registered.year for each in judge(registry)] == [2026, 1970, 2026]


def test_judge_takes_what_lies_in_the_future_for_young_and_goes_on() -> None:
    registry = simulate(V1)
    registry.now = datetime(2040, 1, 1, tzinfo=timezone.utc)
    registry.register(V2)
    registry.now = START + timedelta(days=99)
    registry.register(V4)
    registry.register(V3)
    now = START + timedelta(days=100)
    found = reasons(registry, Retention(1, 90 * DAY), now=now)
    assert found[V2] == "its commit lies in the future, so nobody knows its age"
    assert (found[V1], found[V3]) == ("", "younger than 90d")


def test_judge_counts_what_was_given_up_no_more() -> None:
    registry = simulate(V1, V2, V3, V4)
    mark = {"reason": "r", "deletion": {"by": "ada@example.com"}}
    registry.commit({registry.layout.stage(CHURN, ARCHIVED): _dump({"v4.0.0": mark})})
    verdicts = {each.version: each for each in judge(registry, Retention(2))}
    assert verdicts[V4].deletion == Deletion(by="ada@example.com")
    assert not verdicts[V4].is_kept
    assert [version for version, each in verdicts.items() if each.is_kept] == [V2, V3]
    registry.edit_version(V4)
    assert reasons(registry)[V4] == "is in production"


def _dump(marks: object) -> str:
    return json.dumps({"versions": marks})


@given(st.lists(st.sampled_from([V1, V2, V3, V4]), unique=True, min_size=1), st.integers(1, 5), st.data())
def test_judge_never_drops_what_is_latest_or_was_staged(
    versions: list[Version], newest: int, data: st.DataObject
) -> None:
    registry = simulate(*versions)
    staged = data.draw(st.lists(st.sampled_from(versions), max_size=3))
    for version in staged:
        registry.promote(version)
    gone = set(dropped(registry, Retention(newest)))
    assert gone.isdisjoint(staged)
    assert max(versions) not in gone
    assert len(gone) == len(versions) - len({*staged, *sorted(versions)[-newest:]})
