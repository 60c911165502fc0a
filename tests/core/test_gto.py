"""What GTO's tags say: the real GTO, given the same tags, shows the same versions and stages."""

from __future__ import annotations

import pytest
from gto.base import Artifact, BaseRegistryState
from gto.constants import VersionSort
from gto.tag import Action, index_tag, parse_name
from hypothesis import given, settings
from hypothesis import strategies as st
from scmrepo.git.objects import GitTag

from mreg.core.history.gto import (
    GtoAction,
    GtoName,
    GtoStep,
    GtoTag,
    find_assigned,
    find_deprecated,
    find_deregistered,
    is_gto_name,
    parse_gto_name,
    replay,
)
from mreg.core.names import ModelName, StageName, Version
from tests.core.simulator import CHURN, PRODUCTION, V1, V2, V3

EU = ModelName("fraud/eu")
DEV = StageName("dev")
_ORDER = ({Action.DEPRECATE}, {Action.REGISTER, Action.DEREGISTER}, {Action.ASSIGN, Action.UNASSIGN})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("churn@v1.0.0", GtoName(CHURN, GtoAction.REGISTER, version=V1)),
        ("churn@v1.0.0#2", GtoName(CHURN, GtoAction.REGISTER, version=V1, number=2)),
        ("churn@v1.0.0!", GtoName(CHURN, GtoAction.DEREGISTER, version=V1)),
        ("churn@v1.0.0!#3", GtoName(CHURN, GtoAction.DEREGISTER, version=V1, number=3)),
        ("fraud/eu#dev", GtoName(EU, GtoAction.ASSIGN, stage=DEV)),
        ("fraud/eu#dev#4", GtoName(EU, GtoAction.ASSIGN, stage=DEV, number=4)),
        ("churn#dev!#5", GtoName(CHURN, GtoAction.UNASSIGN, stage=DEV, number=5)),
        ("churn@deprecated", GtoName(CHURN, GtoAction.DEPRECATE)),
        ("churn@deprecated#6", GtoName(CHURN, GtoAction.DEPRECATE, number=6)),
    ],
)
def test_parse_gto_name_says(name: str, says: GtoName) -> None:
    assert is_gto_name(name)
    assert parse_gto_name(name) == says


@pytest.mark.parametrize(
    "name",
    ["churn@created", "Churn@v1.0.0", "a=b@v1.0.0", "churn#Prod#1", "latest#dev", "churn@v1.0.0+build", "churn@v1"],
)
def test_parse_gto_name_that_mreg_does_not_take_is_none(name: str) -> None:
    assert is_gto_name(name)
    assert parse_gto_name(name) is None


@pytest.mark.parametrize("name", ["v1.0.0", "churn", "churn@1.0.0", "churn@latest", "@a/b@v1.0.0", "churn@deprecated!"])
def test_parse_gto_name_foreign_is_none(name: str) -> None:
    assert not is_gto_name(name)
    assert parse_gto_name(name) is None


def tag(name: str, commit: str, second: int) -> GtoTag:
    says = parse_gto_name(name)
    assert says is not None
    return GtoTag(name, says, commit * 40, second)


def gto_state(tags: list[GtoTag]) -> dict[str, Artifact]:
    """Returns what GTO makes of tags, as ``gto.registry.GitRegistry.get_state`` does, without Git."""
    state = BaseRegistryState()
    found = [GitTag(each.name, "", each.commit, "A", "a@b.c", each.time, 0, "") for each in tags]
    for actions in _ORDER:
        now = [each for each in found if parse_name(each.name)["action"] in actions]
        for each in sorted(now, key=lambda each: (each.tag_time, each.name)):
            model = state.find_artifact(parse_name(each.name)["name"], create_new=True)
            state.update_artifact(index_tag(model, each))
    return dict(state.get_artifacts())


def gto_stages(tags: list[GtoTag]) -> dict[tuple[str, str], str]:
    """Returns the version or the commit that each stage shows."""
    return {
        (name, stage): shown[0].version
        for name, model in gto_state(tags).items()
        for stage, shown in model.get_vstages(sort=VersionSort.Timestamp).items()
    }


def gto_versions(tags: list[GtoTag]) -> set[tuple[str, str]]:
    return {(name, each.version) for name, model in gto_state(tags).items() for each in model.get_versions()}


def stages(tags: list[GtoTag]) -> dict[tuple[str, str], str]:
    """Returns the version that each stage holds after the last of the steps."""
    last = {(step.model, step.stage): step.target for step in replay(tags)}
    return {key: str(version) for key, version in last.items() if version}


