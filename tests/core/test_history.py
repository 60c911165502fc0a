from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.fields import Plain
from mreg.core.history.timeline import (
    Action,
    AdoptedTag,
    Appearance,
    ApprovalFile,
    Commit,
    FileChange,
    Lane,
    Stay,
    Transition,
)
from mreg.core.layout import Layout
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.settings.policy import OnReplace
from tests.core.simulator import (
    ADA,
    CHURN,
    HAND,
    PRODUCTION,
    STAGING,
    START,
    V1,
    V2,
    V3,
    V4,
    Simulator,
    oid_of,
    simulate,
)
from tests.core.strategies import small_versions

PROMOTE, ROLLBACK, CLEAR, ARCHIVE = Action.PROMOTE, Action.ROLLBACK, Action.CLEAR, Action.ARCHIVE
Move = tuple[Action, Version | None, Version | None]


def moves(registry: Simulator) -> list[Move]:
    return [(each.action, each.source, each.target) for each in registry.timeline().transitions]


def naive_moves(targets: list[Version | None]) -> list[Move]:
    """Replays a stage as the design says it: push what is not in the stack, pop down to what is."""
    stack: list[Version] = []
    current: Version | None = None
    made: list[Move] = []
    for target in targets:
        if target == current:
            continue
        if target is None:
            action = CLEAR
        elif target in stack:
            action = PROMOTE if stack[-1] == target else ROLLBACK
            while stack[-1] != target:
                stack.pop()
        else:
            action = PROMOTE
            stack.append(target)
        made.append((action, current, target))
        current = target
    return made


@given(st.lists(st.none() | small_versions, max_size=12))
def test_fold_of_hand_edits_is_the_stack_of_the_design(targets: list[Version | None]) -> None:
    registry = simulate(V1, V2, V3, V4)
    for target in targets:
        registry.edit_version(target)
    assert moves(registry) == naive_moves(targets)
    held = registry.timeline().lane(CHURN, PRODUCTION).held
    assert held.keys() == {target for target in targets if target}


@given(st.lists(st.none() | small_versions, max_size=12), st.none() | small_versions)
def test_lane_would_says_what_apply_does(targets: list[Version | None], target: Version | None) -> None:
    lane = Lane()
    for each in targets:
        lane.apply(each)
    stack, current = list(lane.stack), lane.current
    action = lane.would(target)
    assert (lane.stack, lane.current) == (stack, current)
    assert lane.apply(target) is action


@given(st.lists(st.none() | small_versions, max_size=12), st.sets(small_versions))
def test_lane_last_good_is_the_nearest_below_that_is_not_skipped(
    targets: list[Version | None], skip: set[Version]
) -> None:
    lane = Lane()
    for each in targets:
        lane.apply(each)
    below = [version for version in lane.stack if version != lane.current and version not in skip]
    assert lane.last_good(skip) == (below[-1] if below else None)


def test_fold_of_nothing_is_empty() -> None:
    timeline = Simulator().timeline()
    assert (timeline.events, timeline.transitions, timeline.findings) == ([], [], [])
    assert timeline.lane(CHURN, PRODUCTION) == Lane()


def test_fold_tells_the_whole_story_of_a_promotion() -> None:
    registry = simulate(V1)
    plan = registry.promote(V1, reason="AUC 0.913")
    (transition,) = registry.timeline().transitions
    assert transition == Transition(
        model=CHURN,
        stage=PRODUCTION,
        action=PROMOTE,
        source=None,
        target=V1,
        by=ADA,
        at=registry.now,
        reason="AUC 0.913",
        approved_by=(),
        commit=registry.commits[-1].oid,
        author="Ada",
        email=ADA,
        statement=registry.state().entries[PRODUCTION],
    )
    assert plan.changes[0].action is PROMOTE


def test_fold_order_is_that_of_history_whatever_the_clocks() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.now -= timedelta(days=400)
    registry.promote(V2)
    assert moves(registry) == [(PROMOTE, None, V1), (PROMOTE, V1, V2)]
    assert registry.timeline().transitions[-1].at < START


