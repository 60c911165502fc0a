"""GTO and DVC read the same registry: after any changes they name what mreg names, and fetch the same bytes.

Three differences stay, and the tests say where:
    * after a clear, ``dvc artifacts get --stage`` still serves the version that was cleared: DVC ignores ``!`` tags;
    * ``gto history`` shows a clear as one unassignment of each version that was assigned since the last clear;
    * the newest version is to GTO the greatest number, pre-releases included; to mreg the greatest release.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gto.api
import pytest
from dvc.repo import Repo as DvcRepo
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from mreg import Action, Bump, Registry
from mreg.core.history.gto import GtoAction, parse_gto_name
from mreg.core.history.state import ModelState
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.errors import NotFoundError, RefusedError
from mreg.registry.reading.reader import Reader
from mreg.stores.git.repository import GitRepository
from tests.conftest import START, Mreg

MODELS = ("churn", "fraud/eu", "churn_2")
STAGES = ("staging", "production")
BRANCHES = ("feature", "fix")
MERGES = ("merge", "squash", "rebase")

pytestmark = pytest.mark.filterwarnings("ignore")  # those of GTO and DVC


def run_git(*args: str, cwd: Path) -> str:
    return subprocess.run(["git", *args], cwd=cwd, capture_output=True, encoding="utf-8", check=True).stdout


def tag_objects(path: Path) -> dict[str, str]:
    lines = run_git("for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags/", cwd=path).splitlines()
    return dict(line.split(" ") for line in lines)


@dataclass
class World:
    """A registry and the people who work in it; each operation does something sensible, or nothing."""

    path: Path
    patch: pytest.MonkeyPatch
    now: int = START
    count: int = 0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = Registry.open(self.path)

    def tick(self, seconds: int) -> None:
        """Moves the clock of everyone; it may stand still or go back."""
        self.now = max(self.now + seconds, 10**9)
        for role in ("AUTHOR", "COMMITTER"):
            self.patch.setenv(f"GIT_{role}_DATE", f"{self.now} +0000")

    def git(self, *args: str) -> str:
        return run_git(*args, cwd=self.path)

    def branch_exists(self, branch: str) -> bool:
        return bool(self.git("branch", "--list", branch).strip())

    def state(self, branch: str | None, model: str) -> tuple[list[Version], list[str]]:
        """Returns the versions of a model on a branch, and the stages in use."""
        repo = GitRepository(self.path)
        rev = f"refs/heads/{branch if branch and self.branch_exists(branch) else 'main'}"
        models = Reader(repo).state(repo.commit_of(rev), self.registry.policy).models
        found = models.get(ModelName(model), ModelState(ModelName(model)))
        return list(found.versions), [stage for stage, entry in found.entries.items() if entry.version]

    def artifact(self, kind: int) -> Path:
        self.count += 1
        place = self.path.parent / "artifacts" / str(self.count)
        place.mkdir(parents=True, exist_ok=True)
        path = place / ("model.pkl", "model.pkl", "weights", "other.bin")[kind % 4]
        if path.name == "weights":
            (path / "deep").mkdir(parents=True)
            (path / "a.bin").write_bytes(b"a %d" % self.count)
            (path / "deep" / "b.bin").write_bytes(b"b")
        else:
            path.write_bytes(b"model %d" % (self.count if kind % 5 else 0))
        return path

    def register(self, model: str, number: int, branch: str | None) -> None:
        versions, _ = self.state(branch, model)
        choices: list[dict[str, Any]] = [
            {},
            {},
            {"bump": Bump.MINOR},
            {"bump": Bump.PATCH},
            {"version": f"v{max((each.major for each in versions), default=0) + 1}.0.0-rc.{number}"},
            {"version": f"v{max((each.major for each in versions), default=0) + 2 + number % 3}.0.0"},
            {"stage": STAGES[number % 2], "reason": "x"},
        ]
        self.registry.register(model, self.artifact(number), branch=branch, force=True, **choices[number % 7])

    def promote(self, model: str, number: int, branch: str | None) -> None:
        versions, _ = self.state(branch, model)
        if versions:
            version = versions[number % len(versions)]
            stage = STAGES[number % 3 % 2]
            self.registry.promote(f"{model}@{version}", stage, reason=f"because {number}", branch=branch)

    def rollback(self, model: str, number: int, branch: str | None) -> None:
        self.registry.rollback(model, STAGES[number % 3 % 2], reason="worse", branch=branch)

    def clear(self, model: str, number: int, branch: str | None) -> None:
        _, stages = self.state(branch, model)
        if stages:
            self.registry.clear(model, stages[number % len(stages)], branch=branch)

    def archive(self, model: str, number: int, branch: str | None) -> None:
        versions, _ = self.state(branch, model)
        if versions:
            self.registry.archive(f"{model}@{versions[number % len(versions)]}", undo=number % 4 == 0, branch=branch)

    def sync(self, *_: object) -> None:
        self.registry.sync()

    def edit(self, model: str, number: int, _: str | None) -> None:
        """Edits a stage file by hand, on main."""
        versions, _stages = self.state(None, model)
        if not versions:
            return
        path = self.path / "registry" / model / "stages" / f"{STAGES[number % 3 % 2]}.yaml"
        version = versions[number % len(versions)]
        text = f"v{version.major}" if version == Version(version.major) else str(version)
        if not path.exists() or number % 5 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"version: {text}\n")
        elif number % 5 == 1:
            path.unlink()
        else:
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join([f"version: {'none' if number % 5 == 2 else text}\n", *lines[1:]]))
        self.git("add", "--all", "registry")
        if self.git("status", "--porcelain", "registry"):
            self.git("commit", "--quiet", "--message=By hand")

    def revert(self, model: str, number: int, _: str | None) -> None:
        """Reverts one of the last changes of the model's stages alone."""
        lines = self.git(
            "log", "--first-parent", "--no-merges", "--max-count=8", "--format=%H", "--", f"registry/{model}/stages"
        )
        commits = [
            commit
            for commit in lines.split()
            if "/versions/" not in self.git("show", "--format=", "--name-only", commit)
        ]
        if commits:
            try:
                self.git("revert", "--no-edit", commits[number % len(commits)])
            except subprocess.CalledProcessError:
                with suppress(subprocess.CalledProcessError):
                    self.git("revert", "--abort")

    def merge(self, _: str, number: int, __: str | None) -> None:
        """Brings a branch onto main in one of the three ways; of a conflict in a stage one side wins."""
        branches = [branch for branch in BRANCHES if self.branch_exists(branch)]
        if not branches:
            return
        branch, how = branches[number % len(branches)], MERGES[number % 3]
        steps = {
            "merge": [["merge", "--no-ff", "--no-edit", branch]],
            "squash": [["merge", "--squash", branch], ["commit", "--quiet", "--message=Squashed"]],
            "rebase": [["cherry-pick", f"main..{branch}"]],
        }[how]
        try:
            for step in steps:
                self.git(*step)
        except subprocess.CalledProcessError:
            if how == "rebase" or not self.resolve("--ours" if number % 2 else "--theirs"):
                self.log.append("given up:")
                self.git("reset", "--quiet", "--hard", "HEAD")
                with suppress(subprocess.CalledProcessError):
                    self.git("cherry-pick", "--abort")
        self.git("branch", "--quiet", "-D", branch)

    def resolve(self, side: str) -> bool:
        """Ends a merge by taking one side's files; two records of one number are for people to settle."""
        unmerged = sorted(set(self.git("diff", "--name-only", "--diff-filter=U").split()))
        if any("/versions/" in path for path in unmerged):
            return False
        for path in unmerged:
            try:
                self.git("checkout", side, "--", path)
                self.git("add", "--", path)
            except subprocess.CalledProcessError:
                self.git("rm", "--quiet", "--", path)
        if self.git("diff", "--cached", "--name-only") or (self.path / ".git" / "MERGE_HEAD").exists():
            self.git("commit", "--quiet", "--no-edit")
        return True


