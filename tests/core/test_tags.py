from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mreg.core.fields import Plain
from mreg.core.history.tags import (
    DerivedTag,
    TagName,
    derive_tags,
    find_blockers,
    folders_of,
    parse_tag_name,
    stage_tag,
    tagger_of,
    transition_subject,
    version_tag,
)
from mreg.core.history.timeline import Action, Timeline, Transition
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from tests.conftest import Git
from tests.core.simulator import ADA, CHURN, HAND, PRODUCTION, STAGING, START, V1, V2, V3, V4, Simulator, simulate
from tests.core.strategies import model_names, small_versions, stage_names, versions

EU = ModelName("fraud/eu")


def test_folders_of_a_name() -> None:
    assert folders_of("a/b/c") == ["a", "a/b"]
    assert folders_of("a") == []


def test_blockers_are_folders_of_a_name_or_below_it() -> None:
    there = ["fraud", "churn#production#4/x/y", "churn@v1.0.0", "other/z"]
    names = ["fraud/eu@v1.0.0", "churn#production#4", "churn@v1.0.0", "churn#production#5", "other/eu@v1.0.0"]
    assert find_blockers(names, there) == {
        "fraud/eu@v1.0.0": "fraud",
        "churn#production#4": "churn#production#4/x/y",
    }


@given(model_names, versions, stage_names, st.integers(1, 999_999_999), st.booleans())
def test_tag_name_format_reads_back(
    model: ModelName, version: Version, stage: StageName, number: int, is_clear: bool
) -> None:
    assume(len(str(version)) <= 100)
    assert parse_tag_name(version_tag(model, version)) == TagName(model, version=version)
    assert stage_tag(model, stage, number) == stage_tag(model, stage, number, is_clear=False)
    name = stage_tag(model, stage, number, is_clear=is_clear)
    assert parse_tag_name(name) == TagName(model, stage=stage, number=number, is_clear=is_clear)


@settings(max_examples=20)  # a process each name
@given(st.lists(st.tuples(model_names, versions, stage_names), min_size=1, max_size=5))
def test_tag_names_are_refs_to_git(some: list[tuple[ModelName, Version, StageName]]) -> None:
    names = [version_tag(model, version) for model, version, _ in some if len(str(version)) <= 100]
    names += [stage_tag(model, stage, 999_999_999, is_clear=True) for model, _, stage in some]
    for name in names:
        subprocess.run(["git", "check-ref-format", f"refs/tags/{name}"], check=True)
        assert all(len(part) + len(".lock") <= 255 for part in name.split("/"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("churn@v3.0.0", TagName(CHURN, version=V3)),
        ("fraud/eu@v1.0.0-rc.1", TagName(EU, version=Version(1, 0, 0, ("rc", "1")))),
        ("churn#production#5", TagName(CHURN, stage=PRODUCTION, number=5)),
        ("churn#production#05", TagName(CHURN, stage=PRODUCTION, number=5)),
        ("churn#production!#6", TagName(CHURN, stage=PRODUCTION, number=6, is_clear=True)),
    ],
)
def test_parse_tag_name_says(name: str, says: TagName) -> None:
    assert parse_tag_name(name) == says


@pytest.mark.parametrize(
    "name",
    [
        "",
        "v1.0.0",
        "release/2026",
        "churn",
        "churn@",
        "churn@v3",
        "churn@3.0.0",
        "churn@V3.0.0",
        "churn@latest",
        "churn@v1.0.0#1",
        "churn@v1.0.0!",
        "churn@created",
        "Churn@v1.0.0",
        "@v1.0.0",
        "a//b@v1.0.0",
        "churn#production",
        "churn#production!",
        "churn#production#",
        "churn#production#x",
        "churn#production#٣",
        "churn#production#-1",
        "churn#production#5!",
        "churn#production!!#5",
        "churn##5",
        "#production#5",
        "churn#Production#5",
        "churn#latest#5",
        "churn#production#5#6",
        "churn#production#1234567890",
        "churn@v1.0.0\n",
        "churn#production#5\n",
    ],
)
def test_parse_tag_name_foreign_is_none(name: str) -> None:
    assert parse_tag_name(name) is None


def derived(registry: Simulator) -> list[DerivedTag]:
    return list(derive_tags(registry.timeline()))