def test_fold_version_comes_before_its_promotion_in_one_commit() -> None:
    registry = simulate(V1)
    registry.register(V2)
    registry.promote(V2, STAGING)
    registry.squash(2)
    timeline = registry.timeline()
    assert [type(event) for event in timeline.events[1:]] == [Appearance, Transition]
    assert timeline.appearances[CHURN, V2].commit is registry.commits[-1]
    assert [each.commit for each in timeline.transitions] == [registry.commits[-1].oid]


def test_fold_squash_of_several_versions_and_stages_is_sorted() -> None:
    other = ModelName("alpha")
    registry = Simulator()
    registry.register(V2)
    registry.register(V1)
    registry.register(V1, model=other)
    registry.promote(V2)
    registry.promote(V1, STAGING)
    registry.squash(5)
    timeline = registry.timeline()
    assert list(timeline.appearances) == [(other, V1), (CHURN, V1), (CHURN, V2)]
    assert [(each.stage, each.target) for each in timeline.transitions] == [(PRODUCTION, V2), (STAGING, V1)]


def test_fold_squash_of_one_promotion_keeps_its_statement() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V2, reason="better")
    registry.squash(1)
    (last,) = registry.last_transitions()
    assert (last.reason, last.by, last.email) == ("better", ADA, HAND)


def test_fold_squash_of_two_promotions_is_the_merger_s_own() -> None:
    # The last statement was written for another change than the one that landed.
    registry = simulate(V1, V2, V3)
    registry.promote(V1)
    registry.promote(V2, reason="better")
    registry.promote(V3, reason="better still")
    registry.squash(2)
    assert moves(registry) == [(PROMOTE, None, V1), (PROMOTE, V1, V3)]
    (last,) = registry.last_transitions()
    assert (last.reason, last.by) == ("Merge (#1)", HAND)


def test_fold_squash_to_and_fro_is_no_transition() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V2)
    registry.rollback()
    registry.squash(2)
    assert moves(registry) == [(PROMOTE, None, V1)]


def test_fold_hand_edit_of_the_version_alone_is_its_committer_s() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1, reason="better")
    registry.edit_version(V2)
    (last,) = registry.last_transitions()
    assert (last.action, last.by, last.reason, last.approved_by) == (PROMOTE, HAND, "By hand", ())


def test_fold_hand_edit_with_a_statement_says_it() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1, reason="better")
    registry.edit({"version": "v2", "reason": "by phone", "by": "eve@example.com", "approved_by": ["bob"]})
    (last,) = registry.last_transitions()
    assert (last.by, last.reason, last.approved_by) == ("eve@example.com", "by phone", ("bob",))
    registry.edit({"version": "v1", "reason": "by phone", "by": "eve@example.com", "approved_by": ["bob"]})
    (last,) = registry.last_transitions()
    assert (last.by, last.reason, last.approved_by) == (HAND, "By hand", ())


def test_fold_hand_edit_after_the_release_of_a_hold_is_its_committer_s() -> None:
    registry = simulate(V1, V2, V3)
    registry.promote(V1)
    registry.promote(V2)
    registry.rollback()
    registry.promote(V1, reason="all is well again")
    registry.edit_version(V3)
    (last,) = registry.last_transitions()
    assert (last.source, last.target, last.by, last.reason) == (V1, V3, HAND, "By hand")


def test_fold_squash_of_a_rollback_and_its_release_keeps_the_rollback_s_statement() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V2)
    registry.rollback()
    reason = registry.last_transitions()[0].reason
    registry.promote(V1, reason="all is well again")
    registry.squash(2)
    (last,) = registry.last_transitions()
    assert (last.action, last.by, last.reason) == (ROLLBACK, ADA, reason)


def test_fold_first_file_by_hand_speaks() -> None:
    registry = simulate(V1)
    registry.edit({"version": 1, "reason": "first"})
    (last,) = registry.last_transitions()
    assert (last.by, last.reason) == (HAND, "first")


