"""Garbage: what nobody kept needs goes, and nothing else, whoever works at the same time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.settings.retention import Retention
from mreg.core.storage.swept import Sweep
from mreg.errors import (
    BytesDeletedError,
    DataError,
    IncompleteHistoryError,
    NotFoundError,
    OutsideError,
    RefusedError,
    StorageError,
    UsageError,
)
from mreg.registry.reading.artifacts import open_store
from mreg.registry.review.auditing import audit
from mreg.registry.storage.outlook import look_out
from mreg.stores.dvc_files.pointer import parse_directory
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git
from tests.registry.stock import Clone, Stock, make_stock, object_path
from tests.sinks import http_sink

MREG = f"{sys.executable} -m mreg"
A, B, C, D = (letter.encode() * 1000 for letter in "abcd")


@pytest.fixture
def stock(tmp_path: Path, git: Git) -> Stock:
    return make_stock(tmp_path, git)


def names(sweep: Sweep) -> list[str]:
    return [f"{each.model}@{each.version}" for each in sweep.versions]


def sweep(clone: Clone, *, delete: bool = True, **more: object) -> Sweep:
    if (clone.path / ".git" / "refs" / "heads" / "main").exists():
        clone.push()
    return clone.registry.gc(remote=True, keep_newest=1, delete=delete, **more)  # type: ignore[arg-type]


def test_gc_deletes_what_it_showed_and_says_so_to_everyone(stock: Stock, tmp_path: Path) -> None:
    ann = stock.ann
    a, b, c, d = (ann.register("churn", content) for content in (A, B, C, D))
    ann.registry.promote("churn@v2", "production", reason="r")
    ann.registry.promote("churn@v3", "production", reason="r")
    shown = sweep(ann, delete=False)
    assert (names(shown), shown.objects, shown.size, shown.dry_run) == (["churn@v1.0.0"], 1, 1000, True)
    assert shown.kept == {"among the newest 1": 1, "is in production": 1, "was in production": 1}
    assert stock.holds(a, b, c, d) == [True] * 4
    done = sweep(ann)
    assert (names(done), done.objects, done.size, done.dry_run) == (["churn@v1.0.0"], 1, 1000, False)
    assert done.versions[0].deletion
    assert len(done.commits) == 1
    assert stock.holds(a, b, c, d) == [False, True, True, True]
    bob = stock.clone("bob")
    with pytest.raises(BytesDeletedError, match="deleted on purpose by ada@example"):
        bob.registry.pull("churn@v1", tmp_path / "v1")
    assert bob.registry.pull("churn@v2", tmp_path / "v2").path.read_bytes() == B
    assert audit(bob.path).ok
    again = sweep(bob)
    assert (again.versions, again.commits) == ((), ())


def test_gc_shows_what_would_go_where_the_git_remote_does_not_answer(stock: Stock, git: Git) -> None:
    ann = stock.ann
    for content in (A, B, C):
        ann.register("churn", content)
    shown = sweep(ann, delete=False)
    assert (names(shown), shown.notices) == (["churn@v1.0.0", "churn@v2.0.0"], ())
    git("remote", "set-url", "origin", "/nowhere", cwd=ann.path)
    for why in ("origin could not be used", "this clone has no remote"):
        offline = ann.registry.gc(remote=True, keep_newest=1)
        assert (names(offline), offline.size, offline.dry_run) == (names(shown), 2000, True)
        assert offline.notices[0].startswith(f"as far as this clone knows, for the Git remote was not asked: {why}")
        with pytest.raises(OutsideError, match=why):
            ann.registry.gc(remote=True, keep_newest=1, delete=True)
        if git("remote", cwd=ann.path):
            git("remote", "remove", "origin", cwd=ann.path)


def test_push_of_a_promotion_of_what_was_given_up_meanwhile_says_so_once(stock: Stock) -> None:
    ann = stock.ann
    for content in (A, B):
        ann.register("churn", content)
    ann.push()
    bob = stock.clone("bob")
    bob.registry.promote("churn@v1", "staging", reason="r", push=False)
    sweep(ann)
    with pytest.raises(RefusedError, match=r"its bytes were deleted on purpose by ada@example") as caught:
        bob.registry.push()
    assert "archived" not in caught.value.message
    complaints = caught.value.details["complaints"]
    assert isinstance(complaints, list)
    assert [each["code"] for each in complaints] == ["rule-deleted"]
    assert complaints[0]["fix"].startswith("mreg register churn PATH ")


def test_gc_of_the_cache_deletes_what_can_be_had_again(stock: Stock, tmp_path: Path) -> None:
    ann = stock.ann
    a, b, c = (ann.register("churn", content) for content in (A, B, C))
    only_here = ann.register("other", D, upload=False)
    ann.register("other", A)
    found = ann.registry.gc(keep_newest=1, delete=True)
    assert names(found) == ["churn@v2.0.0"]  # the first has the bytes of other@v2
    assert found.commits == ()
    assert "1 object stays: " in found.notices[0]
    assert [object_path(ann.cache, md5).exists() for md5 in (a, b, c, only_here)] == [True, False, True, True]
    assert ann.registry.pull("churn@v2", tmp_path / "v2").path.read_bytes() == B


def test_gc_of_the_cache_without_a_remote_keeps_the_only_copies(repo: Path, git: Git) -> None:
    Registry.init(repo)
    ann = Clone(repo, git)
    a, _ = (ann.register("churn", content, push=False) for content in (A, B))
    found = ann.registry.gc(keep_newest=1, delete=True)
    assert found.versions == ()
    assert "no DVC remote is set" in found.notices[0]
    assert object_path(ann.cache, a).exists()
    with pytest.raises(NotFoundError, match="no default DVC remote"):
        ann.registry.gc(remote=True, keep_newest=1)


def test_gc_is_told_to_no_sink_version_by_version(tmp_path: Path, git: Git) -> None:
    notify = "notify: [{to: webhook, url_env: HOOK}]\n"
    ann = make_stock(tmp_path, git, settings=notify).ann
    for content in (A, B, C):
        ann.register("churn", content)
    with http_sink() as sink:
        environ = {"HOOK": f"http://{sink.address}/"}
        ann.push()
        ann.registry.sync(push=True, environ=environ)
        assert names(sweep(ann)) == ["churn@v1.0.0", "churn@v2.0.0"]
        ann.registry.archive("churn@v3", reason="r")
        ann.registry.sync(push=True, environ=environ)
        assert [post.json()["to"] for post in sink.posts] == ["v3.0.0"]


def test_gc_finishes_what_was_given_up_before(stock: Stock) -> None:
    ann = stock.ann
    members = {"x": A, "sub/y": B}
    first = ann.register("dirs", members)
    ann.register("dirs", {"x": C, "sub/y": B})
    receipt = sweep(ann, branch="give-up", push=True)
    assert (receipt.branch, len(receipt.commits)) == ("give-up", 1)
    assert stock.holds(first) == [True]
    ann.git("merge", "--quiet", "--ff-only", "give-up", cwd=ann.path)
    ann.git("push", "--quiet", "origin", "main", cwd=ann.path)
    # Someone was killed after the first file of the directory.
    shared = {md5 for md5 in stock.objects() if object_path(stock.store, md5).read_bytes() == B}
    gone = {md5 for md5 in stock.objects() if object_path(stock.store, md5).read_bytes() == A}
    for md5 in gone:
        object_path(stock.store, md5).unlink()
    shutil.rmtree(ann.cache)
    done = ann.registry.gc(remote=True, delete=True)  # no rule, and none is needed
    assert (names(done), done.objects) == (["dirs@v1.0.0"], 1)
    assert stock.holds(first, *shared, *gone) == [False, True, False]


def test_gc_moves_a_clone_on_that_was_killed_after_its_commit_landed(stock: Stock) -> None:
    ann = stock.ann
    for content in (A, B):
        ann.register("churn", content)
    bob = stock.clone("bob")
    sweep(bob)
    there = bob.git("rev-parse", "main", cwd=stock.origin)
    assert ann.registry.gc(remote=True, keep_newest=1).versions == ()
    assert ann.git("rev-parse", "main", cwd=ann.path) != there  # without --delete, nothing moves
    again = ann.registry.gc(remote=True, keep_newest=1, delete=True)
    assert (again.versions, again.commits, again.notices) == ((), (), ())
    assert ann.git("rev-parse", "main", cwd=ann.path) == there
    assert ann.git("status", "--porcelain", "--untracked-files=no", cwd=ann.path) == ""


def test_gc_of_a_clone_that_has_gone_apart_finishes_where_it_is(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    bob = stock.clone("bob")
    sweep(bob, branch="give-up", push=True)
    bob.git("push", "--quiet", "origin", "give-up:main", cwd=bob.path)
    ann.register("other", C)
    before = ann.git("rev-parse", "main", cwd=ann.path)
    done = ann.registry.gc(remote=True, delete=True)
    assert (names(done), stock.holds(a)) == (["churn@v1.0.0"], [False])
    assert done.notices[0].startswith("main stays where it is: main and origin/main have diverged")
    assert ann.git("rev-parse", "main", cwd=ann.path) == before


def test_gc_for_a_branch_with_nothing_to_give_up_names_no_branch(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    first = sweep(ann, branch="give-up", push=True)
    assert (first.branch, len(first.commits), first.dry_run) == ("give-up", 1, False)
    assert sweep(ann, branch="give-up", push=True).branch == "give-up"  # it waits to be merged
    ann.git("push", "--quiet", "origin", "give-up:main", cwd=ann.path)
    left = ann.registry.gc(remote=True, keep_newest=1, delete=True, branch="other", push=True)
    assert (left.branch, names(left), left.dry_run) == ("", ["churn@v1.0.0"], True)
    assert stock.holds(a) == [True]
    ann.registry.gc(remote=True, delete=True)
    none = sweep(ann, branch="other", push=True)
    assert (none.branch, none.versions) == ("", ())
    assert "other" not in ann.git("branch", "--all", cwd=ann.path)


def test_gc_deletes_nothing_that_a_version_names_which_nobody_gave_up(stock: Stock) -> None:
    ann = stock.ann
    for content in (A, A, B):
        ann.register("churn", content)
    archived = ann.path / "registry" / "churn" / "stages" / "archived.yaml"
    archived.parent.mkdir()
    archived.write_text("versions: {v1.0.0: {deletion: {by: ann@example.com}}}\n")
    ann.git("add", str(archived), cwd=ann.path)
    ann.git("commit", "--quiet", "--message=By hand", cwd=ann.path)
    repo = GitRepository(ann.path)
    shelves = [open_store(repo).cache_shelf()]
    outlook = look_out(repo, ann.git("rev-parse", "HEAD", cwd=ann.path), {}, shelves, Retention(1))
    assert [str(each.version) for each in outlook.dropped] == ["v1.0.0", "v2.0.0"]
    assert outlook.deletable() == {}
    assert sweep(ann).objects == 1  # now both are given up
    assert stock.objects() == {ann.register("churn", B)}


def test_gc_keeps_what_branches_tags_and_the_worktree_name(stock: Stock) -> None:
    ann = stock.ann
    kept = [ann.register("churn", f"{number}".encode() * 100) for number in range(7)]
    bob = stock.clone("bob")
    for ref, md5 in (("foreign", kept[0]), ("tagged", kept[1])):
        bob.git("checkout", "--quiet", "-b", ref, "origin/main", cwd=bob.path)
        bob.track("data.dvc", md5)
    bob.git("tag", "release", cwd=bob.path)
    bob.git("push", "--quiet", "origin", "foreign", "release", cwd=bob.path)
    bob.git("checkout", "--quiet", "main", cwd=bob.path)
    bob.registry.promote("churn@v3", "production", reason="r", branch="proposal", push=True)
    bob.registry.approve("churn@v4", "production", branch="approval", push=True)
    (ann.path / "here.dvc").write_text(f"outs: [{{md5: {kept[4]}, path: x}}]\n")
    lock = f"schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n    - path: m\n      md5: {kept[5]}\n"
    (ann.path / "dvc.lock").write_text(lock)
    found = sweep(ann)
    assert found.versions == ()
    assert set(found.kept) == {
        "among the newest 1",
        "approved on approval",
        "data.dvc on foreign names its bytes",
        "data.dvc on tags/release names its bytes",
        "dvc.lock here, not committed names its bytes",
        "here.dvc here, not committed names its bytes",
        "proposal puts it into production",
    }


def test_gc_keeps_what_another_branch_registers(stock: Stock) -> None:
    ann = stock.ann
    a, b, _ = (ann.register("churn", content) for content in (A, {"x": B}, D))
    member = next(md5 for md5 in stock.objects() if object_path(stock.store, md5).read_bytes() == B)
    bob = stock.clone("bob")
    bob.register("other", A, branch="proposal")
    bob.register("third", {"y": B, "z": C}, branch="proposal", push=True)
    found = sweep(ann)
    assert (names(found), found.objects) == (["churn@v2.0.0"], 1)
    assert stock.holds(a, b, member) == [True, False, True]


def test_gc_knows_the_files_of_a_foreign_directory(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    listing = ann.register("scratch", {"x": A, "y": B}, branch="scratch")
    ann.register("churn", C)
    # The directory stays tracked by DVC alone: no record names it any more.
    ann.git("branch", "--quiet", "-D", "scratch", cwd=ann.path)
    ann.track("data.dvc", listing)
    assert sweep(ann).versions == ()
    assert stock.holds(a) == [True]
    for folder in (stock.store, ann.cache):
        object_path(folder, listing).unlink()
    with pytest.raises(NotFoundError, match=r"neither on the remote nor in the cache") as caught:
        sweep(ann)
    assert caught.value.details["place"] == "data.dvc on the registry branch"
    assert names(sweep(ann, ignore_unlisted=True)) == ["churn@v1.0.0"]


def test_gc_keeps_a_directory_whose_list_is_nowhere(stock: Stock) -> None:
    ann = stock.ann
    listing = ann.register("dirs", {"x": A})
    ann.register("dirs", {"x": B})
    for folder in (stock.store, ann.cache):
        object_path(folder, listing).unlink()
    found = sweep(ann)
    assert found.versions == ()
    assert found.kept["the list of its files is nowhere"] == 1


def test_gc_in_a_clone_that_lacks_branches_and_tags_fetches_them(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    ann.git("checkout", "--quiet", "--detach", cwd=ann.path)
    ann.track("data.dvc", a)
    ann.git("push", "--quiet", "origin", "HEAD:refs/tags/release", cwd=ann.path)
    bob = stock.clone("bob", "--single-branch", "--no-tags")
    assert sweep(bob).versions == ()
    assert stock.holds(a) == [True]


def test_gc_in_a_shallow_clone_or_without_the_remote_is_refused(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    bob = stock.clone("bob", "--depth=1")
    with pytest.raises(IncompleteHistoryError, match="shallow"):
        sweep(bob)
    shutil.move(stock.origin, stock.root / "gone")
    with pytest.raises(OutsideError, match="origin could not be used"):
        ann.registry.gc(remote=True, keep_newest=1, delete=True)
    assert stock.holds(a) == [True]


def test_gc_where_a_record_cannot_be_read_is_refused(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    path = ann.path / "registry" / "other" / "versions" / "v1.0.0.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("schema: [\n")
    ann.git("add", str(path), cwd=ann.path)
    ann.git("commit", "--quiet", "--message=Broken", cwd=ann.path)
    with pytest.raises(DataError, match=r"other/versions/v1\.0\.0\.yaml"):
        sweep(ann)
    assert stock.holds(a) == [True]


def test_gc_without_a_rule_is_a_slip(stock: Stock) -> None:
    stock.ann.register("churn", A)
    stock.ann.push()
    for remote in (False, True):
        with pytest.raises(UsageError, match="nothing says which versions to keep"):
            stock.ann.registry.gc(remote=remote)
    for bad in ({"keep_newest": 0}, {"keep_within": "soon"}, {"branch": "b", "keep_newest": 1}):
        with pytest.raises(UsageError):
            stock.ann.registry.gc(**bad)


def test_gc_goes_by_the_settings_and_the_clock(tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    stock = make_stock(tmp_path, git, settings="retention: {keep_newest: 1, keep_within: 30d}\n")
    ann = stock.ann
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
    ann.register("churn", A)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1999-01-01T00:00:00Z")  # of one whose clock is off by years
    ann.register("churn", B)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-20T00:00:00Z")
    ann.register("churn", C)
    ann.push()
    assert ann.registry.gc(remote=True, delete=True).versions == ()
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00:00Z")  # of whoever collects
    assert ann.registry.gc(remote=True, keep_within="60d", delete=True).versions == ()
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-02-10T00:00:00Z")
    assert names(ann.registry.gc(remote=True, delete=True)) == ["churn@v1.0.0", "churn@v2.0.0"]


@pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed: apt-get install faketime")
def test_gc_by_a_clock_that_is_years_ahead_keeps_what_was_registered_just_now(stock: Stock) -> None:
    ann = stock.ann
    for content in (A, B):
        ann.register("churn", content)
    ann.push()
    env = {name: text for name, text in os.environ.items() if not name.endswith("_DATE")}
    command = ["faketime", "-f", "+20y", sys.executable, "-m", "mreg", "gc", "--remote", "--keep-within", "30d"]
    done = subprocess.run(command, cwd=ann.path, env=env, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, "nothing to delete"), done


def test_gc_of_a_model_that_rests_gives_up_what_it_showed(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = stock.ann
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-02T00:00:00Z")
    for content in (A, B):
        ann.register("churn", content)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-05-01T00:00:00Z")
    ann.register("other", C)
    ann.push()
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-05-01T00:00:00Z")
    done = ann.registry.gc(remote=True, keep_within="90d", delete=True)
    assert (names(done), done.objects, len(done.commits)) == (["churn@v1.0.0"], 1, 1)


def test_gc_where_nothing_can_be_deleted_gives_nothing_up(stock: Stock) -> None:
    ann = stock.ann
    ann.register("churn", A)
    ann.register("churn", B)
    ann.push()
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    stock.store.chmod(0o500)
    before = ann.git("rev-parse", "main", cwd=stock.origin)
    with pytest.raises(StorageError):
        sweep(ann)
    stock.store.chmod(0o700)
    assert ann.git("rev-parse", "main", cwd=stock.origin) == before


def test_gc_leaves_what_is_registered_between_its_commit_and_the_deletion(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    bob = stock.clone("bob")
    (stock.root / "again.bin").write_bytes(A)
    # Whoever lands the commit that gives the bytes up waits for this hook.
    stock.hook("post-receive", f"{MREG} -C {bob.path} register other {stock.root / 'again.bin'} --push")
    found = sweep(ann)
    assert "Register other v1.0.0" in (stock.root / "log").read_text()
    assert found.objects == 0
    assert stock.holds(a) == [True]


@pytest.mark.parametrize("fetched", [False, True])
def test_fsck_of_a_clone_that_is_behind_sends_nothing_back_that_was_given_up(stock: Stock, *, fetched: bool) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    ann.push()
    bob = stock.clone("bob")
    sweep(bob)
    if fetched:
        ann.git("fetch", "--quiet", cwd=ann.path)
    before = ann.git("rev-parse", "HEAD", "main", cwd=ann.path)
    found = ann.registry.fsck(remote=True, repair=True)
    assert (found.ok, found.repaired, found.deleted, found.notices) == (True, 0, 1, ())
    assert stock.holds(a) == [False]
    assert ann.git("rev-parse", "HEAD", "main", cwd=ann.path) == before


def test_fsck_where_git_does_not_answer_sends_nothing(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    ann.push()
    object_path(stock.store, a).unlink()
    shutil.move(stock.origin, stock.root / "gone")
    with pytest.raises(OutsideError, match="nothing is repaired, since nobody knows here which bytes others gave up"):
        ann.registry.fsck(remote=True, repair=True)
    assert stock.holds(a) == [False]
    found = ann.registry.fsck(remote=True)
    assert "may be called missing: origin could not be used" in found.notices[0]
    assert not found.ok
    ann.git("remote", "remove", "origin", cwd=ann.path)
    assert ann.registry.fsck(remote=True, repair=True).repaired == 1
    assert stock.holds(a) == [True]


def test_gc_brings_back_what_is_registered_while_it_deletes(stock: Stock, tmp_path: Path) -> None:
    ann = stock.ann
    a, b, _ = (ann.register("churn", content) for content in (A, B, C))
    bob = stock.clone("bob")
    object_path(ann.cache, b).unlink()

    def register(_done: int, _total: int) -> None:
        bob.register("other", A, upload=False, push=True)  # it looked before: the bytes were there
        bob.register("third", B, upload=False, push=True)

    found = sweep(ann, progress=register)
    assert (found.restored, found.lost) == (1, (b,))
    assert stock.holds(a, b) == [True, False]
    mended = bob.registry.fsck(remote=True, repair=True)
    assert (mended.ok, mended.repaired) == (True, 1)
    assert stock.clone("eve").registry.pull("third", tmp_path / "third").path.read_bytes() == B


def test_register_of_bytes_that_go_while_it_lands_sends_them_again(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    sweep(ann, branch="give-up", push=True)
    ann.git("push", "--quiet", "origin", "give-up:main", cwd=ann.path)
    bob = stock.clone("bob")
    # A collection that asked before this commit landed deletes what the registration found there.
    stock.hook("pre-receive", f"rm {object_path(stock.store, a)}")
    bob.register("churn", A, push=True)
    assert stock.holds(a) == [True]
    assert sweep(bob, delete=False).objects == 0


def test_gc_whose_push_is_lost_gives_up_only_what_still_may_go(stock: Stock) -> None:
    ann = stock.ann
    a, b, _ = (ann.register("churn", content) for content in (A, B, C))
    bob = stock.clone("bob")
    # The first push loses against a promotion of what was to go.
    ann.push()
    stock.hook("pre-receive", f"{MREG} -C {bob.path} promote churn@v1 production --reason r --push")
    found = sweep(ann)
    assert found.objects == 1
    assert stock.holds(a, b) == [True, False]
    assert set(ann.registry.versions("churn").versions[-1].stages) == {"production"}


@pytest.mark.slow
def test_gc_that_is_killed_goes_on_where_it_was(stock: Stock, soak: bool) -> None:
    ann = stock.ann
    for number in range(4):
        ann.register("dirs", {f"{number}-{name}": os.urandom(50) for name in range(30)})
    ann.push()
    before = stock.objects()
    command = [sys.executable, "-m", "mreg", "gc", "--remote", "--keep-newest", "1", "--delete"]
    for seconds in [0.1 * number for number in range(3, 40)] if soak else (0.9,):
        process = subprocess.Popen(command, cwd=ann.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert audit(ann.path).ok
    # No push before: the remote may have the commit of the one that was killed, and this clone not yet.
    ann.registry.gc(remote=True, keep_newest=1, delete=True)
    left = stock.objects()
    assert len(before) - len(left) == 3 * 31
    assert ann.registry.fsck(remote=True, read_data=True).ok
    assert sweep(ann).versions == ()


@pytest.mark.slow
def test_gc_never_deletes_what_is_kept_or_named(tmp_path: Path, git: Git, soak: bool) -> None:
    for seed in range(30 if soak else 1):
        (tmp_path / str(seed)).mkdir()
        play(make_stock(tmp_path / str(seed), git), random.Random(seed))


def play(stock: Stock, dice: random.Random) -> None:
    """Registers, promotes and tracks by chance, collects, and looks whether all is there that should be."""
    git = stock.git
    ann, contents = stock.ann, [A, B, C, D]
    names_of: dict[str, list[str]] = {"churn": [], "fraud": [], "dirs": []}
    for _ in range(6):
        model = dice.choice(sorted(names_of))
        picked = dice.sample(contents, dice.randint(1, 2))
        content = {f"{index}": each for index, each in enumerate(picked)} if model == "dirs" else picked[0]
        names_of[model].append(ann.register(model, content))
    for model, md5s in names_of.items():
        if md5s and dice.random() < 0.5:
            ann.registry.promote(f"{model}@v{dice.randint(1, len(md5s))}", "production", reason="r")
    named = [dice.choice(md5s) for md5s in names_of.values() if md5s and dice.random() < 0.6]
    for number, md5 in enumerate(named):
        git("checkout", "--quiet", "-b", f"branch-{number}", cwd=ann.path)
        ann.track(f"{number}.dvc", md5)
        git("push", "--quiet", "origin", f"branch-{number}", cwd=ann.path)
        git("checkout", "--quiet", "main", cwd=ann.path)
    before = stock.objects()
    shown = sweep(ann, delete=False)
    done = sweep(ann)
    assert (names(shown), shown.objects, shown.size) == (names(done), done.objects, done.size)
    assert len(before) - len(stock.objects()) == done.objects
    assert all(stock.holds(*named))
    bob = stock.clone("bob")
    found = bob.registry.fsck(remote=True, read_data=True)
    assert found.ok
    assert found.versions + found.deleted == sum(map(len, names_of.values()))
    for md5 in named:
        if md5.endswith(".dir"):
            listing = parse_directory(object_path(stock.store, md5).read_bytes(), md5)
            assert all(stock.holds(*listing.values()))


def test_gc_refused_by_a_protected_branch_deletes_nothing(stock: Stock) -> None:
    ann = stock.ann
    a, _ = (ann.register("churn", content) for content in (A, B))
    ann.push()
    stock.hook("pre-receive", "echo protected >&2; exit 1")
    with pytest.raises(OutsideError, match="protected"):
        sweep(ann)
    assert stock.holds(a) == [True]
