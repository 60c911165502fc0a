"""`mreg doctor` on what keeps mreg from writing: each with the command that mends it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher
from mreg.stores.git.writing.worktrees import find_worktrees
from tests.conftest import Git, Mreg
from tests.registry.test_killed import fake_git
from tests.stores.git.test_publishing import without_override

ROLLBACK = ("rollback", "churn", "production", "--reason", "worse")


def hold(repo: Path) -> Path:
    """Leaves a lock of mreg's on the index, and no note."""
    (tree,) = find_worktrees(GitRepository(repo), "refs/heads/main", repo / ".git" / "mreg" / "pending.json")
    tree.hold()
    return repo / ".git" / "index.lock"


def test_file_in_place_of_mreg_s_folder(churn: Path, mreg_here: Mreg) -> None:
    shutil.rmtree(churn / ".git" / "mreg")
    (churn / ".git" / "mreg").write_text("mine")
    refused = mreg_here(*ROLLBACK, check=6)
    assert "hint: mreg doctor" in refused.err
    place = churn / ".git" / "mreg"
    found = mreg_here("doctor", check=1).out
    assert f"{place} is a file, and mreg needs a folder there" in found
    assert f"mv {place} {place}.old" in found
    subprocess.run(["mv", str(place), f"{place}.old"], check=True)
    mreg_here(*ROLLBACK, check=0)


@pytest.mark.parametrize("name", ["", "lock"])
def test_folder_that_may_not_be_written_to(churn: Path, name: str) -> None:
    place = churn / ".git" / "mreg" / name
    place.chmod(0o555 if place.is_dir() else 0o444)
    command = [*without_override(), sys.executable, "-m", "mreg"]
    found = subprocess.run([*command, "doctor"], capture_output=True, encoding="utf-8", check=False)
    place.chmod(0o755)
    assert found.returncode == 1
    assert f"{place} is not writable" in found.stdout
    assert f"ls -ld {shlex.quote(str(place))}" in found.stdout


def test_new_clone_has_no_folder_of_mreg_s_and_nothing_is_wrong(churn: Path, mreg_here: Mreg) -> None:
    shutil.rmtree(churn / ".git" / "mreg")
    mreg_here("doctor", check=0)


def test_settings_that_are_not_committed_are_named(churn: Path, mreg_here: Mreg, git: Git) -> None:
    assert "which count once committed" not in mreg_here("doctor").out
    with (churn / "registry.yaml").open("a") as file:
        file.write("# a note\n")
    (churn / "deep").mkdir()
    result = mreg_here("doctor", "--format", "json", cwd=churn / "deep")
    (check,) = (each for each in json.loads(result.out)["checks"] if each["name"] == "registry")
    assert check["ok"]
    assert check["message"].endswith("registry.yaml has changes, which count once committed")
    assert check["fix"] == "git commit -- :/registry.yaml"


def test_what_mends_a_file_works_in_every_folder(churn: Path, mreg_here: Mreg, git: Git) -> None:
    stage = churn / "registry/churn/stages/production.yaml"
    before = stage.read_text()
    stage.write_text("version: [\n")
    git("commit", "--quiet", "--all", "--message=Break it")
    (churn / "deep").mkdir()
    report = json.loads(mreg_here("doctor", "--format", "json", cwd=churn / "deep").out)
    (fix,) = (each["fix"] for each in report["checks"] if each["name"] == "registry files")
    subprocess.run(["sh", "-c", fix], cwd=churn / "deep", check=True)
    assert stage.read_text() == before


def test_lock_without_a_note_is_mended_by_the_next_command(churn: Path, mreg_here: Mreg, git: Git) -> None:
    lock = hold(churn)
    found = mreg_here("doctor", check=1).out
    assert f"a mreg command was killed and left {lock}" in found
    assert "mreg sync" in found
    mreg_here("sync", check=0)
    assert not lock.is_symlink()
    mreg_here("doctor", check=0)
    (churn / "registry.yaml").touch()
    git("add", "registry.yaml")


def test_lock_in_a_linked_worktree_too(churn: Path, tmp_path: Path, mreg_here: Mreg, git: Git) -> None:
    git("checkout", "--quiet", "-b", "topic")
    git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    (tree,) = find_worktrees(GitRepository(churn), "refs/heads/main", churn / ".git" / "mreg" / "pending.json")
    tree.hold()
    assert "worktrees/linked/index.lock" in mreg_here("doctor", check=1).out
    mreg_here("sync", check=0)
    git("add", "registry.yaml", cwd=tmp_path / "linked")


