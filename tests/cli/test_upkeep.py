"""``mreg fsck`` and ``mreg gc``: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg


@pytest.fixture
def shared(churn: Path, tmp_path: Path, git: Git) -> Path:
    """The registry with a Git remote, and a version that never was in a stage; gives the DVC remote."""
    git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    git("remote", "add", "origin", str(tmp_path / "origin.git"))
    return churn / "store"


def grow(mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    (tmp_path / "new.bin").write_bytes(b"4" * 1000)
    mreg_here("register", "churn", str(tmp_path / "new.bin"), check=0)
    git("push", "--quiet", "--tags", "origin", "main")


def stored(store: Path) -> dict[str, Path]:
    return {path.read_text(): path for path in store.glob("files/md5/*/*")}


def test_fsck_of_what_is_whole(shared: Path, mreg_here: Mreg) -> None:
    result = mreg_here("fsck", "--remote", check=0)
    assert result.err == ""
    first, _, *lines = result.out.splitlines()
    assert first == "ok: as far as can be told without reading the bytes"
    assert lines[0].split() == ["remote", str(shared)]
    assert lines[1].startswith("checked  3 versions, 3 objects, ")
    assert lines[2] == "next     mreg fsck --remote --read-data   # reads every byte"
    assert mreg_here("fsck", "--read-data", check=0).out.startswith("ok: every byte was read\n")
    some = mreg_here("fsck", "churn@v1", "churn@production", check=0).out
    assert "  mreg fsck churn@v1 churn@production --read-data   # reads" in some


def test_fsck_of_faults_tells_what_mends_them(shared: Path, mreg_here: Mreg) -> None:
    for path in stored(shared).values():
        path.unlink()
    result = mreg_here("fsck", "churn@v2", "--remote", check=1)
    assert result.out.startswith("not ok: the bytes of 1 version are missing or changed\n")
    assert "churn@v2.0.0  model.bin is missing" in result.out
    assert "mreg fsck churn@v2.0.0 --remote --repair" in result.out
    found = json.loads(mreg_here("fsck", "churn", "--remote", "--format", "json", check=1).out)
    assert [each["version"] for each in found["faults"]] == ["v1.0.0", "v2.0.0", "v3.0.0"]
    assert found["faults"][0]["command"] == "mreg fsck churn@v1.0.0 --remote --repair"
    log = mreg_here("fsck", "churn@v1", "--remote", "--format", "github", check=1).out.splitlines()
    assert log[1].startswith("::notice title=mreg fsck::not ok")
    assert log[0].startswith("::error title=mreg%3A bytes::churn v1.0.0: model.bin is missing%0Afix: mreg fsck")
    mended = mreg_here("fsck", "--remote", "--repair", check=0)
    assert "repaired  3 objects" in mended.out


def test_fsck_where_nobody_has_the_bytes(shared: Path, mreg_here: Mreg) -> None:
    for folder in (shared, shared.parent / ".dvc" / "cache"):
        for path in stored(folder).values():
            path.unlink()
    result = mreg_here("fsck", "churn@v1", "--remote", "--repair", check=1)
    assert "# in a clone whose cache has it" in result.out
    assert mreg_here("fsck", check=0).out.count("available from the remote") == 1


def test_fsck_exit_codes(shared: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    assert "no model 'nope'" in mreg_here("fsck", "nope", check=4).err
    assert mreg_here("fsck", "CHURN@@", check=2).err
    shared.rename(tmp_path / "away")
    assert "is not there" in mreg_here("fsck", "--remote", check=6).err


def test_gc_shows_then_deletes_then_has_nothing_to_do(shared: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    grow(mreg_here, git, tmp_path)
    before = stored(shared)
    shown = mreg_here("gc", "--remote", "--keep-newest", "1", check=0)
    assert shown.out.startswith("would delete 1 object, ")
    step = "gc --remote --keep-newest 1 --delete"
    assert f"next    mreg {step}\n" in shown.out
    within = mreg_here("gc", "--keep-within", "0h", check=0)
    assert "next   mreg gc --keep-within 0m --delete\n" in within.out
    assert stored(shared) == before
    done = mreg_here(*step.split(), "--reason", "too many", check=0)
    assert done.out.startswith("deleted 1 object, ")
    assert "churn@v3.0.0" in done.out
    assert len(stored(shared)) == len(before) - 1
    again = mreg_here("gc", "--remote", "--delete", check=0)
    assert again.out.startswith("nothing to delete\n")
    assert mreg_here("gc", "--delete", check=0).out.startswith("deleted 1 object, ")
    refused = mreg_here("pull", "churn@v3", "-o", str(tmp_path / "x"), check=4)
    assert (
        "the bytes of churn v3.0.0 were deleted on purpose by ada@example.com on 2026-01-01 (too many)" in refused.err
    )
    assert not (tmp_path / "x").exists()
    refused = mreg_here("promote", "churn@v3", "staging", "--reason", "r", check=1)
    assert "its bytes were deleted on purpose" in refused.err
    assert "deleted on purpose by ada@example.com" in mreg_here("show", "churn@v3", check=0).out
    log = mreg_here("gc", "--remote", "--keep-newest", "1", "--format", "github", check=0).out
    assert log == "::notice title=mreg gc::nothing to delete\n"


def test_gc_for_a_pull_request_deletes_nothing_yet(shared: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    grow(mreg_here, git, tmp_path)
    before = stored(shared)
    given = mreg_here("gc", "--remote", "--keep-newest", "1", "--delete", "--branch", "give-up", check=0)
    assert given.out.startswith("given up on give-up: 1 object, ")
    assert "mreg gc --remote --delete   # once give-up is merged" in given.out
    assert stored(shared) == before
    mreg_here("check", "--base", "main", "--head", "give-up", check=0)
    git("push", "--quiet", "origin", "give-up:main")
    assert mreg_here("gc", "--remote", "--delete", check=0).out.startswith("deleted 1 object, ")
    mreg_here("verify", check=0)


def test_gc_exit_codes(shared: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    grow(mreg_here, git, tmp_path)
    assert "nothing says which versions to keep" in mreg_here("gc", check=2).err
    for within in ("soon", ""):
        assert f"{within!r} is not a duration" in mreg_here("gc", "--keep-within", within, check=2).err
    assert "the newest version is always kept" in mreg_here("gc", "--keep-newest", "0", check=2).err
    git("clone", "--quiet", "--depth=1", (tmp_path / "origin.git").as_uri(), str(tmp_path / "shallow"))
    (tmp_path / "shallow" / "store").mkdir()
    command = ("gc", "--remote", "--keep-newest", "1", "--delete")
    assert "shallow" in mreg_here(*command, cwd=tmp_path / "shallow", check=5).err
    git("remote", "set-url", "origin", str(tmp_path / "gone.git"))
    assert "origin could not be used" in mreg_here(*command, check=6).err
    git("remote", "remove", "origin")
    assert "no remote" in mreg_here(*command, check=6).err
