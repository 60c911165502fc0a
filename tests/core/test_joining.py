"""Joining: what was committed here on top of what the remote has meanwhile."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.fields import Plain
from mreg.core.history.manifest import ArchivedMark, Manifest, StageEntry, format_archived
from mreg.core.history.timeline import Commit, FileChange
from mreg.core.layout import Layout
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.review.reviewed import Fault
from mreg.core.sharing.joining import plan_join
from mreg.core.sharing.joints import Clash, Join, Local, Matter, Way
from mreg.core.sharing.pushed import Pushed, settle_all
from mreg.core.sharing.renumbering import Renamed, rename_in, renumber
from mreg.core.sharing.settling import conflict_of, describe, refusal_of, tell, tell_same
from mreg.errors import DataError
from tests.core.simulator import CHURN, PRODUCTION, STAGING, V1, V2, V3, V4, Simulator, oid_of, simulate

FRAUD = ModelName("fraud")
LAYOUT = Layout()
ARCHIVE = LAYOUT.stage(CHURN, ARCHIVED)
POINTER = "registry/churn/artifact/model.bin.dvc"


@dataclass
class Blobs:
    """The contents of simulated registries; pointers and ``dvc.yaml`` are those of ``model.bin``."""

    sims: tuple[Simulator, ...]
    new: dict[str, str] = field(default_factory=dict)

    def entry(self, path: str, oid: str | None) -> StageEntry | None:
        found = self._manifest(path, oid)
        return found.entry if found else None

    def marks(self, path: str, oid: str | None) -> Mapping[Version, ArchivedMark] | None:
        if oid is None:
            return {}
        found = self._manifest(path, oid)
        return found.archived if found else None

    def store_marks(self, marks: Mapping[Version, ArchivedMark]) -> str:
        return self._store(json.dumps(format_archived(marks)))

    def pointer(self, path: str, record: str) -> tuple[str, str] | None:
        place = LAYOUT.locate(path)
        return (LAYOUT.artifact(place.model, "model.bin.dvc"), oid_of(f"pointer {record}")) if place else None

    def entered(self, dvc_yaml: str | None, path: str, record: str) -> str | None:
        return f"{dvc_yaml or ''}+{path.split('/')[1]}"

    def renumbered(self, path: str, oid: str, names: Mapping[Version, Version]) -> str | None:
        text = self.text(oid)
        if "signed" in text:
            return None
        for old, new in names.items():
            text = text.replace(str(old), str(new))
        return self._store(text)

    def same_bytes(self, path: str, one: str, other: str) -> bool:
        return self.text(one).endswith("same") and self.text(other).endswith("same")

    def text(self, oid: str) -> str:
        return self.new[oid] if oid in self.new else self._sim(oid).text_of(oid)

    def _manifest(self, path: str, oid: str | None) -> Manifest | None:
        if oid in self.new:
            simulator = Simulator()
            simulator.commit({path: self.new[oid]})
            return simulator.manifest(path, oid)
        try:
            return self._sim(oid).manifest(path, oid) if oid else None
        except DataError:
            return None

    def _sim(self, oid: str) -> Simulator:
        for each in self.sims:
            try:
                each.text_of(oid)
            except KeyError:
                continue
            return each
        raise AssertionError(oid)

    def _store(self, text: str) -> str:
        self.new[oid_of(text)] = text
        return oid_of(text)


@dataclass
class Sides:
    """Two histories that parted: what the remote has, and what is here."""

    there: Simulator
    here: Simulator
    shared: int

    @classmethod
    def part(cls, *versions: Version) -> Sides:
        base = simulate(*versions)
        here = copy.deepcopy(base)
        here.now = here.now.replace(hour=12)  # another time, another commit
        return cls(base, here, len(base.commits))

    @property
    def locals_(self) -> list[Local]:
        commits = self.here.commits
        return [Local(commits[index], commits[index - 1].oid) for index in range(self.shared, len(commits))]

    @property
    def blobs(self) -> Blobs:
        return Blobs((self.there, self.here))

    def join(
        self, *, drop: Collection[str] = (), locals_: list[Local] | None = None, blobs: Blobs | None = None
    ) -> Join:
        mine, tip = self.locals_ if locals_ is None else locals_, self.there.commits[-1].oid
        contents = blobs or self.blobs
        return plan_join(mine, tip, oids(self.there), layout=LAYOUT, contents=contents, drop=drop)


def oids(simulator: Simulator) -> dict[str, str]:
    return {path: oid_of(text) for path, text in simulator.tree.items()}


def ways(join: Join) -> list[Way]:
    return list(join.ways.values())


def clashes(join: Join) -> list[tuple[Matter, str]]:
    return [(each.matter, each.path) for each in join.clashes]


def apply(tree: Mapping[str, str], join: Join) -> dict[str, str]:
    """Returns the registry's files after a join, less the pointers that follow."""
    oids = dict(tree)
    for joint in join.joints:
        kept = {change.path: change.new for change in joint.local.commit.changes} if joint.way is Way.KEPT else {}
        for path, oid in (*kept.items(), *joint.files.items()):
            if oid is None:
                oids.pop(path, None)
            elif not path.endswith(".dvc"):
                oids[path] = oid
    return oids


