from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mreg.errors import DirtyFilesError, GitError
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing import worktrees
from mreg.stores.git.writing.publishing import Publisher, RefMovedError, RefUpdate
from tests.conftest import Git
from tests.stores.git.conftest import ADA, CHANGE, GONE, RECORD, STAGE, Snapshot, fsck, land, snapshot

HERE = {"README.md", STAGE, RECORD, "train.py"}
"""The files after ``CHANGE``."""


def assert_landed(folder: Path, commit: str) -> None:
    """The worktree is at the commit, and nothing else happened to it."""
    found = snapshot(folder)
    assert found.status == ""
    assert set(found.files) == HERE
    assert found.files[STAGE] == CHANGE[STAGE]
    assert found.leftovers == ()
    assert GitRepository(folder).head() == commit
    fsck(folder)


class TestFollow:
    def test_files_and_index_of_the_worktree(self, registry: Path) -> None:
        assert_landed(registry, land(registry).commit)
        assert not (registry / GONE).parent.exists()

    def test_from_a_subdirectory(self, registry: Path) -> None:
        assert_landed(registry, land(registry / "registry" / "churn").commit)

    def test_from_inside_of_the_git_directory(self, registry: Path) -> None:
        assert_landed(registry, land(registry / ".git").commit)

    def test_detached_head_stays_where_it_is(self, registry: Path, git: Git) -> None:
        git("checkout", "--quiet", "--detach")
        before = snapshot(registry)
        commit = land(registry).commit
        after = snapshot(registry)
        assert (after.files, after.index, after.status, after.leftovers) == (before.files, before.index, "", ())
        assert git("rev-parse", "main") == commit

    def test_branch_in_another_worktree_follows_there(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("checkout", "--quiet", "-b", "topic")
        git("worktree", "add", "--quiet", str(tmp_path / "linked wörk tree"), "main")
        before = snapshot(registry)
        commit = land(registry).commit
        assert_landed(tmp_path / "linked wörk tree", commit)
        assert snapshot(registry).files == before.files
        assert snapshot(registry).status == ""

    def test_from_a_linked_worktree_the_main_one_follows(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
        commit = land(tmp_path / "linked").commit
        assert_landed(registry, commit)
        assert git("status", "--porcelain", cwd=tmp_path / "linked") == ""

    def test_two_worktrees_on_one_branch_both_follow(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("worktree", "add", "--quiet", "--force", str(tmp_path / "linked"), "main")
        commit = land(registry).commit
        assert_landed(registry, commit)
        assert_landed(tmp_path / "linked", commit)

    def test_linked_worktree_of_a_bare_repository(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("clone", "--quiet", "--bare", str(registry), str(tmp_path / "bare.git"))
        git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main", cwd=tmp_path / "bare.git")
        assert_landed(tmp_path / "linked", land(tmp_path / "bare.git").commit)

    def test_worktree_that_is_gone_is_passed_over(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("checkout", "--quiet", "--detach")
        git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
        shutil.rmtree(tmp_path / "linked")
        assert land(registry).commit == git("rev-parse", "main")

    def test_worktree_that_was_moved_by_hand_follows(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("checkout", "--quiet", "--detach")
        git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
        (tmp_path / "linked").rename(tmp_path / "moved")
        assert_landed(tmp_path / "moved", land(tmp_path / "moved").commit)

    def test_submodule_follows(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("init", "--quiet", str(tmp_path / "super"))
        git("submodule", "--quiet", "add", str(registry), "sub", cwd=tmp_path / "super")
        assert_landed(tmp_path / "super" / "sub", land(tmp_path / "super" / "sub").commit)

    def test_separate_git_directory_follows(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("init", "--quiet", f"--separate-git-dir={tmp_path / 'apart'}", str(registry))
        assert_landed(registry, land(registry).commit)

    def test_core_worktree_follows(self, registry: Path, tmp_path: Path, git: Git) -> None:
        (registry / ".git").rename(tmp_path / "apart")
        (registry / ".git").write_text("gitdir: ../apart\n")
        git("config", "core.worktree", "../repo", cwd=tmp_path / "apart")
        assert_landed(registry, land(registry).commit)

    def test_a_submodule_in_the_repository_is_left_alone(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("clone", "--quiet", str(registry), str(tmp_path / "other"))
        git("submodule", "--quiet", "add", str(tmp_path / "other"), "sub")
        git("commit", "--quiet", "--message=sub")
        git("config", "submodule.recurse", "true")
        (registry / "sub" / "train.py").write_text("changed\n")
        land(registry)
        assert (registry / "sub" / "train.py").read_text() == "changed\n"
        assert git("status", "--porcelain") == " M sub"

    @pytest.mark.parametrize("is_index_sparse", [False, True])
    def test_sparse_checkout_without_the_registry_stays_sparse(
        self, registry: Path, git: Git, is_index_sparse: bool
    ) -> None:
        (registry / "src").mkdir()
        (registry / "src" / "x.py").touch()
        git("add", "src")
        git("commit", "--quiet", "--message=src")
        git("sparse-checkout", "set", "--cone", *(["--sparse-index"] if is_index_sparse else []), "src")
        commit = land(registry).commit
        assert not (registry / "registry").exists()
        assert git("status", "--porcelain") == ""
        assert git("rev-parse", "HEAD") == commit
        git("sparse-checkout", "disable")
        assert_files = {str(path.relative_to(registry)) for path in (registry / "registry").rglob("*.yaml")}
        assert assert_files == {STAGE, RECORD}

    def test_autocrlf(self, registry: Path, git: Git) -> None:
        git("config", "core.autocrlf", "true")
        git("rm", "--quiet", "-r", "--cached", ".")
        git("reset", "--quiet", "--hard")
        assert (registry / STAGE).read_bytes() == b"version: v1.0.0\r\n"
        land(registry)
        assert (registry / STAGE).read_bytes() == b"version: v2.0.0\r\n"
        assert git("status", "--porcelain") == ""

    def test_filters_run_for_checked_out_files(self, registry: Path, git: Git) -> None:
        (registry / ".gitattributes").write_text("*.yaml filter=upper\n")
        git("config", "filter.upper.smudge", "tr a-z A-Z")
        git("config", "filter.upper.clean", "tr A-Z a-z")
        git("add", ".gitattributes")
        git("commit", "--quiet", "--message=attributes")
        git("checkout", "--quiet", "--force", "HEAD", "--", ".")
        land(registry)
        assert (registry / STAGE).read_bytes() == b"VERSION: V2.0.0\n"
        assert git("status", "--porcelain") == ""

    @pytest.mark.parametrize("setting", ["core.splitIndex", "core.untrackedCache", "feature.manyFiles"])
    def test_kinds_of_index(self, registry: Path, git: Git, setting: str) -> None:
        git("config", setting, "true")
        git("update-index", "--refresh", *(["--split-index"] if setting == "core.splitIndex" else []))
        git("status")
        assert_landed(registry, land(registry).commit)

    def test_touched_files_do_not_count_as_changed(self, registry: Path) -> None:
        os.utime(registry / STAGE, (1, 1))
        os.utime(registry / GONE, (1, 1))
        assert_landed(registry, land(registry).commit)

    def test_odd_paths(self, registry: Path) -> None:
        files = {"registry/churn/artifact/mø del (1).pkl.dvc": b"outs\n", 'registry/churn/artifact/"q".dvc': b"x\n"}
        land(registry, files)
        found = snapshot(registry)
        assert found.status == ""
        assert {path: found.files[path] for path in files} == files


class TestUnborn:
    def test_first_commit_leaves_untracked_files_alone(self, empty_repo: Path) -> None:
        (empty_repo / "train.py").write_text("mine\n")
        commit = land(empty_repo, {"registry.yaml": b"schema: 1\n"}).commit
        found = snapshot(empty_repo)
        assert found.status == "?? train.py\n"
        assert found.files == {"registry.yaml": b"schema: 1\n", "train.py": b"mine\n"}
        assert GitRepository(empty_repo).head() == commit

    def test_first_commit_keeps_what_is_staged(self, empty_repo: Path, git: Git) -> None:
        (empty_repo / "train.py").write_text("mine\n")
        git("add", "train.py")
        (empty_repo / "train.py").write_text("changed since\n")
        land(empty_repo, {"registry.yaml": b"schema: 1\n"})
        assert snapshot(empty_repo).status == "AM train.py\n"
        assert git("show", ":train.py") == "mine"

    def test_sha256(self, tmp_path: Path, git: Git) -> None:
        git("init", "--quiet", "--object-format=sha256", str(tmp_path / "new"))
        land(tmp_path / "new", {"registry.yaml": b"schema: 1\n"})
        assert snapshot(tmp_path / "new").status == ""

    @pytest.fixture
    def fetched(self, registry: Path, tmp_path: Path, git: Git) -> Path:
        """A repository that knows ``origin/main`` and has no branch of its own yet."""
        git("init", "--quiet", str(tmp_path / "fetched"))
        git("fetch", "--quiet", str(registry), "main:refs/remotes/origin/main", cwd=tmp_path / "fetched")
        return tmp_path / "fetched"

    def test_branch_that_begins_at_another_brings_all_its_files(self, fetched: Path, git: Git) -> None:
        parent = git("rev-parse", "refs/remotes/origin/main", cwd=fetched)
        assert_landed(fetched, land(fetched, parent=parent).commit)

    @pytest.mark.parametrize("is_ignored", [False, True])
    def test_file_in_the_way_of_any_of_them_is_refused(self, fetched: Path, git: Git, is_ignored: bool) -> None:
        parent = git("rev-parse", "refs/remotes/origin/main", cwd=fetched)
        (fetched / "train.py").write_text("mine\n")
        if is_ignored:
            (fetched / ".git" / "info").mkdir(exist_ok=True)
            (fetched / ".git" / "info" / "exclude").write_text("train.py\n")
        before = snapshot(fetched)
        with pytest.raises(DirtyFilesError, match=r"train\.py is in the way"):
            land(fetched, parent=parent)
        assert snapshot(fetched) == before

    def test_orphan_branch_keeps_its_files(self, registry: Path, git: Git) -> None:
        parent = git("rev-parse", "main")
        git("checkout", "--quiet", "--orphan", "promote")
        files = {RECORD: CHANGE[RECORD]}
        commit = land(registry, files, branch="promote", parent=parent).commit
        assert GitRepository(registry).head() == commit
        assert snapshot(registry).status == ""


class TestUsersOwnChanges:
    def test_staged_and_unstaged_ones_elsewhere_survive(self, registry: Path, git: Git) -> None:
        for name in ("staged", "both", "unstaged", "deleted", "removed", "mode"):
            (registry / name).write_text(f"{name}\n")
        git("add", ".")
        git("commit", "--quiet", "--message=more")
        (registry / "staged").write_text("staged change\n")
        (registry / "both").write_text("first\n")
        (registry / "new").write_text("new\n")
        git("add", "staged", "both", "new")
        git("rm", "--quiet", "removed")
        (registry / "both").write_text("second\n")
        (registry / "unstaged").write_bytes(b"\xff\0 unstaged")
        (registry / "deleted").unlink()
        (registry / "mode").chmod(0o755)
        (registry / "later").write_text("later\n")
        git("add", "--intent-to-add", "later")
        (registry / "registry" / "untracked.txt").write_text("untracked\n")
        before = snapshot(registry)
        land(registry)
        after = snapshot(registry)
        ours = {STAGE, RECORD, GONE}
        assert after.status == before.status
        assert {k: v for k, v in after.files.items() if k not in ours} == {
            k: v for k, v in before.files.items() if k not in ours
        }
        assert [line for line in after.index.split("\n") if "registry/" not in line] == [
            line for line in before.index.split("\n") if "registry/" not in line
        ]

    def modify(self, repo: Path) -> None:
        # Of another size: within one tick of the clock Git cannot tell otherwise, for files that it is not to look at.
        (repo / STAGE).write_text("version: v9.9.9  # mine\n")

    def same_size_same_second(self, repo: Path) -> None:
        stat = (repo / STAGE).stat()
        (repo / STAGE).write_text("version: v9.0.0\n")
        os.utime(repo / STAGE, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def stage(self, repo: Path) -> None:
        self.modify(repo)
        subprocess.run(["git", "add", STAGE], cwd=repo, check=True)

    def stage_then_restore_the_file(self, repo: Path) -> None:
        self.stage(repo)
        (repo / STAGE).write_text("version: v1.0.0\n")

    def delete(self, repo: Path) -> None:
        (repo / STAGE).unlink()

    def remove(self, repo: Path) -> None:
        subprocess.run(["git", "rm", "--quiet", STAGE], cwd=repo, check=True)

    def change_mode(self, repo: Path) -> None:
        (repo / STAGE).chmod(0o755)

    def change_what_is_to_go(self, repo: Path) -> None:
        (repo / GONE).write_text("changed\n")

    def hide_behind_assume_unchanged(self, repo: Path) -> None:
        subprocess.run(["git", "update-index", "--assume-unchanged", STAGE], cwd=repo, check=True)
        self.modify(repo)

    def hide_behind_skip_worktree(self, repo: Path) -> None:
        subprocess.run(["git", "update-index", "--skip-worktree", STAGE], cwd=repo, check=True)
        self.modify(repo)

    def replace_by_link(self, repo: Path) -> None:
        (repo / STAGE).unlink()
        (repo / STAGE).symlink_to("../../../../secret")

    def replace_by_folder(self, repo: Path) -> None:
        (repo / STAGE).unlink()
        (repo / STAGE).mkdir()
        (repo / STAGE / "mine").touch()

    def untracked(self, repo: Path) -> None:
        (repo / RECORD).parent.mkdir()
        (repo / RECORD).write_text("mine\n")

    def untracked_with_the_same_content(self, repo: Path) -> None:
        (repo / RECORD).parent.mkdir()
        (repo / RECORD).write_bytes(CHANGE[RECORD] or b"")

    def added(self, repo: Path) -> None:
        self.untracked(repo)
        subprocess.run(["git", "add", RECORD], cwd=repo, check=True)

    def added_in_intent(self, repo: Path) -> None:
        self.untracked(repo)
        subprocess.run(["git", "add", "--intent-to-add", RECORD], cwd=repo, check=True)

    def ignore(self, repo: Path, pattern: str) -> None:
        (repo / ".git" / "info").mkdir(exist_ok=True)
        (repo / ".git" / "info" / "exclude").write_text(f"{pattern}\n")

    def ignored(self, repo: Path) -> None:
        self.untracked(repo)
        self.ignore(repo, "v2.0.0.yaml")

    def ignored_folder(self, repo: Path) -> None:
        self.untracked(repo)
        self.ignore(repo, "versions/")

    def folder_in_place_of_the_file(self, repo: Path) -> None:
        (repo / RECORD).mkdir(parents=True)
        (repo / RECORD / "mine").touch()

    def ignored_folder_in_place_of_the_file(self, repo: Path) -> None:
        self.folder_in_place_of_the_file(repo)
        self.ignore(repo, "mine")

    def repository_in_place_of_the_file(self, repo: Path) -> None:
        subprocess.run(["git", "init", "--quiet", str(repo / RECORD)], check=True)

    def dangling_link_in_place_of_the_file(self, repo: Path) -> None:
        (repo / RECORD).parent.mkdir()
        (repo / RECORD).symlink_to("nowhere")

    def file_in_place_of_a_folder(self, repo: Path) -> None:
        (repo / RECORD).parent.write_text("mine\n")

    def ignored_file_in_place_of_a_folder(self, repo: Path) -> None:
        self.file_in_place_of_a_folder(repo)
        self.ignore(repo, "versions")

    def link_in_place_of_a_folder(self, repo: Path) -> None:
        (repo.parent / "outside").mkdir()
        (repo / RECORD).parent.symlink_to(repo.parent / "outside")

    def ignored_link_in_place_of_a_folder(self, repo: Path) -> None:
        self.link_in_place_of_a_folder(repo)
        self.ignore(repo, "versions")

    def dangling_link_in_place_of_a_folder(self, repo: Path) -> None:
        (repo / RECORD).parent.symlink_to("nowhere")

    def folder_moved_out_and_linked(self, repo: Path) -> None:
        (repo / "registry").rename(repo.parent / "outside")
        (repo / "registry").symlink_to(repo.parent / "outside")

    @pytest.mark.parametrize(
        "mess",
        [
            modify, same_size_same_second, stage, stage_then_restore_the_file, delete, remove, change_mode,
            change_what_is_to_go, hide_behind_assume_unchanged, hide_behind_skip_worktree, replace_by_link,
            replace_by_folder, untracked, untracked_with_the_same_content, added, added_in_intent, ignored,
            ignored_folder, folder_in_place_of_the_file, ignored_folder_in_place_of_the_file,
            repository_in_place_of_the_file, dangling_link_in_place_of_the_file, file_in_place_of_a_folder,
            ignored_file_in_place_of_a_folder,
            link_in_place_of_a_folder, ignored_link_in_place_of_a_folder, dangling_link_in_place_of_a_folder,
            folder_moved_out_and_linked,
        ],
        ids=lambda mess: mess.__name__,
    )  # fmt: skip
    def test_in_our_files_are_refused_with_nothing_written(
        self, registry: Path, mess: Callable[[TestUsersOwnChanges, Path], None]
    ) -> None:
        mess(self, registry)
        before = everything(registry)
        publisher = Publisher(GitRepository(registry))
        with pytest.raises(DirtyFilesError) as caught:
            land(registry, publisher=publisher)
        after = everything(registry)
        assert after[0] == before[0]
        # What Git was told to hide is found a step later, when objects that nothing names are written already.
        assert after[1:] == before[1:] or "hide" in mess.__name__ or worktrees.LARGE_INDEX == 0
        assert caught.value.hint
        files = caught.value.details["files"]
        assert isinstance(files, list)
        assert (registry / files[0]).parts[: len(registry.parts)] == registry.parts

    def test_ignored_neighbours_do_not_matter(self, registry: Path, git: Git) -> None:
        # The whole folder is ignored, as it is where only `git add --force` puts files there.
        self.ignore(registry, "registry/")
        (registry / RECORD).parent.mkdir()
        (registry / RECORD).with_name("notes.txt").write_text("mine\n")
        (registry / "registry" / "empty").mkdir()
        land(registry)
        assert git("status", "--porcelain") == ""
        assert (registry / RECORD).with_name("notes.txt").read_text() == "mine\n"

    def test_hint_can_be_pasted(self, registry: Path) -> None:
        self.untracked(registry)
        with pytest.raises(DirtyFilesError) as caught:
            land(registry)
        subprocess.run(caught.value.hint, shell=True, check=True, cwd="/")
        land(registry)
        assert (registry / f"{RECORD}.mine").read_text() == "mine\n"

    def test_unfinished_merge_is_refused(self, registry: Path, git: Git) -> None:
        git("checkout", "--quiet", "-b", "topic")
        (registry / "train.py").write_text("theirs\n")
        git("commit", "--quiet", "--all", "--message=theirs")
        git("checkout", "--quiet", "main")
        (registry / "train.py").write_text("ours\n")
        git("commit", "--quiet", "--all", "--message=ours")
        subprocess.run(["git", "merge", "topic"], check=False, capture_output=True)
        before = snapshot(registry)
        with pytest.raises(GitError, match="resolve your current index") as caught:
            land(registry)
        assert "git merge --abort" in caught.value.hint
        assert snapshot(registry) == before


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every index counts as a large one."""
    monkeypatch.setattr(worktrees, "LARGE_INDEX", 0)


@pytest.mark.usefixtures("large")
class TestFollowLarge(TestFollow):
    """The same, by the files that differ."""

    @pytest.mark.parametrize("are_touched", [False, True])
    def test_reads_no_trees(self, registry: Path, monkeypatch: pytest.MonkeyPatch, are_touched: bool) -> None:
        if are_touched:  # as in a copy: by its times, each file may be another one
            for path in (STAGE, GONE):
                os.utime(registry / path, (1, 1))
        trace = registry.parent / "trace"
        monkeypatch.setenv("GIT_TRACE", str(trace))
        land(registry)
        started = trace.read_text()
        assert " apply --index " in started
        assert " read-tree " not in started
        is_split = any((registry / ".git").glob("sharedindex.*"))
        assert (" ls-files " in started) is is_split
        assert (" status " in started) is are_touched

    def test_split_index_counts_with_what_is_shared(
        self, registry: Path, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(20):
            (registry / f"{number}.txt").touch()
        git("add", ".")
        git("commit", "--quiet", "--message=more")
        git("config", "core.splitIndex", "true")
        git("update-index", "--split-index")
        (shared,) = (registry / ".git").glob("sharedindex.*")
        assert (registry / ".git" / "index").stat().st_size < shared.stat().st_size
        monkeypatch.setattr(worktrees, "LARGE_INDEX", shared.stat().st_size)
        self.test_reads_no_trees(registry, monkeypatch, are_touched=False)

    def test_program_and_link_follow(self, registry: Path, git: Git) -> None:
        (registry / STAGE).chmod(0o755)
        (registry / GONE).unlink()
        (registry / GONE).symlink_to("elsewhere")
        git("commit", "--quiet", "--all", "--message=odd")
        assert_landed(registry, land(registry).commit)
        assert (registry / STAGE).stat().st_mode & 0o111 == 0


@pytest.mark.usefixtures("large")
class TestUsersOwnChangesLarge(TestUsersOwnChanges):
    """The same, by the files that differ."""

    def test_conflict_in_another_file_stays_to_be_resolved(self, registry: Path, git: Git) -> None:
        (registry / "train.py").write_text("stashed\n")
        git("stash")
        (registry / "train.py").write_text("committed\n")
        git("commit", "--quiet", "--all", "--message=mine")
        subprocess.run(["git", "stash", "pop"], check=False, capture_output=True)
        staged, text = git("ls-files", "--unmerged"), (registry / "train.py").read_text()
        assert staged
        land(registry)
        assert git("ls-files", "--unmerged") == staged
        assert (registry / "train.py").read_text() == text
        assert snapshot(registry).status == "UU train.py\n"

    @pytest.mark.parametrize("hide", ["--assume-unchanged", "--skip-worktree"])
    def test_file_that_git_is_not_to_look_at_follows(self, registry: Path, git: Git, hide: str) -> None:
        git("update-index", hide, STAGE)
        land(registry)
        assert (registry / STAGE).read_bytes() == CHANGE[STAGE]
        assert snapshot(registry).status == ""

    def test_commit_of_someone_s_own_to_the_same_file_stays(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry)
        publisher = Publisher(repo)
        old = git("rev-parse", "main")
        with publisher.locked():
            commit = publisher.commit(parent=old, files=CHANGE, author=ADA, committer=ADA, message="x")
            (registry / STAGE).write_text("version: v7.0.0\n")
            git("commit", "--quiet", "--all", "--message=Mine")
            before = snapshot(registry)
            with pytest.raises((RefMovedError, DirtyFilesError)):
                publisher.publish([RefUpdate("refs/heads/main", commit, old)], paths=tuple(CHANGE), reason="x")
        assert snapshot(registry) == before


def everything(folder: Path) -> tuple[Snapshot, list[str], bytes]:
    """Also what no user looks at: objects and the very bytes of the index."""
    objects = sorted(str(path) for path in (folder / ".git" / "objects").rglob("*") if path.is_file())
    return snapshot(folder), objects, (folder / ".git" / "index").read_bytes()


class TestIndexLock:
    def test_held_by_git_is_refused(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worktrees, "INDEX_LOCK_TIMEOUT_S", 0.1)
        lock = registry / ".git" / "index.lock"
        lock.touch()
        before = everything(registry)
        with pytest.raises(GitError, match="another git command is running") as caught:
            land(registry)
        assert everything(registry) == before
        assert caught.value.hint.endswith(f"rm {lock}")
        lock.unlink()
        assert_landed(registry, land(registry).commit)

    def test_held_for_a_moment_is_waited_for(self, registry: Path) -> None:
        lock = registry / ".git" / "index.lock"
        lock.touch()
        timer = threading.Timer(0.3, lock.unlink)
        timer.start()
        assert_landed(registry, land(registry).commit)
        timer.join()

    def test_held_in_one_of_two_worktrees_changes_neither(
        self, registry: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worktrees, "INDEX_LOCK_TIMEOUT_S", 0.1)
        git("worktree", "add", "--quiet", "--force", str(tmp_path / "linked"), "main")
        lock = registry / ".git" / "worktrees" / "linked" / "index.lock"
        lock.touch()
        before = snapshot(registry), snapshot(tmp_path / "linked")
        with pytest.raises(GitError, match="another git command is running"):
            land(registry)
        assert (snapshot(registry), snapshot(tmp_path / "linked")) == before

    def test_mreg_s_own_keeps_git_out_and_can_be_read(self, registry: Path) -> None:
        repo = GitRepository(registry)
        note = repo.state_dir / "pending.json"
        (held,) = worktrees.find_worktrees(repo, "refs/heads/main", note)
        held.hold()
        done = subprocess.run(["git", "add", "train.py"], capture_output=True, encoding="utf-8", check=False)
        assert done.returncode != 0
        assert "index.lock" in done.stderr
        assert os.readlink(registry / ".git" / "index.lock") == str(note)  # noqa: PTH115 - the text, not a path
        held.release()
        subprocess.run(["git", "add", "train.py"], check=True)

    def test_without_symbolic_links_it_is_a_plain_file(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Path, target: Path) -> None:
            # What Linux says on FAT; it says so of a name that is taken, too, but only after looking.
            if os.path.lexists(self):
                raise FileExistsError(errno.EEXIST, "File exists", str(self))
            raise PermissionError(errno.EPERM, "Operation not permitted", str(self))

        monkeypatch.setattr(Path, "symlink_to", refuse)
        repo = GitRepository(registry)
        (held,) = worktrees.find_worktrees(repo, "refs/heads/main", repo.state_dir / "pending.json")
        held.hold()
        assert (registry / ".git" / "index.lock").read_text() == str(repo.state_dir / "pending.json")
        assert held.is_held
        held.release()
        assert_landed(registry, land(registry).commit)

    def test_left_by_a_kill_before_the_repository_was_moved_is_taken_over(self, registry: Path, tmp_path: Path) -> None:
        (registry / ".git" / "index.lock").symlink_to("/elsewhere/.git/mreg/pending.json")
        assert_landed(registry, land(registry).commit)

    @pytest.mark.parametrize("content", [b"", b"DIRC\xff\0", b"\xff"])
    def test_of_git_s_is_never_taken_for_mreg_s(self, registry: Path, content: bytes) -> None:
        repo = GitRepository(registry)
        (registry / ".git" / "index.lock").write_bytes(content)
        (held,) = worktrees.find_worktrees(repo, "refs/heads/main", repo.state_dir / "pending.json")
        assert not held.is_held
        held.release()
        assert (registry / ".git" / "index.lock").read_bytes() == content
