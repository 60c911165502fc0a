from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

from mreg.errors import GitError, OutsideError, PushRefusedError, UsageError
from mreg.stores.git.descendants import end_processes, find_descendants
from mreg.stores.git.remotes import pushing
from mreg.stores.git.remotes.pushing import (
    claim,
    fetch,
    fetch_object,
    find_remote,
    is_ancestor,
    push,
    remote_ref,
    remote_tags,
)
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import RefMovedError, RefUpdate
from tests.conftest import Git
from tests.hosts import check_ended, make_nap
from tests.stores.git.conftest import traced

MARK = "refs/mreg/notified"


@pytest.fixture
def bare(repo: Path, tmp_path: Path, git: Git) -> Path:
    """The remote ``origin`` of ``repo``, which has its one commit."""
    path = tmp_path / "bare.git"
    git("init", "--quiet", "--bare", str(path))
    git("remote", "add", "origin", str(path))
    git("push", "--quiet", "origin", "main")
    return path


@pytest.fixture
def found(bare: Path, repo: Path) -> GitRepository:
    return GitRepository(repo)


@pytest.fixture
def other(bare: Path, tmp_path: Path, git: Git) -> Path:
    """Somebody else's clone."""
    git("clone", "--quiet", str(bare), str(tmp_path / "other"))
    return tmp_path / "other"


def commit(git: Git, where: Path | None = None, message: str = "x") -> str:
    git("commit", "--quiet", "--allow-empty", f"--message={message}", cwd=where)
    return git("rev-parse", "HEAD", cwd=where)


def refs(git: Git, where: Path | None = None) -> dict[str, str]:
    lines = git("for-each-ref", "--format=%(refname) %(objectname)", cwd=where).splitlines()
    return dict(line.split(" ") for line in lines)


def refuse(bare: Path, words: str = "no") -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nprintf '%s\\n' '{words}'\nexit 1\n")
    hook.chmod(0o755)


# Which remote.


@pytest.mark.parametrize(
    ("remotes", "settings", "expected"),
    [
        ("origin", {}, "origin"),
        ("hub", {}, "hub"),
        ("hub origin", {}, "origin"),
        ("hub origin", {"branch.main.remote": "hub"}, "hub"),
        ("hub origin", {"branch.main.remote": "."}, "origin"),
        ("hub origin", {"remote.pushDefault": "hub"}, "hub"),
        ("hub origin", {"remote.pushDefault": "https://example.com/x.git"}, "origin"),
        ("hub origin fork", {"branch.main.remote": "hub", "remote.pushDefault": "fork"}, "fork"),
    ],
)
def test_find_remote(remotes: str, settings: dict[str, str], expected: str, repo: Path, git: Git) -> None:
    for name in remotes.split(" "):
        git("remote", "add", name, "/nowhere")
    for key, value in settings.items():
        git("config", key, value)
    assert find_remote(GitRepository(repo), "main") == expected


def test_find_remote_where_there_is_none_or_nothing_tells(repo: Path, git: Git) -> None:
    with pytest.raises(OutsideError, match="no remote to push to") as caught:
        find_remote(GitRepository(repo), "main")
    assert caught.value.hint == "git remote add origin URL"
    for name in ("hub", "fork"):
        git("remote", "add", name, "/nowhere")
    with pytest.raises(OutsideError, match="which of fork, hub to push to") as caught:
        find_remote(GitRepository(repo), "main")
    git(*caught.value.hint.split(" ")[1:])
    assert find_remote(GitRepository(repo), "main") == "fork"


# Fetching.


def test_fetch_moves_the_tracking_branch_alone(found: GitRepository, other: Path, git: Git) -> None:
    first, there = git("rev-parse", "main"), commit(git, other)
    git("push", "--quiet", "origin", "main", cwd=other)
    assert fetch(found, "origin", ["main"]) == [there]
    assert refs(git) == {"refs/heads/main": first, "refs/remotes/origin/main": there}
    assert not (found.git_dir / "FETCH_HEAD").exists()


def test_fetch_of_several_branches_of_which_some_are_not_there(found: GitRepository, other: Path, git: Git) -> None:
    there = commit(git, other)
    git("push", "--quiet", "origin", "HEAD:try", cwd=other)
    assert fetch(found, "origin", ["gone", "main", "also/gone", "try"]) == [None, git("rev-parse", "main"), None, there]
    assert fetch(found, "origin", ["gone"]) == [None]
    assert fetch(found, "origin", []) == []
    # What was deleted there is not taken from the branch that still tracks it.
    git("push", "--quiet", "origin", ":try", cwd=other)
    assert fetch(found, "origin", ["try"]) == [None]