def edit(
    simulator: Simulator, version: Version | None, stage: StageName, model: ModelName = CHURN, *, why: str = ""
) -> Commit:
    document: dict[str, Plain] = {"version": str(version or "none"), "reason": why or f"{version} {stage}"}
    return simulator.edit(document, stage, model=model)


# What lands, and how.


def test_plan_join_where_the_remote_stands_still_keeps_commits() -> None:
    sides = Sides.part(V1)
    edit(sides.here, V1, STAGING)
    sides.here.commit({"train.py": "code"})
    assert ways(sides.join()) == [Way.KEPT, Way.KEPT]


def test_plan_join_of_different_stages_makes_the_change_again() -> None:
    sides = Sides.part(V1, V2)
    edit(sides.there, V1, STAGING)
    mine = edit(sides.here, V2, PRODUCTION)
    join = sides.join()
    assert (ways(join), join.clashes) == ([Way.REMADE], ())
    assert dict(join.joints[0].files) == {change.path: change.new for change in mine.changes}


def test_plan_join_of_what_landed_already_says_nothing_again() -> None:
    sides = Sides.part(V1)
    for side in (sides.there, sides.here):
        edit(side, V1, STAGING)
    edit(sides.there, V1, PRODUCTION)
    join = sides.join()
    assert (ways(join), join.joints) == ([Way.LANDED], ())


def act(side: Simulator, document: dict[str, Plain], marks: Mapping[Version, ArchivedMark] | None = None) -> Commit:
    """Makes a transition as mreg does, with what it replaces, and the mark of that."""
    files = {LAYOUT.stage(CHURN, PRODUCTION): json.dumps(document)}
    if marks:
        files[ARCHIVE] = json.dumps(format_archived(marks))
    return side.commit(files)


@pytest.mark.parametrize("is_archived", [False, True])
def test_plan_join_of_the_same_transition_lets_theirs_stand(is_archived: bool) -> None:
    base = Sides.part(V1, V2)
    act(base.there, {"version": "v1.0.0"})
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    for side, who in ((sides.there, "bo"), (sides.here, "ada")):
        mark = ArchivedMark("replaced by v2.0.0 in production", by=who, replaced_in=PRODUCTION)
        act(side, {"version": "v2.0.0", "replaces": "v1.0.0", "reason": who}, {V1: mark} if is_archived else None)
    edit(sides.here, V1, STAGING)
    join = sides.join()
    assert (ways(join), clashes(join)) == ([Way.LANDED, Way.REMADE], [])
    (same,) = join.same
    told = tell_same(same, sides.blobs, sides.there.commits[-1], "origin/main")
    assert told.startswith("churn production: origin/main has v1.0.0 → v2.0.0 already by ")
    assert told.endswith("; it was not made again, and left out what was said here: ada")


