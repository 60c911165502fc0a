"""What is told of all of a large folder by how its trees are stored is what ``git log`` says of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from mreg.core.history.timeline import Commit
from mreg.errors import GitError
from mreg.stores.git.descendants import find_descendants
from mreg.stores.git.history import packed_trees, packs, tree_log, tree_looks
from mreg.stores.git.history.packs import Packs
from mreg.stores.git.history.tree_deltas import find_replaced
from mreg.stores.git.history.tree_log import is_large
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git
from tests.stores.git.wild import STORED, WILD, grow, store_trees

PATHS = ["registry", "registry.yaml"]
Authors = dict[tuple[str, str], frozenset[str]]
NEVER = 1 << 60


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks so at any repository, a few commits at a time."""
    monkeypatch.setattr(tree_looks, "LONG", 0)
    monkeypatch.setattr(tree_log, "FAR", 0)
    monkeypatch.setattr(tree_log, "PIECE", 13)
    monkeypatch.setattr(packed_trees, "ROOM", 3000)


def told(monkeypatch: pytest.MonkeyPatch, place: GitRepository, tip: str) -> int:
    """Gives how many commits there are, once both ways say the same of them."""
    mine, theirs = both(monkeypatch, place, tip)
    assert mine == theirs
    return len(mine[0])


def both(
    monkeypatch: pytest.MonkeyPatch, place: GitRepository, tip: str
) -> Sequence[tuple[list[Commit], list[Commit], Authors]]:
    """Gives what is said of the registry: in this way, and by ``git log``."""
    answers = []
    for long in (0, NEVER):
        monkeypatch.setattr(tree_looks, "LONG", long)
        every, those = (place.log(tip, PATHS, is_whole=is_whole) for is_whole in (True, False))
        answers.append((every, those, place.authors_of(tip, PATHS, under="approvals")))
    return answers


MORE = {
    **STORED,
    "in no pack": [["unpack-objects", "-q"]],
    "in packs without offsets": [["-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq", "--window=30"]],
    "with an old index": [["-c", "pack.indexVersion=1", "repack", "-adfq"]],
    "in one file that tells of all packs": [["repack", "-adfq", "--depth=6"], ["multi-pack-index", "write"]],
}