OPERATIONS: dict[str, Callable[[World, str, int, str | None], None]] = {
    "register": World.register,
    "promote": World.promote,
    "rollback": World.rollback,
    "clear": World.clear,
    "archive": World.archive,
    "edit": World.edit,
    "revert": World.revert,
    "merge": World.merge,
    "sync": World.sync,
}
WEIGHTS = [8, 9, 3, 2, 2, 3, 2, 5, 1]
CLOCKS = [0, 0, 1, 60, -1, -3600, -(10**7), 86_400]


def play(world: World, seed: int, length: int) -> None:
    """Does what a seed says: a list of operations would be mostly such as find nothing to do."""
    chance = random.Random(seed)
    for number in (1, 4):
        world.tick(1)
        world.register(MODELS[0], number, None)
    for _ in range(length):
        world.tick(chance.choice(CLOCKS))
        (name,) = chance.choices(list(OPERATIONS), WEIGHTS)
        model, number = chance.choice([*MODELS[:1] * 3, *MODELS[1:]]), chance.randrange(1000)
        branch = chance.choice([None, None, *BRANCHES])
        try:
            OPERATIONS[name](world, model, number, branch)
        except (NotFoundError, RefusedError) as error:
            world.log.append(f"{name} {model} {branch}: {error}")
        else:
            world.log.append(f"{name} {model} {branch} {number}")


