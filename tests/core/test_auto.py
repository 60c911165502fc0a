from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.names import ARCHIVED, StageName, Version
from mreg.core.settings.policy import Policy, StageRule
from mreg.core.writing.auto import auto_stages, find_candidates
from tests.core.simulator import CHURN, PRODUCTION, STAGING, V1, V2, V3, V4, Simulator, simulate
from tests.core.strategies import small_versions

RC = Version(5, prerelease=("rc",))


def candidates(registry: Simulator, stage: StageName = PRODUCTION) -> tuple[Version, ...]:
    return find_candidates(registry.state(), registry.timeline().lane(CHURN, stage), stage)


def test_auto_stages_are_those_that_ask_for_it_in_the_order_of_the_file() -> None:
    auto = StageRule(auto=True)
    stages = {StageName("shadow"): auto, PRODUCTION: StageRule(), STAGING: auto}
    assert auto_stages(Policy(stages=stages)) == ("shadow", "staging")
    assert auto_stages(Policy()) == ()


def test_candidates_are_the_newest_first() -> None:
    assert candidates(simulate(V2, V4, V1, V3)) == (V4, V3, V2, V1)
    assert candidates(simulate(Version(1, 10), Version(1, 9))) == (Version(1, 10), Version(1, 9))
    assert candidates(Simulator()) == ()


def test_candidates_are_newer_than_what_the_stage_holds() -> None:
    registry = simulate(V1, V2, V3, V4)
    registry.promote(V2)
    assert candidates(registry) == (V4, V3)
    assert candidates(registry, STAGING) == (V4, V3, V2, V1)
    registry.promote(V4)
    assert candidates(registry) == ()


def test_candidates_are_no_pre_releases() -> None:
    assert candidates(simulate(V1, RC)) == (V1,)


def test_candidates_are_not_archived() -> None:
    registry = simulate(V1, V2, V3)
    registry.archive(V3)
    assert candidates(registry) == (V2, V1)
    registry.archive(V3, undo=True)
    assert candidates(registry) == (V3, V2, V1)


def test_candidates_never_held_the_stage_before() -> None:
    registry = simulate(V1, V2, V3)
    registry.promote(V3)
    registry.clear()
    assert candidates(registry) == (V2, V1)
    registry.promote(V1)
    assert candidates(registry) == (V2,)  # someone took version 3 out


def test_candidates_are_none_where_the_stage_is_held() -> None:
    registry = simulate(V1, V2, V3)
    registry.promote(V1)
    registry.promote(V2)
    registry.rollback()
    assert candidates(registry) == ()
    registry.promote(V1)  # releases the hold
    assert candidates(registry) == (V3,)
    registry.edit({"version": "none", "hold": True}, STAGING)
    assert candidates(registry, STAGING) == ()


def test_candidates_are_none_where_the_stage_cannot_be_read() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.edit("broken")
    assert candidates(registry) == ()
    assert candidates(registry, STAGING) == (V2, V1)


def test_candidates_have_a_record() -> None:
    registry = simulate(V1, V2)
    registry.commit({registry.layout.record(CHURN, V2): None})
    assert candidates(registry) == (V1,)


@given(
    st.sets(small_versions),
    st.lists(st.tuples(st.sampled_from(["promote", "rollback", "clear", "archive"]), small_versions), max_size=8),
)
def test_candidates_end_once_they_are_promoted(versions: set[Version], steps: list[tuple[str, Version]]) -> None:
    registry = simulate(*sorted(versions))
    for what, version in steps:
        if what == "archive":
            registry.edit({"versions": {str(version): None}}, ARCHIVED)
        else:
            registry.edit({"version": "none" if what == "clear" else str(version), "hold": what == "rollback"})
    seen: list[Version] = []
    while found := candidates(registry):
        assert list(found) == sorted(found, reverse=True)
        assert not set(found) & set(seen)
        assert set(found) <= versions - set(registry.state().archived)
        seen.append(found[0])
        registry.promote(found[0])
    assert seen == sorted(seen)
    assert len(seen) <= 1  # the newest goes first, and nothing older comes after


def test_candidates_of_a_lane_that_is_another_stage_s_are_its_own() -> None:
    registry = simulate(V1, V2)
    registry.promote(V2, STAGING)
    state = replace(registry.state(), entries={})
    assert find_candidates(state, registry.timeline().lane(CHURN, STAGING), STAGING) == ()
    assert find_candidates(state, registry.timeline().lane(CHURN, PRODUCTION), PRODUCTION) == (V2, V1)