def test_derive_tags_one_for_each_change() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1, STAGING)
    registry.promote(V1, reason="good")
    registry.promote(V2)
    registry.archive(V2, undo=True)
    registry.rollback()
    registry.clear(STAGING)
    registry.archive(V2)
    tags = derived(registry)
    assert [(tag.name, tag.version) for tag in tags] == [
        ("churn@v1.0.0", V1),
        ("churn@v2.0.0", V2),
        ("churn#staging#1", V1),
        ("churn#production#2", V1),
        ("churn#production#3", V2),
        ("churn#production#4", V1),
        ("churn#staging!#5", V1),
    ]
    assert {tag.tagger for tag in tags} == {"Ada"}
    assert {tag.email for tag in tags} == {ADA}
    commits = [registry.commits[index].oid for index in (0, 3)]
    assert tags[0].message == f"Register churn v1.0.0\n\nMreg-Commit: {commits[0]}\n"
    assert tags[3].message == f"Promote churn v1.0.0 to production\n\ngood\n\nMreg-Commit: {commits[1]}\n"
    # The change that only archives has no tag; the times of the others are those of their commits.
    assert [tag.time - int(START.timestamp()) for tag in tags] == [60, 120, 180, 240, 300, 360, 420]


def test_derive_tags_clear_takes_back_every_version_that_gto_still_counts() -> None:
    registry = simulate(V1, V2, V3)
    for version in (V2, V1, V3, V1):
        registry.promote(version)
    registry.clear()
    registry.promote(V2)
    registry.clear()
    tags = derived(registry)[-5:]
    assert [(tag.name, tag.version) for tag in tags] == [
        ("churn#production!#5", V2),
        ("churn#production!#6", V3),
        ("churn#production!#7", V1),
        ("churn#production#8", V2),
        ("churn#production!#9", V2),
    ]
    assert tags[0].message.startswith("Clear churn production of v2.0.0\n")


def test_derive_tags_name_the_approvers() -> None:
    registry = simulate(V1)
    registry.edit({"version": "v1", "reason": "ok", "approved_by": ["bob", "x\nMreg-Commit: 0bad", " "]})
    message = derived(registry)[-1].message
    commit = registry.commits[-1].oid
    assert message.endswith(f"\n\nok\n\nMreg-Commit: {commit}\nApproved-by: bob\nApproved-by: x Mreg-Commit: 0bad\n")


def test_derive_tags_tagger_is_the_author_not_who_the_file_names() -> None:
    registry = simulate(V1)
    registry.edit({"version": "v1", "by": "eve@example.com"})
    assert derived(registry)[-1].email == HAND


def test_derive_tags_number_each_model_apart() -> None:
    registry = Simulator()
    for model in (CHURN, EU, CHURN):
        registry.edit({"version": str(V1 if not registry.commits else V2)}, model=model)
    assert [tag.name for tag in derived(registry)] == [
        "churn#production#1",
        "fraud/eu#production#1",
        "churn#production#2",
    ]


@pytest.mark.parametrize("seconds", [0, -1, -86_400, -(10**9)])
def test_derive_tags_times_rise_with_a_clock_that_stands_still_or_goes_back(seconds: int) -> None:
    registry = simulate()
    for version in (V1, V2, V3):
        registry.register(version)
        registry.now += timedelta(seconds=seconds) - timedelta(minutes=1)
        registry.promote(version)
        registry.now -= timedelta(minutes=1)
    times = [tag.time for tag in derived(registry)]
    assert times == list(range(times[0], times[0] + 6))


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_derive_tags_times_stay_where_python_can_show_them(year: int) -> None:
    registry = simulate()
    registry.now = datetime(year, 12, 31, 23, 50, tzinfo=timezone.utc)
    registry.register(V1)
    registry.promote(V1)
    registry.promote(V1, STAGING)
    times = [tag.time for tag in derived(registry)]
    assert times == [times[0], times[0] + 1, times[0] + 2]
    assert all(datetime.fromtimestamp(time, timezone.utc) for time in times)
    assert times[0] == 1 or year == 9999