@pytest.mark.parametrize("is_archived_here", [False, True])
def test_plan_join_of_the_same_transition_with_a_mark_on_one_side_keeps_theirs(is_archived_here: bool) -> None:
    base = Sides.part(V1, V2)
    act(base.there, {"version": "v1.0.0"})
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    mark = ArchivedMark("replaced by v2.0.0 in production", replaced_in=PRODUCTION)
    for side, is_archived in ((sides.there, not is_archived_here), (sides.here, is_archived_here)):
        document: dict[str, Plain] = {"version": "v2.0.0", "replaces": "v1.0.0", "hold": False}
        act(side, {**document, "by": f"{is_archived}@example.com"}, {V1: mark} if is_archived else None)
    join = sides.join()
    if not is_archived_here:
        assert (ways(join), clashes(join)) == ([Way.LANDED], [])
        return
    assert (ways(join), clashes(join)) == ([Way.CONFLICT], [(Matter.ARCHIVED, ARCHIVE)])
    told = describe(join.clashes[0], sides.blobs, None, settle="", merge="")
    assert (told.what, told.ours_says, told.theirs_says) == ("churn v1.0.0", "archived", "not archived")
    assert told.again == "mreg archive churn@v1.0.0 --reason 'replaced by v2.0.0 in production' --push"


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"version": "v2.0.0", "replaces": "v1.0.0", "hold": True}, {}),  # what is said there stops more
        ({"version": "v2.0.0", "replaces": "v3.0.0"}, {}),  # it went another way
        ({"version": "v2.0.0"}, {}),  # nobody knows which
        ({"version": "v3.0.0", "replaces": "v1.0.0"}, {}),
        ({"version": "v1.0.0", "reason": "theirs"}, {"version": "v1.0.0", "reason": "mine"}),  # no transition
    ],
)
def test_plan_join_of_a_transition_that_differs_is_a_conflict(there: dict[str, Plain], here: dict[str, Plain]) -> None:
    base = Sides.part(V1, V2)
    act(base.there, {"version": "v1.0.0"})
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    act(sides.there, there)
    act(sides.here, here or {"version": "v2.0.0", "replaces": "v1.0.0"})
    join = sides.join()
    assert (ways(join), clashes(join)) == ([Way.CONFLICT], [(Matter.STAGE, LAYOUT.stage(CHURN, PRODUCTION))])


def test_plan_join_of_the_same_transition_from_a_file_that_cannot_be_read_is_a_conflict() -> None:
    base = Sides.part(V1, V2)
    base.there.commit({LAYOUT.stage(CHURN, PRODUCTION): '{"version": "v1.0.0", "version": {}}'})
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    for side, who in ((sides.there, "bo"), (sides.here, "ada")):
        act(side, {"version": "v2.0.0", "replaces": "none", "by": who})
    assert ways(sides.join()) == [Way.CONFLICT]


def test_tell_same_without_a_reason_and_a_known_commit_says_what_is_known() -> None:
    sides = Sides.part(V1)
    for side, who in ((sides.there, "bo"), (sides.here, "ada")):
        act(side, {"version": "v1.0.0", "replaces": "none", "by": who})
    (same,) = sides.join().same
    told = tell_same(same, sides.blobs, None, "origin/main")
    assert told == "churn production: origin/main has nothing → v1.0.0 already; it was not made again"


def test_plan_join_of_what_was_made_on_the_same_transition_is_a_conflict() -> None:
    base = Sides.part(V1, V2)
    act(base.there, {"version": "v1.0.0"})
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    for side, who in ((sides.there, "bo"), (sides.here, "ada")):
        act(side, {"version": "v2.0.0", "replaces": "v1.0.0", "reason": who})
    act(sides.here, {"version": "v1.0.0", "replaces": "v2.0.0"})
    assert ways(sides.join()) == [Way.LANDED, Way.CONFLICT]


def test_plan_join_of_a_revert_joins() -> None:
    sides = Sides.part(V1)
    edit(sides.here, V1, STAGING)
    sides.here.revert()
    edit(sides.there, V1, PRODUCTION)
    join = sides.join()
    assert ways(join) == [Way.REMADE, Way.REMADE]
    assert apply({}, join) == {}


def test_plan_join_of_archived_versions_joins_by_version() -> None:
    sides = Sides.part(V1, V2, V3)
    sides.there.archive(V1)
    sides.here.archive(V2)
    sides.here.archive(V3)
    join = sides.join()
    assert join.clashes == ()
    blobs = Blobs((sides.there, sides.here))
    again = sides.join(blobs=blobs)
    last = again.joints[-1].files[ARCHIVE]
    assert set(blobs.marks(ARCHIVE, last) or {}) == {V1, V2, V3}


def test_plan_join_of_a_registration_follows_with_its_pointer() -> None:
    sides = Sides.part(V1)
    edit(sides.there, V1, STAGING)
    old = "registry/churn/artifact/old.bin.dvc"
    sides.there.tree[old] = "a pointer"
    files = {LAYOUT.record(CHURN, V2): "record 2", POINTER: "pointer", "dvc.yaml": "unknown"}
    commit = sides.here.commit(files)
    record = oid_of("record 2")
    derived = FileChange("dvc.yaml", None, "+churn")
    local = Local(Commit(commit.oid, "", "", commit.time, "", (*commit.changes[:2], derived)), "parent")
    join = sides.join(locals_=[local])
    (joint,) = join.joints
    assert joint.way is Way.REMADE
    assert dict(joint.files) == {
        LAYOUT.record(CHURN, V2): record,
        old: None,
        POINTER: oid_of(f"pointer {record}"),
    }
    assert joint.records == ((LAYOUT.record(CHURN, V2), record),)


