"""``push``: what was made offline goes on top of what the remote has, whole or not at all."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.sharing.joints import Way
from mreg.core.sharing.pushed import Pushed
from mreg.errors import (
    ConflictError,
    DirtyFilesError,
    IncompleteHistoryError,
    MregError,
    NotFoundError,
    OutsideError,
    PushRefusedError,
    RefusedError,
    UsageError,
)
from mreg.registry.setup.doctor import examine
from tests.conftest import Git, Mreg
from tests.hosts import HOSTS, MERGER, GitHost, git_host
from tests.registry.teams import Team, found
from tests.registry.world import World, Worlds

STAGING, PRODUCTION = (f"registry/churn/stages/{stage}.yaml" for stage in ("staging", "production"))


@pytest.fixture
def team(made: Path, repo: Path, tmp_path: Path, git: Git) -> Team:
    return found(made, repo, tmp_path, git)


def promote(path: Path, version: int, stage: str = "staging", *, reason: str = "try") -> str:
    commit = Registry.open(path).promote(f"churn@v{version}", stage, reason=reason, push=False).commit
    assert commit
    return commit


def register(path: Path, text: str, model: str = "churn", *, upload: bool = True) -> str:
    source = path.parent / f"{path.name}.bin"
    source.write_text(text)
    commit = Registry.open(path).register(model, source, upload=upload, push=False).commit
    assert commit
    return commit


def commit(team: Team, path: Path, name: str, text: str, message: str = "Work") -> str:
    """Commits a file of the user's own."""
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(text)
    team.git("add", name, cwd=path)
    team.git("commit", "--quiet", f"--message={message}", cwd=path)
    return team.git("rev-parse", "HEAD", cwd=path)


def push(path: Path, *drop: str, branch: str | None = None) -> Pushed:
    return Registry.open(path).push(drop=drop, branch=branch)


def ways(pushed: Pushed) -> list[Way]:
    return [each.way for each in pushed.commits]


def check(team: Team, *clones: Path) -> None:
    """Fails where clones and remote differ, or where an auditor finds anything."""
    for clone in clones:
        there = {ref: oid for ref, oid in team.refs().items() if not ref.startswith("refs/keep/")}
        assert team.refs(clone).items() >= there.items()
        assert team.git("status", "--porcelain", "--untracked-files=no", cwd=clone) == ""
    auditor = clones[0] if clones else team.clone(f"auditor-{team.git.clock.now}")
    assert Registry.open(auditor).verify(remote=True).faults == ()


def refused(team: Team, path: Path, kind: type[MregError], match: str, *drop: str) -> MregError:
    """Fails where a push is not refused so, or leaves anything."""
    here, there, status = team.refs(path), team.refs(), team.git("status", "--porcelain", cwd=path)
    with pytest.raises(kind, match=match) as caught:
        push(path, *drop)
    assert (team.refs(), team.git("status", "--porcelain", cwd=path)) == (there, status)
    fetched = {
        ref: oid for ref, oid in team.refs(path).items() if ref.startswith("refs/tags/") and there.get(ref) == oid
    }
    assert team.refs(path) == {**fetched, **here}
    assert not list((path / ".git" / "mreg").glob("pending*"))
    return caught.value


def paste(hint: str, path: Path, git: Git) -> None:
    """Runs a hint as a shell would."""
    subprocess.run(hint, shell=True, cwd=path, check=True, env=None)


# Where nobody was faster.


def test_push_of_what_was_made_offline_lands_commits_and_tags(team: Team) -> None:
    ada = team.clone("ada")
    first, second = promote(ada, 1), register(ada, "fraud", "fraud")
    pushed = push(ada)
    assert [(each.commit.oid, each.way, each.new) for each in pushed.commits] == [
        (first, Way.KEPT, first),
        (second, Way.KEPT, second),
    ]
    assert (pushed.tags, pushed.commit) == (("churn#staging#1", "fraud@v1.0.0"), second)
    assert team.git("status", "--porcelain", "--branch", cwd=ada) == "## main...origin/main"
    check(team, ada)
    again = push(ada)
    assert (again.changed, again.commits, again.tags) == (False, (), ())


def test_push_uploads_bytes_first(team: Team, made: Path) -> None:
    ada = team.clone("ada")
    register(ada, "only here", upload=False)
    store = made / "store" / "files" / "md5"
    before = {path for path in store.rglob("*") if path.is_file()}
    pushed = push(ada)
    assert pushed.uploaded == len("only here")
    assert len({path for path in store.rglob("*") if path.is_file()} - before) == 1
    # Where they cannot be, nothing lands.
    register(ada, "lost", upload=False)
    for path in (ada / ".dvc" / "cache").rglob("*"):
        if path.is_file() and path.read_bytes() == b"lost":
            path.unlink()
    error = refused(team, ada, NotFoundError, "the bytes of churn v5.0.0 are neither in this clone's DVC cache nor on")
    assert error.hint == "push from the clone where it was registered"


