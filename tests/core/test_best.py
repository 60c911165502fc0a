from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.history.record import Artifact, Record
from mreg.core.names import ModelName, StageName, Version
from mreg.core.results import VersionSummary
from mreg.core.settings.policy import Direction, MetricRule
from mreg.core.versions.best import Choice, Excluded, choose_best
from mreg.core.versions.constraint import parse_constraint
from mreg.core.versions.metrics import Number, Verdict
from mreg.errors import NotFoundError, RefusedError, UsageError

CHURN = ModelName("churn")
PRODUCTION = StageName("production")
RULES = {"auc": MetricRule(Direction.HIGHER, format=".3f"), "ms": MetricRule(Direction.LOWER, unit="ms")}


def make(
    number: int,
    metrics: Mapping[str, Number] | None = None,
    *,
    stages: tuple[StageName, ...] = (),
    archived: bool = False,
    readable: bool = True,
) -> VersionSummary:
    version = Version(number)
    record = Record(CHURN, version, Artifact("model.pkl", 1, "0" * 32, f"{number % 10}" * 64), metrics or {})
    return VersionSummary(CHURN, version, stages, archived, record if readable else None)


def choose(
    *versions: VersionSummary,
    by: tuple[str, ...] = ("auc",),
    where: tuple[str, ...] = (),
    stage: StageName | None = None,
    rules: Mapping[str, MetricRule] = RULES,
) -> Choice:
    newest_first = tuple(sorted(versions, key=lambda each: each.version, reverse=True))
    return choose_best(CHURN, newest_first, by, rules, list(map(parse_constraint, where)), stage=stage)


def ranks(choice: Choice) -> list[tuple[int, str]]:
    return [(each.rank, str(each.version)) for each in choice.ranking]


def test_choose_best_takes_the_highest_and_says_why() -> None:
    choice = choose(make(1, {"auc": 0.9}), make(2, {"auc": 0.902}), make(3, {"auc": 0.913}), make(4, {"auc": 0.5}))
    assert choice.version == Version(3)
    assert ranks(choice) == [(1, "v3.0.0"), (2, "v2.0.0"), (3, "v1.0.0"), (4, "v4.0.0")]
    assert choice.reasons == ("auc 0.913 is the highest of 4; next v2.0.0 with 0.902",)
    assert (choice.tied, choice.holder, choice.against, choice.command) == ((), None, None, None)


def test_choose_best_takes_the_lowest_where_lower_is_better() -> None:
    choice = choose(make(1, {"ms": 9}), make(2, {"ms": 11.5}), by=("ms",))
    assert choice.version == Version(1)
    assert choice.reasons == ("ms 9 ms is the lowest of 2; next v2.0.0 with 11.5 ms",)


def test_choose_best_asks_the_second_metric_where_the_first_is_equal() -> None:
    choice = choose(
        make(1, {"auc": 0.9, "ms": 12}), make(2, {"auc": 0.9, "ms": 11}), make(3, {"auc": 0.8, "ms": 1}), by=("auc,ms",)
    )
    assert ranks(choice) == [(1, "v2.0.0"), (2, "v1.0.0"), (3, "v3.0.0")]
    assert choice.reasons == (
        "auc 0.900 is the highest of 3, shared by 2; next v3.0.0 with 0.800",
        "ms 11 ms is the lowest of 2; next v1.0.0 with 12 ms",
    )


def test_choose_best_names_values_that_rounding_would_hide() -> None:
    choice = choose(make(1, {"auc": 0.91301}), make(2, {"auc": 0.91302}))
    assert choice.reasons == ("auc 0.91302 is the highest of 2; next v1.0.0 with 0.91301",)


def test_choose_best_tie_takes_the_newest_and_says_so() -> None:
    choice = choose(make(1, {"auc": 0.9}), make(3, {"auc": 0.9}), make(2, {"auc": 0.9}), stage=PRODUCTION)
    assert choice.tied == (Version(3), Version(2), Version(1))
    assert choice.reasons == (
        "auc 0.900 is the same in all 3",
        "a tie of v3.0.0, v2.0.0, v1.0.0: the newest is taken",
        "production is empty",
    )


def test_choose_best_tie_leaves_a_version_that_is_there_already() -> None:
    held = make(1, {"auc": 0.9}, stages=(PRODUCTION,))
    choice = choose(held, make(2, {"auc": 0.9}), make(3, {"auc": 0.1}), stage=PRODUCTION)
    assert (choice.version, choice.holds_already, choice.command, choice.against) == (Version(1), True, None, None)
    assert choice.reasons[1:] == (
        "a tie of v1.0.0, v2.0.0: v1.0.0 is already there and stays",
        "production holds v1.0.0 already",
    )


def test_choose_best_lists_why_each_other_fell_out() -> None:
    choice = choose(
        make(1, {"auc": 0.99, "ms": 1}, archived=True),
        make(2, readable=False),
        make(3, {"ms": 1}),
        make(4, {}),
        make(5, {"auc": 0.95, "ms": 61.2}),
        make(6, {"auc": 0.9, "ms": 50}),
        where=("ms<=50", "ms != 61.2"),
    )
    assert choice.version == Version(6)
    assert choice.excluded == (
        Excluded(Version(5), "ms 61.2 breaks ms <= 50; ms 61.2 breaks ms != 61.2"),
        Excluded(Version(4), "missing auc, ms"),
        Excluded(Version(3), "missing auc"),
        Excluded(Version(2), "its record cannot be read"),
        Excluded(Version(1), "archived"),
    )
    assert choice.reasons == ("auc 0.900, and no other version is left to choose from",)


