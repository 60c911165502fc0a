"""What is found by looking at trees is what ``git log`` says, for any history, however it is stored."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mreg.core.history.timeline import Commit
from mreg.errors import GitError
from mreg.stores.git.history import packed_trees, tree_looks, tree_search
from mreg.stores.git.history.packs import Packs
from mreg.stores.git.history.tree_deltas import find_entries
from mreg.stores.git.history.tree_search import find_changed
from mreg.stores.git.objects import TreeEntry, parse_tree
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git
from tests.stores.git.wild import MODELS, PARTS, STORED, WANTED, grow, store_trees

Authors = dict[tuple[str, str], frozenset[str]]
NEVER = 1 << 60


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the trees of any repository, a few commits at a time."""
    monkeypatch.setattr(tree_looks, "LONG", 0)
    monkeypatch.setattr(tree_search, "FAR", 0)
    monkeypatch.setattr(tree_search, "PIECE", 13)
    monkeypatch.setattr(packed_trees, "ROOM", 3000)


def changed(monkeypatch: pytest.MonkeyPatch, place: GitRepository, tip: str, models: Sequence[str]) -> int:
    """Gives how many commits changed a model, once both ways agree."""
    mine, theirs = both(monkeypatch, place, tip, models)
    assert mine == theirs
    return len(mine[0])


def both(
    monkeypatch: pytest.MonkeyPatch, place: GitRepository, tip: str, models: Sequence[str]
) -> Iterator[tuple[list[Commit], Authors]]:
    """Gives what is said of models: by a look at the trees, and by ``git log``."""
    for long in (0, NEVER):
        monkeypatch.setattr(tree_looks, "LONG", long)
        folders = [f"registry/{model}" for model in models]
        paths = [f"{folder}/{part}" for folder in folders for part in PARTS]
        yield (
            place.log(tip, paths) + place.log(tip, [*folders, "registry.yaml"]),
            place.authors_of(tip, folders, under="approvals"),
        )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("stored", "form"), [*((each, "sha1") for each in STORED), ("as differences", "sha256")])
