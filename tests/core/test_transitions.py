from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.manifest import NO_VERSION
from mreg.core.history.tags import derive_tags
from mreg.core.history.timeline import Action, Lane
from mreg.core.names import ARCHIVED, StageName, Version
from mreg.core.settings.people import People, Person
from mreg.core.settings.policy import OnReplace, Policy, StageRule
from mreg.core.writing.plan import Plan, PlannedChange, Statement
from mreg.core.writing.transitions import plan_archive, plan_hold, plan_promote, plan_rollback
from mreg.errors import DataError, NotFoundError, RefusedError, UsageError
from tests.core.simulator import ADA, CHURN, HAND, PRODUCTION, STAGING, V1, V2, V3, V4, Simulator, simulate
from tests.core.strategies import small_versions

PROMOTE, ROLLBACK, CLEAR, ARCHIVE = Action.PROMOTE, Action.ROLLBACK, Action.CLEAR, Action.ARCHIVE
ARCHIVING = Policy(stages={STAGING: StageRule(), PRODUCTION: StageRule(on_replace=OnReplace.ARCHIVE)})
SHADOW = StageName("shadow")


def promoted(*versions: Version, policy: Policy | None = None) -> Simulator:
    """Returns a registry of four versions, some of which went to production in turn."""
    registry = simulate(V1, V2, V3, V4, policy=policy)
    for version in versions:
        registry.promote(version)
    return registry


def archived(registry: Simulator) -> set[Version]:
    return set(registry.state().archived)


def test_promote_writes_one_file_and_says_why() -> None:
    registry = promoted(V1)
    plan = registry.promote(V2, reason="AUC 0.913 against 0.902")
    document = plan.documents["registry/churn/stages/production.yaml"]
    assert document == {
        "version": "v2.0.0",
        "replaces": "v1.0.0",
        "reason": "AUC 0.913 against 0.902",
        "by": ADA,
        "at": "2026-01-01T00:05:00Z",
    }
    assert len(plan.documents) == 1
    assert plan.changes == (PlannedChange(PRODUCTION, PROMOTE, V1, V2),)
    assert (plan.model, plan.version, plan.stage) == (CHURN, V2, PRODUCTION)
    assert plan.message == (
        "Promote churn v2.0.0 to production\n\nAUC 0.913 against 0.902\n\nMreg-Action: promote\nMreg-Model: churn\n"
        "Mreg-Version: v2.0.0\nMreg-Stage: production\nMreg-From: v1.0.0\n"
    )


def test_promote_into_an_empty_stage_comes_from_none() -> None:
    plan = promoted().promote(V1)
    assert ("Mreg-From", "none") in plan.trailers
    assert plan.changes == (PlannedChange(PRODUCTION, PROMOTE, None, V1),)


def test_promote_what_is_there_already_changes_nothing() -> None:
    plan = promoted(V1).promote(V1)
    assert not plan.changed
    assert plan.notices == ("churn v1.0.0 is already in production",)


def test_promote_to_two_stages_is_two_facts() -> None:
    registry = promoted(V1)
    registry.promote(V1, STAGING)
    assert registry.state().stages_of(V1) == (PRODUCTION, STAGING)


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_promote_and_rollback_without_a_reason_are_refused(reason: str) -> None:
    registry = promoted(V1, V2)
    statement = registry.statement("x")
    bare = type(statement)(reason, statement.by, statement.at)
    lane = registry.timeline().lane(CHURN, PRODUCTION)
    with pytest.raises(UsageError, match="a reason is needed") as caught:
        plan_promote(registry.policy, registry.state(), lane, V3, PRODUCTION, bare)
    assert caught.value.hint == "mreg promote churn@v3.0.0 production --reason 'why'"
    with pytest.raises(UsageError, match="a reason is needed") as caught:
        plan_rollback(registry.policy, registry.state(), lane, PRODUCTION, bare)
    assert caught.value.hint == "mreg rollback churn production --reason 'why'"


