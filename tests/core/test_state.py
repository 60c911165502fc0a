from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.history.manifest import StageEntry
from mreg.core.history.state import ModelState, RegistryState
from mreg.core.history.timeline import Finding
from mreg.core.names import ARCHIVED, ModelName, Selector, StageName, Version
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, NotFoundError
from tests.core.simulator import CHURN, PRODUCTION, STAGING, V1, V2, V3, V4
from tests.core.strategies import versions

RC = Version(9, prerelease=("rc",))
BROKEN = Finding("bad-data", "registry/churn/stages/production.yaml", "production.yaml: version: 1.1 is not a version")


def model(*some: Version, **more: object) -> ModelState:
    return ModelState(CHURN, records={version: str(version) for version in sorted(some)}, **more)  # type: ignore[arg-type]


def registry(*states: ModelState) -> RegistryState:
    return RegistryState("0f", Policy(), {state.model: state for state in states})


@given(st.sets(versions))
def test_latest_is_the_greatest_release(some: set[Version]) -> None:
    state = model(*some)
    releases = [version for version in some if not version.prerelease]
    assert state.latest == max(releases or some, default=None)
    assert state.versions == tuple(sorted(some))


def test_latest_prefers_a_release_to_a_later_pre_release() -> None:
    assert model(V1, RC).latest == V1
    assert model(RC).latest == RC
    assert model().latest is None


def test_holder_is_what_the_stage_file_says() -> None:
    state = model(V1, V2, entries={PRODUCTION: StageEntry(V1), STAGING: StageEntry(None)})
    assert state.holder(PRODUCTION) == V1
    assert state.holder(STAGING) is None
    assert state.holder(StageName("shadow")) is None


def test_holder_of_an_unreadable_stage_is_an_error() -> None:
    state = model(V1, unreadable={PRODUCTION: BROKEN})
    with pytest.raises(DataError) as caught:
        state.holder(PRODUCTION)
    assert caught.value.message == BROKEN.message
    assert caught.value.details == {"file": BROKEN.place}
    assert state.holder(STAGING) is None
    state.require_readable(STAGING, ARCHIVED)
    with pytest.raises(DataError):
        state.require_readable(STAGING, PRODUCTION)


def test_stages_of_is_sorted() -> None:
    entries = {STAGING: StageEntry(V1), PRODUCTION: StageEntry(V1), StageName("shadow"): StageEntry(V2)}
    assert model(V1, V2, entries=entries).stages_of(V1) == (PRODUCTION, STAGING)
    assert model(V1, V2, entries=entries).stages_of(V3) == ()


def test_require_unknown_names_the_newest() -> None:
    assert model(V1).require(V1) == V1
    with pytest.raises(NotFoundError, match=r"churn has no version v9\.0\.0") as caught:
        model(V1, V2, V3, V4).require(Version(9))
    assert caught.value.hint == "mreg list churn   # newest: v4.0.0, v3.0.0, v2.0.0"
    with pytest.raises(NotFoundError) as caught:
        model().require(V1)
    assert caught.value.hint == "mreg list churn   # newest: none"


def test_model_unknown_hints_at_the_nearest() -> None:
    some = registry(model(V1), ModelState(ModelName("chum")))
    assert some.model(CHURN).versions == (V1,)
    with pytest.raises(NotFoundError, match="no model 'chrun' is registered") as caught:
        some.model(ModelName("chrun"))
    assert caught.value.hint == "did you mean 'churn'?  mreg list shows all"
    with pytest.raises(NotFoundError) as caught:
        some.model(ModelName("fraud"))
    assert caught.value.hint == "mreg list"
    with pytest.raises(NotFoundError) as caught:
        some.model(ModelName("chum"))  # stage files without a record
    assert "churn" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fraud", "mreg list fraud/"),
        ("fruad", "mreg list fraud/"),
        ("fraud/ue", "did you mean 'fraud/eu'?  mreg list shows all"),
        ("fraud/x-rays/of-lungs", "mreg list fraud/"),
        ("zebra", "mreg list"),
        ("staging", "mreg list --stage staging   # staging is a stage, and a model comes first"),
    ],
)
def test_model_unknown_and_folder_without_one_have_one_hint(name: str, hint: str) -> None:
    some = registry(ModelState(ModelName("fraud/eu"), {V1: "a"}))
    with pytest.raises(NotFoundError) as caught:
        some.model(ModelName(name))
    assert caught.value.hint == hint
    if name != "fraud":
        with pytest.raises(NotFoundError) as caught:
            some.below(name)
        assert caught.value.hint == hint


def test_below_a_model_shows_the_model() -> None:
    with pytest.raises(NotFoundError) as caught:
        registry(model(V1)).below("churn")
    assert caught.value.hint == "mreg list churn"


def test_select_names_one_version() -> None:
    some = registry(model(V1, V2, RC, entries={PRODUCTION: StageEntry(V1)}))
    assert some.select(Selector(CHURN)) == V2
    assert some.select(Selector(CHURN, version=RC)) == RC
    assert some.select(Selector(CHURN, stage=PRODUCTION)) == V1


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (Selector(ModelName("fraud")), "no model 'fraud' is registered"),
        (Selector(CHURN, version=V4), "churn has no version v4.0.0"),
        (Selector(CHURN, stage=STAGING), "churn has no version in staging"),
        (Selector(CHURN, stage=StageName("shadow")), "stage 'shadow' is not declared in registry.yaml"),
        (Selector(CHURN, stage=PRODUCTION), "churn has no version v9.0.0"),
    ],
)
def test_select_what_is_not_there_is_an_error(selector: Selector, message: str) -> None:
    some = registry(model(V1, entries={PRODUCTION: StageEntry(Version(9))}))
    with pytest.raises(NotFoundError) as caught:
        some.select(selector)
    assert caught.value.message == message
    assert caught.value.hint


def test_select_undeclared_stage_in_use_is_its_holder() -> None:
    some = registry(model(V1, entries={StageName("shadow"): StageEntry(V1)}))
    assert some.select(Selector(CHURN, stage=StageName("shadow"))) == V1


def test_select_by_unreadable_stage_is_an_error_and_the_rest_still_reads() -> None:
    some = registry(model(V1, unreadable={PRODUCTION: BROKEN}))
    with pytest.raises(DataError):
        some.select(Selector(CHURN, stage=PRODUCTION))
    assert some.select(Selector(CHURN)) == V1