def test_first_look_is_what_git_log_says(
    stored: str, form: str, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", f"--object-format={form}", str(tmp_path / "r"))
    chance = random.Random(stored)
    commits = grow(tmp_path / "r", git, chance, 90, digits=40 if form == "sha1" else 64)
    for command in STORED[stored]:
        git(*command, cwd=tmp_path / "r")
    place = GitRepository(tmp_path / "r")
    for _ in range(6):
        models = chance.sample(WANTED, chance.choice((1, 1, 2, 4)))
        assert changed(monkeypatch, place, chance.choice(commits[30:]), models) or models == ["absent"]


@pytest.mark.usefixtures("eager")
def test_first_look_at_a_clone_without_files_fetches_none(
    origin: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"file://{origin}"
    git(
        "clone",
        "--quiet",
        "--bare",
        "--filter=blob:none",
        "--branch=main",
        "--single-branch",
        source,
        "clone",
        cwd=tmp_path,
    )
    git("remote", "set-url", "origin", "file:///nowhere", cwd=tmp_path / "clone")
    assert changed(monkeypatch, GitRepository(tmp_path / "clone"), "main", ["model-07"])


@pytest.mark.usefixtures("eager")
def test_first_look_at_a_shallow_clone_is_what_git_log_says(
    origin: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("clone", "--quiet", "--bare", "--depth=9", f"file://{origin}", "clone", cwd=tmp_path)
    assert changed(monkeypatch, GitRepository(tmp_path / "clone"), "main", ["model-07", "team"])


@pytest.mark.usefixtures("eager")
def test_first_look_passes_over_objects_that_replace_others(
    origin: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = GitRepository(origin)
    before = changed(monkeypatch, place, "main", ["model-07"])
    git("replace", "main~3", "main~30", cwd=origin)
    git("replace", "main~5:registry", "main~40:registry", cwd=origin)
    assert changed(monkeypatch, place, "main", ["model-07"]) == before


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("which", ["main~9^{tree}", "main~9:registry"])
def test_first_look_without_a_tree_is_an_error(which: str, origin: Path, git: Git) -> None:
    oid = git("rev-parse", which, cwd=origin)
    pack = next((origin / ".git" / "objects" / "pack").glob("*.pack"))
    pack.rename(origin / "kept.pack")
    with (origin / "kept.pack").open("rb") as kept:
        subprocess.run(["git", "unpack-objects", "-q"], stdin=kept, cwd=origin, check=True)
    (origin / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(GitError):
        GitRepository(origin).log("main", ["registry/model-07/stages"])


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("merges", [0, 0.1])
def test_first_look_once_serves_both_log_and_authors(
    merges: float, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", str(tmp_path / "r"))
    commits = grow(tmp_path / "r", git, random.Random(4), 90, merges=merges)
    git("repack", "-adfq", cwd=tmp_path / "r")
    trace = tmp_path / "trace"
    for old, new in ((80, 89), (89, 80), (85, 85)):
        monkeypatch.setattr(tree_looks, "LONG", 0)
        place = GitRepository(tmp_path / "r")
        place.log(commits[old], [f"registry/model-07/{part}" for part in PARTS])
        monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
        found = place.authors_of(commits[new], ["registry/model-07"], under="approvals")
        monkeypatch.delenv("GIT_TRACE2_EVENT")
        monkeypatch.setattr(tree_looks, "LONG", NEVER)
        assert found == place.authors_of(commits[new], ["registry/model-07"], under="approvals")
        assert found
        assert ("%T %H %P" in trace.read_text()) == (old > new or not place.is_linear(commits[new]))
        trace.unlink()


@pytest.mark.parametrize(
    ("paths", "is_far"),
    [
        (["registry/model-00"], False),
        (["registry/model-23"], True),
        (["registry/model-00", "registry/model-01", "registry/model-23"], True),
        (["registry/model-23/stages"], True),
        (["registry/nowhere"], True),
        (["nowhere/model-23"], False),
        (["registry", "registry.yaml"], False),
        (["registry/../registry/model-23"], False),
    ],
)
def test_first_look_is_for_what_is_far_down_a_folder(
    paths: list[str], is_far: bool, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_search, "FAR", 600)
    assert (
        find_changed(GitRepository(origin).runner, origin / ".git", "main", paths, is_first_parent=True) is not None
    ) == is_far


@pytest.mark.parametrize(("size", "trees"), [(30, 900), (2000, 30)])
def test_entries_are_what_git_says_of_each_tree(
    size: int, trees: int, empty_repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_trees, "ROOM", 3000)
    chance = random.Random(size)
    pool = [f"a-model-that-has-number-{number:04}" for number in range(size * 2)]  # all as long, for one to be another
    folder = {name: f"100644 blob {number}" for number, name in enumerate(pool[::2], 1)}
    changing, kinds = pool[-60:], ("100644 blob", "100755 blob", "040000 tree", "160000 commit")
    feed = []
    for _ in range(trees):
        for _ in range(chance.choice((1, 1, 1, 2))):
            dice, name, number = chance.random(), chance.choice(sorted(folder)[-30:]), chance.randrange(1, 1 << 159)
            kind, _, oid = folder[name].rpartition(" ")
            if dice < 0.4:
                folder[name] = f"{kind} {number:x}"
                if dice < 0.1:  # and the mode that comes next
                    after = min((each for each in folder if each > name), default=name)
                    folder[after] = f"{chance.choice(kinds)} {folder[after].rpartition(' ')[2]}"
            elif dice < 0.5:
                folder[name] = f"{chance.choice(kinds)} {oid}"
            elif dice < 0.7:  # in its place, and as long
                folder.setdefault(pool[pool.index(name) - 1], folder.pop(name))
            elif dice < 0.8:
                del folder[chance.choice((name, max(folder)))]
            else:
                folder[chance.choice(changing)] = f"{chance.choice(kinds)} {number:x}"
        feed += [f"{each.rpartition(' ')[0]} {each.rpartition(' ')[2]:0>40}\t{name}" for name, each in folder.items()]
        feed.append("")
    oids = store_trees(git, feed)
    place, wanted = GitRepository(empty_repo), [*chance.sample(changing, 5), "nowhere"]
    with closing(Packs(empty_repo / ".git" / "objects", place.id_bytes)) as packs:
        found = find_entries(place.runner, packs, [oid.encode() for oid in oids], [name.encode() for name in wanted])
    assert len(set(found.values())) > 1
    for oid, content in zip(oids, place.read(oids), strict=True):
        there = {name: _encode(name, entry) for name, entry in parse_tree(content or b"", place.id_bytes)}
        assert found[oid.encode()] == tuple(there.get(name) for name in wanted)


def _encode(name: str, entry: TreeEntry) -> bytes:
    return f"{entry.mode} {name}\0".encode() + bytes.fromhex(entry.oid)


@pytest.mark.parametrize("change", ["the last is gone", "the mode behind an id", "the name before an id", "one more"])
def test_entries_of_a_tree_that_differs_little_are_its_own(change: str, empty_repo: Path, git: Git) -> None:
    old = [f"100644 blob {number:040x}\tmodel-{number}0" for number in range(10, 60)]
    new, name = [*old], "model-300"
    if change == "the last is gone":
        del new[-1]
        name = "model-590"
    elif change == "the mode behind an id":
        new[19] = f"100644 blob {0xFF:040x}\tmodel-290"
        new[20] = new[20].replace("644", "755")
    elif change == "the name before an id":
        new[20], name = new[20].replace(name, "model-301"), "model-301"
    else:
        new.append(f"100644 blob {1:040x}\tmodel-600")
        name = "model-600"
    oids = store_trees(git, [*old, "", *new, ""])
    with closing(Packs(empty_repo / ".git" / "objects", 20)) as packs:
        found = find_entries(GitRepository(empty_repo).runner, packs, [oid.encode() for oid in oids], [name.encode()])
    assert found[oids[0].encode()] != found[oids[1].encode()]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("count", [1, 3])
def test_first_look_asks_git_as_often_for_one_as_for_several(
    count: int, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_search, "PIECE", 4096)
    place, trace = GitRepository(origin), tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    place.log("main", [f"registry/{model}/{part}" for model in MODELS[:count] for part in PARTS])
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    asked = [each["name"] for each in events if each["event"] == "cmd_name"]
    assert asked == ["cat-file", "log", "cat-file", "cat-file", "log"]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("options", [["--split"], []])
@pytest.mark.parametrize("count", [1, 2])
def test_log_of_one_folder_is_left_to_git_where_it_has_filters(
    count: int, options: list[str], origin: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("commit-graph", "write", "--reachable", "--changed-paths", *options, cwd=origin)
    place, trace = GitRepository(origin), tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    found = place.log("main", [f"registry/{model}/{part}" for model in WANTED[:count] for part in PARTS])
    assert found
    assert ("%T %H %P" in trace.read_text()) == (count > 1)
    monkeypatch.setattr(tree_looks, "LONG", NEVER)
    assert found == place.log("main", [f"registry/{model}/{part}" for model in WANTED[:count] for part in PARTS])


def test_short_history_is_told_by_git_alone(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, trace = GitRepository(origin), tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    assert place.log("main", ["registry/model-07/stages"])
    assert trace.read_text().count('"cmd_name"') == 1