def test_choose_best_sets_the_choice_against_what_the_stage_holds() -> None:
    held = make(2, {"auc": 0.902, "loss": 1}, stages=(PRODUCTION,))
    choice = choose(held, make(3, {"auc": 0.913}), stage=PRODUCTION)
    assert (choice.holder, choice.holds_already) == (Version(2), False)
    assert choice.against is not None
    assert choice.against.baseline == "v2.0.0"
    delta = choice.against.metrics["auc"].deltas["v3.0.0"]
    assert (delta.absolute, delta.verdict) == (0.011, Verdict.BETTER)
    assert choice.reasons[-1] == "production holds v2.0.0"
    assert choice.command == (
        "mreg promote churn@v3.0.0 production --reason 'auc 0.913 is the highest of 2; next v2.0.0 with 0.902'"
    )


def test_choose_best_says_that_the_version_in_the_stage_is_out() -> None:
    held = make(2, {"auc": 0.95, "ms": 61}, stages=(PRODUCTION,))
    choice = choose(held, make(3, {"auc": 0.9, "ms": 5}), where=("ms<=50",), stage=PRODUCTION)
    assert choice.reasons[-1] == "production holds v2.0.0, which is out: ms 61 breaks ms <= 50"


def test_choose_best_unreadable_holder_has_nothing_to_be_set_against() -> None:
    choice = choose(make(2, stages=(PRODUCTION,), readable=False), make(3, {"auc": 0.9}), stage=PRODUCTION)
    assert (choice.holder, choice.against) == (Version(2), None)


def test_choose_best_direction_behind_a_colon_beats_the_policys() -> None:
    choice = choose(
        make(1, {"auc": 0.1}), make(2, {"auc": 0.9}, stages=(PRODUCTION,)), by=("auc:lower",), stage=PRODUCTION
    )
    assert choice.version == Version(1)
    assert choice.criteria[0].rule == MetricRule(Direction.LOWER, format=".3f")
    assert choice.against is not None
    assert choice.against.metrics["auc"].best == "v1.0.0"


def test_choose_best_command_quotes_for_the_shell() -> None:
    rules = {"auc": MetricRule(Direction.HIGHER, unit="'$(id)'")}
    command = choose(make(1, {"auc": 1}), rules=rules, stage=PRODUCTION).command
    assert command is not None
    assert command.startswith("mreg promote churn@v1.0.0 production --reason 'auc 1 '\\''$(id)'\\'', and no")


@pytest.mark.parametrize("by", ["auc:up", "auc:max"])
def test_choose_best_direction_that_is_none_is_told(by: str) -> None:
    with pytest.raises(UsageError, match=f"'{by[4:]}' is not a direction for auc") as caught:
        choose(make(1, {"auc": 1}), by=(by,))
    assert caught.value.hint == "auc:higher or auc:lower"


def test_choose_best_metric_without_direction_tells_how_to_give_it() -> None:
    with pytest.raises(UsageError, match="'loss' has no direction") as caught:
        choose(make(1, {"loss": 1}), by=("loss",))
    assert caught.value.hint == (
        "--higher loss or --lower loss; for good, in registry.yaml: metrics: {loss: {direction: higher}}"
    )


@pytest.mark.parametrize("where", [("acu>0",), ("auc>0", "acu>0")])
def test_choose_best_unknown_metric_in_a_constraint_names_the_nearest(where: tuple[str, ...]) -> None:
    with pytest.raises(NotFoundError, match="no version of churn has a metric 'acu'") as caught:
        choose(make(1, {"auc": 1}), where=where)
    assert caught.value.hint == "did you mean 'auc'?"


def test_choose_best_unknown_metric_to_choose_by_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        choose(make(1, {"auc": 1}), by=("f1:higher",))


@pytest.mark.parametrize("by", [(), ("",), (" , ",)])
def test_choose_best_without_a_metric_is_a_usage_error(by: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="no metric is named") as caught:
        choose(make(1, {"auc": 1}), by=by)
    assert caught.value.hint == "mreg best churn --by METRIC"


def test_choose_best_metric_named_twice_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'auc' is named twice"):
        choose(make(1, {"auc": 1}), by=("auc", "auc:lower"))


def test_choose_best_none_left_says_why_for_each() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(make(1, {"auc": 1}, archived=True), make(2))
    assert caught.value.message == "no version of churn can be chosen; v2.0.0: missing auc; v1.0.0: archived"
    assert caught.value.details["excluded"] == [
        {"version": "v2.0.0", "reason": "missing auc"},
        {"version": "v1.0.0", "reason": "archived"},
    ]


def test_choose_best_none_left_of_many_stays_readable() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(*(make(number, {"auc": 0.1}) for number in range(1, 9)), where=("auc>=0.5",))
    assert caught.value.message.endswith("v4.0.0: auc 0.1 breaks auc >= 0.5; 3 more")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8), st.data())
def test_choose_best_no_other_version_is_better(values: list[tuple[int, int]], data: st.DataObject) -> None:
    holder = data.draw(st.integers(0, len(values)))
    versions = [
        make(number, {"auc": auc, "ms": ms}, stages=(PRODUCTION,) if number == holder else ())
        for number, (auc, ms) in enumerate(values, start=1)
    ]
    choice = choose(*versions, by=("auc", "ms"), stage=PRODUCTION)
    keys = {Version(number): (-auc, ms) for number, (auc, ms) in enumerate(values, start=1)}
    best = {version for version, key in keys.items() if key == min(keys.values())}
    assert choice.version == (Version(holder) if Version(holder) in best else max(best))
    assert set(choice.tied or (choice.version,)) == best
    assert sorted(choice.ranking, key=lambda each: each.rank) == list(choice.ranking)
