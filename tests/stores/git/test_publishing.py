from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mreg.errors import ConflictError, DataError, GitError, StorageError
from mreg.stores.git import runner
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing import pending, publishing
from mreg.stores.git.writing.publishing import NewTag, Publisher, RefMovedError, RefUpdate
from mreg.stores.git.writing.worktrees import find_worktrees
from tests.conftest import Git
from tests.stores.git.conftest import ADA, CHANGE, GONE, RECORD, STAGE, fsck, land, snapshot, traced

SCRIPT = """\
import ast, resource, sys
from pathlib import Path
from tests.stores.git.conftest import land
if sys.argv[1:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
land(Path("."), ast.literal_eval(sys.stdin.read()), tags=["churn@v2.0.0"])
"""
TESTS = str(Path(__file__).parents[3])


def run_land(
    folder: Path,
    *,
    files: Mapping[str, bytes | None] = CHANGE,
    wrap: list[str] | None = None,
    size_limit: int | None = None,
) -> str:
    """Lands a change in a process of its own, and returns the error at the end of its traceback, if any."""
    command = [*(wrap or []), sys.executable, "-c", SCRIPT, *([str(size_limit)] if size_limit else [])]
    env = {**os.environ, "PYTHONPATH": TESTS}
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        input=repr(dict(files)),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if line[:1].strip() and not line.startswith("hint: ")]
    return (errors or [""])[-1] if done.returncode else ""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository that all examples of a property share."""
    folder = tmp_path_factory.mktemp("trees")
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], check=True)
    return folder


class TestTrees:
    def test_files_of_others_stay(self, registry: Path, git: Git) -> None:
        commit = land(registry).commit
        assert git("ls-tree", "-r", "--name-only", commit).split("\n") == ["README.md", STAGE, RECORD, "train.py"]

    def test_no_file_at_all_keeps_the_tree(self, registry: Path, git: Git) -> None:
        assert git("rev-parse", "main^{tree}") == git("rev-parse", f"{land(registry, {}).commit}^{{tree}}")

    def test_last_file_of_a_folder_takes_the_folder_along(self, registry: Path, git: Git) -> None:
        commit = land(registry, {GONE: None, STAGE: None}).commit
        assert git("ls-tree", "--name-only", commit).split("\n") == ["README.md", "train.py"]

    def test_deleting_what_is_not_there_changes_nothing(self, registry: Path, git: Git) -> None:
        commit = land(registry, {"registry/absent/x.yaml": None}).commit
        assert git("diff", "--name-only", f"{commit}~", commit) == ""

    def test_modes_of_others_stay(self, registry: Path, git: Git) -> None:
        (registry / "registry" / "run.sh").write_text("x")
        (registry / "registry" / "run.sh").chmod(0o755)
        (registry / "registry" / "link").symlink_to("run.sh")
        git("add", ".")
        git("commit", "--quiet", "--message=modes")
        before = git("ls-tree", "main:registry").split("\n")
        commit = land(registry).commit
        after = git("ls-tree", f"{commit}:registry").split("\n")
        assert [line for line in after if "churn" not in line] == [line for line in before if "churn" not in line]

    paths = st.lists(st.sampled_from(["a", "b", "a.b", "a-", "é", "a b", "A0"]), min_size=1, max_size=3).map("/".join)

    @pytest.mark.slow
    @given(
        st.dictionaries(paths, st.binary(max_size=5), max_size=6),
        st.dictionaries(paths, st.none() | st.binary(max_size=5), max_size=4),
    )
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_change_gives_git_s_own_tree(
        self, scratch: Path, base: dict[str, bytes], change: dict[str, bytes | None]
    ) -> None:
        old, new = _consistent(base), {**_consistent(base), **change}
        repo = GitRepository(scratch)
        publisher = Publisher(repo)
        parent = publisher.commit(parent=None, files=old, author=ADA, committer=ADA, message="old")
        publisher.flush()
        blocked = any(one != other and one.startswith(f"{other}/") for one in new for other in new)
        try:
            commit = publisher.commit(parent=parent, files=change, author=ADA, committer=ADA, message="new")
        except DataError:
            assert blocked
            return
        if blocked:  # one path of the change itself in another's way: no caller asks for that
            return
        publisher.flush()
        kept = {path: content for path, content in new.items() if content is not None}
        assert _git_tree(scratch, kept) == repo.resolve([f"{commit}^{{tree}}"])[0]

    def file(self, repo: Path) -> None:
        (repo / "registry").write_text("a file\n")

    def link(self, repo: Path) -> None:
        (repo / "elsewhere").mkdir()
        (repo / "registry").symlink_to("elsewhere")

    def submodule(self, repo: Path) -> None:
        other = str(repo.parent / "other")
        subprocess.run(["git", "clone", "--quiet", str(repo), other], check=True)
        subprocess.run(["git", "submodule", "--quiet", "add", other, "registry"], cwd=repo, check=True)

    @pytest.mark.parametrize("make", [file, link, submodule], ids=lambda make: make.__name__)
    def test_folder_that_is_none_in_the_commit_is_refused(
        self, repo: Path, git: Git, make: Callable[[TestTrees, Path], None]
    ) -> None:
        make(self, repo)
        git("add", ".")
        git("commit", "--quiet", "--message=odd")
        before = snapshot(repo)
        with pytest.raises(DataError, match="registry is no folder in commit"):
            land(repo)
        assert snapshot(repo) == before

    def test_folder_in_place_of_the_file_is_refused(self, registry: Path, git: Git) -> None:
        with pytest.raises(DataError, match="registry/churn is no file in commit"):
            land(registry, {"registry/churn": b"x"})

    def test_missing_tree_is_an_error_and_never_an_empty_one(self, registry: Path, git: Git) -> None:
        oid = git("rev-parse", "HEAD:registry/churn")
        (registry / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
        publisher = Publisher(GitRepository(registry))
        with pytest.raises(GitError, match=r"the tree registry/churn of commit \w+ is missing"):
            publisher.commit(parent="HEAD", files=CHANGE, author=ADA, committer=ADA, message="x")


def _consistent(files: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Leaves out files that lie below another file."""
    return {path: files[path] for path in files if not any(path.startswith(f"{other}/") for other in files)}