def test_push_of_what_somebody_else_uploaded_takes_it_from_there(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    register(ada, "by ada")
    team.git("pull", "--quiet", str(ada), "main", cwd=bo)
    assert push(bo).uploaded == 0
    check(team, bo)


def test_push_without_a_dvc_remote_says_so(team: Team) -> None:
    ada = team.clone("ada")
    team.git("config", "--file", ".dvc/config", "--remove-section", "core", cwd=ada)
    team.git("commit", "--quiet", "--all", "--message=No store", cwd=ada)
    register(ada, "here alone")
    assert "no DVC remote is set" in push(ada).notices[0]


def test_push_to_an_empty_remote_makes_the_branch(team: Team, git: Git) -> None:
    ada, empty = team.clone("ada"), team.folder / "empty.git"
    git("init", "--quiet", "--bare", str(empty))
    git("remote", "set-url", "origin", str(empty), cwd=ada)
    pushed = push(ada)
    assert (pushed.before, pushed.commit) == (None, team.refs(ada)["refs/heads/main"])
    assert team.refs(empty) == team.refs(ada)


def test_push_of_hand_edits_and_tags_that_are_missing(team: Team) -> None:
    ada = team.clone("ada")
    commit(team, ada, STAGING, "version: v2.0.0\n", "By hand")
    assert push(ada).tags == ("churn#staging#1",)
    team.git("update-ref", "-d", "refs/tags/churn#staging#1", cwd=team.bare)
    pushed = push(ada)
    assert (pushed.tags, pushed.changed) == (("churn#staging#1",), True)
    check(team, ada)


def test_push_of_a_clone_that_is_behind_follows(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    assert push(bo).commits == ()
    check(team, ada, bo)


# Where both sides have commits of their own.


def test_push_joins_different_models_and_stages(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    register(ada, "fraud", "fraud")
    Registry.open(ada).archive("churn@v3", reason="old", push=False)
    push(ada)
    promote(bo, 2, "production", reason="better\n\nmuch better")
    register(bo, "spam", "spam")
    register(bo, "churn 4")
    Registry.open(bo).hold("churn", "production", reason="wait", push=False)
    (bo / "notes.txt").write_text("mine")
    commit(team, bo, "README.md", "dirty later\n")
    (bo / "README.md").write_text("dirty\n")
    pushed = push(bo)
    assert ways(pushed) == [Way.REMADE] * 4 + [Way.MERGED]
    assert pushed.tags == ("churn#production#2", "spam@v1.0.0", "churn@v4.0.0")
    assert sorted(pushed.replaced) == ["churn#production#1", "churn@v4.0.0", "spam@v1.0.0"]
    assert (bo / "README.md").read_text() == "dirty\n"
    assert (bo / "notes.txt").read_text() == "mine"
    team.git("checkout", "--", "README.md", cwd=bo)
    assert team.tags(bo) == ["churn#production#2", "churn#staging#1"]
    check(team, bo)
    push(ada)
    check(team, ada)
    head = team.git("log", "-1", "--format=%an %ae|%B", f"{pushed.commits[0].new}", cwd=bo)
    was = team.git("log", "-1", "--format=%an %ae|%B", pushed.commits[0].commit.oid, cwd=bo)
    assert head == was
    names = team.git("log", "--first-parent", "--format=%s", "-9", cwd=bo).split("\n")
    assert names[2:8] == [
        "Register churn v4.0.0",
        "Register spam v1.0.0",
        "Promote churn v2.0.0 to production",
        "Archive churn v3.0.0",
        "Register fraud v1.0.0",
        "Promote churn v1.0.0 to staging",
    ]
    assert sorted(each.model for each in Registry.open(bo).list().models) == ["churn", "fraud", "spam"]


def test_push_keeps_the_ids_of_code_commits(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    commit(team, ada, "train.py", "one\ntwo\nthree\n")
    push(ada)
    team.git("pull", "--quiet", cwd=bo)
    commit(team, ada, "train.py", "ONE\ntwo\nthree\n")
    promote(ada, 1)
    push(ada)
    code = commit(team, bo, "train.py", "one\ntwo\nTHREE\n")
    commit(team, bo, "script.sh", "#!/bin/sh\n")
    (bo / "script.sh").chmod(0o755)
    team.git("commit", "--quiet", "--all", "--message=Executable", cwd=bo)
    register(bo, "trained", "spam")
    register(bo, "again", "spam")
    pushed = push(bo)
    assert ways(pushed) == [Way.MERGED] * 3 + [Way.REMADE] * 2
    assert (bo / "train.py").read_text() == "ONE\ntwo\nTHREE\n"
    assert team.git("ls-tree", "main", "script.sh", cwd=bo).startswith("100755")
    for version in (1, 2):
        record = Registry.open(bo).show(f"spam@v{version}").record
        assert record.code
        assert team.git("merge-base", "--is-ancestor", record.code.commit, "main", cwd=bo) == ""
    assert team.git("merge-base", "--is-ancestor", code, "main", cwd=bo) == ""
    check(team, bo)


def test_push_of_a_commit_that_mixes_both_is_one_merge(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    (bo / "train.py").write_text("code\n")
    team.git("add", "train.py", cwd=bo)
    mixed = commit(team, bo, PRODUCTION, "version: v2.0.0\n", "Serve two")
    pushed = push(bo)
    assert ways(pushed) == [Way.MERGED]
    assert team.git("log", "-1", "--format=%s %P", cwd=bo) == f"Serve two {pushed.before} {mixed}"
    (move,) = Registry.open(bo).history("churn", "production")
    assert (move.reason, move.commit) == ("Serve two", pushed.commit)
    check(team, bo)


def test_push_joins_a_revert_and_a_merged_branch(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    register(ada, "fraud", "fraud")
    push(ada)
    promote(bo, 1)
    team.git("revert", "--no-edit", "HEAD", cwd=bo)
    Registry.open(bo).promote("churn@v2", "production", reason="in a branch", branch="try", push=False)
    team.git("merge", "--quiet", "--no-ff", "--no-edit", "try", cwd=bo)
    pushed = push(bo)
    assert ways(pushed) == [Way.REMADE, Way.REMADE, Way.MERGED]
    assert team.git("rev-parse", "main^2", cwd=bo) == team.refs(bo)["refs/heads/try"]
    check(team, bo)


def test_push_after_a_merge_of_the_remote_makes_the_remote_the_first_parent(team: Team) -> None:
    """``git pull`` makes the local side the first parent, which would rewrite what others have seen."""
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    promote(bo, 2, "production")
    team.git("pull", "--quiet", "--no-rebase", "--no-edit", cwd=bo)
    there = team.refs()["refs/heads/main"]
    pushed = push(bo)
    assert ways(pushed) == [Way.REMADE, Way.LANDED]
    assert team.git("rev-parse", "main^", cwd=bo) == there
    assert team.tags() == ["churn#production#2", "churn#staging#1"]
    check(team, bo)


def test_push_of_what_landed_by_a_squash_says_nothing_again(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(bo, 1)
    team.git("pull", "--quiet", str(bo), "main", cwd=ada)
    team.git("reset", "--quiet", "--soft", "HEAD^", cwd=ada)
    team.git("commit", "--quiet", "--message=Promote (#1)", cwd=ada)
    push(ada)
    pushed = push(bo)
    assert (ways(pushed), pushed.changed) == ([Way.LANDED], False)
    check(team, bo)


def test_push_of_the_same_transition_is_done_already_and_says_so(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1, "production")
    push(ada)
    team.git("pull", "--quiet", cwd=bo)
    theirs = promote(ada, 2, "production", reason="fewer false alarms")
    push(ada)
    promote(bo, 2, "production", reason="AUC")
    promote(bo, 3)
    for is_dry in (True, False):
        pushed = Registry.open(bo).push(dry_run=is_dry)
        assert ways(pushed) == [Way.LANDED, Way.REMADE]
        (note,) = pushed.notices
        assert note.startswith("churn production: origin/main has v1.0.0 → v2.0.0 already by ")
        assert note.endswith(f" in {theirs[:12]}; it was not made again, and left out what was said here: AUC")
    assert team.tags() == team.tags(bo) == ["churn#production#1", "churn#production#2", "churn#staging#3"]
    assert "fewer false alarms" in (bo / PRODUCTION).read_text()
    check(team, bo)


def test_push_of_an_older_number_leaves_the_newest_its_pointer(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    (team.folder / "five.bin").write_text("five")
    Registry.open(ada).register("churn", team.folder / "five.bin", version="v5", push=False)
    push(ada)
    register(bo, "four")
    push(bo)
    assert (bo / "registry/churn/artifact/five.bin.dvc").exists()
    assert not (bo / "registry/churn/artifact/bo.bin.dvc").exists()
    check(team, bo)
    output = team.folder / "out.bin"
    Registry.open(bo).pull("churn@v4", output)
    assert output.read_text() == "four"


@pytest.mark.parametrize("place", ["detached", "worktree", "bare", "subdirectory"])
def test_push_joins_wherever_it_is_run(team: Team, place: str, soak: bool) -> None:
    if place in {"detached", "subdirectory"} and not soak:
        pytest.skip("wants --soak")
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    promote(bo, 2, "production")
    here = bo
    if place == "detached":
        team.git("checkout", "--quiet", "--detach", cwd=bo)
    elif place == "worktree":
        here = team.folder / "linked"
        team.git("worktree", "add", "--quiet", "-b", "other", str(here), cwd=bo)
    elif place == "bare":
        here = team.folder / "bo.git"
        team.git("clone", "--quiet", "--bare", str(bo), str(here))
        team.git("remote", "set-url", "origin", str(team.bare), cwd=here)
    else:
        here = bo / "registry" / "churn"
    pushed = push(here)
    assert ways(pushed) == [Way.REMADE]
    assert team.git("rev-parse", "main", cwd=here) == pushed.commit == team.refs()["refs/heads/main"]
    check(team)
    if place == "worktree":
        assert "v2.0.0" in (bo / PRODUCTION).read_text()
    assert team.git("status", "--porcelain", cwd=bo) == ""


# Conflicts, and the commands that settle them.


def test_push_of_the_same_stage_is_a_conflict_that_its_hint_settles(team: Team, mreg_here: Mreg) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    theirs = promote(ada, 1)
    push(ada)
    mine = promote(bo, 2, reason="it's mine")
    other = promote(bo, 3, "production")
    last = promote(bo, 3)
    error = refused(team, bo, ConflictError, "main here and origin/main both changed churn staging: here")
    for text in (mine[:12], theirs[:12], STAGING, "nothing → v2.0.0", "nothing → v1.0.0", "by "):
        assert text in error.message
    drop = f"mreg push --drop {mine[:12]} --drop {last[:12]}"
    again = "mreg promote churn@v2.0.0 staging --reason 'it'\"'\"'s mine' --push"
    assert error.hint == f"{drop}   # leaves out what was made here; to make it again on top: {drop} && {again}"
    pushed = push(bo, mine, last)
    assert ways(pushed) == [Way.DROPPED, Way.REMADE, Way.DROPPED]
    assert pushed.commits[1].commit.oid == other
    assert team.tags() == team.tags(bo) == ["churn#production#2", "churn#staging#1"]
    check(team, bo)
    mreg_here("promote", "churn@v2.0.0", "staging", "--reason", "it's mine", "--push", cwd=bo, check=0)
    check(team, bo)


@pytest.mark.parametrize("is_same", [False, True])
def test_push_of_the_same_number_is_a_conflict(team: Team, is_same: bool) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    register(ada, "four")
    push(ada)
    mine = register(bo, "four" if is_same else "another four")
    promoted = promote(bo, 4)
    error = refused(team, bo, ConflictError, "both changed churn v4.0.0: here registered by")
    assert ("with the same bytes" in error.message) is is_same
    loose = [mine] if is_same else [mine, promoted]
    drop = f"mreg push{''.join(f' --drop {oid[:12]}' for oid in loose)}"
    renumber = f"mreg push --renumber   # registers it under the next number; to leave it out: {drop}"
    assert error.hint == (f"{drop}   # leaves out what was made here" if is_same else renumber)
    assert ways(push(bo, *loose)) == [Way.DROPPED, Way.REMADE if is_same else Way.DROPPED]
    check(team, bo)


def test_push_of_marks_and_settings_that_both_changed_are_conflicts(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    for clone in (ada, bo):
        Registry.open(clone).archive("churn@v1", reason=f"by {clone.name}", push=False)
        commit(team, clone, "registry.yaml", f"schema: 1\nnaming: '{clone.name}.*|churn'\n")
    push(ada)
    error = refused(team, bo, ConflictError, "both changed 2 things")
    told = error.details["told"]
    assert isinstance(told, list)
    assert told[0].startswith("churn v1.0.0: here archived by ")
    assert told[1].startswith("the settings: here changed by ")
    push(bo, *[each.commit.oid for each in Registry.open(bo).push(dry_run=True).commits])
    check(team, bo)


def test_push_of_code_that_git_cannot_merge_is_settled_by_git_merge(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    for clone in (ada, bo):
        commit(team, clone, "train.py", f"{clone.name}\n")
    push(ada)
    promote(bo, 1)
    error = refused(team, bo, ConflictError, r"both changed train\.py: here changed by")
    assert error.hint == "git merge origin/main   # resolve the conflicts, commit, then: mreg push"
    with pytest.raises(subprocess.CalledProcessError):
        team.git("merge", "--quiet", "origin/main", cwd=bo)
    (bo / "train.py").write_text("both\n")
    team.git("commit", "--quiet", "--all", "--no-edit", cwd=bo)
    pushed = push(bo)
    assert ways(pushed) == [Way.MERGED, Way.REMADE, Way.MERGED]
    assert (bo / "train.py").read_text() == "both\n"
    check(team, bo)


def test_push_of_a_change_that_the_new_base_refuses_says_what_check_says(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    Registry.open(ada).archive("churn@v1", reason="leaks", push=False)
    rules = "schema: 1\nstages:\n  staging: {gates: [{metric: auc, min: 0.915}]}\n  production: {}\n"
    commit(team, ada, "registry.yaml", rules)
    push(ada)
    bad = promote(bo, 1)
    promote(bo, 3, "production")
    error = refused(team, bo, RefusedError, "what was made here may not land on origin/main, for 2 reasons")
    complaints = error.details["complaints"]
    assert isinstance(complaints, list)
    assert {each["code"] for each in complaints} == {"rule-archived", "rule-metric"}
    assert error.hint.startswith(f"mreg push --drop {bad[:12]}   # leaves out what is refused; then: mreg ")
    assert ways(push(bo, bad)) == [Way.DROPPED, Way.REMADE]
    check(team, bo)


def test_push_of_a_hand_edit_that_breaks_a_rule_is_refused_also_where_nobody_was_faster(team: Team) -> None:
    ada = team.clone("ada")
    bad = commit(team, ada, STAGING, "version: v9.0.0\n", "By hand")
    error = refused(team, ada, RefusedError, r"may not land on origin/main: .* v9\.0\.0 has no record")
    assert error.hint.startswith(f"mreg push --drop {bad[:12]}")
    assert push(ada, bad).commits[0].way is Way.DROPPED
    check(team, ada)


def test_push_of_an_approval_that_came_too_late_says_that_it_does_not_count(team: Team) -> None:
    rules = "schema: 1\nstages:\n  staging: {}\n  production: {approvals: {count: 1, not: []}}\n"
    team.set_rules(rules)
    ada, bo = team.clone("ada"), team.clone("bo")
    Registry.open(ada).approve("churn@v1", "production", push=False)
    Registry.open(ada).promote("churn@v1", "production", reason="one", push=False)
    push(ada)
    Registry.open(bo).approve("churn@v2", "production", reason="two", push=False)
    pushed = push(bo)
    assert ways(pushed) == [Way.REMADE]
    assert ["it does not count" in notice for notice in pushed.notices] == [True]
    check(team, bo)


def test_push_drop_of_what_others_build_on_or_nobody_knows_is_refused(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    first, second = register(bo, "four"), promote(bo, 4, "production")
    error = refused(team, bo, ConflictError, "churn production: here builds on what is left out", first)
    assert error.hint.startswith(f"mreg push --drop {first[:12]} --drop {second[:12]}")
    refused(team, bo, UsageError, "--drop 123 names no commit", "123")
    refused(team, bo, UsageError, "names no commit of main that origin lacks", "0" * 40)


def test_push_where_files_are_dirty_refuses(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    promote(bo, 2, "production")
    (bo / STAGING).parent.mkdir(exist_ok=True)
    (bo / STAGING).write_text("version: v3.0.0\n")
    refused(team, bo, DirtyFilesError, "is in the way")
    assert (bo / STAGING).read_text() == "version: v3.0.0\n"


def test_push_of_a_shallow_clone_is_refused(team: Team) -> None:
    path = team.folder / "shallow"
    team.git("clone", "--quiet", "--depth=1", f"file://{team.bare}", str(path))
    error = refused(team, path, IncompleteHistoryError, "shallow")
    assert error.hint.startswith("git fetch --unshallow")


def test_push_to_a_remote_that_was_taken_back_is_a_conflict(team: Team) -> None:
    ada = team.clone("ada")
    promote(ada, 1)
    push(ada)
    lost = team.refs()["refs/heads/main"]
    team.git("update-ref", "refs/heads/main", "main^", cwd=team.bare)
    promote(ada, 2)
    error = refused(team, ada, ConflictError, f"origin/main was taken back: it had {lost[:12]} once")
    refused(team, ada, ConflictError, "was taken back")  # it is told until it is settled
    subprocess.run(error.hint, shell=True, cwd=ada, check=True)
    assert ways(push(ada)) == [Way.KEPT]
    check(team, ada)


def test_push_to_another_registry_is_a_conflict(team: Team, git: Git, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git("init", "--quiet", str(other))
    Registry.init(other)
    git("remote", "add", "origin", str(team.bare), cwd=other)
    refused(team, other, ConflictError, "share no commit")


def test_push_whose_tag_was_published_alone_is_a_conflict(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(bo, 1)
    team.git("push", "--quiet", "origin", "churn#staging#1", cwd=bo)
    promote(ada, 2, "production")
    team.git("push", "--quiet", "origin", "main", cwd=ada)
    error = refused(team, bo, ConflictError, "origin has the tag churn#staging#1 of a commit that its main lacks")
    assert error.hint.startswith("git push origin --delete 'refs/tags/churn#staging#1' && mreg push")
    team.git("push", "--quiet", "origin", "--delete", "refs/tags/churn#staging#1", cwd=bo)
    push(bo)
    check(team, bo)


def test_push_of_a_tag_that_is_not_the_history_s_leaves_it(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    promote(bo, 2, "production")
    team.git("tag", "--delete", "churn#production#1", cwd=bo)
    team.git("tag", "--annotate", "--message=mine", "churn#production#2", "churn@v1.0.0", cwd=bo)
    pushed = push(bo)
    assert pushed.tags == ()
    assert any("churn#production#2" in notice for notice in pushed.notices)


# Branches of pull requests, and protected ones.


def test_push_of_a_branch_joins_what_it_has_there(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    for clone, stage in ((ada, "staging"), (bo, "production")):
        Registry.open(clone).promote("churn@v1", stage, reason="try", branch="try", push=False)
    assert ways(push(ada, branch="try")) == [Way.KEPT]
    pushed = push(bo, branch="try")
    assert (ways(pushed), pushed.branch, pushed.tags) == ([Way.REMADE], "try", ())
    assert team.refs(bo)["refs/heads/try"] == team.refs()["refs/heads/try"] == pushed.commit
    assert team.git("rev-list", "--count", "main..try", cwd=bo) == "2"


def test_push_of_a_branch_that_nobody_has_makes_none(team: Team) -> None:
    ada = team.clone("ada")
    Registry.open(ada).promote("churn@v1", "staging", reason="try", branch="topic", push=False)
    before = team.refs()
    with pytest.raises(NotFoundError, match="branch tpoic is neither here nor on origin, and nothing was") as caught:
        push(ada, branch="tpoic")
    assert caught.value.hint == "mreg push --branch topic   # if that was meant"
    with pytest.raises(NotFoundError):
        Registry.open(ada).push(branch="unlike", dry_run=True)
    assert team.refs() == before


def test_push_of_a_branch_settles_on_that_branch(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    for clone, version in ((ada, 1), (bo, 2)):
        registry = Registry.open(clone)
        registry.promote(f"churn@v{version}", "staging", reason="try", branch="try", push=clone == ada)
    with pytest.raises(ConflictError, match="try here and origin/try both changed churn staging") as caught:
        push(bo, branch="try")
    assert " --branch try && mreg promote churn@v2.0.0 staging --reason try --push --branch try" in caught.value.hint
    subprocess.run(caught.value.hint.rpartition("again on top: ")[2], shell=True, cwd=bo, check=True)
    assert team.git("log", "--format=%s", "main..try", cwd=bo).split("\n") == [
        "Promote churn v2.0.0 to staging",
        "Promote churn v1.0.0 to staging",
    ]
    assert team.refs(bo)["refs/heads/try"] == team.refs()["refs/heads/try"]


def test_push_of_a_registry_to_a_remote_that_has_none_yet(team: Team, git: Git, tmp_path: Path) -> None:
    bare, ada, bo = (tmp_path / name for name in ("new.git", "first", "second"))
    git("init", "--quiet", "--bare", str(bare))
    git("clone", "--quiet", str(bare), str(ada))
    commit(team, ada, "a.py", "1")
    git("push", "--quiet", "origin", "main", cwd=ada)
    git("clone", "--quiet", str(bare), str(bo))
    commit(team, bo, "b.py", "2")
    git("push", "--quiet", "origin", "main", cwd=bo)
    Registry.init(ada, remote=str(tmp_path / "files"))
    register(ada, "one")
    promote(ada, 1)
    pushed = push(ada)
    assert ways(pushed) == [Way.MERGED, Way.REMADE, Way.REMADE]
    assert Registry.open(ada).verify(remote=True).faults == ()


def test_push_to_a_protected_branch_offers_another(team: Team, mreg_here: Mreg) -> None:
    team.add_hook("update", 'test "$1" != refs/heads/main || { echo "main is protected"; exit 1; }\n')
    ada = team.clone("ada")
    promote(ada, 1)
    error = refused(team, ada, PushRefusedError, "main is protected")
    assert error.hint.startswith("mreg push --branch NAME")
    pushed = push(ada, branch="try")
    assert (pushed.commit, pushed.tags) == (team.refs(ada)["refs/heads/main"], ())
    assert team.refs()["refs/heads/try"] == team.refs(ada)["refs/heads/try"] == pushed.commit
    # Once it was squashed there, nothing is left to push.
    (team.bare / "hooks" / "update").unlink()
    team.git("push", "--quiet", "origin", "try:main", cwd=ada)
    assert push(ada).tags == ("churn#staging#1",)
    check(team, ada)


# Races and hosts.


def race(team: Team, to: str) -> None:
    """Has the remote's branch move while the next push is on its way."""
    move = f"env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main {to}"
    team.add_hook("pre-receive", f"if test ! -e raced; then touch raced; {move}; fi\n")


@pytest.mark.parametrize("is_same", [False, True])
def test_push_that_lost_a_race_joins_what_won(team: Team, is_same: bool) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    won = promote(bo, 1, "staging" if is_same else "production")
    team.git("push", "--quiet", "origin", "main:refs/keep/bo", cwd=bo)
    mine = promote(ada, 2)
    race(team, won)
    if is_same:
        here = team.refs(ada)
        with pytest.raises(ConflictError, match="both changed churn staging"):
            push(ada)
        assert (team.refs(ada), team.refs()["refs/heads/main"]) == (here, won)
    else:
        pushed = push(ada)
        assert (ways(pushed), pushed.before) == ([Way.REMADE], won)
        assert pushed.commits[0].commit.oid == mine
        check(team, ada)
    assert (team.bare / "raced").exists()


def test_push_whose_answer_was_lost_is_done_when_run_again(team: Team) -> None:
    """Killed between the remote's refs and those here: what landed is told apart from what is missing."""
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    promote(bo, 2, "production")
    commit(team, bo, "train.py", "code\n")
    here, tags = team.refs(bo), team.git("for-each-ref", "refs/tags", cwd=bo)
    push(bo)
    for line in tags.splitlines():
        oid, _, ref = line.split()
        team.git("update-ref", ref, oid, cwd=bo)
    team.git("update-ref", "-d", "refs/tags/churn#production#2", cwd=bo)
    team.git("reset", "--quiet", "--keep", here["refs/heads/main"], cwd=bo)
    team.git("reflog", "expire", "--expire=all", "refs/remotes/origin/main", cwd=bo)
    pushed = push(bo)
    assert (pushed.changed, pushed.tags) == (False, ())
    check(team, bo)


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, team: Team, tmp_path: Path, soak: bool) -> Iterator[GitHost]:
    if request.param == "nginx" and not soak:
        pytest.skip("wants --soak")
    served = tmp_path / "registry.git"
    team.git("clone", "--quiet", "--mirror", str(team.bare), str(served))
    team.git("config", "http.receivepack", "true", cwd=served)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with git_host(request.param, served, scratch) as running:
        running.unprotect()
        yield running


def test_push_of_a_file_where_others_have_a_folder_is_a_conflict_of_git_s(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    commit(team, ada, "data", "a file")
    push(ada)
    commit(team, bo, "data/a", "in a folder")
    refused(team, bo, ConflictError, r"both changed data: here changed by .* there changed by ")


def test_push_over_http_joins(host: GitHost, team: Team, git: Git) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    for clone, version, stage in ((ada, 1, "staging"), (bo, 2, "production")):
        git("remote", "set-url", "origin", host.url_of(MERGER), cwd=clone)
        promote(clone, version, stage)
    assert ways(push(ada)) == [Way.KEPT]
    pushed = push(bo)
    assert ways(pushed) == [Way.REMADE]
    assert host.refs("refs/heads")["refs/heads/main"] == pushed.commit
    assert {"refs/tags/churn#staging#1", "refs/tags/churn#production#2"} <= host.refs("refs/tags").keys()


def test_push_to_nobody_says_so(team: Team) -> None:
    ada = team.clone("ada")
    team.git("remote", "set-url", "origin", "/nowhere", cwd=ada)
    refused(team, ada, OutsideError, "origin could not be used")
    team.git("remote", "remove", "origin", cwd=ada)
    refused(team, ada, OutsideError, "no remote to push to")


# Signatures and approvals.


def test_push_keeps_what_was_signed(
    worlds: Worlds, repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = worlds.copy(repo, tmp_path, git, monkeypatch)
    bare, other = tmp_path / "bare.git", tmp_path / "theirs"
    git("clone", "--quiet", "--bare", str(repo), str(bare))
    git("remote", "add", "origin", str(bare), cwd=repo)
    git("clone", "--quiet", str(bare), str(other))
    theirs = World(other, mine.keys, git, monkeypatch)
    theirs.become("ada")
    theirs.promote("v2", "staging")
    theirs.registry.push()
    mine.approve("v2")
    mine.become("bo")
    mine.promote("v2", who="ada")
    signed = mine.read("registry/churn/stages/production.yaml")
    pushed = mine.registry.push()
    assert ways(pushed) == [Way.REMADE, Way.REMADE]
    assert mine.read("registry/churn/stages/production.yaml") == signed
    audit = mine.verify(remote=True)
    assert (audit.faults, audit.proven) == ((), audit.signed)
    assert audit.signed >= 2
    # What ada may, eve may not: the rules of the remote judge what comes.
    theirs.registry.push()
    rules = theirs.settings("bo", "cy").replace("[ada, bo]", "[bo]").replace("owners: [ada]", "owners: [bo]")
    theirs.commit({"registry.yaml": rules})
    theirs.registry.push()
    mine.promote("v4", "staging", who="ada")
    mine.approve("v4")
    mine.become("ada")
    mine.promote("v4")
    with pytest.raises(RefusedError, match="may not land on origin/main") as caught:
        mine.registry.push()
    complaints = caught.value.details["complaints"]
    assert isinstance(complaints, list)
    assert "rule-who" in {each["code"] for each in complaints}


# Other writers that push.


@pytest.mark.parametrize("how", ["promote", "sync", "branch"])
def test_writers_that_push_upload_what_was_registered_before(team: Team, made: Path, how: str) -> None:
    ada = team.clone("ada")
    text = f"offline {how}"
    source = team.folder / "offline.bin"
    source.write_text(text)
    branch = "try" if how == "branch" else None
    registry = Registry.open(ada)
    registry.register("churn", source, upload=False, branch=branch, push=False)
    stored = made / "store" / "files" / "md5"
    name = hashlib.md5(text.encode()).hexdigest()
    assert not (stored / name[:2] / name[2:]).exists()
    if how == "sync":
        registry.sync(push=True)
    else:
        registry.promote("churn@v4", "staging", reason="try", branch=branch, push=True)
    assert (stored / name[:2] / name[2:]).read_text() == text


def test_writer_that_pushes_and_finds_nothing_to_do_says_what_the_remote_lacks(team: Team, git: Git) -> None:
    ada = team.clone("ada")
    promote(ada, 1)
    receipt = Registry.open(ada).promote("churn@v1", "staging", reason="again", push=True)
    assert not receipt.changed
    [notice] = receipt.notices
    assert notice == "origin does not have this yet, as it lacks commits of main here: mreg push"
    paste(notice.rpartition(": ")[2], ada, git)
    assert Registry.open(ada).promote("churn@v1", "staging", reason="again", push=True).notices == ()


def test_register_where_git_fetched_the_tag_of_a_version_that_is_not_here_yet(team: Team, git: Git) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    for path in (ada, bo):
        (path / "new.bin").write_text(path.name)
    Registry.open(ada).register("churn", ada / "new.bin", push=True)
    team.git("fetch", "--quiet", cwd=bo)
    faults = [each for each in examine(bo).checks if not each.ok]
    assert [each.fix for each in faults] == ["git pull --ff-only origin main"]
    with pytest.raises(ConflictError, match=r"main is behind origin/main, which has churn v4\.0\.0 already") as caught:
        Registry.open(bo).register("churn", bo / "new.bin", push=False)
    assert str(Registry.open(bo).register("churn", bo / "new.bin", push=True).version) == "v5.0.0"
    paste(caught.value.hint, bo, git)
    check(team, bo)


def test_writer_where_git_fetched_the_tags_of_others_says_that_the_branch_is_behind(team: Team, git: Git) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    Registry.open(ada).promote("churn@v2", "staging", reason="first", push=True)
    team.git("fetch", "--quiet", cwd=bo)
    # Nothing is wrong yet: what explains the tag is there, and not here.
    assert (Registry.open(bo).sync(push=False).findings, Registry.open(bo).verify().faults) == ((), ())
    (notice,) = Registry.open(bo).promote("churn@v1", "staging", reason="second", push=False).notices
    advice = "main is behind origin/main, which made the tag churn#staging#1: mreg push"
    assert notice == f"refs/tags/churn#staging#1: {advice}"
    (finding,) = Registry.open(bo).sync(push=False).findings
    assert (finding.code, finding.message) == ("fetched-tag", advice)
    (fault,) = Registry.open(bo).verify().faults
    assert (fault.code, fault.message.endswith(": mreg push")) == ("tag-fetched", True)
    fixes = {each.fix for each in examine(bo).checks if not each.ok}
    assert fixes == {"mreg push", "mreg push --dry-run   # then mreg push"}
    (conflict,) = Registry.open(bo).push(dry_run=True).conflicts
    paste(conflict.settle, bo, git)
    check(team, bo)


def test_writers_that_push_take_no_merge_along_that_puts_this_clone_first(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(ada, 1)
    push(ada)
    promote(bo, 2, "production")
    team.git("pull", "--quiet", "--no-rebase", "--no-edit", cwd=bo)
    with pytest.raises(ConflictError, match="a merge on main puts commits of this clone before") as caught:
        Registry.open(bo).clear("churn", "production", push=True)
    subprocess.run(caught.value.hint, shell=True, cwd=bo, check=True)
    Registry.open(bo).clear("churn", "production", push=True)
    check(team, bo)


# Numbers that both sides took.


def test_push_renumber_gives_the_next_number_with_all_that_names_it(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    register(ada, "four")
    push(ada)
    register(bo, "another four")
    promote(bo, 4, reason="better than v4.0.0.1")
    Registry.open(bo).clear("churn", "staging", reason="no", push=False)
    Registry.open(bo).archive("churn@v4", reason="bad", push=False)
    register(bo, "five")
    error = refused(team, bo, ConflictError, "both changed churn v4.0.0")
    assert error.hint.startswith("mreg push --renumber   # registers it under the next number; to leave it out: mreg")
    subprocess.run(error.hint, shell=True, cwd=bo, check=True)
    subjects = team.git("log", "--format=%s", "-5", "--reverse", cwd=bo).split("\n")
    assert subjects == [
        "Register churn v6.0.0",
        "Promote churn v6.0.0 to staging",
        "Clear churn staging of v6.0.0",
        "Archive churn v6.0.0",
        "Register churn v5.0.0",
    ]
    output = team.folder / "out.bin"
    for version, text in ((4, "four"), (5, "five"), (6, "another four")):
        Registry.open(bo).pull(f"churn@v{version}", output, force=True)
        assert output.read_text() == text
    assert team.tags() == ["churn#staging!#2", "churn#staging#1"]
    check(team, bo)
    push(ada)
    check(team, ada)


def test_push_renumber_leaves_what_an_approval_names(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    register(ada, "four")
    push(ada)
    register(bo, "another four")
    Registry.open(bo).approve("churn@v4", "staging", push=False)
    with pytest.raises(ConflictError, match=r"both changed churn v4\.0\.0"):
        Registry.open(bo).push(renumber=True)