def test_fold_change_of_anything_but_the_version_is_no_transition() -> None:
    registry = simulate(V1)
    registry.promote(V1)
    registry.edit({"version": "v1.0.0", "hold": True, "reason": "hands off"})
    assert registry.last_transitions() == []
    assert registry.state().entries[PRODUCTION].hold


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fold_git_revert_is_a_rollback_by_who_reverted(count: int) -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V2)
    for number in range(count):
        registry.revert(email=f"{number}@example.com")
    expected = [(ROLLBACK, V2, V1), (PROMOTE, V1, V2), (ROLLBACK, V2, V1)][:count]
    assert moves(registry)[2:] == expected
    # The file that is brought back has a statement that was written for another change.
    (last,) = registry.last_transitions()
    assert (last.by, last.reason) == (f"{count - 1}@example.com", "Revert")


def test_fold_old_file_in_other_words_is_its_committer_s() -> None:
    registry = simulate(V1, V2)
    path = registry.layout.stage(CHURN, PRODUCTION)
    registry.promote(V1)
    registry.promote(V2, reason="better")
    old = registry.tree[path]
    registry.rollback()
    registry.commit({path: f"  {old}\n"}, email=HAND, subject="Try again")
    (last,) = registry.last_transitions()
    assert (last.target, last.by, last.reason) == (V2, HAND, "Try again")


def test_fold_git_revert_of_the_first_promotion_clears() -> None:
    registry = simulate(V1)
    registry.promote(V1)
    registry.revert()
    assert moves(registry) == [(PROMOTE, None, V1), (CLEAR, V1, None)]


def test_fold_deletion_of_a_stage_file_clears() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V2)
    registry.edit(None)
    registry.edit({"version": "v2"})
    registry.edit({"version": "v1"})
    assert moves(registry)[2:] == [(CLEAR, V2, None), (PROMOTE, None, V2), (ROLLBACK, V2, V1)]


def test_fold_stage_file_emptied_twice_is_one_clear() -> None:
    registry = simulate(V1)
    registry.promote(V1)
    registry.clear()
    registry.edit(None)
    assert moves(registry) == [(PROMOTE, None, V1), (CLEAR, V1, None)]


def test_fold_unreadable_file_is_a_finding_and_changes_nothing() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V1, STAGING)
    broken = registry.edit({"version": 1.1})
    assert registry.last_transitions() == []
    registry.edit({"version": "v2"})
    timeline = registry.timeline()
    assert moves(registry) == [(PROMOTE, None, V1), (PROMOTE, None, V1), (PROMOTE, V1, V2)]
    (finding,) = timeline.findings
    assert (finding.code, finding.place) == ("bad-data", "registry/churn/stages/production.yaml")
    assert broken.oid[:12] in finding.message
    assert "1.1 is not a version" in finding.message


def test_fold_unreadable_then_restored_is_no_transition() -> None:
    registry = simulate(V1)
    registry.promote(V1)
    registry.edit("not a mapping")
    registry.revert()
    assert moves(registry) == [(PROMOTE, None, V1)]


def test_fold_unreadable_archive_leaves_stages_and_archive() -> None:
    registry = simulate(V1, V2)
    registry.archive(V1)
    registry.edit({"versions": {"v2": {"replaced_in": "../x"}}}, ARCHIVED)
    registry.edit({"version": "v2"})
    timeline = registry.timeline()
    assert set(timeline.archived[CHURN]) == {V1}
    assert [finding.place for finding in timeline.findings] == ["registry/churn/stages/archived.yaml"]
    assert moves(registry) == [(ARCHIVE, None, V1), (PROMOTE, None, V2)]


def test_fold_stray_files_are_passed_over() -> None:
    registry = simulate(V1)
    registry.commit(
        {
            "README.md": "x",
            "registry/churn/versions/notes.txt": "x",
            "registry/churn/stages/Production.yaml": "x",
            "registry/churn/artifact/model.pkl.dvc": "x",
            "registry/Bad Name/stages/production.yaml": "x",
        }
    )
    timeline = registry.timeline()
    assert len(timeline.events) == 1
    assert timeline.findings == []


