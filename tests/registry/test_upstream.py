"""Writers that push: on what they decide, what they land, and what is left where they do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mreg import Registry
from mreg.errors import ConflictError, DirtyFilesError, OutsideError, PushRefusedError
from mreg.registry.writing import attempts
from tests.conftest import Git, Mreg
from tests.registry.teams import Team, found

STAGE = "registry/churn/stages/staging.yaml"


@pytest.fixture
def team(made: Path, repo: Path, tmp_path: Path, git: Git) -> Team:
    return found(made, repo, tmp_path, git)


def promote(registry: Registry, version: int, *, branch: str | None = None, push: bool | None = True) -> str | None:
    return registry.promote(f"churn@v{version}", "staging", reason="try", branch=branch, push=push).commit


def test_push_lands_commit_and_tag_there_and_here(team: Team) -> None:
    ada = team.clone("ada")
    receipt = Registry.open(ada).promote("churn@v1", "staging", reason="try", push=True)
    assert (receipt.remote, receipt.tags) == ("origin", ("churn#staging#1",))
    assert team.refs() == team.refs(ada)
    assert team.refs()["refs/heads/main"] == receipt.commit == team.git("rev-parse", "origin/main", cwd=ada)
    assert team.git("status", "--porcelain", "--branch", cwd=ada) == "## main...origin/main"


def test_setting_is_what_counts_where_nothing_is_asked_for(team: Team) -> None:
    team.set_rules("schema: 1\npush: true\n")
    ada = team.clone("ada")
    assert promote(Registry.open(ada), 1, push=None) == team.refs()["refs/heads/main"]
    promote(Registry.open(ada), 2, push=False)
    assert team.tags() == ["churn#staging#1"]
    assert team.tags(ada) == ["churn#staging#1", "churn#staging#2"]


def test_stale_clone_follows_before_it_decides(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1)
    receipt = Registry.open(bo).promote("churn@v2", "staging", reason="try", push=True)
    assert [change.source for change in receipt.plan.changes] != [None]
    assert receipt.tags == ("churn#staging#2",)
    assert "replaces: v1.0.0" in (bo / STAGE).read_text()
    assert team.refs() == team.refs(bo)
    assert team.git("status", "--porcelain", cwd=bo) == ""


def test_what_others_did_already_is_not_done_again(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    tip = promote(Registry.open(ada), 1)
    assert promote(Registry.open(bo), 1) is None
    assert team.refs(bo)["refs/heads/main"] == tip


@pytest.mark.parametrize("is_checked_out", [True, False])
def test_histories_that_went_apart_are_joined_by_the_hint_alone(is_checked_out: bool, team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1)
    Registry.open(bo).promote("churn@v2", "production", reason="offline", push=False)
    if not is_checked_out:
        team.git("switch", "--quiet", "--create", "work", cwd=bo)
    here, there = team.refs(bo), team.refs()
    with pytest.raises(ConflictError, match="main and origin/main have diverged") as caught:
        promote(Registry.open(bo), 3)
    assert (team.refs(bo), team.refs()) == (
        {**here, "refs/tags/churn#staging#1": there["refs/tags/churn#staging#1"]},
        there,
    )
    with pytest.raises(ConflictError, match="have diverged"):
        Registry.open(bo).sync(push=True)
    subprocess.run(caught.value.hint, shell=True, cwd=bo, check=True)
    promote(Registry.open(bo), 3)
    assert team.tags() == ["churn#production#2", "churn#staging#1", "churn#staging#3"]


def test_file_that_is_in_the_way_stays(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1)
    promote(Registry.open(ada), 2)
    team.git("pull", "--quiet", cwd=bo)
    promote(Registry.open(ada), 3)
    (bo / STAGE).write_text("version: v1.0.0 # mine\n")
    here, there = team.refs(bo), team.refs()
    with pytest.raises(DirtyFilesError):
        promote(Registry.open(bo), 1)
    assert (bo / STAGE).read_text() == "version: v1.0.0 # mine\n"
    assert team.refs(bo)["refs/heads/main"] == here["refs/heads/main"]
    assert team.refs() == there


def test_what_was_made_without_a_push_goes_along_with_its_tags(team: Team) -> None:
    ada = team.clone("ada")
    for version in (1, 2):
        promote(Registry.open(ada), version, push=False)
    assert team.tags() == []
    promote(Registry.open(ada), 3)
    assert team.tags() == ["churn#staging#1", "churn#staging#2", "churn#staging#3"]
    assert team.refs() == team.refs(ada)


@pytest.mark.parametrize("how", ["promote", "sync"])
def test_tag_that_is_wrong_here_does_not_go_along(how: str, team: Team) -> None:
    ada = team.clone("ada")
    promote(Registry.open(ada), 1, push=False)
    team.git("tag", "--force", "--annotate", "--message=mine", "churn#staging#1", "churn@v2.0.0", cwd=ada)
    if how == "promote":
        promote(Registry.open(ada), 2)
    else:
        assert [each.code for each in Registry.open(ada).sync(push=True).findings] == ["taken-tag"]
    assert team.tags() == (["churn#staging#2"] if how == "promote" else [])
    assert team.refs()["refs/heads/main"] == team.refs(ada)["refs/heads/main"]
    # Whoever has the right one makes it, and this clone gets it once its own is gone.
    bo = team.clone("bo")
    assert Registry.open(bo).sync(push=True).created == ("churn#staging#1",)
    team.git("tag", "--delete", "churn#staging#1", cwd=ada)
    assert Registry.open(ada).sync(push=True).findings == ()
    assert team.tags(ada) == team.tags(bo)


def test_tag_that_others_pushed_under_the_name_is_told(team: Team) -> None:
    team.git("tag", "--annotate", "--message=by gto", "churn#staging#1", "churn@v3.0.0", cwd=team.bare)
    receipt = Registry.open(team.clone("ada")).promote("churn@v1", "staging", reason="try", push=True)
    assert receipt.tags == ()
    assert any("refs/tags/churn#staging#1" in notice for notice in receipt.notices)
    assert team.refs()["refs/heads/main"] == receipt.commit


def test_remote_that_is_empty_gets_it_all(team: Team, git: Git) -> None:
    ada, empty = team.clone("ada"), team.folder / "empty.git"
    git("init", "--quiet", "--bare", str(empty))
    git("remote", "add", "hub", str(empty), cwd=ada)
    git("config", "branch.main.remote", "hub", cwd=ada)
    receipt = Registry.open(ada).promote("churn@v1", "staging", reason="try", push=True)
    assert receipt.remote == "hub"
    assert team.refs(empty) == team.refs(ada)
    # It is the one that is verified, too.
    assert Registry.open(ada).verify(remote=True).remote == "hub"
    git("tag", "--delete", "churn#staging#1", cwd=empty)
    assert [each.code for each in Registry.open(ada).verify(remote=True).faults] == ["remote-tag-missing"]
    assert team.tags() == []


def test_clone_without_the_branch_gets_it(team: Team) -> None:
    ada = team.clone("ada")
    team.git("checkout", "--quiet", "--detach", cwd=ada)
    team.git("branch", "--quiet", "-D", "main", cwd=ada)
    head = team.git("rev-parse", "HEAD", cwd=ada)
    commit = promote(Registry.open(ada), 1)
    assert team.refs()["refs/heads/main"] == team.refs(ada)["refs/heads/main"] == commit
    assert team.git("rev-parse", "HEAD", cwd=ada) == head


def test_dry_run_asks_no_remote(team: Team) -> None:
    ada = team.clone("ada")
    team.git("remote", "set-url", "origin", "/nowhere", cwd=ada)
    before = team.refs(ada)
    assert Registry.open(ada).promote("churn@v1", "staging", reason="try", push=True, dry_run=True).changed
    assert Registry.open(ada).sync(push=True, dry_run=True).remote == ""
    with pytest.raises(OutsideError, match="origin could not be used"):
        promote(Registry.open(ada), 1)
    assert team.refs(ada) == before
    team.git("remote", "remove", "origin", cwd=ada)
    with pytest.raises(OutsideError, match="no remote to push to"):
        promote(Registry.open(ada), 1)
    assert team.refs(ada) == before


def test_refused_push_leaves_nothing(team: Team, mreg_here: Mreg) -> None:
    team.add_hook("update", 'test "$1" != refs/heads/main || { echo "main is protected"; exit 1; }\n')
    ada, there = team.clone("ada"), team.refs()
    before = team.refs(ada)
    result = mreg_here("promote", "churn@v1", "staging", "--reason=try", "--push", cwd=ada, check=6)
    assert "error: origin refused main (hook declined): main is protected" in result.err
    assert (
        "hint: a protected branch is changed by a pull request: run the command again with --branch NAME" in result.err
    )
    assert (team.refs(ada), team.refs(), team.git("status", "--porcelain", cwd=ada)) == (before, there, "")
    promote(Registry.open(ada), 1, branch="try")
    assert set(team.refs()) - set(there) == {"refs/heads/try"}
    # What was committed here goes no other way either.
    promote(Registry.open(ada), 2, push=False)
    with pytest.raises(PushRefusedError) as caught:
        Registry.open(ada).sync(push=True)
    assert caught.value.hint.startswith("mreg push --branch NAME")


def race(team: Team, ref: str, to: str) -> None:
    """Has a ref of the remote move while the next push of it is on its way."""
    move = f"env -u GIT_QUARANTINE_PATH git update-ref {ref} {to}"
    team.add_hook("pre-receive", f"if grep -q {ref} && test ! -e raced; then touch raced; {move}; fi\n")


def test_race_that_was_lost_is_run_again_on_what_won(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    first = promote(Registry.open(bo), 1, push=False)
    assert first
    team.git("push", "--quiet", "origin", "main:refs/keep/bo", cwd=bo)
    race(team, "refs/heads/main", first)
    second = promote(Registry.open(ada), 2)
    assert (team.bare / "raced").exists()
    assert team.git("rev-parse", f"{second}^", cwd=ada) == first
    # The tag of what won is made along the way.
    assert team.tags() == team.tags(ada) == ["churn#staging#1", "churn#staging#2"]
    assert Registry.open(team.clone("cy")).verify(remote=True).ok


def test_race_that_is_always_lost_ends(team: Team, monkeypatch: pytest.MonkeyPatch, mreg_here: Mreg) -> None:
    monkeypatch.setattr(attempts, "PATIENCE_S", 0.0)
    monkeypatch.setattr(attempts, "LEAST", 5)
    ada, move = team.clone("ada"), "env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main"
    who = "-c user.name=Bo -c user.email=bo@example.com"
    team.add_hook(
        "pre-receive", f"{move} $(env -u GIT_QUARANTINE_PATH git {who} commit-tree -p main -m x main^{{tree}})\n"
    )
    before = team.git("rev-parse", "main", cwd=ada)
    lost = mreg_here("promote", "churn@v1", "staging", "--reason", "try", "--push", cwd=ada, check=5)
    assert lost.err.startswith("others keep changing main first; retrying for about a minute\n")
    assert "main kept moving while mreg was writing" in lost.err
    # It followed, and that is all.
    assert set(team.git("log", "--format=%s", f"{before}..main", cwd=ada).splitlines()) == {"x"}
    assert (team.tags(), team.tags(ada)) == ([], [])


def test_tag_that_another_sync_made_meanwhile_is_taken(team: Team) -> None:
    ada, bo, cy = team.clone("ada"), team.clone("bo"), team.clone("cy")
    promote(Registry.open(bo), 1)
    tag = team.refs()["refs/tags/churn#staging#1"]
    for signed in (False, True):  # what is signed by two is not the same twice
        team.git("update-ref", "-d", "refs/tags/churn#staging#1", cwd=team.bare)
        content = (
            team.git("cat-file", "tag", tag, cwd=bo) + ("\n-----BEGIN SSH SIGNATURE-----" if signed else "") + "\n"
        )
        theirs = team.git("mktag", "--no-strict", cwd=team.bare, input=content)
        (team.bare / "raced").unlink(missing_ok=True)
        race(team, "refs/tags/churn#staging#1", theirs)
        who = cy if signed else ada
        report = Registry.open(who).sync(push=True)
        assert (team.bare / "raced").exists()
        assert report.findings == ()
        assert team.refs(who)["refs/tags/churn#staging#1"] == team.refs()["refs/tags/churn#staging#1"] == theirs


def test_sync_that_may_make_no_tag_makes_none_here(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1)
    team.git("update-ref", "-d", "refs/tags/churn#staging#1", cwd=team.bare)
    team.add_hook("update", 'case "$1" in refs/tags/*) exit 1 ;; esac\n')
    with pytest.raises(PushRefusedError, match=r"origin refused churn#staging#1 \(hook declined\)") as caught:
        Registry.open(bo).sync(push=True)
    assert caught.value.hint.startswith("mreg sync --push   # by whoever may make tags there")
    assert (team.tags(), team.tags(bo)) == ([], [])


# Branches of pull requests.


def test_branch_that_only_the_remote_has_is_built_on(team: Team) -> None:
    first = promote(team.member("ada"), 1, branch="try")
    bo = team.clone("bo")
    team.git("update-ref", "-d", "refs/remotes/origin/try", cwd=bo)
    second = promote(Registry.open(bo), 2, branch="try")
    assert team.git("rev-parse", f"{second}^", cwd=bo) == first
    assert team.refs()["refs/heads/try"] == team.refs(bo)["refs/heads/try"] == second
    assert team.tags() == []


def test_branch_that_moved_there_is_followed(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1, branch="try")
    second = promote(Registry.open(bo), 2, branch="try")
    third = promote(Registry.open(ada), 3, branch="try")
    assert team.git("rev-parse", f"{third}^", cwd=ada) == second


def test_branch_that_went_apart_is_a_conflict_of_that_branch(team: Team) -> None:
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1, branch="try")
    promote(Registry.open(bo), 2, branch="try", push=False)
    # Without a push it began where the remote's was when it was fetched last, which was before there was one.
    assert team.git("rev-list", "--count", "main..try", cwd=bo) == "1"
    with pytest.raises(ConflictError, match="try and origin/try have diverged") as caught:
        promote(Registry.open(bo), 3, branch="try")
    assert caught.value.hint == "mreg push --branch try   # joins them; then run this again"
    mine = team.git("rev-parse", "try", cwd=bo)
    with pytest.raises(ConflictError, match="try here and origin/try both changed churn staging") as caught:
        Registry.open(bo).push(branch="try")
    assert caught.value.hint.startswith(f"mreg push --drop {mine[:12]} --branch try   # leaves out")
    Registry.open(bo).push(branch="try", drop=mine)
    promote(Registry.open(bo), 3, branch="try")
    assert team.git("rev-list", "--count", "main..try", cwd=bo) == "2"


@pytest.mark.parametrize("push", [True, False])
@pytest.mark.parametrize("after", ["merged", "squashed and deleted"])
def test_branch_that_is_done_with_begins_anew(after: str, push: bool, team: Team) -> None:
    """Names of branches come back, and what tracks the old one is still there."""
    ada, bo = team.clone("ada"), team.clone("bo")
    promote(Registry.open(ada), 1, branch="try")
    team.git("fetch", "--quiet", cwd=bo)
    if after == "merged":
        team.git("push", "--quiet", "origin", "try:main", cwd=ada)
    else:
        promote(Registry.open(ada), 1)
        team.git("push", "--quiet", "origin", ":try", cwd=ada)
    promote(Registry.open(ada), 3)
    if not push and after != "merged":  # nothing else tells that it is gone
        team.git("remote", "prune", "origin", cwd=bo)
    team.git("pull", "--quiet", "--ff-only", "origin", "main", cwd=bo)
    assert promote(Registry.open(bo), 2, branch="try", push=push)
    assert team.git("rev-parse", "try^", cwd=bo) == team.refs()["refs/heads/main"]


def test_branch_does_not_take_tags_of_main_along(team: Team) -> None:
    ada = team.clone("ada")
    promote(Registry.open(ada), 1, push=False)
    promote(Registry.open(ada), 2, branch="try")
    assert (team.tags(), set(team.refs()) & {"refs/heads/try"}) == ([], {"refs/heads/try"})
