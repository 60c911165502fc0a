"""Many writers of one registry at once: each operation lands once, or says why not and leaves nothing."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from mreg import Registry
from tests.conftest import Git
from tests.faults.proof import check_clone, check_deeds, check_registry
from tests.faults.writers import SHARED, Crew, Deed, Order
from tests.hosts import GitHost, git_host

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


@pytest.fixture(params=["file", "python", "nginx"])
def served(request: pytest.FixtureRequest, field: Field, tmp_path: Path, soak: bool) -> Iterator[Field]:
    """The remote by its path, or over HTTP."""
    if request.param == "nginx" and not soak:
        pytest.skip("at full scale only: pytest --soak")
    (tmp_path / "scratch").mkdir()
    hosted = git_host(request.param, field.bare, tmp_path / "scratch") if request.param != "file" else nullcontext()
    with hosted as host:
        if isinstance(host, GitHost):
            host.unprotect()
            field.url = host.url_of("ada")
        yield field


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
    writers, count = (8, 25) if soak else (4, 5)
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