def test_plan_join_of_an_older_version_leaves_the_pointer_to_the_newest() -> None:
    sides = Sides.part(V1)
    sides.there.register(V3)
    sides.here.commit({LAYOUT.record(CHURN, V2): "record 2", POINTER: "pointer"})
    (joint,) = sides.join().joints
    assert (set(joint.files), joint.records) == ({LAYOUT.record(CHURN, V2)}, ())


# Commits that keep their ids.


def test_plan_join_of_code_merges_a_run_at_once() -> None:
    sides = Sides.part(V1)
    edit(sides.there, V1, STAGING)
    first = sides.here.commit({"a.py": "1"})
    last = sides.here.commit({"b.py": "2"})
    edit(sides.here, V1, PRODUCTION)
    join = sides.join()
    merge, change = join.joints
    assert (merge.way, merge.parents, merge.files) == (Way.MERGED, (last.oid,), {})
    assert merge.content == (sides.locals_[0].parent, last.oid)
    assert [each.oid for each in merge.covers] == [first.oid, last.oid]
    assert change.way is Way.REMADE


def test_plan_join_of_a_mixed_commit_merges_it_with_its_change() -> None:
    sides = Sides.part(V1)
    edit(sides.there, V1, STAGING)
    sides.here.commit({"a.py": "1"})
    stage = LAYOUT.stage(CHURN, PRODUCTION)
    mixed = sides.here.commit({"b.py": "2", stage: '{"version": "v1.0.0"}', "dvc.yaml": "stages: {}"})
    (joint,) = sides.join().joints
    assert (joint.way, joint.parents, set(joint.files)) == (Way.MERGED, (mixed.oid,), {stage})
    assert joint.is_dvc_yaml_edited
    assert joint.content == (sides.locals_[0].parent, mixed.oid)


def test_plan_join_of_a_commit_that_a_record_names_keeps_its_id() -> None:
    sides = Sides.part(V1)
    edit(sides.there, V1, STAGING)
    edit(sides.here, V1, PRODUCTION)
    (local,) = sides.locals_
    named = Local(local.commit, local.parent, is_named=True)
    (joint,) = sides.join(locals_=[named]).joints
    assert (joint.way, joint.parents, joint.content) == (Way.MERGED, (local.oid,), None)


def test_plan_join_of_a_merge_made_here_brings_its_other_parent() -> None:
    sides = Sides.part(V1)
    edit(sides.there, V1, STAGING)
    edit(sides.here, V1, PRODUCTION)
    (local,) = sides.locals_
    (joint,) = sides.join(locals_=[Local(local.commit, local.parent, ("other",))]).joints
    assert (joint.parents, joint.content) == (("other",), None)


@pytest.mark.parametrize("is_code", [True, False])
def test_plan_join_of_a_merge_of_the_remote_settles_other_files(is_code: bool) -> None:
    sides = Sides.part(V1)
    edit(sides.there, V1, STAGING)
    if is_code:
        sides.here.commit({"a.py": "mine"})
    edit(sides.here, V1, PRODUCTION)
    pull = sides.here.commit({"a.py": "settled"} if is_code else {"nothing": "x"})
    *before, last = sides.locals_
    changes = last.commit.changes if is_code else ()
    merge = Local(Commit(pull.oid, "", "", pull.time, "Merge", changes), last.parent, pulled="theirs")
    join = sides.join(locals_=[*before, merge])
    assert join.clashes == ()
    assert [joint.way for joint in join.joints] == [Way.REMADE, *([Way.MERGED] if is_code else [])]
    if is_code:
        assert (join.joints[-1].parents, join.joints[-1].content) == ((pull.oid,), ("theirs", pull.oid))
        assert ways(join) == [Way.MERGED, Way.REMADE, Way.MERGED]
    else:
        assert ways(join) == [Way.REMADE, Way.LANDED]


# Conflicts.


def test_plan_join_of_the_same_stage_names_it_and_all_that_builds_on_it() -> None:
    sides = Sides.part(V1, V2)
    edit(sides.there, V1, STAGING)
    first = edit(sides.here, V2, STAGING)
    edit(sides.here, V2, PRODUCTION)
    last = edit(sides.here, None, STAGING)
    join = sides.join()
    assert clashes(join) == [(Matter.STAGE, LAYOUT.stage(CHURN, STAGING))]
    assert join.loose == (first.oid, last.oid)
    assert sides.join(drop=join.loose).clashes == ()
    assert ways(sides.join(drop=join.loose)) == [Way.DROPPED, Way.REMADE, Way.DROPPED]