def test_fetch_follows_a_branch_that_was_rewound(found: GitRepository, other: Path, git: Git) -> None:
    first, ahead = git("rev-parse", "main"), commit(git, other)
    git("push", "--quiet", "origin", "main", cwd=other)
    assert fetch(found, "origin", ["main"]) == [ahead]
    git("push", "--quiet", "--force", "origin", f"{first}:main", cwd=other)
    assert fetch(found, "origin", ["main"]) == [first]


class TestFetchWithManyRefs:
    """The first time, where nothing has moved, Git is not asked to fetch."""

    @pytest.fixture(autouse=True)
    def many(self, found: GitRepository, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pushing, "MANY_REFS", 1)
        git("pack-refs", "--all")

    def ask(self, found: GitRepository, tmp_path: Path, *branches: str) -> tuple[list[str | None], set[str]]:
        """Returns where branches are, and the Git commands that found it out."""
        with pytest.MonkeyPatch.context() as patch, traced(tmp_path, patch) as commands:
            tips = fetch(found, "origin", branches, ["churn@*"], is_first=True)
        return tips, {*commands} & {"fetch", "ls-remote"}

    def test_branch_that_has_not_moved_is_not_fetched(
        self, found: GitRepository, other: Path, tmp_path: Path, git: Git
    ) -> None:
        git("tag", "--annotate", "--message=x", "churn@v1.0.0", cwd=other)
        git("push", "--quiet", "--tags", "origin", cwd=other)
        tip = git("rev-parse", "main")
        assert self.ask(found, tmp_path, "main") == ([tip], {"ls-remote"})
        assert self.ask(found, tmp_path, "main", "gone") == ([tip, None], {"ls-remote"})
        assert git("tag") == ""
        fetch(found, "origin", ["main"], ["churn@*"])
        assert git("tag") == "churn@v1.0.0"

    def test_branch_that_moved_began_or_went_is_fetched(
        self, found: GitRepository, other: Path, tmp_path: Path, git: Git
    ) -> None:
        tip = commit(git, other)
        git("push", "--quiet", "origin", "main", "main:try", "main:release/main", cwd=other)
        assert self.ask(found, tmp_path, "main") == ([tip], {"ls-remote", "fetch"})
        assert self.ask(found, tmp_path, "main", "try") == ([tip, tip], {"ls-remote", "fetch"})
        git("push", "--quiet", "origin", ":try", cwd=other)
        assert self.ask(found, tmp_path, "main", "try") == ([tip, None], {"ls-remote", "fetch"})

    def test_server_without_any_branch_is_looked_at_again(
        self, bare: Path, found: GitRepository, tmp_path: Path, git: Git
    ) -> None:
        git("update-ref", "-d", "refs/heads/main", cwd=bare)
        assert self.ask(found, tmp_path, "main") == ([None], {"ls-remote", "fetch"})


def test_fetch_of_tags_by_name_and_by_pattern(found: GitRepository, other: Path, git: Git) -> None:
    for name in ("churn@v1.0.0", "churn@v2.0.0", "churn#production#1", "fraud@v1.0.0"):
        git("tag", "--annotate", "--message=x", name, cwd=other)
    git("push", "--quiet", "--tags", "origin", cwd=other)
    assert fetch(found, "origin", ["main"], ["fraud@v1.0.0", "fraud@v9.0.0"]) == [git("rev-parse", "main")]
    assert git("tag") == "fraud@v1.0.0"
    fetch(found, "origin", [], ["churn@*", "nothing@*"])
    assert git("tag").split("\n") == ["churn@v1.0.0", "churn@v2.0.0", "fraud@v1.0.0"]


def test_fetch_leaves_a_tag_that_is_here(found: GitRepository, other: Path, git: Git) -> None:
    there = commit(git, other)
    for name in ("churn@v1.0.0", "churn@v2.0.0"):
        git("tag", "--annotate", "--message=theirs", name, cwd=other)
    git("push", "--quiet", "--tags", "origin", "main", cwd=other)
    git("tag", "--annotate", "--message=ours", "churn@v1.0.0")
    mine = git("rev-parse", "churn@v1.0.0")
    assert fetch(found, "origin", ["main"], ["churn@*"]) == [there]
    assert git("rev-parse", "churn@v1.0.0") == mine
    assert git("tag") == "churn@v1.0.0\nchurn@v2.0.0"