def test_derive_tags_adopted_change_has_its_tag_already() -> None:
    registry = simulate(V1, V2)
    adopted: Plain = {"tag": "churn#production#7", "at": "2030-01-01T00:00:00Z"}
    registry.edit({"version": "v1", "replaces": "none", "adopted": adopted})
    registry.promote(V2)
    last = derived(registry)[-1]
    assert [tag.name for tag in derived(registry)] == ["churn@v1.0.0", "churn@v2.0.0", "churn#production#8"]
    assert last.time == int(datetime(2030, 1, 1, tzinfo=timezone.utc).timestamp()) + 1


@pytest.mark.parametrize(
    "tag",
    [
        "fraud/eu#production#7",
        "churn#staging#7",
        "churn#staging!#7",
        "churn@v2.0.0",
        "churn@deprecated",
        "production",
        "x\ny",
    ],
)
def test_derive_tags_adopted_tag_of_something_else_hides_nothing(tag: str) -> None:
    registry = simulate(V1)
    registry.edit({"version": "v1", "adopted": {"tag": tag}})
    assert [each.name for each in derived(registry)] == ["churn@v1.0.0", "churn#production#1"]


def test_derive_tags_adopted_lower_number_lowers_nothing() -> None:
    registry = simulate(V1, V2, V3)
    registry.promote(V1)
    registry.promote(V2)
    registry.edit({"version": "v1", "replaces": "v2", "adopted": {"tag": "churn#production#1"}})
    registry.promote(V3)
    assert [tag.name for tag in derived(registry)][3:] == [
        "churn#production#1",
        "churn#production#2",
        "churn#production#3",
    ]


def test_derive_tags_adopted_tag_that_moved_nothing_has_its_number_and_time() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    adopted: Plain = {"tag": "churn#production#9", "at": "2030-01-01T00:00:00Z"}
    registry.edit({"version": "v1", "adopted": adopted})
    registry.edit({"version": "v1", "adopted": adopted, "reason": "the same once more"})
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production"}})
    registry.promote(V2)
    assert [tag.name for tag in derived(registry)][2:] == ["churn#production#1", "churn#production#10"]
    assert derived(registry)[-1].time == int(datetime(2030, 1, 1, tzinfo=timezone.utc).timestamp()) + 1


def test_derive_tags_adopted_removal_of_the_registration_has_its_tag_already() -> None:
    registry = simulate(V1, V2)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#1"}})
    registry.edit({"version": "none", "adopted": {"tag": "churn@v1.0.0!#4"}})
    registry.promote(V2)
    registry.clear()
    assert [(tag.name, tag.version) for tag in derived(registry)][2:] == [
        ("churn#production#5", V2),
        ("churn#production!#6", V2),
    ]


def test_derive_tags_adopted_removal_of_another_registration_hides_nothing() -> None:
    registry = simulate(V1, V2)
    registry.promote(V1)
    registry.edit({"version": "none", "adopted": {"tag": "churn@v2.0.0!#4"}})
    assert [tag.name for tag in derived(registry)][2:] == ["churn#production#1", "churn#production!#2"]


def test_derive_tags_adopted_assignment_of_no_version_leaves_the_others_assigned() -> None:
    # GTO shows a commit that no version names; an empty stage to mreg, and v1 is still assigned.
    registry = simulate(V1, V2)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#1"}})
    registry.edit({"version": "none", "adopted": {"tag": "churn#production#2"}, "still_assigned": ["v1"]})
    registry.promote(V2)
    registry.clear()
    assert [(tag.name, tag.version) for tag in derived(registry)][2:] == [
        ("churn#production#3", V2),
        ("churn#production!#4", V1),
        ("churn#production!#5", V2),
    ]


def test_derive_tags_adopted_taking_back_brings_the_one_before() -> None:
    # GTO goes back to v1 when v2 is taken out; only v1 is left to take out then.
    registry = simulate(V1, V2)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#1"}})
    registry.edit({"version": "v2", "adopted": {"tag": "churn#production#2"}})
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production!#3"}})
    registry.clear()
    assert [(tag.name, tag.version) for tag in derived(registry)][2:] == [("churn#production!#4", V1)]