@dataclass
class Peers:
    """What GTO and DVC make of one clone."""

    path: Path

    def models(self) -> dict[str, dict[str, Any]]:
        shown: dict[str, dict[str, Any]] = gto.api.show(str(self.path))
        return shown

    def versions(self, model: str) -> dict[str, set[str]]:
        """Returns the stages of each version, as ``gto show MODEL`` has them."""
        shown = gto.api.show(str(self.path), model)
        return {each["version"]: {stage["stage"] for stage in each["stages"]} for each in shown}

    def moves(self, model: str) -> list[tuple[str, str, str]]:
        """Returns what happened to the stages, oldest first, as ``gto history MODEL`` has it."""
        events = gto.api.history(str(self.path), model, ascending=True)
        return [(each["event"], each["stage"], each["version"]) for each in events if each["stage"]]


@pytest.fixture
def base(repo: Path, tmp_path: Path) -> Path:
    """A registry without a model, to be copied for each example."""
    Registry.init(repo, remote=str(tmp_path / "remote"))
    return repo


def check(world: World) -> None:
    world.registry.sync()
    again = world.registry.sync()
    assert (again.created, again.findings) == ((), ())
    assert "dangling" not in run_git("fsck", "--strict", "--no-dangling", cwd=world.path)
    check_fold(world)
    check_gto(world)


def check_fold(world: World) -> None:
    """The tree, the replayed history and the tags name the same versions in the same stages."""
    repo = GitRepository(world.path)
    reader, found = Reader(repo), world.registry.settings()
    layout = found.policy.layout
    state = reader.state(found.tip, found.policy)
    timeline = reader.timeline(reader.commits(found.tip, layout), layout)
    assert (state.findings, timeline.findings) == ((), [])
    assert {(model, version) for model, each in state.models.items() for version in each.records} == set(
        timeline.appearances
    )
    in_tree = {
        (model, stage): entry.version
        for model, each in state.models.items()
        for stage, entry in each.entries.items()
        if entry.version
    }
    assert in_tree == {key: lane.current for key, lane in timeline.lanes.items() if lane.current}
    assert {model: set(each.archived) for model, each in state.models.items() if each.archived} == {
        model: set(marks) for model, marks in timeline.archived.items() if marks
    }
    assert in_tree == stages_by_tags(world.path)


def stages_by_tags(path: Path) -> dict[tuple[ModelName, StageName], Version]:
    """Reads the stages from the tags alone, in the order of their numbers."""
    lines = run_git("for-each-ref", "--format=%(refname:strip=2) %(object)", "refs/tags/", cwd=path).splitlines()
    tags = [(name, says, commit) for name, commit in map(str.split, lines) if (says := parse_gto_name(name))]
    versions = {(says.model, commit): says.version for _, says, commit in tags if says.version}
    assert len(versions) == sum(1 for _, says, _ in tags if says.version), "two versions on one commit"
    held: dict[tuple[ModelName, StageName], Version] = {}
    for _, says, commit in sorted(tags, key=lambda each: each[1].number):
        version = versions[says.model, commit]
        if says.stage and version is not None:
            if says.action is GtoAction.ASSIGN:
                held[says.model, says.stage] = version
            elif held.get((says.model, says.stage)) == version:
                del held[says.model, says.stage]
    return held