@pytest.mark.parametrize(("here", "there"), [("churn#a#1", "churn#a#1/foo"), ("churn#a#1/foo", "churn#a#1")])
def test_fetch_leaves_out_a_tag_that_cannot_be_beside_another(
    here: str, there: str, found: GitRepository, other: Path, git: Git
) -> None:
    tip = commit(git, other)
    for name in (there, "churn#a#2"):
        git("tag", "--annotate", "--message=theirs", name, cwd=other)
    git("push", "--quiet", "--tags", "origin", "main", cwd=other)
    git("tag", "--annotate", "--message=ours", here)
    assert fetch(found, "origin", ["main"], ["churn#*"]) == [tip]
    assert git("tag").split("\n") == sorted([here, "churn#a#2"])


def test_fetch_that_cannot_move_the_branch_is_an_error(found: GitRepository, other: Path, git: Git) -> None:
    commit(git, other)
    git("tag", "--annotate", "--message=theirs", "churn@v1.0.0", cwd=other)
    git("push", "--quiet", "--tags", "origin", "main", cwd=other)
    git("tag", "--annotate", "--message=ours", "churn@v1.0.0")
    git("update-ref", "-d", "refs/remotes/origin/main")
    git("update-ref", "refs/remotes/origin/main/x", "main")
    with pytest.raises(OutsideError, match=r"cannot lock ref 'refs/remotes/origin/main'|local refs could not be"):
        fetch(found, "origin", ["main"], ["churn@*"])


def test_fetch_from_an_empty_remote(repo: Path, tmp_path: Path, git: Git) -> None:
    git("init", "--quiet", "--bare", str(tmp_path / "empty.git"))
    git("remote", "add", "origin", str(tmp_path / "empty.git"))
    assert fetch(GitRepository(repo), "origin", ["main"], ["churn@*"]) == [None]


def test_remote_that_is_not_there_is_not_an_empty_one(repo: Path, git: Git) -> None:
    """Its address may have the branch's name in it."""
    git("remote", "add", "origin", "/nowhere/main.git")
    found = GitRepository(repo)
    for ask in (
        lambda: fetch(found, "origin", ["main"]),
        lambda: fetch_object(found, "origin", "refs/heads/main"),
        lambda: remote_tags(found, "origin"),
        lambda: remote_ref(found, "origin", MARK),
        lambda: claim(found, "origin", MARK, new=git("rev-parse", "main"), old=None),
        lambda: push(found, "origin", [RefUpdate("refs/heads/main", git("rev-parse", "main"), None)]),
    ):
        with pytest.raises(
            OutsideError, match=r"origin could not be used: git [a-z-]+ failed: '/nowhere/main\.git'"
        ) as caught:
            ask()
        assert type(caught.value) is OutsideError
        assert caught.value.hint == "git ls-remote origin   # shows whether it answers"


def test_fetch_object_moves_no_ref(found: GitRepository, other: Path, git: Git) -> None:
    there = commit(git, other)
    git("push", "--quiet", "origin", f"{there}:{MARK}", cwd=other)
    before = refs(git)
    assert found.resolve([there]) == [None]
    fetch_object(found, "origin", MARK)
    assert (found.resolve([there]), refs(git)) == ([there], before)
    with pytest.raises(OutsideError, match="refs/mreg/gone"):
        fetch_object(found, "origin", "refs/mreg/gone")


def test_remote_refs(found: GitRepository, other: Path, git: Git) -> None:
    assert remote_tags(found, "origin") == {}
    first, second = git("rev-parse", "HEAD", cwd=other), commit(git, other)
    git("tag", "--annotate", "--message=x", "churn@v1.0.0", cwd=other)
    git("tag", "light", cwd=other)
    assert remote_ref(found, "origin", MARK) is None
    git("push", "--quiet", "origin", f"{first}:{MARK}", cwd=other)
    # `ls-remote` also finds refs that end like the one that is asked for.
    git("push", "--quiet", "--tags", "origin", f"{second}:refs/heads/{MARK}", cwd=other)
    assert remote_ref(found, "origin", MARK) == first
    assert remote_tags(found, "origin") == {
        "churn@v1.0.0": git("rev-parse", "churn@v1.0.0", cwd=other),
        "light": second,
    }


# Pushing.


def test_push_of_objects_that_no_ref_names(found: GitRepository, bare: Path, git: Git) -> None:
    before = refs(git)
    tip = git("commit-tree", "-p", "main", "-m", "x", "main^{tree}")
    tag = git("mktag", input=f"object {tip}\ntype commit\ntag churn@v1.0.0\ntagger A <a@b> 1 +0000\n\nx\n")
    push(
        found,
        "origin",
        [RefUpdate("refs/heads/main", tip, before["refs/heads/main"]), RefUpdate("refs/tags/churn@v1.0.0", tag, None)],
    )
    assert refs(git, bare) == {"refs/heads/main": tip, "refs/tags/churn@v1.0.0": tag}
    assert refs(git) == {**before, "refs/remotes/origin/main": tip}
    push(found, "origin", [])
    push(found, "origin", [RefUpdate("refs/tags/churn@v1.0.0", tag, None)])  # it is there, and the same
    assert refs(git, bare) == {"refs/heads/main": tip, "refs/tags/churn@v1.0.0": tag}


