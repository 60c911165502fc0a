"""Many writers of one registry at once: each operation lands once, or says why not and leaves nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import Registry
from tests.conftest import Git
from tests.faults.proof import check_clone, check_deeds, check_history, check_registry
from tests.faults.writers import SHARED, Crew, Deed, Order
from tests.hosts import HOSTS, GitHost, git_host

ANSWERS = {"landed", "nothing-to-do", "refused", "conflict", "not-found"}
"""How an operation may end where nothing is wrong but that others write too."""


@dataclass
class Field:
    """A remote with two models of two versions each, and clones of it."""

    bare: Path
    folder: Path
    git: Git
    url: str = ""

    def clone(self, name: str) -> Path:
        path = self.folder / name
        self.git("clone", "--quiet", self.url or str(self.bare), str(path))
        for key, value in (("user.name", name.title()), ("user.email", f"{name}@example.com")):
            self.git("config", key, value, cwd=path)
        # A real server ends with no client.
        self.git("config", "remote.origin.receivepack", "setsid --wait git-receive-pack", cwd=path)
        return path

    @property
    def count(self) -> int:
        return int(self.git("rev-list", "--count", "main", cwd=self.bare))


REDUCED = {
    "test_race_lands_every_operation_once_or_names_why_not": ["file", "python"],
    "test_race_of_writers_that_are_killed_lands_whole_changes": ["file"],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_soak = metafunc.config.getoption("soak")
    if "served" in metafunc.fixturenames:
        hosts = ["file", *HOSTS] if is_soak else REDUCED[metafunc.function.__name__]
        metafunc.parametrize("served", hosts, indirect=True)
    if "is_killed" in metafunc.fixturenames:
        ways = [("one clone", True), ("two worktrees", False)]
        metafunc.parametrize(("kind", "is_killed"), [*ways, *((kind, not kill) for kind, kill in ways if is_soak)])


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("founded")


@pytest.fixture
def field(founded: Path, repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Field:
    made = founded / "registry.git"
    if not made.exists():
        registry = Registry.init(repo, remote=str(founded / "store"))
        for model in SHARED:
            for number in (1, 2):
                (tmp_path / "model.bin").write_bytes(b"%s %d" % (model.encode(), number))
                registry.register(model, tmp_path / "model.bin", metrics={"auc": 0.9})
        git("init", "--quiet", "--bare", str(made))
        git("push", "--quiet", "--atomic", "--follow-tags", str(made), "main")
    shutil.copytree(made, tmp_path / "srv" / "registry.git")
    for role in ("AUTHOR", "COMMITTER"):  # each writer has its own, and the clock of the machine
        for part in ("NAME", "EMAIL", "DATE"):
            monkeypatch.delenv(f"GIT_{role}_{part}", raising=False)
    (tmp_path / "clones").mkdir()
    return Field(tmp_path / "srv" / "registry.git", tmp_path / "clones", git)


@pytest.fixture
def served(request: pytest.FixtureRequest, field: Field, tmp_path: Path) -> Iterator[Field]:
    """The remote by its path, or over HTTP."""
    (tmp_path / "scratch").mkdir()
    hosted = git_host(request.param, field.bare, tmp_path / "scratch") if request.param != "file" else nullcontext()
    with hosted as host:
        if isinstance(host, GitHost):
            host.unprotect()
            field.url = host.url_of("ada")
        yield field


def mend(field: Field, clone: Path, *, push: bool) -> None:
    """Runs the next command in a clone whose writer was killed; it needs no help."""
    report = Registry.open(clone).sync(push=push)
    assert report.findings == ()
    assert field.git("status", "--porcelain", "--untracked-files=all", cwd=clone) == ""


@pytest.fixture
def crew(tmp_path: Path, field: Field) -> Iterator[Crew]:
    with Crew(tmp_path / "journals") as crew:
        yield crew


def tell(title: str, deeds: list[Deed], seconds: float) -> None:
    """Prints what was measured, for ``pytest -s --soak``."""
    landed = [deed for deed in deeds if deed.code == "landed"]
    tried = sorted(deed.attempts for deed in landed if deed.attempts) or [0]
    waits = sorted(deed.seconds for deed in landed) or [0]
    lines = (
        f"{title}: {len(deeds)} operations in {seconds:.1f} s: {dict(Counter(deed.code for deed in deeds))}",
        f"attempts of one that landed: {sum(tried) / len(tried):.2f} on average, {tried[-1]} at most",
        f"seconds of one that landed: {waits[len(waits) // 2]:.2f} half of them, {waits[-1]:.2f} at most",
    )
    sys.stdout.write("\n" + "\n    ".join(lines) + "\n")


@pytest.mark.slow
def test_race_lands_every_operation_once_or_names_why_not(served: Field, crew: Crew, soak: bool) -> None:
    writers, count = (8, 25) if soak else (4, 3)
    before = served.count
    clones = [served.clone(f"w{number}") for number in range(writers)]
    begun = time.monotonic()
    started = [
        crew.start(Order(clone.name, str(clone), count, api=number % 2 == 0, models=(*SHARED, "churn", clone.name)))
        for number, clone in enumerate(clones)
    ]
    assert [crew.wait(pid) for pid in started] == [0] * writers
    seconds, deeds = time.monotonic() - begun, crew.deeds()
    tell(f"{writers} writers of {served.url or 'a path'}", deeds, seconds)
    assert len(deeds) == writers * count
    assert [deed for deed in deeds if deed.code not in ANSWERS] == []
    assert [deed.message for deed in deeds if deed.code == "conflict"] == []  # nobody starves
    fresh = check_registry(served.git, served.bare, served.folder / "fresh")
    check_deeds(served.git, fresh, deeds, before=before)
    for clone in clones:
        check_clone(served.git, clone, served.bare)


@pytest.mark.slow
def test_race_of_writers_that_are_killed_lands_whole_changes(served: Field, crew: Crew, soak: bool) -> None:
    writers, seconds = (8, 60) if soak else (3, 2.5)
    before = served.count
    clones = [served.clone(f"k{number}") for number in range(writers)]
    kill_for(crew, [(clone, clone.name) for clone in clones], seconds, push=True)
    deeds = crew.deeds()
    tell(f"{writers} writers of {served.url or 'a path'} that are killed", deeds, seconds)
    assert {deed.code for deed in deeds} <= {*ANSWERS, "killed"}, [deed for deed in deeds if deed.code not in ANSWERS]
    assert [deed.message for deed in deeds if deed.code == "conflict"] == []
    for clone in clones:
        mend(served, clone, push=True)
        check_clone(served.git, clone, served.bare, killed=True)
    fresh = check_registry(served.git, served.bare, served.folder / "fresh")
    check_deeds(served.git, fresh, deeds, before=before)


def kill_for(crew: Crew, places: Sequence[tuple[Path, str]], seconds: float, *, push: bool) -> None:
    """Lets writers write, and for a while kills one after the other and starts another in its clone."""
    chance, end = random.Random(4), time.monotonic() + seconds
    lives = Counter[str]()

    def start(clone: Path, name: str) -> int:
        lives[name] += 1
        models = (*SHARED, "churn", name)
        # Even lives by the command line.  The writer alone is killed, or with it all that it started.
        return crew.start(
            Order(f"{name}.{lives[name]}", str(clone), api=lives[name] % 2 == 1, push=push, models=models)
        )

    running = [(start(*place), place) for place in places]
    while time.monotonic() < end:
        time.sleep(chance.uniform(0, 2.4 / len(places)))  # when it is killed is the point
        pid, place = running.pop(chance.randrange(len(running)))
        (os.kill if chance.random() < 0.3 else os.killpg)(pid, signal.SIGKILL)
        assert crew.wait(pid) == -signal.SIGKILL
        running.append((start(*place), place))
    for pid, _ in running:
        os.killpg(pid, signal.SIGKILL)
        assert crew.wait(pid) == -signal.SIGKILL


@pytest.mark.slow
def test_race_in_one_repository_lands_every_operation_once(
    kind: str, is_killed: bool, field: Field, crew: Crew, soak: bool
) -> None:
    clone = field.clone("home")
    before, other = field.count, clone
    if kind == "two worktrees":
        other = field.folder / "worktree"
        field.git("worktree", "add", "--quiet", "-b", "work", str(other), cwd=clone)
    if is_killed:
        kill_for(crew, [(clone, "a"), (other, "b")], 20 if soak else 2, push=False)
    else:
        count = 25 if soak else 4
        orders = [
            Order("a", str(clone), count, push=False),
            Order("b", str(other), count, api=False, push=False),
        ]
        assert [crew.wait(pid) for pid in [crew.start(order) for order in orders]] == [0, 0]
    deeds = crew.deeds()
    tell(f"{kind}{' killed' if is_killed else ''}", deeds, 0)
    assert {deed.code for deed in deeds} <= {*ANSWERS, "killed"}, [deed for deed in deeds if deed.code not in ANSWERS]
    assert [deed.message for deed in deeds if deed.code == "conflict"] == []
    mend(field, other, push=False)
    mend(field, clone, push=False)
    check_history(field.git, clone)
    check_deeds(field.git, clone, deeds, before=before)
    assert Registry.open(clone).verify().ok
    # It all lands on the remote as it is.
    Registry.open(clone).sync(push=True)
    check_registry(field.git, field.bare, field.folder / "fresh")