def check_gto(world: World) -> None:
    peers = Peers(world.path)
    shown = peers.models()
    listed = {each.model: each for each in world.registry.list().models}
    assert set(shown) == set(listed)
    for model, summary in listed.items():
        versions = world.registry.versions(model).versions
        assert peers.versions(model) == {str(each.version): set(each.stages) for each in versions}
        assert shown[model]["version"] == str(max(each.version for each in versions))
        stages = {str(stage): str(version) for stage, version in summary.stages.items() if version}
        assert {stage: version for stage, version in shown[model]["stage"].items() if version} == stages
        check_history(world, peers, model)


def check_history(world: World, peers: Peers, model: str) -> None:
    """GTO's events are mreg's transitions; a clear also takes back what was assigned before."""
    moves = iter(peers.moves(model))
    for each in reversed(world.registry.history(model).transitions):
        if each.stage == ARCHIVED:
            continue
        if each.action is not Action.CLEAR:
            assert next(moves) == ("assignment", each.stage, str(each.target))
            continue
        for event, stage, version in moves:
            assert (event, stage) == ("unassignment", each.stage)
            if version == str(each.source):
                break
    assert list(moves) == []


def check_clone(world: World, patch: pytest.MonkeyPatch) -> None:
    """A clone without a tag makes the very same tags, on the very same seals, whatever its clock says."""
    clone = world.path.parent / "clone"
    run_git("clone", "--quiet", "--no-local", "--no-tags", "--branch=main", str(world.path), str(clone), cwd=world.path)
    if tags := run_git("tag", cwd=clone).split():  # Git 2.55 fetches them all the same
        run_git("tag", "--delete", *tags, cwd=clone)
    world.tick(10**6)
    patch.setenv("GIT_COMMITTER_NAME", "Somebody Else")
    registry = Registry.open(clone)
    created = registry.sync().created
    expected = tag_objects(world.path)
    assert tag_objects(clone) == expected
    assert sorted(created) == sorted(expected)
    run_git("fsck", "--strict", "--no-dangling", cwd=clone)
    check_bytes(registry, clone)


def check_bytes(registry: Registry, clone: Path) -> None:
    """DVC fetches by version and by stage what mreg pulls, from the remote of a clone that has nothing yet."""
    out = clone.parent / "out"
    for summary in registry.list().models:
        model = summary.model
        for version in registry.versions(model).versions[:3]:
            assert fetched(clone, model, out, version=str(version.version)) == pulled(
                registry, f"{model}@{version.version}", out
            )
        for stage, held in summary.stages.items():
            if held:
                assert fetched(clone, model, out, stage=stage) == pulled(registry, f"{model}@{stage}", out)
            elif cleared := [each for each in registry.history(model, stage) if each.source]:
                # The limit: DVC goes on serving what the stage held last.
                assert fetched(clone, model, out, stage=stage) == pulled(registry, f"{model}@{cleared[0].source}", out)


def fetched(clone: Path, model: str, out: Path, **wanted: str) -> dict[str, bytes]:
    with DvcRepo(str(clone)) as repo:
        repo.artifacts.download(model, out=str(out / "dvc"), force=True, **wanted)
    return contents(out / "dvc")


def pulled(registry: Registry, selector: str, out: Path) -> dict[str, bytes]:
    return contents(registry.pull(selector, out / "mreg", force=True).path)


