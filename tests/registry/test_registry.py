"""The facade on real repositories: what each verb does, and what it leaves alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mreg import Action, Bump, LinkMode, OnReplace, Registry
from mreg.errors import (
    CorruptArtifactError,
    DirtyFilesError,
    IdentityError,
    IncompleteHistoryError,
    NamingError,
    NotARegistryError,
    NotFoundError,
    RefusedError,
    UnchangedArtifactError,
    UsageError,
)
from tests.conftest import Git


@pytest.fixture
def two(made: Path, repo: Path, kept: Callable[[Callable[[], object]], None]) -> Registry:
    """Two versions of churn, neither in a stage."""

    def make() -> None:
        registry = Registry.init(repo, remote=str(made / "remote"))
        for number in (1, 2):
            add(registry, made, number)

    kept(make)
    return Registry.open(repo)


def add(registry: Registry, folder: Path, number: int, model: str = "churn", **facts: Any) -> str:  # noqa: ANN401 - handed on
    path = folder / "model.bin"
    path.write_bytes(b"model %d" % number)
    receipt = registry.register(model, path, metrics={"auc": number / 10}, **facts)
    return str(receipt.plan.version)


def test_open_without_git_is_not_a_registry(tmp_path: Path) -> None:
    with pytest.raises(NotARegistryError, match="not in a Git repository"):
        Registry.open(tmp_path)


def test_open_without_settings_hints_at_init(repo: Path) -> None:
    with pytest.raises(NotARegistryError) as caught:
        Registry.open(repo)
    assert "mreg init" in caught.value.hint


@pytest.mark.parametrize("kind", ["repo", "empty_repo"])
def test_init_makes_one_commit_and_a_clean_worktree(kind: str, request: pytest.FixtureRequest, git: Git) -> None:
    path: Path = request.getfixturevalue(kind)
    before = 1 if kind == "repo" else 0
    Registry.init(path)
    Registry.init(path)
    assert git("rev-list", "--count", "HEAD", cwd=path).strip() == str(before + 1)
    assert git("status", "--porcelain", cwd=path) == ""


def test_init_on_another_branch_name_is_found_again(repo: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "trunk", cwd=repo)
    git("branch", "-D", "main", cwd=repo)
    Registry.init(repo)
    git("checkout", "-q", "-b", "feature", cwd=repo)
    assert Registry.open(repo).settings().branch == "trunk"


def test_register_makes_a_commit_a_tag_and_leaves_the_file_alone(registry: Registry, repo: Path, git: Git) -> None:
    path = repo / "model.bin"
    path.write_bytes(b"bytes")
    stat = path.stat()
    receipt = registry.register("churn", path, metrics={"auc": 0.9}, notes="first", dataset="customers@2026-10")
    assert receipt.tags == ("churn@v1.0.0",)
    assert git("rev-parse", "churn@v1.0.0^{commit}", cwd=repo).strip() == receipt.commit
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mode) == (b"bytes", stat.st_ino, stat.st_mode)
    assert git("status", "--porcelain", cwd=repo) == "?? model.bin"
    shown = registry.show("churn")
    assert shown.record.artifact.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert shown.record.metrics == {"auc": 0.9}
    assert (shown.record.dataset and shown.record.dataset.version) == "2026-10"
    assert (shown.record.code and shown.record.code.commit) == git("rev-parse", "HEAD~1", cwd=repo).strip()


def test_register_same_bytes_is_refused_unless_forced(two: Registry, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"model 2")
    with pytest.raises(UnchangedArtifactError, match=r"churn v2\.0\.0"):
        two.register("churn", tmp_path / "model.bin")
    with pytest.raises(UnchangedArtifactError) as caught:
        two.register("churn", tmp_path / "model.bin", stage="staging", reason="x")
    assert caught.value.hint.startswith("mreg promote churn@v2.0.0 staging --reason 'why'   # --force ")
    assert str(two.register("churn", tmp_path / "model.bin", force=True).plan.version) == "v3.0.0"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "v3.0.0"),
        ({"bump": Bump.MINOR}, "v2.1.0"),
        ({"bump": Bump.PATCH}, "v2.0.1"),
        ({"version": "v7.1.0-rc.1"}, "v7.1.0-rc.1"),
        ({"version": "5"}, "v5.0.0"),
    ],
)
def test_register_numbers_the_version(two: Registry, tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    assert add(two, tmp_path, 3, **options) == expected


def test_register_version_that_exists_or_went_backwards_is_refused(two: Registry, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="exists"):
        add(two, tmp_path, 3, version="v2")
    with pytest.raises(RefusedError, match="older than the newest"):
        add(two, tmp_path, 3, version="v1.5.0")
    assert add(two, tmp_path, 3, version="v1.5.0", force=True) == "v1.5.0"
    assert str(two.show("churn").record.version) == "v2.0.0"


def test_register_into_a_stage_is_one_commit(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    before = int(git("rev-list", "--count", "HEAD", cwd=repo))
    add(registry, tmp_path, 1, stage="staging", reason="x")
    assert int(git("rev-list", "--count", "HEAD", cwd=repo)) == before + 1
    assert str(registry.show("churn@staging").record.version) == "v1.0.0"
    assert git("tag", cwd=repo).split() == ["churn#staging#1", "churn@v1.0.0"]


def test_register_into_a_stage_asks_for_a_reason_and_takes_the_notes(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a reason is needed") as caught:
        add(registry, tmp_path, 1, stage="staging")
    assert "--notes" in caught.value.hint
    assert registry.list().models == ()
    add(registry, tmp_path, 1, stage="staging", notes="retrained")
    add(registry, tmp_path, 2, stage="staging", notes="retrained", reason="better")
    assert [each.reason for each in registry.history()] == ["better", "retrained"]


def test_register_directory_keeps_a_list_of_its_files(registry: Registry, tmp_path: Path, repo: Path, git: Git) -> None:
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "a.bin").write_bytes(b"a")
    (folder / "config.json").write_bytes(b"{}")
    registry.register("churn", folder)
    listed = git("show", "HEAD:registry/churn/versions/v1.0.0.files", cwd=repo)
    assert [line.split(" ")[1:] for line in listed.splitlines()] == [["2", "config.json"], ["1", "weights/a.bin"]]
    assert registry.show("churn").record.artifact.sha256 == hashlib.sha256(f"{listed}\n".encode()).hexdigest()
    pulled = registry.pull("churn", tmp_path / "out")
    assert (pulled.path / "weights" / "a.bin").read_bytes() == b"a"


def test_register_name_beside_a_folder_is_refused(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    add(registry, tmp_path, 1, model="fraud/eu")
    for name in ("fraud", "fraud/eu/small"):
        with pytest.raises(NamingError, match="folder of the other") as caught:
            add(registry, tmp_path, 2, model=name)
        add(registry, tmp_path, 3, model=caught.value.hint.removeprefix("choose another name: "))
    add(registry, tmp_path, 2, model="fraud/us")
    (repo / "registry.yaml").write_text("schema: 1\nnaming: '[a-z/]+'\n")
    git("commit", "-qam", "naming", cwd=repo)
    with pytest.raises(NamingError) as caught:
        add(registry, tmp_path, 2, model="fraud")
    assert caught.value.hint.startswith("choose a name neither above nor below fraud/")


def test_register_name_outside_naming_is_refused(registry: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    (repo / "registry.yaml").write_text("schema: 1\nnaming: '[a-z]+_[a-z]+'\n")
    git("commit", "-qam", "naming", cwd=repo)
    with pytest.raises(NamingError, match="naming"):
        add(registry, tmp_path, 1)
    add(registry, tmp_path, 1, model="team_churn")


def test_register_says_that_the_executable_bit_is_not_kept(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"model")
    assert not [note for note in registry.register("churn", path).notices if "executable" in note]
    path.write_bytes(b"other")
    path.chmod(0o755)
    assert [note for note in registry.register("churn", path).notices if "model.bin is executable" in note]


def test_promote_out_of_order_hints_at_the_stage_that_comes_next(two: Registry, repo: Path, git: Git) -> None:
    stages = "{dev: {}, staging: {from: dev}, canary: {from: [staging, dev]}, production: {from: canary}}"
    (repo / "registry.yaml").write_text(f"schema: 1\nstages: {stages}\n")
    git("commit", "-qam", "stages", cwd=repo)
    hints = []
    for stage in ("dev", "staging", "canary", "production"):
        with pytest.raises(RefusedError) as caught:
            two.promote("churn@v1", "production", reason="x")
        hints.append(caught.value.hint.removeprefix("mreg promote churn@v1.0.0 "))
        two.promote("churn@v1", stage, reason="x")
        if stage == "canary":
            break
    assert hints == [
        "dev --reason 'why'   # then staging, then canary, then production",
        "canary --reason 'why'   # then production",
        "canary --reason 'why'   # then production",
    ]
    assert two.promote("churn@v1", "production", reason="x").changed


def test_promote_and_roll_back_twice_goes_back_two_versions(two: Registry, tmp_path: Path) -> None:
    add(two, tmp_path, 3)
    for number in (1, 2, 3):
        two.promote(f"churn@v{number}", "production", reason=f"reason {number}", approved_by=["jane@example.com"])
    for expected in ("v2.0.0", "v1.0.0"):
        two.rollback("churn", "production", reason="bad")
        assert str(two.show("churn@production").record.version) == expected
    with pytest.raises(RefusedError, match="no version to go back to"):
        two.rollback("churn", "production", reason="bad")
    history = list(two.history("churn", "production"))
    assert [(each.action, str(each.target)) for each in history] == [
        (Action.ROLLBACK, "v1.0.0"),
        (Action.ROLLBACK, "v2.0.0"),
        (Action.PROMOTE, "v3.0.0"),
        (Action.PROMOTE, "v2.0.0"),
        (Action.PROMOTE, "v1.0.0"),
    ]
    assert history[2].reason == "reason 3"
    assert history[2].approved_by == ("jane@example.com",)


def test_promote_where_it_is_already_changes_nothing(two: Registry) -> None:
    assert two.promote("churn@v1", "staging", reason="x").changed
    again = two.promote("churn@v1", "staging", reason="y")
    assert (again.changed, again.commit, again.tags) == (False, None, ())


def test_promote_dry_run_writes_nothing(two: Registry, repo: Path, git: Git) -> None:
    before = git("for-each-ref", cwd=repo)
    receipt = two.promote("churn@v1", "staging", reason="x", dry_run=True)
    assert receipt.changed
    assert git("for-each-ref", cwd=repo) == before


def test_promote_archives_what_it_replaces_where_asked(two: Registry) -> None:
    two.promote("churn@v1", "production", reason="x")
    two.promote("churn@v2", "production", reason="x", on_replace=OnReplace.ARCHIVE)
    assert two.show("churn@v1").archived is not None
    with pytest.raises(RefusedError, match="archived"):
        two.promote("churn@v1", "staging", reason="x")
    two.rollback("churn", "production", reason="bad")
    assert two.show("churn@v1").archived is None
    assert two.show("churn@production").record.version.major == 1


def test_rollback_skips_versions_archived_by_hand(two: Registry, tmp_path: Path) -> None:
    add(two, tmp_path, 3)
    for number in (1, 2, 3):
        two.promote(f"churn@v{number}", "production", reason="x")
    two.archive("churn@v2", reason="wrong labels")
    two.rollback("churn", "production", reason="bad")
    assert two.show("churn@production").record.version.major == 1


def test_rollback_after_clear_puts_the_last_version_back(two: Registry) -> None:
    for number in (1, 2):
        two.promote(f"churn@v{number}", "production", reason="x")
    two.clear("churn", "production", reason="stop")
    with pytest.raises(NotFoundError, match="no version in production"):
        two.show("churn@production")
    two.rollback("churn", "production", reason="start again")
    assert two.show("churn@production").record.version.major == 2


def test_rollback_after_clear_that_a_gate_refuses_says_why_it_was_asked(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "production", reason="x")
    two.clear("churn", "production", reason="stop")
    with (repo / "registry.yaml").open("w") as file:
        file.write("schema: 1\nstages: {production: {gates: [{require: [notes]}]}}\n")
    git("commit", "--quiet", "--all", "--message=Ask for notes")
    with pytest.raises(RefusedError) as caught:
        Registry.open(repo).rollback("churn", "production", reason="start again")
    why = "production was cleared, so v1.0.0 enters it again as a promotion and must pass its gates"
    assert caught.value.message.endswith(f"; {why}")
    assert str(caught.value) == caught.value.message


def test_rollback_to_a_version_that_never_held_the_stage_is_refused(two: Registry) -> None:
    two.promote("churn@v1", "production", reason="x")
    with pytest.raises(RefusedError, match="never held"):
        two.rollback("churn", "production", reason="bad", to="v2")


def test_hand_edit_and_git_revert_are_read_as_transitions(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "production", reason="first", approved_by=["jane@example.com"])
    stage = repo / "registry/churn/stages/production.yaml"
    stage.write_text(stage.read_text().replace("version: v1.0.0", "version: 2"))
    git("commit", "-qam", "Try the second", cwd=repo)
    git("revert", "--no-edit", "HEAD", cwd=repo)
    assert two.sync().created == ("churn#production#2", "churn#production#3")
    revert, edit, _ = two.history("churn")
    assert (edit.action, str(edit.target), edit.reason, edit.approved_by) == (
        Action.PROMOTE,
        "v2.0.0",
        "Try the second",
        (),
    )
    assert (revert.action, str(revert.target)) == (Action.ROLLBACK, "v1.0.0")
    assert revert.reason.startswith("Revert")


@pytest.mark.parametrize("merge", ["--no-ff", "--squash", "--ff-only"])
def test_branch_makes_no_tag_and_sync_makes_it_after_the_merge(two: Registry, repo: Path, git: Git, merge: str) -> None:
    receipt = two.promote("churn@v1", "staging", reason="review me", branch="promote-churn")
    assert (receipt.tags, receipt.branch) == ((), "promote-churn")
    assert list(two.history("churn")) == []
    git("merge", "-q", merge, "promote-churn", cwd=repo)
    if merge == "--squash":
        git("commit", "-qm", "Promote (#1)", cwd=repo)
    assert two.sync().created == ("churn#staging#1",)
    assert two.history("churn").transitions[0].reason == "review me"


def test_list_at_tells_what_was_there_then(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "production", reason="x")
    then = git("rev-parse", "HEAD", cwd=repo).strip()
    two.promote("churn@v2", "production", reason="x")
    held = {str(two.list(at=at).models[0].stages["production"]) for at in (then, "HEAD~1")}  # type: ignore[index]
    assert held == {"v1.0.0"}
    with pytest.raises(NotFoundError):
        two.list(at="1999-01-01")


def test_best_and_compare_read_directions_from_settings(two: Registry, repo: Path, git: Git) -> None:
    (repo / "registry.yaml").write_text("schema: 1\nmetrics:\n  auc: {direction: higher}\n")
    git("commit", "-qam", "metrics", cwd=repo)
    assert str(two.best("churn", by=["auc"]).version) == "v2.0.0"
    assert two.compare("churn@v1", "churn@v2").metrics["auc"].best == "v2.0.0"


def test_pull_in_a_second_clone_comes_from_the_remote(two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    git("clone", "-q", str(repo), str(tmp_path / "clone"), cwd=tmp_path)
    clone = Registry.open(tmp_path / "clone")
    pulled = clone.pull("churn@v1", tmp_path / "served" / ".." / "served.bin")
    assert (pulled.changed, (tmp_path / "served.bin").read_bytes()) == (True, b"model 1")
    assert not clone.pull("churn@v1", tmp_path / "served.bin").changed
    assert clone.pull("churn@v2", tmp_path / "served.bin").changed


@pytest.mark.parametrize("link", list(LinkMode))
def test_pull_by_every_link_gives_the_bytes(two: Registry, tmp_path: Path, link: LinkMode) -> None:
    assert two.pull("churn@v2", tmp_path / "out.bin", link=link).path.read_bytes() == b"model 2"


def test_pull_over_a_file_of_the_users_is_refused(two: Registry, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    with pytest.raises(RefusedError):
        two.pull("churn", mine)
    assert mine.read_text() == "precious"
    assert two.pull("churn", mine, force=True).changed


def test_pull_of_changed_bytes_fails_and_keeps_the_destination(registry: Registry, repo: Path, tmp_path: Path) -> None:
    for number in (1, 2):  # into a remote of its own, which is spoilt
        add(registry, tmp_path, number)
    target = tmp_path / "out.bin"
    registry.pull("churn@v1", target)
    for place in (repo / ".dvc" / "cache", tmp_path / "remote"):
        for stored in (path for path in place.rglob("*") if path.is_file() and path.read_bytes() == b"model 2"):
            stored.chmod(0o644)
            stored.write_bytes(b"model 3")
    with pytest.raises(CorruptArtifactError):
        registry.pull("churn@v2", target)
    assert target.read_bytes() == b"model 1"


def test_works_from_subdirectory_detached_head_and_linked_worktree(
    two: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    folder = repo / "deep" / "down"
    folder.mkdir(parents=True)
    Registry.open(folder).promote("churn@v1", "staging", reason="from below")
    git("checkout", "-q", "--detach", cwd=repo)
    two.promote("churn@v2", "staging", reason="detached")
    git("checkout", "-q", "main", cwd=repo)
    git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"), cwd=repo)
    Registry.open(tmp_path / "linked").promote("churn@v1", "staging", reason="linked")
    assert git("status", "--porcelain", cwd=repo) == ""
    assert len(two.history("churn")) == 3


def test_works_in_a_bare_repository(two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    git("clone", "-q", "--bare", str(repo), str(tmp_path / "bare.git"), cwd=tmp_path)
    bare = Registry.open(tmp_path / "bare.git")
    bare.promote("churn@v1", "staging", reason="x")
    add(bare, tmp_path, 9)
    assert bare.pull("churn@v3", tmp_path / "out").path.read_bytes() == b"model 9"
    assert git("fsck", "--strict", cwd=tmp_path / "bare.git") == ""


def test_works_in_a_sha256_repository(tmp_path: Path, git: Git) -> None:
    path = tmp_path / "sha256"
    git("init", "-q", "--object-format=sha256", str(path), cwd=tmp_path)
    registry = Registry.init(path, remote=str(tmp_path / "remote"))
    add(registry, tmp_path, 1, stage="staging", reason="x")
    assert registry.pull("churn@staging", tmp_path / "out").path.read_bytes() == b"model 1"
    assert git("fsck", "--strict", cwd=path) == ""


def test_leaves_staged_and_unstaged_work_alone(two: Registry, repo: Path, git: Git) -> None:
    (repo / "staged.txt").write_text("staged")
    git("add", "staged.txt", cwd=repo)
    (repo / "README.md").write_text("unstaged")
    before = git("status", "--porcelain", cwd=repo)
    two.promote("churn@v1", "staging", reason="x")
    assert git("status", "--porcelain", cwd=repo) == before
    assert "staged.txt" not in git("show", "--name-only", "--format=", "HEAD", cwd=repo)


def test_refuses_where_its_own_file_is_dirty(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "staging", reason="x")
    stage = repo / "registry/churn/stages/staging.yaml"
    stage.write_text("version: v2.0.0\n")
    head = git("rev-parse", "HEAD", cwd=repo)
    with pytest.raises(DirtyFilesError) as caught:
        two.promote("churn@v2", "staging", reason="x")
    assert "git" in caught.value.hint
    assert (git("rev-parse", "HEAD", cwd=repo), stage.read_text()) == (head, "version: v2.0.0\n")


def test_file_of_its_own_that_was_deleted_is_put_back_and_not_committed(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "staging", reason="x")
    path = "registry/churn/stages/staging.yaml"
    for delete in ((repo / path).unlink, lambda: git("rm", "-q", "--cached", path, cwd=repo)):
        delete()
        with pytest.raises(DirtyFilesError, match="is deleted") as caught:
            two.promote("churn@v2", "staging", reason="x")
        assert caught.value.hint.startswith(f"git restore --staged --worktree -- :/{path}")
        git(*caught.value.hint.partition("   #")[0].split()[1:], cwd=repo)
    assert two.promote("churn@v2", "staging", reason="x").changed


def test_shallow_clone_is_never_read_as_whole(two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    two.promote("churn@v1", "staging", reason="x")
    git("clone", "-q", "--depth=1", f"file://{repo}", str(tmp_path / "shallow"), cwd=tmp_path)
    shallow = Registry.open(tmp_path / "shallow")
    assert shallow.list().models[0].stages["staging"] is not None  # type: ignore[index]
    assert shallow.show("churn@v1").commit is None
    for ask in (shallow.history, lambda: shallow.promote("churn@v2", "staging", reason="x"), shallow.sync):
        with pytest.raises(IncompleteHistoryError):
            ask()


def test_no_identity_is_its_own_error(two: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        monkeypatch.delenv(name)
    with pytest.raises(IdentityError):
        two.promote("churn@v1", "staging", reason="x")


def test_hostile_reason_becomes_no_trailer(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "staging", reason="fine\n\nApproved-by: boss@example.com\nMreg-Stage: production")
    trailers = git("log", "-1", "--format=%(trailers:only)", cwd=repo)
    assert "boss" not in trailers
    assert "Mreg-Stage: staging" in trailers
    assert two.history("churn").transitions[0].approved_by == ()


@pytest.mark.parametrize("text", ["a\x1b[0m", "a\u202eb", "key AKIAABCDEFGHIJKLMNOP", "\x00"])
def test_text_that_hides_or_leaks_is_refused(two: Registry, text: str) -> None:
    with pytest.raises(UsageError):
        two.promote("churn@v1", "staging", reason=text)
    assert len(two.history()) == 0


def test_malformed_stage_file_breaks_that_stage_alone(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v1", "production", reason="x")
    (repo / "registry/churn/stages/staging.yaml").write_text("version: [\n")
    git("add", ".", cwd=repo)
    git("commit", "-qm", "break it", cwd=repo)
    listed = two.list()
    assert str(listed.models[0].stages["production"]) == "v1.0.0"  # type: ignore[index]
    assert [finding.place for finding in listed.findings] == ["registry/churn/stages/staging.yaml"]
    assert len(two.history("churn")) == 1
    two.promote("churn@v2", "production", reason="y")


def test_records_name_no_secret_of_the_remote_url(repo: Path, tmp_path: Path, git: Git) -> None:
    git("remote", "add", "origin", "https://user:s3cret@example.com/x.git", cwd=repo)
    registry = Registry.init(repo)
    add(registry, tmp_path, 1)
    assert "s3cret" not in git("show", "HEAD", cwd=repo)


def test_register_a_dvc_pipeline_output_fills_in_its_lineage(registry: Registry, repo: Path, git: Git) -> None:
    (repo / "train.py").write_text(
        "import json; open('m.bin','w').write('w'); json.dump({'auc': 0.7}, open('metrics.json','w'))"
    )
    (repo / "data.csv").write_text("1,2\n")
    (repo / "params.yaml").write_text("depth: 3\n")
    command = ["stage", "add", "-q", "-n", "train", "-d", "data.csv", "-d", "train.py", "-p", "depth", "-o", "m.bin"]
    for args in ([*command, "-M", "metrics.json", "python train.py"], ["repro", "-q"]):
        subprocess.run(["dvc", *args], cwd=repo, check=True, capture_output=True)
    git("add", ".", cwd=repo)
    git("commit", "-qm", "pipeline", cwd=repo)
    record = registry.register("churn", repo / "m.bin").record
    assert record is not None
    assert (record.params, record.metrics) == ({"depth": 3}, {"auc": 0.7})
    assert (record.dataset and record.dataset.path) == "data.csv"
    assert json.loads((repo / "metrics.json").read_text()) == {"auc": 0.7}
