"""Giving bytes up: one commit that says so, and no object that anything else needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.history.manifest import ArchivedMark, Deletion, tell_deletion
from mreg.core.history.timeline import Action
from mreg.core.names import ARCHIVED, Version
from mreg.core.storage.dropping import Needs, find_garbage, plan_drop
from mreg.core.storage.objects import FaultKind, Found, StoredObject, VersionBytes, find_fault
from mreg.core.writing.plan import Statement
from mreg.errors import DataError, RefusedError
from tests.core.simulator import ADA, CHURN, PRODUCTION, START, V1, V2, V3, V4, Simulator, simulate

MD5, OTHER = "0" * 32, "1" * 32
SHA = "a" * 64
STATEMENT = Statement("too many", ADA, START)


def drop(registry: Simulator, *versions: Version) -> None:
    registry.apply(plan_drop(registry.layout, registry.state(), versions, STATEMENT))


def test_drop_archives_and_says_who_gave_the_bytes_up() -> None:
    registry = simulate(V1, V2)
    plan = plan_drop(registry.layout, registry.state(), [V1], STATEMENT)
    assert plan.message == "Give up the bytes of churn v1.0.0\n\ntoo many\n\nMreg-Action: gc\nMreg-Model: churn\n"
    registry.apply(plan)
    assert registry.state().archived == {
        V1: ArchivedMark("too many", ADA, START, None, Deletion("too many", ADA, START))
    }
    (move,) = registry.last_transitions()
    assert (move.action, move.target, move.stage) == (Action.ARCHIVE, V1, ARCHIVED)


def test_drop_of_many_names_them_in_the_body() -> None:
    registry = simulate(V1, V2, V3, V4)
    plan = plan_drop(registry.layout, registry.state(), [V4, V1, V2, V3], STATEMENT)
    assert plan.message.startswith(
        "Give up the bytes of churn 4 versions\n\ntoo many\n\nv1.0.0\nv2.0.0\nv3.0.0\nv4.0.0\n"
    )


def test_drop_of_what_was_archived_keeps_who_archived_it() -> None:
    registry = simulate(V1, V2)
    registry.archive(V1)
    before = registry.state().archived[V1]
    drop(registry, V1)
    after = registry.state().archived[V1]
    assert (after.reason, after.by, after.at) == (before.reason, before.by, before.at)
    assert after.deletion == Deletion("too many", ADA, START)
    assert registry.last_transitions() == []


def test_drop_of_nothing_changes_nothing() -> None:
    registry = simulate(V1, V2)
    assert not plan_drop(registry.layout, registry.state(), [], STATEMENT).changed


def test_drop_of_what_cannot_be_read_is_refused() -> None:
    registry = simulate(V1, V2)
    registry.edit("nothing that reads")
    with pytest.raises(DataError):
        plan_drop(registry.layout, registry.state(), [V1], STATEMENT)


def test_dropped_version_goes_nowhere_and_stays_archived() -> None:
    registry = simulate(V1, V2, V3)
    for version in (V1, V2, V3):
        registry.promote(version)
    drop(registry, V1, V2)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: registry.promote(V1),
        lambda: registry.archive(V1, undo=True),
        lambda: registry.rollback(to=V2),
    )
    for attempt in attempts:
        with pytest.raises(RefusedError, match=r"its bytes were deleted on purpose by ada@example\.com on 2026-01-01"):
            attempt()
    with pytest.raises(RefusedError, match="no version to go back to"):
        registry.rollback()


def test_dropped_version_that_is_archived_by_hand_stays_dropped() -> None:
    registry = simulate(V1, V2)
    marks = {V1: ArchivedMark("r", ADA, START, PRODUCTION, Deletion("d"))}
    text = '{"versions": {"v1.0.0": {"replaced_in": "production", "deletion": {"reason": "d"}}}}'
    registry.commit({registry.layout.stage(CHURN, ARCHIVED): text})
    registry.archive(V1)
    mark = registry.state().archived[V1]
    assert mark.replaced_in is None
    assert mark.deletion == marks[V1].deletion


def test_deletion_in_words() -> None:
    assert tell_deletion(Deletion()) == "on purpose"
    assert tell_deletion(Deletion("old", ADA, START)) == "on purpose by ada@example.com on 2026-01-01 (old)"


def test_garbage_is_what_nothing_else_has_by_either_hash() -> None:
    file, listing = StoredObject(MD5, 1, SHA), StoredObject(f"{OTHER}.dir", None)
    version = VersionBytes(CHURN, V1, (listing, file))
    assert find_garbage([version], Needs()) == {version.key: (file, listing)}
    assert find_garbage([version], Needs({MD5})) == {version.key: (listing,)}
    assert find_garbage([version], Needs(sha256s={SHA, ""})) == {version.key: (listing,)}
    again = VersionBytes(CHURN, V2, (file,))
    assert Needs({MD5}).cover(again)
    assert not Needs({MD5}).cover(version)
    assert find_garbage([version, again], Needs())[again.key] == ()


names = st.sampled_from([f"{number}" * 32 for number in range(6)])
items = st.builds(lambda md5: StoredObject(md5, 1, md5 * 2), names)
contents = st.lists(items, max_size=4, unique=True).map(tuple)


@given(st.lists(contents, max_size=5), st.lists(contents, max_size=5), st.booleans())
def test_garbage_never_holds_what_is_kept(
    gone: list[tuple[StoredObject, ...]], kept: list[tuple[StoredObject, ...]], by_sha256: bool
) -> None:
    needed = {item for each in kept for item in each}
    needs = Needs(sha256s={item.sha256 for item in needed}) if by_sha256 else Needs({item.md5 for item in needed})
    versions = [VersionBytes(CHURN, Version(number + 1), each) for number, each in enumerate(gone)]
    found = [item for each in find_garbage(versions, needs).values() for item in each]
    assert len(found) == len(set(found))
    assert set(found) == {item for each in gone for item in each} - needed


@pytest.mark.parametrize(
    ("item", "found", "fault"),
    [
        (StoredObject(MD5, 1, SHA), None, FaultKind.MISSING),
        (StoredObject(MD5, 1, SHA), Found(2), FaultKind.SIZE),
        (StoredObject(MD5, 1, SHA), Found(1), None),
        (StoredObject(MD5, 1, SHA), Found(1, MD5, SHA), None),
        (StoredObject(MD5, 1, SHA), Found(1, OTHER), FaultKind.CHANGED),
        (StoredObject(MD5, 1, SHA), Found(1, MD5, "b" * 64), FaultKind.CHANGED),
        (StoredObject(MD5, 1), Found(1, MD5, "b" * 64), None),
        (StoredObject(f"{MD5}.dir", None), Found(9, MD5, "b" * 64), None),
        (StoredObject(f"{MD5}.dir", None), Found(9, OTHER), FaultKind.CHANGED),
    ],
)
def test_fault_of_an_object(item: StoredObject, found: Found | None, fault: FaultKind | None) -> None:
    assert find_fault(item, found) is fault