@pytest.mark.parametrize("moved", ["branch", "tag"])
def test_push_of_what_moved_lands_nothing(moved: str, found: GitRepository, bare: Path, other: Path, git: Git) -> None:
    git("tag", "--annotate", "--message=x", "churn@v1.0.0", cwd=other)
    theirs = commit(git, other, "theirs")
    git("push", "--quiet", "origin", "main" if moved == "branch" else "churn@v1.0.0", cwd=other)
    before, ours = refs(git, bare), commit(git, message="ours")
    updates = [RefUpdate("refs/heads/main", ours, None), RefUpdate("refs/tags/churn@v1.0.0", ours, None)]
    with pytest.raises(RefMovedError, match="moved on origin while mreg was writing") as caught:
        push(found, "origin", updates)
    assert caught.value.details["refs"] == [updates[moved == "tag"].ref]
    assert refs(git, bare) == before
    assert theirs


def test_push_to_a_clone_that_has_the_branch_checked_out_says_what_to_do_in_one_line(
    found: GitRepository, other: Path, git: Git
) -> None:
    git("remote", "set-url", "origin", str(other))
    with pytest.raises(PushRefusedError) as caught:
        push(found, "origin", [RefUpdate("refs/heads/main", commit(git), None)])
    assert caught.value.message == (
        "origin refused main (branch is currently checked out): "
        "a clone that others push to is bare, or has: git config receive.denyCurrentBranch updateInstead"
    )


def test_push_that_a_rule_refuses(found: GitRepository, bare: Path, git: Git) -> None:
    refuse(bare, "GH006: Protected branch")
    tip, before = commit(git), refs(git, bare)
    with pytest.raises(PushRefusedError) as caught:
        push(found, "origin", [RefUpdate("refs/heads/main", tip, None), RefUpdate("refs/tags/x", tip, None)])
    error = caught.value
    assert error.message == "origin refused main (pre-receive hook declined): GH006: Protected branch"
    assert error.hint.endswith("run the command again with --branch NAME --push")
    assert error.details["refs"] == dict.fromkeys(("refs/heads/main", "refs/tags/x"), "pre-receive hook declined")
    assert refs(git, bare) == before
    with pytest.raises(PushRefusedError, match="origin refused x") as caught:
        push(found, "origin", [RefUpdate("refs/tags/x", tip, None)])
    assert caught.value.hint.startswith("mreg sync --push")


def test_push_of_which_one_ref_is_refused_names_that_one(found: GitRepository, bare: Path, git: Git) -> None:
    hook = bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) exit 1 ;; esac\n')
    hook.chmod(0o755)
    tip, before = commit(git), refs(git, bare)
    with pytest.raises(PushRefusedError, match=r"origin refused x \(hook declined\)"):
        push(found, "origin", [RefUpdate("refs/heads/main", tip, None), RefUpdate("refs/tags/x", tip, None)])
    assert refs(git, bare) == before


def test_push_to_a_branch_that_is_checked_out_there(repo: Path, tmp_path: Path, git: Git) -> None:
    git("clone", "--quiet", str(repo), str(tmp_path / "clone"))
    tip = commit(git, tmp_path / "clone")
    with pytest.raises(PushRefusedError, match="branch is currently checked out"):
        push(GitRepository(tmp_path / "clone"), "origin", [RefUpdate("refs/heads/main", tip, None)])


def test_push_runs_no_hook_of_this_clone(found: GitRepository, bare: Path, git: Git) -> None:
    hook = found.git_dir / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    tip = commit(git)
    push(found, "origin", [RefUpdate("refs/heads/main", tip, None)])
    assert refs(git, bare) == {"refs/heads/main": tip}


@pytest.mark.parametrize("where", ["origin", ""])
def test_claim_is_compared_and_set(where: str, found: GitRepository, bare: Path, git: Git) -> None:
    first, second = git("rev-parse", "main"), commit(git)
    place = bare if where else None
    assert claim(found, where, MARK, new=first, old=None)
    assert not claim(found, where, MARK, new=first, old=None)  # someone else put it just there
    assert not claim(found, where, MARK, new=second, old=None)
    assert not claim(found, where, MARK, new=second, old=second)
    assert refs(git, place)[MARK] == first
    assert claim(found, where, MARK, new=second, old=first)
    assert claim(found, where, MARK, new=first, old=second)  # no branch: it may go anywhere
    assert refs(git, place)[MARK] == first