def test_lock_of_git_s_own_is_none_of_mreg_s(churn: Path, mreg_here: Mreg) -> None:
    (churn / ".git" / "index.lock").touch()
    mreg_here("doctor", check=0)
    mreg_here("sync", check=0)
    assert (churn / ".git" / "index.lock").exists()


def test_writer_at_work_is_no_fault(churn: Path, mreg_here: Mreg) -> None:
    with Publisher(GitRepository(churn)).locked():
        (churn / ".git" / "mreg" / "pending.json").write_text("{}")
        assert f"mreg is writing here now (pid {os.getpid()})" in mreg_here("doctor", check=0).out


def test_killed_command_is_mended_by_the_next(churn: Path, tmp_path: Path, mreg_here: Mreg) -> None:
    fake = fake_git(tmp_path, "update-ref", "kill -KILL $PPID $$")
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([sys.executable, "-m", "mreg", *ROLLBACK], env={**os.environ, "PATH": path}, check=False)
    assert done.returncode < 0
    assert "was killed while it wrote" in mreg_here("doctor", check=1).out
    mreg_here("sync", check=0)
    mreg_here("doctor", check=0)


def begin(what: str, git: Git, repo: Path) -> None:
    """Begins something of Git's that a conflict stops."""
    git("switch", "--quiet", "--create", "side", "HEAD~")
    (repo / "notes.txt").write_text("side")
    git("add", "notes.txt")
    git("commit", "--quiet", "--message=Side")
    patch = git("format-patch", "--stdout", "-1")
    git("switch", "--quiet", "main")
    (repo / "notes.txt").write_text("main")
    git("add", "notes.txt")
    git("commit", "--quiet", "--message=Main")
    words = {
        "merge": ("merge", "side"),
        "rebase": ("rebase", "side"),
        "cherry-pick": ("cherry-pick", "side"),
        "revert": ("revert", "--no-edit", "side"),
        "am": ("am", "--3way"),
        "bisect": ("bisect", "start"),
        "": ("read-tree", "-m", "HEAD~", "HEAD", "side"),
    }[what]
    subprocess.run(["git", *words], input=patch + "\n", text=True, cwd=repo, check=False, capture_output=True)


@pytest.mark.parametrize("what", ["merge", "rebase", "cherry-pick", "am", "revert", ""])
def test_what_git_has_begun_is_told_with_the_command_that_ends_it(
    what: str, churn: Path, git: Git, mreg_here: Mreg
) -> None:
    assert "no merge or rebase is in progress" in mreg_here("doctor", check=0).out
    begin(what, git, churn)
    (check,) = (each for each in json.loads(mreg_here("doctor", "-f", "json", check=1).out)["checks"] if not each["ok"])
    begun = f"git {what} is in progress, with" if what else "there are"
    assert (check["name"], check["message"]) == ("worktree", f"{begun} conflicts in 1 file, first notes.txt")
    assert check["fix"].startswith("git status   # shows them; resolve each, then:  ")
    if what:
        assert check["fix"].endswith(f"git {what} --continue; or give it up: git {what} --abort")
        git(what, "--abort")
        mreg_here("doctor", check=0)


def test_merge_that_waits_for_its_commit_and_a_bisect(churn: Path, git: Git, mreg_here: Mreg) -> None:
    git("switch", "--quiet", "--create", "side", "HEAD~")
    git("merge", "--quiet", "--no-commit", "--no-ff", "main")
    assert "git merge --continue   # or give it up: git merge --abort" in mreg_here("doctor", check=1).out
    git("merge", "--abort")
    git("bisect", "start")
    assert "git bisect is in progress" in mreg_here("doctor", check=0).out


def test_folder_of_a_model_that_was_renamed_is_told_everywhere_and_put_back(
    churn: Path, git: Git, mreg_here: Mreg
) -> None:
    before = mreg_here("list").out
    git("mv", "registry/churn", "registry/leavers")
    git("commit", "--quiet", "--message=Call it by another name")
    record = "registry/leavers/versions/v3.0.0.yaml"
    for words in (("list",), ("list", "--at", "main"), ("list", "leavers"), ("doctor",)):
        found = mreg_here(*words).out
        assert f"{record} is " in found
        assert "record of churn" in found
    for line in ("show leavers", "pull leavers -o out", "promote leavers staging -m x"):
        refused = mreg_here(*line.split(), check=3).err
        assert f"{record} is the record of churn v3.0.0\nhint: mreg doctor" in refused
    checks = json.loads(mreg_here("doctor", "--format", "json", check=1).out)["checks"]
    fix = next(each["fix"] for each in checks if each["name"] == "registry files")
    subprocess.run(fix, shell=True, check=True)
    assert mreg_here("list").out == before