def test_derive_tags_adopted_registration_made_again_has_its_tag_already() -> None:
    registry = simulate(V1)
    registry.edit({"version": "v1", "adopted": {"tag": "churn@v1.0.0#1"}})
    registry.clear()
    assert [(tag.name, tag.version) for tag in derived(registry)][1:] == [("churn#production!#2", V1)]


@pytest.mark.parametrize("tag", ["churn#production#3", "churn#production!#3"])
def test_derive_tags_adopted_clear_takes_back_what_gto_would_show_next(tag: str) -> None:
    # Of one second, so that v3 was assigned and never shown; or taken back, which brought v1.
    registry = simulate(V1, V2, V3)
    registry.edit({"version": "v1", "adopted": {"tag": "churn#production#1"}})
    registry.edit({"version": "v1", "adopted": {"tag": tag}, "still_assigned": ["v3"]})
    registry.promote(V2)
    registry.clear()
    assert [(tag.name, tag.version) for tag in derived(registry)][3:] == [
        ("churn#production#4", V2),
        ("churn#production!#5", V3),
        ("churn#production!#6", V1),
        ("churn#production!#7", V2),
    ]


@pytest.mark.parametrize("tag", ["churn#production#3", "churn#production!#3", "churn@v2.0.0!#3"])
def test_derive_tags_adopted_and_squashed_has_its_tags_already(tag: str) -> None:
    registry = simulate(V1, V2, V3)
    registry.edit({"version": "v1", "replaces": "v2", "adopted": {"tag": tag}, "still_assigned": ["v3"]})
    registry.clear()
    assert [(tag.name, tag.version) for tag in derived(registry)][3:] == [
        ("churn#production!#4", V3),
        ("churn#production!#5", V1),
    ]


Step = tuple[str, Version | None, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["record", "fraud", STAGING, PRODUCTION, ARCHIVED, "broken"]),
        st.none() | small_versions,
        st.sampled_from([0, 1, 60, -1, -60, -100_000, 10**9]),
    ),
    max_size=20,
)


def play(registry: Simulator, steps: list[Step]) -> None:
    for what, version, seconds in steps:
        registry.now = min(registry.now + timedelta(seconds=seconds) - timedelta(minutes=1), START.replace(year=9000))
        if what == "record":
            registry.register(version or V4)
        elif what == "fraud":
            registry.edit({"version": str(version or "none")}, model=EU)
        elif what == "broken":
            registry.edit("broken", STAGING)
        elif what == ARCHIVED:
            registry.edit({"versions": {str(version): None}} if version else None, ARCHIVED)
        else:
            registry.edit({"version": str(version or "none")}, StageName(what))


@given(steps, st.integers(0, 20))
def test_derive_tags_are_a_pure_function_that_only_grows(steps: list[Step], cut: int) -> None:
    registry = Simulator()
    play(registry, steps[:cut])
    early = derived(registry)
    play(registry, steps[cut:])
    late = derived(registry)
    assert late == derived(registry)
    assert late[: len(early)] == early
    assert len({tag.name for tag in late}) == len(late)


@given(steps)
def test_derive_tags_number_from_one_and_rise_in_time(steps: list[Step]) -> None:
    registry = Simulator()
    play(registry, steps)
    tags = derived(registry)
    for model in (CHURN, EU):
        mine = [tag for tag in tags if tag.model == model]
        names = [parse_tag_name(tag.name) for tag in mine]
        numbers = [name.number for name in names if name and name.stage]
        assert numbers == list(range(1, len(numbers) + 1))
        times = [tag.time for tag in mine]
        assert all(later > earlier for earlier, later in pairwise(times))
        # What one model's folder shows is enough to derive its tags.
        assert list(derive_tags(registry.timeline(model))) == mine


@given(steps)
def test_derive_tags_cover_every_event_but_those_of_the_archive(steps: list[Step]) -> None:
    registry = Simulator()
    play(registry, steps)
    timeline = registry.timeline()
    sealed = [each for each in timeline.events if not isinstance(each, Transition) or each.stage != ARCHIVED]
    tags = list(derive_tags(timeline))
    assert list(dict.fromkeys(tag.event for tag in tags)) == sealed
    last = {tag.event: tag for tag in tags}
    for tag in tags:
        name = parse_tag_name(tag.name)
        assert name is not None
        assert name.model == tag.model == tag.event.model
        if isinstance(tag.event, Transition):
            assert (name.stage, name.is_clear) == (tag.event.stage, tag.event.target is None)
            assert last[tag.event].version == (tag.event.target or tag.event.source)
            assert tag == last[tag.event] or tag.event.target is None