def test_fold_archive_and_unarchive_are_transitions() -> None:
    registry = simulate(V1, V2)
    registry.archive(V1)
    registry.archive(V2)
    registry.archive(V1, undo=True)
    timeline = registry.timeline()
    assert moves(registry) == [(ARCHIVE, None, V1), (ARCHIVE, None, V2), (CLEAR, V1, None)]
    assert {each.stage for each in timeline.transitions} == {ARCHIVED}
    assert [each.reason for each in timeline.transitions] == [
        "reason 2",
        "reason 3",
        "Take churn v1.0.0 out of the archive",
    ]
    assert set(timeline.archived[CHURN]) == {V2}


def test_fold_deletion_of_the_archive_takes_all_out() -> None:
    registry = simulate(V1, V2)
    registry.edit({"versions": {"v1": None, "v2": None}}, ARCHIVED)
    registry.edit(None, ARCHIVED)
    assert moves(registry) == [(ARCHIVE, None, V1), (ARCHIVE, None, V2), (CLEAR, V1, None), (CLEAR, V2, None)]


def test_fold_archive_brought_back_is_its_committer_s() -> None:
    registry = simulate(V1)
    registry.archive(V1)
    registry.archive(V1, undo=True)
    registry.revert()
    (last,) = registry.last_transitions()
    assert (last.action, last.by, last.reason) == (ARCHIVE, HAND, "Revert")


def test_fold_other_words_on_an_archived_version_are_no_transition() -> None:
    registry = simulate(V1)
    registry.archive(V1)
    registry.edit({"versions": {"v1": {"reason": "another"}}}, ARCHIVED)
    assert registry.last_transitions() == []
    assert registry.timeline().archived[CHURN][V1].reason == "another"


def test_fold_promotion_that_archives_is_two_transitions() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.promote(V2, on_replace=OnReplace.ARCHIVE)
    assert [(each.stage, each.action, each.target) for each in registry.last_transitions()] == [
        (ARCHIVED, ARCHIVE, V1),
        (PRODUCTION, PROMOTE, V2),
    ]


def test_fold_record_written_twice_or_deleted_is_a_finding() -> None:
    registry = simulate(V1)
    path = registry.layout.record(CHURN, V1)
    registry.commit({path: "another"})
    registry.commit({path: None})
    registry.commit({path: "a third"})
    timeline = registry.timeline()
    assert [finding.code for finding in timeline.findings] == ["record-changed", "record-deleted", "record-changed"]
    assert {finding.place for finding in timeline.findings} == {path}
    (appearance,) = timeline.appearances.values()
    assert appearance.commit is registry.commits[0]
    assert timeline.events == [appearance]


def test_fold_record_moved_within_one_commit_appears_where_it_came() -> None:
    registry = simulate(V1)
    registry.commit({registry.layout.record(CHURN, V1): None, registry.layout.record(CHURN, V2): "x"})
    assert list(registry.timeline().appearances) == [(CHURN, V1), (CHURN, V2)]


def approval_path(name: str = "0a1b", version: Version = V2) -> str:
    return Layout().approval(CHURN, version, PRODUCTION, name)


def test_fold_approval_is_there_from_the_commit_that_adds_it_until_one_deletes_it() -> None:
    registry = simulate(V1)
    key = (CHURN, V2, PRODUCTION)
    first = registry.commit({approval_path(): "first"})
    second = registry.commit({approval_path("9f"): "second", approval_path(version=V1): "another's"})
    files = registry.timeline().approvals[key]
    assert [file.position for file in files.values()] == [1, 2]
    assert files == {
        approval_path(): ApprovalFile(approval_path(), oid_of("first"), first, 1),
        approval_path("9f"): ApprovalFile(approval_path("9f"), oid_of("second"), second, 2),
    }
    registry.commit({approval_path(): None})
    timeline = registry.timeline()
    assert list(timeline.approvals[key]) == [approval_path("9f")]
    assert timeline.withdrawn == {key: [files[approval_path()]]}
    registry.commit({approval_path(): "first"})
    timeline = registry.timeline()
    assert timeline.approvals[key][approval_path()].position == 4
    assert timeline.withdrawn == {key: [files[approval_path()]]}
    assert timeline.findings == []