def known(shown: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Returns the stages that show a version, and not a commit that none was registered at."""
    return {key: version for key, version in shown.items() if version.startswith("v")}


# GTO fails on two versions of a model on one commit, so each commit has its own; the last has none.
COMMITS = "abcd"
VERSIONS = dict(zip(COMMITS, (V2, Version(10), V1, V3), strict=True))


@st.composite
def tag_lists(draw: st.DrawFn) -> list[GtoTag]:
    """Draws tags that GTO can read, in any order, many within one second."""
    made: dict[str, GtoTag] = {}
    for number in range(1, draw(st.integers(1, 16)) + 1):
        model = draw(st.sampled_from([CHURN, CHURN, CHURN, EU]))
        commit = draw(st.sampled_from(COMMITS))
        stage = draw(st.sampled_from([PRODUCTION, PRODUCTION, DEV]))
        kinds = ["", "", "", "!", f"#{stage}", f"#{stage}", f"#{stage}", f"#{stage}!", f"#{stage}!"]
        kind = draw(st.sampled_from([*kinds, "@deprecated"]))
        back = kind == "!"
        if kind in ("", "!"):
            # The commit without a version can bear but the taking back of another's.
            back = back or commit == COMMITS[-1]
            kind = f"@{VERSIONS[commit]}{'!' if back else ''}"
        suffix = draw(st.sampled_from(["", f"#{number}", f"#{20 - number}"]))
        name = f"{model}{kind}{suffix}"
        made.setdefault(name, tag(name, commit, draw(st.integers(1, 5))))
    return draw(st.permutations(list(made.values())))


@settings(max_examples=400)
@given(tag_lists())
def test_replay_any_tags_ends_where_gto_is(tags: list[GtoTag]) -> None:
    assert stages(tags) == known(gto_stages(tags))
    registered = {(t.says.model, str(t.says.version)) for t in tags if t.says.action is GtoAction.REGISTER}
    gone = {(model, str(version)) for model, version in find_deregistered(tags)}
    assert registered - gone == gto_versions(tags)
    assert find_deprecated(tags) == sorted(name for name, model in gto_state(tags).items() if not model.is_active)


def test_replay_each_stage_tag_is_a_step_from_what_was_there() -> None:
    tags = [
        tag("churn@v1.0.0", "a", 1),
        tag("churn@v2.0.0", "b", 2),
        tag("churn#dev#1", "a", 3),
        tag("churn#dev#2", "b", 4),
        tag("churn@deprecated", "b", 5),
        tag("churn@v2.0.0!#3", "b", 6),
        tag("churn@v2.0.0#4", "b", 7),
        tag("churn#dev!#5", "b", 8),
        tag("churn#dev!#6", "b", 9),
    ]
    assert [(step.tag.name, step.source, step.target) for step in replay(reversed(tags))] == [
        ("churn#dev#1", None, V1),
        ("churn#dev#2", V1, V2),
        ("churn@v2.0.0!#3", V2, V1),
        ("churn@v2.0.0#4", V1, V2),
        ("churn#dev!#5", V2, V1),
        ("churn#dev!#6", V1, V1),
    ]
    assert next(replay(tags)) == GtoStep(tags[2], CHURN, DEV, None, V1)


def test_replay_of_one_second_goes_by_number() -> None:
    # Last comes the greatest number: it is the one that a squashed adoption still knows.
    names = ["churn#dev#3", "churn#dev!#4", "churn#dev#10", "churn#production!#5", "churn#production#6"]
    tags = [tag("churn@v1.0.0", "a", 1), tag("churn#production#2", "a", 1), *(tag(name, "a", 2) for name in names)]
    assert [(step.tag.name, step.target) for step in replay(reversed(tags))] == [
        ("churn#production#2", V1),
        ("churn#dev#3", V1),
        ("churn#dev!#4", None),
        ("churn#production!#5", None),
        ("churn#production#6", None),
        ("churn#dev#10", None),
    ]


ODD: dict[str, tuple[list[tuple[str, str, int]], dict[tuple[str, str], str]]] = {
    "a registration that was made again counts": (
        [("churn@v1.0.0", "a", 1), ("churn#dev#1", "a", 2), ("churn@v1.0.0!", "a", 3), ("churn@v1.0.0#2", "a", 4)],
        {(CHURN, DEV): "v1.0.0"},
    ),
    "of one second the registered first": (
        [("churn@v2.0.0", "a", 1), ("churn@v1.0.0", "b", 2), ("churn#dev#1", "b", 3), ("churn#dev#2", "a", 3)],
        {(CHURN, DEV): "v2.0.0"},
    ),
    "of one second the registered first, made again last": (
        [
            ("churn@v2.0.0", "a", 1), ("churn@v1.0.0", "b", 2), ("churn@v2.0.0!", "a", 3), ("churn@v2.0.0#1", "a", 4),
            ("churn#dev#2", "b", 5), ("churn#dev#3", "a", 5),
        ],
        {(CHURN, DEV): "v1.0.0"},
    ),
    "of one second the registered first, by name where that was one second too": (
        [("churn@v2.0.0#1", "a", 1), ("churn@v10.0.0#2", "b", 1), ("churn#dev#3", "a", 2), ("churn#dev#4", "b", 2)],
        {(CHURN, DEV): "v10.0.0"},
    ),
    "taking back counts more within its second": (
        [("churn@v1.0.0", "a", 1), ("churn#dev!#1", "a", 2), ("churn#dev#2", "a", 2)],
        {},
    ),
    "taking a registration back counts more within its second": (
        [("churn@v1.0.0", "a", 1), ("churn#dev#1", "a", 2), ("churn@v1.0.0!#2", "a", 3), ("churn@v1.0.0#3", "a", 3)],
        {},
    ),
    "a commit without a version cannot be taken back within its second": (
        [("churn#dev#1", "a", 2), ("churn#dev!#2", "a", 2)],
        {(CHURN, DEV): "a" * 40},
    ),
    "a commit without a version cannot be taken back": (
        [("churn@v1.0.0", "a", 1), ("churn#dev#1", "a", 2), ("churn#dev#2", "b", 3), ("churn#dev!#3", "b", 4)],
        {(CHURN, DEV): "b" * 40},
    ),
    "a registration is taken back on its own commit alone": (
        [("churn@v1.0.0", "a", 1), ("churn#dev#1", "a", 2), ("churn@v1.0.0!", "b", 3)],
        {(CHURN, DEV): "v1.0.0"},
    ),
    "assigned before it was registered": (
        [("churn#dev#1", "a", 1), ("churn@v1.0.0", "a", 2)],
        {(CHURN, DEV): "v1.0.0"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_replay_odd_tags_show_what_gto_shows(case: str) -> None:
    said, shown = ODD[case]
    tags = [tag(*each) for each in said]
    assert gto_stages(tags) == shown
    assert stages(tags) == known(shown)


def test_find_deregistered_names_the_tag_that_did_it_last() -> None:
    tags = [
        tag("churn@v1.0.0", "a", 1),
        tag("churn@v1.0.0!", "a", 2),
        tag("churn@v1.0.0#1", "a", 3),
        tag("churn@v1.0.0!#2", "a", 3),
        tag("churn@v2.0.0", "b", 1),
        tag("churn@v2.0.0!", "c", 4),
        tag("churn@v3.0.0!", "d", 5),
    ]
    assert find_deregistered(tags) == {(CHURN, V1): tags[3]}


def test_find_deprecated_of_one_second_is_not() -> None:
    tags = [tag("churn@v1.0.0", "a", 1), tag("churn@deprecated", "a", 1), tag("fraud/eu@v1.0.0", "a", 1)]
    assert find_deprecated(tags) == []
    assert find_deprecated([*tags, tag("fraud/eu@deprecated", "a", 2)]) == [EU]


def test_find_assigned_is_what_would_come_back() -> None:
    tags = [
        tag("churn@v1.0.0", "a", 1),
        tag("churn@v2.0.0", "b", 1),
        tag("churn@v3.0.0", "c", 1),
        tag("churn#dev#1", "c", 2),
        tag("churn#dev#2", "b", 3),
        tag("churn#dev#3", "a", 3),
        tag("churn#dev#4", "c", 4),
        tag("churn#dev!#5", "c", 5),
        tag("churn#dev#6", "d", 6),
        tag("churn#production#7", "c", 7),
        tag("churn@v3.0.0!", "c", 8),
    ]
    assert find_assigned(tags) == {(CHURN, DEV): (V2, V1), (CHURN, PRODUCTION): ()}


@given(tag_lists())
def test_find_assigned_taken_back_one_by_one_show_the_next(tags: list[GtoTag]) -> None:
    commits = {version: commit for commit, version in VERSIONS.items()}
    for (model, stage), versions in find_assigned(tags).items():
        left = [str(version) for version in versions]
        now = list(tags)
        for number, version in enumerate(reversed(versions), start=100):
            assert known(gto_stages(now)).get((model, stage), left[-1]) == left.pop()
            now.append(tag(f"{model}#{stage}!#{number}", commits[version], number))
        assert (model, stage) not in known(gto_stages(now))