@pytest.mark.parametrize(
    ("action", "stage", "source", "target", "subject"),
    [
        (Action.PROMOTE, PRODUCTION, V1, V2, "Promote churn v2.0.0 to production"),
        (Action.ROLLBACK, PRODUCTION, V2, V1, "Roll back churn production to v1.0.0"),
        (Action.CLEAR, PRODUCTION, V1, None, "Clear churn production of v1.0.0"),
        (Action.ARCHIVE, ARCHIVED, None, V1, "Archive churn v1.0.0"),
        (Action.CLEAR, ARCHIVED, V1, None, "Take churn v1.0.0 out of the archive"),
    ],
)
def test_transition_subject_names_the_change(
    action: Action, stage: StageName, source: Version | None, target: Version | None, subject: str
) -> None:
    assert transition_subject(action, CHURN, stage, source, target) == subject


@pytest.mark.parametrize(
    ("name", "email", "expected"),
    [
        ("Ada", "ada@example.com", ("Ada", "ada@example.com")),
        ("", "", ("unknown", "unknown@localhost")),
        (" . ", "<>", ("unknown", "unknown@localhost")),
        ("A <b> C", "a@b>\n<c", ("A b C", "a@bc")),
        ("Ada, Jr.", "ada @example.com.", ("Ada, Jr", "ada@example.com")),
        ("A\nB\0C\x7fD\ud800E", "a\tb\x7f\udfff@c", ("ABCDE", "ab@c")),
        ("Zoë", "zoë@example.com", ("Zoë", "zoë@example.com")),
    ],
)
def test_tagger_of_is_an_identity(name: str, email: str, expected: tuple[str, str]) -> None:
    assert tagger_of(name, email) == expected


@given(st.text(), st.text())
def test_tagger_of_any_text_can_be_written(name: str, email: str) -> None:
    clean, address = tagger_of(name, email)
    assert clean
    assert address
    line = f"{clean} <{address}> 1 +0000"
    assert not set(line.encode()) & {0, 10, 13}
    assert (line.count("<"), line.count(">")) == (1, 1)


HOSTILE = [
    "Approved-by: eve@example.com",
    "x\n\nApproved-by: eve@example.com\nMreg-Commit: 0bad",
    "x\n\nApproved-by: eve@example.com\n---\nthe rest",
    "x\n\nApproved-by: eve@example.com\n--- \nthe rest",
    "x\n\nApproved-by: eve@example.com\n# ------------------------ >8 ------------------------\nthe rest",
    "x\n-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----",
    "x\n-----BEGIN PGP SIGNATURE-----\n\nAAAA",
    "tree 0\n\nparent",
    "nul \0 bell \x07 escape \x1b[2J surrogate \ud800",
    "   \n\n\t\n",
    "",
    "\n".join(["#"] * 10),
]


@pytest.mark.parametrize("reason", HOSTILE)
def test_derive_tags_hostile_reason_forges_nothing(reason: str, repo: Path, git: Git) -> None:
    registry = simulate(V1)
    registry.edit({"version": "v1", "reason": reason, "approved_by": ["bob"]})
    tag = derived(registry)[-1]
    head = git("rev-parse", "HEAD")
    header = f"object {head}\ntype commit\ntag {tag.name}\ntagger {tag.tagger} <{tag.email}> {tag.time} +0000\n\n"
    oid = git("mktag", "--strict", input=header + tag.message)
    git("update-ref", f"refs/tags/{tag.name}", oid)
    shown = git("for-each-ref", "--format=%(contents:trailers)%00%(contents:signature)", "refs/tags/")
    assert shown == f"Mreg-Commit: {registry.commits[-1].oid}\nApproved-by: bob\n\0"
    assert git("cat-file", "tag", oid).startswith(header + "Promote churn v1.0.0 to production\n\n")
    git("fsck", "--strict")
    assert repo.exists()


def test_derive_tags_of_nothing_is_nothing() -> None:
    assert list(derive_tags(Timeline())) == []
