"""Watching a registry: what is yielded, what stays in place when something fails, and what is said of it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mreg
from mreg.core.names import Version
from mreg.errors import MregError, NotFoundError, RefusedError, UsageError
from mreg.registry.serving.watching import find_repo
from tests.conftest import Git
from tests.hosts import git_host
from tests.serving.conftest import Far, connections
from tests.serving.watches import Follower, following

SELECTOR = "churn@production"
V1, V2, V3 = (Version(number, 0, 0) for number in (1, 2, 3))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "served" / "model.bin"


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".mreg-*")]


def test_watch_yields_what_is_there_and_each_change(far: Far, place: Path) -> None:
    first = far.tip
    with following(SELECTOR, far.url, place) as watch:
        pulled = watch.next()
        assert (pulled.version, pulled.commit, pulled.path, pulled.changed) == (V2, first, place, True)
        assert place.read_bytes() == b"churn 2"
        promoted = far.promote("churn@v3")
        pulled = watch.next()
        assert (pulled.version, pulled.commit, place.read_bytes()) == (V3, promoted, b"churn 3")
        far.registry.rollback("churn", "production", reason="worse", push=True)
        pulled = watch.next()
        assert (pulled.version, pulled.commit, place.read_bytes()) == (V2, far.tip, b"churn 2")
    assert watch.news.empty()
    assert leftovers(place.parent) == []
    # Started again, it yields what is in place, and changes nothing.
    with following(SELECTOR, far.url, place) as watch:
        assert not watch.next().changed


def test_watch_a_commit_that_changes_nothing_moves_no_bytes(far: Far, place: Path) -> None:
    with following(SELECTOR, far.url, place) as watch:
        watch.next()
        stamp = place.stat().st_ino, place.stat().st_mtime_ns
        shutil.rmtree(far.store)  # there is nothing to download from
        far.registry.promote("churn@v3", "staging", reason="elsewhere", push=True)
        far.registry.promote("churn@v1", "staging", reason="elsewhere", push=True)
        far.registry.promote("churn@v1", "production", reason="needs bytes", push=True)
        assert watch.hear().code == "storage"
        assert watch.versions.empty()
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == stamp


class Looks(threading.Event):
    """Ends a watch after some looks, between which nobody waits."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if not self.left:
            self.set()
        return self.is_set()


def test_watch_a_look_without_news_is_one_connection(shelf: Far, place: Path) -> None:
    list(mreg.watch(SELECTOR, repo=shelf.url, output=place, stop=Looks(1)))
    with connections() as made:
        list(mreg.watch(SELECTOR, repo=shelf.url, output=place, stop=Looks(4)))
    assert made.count == 4


def test_watch_puts_back_what_somebody_took_away(far: Far, place: Path) -> None:
    with following(SELECTOR, far.url, place) as watch:
        watch.next()
        place.unlink()
        pulled = watch.next()
        assert (pulled.version, pulled.changed, place.read_bytes()) == (V2, True, b"churn 2")
        other = place.with_name("other")
        other.write_bytes(b"the user's own")
        other.replace(place)
        news = watch.hear()
        assert (news.kind, news.code, news.pulled) == (mreg.NewsKind.FAILING, "refused", None)
        assert place.read_bytes() == b"the user's own"
        place.unlink()
        assert watch.next().version == V2
        assert watch.hear().is_good


