"""``mreg pull``: the path on stdout, what is there already, and what is never replaced."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.checks import check_refused, snapshot
from tests.conftest import Git, Mreg


def test_pull_prints_the_path_alone(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    result = mreg_here("pull", "churn@production", "-o", "served.bin", check=0)
    assert (result.out, result.err) == (f"{churn}/served.bin\n", "")
    assert (churn / "served.bin").read_bytes() == b"churn 2"
    again = mreg_here("pull", "churn@production", "-o", "served.bin", "--format", "json", check=0)
    found = json.loads(again.out)
    assert (found["schema"], found["changed"], found["version"], found["size"]) == (1, False, "v2.0.0", 7)
    assert (found["model"], found["path"], len(found["sha256"])) == ("churn", f"{churn}/served.bin", 64)


def test_pull_takes_its_path_from_the_directory_of_c(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    assert mreg_here("-C", "repo", "pull", "churn@v1", "-o", "out/model", cwd=tmp_path, check=0).out.endswith(
        "out/model\n"
    )
    assert (churn / "out" / "model").read_bytes() == b"churn 1"
    mreg_here("-C", "repo", "pull", "churn@v1", cwd=tmp_path, check=0)
    assert (churn / "model.bin").read_bytes() == b"churn 1"


def test_pull_replaces_a_directory_by_a_file_where_it_had_put_it(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "weights").write_bytes(b"weights")
    mreg_here("register", "churn", str(tmp_path / "folder"), check=0)
    served = tmp_path / "served"
    for selector in ("churn@v1", "churn@v4", "churn@v2", "churn@v4"):
        assert mreg_here("pull", selector, "-o", "../served", check=0).out == f"{served}\n"
    assert [path.name for path in served.iterdir()] == ["weights"]
    (served / "notes").write_text("mine")
    assert mreg_here("pull", "churn@v1", "-o", "../served", check=0).out == f"{served}/model.bin\n"
    assert sorted(path.name for path in served.iterdir()) == ["model.bin", "notes", "weights"]


def test_pull_never_replaces_a_repository_or_a_device(churn: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    mreg_here("register", "net", str(folder), check=0)
    os.mkfifo("pipe")
    git("init", "--quiet", str(tmp_path / "other"))
    before = snapshot(tmp_path)
    for target, why in ((".", "a Git repository is in it"), ("..", "a Git repository is in it"), ("../other", "a Git repository is in it"), ("pipe", "neither a file nor a directory"), (".git/x", "it belongs to Git")):  # fmt: skip
        check_refused(mreg_here("pull", "net", "-o", target, "--force"), 1, "is never replaced", why)
    assert snapshot(tmp_path) == before
    mreg_here("pull", "net", "-o", "../folder", "--force", check=0)


def test_pull_of_bytes_that_are_nowhere_is_not_found(churn: Path, mreg_here: Mreg) -> None:
    for place in (churn / ".dvc" / "cache", churn / "store"):
        shutil.rmtree(place)
    (churn / "store").mkdir()
    before = snapshot(churn)
    check_refused(mreg_here("pull", "churn@v1", "-o", "out"), 4, "is not in remote 'storage'", hint="mreg fsck")
    assert {path for path in snapshot(churn) if not path.startswith(".dvc/cache")} == set(before)


def test_pull_of_a_record_whose_hash_was_taken_out_goes_by_what_was_registered(
    churn: Path, mreg_here: Mreg, git: Git
) -> None:
    record = churn / "registry/churn/versions/v1.0.0.yaml"
    lines = [line for line in record.read_text().splitlines() if "sha256:" not in line]
    record.write_text("\n".join(lines) + "\n")
    git("commit", "--quiet", "--all", "--message=Weaken it")
    pulled = mreg_here("pull", "churn@v1", "-o", "out", check=0)
    assert "what was registered counts: mreg verify" in pulled.err
    assert (churn / "out").read_bytes() == b"churn 1"


def test_pull_of_a_record_without_its_hash_is_refused(churn: Path, mreg_here: Mreg, git: Git) -> None:
    record = churn / "registry/churn/versions/v1.0.0.yaml"
    lines = [line for line in record.read_text().splitlines() if "sha256:" not in line]
    other = record.with_name("v9.0.0.yaml")
    other.write_text("\n".join(lines).replace("version: v1.0.0", "version: v9.0.0") + "\n")
    git("add", str(other))
    git("commit", "--quiet", "--message=Write one by hand")
    check_refused(
        mreg_here("pull", "churn@v9", "-o", "out"), 3, "v9.0.0.yaml: artifact.sha256 is missing", hint="git log -p"
    )
    assert not (churn / "out").exists()


@pytest.mark.parametrize("place", ["cache", "cache and store"])
def test_pull_of_changed_bytes_leaves_the_destination(place: str, churn: Path, mreg_here: Mreg) -> None:
    for stored in [path for path in churn.rglob("files/md5/*/*") if path.read_bytes() == b"churn 1"]:
        if "cache" in stored.parts or place != "cache":
            stored.chmod(0o644)
            stored.write_bytes(b"changed")
    mreg_here("pull", "churn@v2", "-o", "out", check=0)
    result = mreg_here("pull", "churn@v1", "-o", "out")
    if place == "cache":  # then the remote has the right ones
        assert (result.code, (churn / "out").read_bytes()) == (0, b"churn 1")
    else:
        check_refused(result, 3, "bytes")
        assert (churn / "out").read_bytes() == b"churn 2"
