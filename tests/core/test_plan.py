from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields
from mreg.core.history.manifest import StageEntry, format_stage, parse_stage
from mreg.core.history.state import ModelState
from mreg.core.layout import Layout
from mreg.core.names import Bump, Version
from mreg.core.writing.plan import Plan, choose_version, tell_next, with_approvers
from mreg.errors import NamingError, RefusedError
from tests.core.simulator import CHURN, PRODUCTION, STAGING, V1, V2, V3, simulate
from tests.core.strategies import stage_entries, versions, words

RC = Version(3, prerelease=("rc", "1"))


def model(*some: Version) -> ModelState:
    return ModelState(CHURN, records=dict.fromkeys(sorted(some), ""))


@pytest.mark.parametrize("bump", Bump)
def test_choose_version_first_is_one(bump: Bump) -> None:
    assert choose_version(model(), None, bump, force=False) == V1
    assert choose_version(model(), RC, bump, force=False) == RC


def test_choose_version_after_the_greatest_number_is_told() -> None:
    last = Version(999_999_999)
    with pytest.raises(NamingError, match=r"no version can come after v999999999\.0\.0") as caught:
        choose_version(model(last), None, Bump.MAJOR, force=False)
    assert "--bump" in caught.value.hint
    for asked in (last, V1):
        with pytest.raises(RefusedError) as refused:
            choose_version(model(last), asked, Bump.MAJOR, force=False)
        assert "v999999999.1.0" in refused.value.hint
    assert tell_next(Version(999_999_999, 999_999_999, 999_999_999), Bump.MAJOR) == "v999999999.999999999.999999999"


def test_choose_version_next_raises_the_newest() -> None:
    assert choose_version(model(V1, V2), None, Bump.MAJOR, force=False) == V3
    assert choose_version(model(V1, V2), None, Bump.MINOR, force=False) == Version(2, 1)
    assert choose_version(model(V1, V2, RC), None, Bump.MAJOR, force=False) == V3


@given(st.sets(versions, max_size=5), st.sampled_from(Bump))
def test_choose_version_next_is_new_and_the_newest(some: set[Version], bump: Bump) -> None:
    try:
        chosen = choose_version(model(*some), None, bump, force=False)
    except NamingError:
        assert max(max(version.major, version.minor, version.patch) for version in some) == 999_999_999
    else:
        assert all(chosen > version for version in some)


@pytest.mark.parametrize("force", [False, True])
def test_choose_version_existing_is_refused(force: bool) -> None:
    with pytest.raises(RefusedError, match=r"churn v1\.0\.0 exists, and a version is written once") as caught:
        choose_version(model(V1, V2), V1, Bump.MAJOR, force=force)
    assert caught.value.hint == "leave --version out: the next one is v3.0.0"


def test_choose_version_that_differs_in_case_alone_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"v3\.0\.0-rc\.1 exists"):
        choose_version(model(RC), Version(3, prerelease=("RC", "1")), Bump.MAJOR, force=True)


def test_choose_version_whose_record_was_deleted_is_used_up() -> None:
    assert choose_version(model(V1), None, Bump.MAJOR, force=False, once=[V1, V2]) == V3
    with pytest.raises(RefusedError, match=r"churn v2\.0\.0 existed once"):
        choose_version(model(V1), V2, Bump.MAJOR, force=True, once=[V1, V2])


def test_choose_version_older_needs_force() -> None:
    with pytest.raises(RefusedError, match=r"v1\.5\.0 is older than the newest version v2\.0\.0") as caught:
        choose_version(model(V1, V2), Version(1, 5), Bump.MINOR, force=False)
    assert "--version v2.1.0" in caught.value.hint
    assert choose_version(model(V1, V2), Version(1, 5), Bump.MINOR, force=True) == Version(1, 5)


def test_choose_version_newer_is_taken() -> None:
    assert choose_version(model(V1), Version(7, 1), Bump.MAJOR, force=False) == Version(7, 1)
    assert choose_version(model(V1), Version(2, prerelease=("rc",)), Bump.MAJOR, force=False).prerelease == ("rc",)


def test_plan_without_files_changes_nothing() -> None:
    assert not Plan(CHURN).changed
    assert Plan(CHURN, documents={"a.yaml": None}).changed


def test_plan_message_has_its_trailers_last() -> None:
    plan = Plan(CHURN, subject="Do\nit", body="why\n\nApproved-by: eve", trailers=(("Mreg-Action", "promote\nX: y"),))
    assert plan.message == "Do it\n\nwhy\n\nApproved-by: eve\n\nMreg-Action: promote X: y\n"


STAGE_FILE = "registry/churn/stages/production.yaml"


def entry_in(plan: Plan) -> StageEntry:
    document = plan.documents[STAGE_FILE]
    assert isinstance(document, Mapping)
    return parse_stage(Fields(document, where=STAGE_FILE))


def test_with_approvers_names_them_in_the_file_and_in_the_message() -> None:
    plan = simulate(V1).promote(V1)
    named = with_approvers(plan, Layout(), PRODUCTION, ["bo@example.com", "cy@example.com"])
    assert entry_in(named).approved_by == ("bo@example.com", "cy@example.com")
    assert entry_in(named).reason == entry_in(plan).reason
    assert named.message == f"{plan.message}Approved-by: bo@example.com\nApproved-by: cy@example.com\n"


def test_with_approvers_keeps_those_that_are_named_already() -> None:
    plan = with_approvers(simulate(V1).promote(V1), Layout(), PRODUCTION, ["bo@example.com"])
    more = with_approvers(plan, Layout(), PRODUCTION, ["bo@example.com", "ann@example.com"])
    assert entry_in(more).approved_by == ("bo@example.com", "ann@example.com")
    assert [who for key, who in more.trailers if key == "Approved-by"] == ["bo@example.com", "ann@example.com"]
    assert with_approvers(more, Layout(), PRODUCTION, ["bo@example.com"]) is more


def test_with_approvers_changes_nothing_where_there_is_nothing_to_name() -> None:
    plan = simulate(V1).promote(V1)
    who = ["bo@example.com"]
    assert with_approvers(plan, Layout(), PRODUCTION, []) is plan
    assert with_approvers(plan, Layout(), STAGING, who) is plan
    assert with_approvers(plan, Layout("elsewhere"), PRODUCTION, who) is plan
    for plan in (Plan(None), Plan(CHURN), Plan(CHURN, documents={STAGE_FILE: None})):
        assert with_approvers(plan, Layout(), PRODUCTION, who) is plan


@given(stage_entries(), st.lists(words, max_size=4))
def test_with_approvers_names_each_once_and_changes_nothing_else(entry: StageEntry, who: list[str]) -> None:
    plan = Plan(CHURN, documents={STAGE_FILE: format_stage(entry), "other": b"x"})
    named = with_approvers(plan, Layout(), PRODUCTION, list(dict.fromkeys(who)))
    expected = (*entry.approved_by, *(each for each in dict.fromkeys(who) if each not in entry.approved_by))
    assert entry_in(named) == StageEntry(
        **{name: getattr(entry, name) for name in StageEntry.__struct_fields__ if name != "approved_by"},
        approved_by=expected,
    )
    assert named.documents["other"] == b"x"
    assert with_approvers(named, Layout(), PRODUCTION, who) is named