def test_watch_follows_a_directory(far: Far, place: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        (folder / "weights.bin").write_bytes(b"weights %d" % number)
        (folder / f"only-{number}").write_bytes(b"x")
        far.registry.register("folder", folder, push=True)
        (folder / f"only-{number}").unlink()
    far.promote("folder@v1")
    with following("folder@production", far.url, place) as watch:
        watch.next()
        assert sorted(path.name for path in place.iterdir()) == ["only-1", "weights.bin"]
        far.promote("folder@v2")
        watch.next()
        assert sorted(path.name for path in place.iterdir()) == ["only-2", "weights.bin"]
        assert (place / "weights.bin").read_bytes() == b"weights 2"
    assert leftovers(place.parent) == []


def test_watch_survives_an_outage_of_the_remote(far: Far, place: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with git_host("python", far.bare, scratch) as host:
        host.unprotect()
        url, port = host.url_of("ada"), host.port
        watch = Follower(SELECTOR, url, place)
        first = watch.next()
    news = watch.hear()
    assert (news.kind, news.pulled and news.pulled.version) == (mreg.NewsKind.FAILING, V2)
    assert f"churn v2.0.0 of registry commit {first.commit[:12]}" in news.message
    assert "s3cret" not in news.message + news.hint
    promoted = far.promote("churn@v3")
    assert place.read_bytes() == b"churn 2"
    with git_host("python", far.bare, scratch, port=port) as host:
        host.unprotect()
        pulled = watch.next()
        assert (pulled.version, pulled.commit) == (V3, promoted)
        assert watch.hear().kind is mreg.NewsKind.RECOVERED
        watch.end()
    assert watch.news.empty()


def test_watch_started_while_the_remote_is_down_serves_what_was_last_known(far: Far, place: Path) -> None:
    mreg.pull(SELECTOR, repo=far.url, output=place.with_name("once"))
    seen = far.tip
    far.bare.rename(far.bare.with_name("away"))
    with following(SELECTOR, far.url, place) as watch:
        pulled = watch.next()
        assert (pulled.version, pulled.commit, place.read_bytes()) == (V2, seen, b"churn 2")
        assert f"churn v2.0.0 of registry commit {seen[:12]}" in watch.hear().message
        far.bare.with_name("away").rename(far.bare)
        assert watch.hear().is_good
        far.promote("churn@v3")
        assert watch.next().version == V3


def test_watch_started_with_nothing_known_waits_for_the_remote(far: Far, place: Path) -> None:
    far.bare.rename(far.bare.with_name("away"))
    with following(SELECTOR, far.url, place) as watch:
        news = watch.hear()
        assert news.message.endswith("; nothing is in place")
        far.bare.with_name("away").rename(far.bare)
        assert watch.next().version == V2


def test_watch_survives_an_outage_of_the_storage(far: Far, place: Path) -> None:
    with following(SELECTOR, far.url, place) as watch:
        watch.next()
        away = far.store.with_name("away")
        promoted = far.promote("churn@v3")
        # It may have been faster: then there is nothing to survive yet.
        assert watch.next().version == V3
        far.store.rename(away)
        far.promote("churn@v1")
        news = watch.hear()
        assert (news.code, news.pulled and news.pulled.commit) == ("storage", promoted)
        assert place.read_bytes() == b"churn 3"
        away.rename(far.store)
        assert watch.next().version == V1
        assert watch.hear().is_good


def test_watch_refuses_an_older_state_and_changed_bytes(far: Far, place: Path, git: Git) -> None:
    with following(SELECTOR, far.url, place) as watch:
        before = watch.next().commit
        far.promote("churn@v3")
        newest = watch.next().commit
        git("update-ref", "refs/heads/main", before, cwd=far.bare)
        assert watch.hear().code == "older-state"
        assert place.read_bytes() == b"churn 3"
        git("update-ref", "refs/heads/main", newest, cwd=far.bare)
        assert watch.hear().is_good
        [changed] = [path for path in far.store.rglob("*") if path.is_file() and path.read_bytes() == b"churn 1"]
        changed.chmod(0o644)
        changed.write_bytes(b"churn !")
        far.promote("churn@v1")
        assert watch.hear().code == "corrupt-artifact"
        assert place.read_bytes() == b"churn 3"
        changed.write_bytes(b"churn 1")
        assert watch.next().version == V1
        assert watch.hear().is_good
        record = far.clone / "registry" / "churn" / "versions" / "v1.0.0.yaml"
        text = record.read_text()
        far.write("registry/churn/versions/v1.0.0.yaml", re.sub(r"(sha256|md5): \S+", rf"\1: {'0' * 32}", text))
        assert watch.hear().code == "bad-data"
        assert place.read_bytes() == b"churn 1"
        assert watch.versions.empty()
    # Started anew, it stays with what it had.
    with following(SELECTOR, far.url, place) as watch:
        assert watch.next().version == V1
        assert watch.hear().code == "bad-data"
    assert place.read_bytes() == b"churn 1"


def test_watch_allow_older_follows_where_it_is_told_to(far: Far, place: Path, git: Git) -> None:
    before = far.tip
    with following(SELECTOR, far.url, place, allow_older=True) as watch:
        watch.next()
        far.promote("churn@v3")
        watch.next()
        git("update-ref", "refs/heads/main", before, cwd=far.bare)
        assert watch.next().version == V2


def test_watch_an_emptied_stage_keeps_the_last_version(far: Far, place: Path) -> None:
    with following(SELECTOR, far.url, place) as watch:
        first = watch.next()
        far.registry.clear("churn", "production", reason="a pause", push=True)
        news = watch.hear()
        assert (news.code, news.message.partition(";")[0]) == ("not-found", "churn has no version in production")
        assert place.read_bytes() == b"churn 2"
    with following(SELECTOR, far.url, place) as watch:
        again = watch.next()
        assert (again.version, again.commit, again.changed) == (V2, first.commit, False)
        assert watch.hear().code == "not-found"
        far.registry.archive("churn@v2", reason="old", push=True)
        far.promote("churn@v3")
        assert watch.next().version == V3
        assert watch.hear().is_good


def test_watch_commits_with_turned_back_clocks_are_followed_in_their_order(far: Far, place: Path) -> None:
    with following(SELECTOR, far.url, place) as watch:
        watch.next()
        for year, selector, version in ((2041, "churn@v3", V3), (1999, "churn@v1", V1), (2025, "churn@v2", V2)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("GIT_COMMITTER_DATE", f"{year}-01-01T00:00:00Z")
                patch.setenv("GIT_AUTHOR_DATE", f"{year}-01-01T00:00:00Z")
                far.promote(selector)
            assert watch.next().version == version
        assert watch.news.empty()


@pytest.fixture
def small_files(far: Far) -> Iterator[None]:
    """Lets this process write small files only, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


def test_watch_a_full_disk_leaves_what_is_there(far: Far, place: Path, request: pytest.FixtureRequest) -> None:
    far.register(os.urandom(1 << 20))
    with following(SELECTOR, far.url, place) as watch:
        watch.next()
        far.promote("churn@v4")
        assert watch.next().size == 1 << 20
        far.promote("churn@v3")
        assert watch.next().version == V3
        far.promote("churn@v4")
        watch.next()
    place.unlink()
    request.getfixturevalue("small_files")
    with following(SELECTOR, far.url, place) as watch:
        assert watch.hear().code == "storage"
    assert not place.exists()
    assert leftovers(place.parent) == []


def test_watch_what_no_patience_mends_ends_it_at_the_start(far: Far, place: Path, tmp_path: Path) -> None:
    for selector, kind in (("chrn@production", NotFoundError), ("churn@v9", NotFoundError), ("churn@prod", MregError)):
        with pytest.raises(kind):
            next(mreg.watch(selector, repo=far.url, output=place))
    place.parent.mkdir()
    place.write_bytes(b"the user's own")
    with pytest.raises(RefusedError):
        next(mreg.watch(SELECTOR, repo=far.url, output=place))
    assert place.read_bytes() == b"the user's own"
    next(mreg.watch(SELECTOR, repo=far.url, output=place, force=True))
    assert place.read_bytes() == b"churn 2"


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"every": "30"},
        {"every": float("nan")},
        {"command_timeout": -1},
        {"command": "mreg-no-such-program"},
        {"command": "'unbalanced"},
        {"command": [""]},
        {"command": ""},
        {"repo": ""},
        {"branch": ""},
        {"link": "teleport"},
    ],
)
def test_watch_refuses_arguments_before_it_asks_anybody(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        mreg.watch(**{"selector": "churn", "repo": str(tmp_path), "output": "x", **options})  # type: ignore[arg-type]


def test_watch_hook_that_fails_is_run_again_until_it_goes_well(far: Far, place: Path, tmp_path: Path) -> None:
    log, good = tmp_path / "log", tmp_path / "good"
    variables = " ".join(
        f"$MREG_{name}" for name in ("MODEL", "VERSION", "PREVIOUS", "STAGE", "COMMIT", "SHA256", "PATH")
    )
    command = ["sh", "-c", f"echo {variables} >> {log}; test -e {good}"]
    with following(SELECTOR, far.url, place, command=command) as watch:
        pulled = watch.next()
        news = watch.hear()
        assert (news.kind, news.code) == (mreg.NewsKind.HOOK_FAILED, "hook")
        assert "'sh' failed with exit status 1" in news.message
        good.touch()
        assert watch.hear().kind is mreg.NewsKind.HOOK_DONE
        count = len(log.read_text().splitlines())
        assert count >= 2
        line = f"churn v2.0.0  production {pulled.commit} {pulled.sha256} {place}".split()
        assert log.read_text().splitlines()[0].split() == line
        promoted = far.promote("churn@v3")
        pulled = watch.next()
        far.promote("churn@v1")
        watch.next()
        far.promote("churn@v2")
        watch.next()
    lines = log.read_text().splitlines()
    assert [line.split()[1:3] for line in lines[count : count + 2]] == [["v3.0.0", "v2.0.0"], ["v1.0.0", "v3.0.0"]]
    assert promoted in lines[count]


def test_watch_hook_that_hangs_is_ended_and_the_watch_goes_on(far: Far, place: Path) -> None:
    with following(SELECTOR, far.url, place, command="sleep 60", command_timeout=0.3) as watch:
        watch.next()
        assert "did not end within 0.3 s" in watch.hear().message
        far.promote("churn@v3")
        assert watch.next().version == V3
    assert place.read_bytes() == b"churn 3"


def test_watch_stop_ends_it_in_the_middle_of_a_hook(far: Far, place: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    watch = Follower(SELECTOR, far.url, place, command=["sh", "-c", f"echo > {fifo}; exec sleep 60"])
    watch.next()
    fifo.read_bytes()  # it runs now
    watch.end()
    assert watch.news.empty()


class Impatient(threading.Event):
    """Is set after it was asked so many times."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience

    def is_set(self) -> bool:
        self.patience -= 1
        return self.patience < 0

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def test_watch_stop_ends_it_in_the_middle_of_a_download(far: Far, place: Path, tmp_path: Path) -> None:
    far.register(b"x" * (4 << 20))
    news: list[mreg.News] = []
    for patience in (2, 3, 4):
        stop = Impatient(patience)
        assert list(mreg.watch("churn", repo=far.url, output=place, stop=stop, on_news=news.append)) == []
        assert leftovers(tmp_path) == leftovers(Path(os.environ["XDG_CACHE_HOME"])) == []
    assert not list(Path(os.environ["XDG_CACHE_HOME"]).glob("mreg/files/md5/*/*"))
    assert not place.exists()
    assert news == []
    assert next(mreg.watch("churn", repo=far.url, output=place)).size == 4 << 20


def test_find_repo_is_the_remote_of_a_clone_or_the_clone_itself(far: Far, git: Git, tmp_path: Path) -> None:
    assert find_repo(far.clone) == str(far.bare)
    git("remote", "set-url", "origin", "https://git.example.com/models.git", cwd=far.clone)
    assert find_repo(far.clone) == "https://git.example.com/models.git"
    git("remote", "set-url", "origin", "../registry.git", cwd=far.clone)
    assert find_repo(far.clone / "registry") == str(far.bare)
    git("remote", "remove", "origin", cwd=far.clone)
    assert find_repo(far.clone / "registry") == str(far.clone)
    assert find_repo(far.bare) == str(far.bare)