def test_fold_approval_that_is_changed_keeps_its_first_words_and_is_a_finding() -> None:
    registry = simulate(V1)
    first = registry.commit({approval_path(): "first"})
    registry.commit({approval_path(): "second"})
    registry.commit({approval_path(): "first"})
    timeline = registry.timeline()
    expected = ApprovalFile(approval_path(), oid_of("first"), first, 1, is_changed=True)
    assert timeline.approvals[CHURN, V2, PRODUCTION] == {approval_path(): expected}
    assert timeline.approvals[CHURN, V2, PRODUCTION][approval_path()].position == 1
    assert [(finding.code, finding.place) for finding in timeline.findings] == [
        ("approval-changed", approval_path()),
        ("approval-changed", approval_path()),
    ]
    assert registry.commits[-1].oid[:12] in timeline.findings[-1].message


def test_fold_deletion_of_an_approval_that_nobody_saw_is_nothing() -> None:
    registry = simulate(V1)
    change = FileChange(approval_path(), "0f", None)
    registry.commits.append(Commit("1f", "Ada", ADA, START, "Delete", (change,)))
    timeline = registry.timeline()
    assert (timeline.approvals, timeline.withdrawn) == ({(CHURN, V2, PRODUCTION): {}}, {})


def test_fold_times_of_a_version_in_a_stage_are_those_of_the_commits() -> None:
    registry = simulate(V1, V2)
    times = []
    for version in (V1, V2, None, V1):
        registry.edit_version(version)
        times.append(registry.now)
    registry.edit({"version": "v1.0.0", "hold": True})  # changes nothing
    lane = registry.timeline().lane(CHURN, PRODUCTION)
    assert lane.held == {V1: Stay(PRODUCTION, times[0], times[1]), V2: Stay(PRODUCTION, times[1], times[2])}
    assert (lane.entered, lane.position) == (times[3], 5)


@pytest.mark.parametrize("days", [[1, 3, 2], [-2, -1], [4], [0, -1]])
def test_lane_keeps_the_longest_time_of_a_version(days: list[int]) -> None:
    lane = Lane()
    for number in days:  # a clock can jump back
        lane.apply(V1)
        lane.entered = START
        lane.leave(PRODUCTION, START + timedelta(days=number))
        lane.apply(None)
        lane.leave(PRODUCTION, START + timedelta(days=9))  # nothing is there
    assert lane.held == {V1: Stay(PRODUCTION, START, START + timedelta(days=max(days)))}


def test_fold_signed_statement_speaks_for_what_it_says_it_replaces_alone() -> None:
    registry = simulate(V1, V2)
    bare: dict[str, Plain] = {"version": "v1", "reason": "first", "by": ADA, "signature": "x"}
    registry.edit(bare)
    assert registry.last_transitions()[0].by == ADA
    registry.edit_version(V2)
    registry.edit({**bare, "hold": True})
    assert registry.last_transitions()[0].by == HAND
    registry.edit_version(V2)
    registry.edit({**bare, "reason": "another"})  # it replaces v2, and says nothing of that
    assert registry.last_transitions()[0].by == HAND
    registry.edit_version(V2)
    registry.edit({**bare, "reason": "another", "replaces": "v2"})
    assert (registry.last_transitions()[0].by, registry.last_transitions()[0].reason) == (ADA, "another")


@pytest.mark.parametrize("change", [{"hold": True}, {"signature": "y"}, {"still_assigned": ["v1"]}])
def test_fold_signature_counts_once(change: dict[str, Plain]) -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    said: dict[str, Plain] = {"version": "v2", "replaces": "v1", "reason": "x", "by": ADA, "signature": "x"}
    registry.edit(said)
    assert registry.last_transitions()[0].statement
    registry.edit_version(V1)
    registry.edit({**said, **change})
    assert (registry.last_transitions()[0].statement, registry.last_transitions()[0].by) == (None, HAND)