def test_plan_join_of_the_same_number_leaves_out_what_means_other_bytes() -> None:
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2): "theirs"})
    files = {LAYOUT.record(CHURN, V2): "mine", LAYOUT.file_list(CHURN, V2): "list"}
    mine = sides.here.commit(files)
    moved = edit(sides.here, V2, STAGING)
    marked = sides.here.commit({ARCHIVE: '{"versions": {"v2.0.0": {}}}'})
    approved = sides.here.commit({LAYOUT.approval(CHURN, V2, PRODUCTION, "x"): "yes"})
    other = edit(sides.here, V1, PRODUCTION)
    join = sides.join()
    assert clashes(join) == [(Matter.VERSION, LAYOUT.record(CHURN, V2))]
    assert join.loose == (mine.oid, moved.oid, marked.oid, approved.oid)
    assert [joint.local.oid for joint in join.joints] == [other.oid]


def test_plan_join_of_equal_bytes_under_one_number_keeps_what_builds_on_them() -> None:
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2): "theirs, the same"})
    mine = sides.here.commit({LAYOUT.record(CHURN, V2): "mine, the same"})
    edit(sides.here, V2, STAGING)
    join = sides.join()
    (clash,) = join.clashes
    assert clash.is_same
    assert join.loose == (mine.oid,)
    assert ways(sides.join(drop=[mine.oid])) == [Way.DROPPED, Way.REMADE]


def test_plan_join_of_marks_that_both_changed_names_the_version() -> None:
    sides = Sides.part(V1, V2)
    sides.there.archive(V1)
    sides.here.now = sides.here.now.replace(hour=13)
    sides.here.archive(V1)
    (clash,) = sides.join().clashes
    assert (clash.matter, clash.version) == (Matter.ARCHIVED, V1)
    sides.there.commit({ARCHIVE: '"cannot be read"'})
    (clash,) = sides.join().clashes
    assert (clash.matter, clash.version) == (Matter.ARCHIVED, None)


def test_plan_join_takes_a_mark_away_beside_others() -> None:
    base = Sides.part(V1, V2)
    base.there.archive(V1)
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    sides.there.archive(V2)
    sides.here.archive(V1, undo=True)
    blobs = sides.blobs
    (joint,) = sides.join(blobs=blobs).joints
    assert set(blobs.marks(ARCHIVE, joint.files[ARCHIVE]) or {}) == {V2}


def test_plan_join_of_settings_and_other_files_are_conflicts() -> None:
    sides = Sides.part(V1)
    sides.there.commit({"registry.yaml": "theirs", "registry/README.md": "theirs"})
    sides.here.commit({"registry.yaml": "mine"})
    sides.here.commit({"registry/README.md": "mine"})
    assert [each.matter for each in sides.join().clashes] == [Matter.SETTINGS, Matter.FILE]


@pytest.mark.parametrize("how", ["stage", "version", "approval", "archived"])
def test_plan_join_without_what_a_change_builds_on_says_so(how: str) -> None:
    sides = Sides.part(V1)
    sides.there.commit({"other": "x"})
    dropped = sides.here.register(V2) if how != "stage" else edit(sides.here, V1, STAGING)
    if how == "approval":
        sides.here.commit({LAYOUT.approval(CHURN, V2, STAGING, "x"): "yes"})
    elif how == "archived":
        sides.here.archive(V2)
    else:
        edit(sides.here, V2 if how == "version" else None, STAGING)
    join = sides.join(drop=[dropped.oid])
    assert [each.matter for each in join.clashes] == [Matter.LEFT_OUT]
    assert join.loose == (sides.here.commits[-1].oid,)


def test_plan_join_without_a_mixed_commit_keeps_its_other_files() -> None:
    sides = Sides.part(V1)
    sides.there.commit({"other": "x"})
    mixed = sides.here.commit({"a.py": "1", LAYOUT.stage(CHURN, STAGING): '{"version": "v1.0.0"}'})
    (joint,) = sides.join(drop=[mixed.oid]).joints
    assert (joint.files, joint.parents) == ({}, (mixed.oid,))


# Two histories of different models, stages and marks: one after the other, or joined.

LANES = [(model, stage) for model in (CHURN, FRAUD) for stage in (STAGING, PRODUCTION)]
Step = tuple[str, int, int]
VERBS = ("promote", "clear", "archive", "register", "code")
steps = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 1), st.integers(1, 3)), max_size=8)