def test_claim_that_a_rule_refuses(found: GitRepository, bare: Path, git: Git) -> None:
    refuse(bare, "branches and tags alone")
    with pytest.raises(
        PushRefusedError, match=r"origin refused refs/mreg/notified .*branches and tags alone"
    ) as caught:
        claim(found, "origin", MARK, new=git("rev-parse", "main"), old=None)
    assert caught.value.hint == "mreg sync --no-notify   # or let refs/mreg/* be pushed there"


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/x", MARK])
def test_branch_that_git_mistakes_for_another_ref_is_named(
    ref: str, found: GitRepository, bare: Path, other: Path, git: Git
) -> None:
    """``refs/tags/x`` on the command line is ``refs/heads/refs/tags/x`` to Git, where that alone is there."""
    git("push", "--quiet", "origin", f"HEAD:refs/heads/{ref}", cwd=other)
    tip, before = commit(git), refs(git, bare)
    tag = git("mktag", input=f"object {tip}\ntype commit\ntag x\ntagger A <a@b> 1 +0000\n\nx\n")
    update = RefUpdate(ref, tag if ref == "refs/tags/x" else tip, None)
    with pytest.raises(GitError, match=f"origin has refs/heads/{ref}, whose name Git mistakes") as caught:
        claim(found, "origin", ref, new=tip, old=None) if ref == MARK else push(found, "origin", [update])
    assert ref == MARK or refs(git, bare) == before
    git(*caught.value.hint.split(" ")[1:])
    push(found, "origin", [RefUpdate(ref, tip, None)])
    assert refs(git, bare)[ref] == tip


def test_is_ancestor(found: GitRepository, other: Path, git: Git) -> None:
    first, second, unknown = git("rev-parse", "main"), commit(git), commit(git, other, "elsewhere")
    pairs = {
        (first, second): True,
        (first, first): True,
        (second, first): False,
        (unknown, second): False,
        (first, unknown): False,
    }
    assert {pair: is_ancestor(found, *pair) for pair in pairs} == pairs


# Servers that do not take part.


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
def test_server_that_says_nothing_is_given_up(scheme: str, repo: Path, git: Git, silent: int) -> None:
    git("remote", "add", "origin", f"{scheme}://127.0.0.1:{silent}/x.git")
    git("config", "mreg.timeout", "0.5")
    found, tip, begun = GitRepository(repo), git("rev-parse", "main"), time.monotonic()
    with pytest.raises(OutsideError, match=r"^origin did not answer git fetch within 0.5 s\n") as caught:
        fetch(found, "origin", ["main"])
    assert "git config mreg.timeout 600" in caught.value.hint
    with pytest.raises(
        OutsideError, match=r"within 0.5 s; the push may have arrived: run the same command again to find out\n"
    ):
        push(found, "origin", [RefUpdate("refs/heads/main", tip, None)])
    assert time.monotonic() - begun < 20
    check_ended(f":{silent}/", f"-p {silent} ")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "", "2 min"])
def test_timeout_that_is_no_number_of_seconds(text: str, found: GitRepository, git: Git) -> None:
    git("config", "mreg.timeout", text)
    with pytest.raises(UsageError, match=r"mreg\.timeout in Git's configuration is") as caught:
        fetch(found, "origin", ["main"])
    git(*caught.value.hint.split(" ")[1:])
    assert fetch(found, "origin", ["main"])


def test_what_ssh_says_is_told(repo: Path, git: Git) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    git("remote", "add", "origin", f"ssh://ada@127.0.0.1:{port}/x.git")
    with pytest.raises(
        OutsideError, match=r"Could not read from remote repository\. \(ssh: connect to host .* refused\)"
    ):
        fetch(GitRepository(repo), "origin", ["main"])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="wants Linux")
@pytest.mark.parametrize("ignores", ["", "trap '' TERM; "])
def test_descendants_are_found_and_ended(ignores: str) -> None:
    naps = [make_nap(), make_nap()]
    process = subprocess.Popen(["sh", "-c", f'sh -c "{ignores}{naps[0]} & wait" & {naps[1]}'])
    try:
        deadline = time.monotonic() + 10
        while len(found := find_descendants(process.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(found) == 3
        end_processes(found)
        process.wait(10)
        check_ended(*naps)
        end_processes(found)  # they are gone, and that is no error
    finally:
        process.kill()
        process.wait()