def test_fold_adopted_transition_has_gto_s_tag_and_time() -> None:
    registry = simulate(V1)
    adopted: Plain = {"tag": "churn#production#5", "at": "2024-05-06T07:08:09Z", "commit": "0f"}
    entry: dict[str, Plain] = {"version": "v1", "replaces": "none", "by": "old@example.com", "adopted": adopted}
    registry.edit({**entry, "still_assigned": ["v2"]})
    (last,) = registry.last_transitions()
    assert (last.adopted, last.by, last.at.year) == ("churn#production#5", "old@example.com", 2024)
    assert last.still_assigned == (V2,)
    registry.edit_version(V2)
    (last,) = registry.last_transitions()
    assert (last.adopted, last.by, last.at, last.still_assigned) == ("", HAND, registry.now, ())


def test_fold_adopted_without_a_time_has_the_commit_s() -> None:
    registry = simulate(V1)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#5"}})
    assert registry.last_transitions()[0].at == registry.now


def test_fold_adopted_tag_that_moved_nothing_is_an_event_and_no_transition() -> None:
    registry = simulate(V1)
    registry.promote(V1)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#9"}})
    first = AdoptedTag(CHURN, PRODUCTION, "churn#production#9", registry.now, V1)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#9"}, "hold": True})
    registry.edit({"version": "none", "adopted": {"tag": "churn#dev#2"}, "still_assigned": ["v3", "v2"]}, STAGING)
    second = AdoptedTag(CHURN, STAGING, "churn#dev#2", registry.now, None, (V3, V2))
    timeline = registry.timeline()
    assert timeline.events[2:] == [first, second]
    assert len(timeline.transitions) == 1


Edit = tuple[ModelName, str, Version | None]
edits = st.lists(
    st.tuples(
        st.sampled_from([CHURN, ModelName("fraud/eu"), ModelName("churn-2")]),
        st.sampled_from([STAGING, PRODUCTION, ARCHIVED, "record"]),
        st.none() | small_versions,
    ),
    max_size=15,
)


def play(registry: Simulator, edits: list[Edit]) -> None:
    for model, what, version in edits:
        if what == "record":
            registry.register(version or V1, model=model)
        elif what == ARCHIVED:
            registry.edit({"versions": {str(version): None}} if version else None, ARCHIVED, model=model)
        else:
            stage = STAGING if what == STAGING else PRODUCTION
            registry.edit({"version": str(version)} if version else "broken", stage, model=model)


@given(edits, st.integers(0, 15))
def test_fold_is_pure_and_only_grows(edits: list[Edit], cut: int) -> None:
    registry = Simulator()
    play(registry, edits[:cut])
    early = registry.timeline()
    play(registry, edits[cut:])
    late = registry.timeline()
    assert late == registry.timeline()
    assert late.events[: len(early.events)] == early.events
    assert late.findings[: len(early.findings)] == early.findings
    assert [event for event in late.events if isinstance(event, Transition)] == late.transitions
    assert [event for event in late.events if isinstance(event, Appearance)] == list(late.appearances.values())


@given(edits)
def test_fold_of_one_model_is_its_part_of_the_whole(edits: list[Edit]) -> None:
    registry = Simulator()
    play(registry, edits)
    whole = registry.timeline()
    for model in {model for model, _, _ in edits}:
        part = registry.timeline(model)
        assert part.transitions == [each for each in whole.transitions if each.model == model]
        assert list(part.appearances) == [key for key in whole.appearances if key[0] == model]
        assert _unplaced({key: lane for key, lane in whole.lanes.items() if key[0] == model}) == _unplaced(part.lanes)


def _unplaced(lanes: dict[tuple[ModelName, StageName], Lane]) -> dict[tuple[ModelName, StageName], Lane]:
    """Returns lanes that tell nothing of where in the history a change came."""
    return {key: replace(lane, position=0) for key, lane in lanes.items()}


@given(edits)
def test_fold_ends_where_the_tree_is(edits: list[Edit]) -> None:
    registry = Simulator()
    play(registry, edits)
    timeline = registry.timeline()
    for model in {model for model, _, _ in edits}:
        state = registry.state(model)
        assert timeline.archived.get(model, {}) == state.archived
        for stage in (STAGING, PRODUCTION):
            if stage not in state.unreadable:
                assert timeline.lane(model, stage).current == state.holder(stage)