def run(simulator: Simulator, todo: list[Step], side: int) -> None:
    """Commits what one side may do: its own lane of each model, its own marks, its own numbers."""
    for number, (what, lane, version) in enumerate(todo):
        model, stage = LANES[2 * lane + side]
        why = f"{side} {number}"
        if what == "promote":
            edit(simulator, Version(version), stage, model, why=why)
        elif what == "clear":
            edit(simulator, None, stage, model, why=why)
        elif what == "register":
            simulator.commit({LAYOUT.record(model, Version(10 + side, number)): f"record {why}"})
        elif what == "code":
            simulator.commit({f"code-{side}.py": why})
        else:
            path = LAYOUT.stage(model, ARCHIVED)
            text = simulator.tree.get(path)
            marks = dict(simulator.manifest(path, oid_of(text)).archived) if text else {}
            mine = Version(version, side)
            if marks.pop(mine, None) is None:
                marks[mine] = ArchivedMark(why)
            simulator.commit({path: json.dumps(format_archived(marks))})


@settings(max_examples=50)
@given(theirs=steps, mine=steps)
def test_plan_join_of_two_histories_gives_what_one_after_the_other_gives(theirs: list[Step], mine: list[Step]) -> None:
    base = simulate(V1, V2, V3)
    for version in (V1, V2, V3):
        base.register(version, model=FRAUD)
    here, there, after = (copy.deepcopy(base) for _ in range(3))
    run(there, theirs, 0)
    run(here, mine, 1)
    run(after, theirs, 0)
    run(after, mine, 1)
    join = Sides(there, here, len(base.commits)).join()
    assert (join.clashes, join.loose) == ((), ())
    joined, wanted = (
        {path: oid for path, oid in tree.items() if path.startswith("registry/")}
        for tree in (apply(oids(there), join), oids(after))
    )
    assert joined == wanted
    code = [each.oid for each in here.commits[len(base.commits) :] if each.changes[0].path.endswith(".py")]
    assert all(join.ways[oid] in {Way.MERGED, Way.KEPT} for oid in code)


# What is said of a conflict.


def told(sides: Sides) -> list[tuple[str, str, str, str]]:
    join = sides.join()
    theirs = sides.there.commits[-1]
    found = [describe(each, sides.blobs, theirs, settle="settle", merge="merge") for each in join.clashes]
    return [(each.what, each.ours_says, each.theirs_says, each.again) for each in found]


def test_describe_tells_both_sides_and_how_to_have_it_again() -> None:
    sides = Sides.part(V1, V2)
    edit(sides.there, V1, PRODUCTION)
    edit(sides.here, V2, PRODUCTION, why="it's better")
    again = "mreg promote churn@v2.0.0 production --reason 'it'\"'\"'s better' --push"
    assert told(sides) == [("churn production", "nothing → v2.0.0", "nothing → v1.0.0", again)]


@pytest.mark.parametrize(
    ("document", "again"),
    [
        ({"version": "none"}, "mreg clear churn production --reason 'By hand' --push"),
        ({"version": "v1.0.0", "hold": True}, "mreg hold churn production --reason 'By hand' --push"),
        (None, "mreg clear churn production --reason 'By hand' --push"),
    ],
)
def test_describe_offers_the_command_of_the_change(document: dict[str, object] | None, again: str) -> None:
    base = Sides.part(V1, V2)
    edit(base.there, V1, PRODUCTION)
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    edit(sides.there, V2, PRODUCTION)
    sides.here.edit(document, PRODUCTION)  # type: ignore[arg-type]
    assert [each[3] for each in told(sides)] == [again]


def test_describe_offers_a_rollback_and_the_release_of_a_hold() -> None:
    base = Sides.part(V1, V2)
    base.there.edit({"version": "v2.0.0", "hold": True}, PRODUCTION)
    base = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    sides = Sides(base.there, copy.deepcopy(base.here), base.shared)
    edit(sides.there, None, PRODUCTION)
    stage = LAYOUT.stage(CHURN, PRODUCTION)
    sides.here.commit({stage: '{"version": "v1.0.0"}'}, trailers=(("Mreg-Action", "rollback"),))
    assert told(sides)[0][3] == "mreg rollback churn production --to v1.0.0 --reason Change --push"
    sides = Sides(sides.there, copy.deepcopy(base.here), base.shared)
    sides.here.edit({"version": "v1.0.0", "hold": True}, PRODUCTION)
    assert told(sides)[0][3] == "mreg rollback churn production --to v1.0.0 --reason 'By hand' --push"
    sides = Sides(sides.there, copy.deepcopy(base.here), base.shared)
    sides.here.edit({"version": "v2.0.0"}, PRODUCTION)
    again = "mreg hold churn production --off --reason 'By hand' --push"
    assert told(sides)[0][1:] == ("released", "v2.0.0 → nothing", again)