def store(repo: Path, git: Git, how: str) -> None:
    """Stores the objects of a repository in some way."""
    for command in MORE[how]:
        if "unpack-objects" not in command:
            git(*command, cwd=repo)
            continue
        pack = next((repo / ".git" / "objects" / "pack").glob("*.pack"))
        pack = pack.rename(repo / "pack")
        with pack.open("rb") as file:
            subprocess.run(["git", *command], stdin=file, cwd=repo, check=True)
        for path in (repo / ".git" / "objects" / "pack").iterdir():
            path.unlink()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("stored", "form", "merges"),
    [
        *((each, "sha1", WILD) for each in MORE),
        ("as differences", "sha1", 0),
        ("as it was imported", "sha1", 0),
        ("as differences", "sha256", 0),
    ],
)
def test_tree_log_is_what_git_log_says(
    stored: str, form: str, merges: float, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", f"--object-format={form}", str(tmp_path / "r"))
    chance = random.Random(f"{stored} {merges}")
    commits = grow(tmp_path / "r", git, chance, 90, digits=40 if form == "sha1" else 64, merges=merges)
    store(tmp_path / "r", git, stored)
    place = GitRepository(tmp_path / "r")
    for tip in (commits[-1], *chance.sample(commits, 2)):
        assert told(monkeypatch, place, tip)


@pytest.mark.usefixtures("eager")
def test_tree_log_of_a_repository_that_grew_since_it_was_packed_is_what_git_log_says(
    origin: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = GitRepository(origin)
    for number in range(3):
        tree = git("rev-parse", f"main~{number + 9}^{{tree}}", cwd=origin)
        tip = git("commit-tree", tree, "-p", "main", "-m", f"Back\n\nCo-authored-by: Y <Y{number}@x.org>", cwd=origin)
        git("update-ref", "refs/heads/main", tip, cwd=origin)
        assert told(monkeypatch, place, "main")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("how", ["--filter=blob:none", "--depth=9", "--shared"])
def test_tree_log_of_a_clone_is_what_git_log_says(
    how: str, origin: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(origin) if how == "--shared" else f"file://{origin}"
    git("clone", "--quiet", "--bare", how, "--branch=main", "--single-branch", source, "clone", cwd=tmp_path)
    git("remote", "set-url", "origin", "file:///nowhere", cwd=tmp_path / "clone")
    assert told(monkeypatch, GitRepository(tmp_path / "clone"), "main")


@pytest.mark.usefixtures("eager")
def test_tree_log_of_a_clone_that_lacks_trees_fetches_them_as_git_log_does(
    origin: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("clone", "--quiet", "--bare", "--filter=tree:0", f"file://{origin}", "clone", cwd=tmp_path)
    mine = GitRepository(tmp_path / "clone").log("main~100", PATHS)
    monkeypatch.setattr(tree_looks, "LONG", NEVER)
    assert mine == GitRepository(origin).log("main~100", PATHS)


@pytest.mark.usefixtures("eager")
def test_tree_log_passes_over_objects_that_replace_others(
    origin: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = GitRepository(origin)
    before = place.log("main", PATHS)
    git("replace", "main~3", "main~30", cwd=origin)
    git("replace", "main~5:registry", "main~40:registry", cwd=origin)
    assert place.log("main", PATHS) == before


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("which", ["main~9", "main~9^{tree}", "main~9:registry", "main~9:registry/model-00"])
def test_tree_log_without_an_object_is_an_error(which: str, origin: Path, git: Git) -> None:
    oid = git("rev-parse", which, cwd=origin)
    store(origin, git, "in no pack")
    (origin / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(GitError):
        GitRepository(origin).log("main", PATHS)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(6))
def test_tree_log_of_a_damaged_pack_is_as_git_log_or_an_error(
    seed: int, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_looks, "LONG", NEVER)
    whole = GitRepository(origin).log("main", PATHS)
    monkeypatch.setattr(tree_looks, "LONG", 0)
    chance = random.Random(seed)
    for kind in ("pack", "idx"):
        path = next((origin / ".git" / "objects" / "pack").glob(f"*.{kind}"))
        content = bytearray(path.read_bytes())
        for _ in range(4 if seed % 2 else 1):
            # In front of it all, and where an index counts its objects, as well as anywhere.
            content[chance.randrange(chance.choice((8, 1032, len(content))))] ^= 1 << chance.randrange(8)
        path.chmod(0o600)
        path.write_bytes(content[: -100 if seed == 0 else None])
    try:
        found = GitRepository(origin).log("main", PATHS)
    except GitError:
        return
    assert found == whole


@pytest.mark.usefixtures("eager")
def test_tree_log_passes_over_a_pack_that_is_gone(origin: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    store(origin, git, "as differences")
    gone = origin / ".git" / "objects" / "pack" / "pack-0.idx"
    gone.symlink_to("gone")  # as one that a repack deletes while it is looked for
    assert told(monkeypatch, GitRepository(origin), "main")


@pytest.mark.usefixtures("eager")
def test_tree_log_of_very_many_packs_opens_few_of_them(origin: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    for tree in git("rev-parse", *(f"main~{number}:registry" for number in range(12)), cwd=origin).split("\n"):
        git("pack-objects", "--quiet", ".git/objects/pack/pack", cwd=origin, input=f"{tree}\n")
    monkeypatch.setattr(packs, "_MOST", 5)
    before = len(list(Path("/dev/fd").iterdir()))
    with closing(Packs(origin / ".git" / "objects", 20)):
        assert len(list(Path("/dev/fd").iterdir())) == before + 10
    assert told(monkeypatch, GitRepository(origin), "main")


@pytest.mark.usefixtures("eager")
def test_tree_log_asks_git_a_few_times(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_log, "PIECE", 4096)
    place, trace = GitRepository(origin), tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    place.log("main", PATHS)
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    asked = [each["name"] for each in events if each["event"] == "cmd_name"]
    assert asked == ["cat-file", "rev-list", "diff-tree", "diff-tree", "diff-tree"]


@pytest.mark.usefixtures("eager")
def test_tree_log_that_is_not_read_on_leaves_no_process(origin: Path) -> None:
    log = GitRepository(origin).iter_log("main", PATHS)
    newest = next(log)
    assert isinstance(log, Generator)
    log.close()
    assert not find_descendants(os.getpid())
    assert newest == GitRepository(origin).log("main", PATHS)[-1]


@pytest.mark.parametrize(
    ("paths", "far", "is_so"),
    [
        (["registry"], 100, True),
        (["registry.yaml", "registry"], 100, True),
        (["registry"], NEVER, False),
        (["registry.yaml"], 0, False),
        (["nowhere"], 0, False),
        (["registry", "registry/model-00"], 0, False),
        (["registry\n"], 0, False),
        ([], 0, False),
    ],
)
def test_tree_log_is_for_a_large_folder_at_the_top(
    paths: list[str], far: int, is_so: bool, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_log, "FAR", far)
    assert is_large(GitRepository(origin).runner, "main", paths) == is_so


def test_short_history_of_all_is_told_by_git_alone(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    place = GitRepository(origin)
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    assert place.log("main", PATHS)
    assert trace.read_text().count('"cmd_name"') == 1


@pytest.mark.parametrize(("size", "trees"), [(0, 20), (30, 300), (600, 40)])
def test_replaced_entries_are_what_git_says_of_two_trees(size: int, trees: int, empty_repo: Path, git: Git) -> None:
    chance = random.Random(size)
    names = [f"model-{number:04}" for number in range(size)]
    kinds = ("100644 blob", "100755 blob", "040000 tree", "160000 commit")
    folder = {name: f"{chance.choice(kinds[:1])} {number:040x}" for number, name in enumerate(names, 1)}
    feed = []
    for number in range(trees):
        for name in chance.sample(names, min(len(names), chance.choice((1, 1, 2, 9)))):
            kind = folder[name].rpartition(" ")[0]
            # Ids that share bytes with others, so that a difference has parts of them.
            folder[name] = f"{kind} {chance.choice((chance.randrange(1, 1 << 159), chance.randrange(1, 99))):040x}"
        if chance.random() < 0.1:
            folder[f"new-{number}"] = f"{chance.choice(kinds)} {number + 1:040x}"
        feed += [f"{entry}\t{name}" for name, entry in sorted(folder.items())] + [""]
    oids = store_trees(git, feed)
    pairs = [*pairwise(oids), *((chance.choice(oids), chance.choice(oids)) for _ in range(40))]
    with closing(Packs(empty_repo / ".git" / "objects", 20)) as packs:
        found = find_replaced(packs, pairs)
    assert (len(found) > len(pairs) // 3) == (size > 0)
    for (old, new), entries in found.items():
        said = git("diff-tree", "--raw", "--no-abbrev", old, new)
        mine = [f"{each.old} {each.new} M\t{each.name}" for each in entries]
        assert [line.split(" ", 2)[2] for line in said.splitlines()] == mine