def test_unknown_stage_or_version_is_not_found() -> None:
    registry = promoted(V1)
    for each in (registry.rollback, registry.clear):
        with pytest.raises(NotFoundError, match="stage 'shadow' is not declared"):
            each(SHADOW)
    with pytest.raises(NotFoundError, match="stage 'shadow' is not declared"):
        registry.promote(V1, SHADOW)
    for version in (Version(9), Version(1, 0, 1)):
        with pytest.raises(NotFoundError, match="churn has no version"):
            registry.promote(version)
        with pytest.raises(NotFoundError, match="churn has no version"):
            registry.rollback(to=version)
        with pytest.raises(NotFoundError, match="churn has no version"):
            registry.archive(version)


def test_promote_archived_is_refused() -> None:
    registry = promoted(V1)
    registry.archive(V2)
    with pytest.raises(RefusedError, match=r"churn v2\.0\.0 is archived and cannot go to production") as caught:
        registry.promote(V2)
    assert caught.value.hint == "mreg archive churn@v2.0.0 --undo --reason 'why'"
    registry.archive(V2, undo=True)
    assert registry.promote(V2).changed


def test_promote_archived_by_replacement_is_refused_too() -> None:
    registry = promoted(V1, V2, policy=ARCHIVING)
    with pytest.raises(RefusedError, match="is archived"):
        registry.promote(V1)


FROM = Policy(
    stages={
        SHADOW: StageRule(),
        STAGING: StageRule(),
        PRODUCTION: StageRule(origin=(SHADOW, STAGING)),
    }
)