def _git_tree(folder: Path, files: Mapping[str, bytes]) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        env = {**os.environ, "GIT_INDEX_FILE": f"{scratch}/index"}
        listed = ""
        for path, content in files.items():
            oid = subprocess.run(
                ["git", "hash-object", "-w", "--stdin"], cwd=folder, input=content, stdout=subprocess.PIPE, check=True
            ).stdout.decode()
            listed += f"100644 {oid.strip()}\t{path}\0"
        subprocess.run(
            ["git", "update-index", "-z", "--index-info"], cwd=folder, env=env, input=listed.encode(), check=True
        )
        done = subprocess.run(["git", "write-tree"], cwd=folder, env=env, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()


class TestPublish:
    def test_branch_and_tags_move_together(self, registry: Path, git: Git) -> None:
        names = ["churn@v2.0.0", "churn#production#1"]
        landed = land(registry, tags=names)
        assert git("rev-parse", "main") == landed.commit
        assert [git("rev-parse", f"refs/tags/{name}") for name in names] == list(landed.tags)
        assert git("for-each-ref", "--format=%(taggername) %(taggerdate:raw)", "refs/tags/churn@v2.0.0") == (
            "Ada Author 1767300000 +0130"
        )
        assert git("reflog", "-1", "--format=%gs", "main") == "mreg: change it"
        assert git("reflog", "-1", "--format=%gs", "HEAD") == "mreg: change it"
        assert not (registry / ".git" / "logs" / "refs" / "tags").exists()
        assert snapshot(registry).status == ""
        fsck(registry)

    def test_same_change_gives_the_same_ids_anywhere(self, registry: Path, tmp_path: Path) -> None:
        shutil.copytree(registry, tmp_path / "copy")
        assert land(registry, tags=["churn@v2.0.0"]) == land(tmp_path / "copy", tags=["churn@v2.0.0"])

    def test_unsigned_commit_depends_on_its_arguments_alone(
        self, registry: Path, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publisher = Publisher(GitRepository(registry))
        head = git("rev-parse", "HEAD")
        first = publisher.unsigned_commit(parent=head, files=CHANGE, who=ADA, message="Seal\n")
        git("config", "commit.gpgSign", "true")
        monkeypatch.setenv("GIT_AUTHOR_NAME", "Someone Else")
        again = Publisher(GitRepository(registry))
        assert again.unsigned_commit(parent=head, files=CHANGE, who=ADA, message="Seal\n") == first

    def test_bare(self, registry: Path, tmp_path: Path, git: Git) -> None:
        bare = tmp_path / "bare.git"
        git("clone", "--quiet", "--bare", str(registry), str(bare))
        landed = land(bare, tags=["churn@v2.0.0"])
        assert git("rev-parse", "main", "churn@v2.0.0", cwd=bare).split("\n") == [landed.commit, *landed.tags]
        assert not list(bare.rglob("*.lock"))

    def test_new_branch(self, registry: Path, git: Git) -> None:
        before = snapshot(registry)
        commit = land(registry, branch="promote/churn", parent=git("rev-parse", "main")).commit
        assert git("rev-parse", "promote/churn") == commit
        after = snapshot(registry)
        assert (after.files, after.index, after.status) == (before.files, before.index, before.status)

    def test_nothing_to_publish_is_done(self, registry: Path) -> None:
        before = snapshot(registry)
        publisher = Publisher(GitRepository(registry))
        with publisher.locked():
            publisher.publish([], reason="nothing")
        assert snapshot(registry) == before

    def test_reftable(self, registry: Path, tmp_path: Path, git: Git) -> None:
        done = subprocess.run(["git", "init", "--quiet", "--ref-format=reftable", "new"], cwd=tmp_path, check=False)
        if done.returncode:
            pytest.skip("this Git has no reftable")
        commit = land(tmp_path / "new", {"registry.yaml": b"schema: 1\n"}, tags=["churn@v1.0.0"]).commit
        second = land(tmp_path / "new", CHANGE).commit
        repo = GitRepository(tmp_path / "new")
        assert [each.oid for each in repo.log("main", [])] == [commit, second]
        assert [tag.target for tag in repo.tags()] == [commit]

    def test_counts_of_git_processes(self, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        repo = GitRepository(registry)
        publisher = Publisher(repo)
        head = repo.head()
        assert head is not None
        with traced(tmp_path, monkeypatch) as built:
            commit = publisher.commit(parent=head, files=CHANGE, author=ADA, committer=ADA, message="x")
            tags = [publisher.tag(NewTag(f"churn@v{n}.0.0", commit, ADA, "x")) for n in range(100)]
        assert built == ["cat-file", "config"]
        updates = [RefUpdate("refs/heads/main", commit, head)]
        with publisher.locked(), traced(tmp_path, monkeypatch) as published:
            publisher.publish(updates, paths=tuple(CHANGE), reason="x")
        assert published == ["worktree", "status", "unpack-objects", "read-tree", "update-ref"]
        updates = [RefUpdate(f"refs/tags/churn@v{n}.0.0", oid, None) for n, oid in enumerate(tags)]
        with publisher.locked(), traced(tmp_path, monkeypatch) as tagged:
            publisher.publish(updates, reason="x")
        assert tagged == ["update-ref"]


class TestRefused:
    def elsewhere(self, registry: Path, git: Git) -> str:
        """Moves main as someone else would, while mreg has read it already."""
        return git("commit-tree", "-p", "main", "-m", "Someone else's", "main^{tree}")

    def test_branch_moved_since_it_was_read_restores_the_files(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry)
        publisher = Publisher(repo)
        old = git("rev-parse", "main")
        with publisher.locked():
            commit = publisher.commit(parent=old, files=CHANGE, author=ADA, committer=ADA, message="x")
            git("update-ref", "refs/heads/main", self.elsewhere(registry, git))
            before = snapshot(registry)
            with pytest.raises(RefMovedError, match="refs/heads/main moved while mreg was writing") as caught:
                publisher.publish([RefUpdate("refs/heads/main", commit, old)], paths=tuple(CHANGE), reason="x")
        assert snapshot(registry) == before
        assert caught.value.details["refs"] == ["refs/heads/main"]
        assert land(registry).commit == repo.head()

    @pytest.mark.parametrize("old", [None, "1" * 40])
    def test_branch_that_is_not_where_it_should_be(self, registry: Path, git: Git, old: str | None) -> None:
        publisher = Publisher(GitRepository(registry))
        before = snapshot(registry)
        with publisher.locked():
            commit = publisher.commit(parent="HEAD", files={}, author=ADA, committer=ADA, message="x")
            with pytest.raises((RefMovedError, GitError)):
                publisher.publish([RefUpdate("refs/heads/main", commit, old)], reason="x")
        assert snapshot(registry) == before

    def test_tag_that_is_there_already_moves_nothing(self, registry: Path, git: Git) -> None:
        git("tag", "churn@v2.0.0")
        before = snapshot(registry)
        with pytest.raises(RefMovedError, match=r"refs/tags/churn@v2\.0\.0 moved"):
            land(registry, tags=["churn@v2.0.0"])
        assert snapshot(registry) == before

    def test_tag_that_is_a_folder_of_others_moves_nothing(self, registry: Path, git: Git) -> None:
        git("tag", "fraud/eu@v1.0.0")
        before = snapshot(registry)
        with pytest.raises(GitError, match="cannot lock ref 'refs/tags/fraud'"):
            land(registry, tags=["fraud"])
        assert snapshot(registry) == before

    def test_ref_that_another_git_holds(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        impatient = [word.replace("Timeout=5000", "Timeout=100") for word in runner._ALWAYS]
        monkeypatch.setattr(runner, "_ALWAYS", tuple(impatient))
        lock = registry / ".git" / "refs" / "heads" / "main.lock"
        lock.write_text(f"{'1' * 40}\n")
        before = snapshot(registry)
        with pytest.raises(GitError, match="File exists") as caught:
            land(registry)
        assert caught.value.hint.endswith(f"rm '{lock}'")
        assert snapshot(registry) == before

    def test_branch_landed_and_its_tag_did_not(self, registry: Path, git: Git) -> None:
        # What a kill or a full disk between two renames leaves.
        publisher = Publisher(GitRepository(registry))
        old = git("rev-parse", "main")
        commit = publisher.commit(parent=old, files={}, author=ADA, committer=ADA, message="x")
        publisher.flush()
        git("update-ref", "refs/heads/main", commit)
        updates = [RefUpdate("refs/heads/main", commit, old), RefUpdate("refs/tags/x", commit, None)]
        with publisher.locked(), pytest.raises(GitError, match="failed to make refs/tags/x") as caught:
            publisher.publish(updates, reason="x")
        assert caught.value.hint == "mreg sync"
        assert snapshot(registry).leftovers == ()

    @pytest.mark.slow
    def test_four_writers_lose_no_update(self, registry: Path, git: Git) -> None:
        script = (
            "import sys\nfrom pathlib import Path\nfrom tests.stores.git.conftest import land\n"
            "model = f'm{sys.argv[1]}'\n"
            "for n in range(5):\n    land(Path('.'), {f'registry/{model}/v{n}.yaml': b'x'}, tags=[f'{model}@v{n}'])\n"
        )
        env = {**os.environ, "PYTHONPATH": TESTS}
        writers = [subprocess.Popen([sys.executable, "-c", script, str(n)], env=env) for n in range(4)]
        assert [writer.wait() for writer in writers] == [0] * 4
        assert len(git("ls-tree", "-r", "--name-only", "main", "registry/").split("\n")) == 2 + 20
        assert len(git("tag").split("\n")) == 20
        assert snapshot(registry).status == ""
        fsck(registry)


class TestDisk:
    @pytest.mark.slow
    def test_folder_that_cannot_be_written_to_restores_the_files(self, registry: Path) -> None:
        before = snapshot(registry)
        (registry / "registry" / "churn").chmod(0o555)
        said = run_land(registry, wrap=without_override())
        (registry / "registry" / "churn").chmod(0o755)
        assert said.startswith("mreg.errors.GitError: git read-tree failed: ")
        assert snapshot(registry) == before
        assert run_land(registry) == ""
        assert snapshot(registry).status == ""

    @pytest.mark.slow
    def test_refs_that_cannot_be_written_restore_the_files(self, registry: Path) -> None:
        before = snapshot(registry)
        (registry / ".git" / "refs" / "heads").chmod(0o555)
        said = run_land(registry, wrap=without_override())
        (registry / ".git" / "refs" / "heads").chmod(0o755)
        assert said.startswith("mreg.errors.GitError: git update-ref failed: ")
        assert "Permission denied" in said
        assert snapshot(registry) == before

    @pytest.mark.parametrize("folder", [".git", ".git/objects"])
    def test_repository_that_cannot_be_written_to(self, registry: Path, folder: str) -> None:
        before = snapshot(registry)
        for path in sorted((registry / folder).rglob("*")):
            if path.is_dir():
                path.chmod(0o555)
        (registry / folder).chmod(0o555)
        said = run_land(registry, wrap=without_override())
        for path in [registry / folder, *sorted((registry / folder).rglob("*"))]:
            if path.is_dir():
                path.chmod(0o755)
        assert said.startswith(("mreg.errors.StorageError: ", "mreg.errors.GitError: "))
        assert snapshot(registry) == before

    def test_file_in_place_of_our_folder_is_a_storage_error(self, registry: Path) -> None:
        (registry / ".git" / "mreg").touch()
        with pytest.raises(StorageError, match="mreg cannot be written"):
            land(registry)

    @pytest.mark.slow
    def test_file_size_limit_half_way_restores_the_files(self, registry: Path) -> None:
        before = snapshot(registry)
        files = {**CHANGE, "registry/churn/big.yaml": b"0" * 300_000}
        said = run_land(registry, files=files, size_limit=100_000)
        assert said.startswith("mreg.errors.GitError: git read-tree failed: ")
        assert snapshot(registry) == before
        assert run_land(registry, files=files) == ""

    @pytest.mark.slow
    def test_full_disk_half_way_restores_the_files(self, registry: Path, tmp_path: Path) -> None:
        small = tmp_path / "small"
        small.mkdir()
        # Objects are compressed: they find room where the file does not.
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", str(small)], check=False)
        if mounted.returncode:
            pytest.skip("only root may mount")
        try:
            shutil.copytree(registry, small / "repo", symlinks=True)
            before = snapshot(small / "repo")
            files = {**CHANGE, "registry/churn/big.yaml": b"0" * 900_000}
            said = run_land(small / "repo", files=files)
            assert said == "mreg.errors.GitError: git read-tree failed: unable to write file registry/churn/big.yaml"
            assert snapshot(small / "repo") == before
            fill = small / "fill"
            _fill(fill)
            said = run_land(small / "repo")
            assert "No space left on device" in said or "unable to" in said
            fill.unlink()
            assert run_land(small / "repo") == ""
            assert snapshot(small / "repo").status == ""
        finally:
            subprocess.run(["umount", str(small)], check=True)

    def test_interrupted_half_way_restores_the_files(self, registry: Path, git: Git) -> None:
        (registry / ".git" / "info").mkdir(exist_ok=True)
        (registry / ".git" / "info" / "attributes").write_text(f"{RECORD} filter=slow\n")
        git("config", "filter.slow.smudge", f"kill -INT {os.getpid()}; sleep 60")
        before = snapshot(registry)
        with pytest.raises(KeyboardInterrupt):
            land(registry)
        assert snapshot(registry) == before
        git("config", "filter.slow.smudge", "cat")
        land(registry)
        assert snapshot(registry).status == ""

    @pytest.mark.parametrize("program", ["read-tree", "update-ref", "unpack-objects", "status"])
    def test_git_killed_leaves_no_trace(
        self, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        fake = tmp_path / "bin" / "git"
        fake.parent.mkdir()
        real = shutil.which("git")
        fake.write_text(f'#!/bin/sh\ncase " $* " in *" {program} "*) kill -KILL $$;; esac\nexec {real} "$@"\n')
        fake.chmod(0o755)
        before = snapshot(registry)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
            with pytest.raises(GitError, match=f"git {program} failed: signal {int(signal.SIGKILL)} ended it"):
                land(registry)
        assert snapshot(registry) == before


def _fill(path: Path) -> None:
    """Writes until the disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"\0" * 512):
            pass


def without_override() -> list[str]:
    """Root may write anywhere; this takes that right away."""
    if os.geteuid() != 0:
        return []
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    if not shutil.which("setpriv") or subprocess.run([*drop, "true"], check=False, capture_output=True).returncode:
        pytest.skip("root without setpriv cannot see what a user sees")
    return drop


class TestLocked:
    def test_another_process_that_writes_too_long_is_a_conflict(
        self, registry: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publishing, "LOCK_TIMEOUT_S", 0.2)
        with Publisher(GitRepository(registry)).locked():
            with pytest.raises(ConflictError, match="another mreg command has been writing here") as caught:
                land(registry)
            assert not isinstance(caught.value, RefMovedError)
        land(registry)

    def test_all_worktrees_share_the_lock(
        self, registry: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publishing, "LOCK_TIMEOUT_S", 0.2)
        git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
        with Publisher(GitRepository(registry)).locked(), pytest.raises(ConflictError):
            land(tmp_path / "linked")

    def test_errors_inside_are_not_taken_for_the_lock_s(self, registry: Path) -> None:
        with pytest.raises(FileNotFoundError), Publisher(GitRepository(registry)).locked():
            (registry / "absent").read_text()
        land(registry)


class TestRecover:
    def note(self, registry: Path, **fields: object) -> Path:
        path = registry / ".git" / "mreg" / "pending.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(fields))
        return path

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '{"updates": 5}', '{"updates": [], "worktrees": [], "x": 1}', "\udcff"]
    )
    def test_note_that_is_none_is_taken_away(self, registry: Path, text: str) -> None:
        path = self.note(registry)
        path.write_bytes(os.fsencode(text))
        land(registry)
        assert snapshot(registry).leftovers == ()

    def test_commit_that_git_has_collected_since(self, registry: Path, git: Git) -> None:
        self.note(
            registry,
            updates=[{"ref": "refs/heads/main", "new": "1" * 40, "old": git("rev-parse", "main")}],
            git_dir=".",
            worktrees=["."],
            begun=True,
        )
        (registry / STAGE).write_text("mine\n")
        Publisher(GitRepository(registry)).recover()
        assert (registry / STAGE).read_text() == "mine\n"
        assert snapshot(registry).leftovers == ()

    def test_worktree_that_is_gone_since(self, registry: Path, tmp_path: Path, git: Git) -> None:
        self.note(
            registry,
            updates=[{"ref": "refs/heads/main", "new": git("rev-parse", "main"), "old": None}],
            git_dir=".",
            worktrees=["worktrees/gone"],
            begun=True,
        )
        Publisher(GitRepository(registry)).recover()
        assert snapshot(registry).leftovers == ()

    def test_locks_of_ours_go_and_those_of_others_stay(
        self, registry: Path, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pending, "_EMPTY_LOCK_S", 0.1)
        old = git("rev-parse", "main")
        new = git("commit-tree", "-p", "main", "-m", "x", "main^{tree}")
        refs = ("refs/heads/main", "refs/tags/ours", "refs/tags/empty", "refs/tags/theirs", "refs/tags/old")
        locks = {ref: registry / ".git" / f"{ref}.lock" for ref in refs}
        locks["refs/tags/old"].touch()
        os.utime(locks["refs/tags/old"], (1, 1))
        self.note(
            registry,
            updates=[{"ref": ref, "new": new, "old": old if "heads" in ref else None} for ref in refs],
            git_dir=".",
            worktrees=["."],
            begun=True,
        )
        for ref in refs[:2]:
            locks[ref].write_text(f"{new}\n")
        locks["refs/tags/empty"].touch()
        locks["refs/tags/theirs"].write_text(f"{old}\n")
        (registry / ".git" / "HEAD.lock").touch()
        Publisher(GitRepository(registry)).recover()
        assert sorted(snapshot(registry).leftovers) == ["refs/tags/old.lock", "refs/tags/theirs.lock"]

    def test_files_that_a_person_changed_since_stay(self, registry: Path, git: Git) -> None:
        shutil.copytree(registry, registry.parent / "copy")
        new = land(registry.parent / "copy").commit
        git("fetch", "--quiet", str(registry.parent / "copy"), "main")
        self.note(
            registry,
            updates=[{"ref": "refs/heads/main", "new": new, "old": git("rev-parse", "main")}],
            git_dir=".",
            worktrees=["."],
            begun=True,
        )
        (registry / STAGE).write_text("edited by hand\n")
        (registry / RECORD).parent.mkdir()
        (registry / RECORD).write_bytes((CHANGE[RECORD] or b"")[:7])  # half of what mreg wrote
        (registry / GONE).unlink()
        Publisher(GitRepository(registry)).recover()
        found = snapshot(registry)
        assert found.status == f" M {STAGE}\n"
        assert (registry / STAGE).read_text() == "edited by hand\n"
        assert not (registry / RECORD).parent.exists()
        assert found.leftovers == ()

    @pytest.mark.parametrize("landed", [True, False])
    def test_lock_that_a_person_took_away_since(self, registry: Path, git: Git, landed: bool) -> None:
        repo = GitRepository(registry)
        old = git("rev-parse", "main")
        publisher = Publisher(repo)
        new = publisher.commit(parent=old, files=CHANGE, author=ADA, committer=ADA, message="x")
        publisher.flush()
        path = self.note(
            registry,
            updates=[{"ref": "refs/heads/main", "new": new, "old": old}],
            git_dir=".",
            worktrees=["."],
            begun=True,
        )
        (tree,) = find_worktrees(repo, "refs/heads/main", path)
        tree.hold()
        tree.require_clean(list(CHANGE))
        tree.advance(old, new)
        if landed:
            git("update-ref", "refs/heads/main", new)
        (registry / ".git" / "index.lock").unlink()
        (registry / "train.py").write_text("staged\n")
        git("add", "train.py")
        publisher.recover()
        found = snapshot(registry)
        assert (found.status, found.leftovers) == ("M  train.py\n", ())
        assert found.files[STAGE] == (CHANGE[STAGE] if landed else b"version: v1.0.0\n")
