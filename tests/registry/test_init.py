"""``init`` where there is something already: another branch, another remote, another tool's file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mreg import Registry
from mreg.errors import DataError, NotARegistryError, RefusedError, StorageError, UsageError
from mreg.registry.setup.initialising import initialise
from tests.conftest import Git, Mreg


def test_init_on_a_branch_of_its_own_is_found_here_and_in_a_clone(
    repo: Path, tmp_path: Path, model_file: Path, git: Git
) -> None:
    head = git("rev-parse", "HEAD", cwd=repo)
    receipt = initialise(repo, branch="registry")
    assert receipt.branch == "registry"
    assert [note for note in receipt.plan.notices if "registry.yaml on main" in note]
    assert Registry.open(repo).settings().branch == "registry"
    assert Registry.open(repo).register("churn", model_file).branch == "registry"
    changed = [".dvc/.gitignore", ".dvc/config", ".dvcignore", "registry.yaml"]
    assert git("diff", "--name-only", head, "main", cwd=repo).split() == changed
    assert git("status", "--porcelain", cwd=repo) == ""
    git("clone", "-q", str(repo), str(tmp_path / "clone"))
    assert [each.model for each in Registry.open(tmp_path / "clone").list().models] == ["churn"]
    assert not initialise(repo, branch="registry").changed
    git("checkout", "-q", "registry", cwd=repo)
    git("merge", "-q", "main", cwd=repo)
    assert Registry.open(repo).settings().policy.stages


def test_init_on_a_branch_of_its_own_before_the_first_commit(empty_repo: Path) -> None:
    assert [note for note in initialise(empty_repo, branch="registry", dry_run=True).plan.notices if "main" in note]
    assert not (empty_repo / "registry.yaml").exists()
    initialise(empty_repo, branch="registry")
    assert Registry.open(empty_repo).settings().branch == "registry"


def test_init_on_another_branch_where_nothing_could_name_it_is_refused(repo: Path, git: Git) -> None:
    git("checkout", "-q", "--detach", cwd=repo)
    git("branch", "-q", "-D", "main", cwd=repo)
    with pytest.raises(RefusedError, match="no branch is checked out") as caught:
        initialise(repo, branch="registry")
    assert caught.value.hint == "git switch -c registry && mreg init"
    with pytest.raises(NotARegistryError):
        Registry.open(repo)


def test_init_does_not_move_a_registry_to_another_branch(repo: Path) -> None:
    initialise(repo)
    with pytest.raises(UsageError, match="the registry branch is main"):
        initialise(repo, branch="other")
    assert not initialise(repo, branch="main").changed


def test_init_on_a_feature_branch_says_that_it_is_the_registry_branch(repo: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "add-mreg", cwd=repo)
    notices = initialise(repo).plan.notices
    assert [note for note in notices if "add-mreg is the registry branch" in note and "--branch main" in note]


def test_renamed_registry_branch_is_told(repo: Path, git: Git, mreg_here: Mreg) -> None:
    initialise(repo)
    git("branch", "-m", "main", "trunk", cwd=repo)
    for act in (lambda: Registry.open(repo), lambda: initialise(repo)):
        with pytest.raises(DataError, match=r"registry\.yaml on trunk names the branch main") as caught:
            act()
        assert "branch: trunk" in caught.value.hint
    settings = repo / "registry.yaml"
    settings.write_text(settings.read_text().replace("branch: main", "branch: trunk"))
    git("commit", "-qam", "The branch is trunk", cwd=repo)
    assert Registry.open(repo).settings().branch == "trunk"


def test_feature_branch_that_brings_the_first_registry_is_told_apart(repo: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "add-mreg", cwd=repo)
    (repo / "registry.yaml").write_text("schema: 1\n")
    git("add", "registry.yaml", cwd=repo)
    git("commit", "-qm", "Add it", cwd=repo)
    with pytest.raises(NotARegistryError, match=r"no registry\.yaml on main") as caught:
        Registry.open(repo)
    assert caught.value.hint == "merge add-mreg into main: its registry.yaml names that branch"


def test_init_that_replaces_a_remote_says_what_may_be_left_behind(repo: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    assert not [note for note in initialise(repo, remote=str(old)).plan.notices if "remote" in note]
    assert not [note for note in initialise(repo, remote=str(old)).plan.notices if str(old) in note]
    (note,) = initialise(repo, remote=str(new)).plan.notices
    assert str(old) in note
    assert "dvc push --all-commits" in note


def test_init_makes_the_folder_of_a_remote_and_register_does_not(repo: Path, tmp_path: Path, model_file: Path) -> None:
    remote = tmp_path / "mnt" / "models"
    initialise(repo, remote=str(remote))
    assert remote.is_dir()
    shutil.rmtree(remote.parent)
    with pytest.raises(StorageError, match="is not there") as caught:
        Registry.open(repo).register("churn", model_file)
    assert f"mkdir -p {remote}" in caught.value.hint
    assert not remote.parent.exists()
    assert Registry.open(repo).list().models == ()


def test_registry_yaml_of_another_tool_is_told(repo: Path, git: Git) -> None:
    (repo / "registry.yaml").write_text("images:\n  - name: web\n")
    git("add", "registry.yaml", cwd=repo)
    git("commit", "-qm", "Ours", cwd=repo)
    for act in (lambda: Registry.open(repo), lambda: initialise(repo)):
        with pytest.raises(DataError, match="another tool") as caught:
            act()
        assert "git mv registry.yaml" in caught.value.hint