def test_promote_from_elsewhere_is_refused() -> None:
    registry = promoted(policy=FROM)
    with pytest.raises(RefusedError, match=r"may not enter production: comes from shadow or staging: in no") as caught:
        registry.promote(V1)
    assert caught.value.hint == "mreg promote churn@v1.0.0 shadow --reason 'why'   # then production"
    assert [each["rule"] for each in caught.value.details["findings"]] == ["from"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("origin", [SHADOW, STAGING])
def test_promote_from_one_of_the_stages_is_taken(origin: StageName) -> None:
    registry = promoted(policy=FROM)
    registry.promote(V1, origin)
    assert registry.promote(V1).changed
    registry.promote(V2, origin)  # v1 is in production alone now
    assert not registry.promote(V1).changed
    assert registry.state().stages_of(V1) == (PRODUCTION,)


def test_rollback_does_not_ask_where_from() -> None:
    registry = promoted(policy=FROM)
    for version in (V1, V2):
        registry.promote(version, STAGING)
        registry.promote(version)
    assert registry.rollback().version == V1


def test_promote_archives_what_it_replaces_by_policy_or_flag() -> None:
    registry = promoted(V1, V2, policy=ARCHIVING)
    assert archived(registry) == {V1}
    mark = registry.state().archived[V1]
    assert (mark.replaced_in, mark.reason, mark.by) == (PRODUCTION, "replaced by v2.0.0 in production", ADA)
    registry.promote(V3, on_replace=OnReplace.KEEP)
    assert archived(registry) == {V1}
    kept = promoted(V1)
    kept.promote(V2, on_replace=OnReplace.ARCHIVE)
    assert archived(kept) == {V1}


def test_promote_does_not_archive_what_another_stage_holds() -> None:
    registry = promoted(policy=ARCHIVING)
    registry.promote(V1, STAGING)
    registry.promote(V1)
    plan = registry.promote(V2)
    assert archived(registry) == set()
    assert plan.notices == ("churn v1.0.0 was not archived: it is, or may be, in staging",)
    assert plan.changes == (PlannedChange(PRODUCTION, PROMOTE, V1, V2),)


def test_promote_does_not_archive_what_an_unreadable_stage_may_hold() -> None:
    registry = promoted(V1, policy=ARCHIVING)
    registry.edit("broken", STAGING)
    plan = registry.promote(V2)
    assert archived(registry) == set()
    assert plan.notices == ("churn v1.0.0 was not archived: it is, or may be, in staging",)


def test_promote_does_not_archive_what_is_not_registered_or_is_archived() -> None:
    registry = promoted(policy=ARCHIVING)
    registry.edit({"version": "v9"})
    assert registry.promote(V1).notices == ()
    assert archived(registry) == set()
    registry.edit({"versions": {"v1": {"reason": "by hand"}}}, ARCHIVED)
    registry.promote(V2)
    assert registry.state().archived[V1].reason == "by hand"


def test_hold_is_set_by_rollback_and_released_by_promote() -> None:
    registry = promoted(V1, V2)
    registry.rollback()
    assert registry.state().entries[PRODUCTION].hold
    registry.promote(V3)
    assert not registry.state().entries[PRODUCTION].hold


def test_promote_of_what_is_held_releases_the_hold_and_keeps_the_statement() -> None:
    registry = promoted(V1, V2)
    registry.rollback()
    before = registry.state().entries[PRODUCTION]
    plan = registry.promote(V1, reason="all is well again")
    after = registry.state().entries[PRODUCTION]
    assert (after.hold, after.reason, after.by, after.replaces) == (False, before.reason, before.by, before.replaces)
    assert (plan.model, plan.version, plan.stage) == (CHURN, V1, PRODUCTION)
    assert plan.subject == "Release the hold on churn production"
    assert plan.changes == ()
    assert "\n\nall is well again\n\nMreg-Action: release\n" in plan.message
    assert registry.last_transitions() == []
    assert not registry.promote(V1).changed


def hold(
    registry: Simulator, stage: StageName = PRODUCTION, *, on: bool = True, by: str = ADA, reason: str = "wait"
) -> Plan:
    return registry.apply(
        plan_hold(registry.policy, registry.state(), stage, Statement(reason, by, registry.now), on=on), email=by
    )


def test_hold_keeps_the_version_and_the_statement() -> None:
    registry = promoted(V1)
    before = registry.state().entries[PRODUCTION]
    plan = hold(registry)
    assert registry.state().entries[PRODUCTION] == replace(before, hold=True)
    assert (plan.model, plan.version, plan.stage, plan.changes) == (CHURN, V1, PRODUCTION, ())
    assert plan.keeps_statement
    assert plan.message == (
        "Hold churn production\n\nwait\n\nMreg-Action: hold\nMreg-Model: churn\nMreg-Version: v1.0.0\n"
        "Mreg-Stage: production\nMreg-From: v1.0.0\n"
    )
    assert registry.last_transitions() == []
    released = hold(registry, on=False, reason="go on")
    assert released.subject == "Release the hold on churn production"
    assert released.trailers[0] == ("Mreg-Action", "release")
    assert registry.state().entries[PRODUCTION] == before


def test_hold_of_a_stage_that_was_never_entered() -> None:
    registry = promoted()
    plan = hold(registry)
    assert plan.documents == {"registry/churn/stages/production.yaml": {"version": "none", "hold": True}}
    assert ("Mreg-From", NO_VERSION) in plan.trailers
    assert registry.state().holder(PRODUCTION) is None
    registry.promote(V1)
    assert not registry.state().entries[PRODUCTION].hold


def test_hold_that_is_so_already_changes_nothing() -> None:
    registry = promoted(V1)
    assert hold(registry, on=False).notices == ("churn production is not held",)
    assert hold(registry, STAGING, on=False).notices == ("churn staging is not held",)
    hold(registry)
    again = hold(registry)
    assert (again.changed, again.version, again.notices) == (False, V1, ("churn production is already held",))


@pytest.mark.parametrize(("on", "off"), [(True, ""), (False, " --off")])
def test_hold_needs_a_reason_a_stage_and_a_file_that_can_be_read(on: bool, off: str) -> None:
    registry = promoted(V1)
    with pytest.raises(UsageError, match="a reason is needed") as caught:
        hold(registry, on=on, reason=" ")
    assert caught.value.hint == f"mreg hold churn production{off} --reason 'why'"
    with pytest.raises(NotFoundError, match="stage 'shadow' is not declared"):
        hold(registry, SHADOW, on=on)
    registry.edit("broken")
    with pytest.raises(DataError, match="a mapping is expected here"):
        hold(registry, on=on)


WHO = Policy(
    stages={STAGING: StageRule(), PRODUCTION: StageRule(who=("managers", "others"))},
    people=People({"ada": Person("ada", (ADA,))}, {"managers": ("ada",), "others": ()}),
)


def test_hold_is_set_and_released_by_who_may_change_the_stage() -> None:
    registry = promoted(V1, policy=WHO)
    for on in (True, False):
        with pytest.raises(RefusedError, match=r"hand@example\.com may not change production: only") as caught:
            hold(registry, on=on, by=HAND)
        assert caught.value.hint == "ask one of them: ada"
        assert caught.value.details["rule"] == "who"
        assert hold(registry, on=on).changed
    assert hold(registry, STAGING, by=HAND).changed


def test_promote_of_what_is_held_releases_the_hold_for_who_may_alone() -> None:
    registry = promoted(V1, V2, policy=WHO)
    registry.rollback()
    lane, statement = registry.timeline().lane(CHURN, PRODUCTION), Statement("mine", HAND, registry.now)
    with pytest.raises(RefusedError, match="may not change production: only managers or others may"):
        plan_promote(registry.policy, registry.state(), lane, V1, PRODUCTION, statement)


def test_two_rollbacks_go_back_two_versions() -> None:
    registry = promoted(V1, V2, V3)
    assert [registry.rollback().version, registry.rollback().version] == [V2, V1]
    with pytest.raises(RefusedError, match="churn production has no version to go back to") as caught:
        registry.rollback()
    assert caught.value.hint.startswith("mreg history churn production")
    assert registry.state().holder(PRODUCTION) == V1


def test_rollback_with_nothing_below_hints_at_what_once_held_the_stage() -> None:
    registry = promoted(V1, V2, V3, V1)
    with pytest.raises(RefusedError, match="no version to go back to") as caught:
        registry.rollback()
    others = "it once held others: mreg rollback … --to v3.0.0 or --to v2.0.0"
    assert caught.value.hint == f"mreg history churn production   # {others}"
    for version in (V2, V3):
        registry.archive(version)
    with pytest.raises(RefusedError, match="no version to go back to") as caught:
        registry.rollback()
    assert caught.value.hint == "mreg history churn production"


def test_rollback_with_nothing_before_is_refused() -> None:
    for registry in (promoted(), promoted(V1)):
        with pytest.raises(RefusedError, match="no version to go back to"):
            registry.rollback()


def test_rollback_after_a_new_promotion_goes_below_it() -> None:
    registry = promoted(V1, V2)
    registry.rollback()
    registry.promote(V3)
    assert registry.rollback().version == V1


def test_rollback_after_clear_puts_back_what_was_cleared() -> None:
    registry = promoted(V1, V2)
    registry.clear()
    plan = registry.rollback()
    assert plan.changes == (PlannedChange(PRODUCTION, PROMOTE, None, V2),)
    assert plan.notices == ("production was cleared, so v2.0.0 enters it again as a promotion and must pass its gates",)
    assert registry.state().entries[PRODUCTION].hold
    again = registry.rollback()
    assert (again.version, again.notices) == (V1, ())


def test_rollback_after_a_hand_edit_and_a_git_revert_knows_both() -> None:
    registry = promoted(V1)
    registry.edit_version(V2)
    registry.promote(V3)
    registry.revert()
    assert registry.state().holder(PRODUCTION) == V2
    assert registry.rollback().version == V1


def test_rollback_skips_what_was_archived_by_hand() -> None:
    registry = promoted(V1, V2, V3)
    registry.archive(V2)
    assert registry.rollback().version == V1
    assert archived(registry) == {V2}


def test_rollback_skips_what_is_not_registered_any_more() -> None:
    registry = promoted(V1, V2, V3)
    registry.commit({registry.layout.record(CHURN, V2): None})
    assert registry.rollback().version == V1


def test_rollback_with_all_archived_by_hand_is_refused() -> None:
    registry = promoted(V1, V2)
    registry.archive(V1)
    with pytest.raises(RefusedError, match="no version to go back to"):
        registry.rollback()


def test_rollback_takes_back_what_replacement_archived() -> None:
    registry = promoted(V1, V2, V3, policy=ARCHIVING)
    assert archived(registry) == {V1, V2}
    plan = registry.rollback()
    assert plan.version == V2
    assert plan.changes == (
        PlannedChange(PRODUCTION, ROLLBACK, V3, V2),
        PlannedChange(ARCHIVED, CLEAR, V2, None),
    )
    assert archived(registry) == {V1}
    assert registry.rollback().version == V1
    assert archived(registry) == set()
    assert registry.layout.stage(CHURN, ARCHIVED) not in registry.tree


def test_rollback_skips_what_was_archived_by_replacement_and_then_by_hand() -> None:
    registry = promoted(V1, V2, V3, policy=ARCHIVING)
    plan = registry.archive(V2)
    assert plan.changed
    assert plan.changes == ()
    assert registry.last_transitions() == []
    assert registry.state().archived[V2].replaced_in is None
    assert registry.rollback().version == V1


def test_rollback_to_names_a_version_that_held_the_stage() -> None:
    registry = promoted(V1, V2, V3)
    plan = registry.rollback(to=V1)
    assert plan.changes == (PlannedChange(PRODUCTION, ROLLBACK, V3, V1),)
    # v3 left the stack, and did hold the stage: forward again, as a new entry.
    assert registry.rollback(to=V3).changes == (PlannedChange(PRODUCTION, PROMOTE, V1, V3),)
    assert registry.state().entries[PRODUCTION].hold
    assert registry.rollback().version == V1
    assert registry.rollback(to=V1).notices == ("churn v1.0.0 is already in production",)


def test_rollback_to_a_version_that_never_held_the_stage_is_refused() -> None:
    registry = promoted(V1, V2)
    registry.promote(V3, STAGING)
    with pytest.raises(RefusedError, match=r"churn v3\.0\.0 never held production") as caught:
        registry.rollback(to=V3)
    assert "the versions that did: v1.0.0, v2.0.0" in caught.value.hint
    assert "mreg promote churn@v3.0.0 production --reason 'why'" in caught.value.hint
    with pytest.raises(RefusedError) as caught:
        registry.rollback(STAGING, to=V1)
    assert "the versions that did: v3.0.0" in caught.value.hint
    with pytest.raises(RefusedError) as caught:
        promoted().rollback(to=V1)
    assert "the versions that did: none" in caught.value.hint


def test_rollback_to_a_version_archived_by_hand_is_refused() -> None:
    registry = promoted(V1, V2)
    registry.archive(V1)
    with pytest.raises(RefusedError, match=r"v1\.0\.0 was archived by hand and cannot go to production") as caught:
        registry.rollback(to=V1)
    assert caught.value.hint == "mreg archive churn@v1.0.0 --undo --reason 'why'"


def test_clear_empties_and_keeps_the_hold() -> None:
    registry = promoted(V1, V2)
    registry.rollback()
    plan = registry.clear()
    assert plan.changes == (PlannedChange(PRODUCTION, CLEAR, V1, None),)
    entry = registry.state().entries[PRODUCTION]
    assert (entry.version, entry.hold) == (None, True)
    assert (plan.model, plan.version, plan.stage) == (CHURN, V1, PRODUCTION)
    assert plan.subject == "Clear churn production of v1.0.0"
    assert ("Mreg-Version", NO_VERSION) in plan.trailers
    again = registry.clear()
    assert not again.changed
    assert again.notices == ("churn has no version in production",)


def test_clear_of_a_stage_that_is_declared_no_more_works() -> None:
    registry = promoted()
    registry.edit({"version": "v1"}, SHADOW)
    assert registry.clear(SHADOW).changed
    assert registry.state().holder(SHADOW) is None


def test_archive_and_undo() -> None:
    registry = promoted()
    plan = registry.archive(V1)
    assert plan.changes == (PlannedChange(ARCHIVED, ARCHIVE, None, V1),)
    assert (plan.model, plan.version, plan.stage) == (CHURN, V1, ARCHIVED)
    assert plan.subject == "Archive churn v1.0.0"
    assert plan.trailers[0] == ("Mreg-Action", "archive")
    assert registry.archive(V1).notices == ("churn v1.0.0 is already archived",)
    undone = registry.archive(V1, undo=True)
    assert undone.changes == (PlannedChange(ARCHIVED, CLEAR, V1, None),)
    assert undone.documents == {"registry/churn/stages/archived.yaml": None}
    assert undone.trailers[0] == ("Mreg-Action", "clear")
    assert registry.archive(V1, undo=True).notices == ("churn v1.0.0 is not archived",)


def test_archive_of_what_a_stage_holds_is_refused() -> None:
    registry = promoted(V1)
    registry.promote(V1, STAGING)
    with pytest.raises(
        RefusedError, match=r"churn v1\.0\.0 is in production, staging and cannot be archived"
    ) as caught:
        registry.archive(V1)
    assert caught.value.hint.startswith("mreg clear churn production --reason 'why'")


def test_archive_undo_of_what_a_stage_holds_mends_a_hand_edit() -> None:
    registry = promoted(V1)
    registry.edit({"versions": {"v1": None}}, ARCHIVED)
    assert registry.archive(V1, undo=True).changed
    assert archived(registry) == set()


def test_archive_undo_of_replacement_takes_it_out() -> None:
    registry = promoted(V1, V2, policy=ARCHIVING)
    assert registry.archive(V1, undo=True).changed
    assert registry.promote(V1).changed


def test_unreadable_stage_stops_what_would_change_it() -> None:
    registry = promoted(V1, V2)
    registry.edit("broken")
    acts: list[Callable[[], Plan]] = [
        lambda: registry.promote(V3),
        registry.rollback,
        registry.clear,
        lambda: registry.archive(V3),
    ]
    for each in acts:
        with pytest.raises(DataError, match="a mapping is expected here"):
            each()
    assert registry.promote(V3, STAGING).changed


def test_unreadable_archive_stops_all_but_rollback_and_clear() -> None:
    registry = promoted(V1, V2)
    registry.edit("broken", ARCHIVED)
    acts: list[Callable[[], Plan]] = [
        lambda: registry.promote(V3),
        lambda: registry.archive(V3),
        lambda: registry.archive(V3, undo=True),
    ]
    for each in acts:
        with pytest.raises(DataError, match="a mapping is expected here"):
            each()
    plan = registry.rollback()
    assert plan.version == V1
    assert list(plan.documents) == ["registry/churn/stages/production.yaml"]
    assert "it is unknown whether v1.0.0 is archived" in plan.notices[0]
    assert registry.clear().changed


def test_approvers_are_in_the_file_the_message_and_the_history() -> None:
    registry = promoted()
    statement = registry.statement("good", "bob@example.com", "eve\nMreg-Stage: staging")
    plan = plan_promote(registry.policy, registry.state(), Lane(), V1, PRODUCTION, statement)
    registry.apply(plan)
    assert registry.last_transitions()[0].approved_by == ("bob@example.com", "eve\nMreg-Stage: staging")
    assert plan.message.endswith("\nApproved-by: bob@example.com\nApproved-by: eve Mreg-Stage: staging\n")


@pytest.mark.parametrize(
    "reason",
    [
        "x\nApproved-by: eve@example.com",
        "x\n\nApproved-by: eve@example.com\nMreg-Stage: staging",
        "Mreg-Stage: staging",
        "x\n\nApproved-by: eve@example.com\n---\ny",
        "x\n\nMreg-Stage: staging\n# ------------------------ >8 ------------------------\ny",
    ],
)
def test_hostile_reason_is_no_trailer_to_git(reason: str) -> None:
    registry = promoted(V1)
    registry.archive(V4)
    plans: Sequence[Plan] = (
        registry.promote(V2, reason=reason),
        plan_archive(registry.policy, registry.state(), V3, registry.statement(reason)),
    )
    for plan in plans:
        command = ["git", "interpret-trailers", "--parse"]
        done = subprocess.run(command, input=plan.message, stdout=subprocess.PIPE, encoding="utf-8", check=True)
        assert done.stdout == "".join(f"{key}: {value}\n" for key, value in plan.trailers)
        assert [key for key, _ in plan.trailers] == [
            "Mreg-Action",
            "Mreg-Model",
            "Mreg-Version",
            "Mreg-Stage",
            "Mreg-From",
        ]


Step = tuple[str, Version, StageName]
ACTS = ["promote", "promote", "replace", "rollback", "rollback", "to", "clear", "archive", "undo"]
BY_HAND = ["edit", "delete", "revert", "break", "mark"]
steps = st.lists(
    st.tuples(st.sampled_from([*ACTS, *BY_HAND]), small_versions, st.sampled_from([STAGING, PRODUCTION, PRODUCTION])),
    max_size=14,
)


def act(registry: Simulator, step: Step) -> Plan | None:
    """Does one thing, by mreg or by hand; a plan where mreg did it and did not refuse."""
    what, version, stage = step
    acts = {
        "promote": lambda: registry.promote(version, stage),
        "replace": lambda: registry.promote(version, stage, on_replace=OnReplace.ARCHIVE),
        "rollback": lambda: registry.rollback(stage),
        "to": lambda: registry.rollback(stage, to=version),
        "clear": lambda: registry.clear(stage),
        "archive": lambda: registry.archive(version),
        "undo": lambda: registry.archive(version, undo=True),
    }
    if what in acts:
        with suppress(RefusedError, DataError):
            return acts[what]()
    if what == "revert" and len(registry.commits) > 4:
        registry.revert()
    elif what == "mark":
        registry.edit({"versions": {str(version): None}}, ARCHIVED)
    elif what == "edit":
        registry.edit({"version": str(version)}, stage)
    elif what in {"delete", "break"}:
        registry.edit("broken" if what == "break" else None, stage)
    return None


@given(steps)
def test_every_plan_does_what_it_says_after_any_history(steps: list[Step]) -> None:
    registry = promoted()
    for step in steps:
        before, tags, commits = registry.timeline(), list(derive_tags(registry.timeline())), len(registry.commits)
        plan = act(registry, step)
        after = registry.timeline()
        assert after.events[: len(before.events)] == before.events
        assert list(derive_tags(after))[: len(tags)] == tags
        if plan is None:
            continue
        assert len(registry.commits) == commits + plan.changed
        done = [(each.stage, each.action, each.source, each.target) for each in registry.last_transitions()]
        told = [(each.stage, each.action, each.source, each.target) for each in plan.changes]
        if plan.changed:
            assert sorted(done, key=str) == sorted(told, key=str)
            assert all(each.by == ADA for each in registry.last_transitions())
        moved = [each for each in registry.last_transitions() if each.stage == plan.stage and plan.changes]
        assert all(each.reason == plan.body for each in moved if each.action is not CLEAR or each.stage != ARCHIVED)
        # Whatever happened before, a plan never leaves a version both archived and freshly in a stage.
        state = registry.state()
        fresh = [each.target for each in plan.changes if each.stage != ARCHIVED and each.target]
        assert not set(fresh) & set(state.archived)


@given(steps)
def test_rollbacks_never_go_to_and_fro(steps: list[Step]) -> None:
    registry = promoted()
    for step in steps:
        act(registry, step)
    seen: list[Version | None] = [registry.timeline().lane(CHURN, PRODUCTION).current]
    if PRODUCTION in registry.state().unreadable:
        return
    while True:
        try:
            plan = registry.rollback()
        except RefusedError:
            break
        assert plan.changed
        assert plan.version not in seen
        seen.append(plan.version)
    assert len(seen) <= 5