def contents(path: Path) -> dict[str, bytes]:
    """Returns the files at a path, and takes them away."""
    if path.is_file():
        found = {"": path.read_bytes()}
        path.unlink()
        return found
    found = {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    shutil.rmtree(path)
    return found


def begin(base: Path, tmp_path: Path, patch: pytest.MonkeyPatch) -> World:
    place = tmp_path / "worlds" / str(len(list((tmp_path / "worlds").glob("*"))))
    shutil.copytree(base, place / "repo")
    return World(place / "repo", patch)


@pytest.mark.slow
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), length=st.integers(8, 25))
def test_peers_agree_after_any_sequence(base: Path, tmp_path: Path, seed: int, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        world = begin(base, tmp_path, patch)
        play(world, seed, length)
        note("\n".join(world.log))
        check(world)
        check_clone(world, patch)


def artifact(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "model.bin"
    path.write_text(text)
    return path


def test_gto_after_a_clear_shows_no_version_that_was_there_before(base: Path, tmp_path: Path) -> None:
    """Unassigning v3 alone would make v1 current again in GTO, and then v2."""
    registry, peers = Registry.open(base), Peers(base)
    for number in (1, 2, 3):
        registry.register("churn", artifact(tmp_path, f"{number}"), stage="production", reason="x")
    receipt = registry.clear("churn", "production")
    assert receipt.tags == ("churn#production!#4", "churn#production!#5", "churn#production!#6")
    assert peers.versions("churn") == {"v1.0.0": set(), "v2.0.0": set(), "v3.0.0": set()}
    assert fetched(base, "churn", tmp_path / "out", stage="production") == {"": b"3"}  # DVC's limit
    registry.promote("churn@v2", "production", reason="again")
    assert peers.versions("churn")["v2.0.0"] == {"production"}
    registry.clear("churn", "production")
    assert not peers.models()["churn"]["stage"].get("production")


def test_gto_in_one_second_agrees(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a tie GTO takes the version registered first, and DVC the tag #9 before #10."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_DATE", f"{START} +0000")
    registry = Registry.open(base)
    for number in (1, 2):
        registry.register("churn", artifact(tmp_path, f"{number}"))
    for number in range(11):
        registry.promote(f"churn@v{1 + number % 2}", "production", reason="x")
        assert Peers(base).models()["churn"]["stage"]["production"] == f"v{1 + number % 2}.0.0"
    assert fetched(base, "churn", tmp_path / "out", stage="production") == {"": b"1"}


def run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


@pytest.mark.slow
def test_peers_real_commands_agree(base: Path, tmp_path: Path, mreg_here: Mreg) -> None:
    """The commands that people type, on a registry with a seal, a nested name, a directory, a rollback and a clear."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    mreg_here("register", "fraud/eu", str(folder), "--stage", "staging", "--reason", "x", check=0)
    for number in (1, 2):
        path = artifact(tmp_path, f"{number}")
        mreg_here("register", "my_model", str(path), "--branch", "feature", check=0)
    run_git("merge", "--squash", "feature", cwd=base)
    run_git("commit", "--quiet", "--message=Two versions at once", cwd=base)
    mreg_here("sync", check=0)
    for version in ("v1", "v2"):
        mreg_here("promote", f"my_model@{version}", "production", "--reason", "x", check=0)
    mreg_here("rollback", "my_model", "production", "--reason", "worse", check=0)
    mreg_here("clear", "fraud/eu", "staging", "--reason", "x", check=0)

    shown = json.loads(run("gto", "show", "--json", cwd=base))
    listed = json.loads(mreg_here("list", "--format", "json", check=0).out)["models"]
    assert {name: each["stage"] for name, each in shown.items()} == {
        "fraud/eu": {"production": None},
        "my_model": {"production": "v1.0.0"},
    }
    assert {each["model"]: each["stages"] for each in listed} == {
        "fraud/eu": {"staging": None, "production": None},
        "my_model": {"staging": None, "production": "v1.0.0"},
    }
    assert "v1.0.0" in run("gto", "show", "my_model#production", cwd=base)
    events = json.loads(run("gto", "history", "--json", cwd=base))
    assert len(events) == len(run_git("tag", cwd=base).split()) == 8

    for selector, options in (
        ("my_model@v1", ["my_model", "--rev", "v1.0.0"]),
        ("my_model@v2", ["my_model", "--rev", "v2.0.0"]),
        ("my_model@production", ["my_model", "--stage", "production"]),
        ("fraud/eu@v1", ["fraud/eu", "--rev", "v1.0.0"]),
        ("fraud/eu@v1", ["fraud/eu", "--stage", "staging"]),  # it was cleared: DVC's limit
    ):
        run("dvc", "artifacts", "get", "--quiet", ".", *options, "-o", str(tmp_path / "dvc"), cwd=base)
        mreg_here("pull", selector, "-o", str(tmp_path / "mreg"), "--force", check=0)
        assert contents(tmp_path / "dvc") == contents(tmp_path / "mreg")