def test_describe_of_marks_versions_settings_and_code() -> None:
    sides = Sides.part(V1, V2)
    sides.there.archive(V1)
    sides.here.now = sides.here.now.replace(hour=13)
    sides.here.archive(V1)
    assert told(sides)[0][:3] == ("churn v1.0.0", "archived", "archived for another reason")
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2): "the same", "registry.yaml": "x"})
    sides.here.commit({LAYOUT.record(CHURN, V2): "also the same"})
    sides.here.commit({"registry.yaml": "y"})
    assert told(sides)[0][:3] == ("churn v2.0.0", "registered", "registered, with the same bytes")
    assert told(sides)[1][:3] == ("the settings", "added", "added")
    code = Clash(Matter.CODE, "a.py", sides.here.commits[-1])
    found = describe(code, sides.blobs, None, settle="settle", merge="merge")
    assert (found.what, found.settle, found.theirs_says) == ("a.py", "merge", "changed")


def test_conflict_of_several_tells_them_all_and_settles_them_at_once() -> None:
    sides = Sides.part(V1, V2)
    for stage in (STAGING, PRODUCTION):
        edit(sides.there, V1, stage)
        edit(sides.here, V2, stage)
    join = sides.join()
    settle = settle_all(join.loose)
    conflicts = [describe(each, sides.blobs, sides.there.commits[-1], settle=settle, merge="") for each in join.clashes]
    error = conflict_of(conflicts, "main", "origin")
    assert error.message == "main here and origin/main both changed 2 things"
    assert error.hint.startswith(f"{settle}   # leaves out what was made here; to make it again on top: {settle} && ")
    assert error.details["told"] == [tell(each) for each in conflicts]
    assert settle.count("--drop") == 2
    assert settle_all(["a" * 40], "try") == "mreg push --drop aaaaaaaaaaaa --branch try"


def test_refusal_of_names_what_a_rule_asks_for() -> None:
    fault = Fault("rule-who", "registry/x.yaml", "not by ada", fix="ask bo")
    error = refusal_of([fault], "origin/main", settle="mreg push --drop a")
    assert error.message == "what was made here may not land on origin/main: registry/x.yaml: not by ada"
    assert error.hint == "mreg push --drop a   # leaves out what is refused; then: ask bo"
    several = refusal_of([fault, Fault("stray-file", "y", "z")], "origin/main", settle="s")
    assert several.message.endswith("2 reasons")


# Numbers that both sides took.


def renumbered(sides: Sides, blobs: Blobs) -> Renamed:
    return renumber(sides.locals_, oids(sides.there), LAYOUT, blobs)


def test_renumber_gives_the_next_number_to_all_that_names_the_version() -> None:
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2): "theirs"})
    sides.here.commit({LAYOUT.record(CHURN, V2): "mine v2.0.0", LAYOUT.file_list(CHURN, V2): "list"})
    edit(sides.here, V2, STAGING)
    edit(sides.here, V1, STAGING)
    sides.here.commit({ARCHIVE: '{"versions": {"v2.0.0": {}, "v1.0.0": {}}}'})
    sides.here.register(V3)
    blobs = sides.blobs
    found = renumbered(sides, blobs)
    assert found.versions == {CHURN: {V2: V4}}
    join = sides.join(locals_=list(found.locals_), blobs=blobs)
    assert join.clashes == ()
    first, staged, back, marked, _ = join.joints
    assert {LAYOUT.record(CHURN, V4), LAYOUT.file_list(CHURN, V4)} <= first.files.keys()
    assert blobs.text(first.files[LAYOUT.record(CHURN, V4)] or "") == "mine v4.0.0"
    stage = LAYOUT.stage(CHURN, STAGING)
    assert (blobs.entry(stage, staged.files[stage]) or StageEntry(None)).version == V4
    assert (blobs.entry(stage, back.files[stage]) or StageEntry(None)).version == V1
    assert set(blobs.marks(ARCHIVE, marked.files[ARCHIVE]) or {}) == {V1, V4}


@pytest.mark.parametrize("how", ["signed", "approval", "record", "same", "free"])
def test_renumber_leaves_what_it_cannot_or_need_not_write_anew(how: str) -> None:
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2 if how != "free" else V3): "theirs, the same"})
    mine = {"record": "signed", "same": "the same"}.get(how, "mine")
    sides.here.commit({LAYOUT.record(CHURN, V2): mine})
    if how == "signed":
        edit(sides.here, V2, STAGING, why="signed")
    elif how == "approval":
        sides.here.commit({LAYOUT.approval(CHURN, V2, STAGING, "x"): "yes"})
    assert renumbered(sides, sides.blobs) == Renamed(tuple(sides.locals_))


