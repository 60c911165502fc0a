from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mreg.stores.git.writing import index_search
from mreg.stores.git.writing.index_search import has_entries
from tests.conftest import Git

FILES = ("a.txt", "registry/churn/stages/production.yaml", "registry/churn2/stages/production.yaml", "wörk/ø \udcff")


@pytest.fixture(params=["sha1", "sha256"])
def blobs(request: pytest.FixtureRequest, repo: Path, git: Git) -> dict[str, str]:
    """Object ids by path of what is staged."""
    subprocess.run(["rm", "-rf", str(repo / ".git")], check=True)
    git("init", "--quiet", f"--object-format={request.param}")
    for path in FILES:
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(f"{path!r}\n")
    git("add", ".")
    return staged(repo)


def staged(repo: Path) -> dict[str, str]:
    out = subprocess.run(["git", "ls-files", "-s", "-z"], cwd=repo, capture_output=True, check=True).stdout
    lines = out.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return {line.partition("\t")[2]: line.split(" ")[1] for line in lines}


def test_has_entries_finds_each_file_and_all_of_them(repo: Path, blobs: dict[str, str]) -> None:
    index = repo / ".git" / "index"
    assert set(blobs) >= set(FILES)
    assert has_entries(index, blobs)
    assert all(has_entries(index, {path: oid}) for path, oid in blobs.items())
    assert has_entries(index, {})


@pytest.mark.parametrize("block", [1, 7, 60, 100])
def test_has_entries_cut_anywhere_is_found(
    repo: Path, blobs: dict[str, str], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(index_search, "_BLOCK", block)
    assert has_entries(repo / ".git" / "index", blobs)
    assert not has_entries(repo / ".git" / "index", {**blobs, "b.txt": blobs["a.txt"]})


def test_has_entries_takes_neither_a_part_of_a_path_nor_another_blob(repo: Path, blobs: dict[str, str]) -> None:
    index, (path, oid) = repo / ".git" / "index", (FILES[1], blobs[FILES[1]])
    others = [path[1:], path[:-1], f"x{path}", path.rpartition("/")[2], "nowhere"]
    assert not any(has_entries(index, {other: oid}) for other in others)
    assert not has_entries(index, {path: blobs[FILES[2]]})


@pytest.mark.parametrize(
    "mess",
    [
        "git update-index --assume-unchanged a.txt",
        "git update-index --skip-worktree a.txt",
        "git update-index --chmod=+x a.txt",
        "git update-index --index-version 4",
        "git rm --quiet --cached a.txt && git add --intent-to-add a.txt",
        "git rm --quiet --cached a.txt",
        "echo other > a.txt && git add a.txt",
        "rm a.txt && ln -s elsewhere a.txt && git add a.txt",
        "oid=$(git rev-parse :a.txt); git rm --quiet --cached a.txt;"
        ' printf "100644 $oid 1\ta.txt\n100644 $oid 2\ta.txt\n" | git update-index --index-info',
    ],
)
def test_has_entries_what_is_not_plain_is_for_git_to_tell(repo: Path, blobs: dict[str, str], mess: str) -> None:
    subprocess.run(mess, shell=True, check=True, cwd=repo)
    assert not has_entries(repo / ".git" / "index", {"a.txt": blobs["a.txt"]})


def test_has_entries_of_a_split_index_are_for_git_to_tell(repo: Path, blobs: dict[str, str], git: Git) -> None:
    git("update-index", "--split-index")
    assert not has_entries(repo / ".git" / "index", blobs)