def test_rename_in_a_message_takes_whole_versions_alone() -> None:
    text = "Register churn v2.0.0\n\nMreg-Version: v2.0.0, not v2.0.0-rc1 nor v12.0.0 nor v2.0.0.1."
    wanted = "Register churn v4.0.0\n\nMreg-Version: v4.0.0, not v2.0.0-rc1 nor v12.0.0 nor v2.0.0.1."
    assert rename_in(text, {V2: V4}) == wanted


def test_renumber_passes_what_names_no_such_version() -> None:
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2): "theirs"})
    sides.here.commit({LAYOUT.record(CHURN, V2): "mine", "train.py": "code", LAYOUT.record(FRAUD, V1): "other"})
    sides.here.commit({ARCHIVE: '{"versions": {"v1.0.0": {}}}', "registry/README.md": "words"})
    found = renumbered(sides, sides.blobs)
    assert found.versions == {CHURN: {V2: V3}}
    assert found.locals_[1] == sides.locals_[1]
    assert LAYOUT.record(FRAUD, V1) in {change.path for change in found.locals_[0].commit.changes}


# The rest of what becomes of a commit, and of what is said.


def test_plan_join_of_a_merge_of_the_remote_keeps_what_its_user_settled() -> None:
    sides = Sides.part(V1, V2)
    edit(sides.there, V1, STAGING)
    settled = edit(sides.here, V2, PRODUCTION)
    (local,) = sides.locals_
    join = sides.join(locals_=[Local(settled, local.parent, pulled="theirs")])
    assert (ways(join), join.joints[0].files) == (
        [Way.REMADE],
        {LAYOUT.stage(CHURN, PRODUCTION): settled.changes[0].new},
    )


def test_plan_join_leaves_a_pointer_that_is_right_already() -> None:
    sides = Sides.part(V1)
    record = oid_of("record 2")
    sides.there.commit({POINTER: f"pointer {record}"})
    sides.here.commit({LAYOUT.record(CHURN, V2): "record 2", POINTER: f"pointer {record}"})
    (joint,) = sides.join().joints
    assert (set(joint.files), len(joint.records)) == ({LAYOUT.record(CHURN, V2)}, 1)


def test_describe_of_what_was_left_out_deleted_or_said_anew() -> None:
    sides = Sides.part(V1)
    sides.there.commit({"other": "x"})
    first = edit(sides.here, V1, STAGING)
    edit(sides.here, None, STAGING)
    (clash,) = sides.join(drop=[first.oid]).clashes
    found = describe(clash, sides.blobs, None, settle="settle", merge="")
    assert (found.what, found.ours_says, found.theirs_says) == (
        "churn staging",
        "builds on what is left out",
        "does not have that",
    )
    base = Sides.part(V1)
    edit(base.there, V1, STAGING)
    base.there.commit({"registry.yaml": "old"})
    sides = Sides(base.there, copy.deepcopy(base.there), len(base.there.commits))
    edit(sides.there, None, STAGING)
    sides.there.commit({"registry.yaml": None})
    edit(sides.here, V1, STAGING, why="anew")
    sides.here.commit({"registry.yaml": "new"})
    assert [each[1:3] for each in told(sides)] == [("changed", "v1.0.0 → nothing"), ("changed", "deleted")]


def test_conflict_of_one_number_offers_another() -> None:
    sides = Sides.part(V1)
    sides.there.commit({LAYOUT.record(CHURN, V2): "theirs"})
    sides.here.commit({LAYOUT.record(CHURN, V2): "mine"})
    (clash,) = sides.join().clashes
    found = describe(clash, sides.blobs, None, settle="mreg push --drop a", merge="")
    error = conflict_of([found], "main", "origin")
    assert (
        error.hint == "mreg push --renumber   # registers it under the next number; to leave it out: mreg push --drop a"
    )
    code = describe(Clash(Matter.CODE, "a.py", clash.ours), sides.blobs, None, settle="s", merge="git merge x")
    assert conflict_of([code], "main", "origin").hint == "git merge x"
    assert settle_all(["a" * 40], renumber=True) == "mreg push --renumber --drop aaaaaaaaaaaa"


def test_pushed_says_whether_it_is_well_and_changed_anything() -> None:
    made = Pushed("main", "origin", before="a", commit="a")
    assert (made.ok, made.changed) == (True, False)
    assert replace(made, tags=("x",)).changed
    assert not replace(made, complaints=(Fault("x", "y", "z"),)).ok
