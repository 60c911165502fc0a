"""Looking at a registry elsewhere: connections, branches, and what is never taken back."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import mreg
from mreg.errors import (
    ConflictError,
    DataError,
    IncompleteHistoryError,
    NotARegistryError,
    NotFoundError,
    OlderStateError,
    OutsideError,
    StorageError,
    UsageError,
)
from mreg.registry.serving.remote_pulling import Serving
from tests.conftest import Git
from tests.serving.conftest import Far, connections


def cache_of() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"]) / "mreg"


def state_file() -> Path:
    [found] = cache_of().glob("repos/*/state.json")
    return found


def packs() -> list[Path]:
    return list(cache_of().glob("repos/*/git-*/objects/pack/*.pack"))


def test_pull_without_a_clone_puts_the_bytes_in_place_and_says_what_they_are(shelf: Far, tmp_path: Path) -> None:
    pulled = mreg.pull("churn@production", repo=shelf.url, output=tmp_path / "out" / "model")
    assert (tmp_path / "out" / "model").read_bytes() == b"churn 2"
    assert (pulled.commit, pulled.branch, pulled.repo) == (shelf.tip, "main", str(shelf.bare))
    assert (str(pulled.version), pulled.stages, pulled.changed, pulled.notices) == ("v2.0.0", ("production",), True, ())
    assert pulled.record
    assert pulled.record.artifact.sha256 == pulled.sha256
    assert not mreg.pull("churn@v2", repo=shelf.bare, output=tmp_path / "out" / "model").changed


@pytest.mark.parametrize(("selector", "cold"), [("churn@production", 3), ("churn@v2", 2), ("churn", 2)])
def test_look_takes_few_connections_and_one_where_nothing_changed(shelf: Far, selector: str, cold: int) -> None:
    with connections() as made:
        shelf.serving().resolve(selector)
    assert made.count == cold
    with connections() as made:
        shelf.serving().resolve(selector)
    assert made.count == 1


@pytest.mark.slow
def test_look_at_what_is_new_takes_few_connections(far: Far) -> None:
    serving = far.serving()
    serving.resolve("churn@production")
    far.promote("churn@v3")
    with connections() as made:
        assert serving.resolve("churn@production").commit == far.tip
    assert made.count == 3  # the commit, the stage's file, the record and its tag
    far.promote("churn@v2")
    far.promote("churn@v3")
    with connections() as made:
        assert serving.resolve("churn@production").commit == far.tip
    assert made.count <= 3  # the commit, the stage's file, and the one between unless the server sent it along


def test_look_lists_no_tags_and_no_other_branches(shelf: Far, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_TRACE_PACKET", str(tmp_path / "packets"))
    shelf.serving().resolve("churn@production")
    lines = (tmp_path / "packets").read_text().splitlines()
    told = {line.split()[-1] for line in lines if "upload-pack> " in line and " refs/" in line and "peeled" not in line}
    tags = {
        line.split("refs/tags/")[1].split()[0] for line in lines if "upload-pack> " in line and "refs/tags/" in line
    }
    assert (told, tags) == ({"refs/heads/main"}, {"churn@v2.0.0"})


def test_look_takes_no_file_that_it_does_not_need(shelf: Far, git: Git) -> None:
    shelf.serving().resolve("churn@production")
    [repo] = cache_of().glob("repos/*/git-1")
    kinds = git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)", cwd=repo).split()
    assert kinds.count("blob") == 4  # registry.yaml, .dvc/config, production.yaml, the record


@pytest.mark.parametrize("setting", ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"])
def test_look_where_the_server_leaves_nothing_out(far: Far, git: Git, setting: str) -> None:
    git("config", setting, "false", cwd=far.bare)
    assert str(far.serving().resolve("churn@production").version) == "v2.0.0"
    far.promote("churn@v3")
    assert str(far.serving().resolve("churn@production").version) == "v3.0.0"


def test_look_at_a_sha256_repository(tmp_path: Path, git: Git) -> None:
    git("init", "--quiet", "--object-format=sha256", "reg")
    registry = mreg.Registry.init("reg", remote=str(tmp_path / "store"))
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "model").write_bytes(b"wide")
    registry.register("churn", "model")
    assert mreg.pull("churn", repo="reg", output="out").changed
    assert Path("out").read_bytes() == b"wide"
    with connections() as made:
        assert not mreg.pull("churn", repo="reg", output="out").changed
    assert made.count == 1


def test_look_at_a_shallow_clone(shelf: Far, git: Git) -> None:
    git("clone", "--quiet", "--depth=1", shelf.url, "shallow")
    assert str(Serving("shallow").resolve("churn@production").version) == "v2.0.0"


def test_look_finds_the_branch_that_the_settings_name(far: Far, git: Git) -> None:
    git("branch", "registry", cwd=far.clone)
    git("checkout", "--quiet", "registry", cwd=far.clone)
    (far.clone / "registry.yaml").write_text("schema: 1\nbranch: registry\n")
    git("commit", "--quiet", "--all", "--message=Live elsewhere", cwd=far.clone)
    git("push", "--quiet", "origin", "registry", "registry:main", cwd=far.clone)
    first = far.serving().resolve("churn@production")
    assert (first.branch, first.commit) == ("registry", far.tip)
    git("commit", "--quiet", "--allow-empty", "--message=More", cwd=far.clone)
    git("push", "--quiet", "origin", "registry", cwd=far.clone)
    with connections() as made:
        assert far.serving().resolve("churn@production").commit == git("rev-parse", "registry", cwd=far.clone)
    assert made.count == 1
    git("push", "--quiet", "origin", ":registry", cwd=far.clone)
    with pytest.raises(DataError, match="names the branch registry as the registry, which is not there"):
        far.serving().resolve("churn@production")


def test_look_finds_the_branch_that_the_remote_shows_first(far: Far, git: Git) -> None:
    git("branch", "--move", "main", "trunk", cwd=far.bare)
    git("branch", "--move", "main", "trunk", cwd=far.clone)
    (far.clone / "registry.yaml").write_text("schema: 1\nbranch: trunk\n")
    git("commit", "--quiet", "--all", "--message=Rename", cwd=far.clone)
    git("push", "--quiet", "origin", "trunk", cwd=far.clone)
    assert far.serving().resolve("churn").branch == "trunk"
    with connections() as made:
        assert far.serving().resolve("churn").branch == "trunk"
    assert made.count == 1


def test_look_at_another_branch_on_request(far: Far, git: Git) -> None:
    git("checkout", "--quiet", "-b", "try", cwd=far.clone)
    far.registry.promote("churn@v3", "production", reason="a try", branch="try2")
    git("push", "--quiet", "origin", "try2", cwd=far.clone)
    assert str(far.serving(branch="try2").resolve("churn@production").version) == "v3.0.0"
    assert str(far.serving().resolve("churn@production").version) == "v2.0.0"
    with pytest.raises(NotFoundError, match="has no branch 'nope'"):
        far.serving(branch="nope").resolve("churn")


@pytest.mark.parametrize(
    ("selector", "message", "hint"),
    [
        ("chrun", "no model 'chrun' is registered in", "did you mean 'churn'?"),
        ("zebra", "no model 'zebra' is registered in", "it has churn"),
        ("churn@v9", "churn has no version v9.0.0", "mreg pull churn@v3.0.0 --repo"),
        ("churn@staging", "churn has no version in staging", "mreg pull churn@v3.0.0 --repo"),
        ("churn@prod", "stage 'prod' is not declared", "the stages are: staging, production"),
    ],
)
def test_look_for_what_is_not_there_names_what_is(shelf: Far, selector: str, message: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        shelf.serving().resolve(selector)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_look_at_what_is_no_registry(tmp_path: Path, git: Git) -> None:
    git("init", "--quiet", "--bare", "empty.git")
    with pytest.raises(NotARegistryError, match="holds no registry"):
        Serving("empty.git").resolve("churn")
    git("init", "--quiet", "other")
    git("commit", "--quiet", "--allow-empty", "--message=x", cwd=tmp_path / "other")
    with pytest.raises(NotARegistryError, match="holds no registry"):
        Serving("other").resolve("churn")
    with pytest.raises(NotARegistryError, match=r"no registry\.yaml on main"):
        Serving("other", branch="main").resolve("churn")
    with pytest.raises(OutsideError, match="nowhere"):
        Serving("nowhere").resolve("churn")


@pytest.mark.parametrize("steps", [1, 4])
def test_branch_that_was_moved_back_is_refused(far: Far, git: Git, steps: int) -> None:
    before = far.serving().resolve("churn@production")
    git("push", "--quiet", "--force", "origin", f"main~{steps}:main", cwd=far.clone)
    for _ in range(2):
        with pytest.raises(OlderStateError, match="does not come after") as caught:
            far.serving().resolve("churn@production")
        assert "--allow-older" in caught.value.hint
        assert caught.value.details["seen"] == before.commit
    recalled = far.serving().recall("churn@production")
    assert recalled
    assert recalled.commit == before.commit
    assert far.serving(allow_older=True).resolve("churn@v1").commit == far.tip
    assert far.serving().resolve("churn@v1").commit == far.tip


def test_branch_that_was_moved_back_is_refused_also_where_the_last_look_found_no_version(far: Far, git: Git) -> None:
    far.serving().resolve("churn@production")
    far.registry.clear("churn", "production", reason="empty", push=True)
    with pytest.raises(NotFoundError, match="has no version in production"):
        far.serving().resolve("churn@production")
    git("push", "--quiet", "--force", "origin", "main~1:main", cwd=far.clone)
    with pytest.raises(OlderStateError):
        far.serving().resolve("churn@production")


@pytest.mark.parametrize("filters", ["true", "false"])
def test_branch_of_another_history_is_refused(far: Far, git: Git, filters: str) -> None:
    git("config", "uploadpack.allowFilter", filters, cwd=far.bare)
    far.serving().resolve("churn@production")
    git("checkout", "--quiet", "--orphan", "other", cwd=far.clone)
    git("commit", "--quiet", "--message=Begin anew", cwd=far.clone)
    git("push", "--quiet", "--force", "origin", "other:main", cwd=far.clone)
    with pytest.raises(OlderStateError):
        far.serving().resolve("churn@production")


def test_branch_that_is_far_ahead_is_followed(far: Far, git: Git, tmp_path: Path) -> None:
    far.serving().resolve("churn@production")
    feed = "".join(
        f"commit refs/heads/main\ncommitter A <a@x> {1_800_000_000 + number} +0000\ndata 1\nx\n"
        + (f"from {far.tip}\n" if not number else "")
        for number in range(100)
    )
    git("fast-import", "--quiet", cwd=far.bare, input=feed)
    with connections() as made:
        assert far.serving().resolve("churn@production").commit == far.tip
    assert made.count == 3  # the tip, 64 commits, 1024


def test_record_that_was_changed_is_refused_where_the_tag_tells(far: Far) -> None:
    path = "registry/churn/versions/v2.0.0.yaml"
    one = (far.clone / "registry/churn/versions/v1.0.0.yaml").read_text()
    far.write(path, one.replace("v1.0.0", "v2.0.0"))
    with pytest.raises(IncompleteHistoryError, match=r"is not what the tag churn@v2\.0\.0 seals") as caught:
        far.serving().resolve("churn@production")
    assert caught.value.hint.startswith("git clone ")


def test_record_that_was_changed_later_is_refused_without_a_tag(far: Far, git: Git, tmp_path: Path) -> None:
    git("push", "--quiet", "origin", ":refs/tags/churn@v2.0.0", cwd=far.clone)
    pulled = mreg.pull("churn@production", repo=far.url, output="out")
    assert any("no tag churn@v2.0.0" in notice for notice in pulled.notices)
    assert not mreg.pull("churn@production", repo=far.url, output="out").notices  # pinned now
    path = "registry/churn/versions/v2.0.0.yaml"
    text = (far.clone / path).read_text()
    far.write(path, f"{text}notes: what a fine model\n")
    assert any("its bytes are the same" in each for each in mreg.pull("churn@v2", repo=far.url, output="out").notices)
    one = (far.clone / "registry/churn/versions/v1.0.0.yaml").read_text()
    far.write(path, one.replace("v1.0.0", "v2.0.0"))
    with pytest.raises(DataError, match=r"names other bytes than when churn@v2\.0\.0 was first pulled"):
        mreg.pull("churn@production", repo=far.url, output="out")
    assert Path("out").read_bytes() == b"churn 2"
    assert mreg.pull("churn@production", repo=far.url, output="out", allow_older=True).changed


@pytest.mark.slow
def test_cache_that_is_broken_is_made_anew(far: Far, git: Git) -> None:
    far.serving().resolve("churn@production")

    def spoil(path: Path) -> None:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:40] + b"spoiled" * 9)

    def each_pack() -> None:
        for path in packs():
            spoil(path)

    def no_packs() -> None:
        for path in packs():
            path.unlink()

    def config() -> None:
        spoil(next(cache_of().glob("repos/*/git-*/config")))

    def lock() -> None:
        (next(cache_of().glob("repos/*/git-*")) / "shallow.lock").touch()

    def repository() -> None:
        shutil.rmtree(next(cache_of().glob("repos/*/git-*")))

    def many_packs() -> None:
        for number in range(200):
            packs()[0].with_name(f"pack-{number}.pack").touch()

    for breaks in (each_pack, no_packs, config, lock, repository, many_packs):
        breaks()
        far.promote("churn@v3" if far.serving().recall("churn@production") else "churn@v2")
        assert far.serving().resolve("churn@production").commit == far.tip, breaks.__name__
        assert len(list(cache_of().glob("repos/*/git-*"))) == 1
    git("push", "--quiet", "--force", "origin", "main~1:main", cwd=far.clone)
    repository()
    with pytest.raises(OlderStateError):  # what was seen is not in the repository
        far.serving().resolve("churn@production")


def test_cache_whose_state_cannot_be_read_begins_anew(shelf: Far) -> None:
    shelf.serving().resolve("churn@production")
    for text in ("", "{}", "[1]", '{"schema": 2}'):
        state_file().write_text(text)
        shelf.serving().resolve("churn@production")
        assert json.loads(state_file().read_text())["tips"] == {"main": shelf.tip}


def test_cache_is_private(shelf: Far, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MREG_CACHE_DIR", str(tmp_path / "cache"))
    old = os.umask(0)
    try:
        mreg.pull("churn", repo=shelf.url, output="out")
    finally:
        os.umask(old)
    for folder in (tmp_path / "cache", *(tmp_path / "cache").iterdir(), *(tmp_path / "cache" / "repos").iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for folder in (tmp_path / "cache", tmp_path / "cache" / "files"):
        for mode in (0o777, 0o770, 0o1777):
            folder.chmod(mode)
            with pytest.raises(StorageError, match="is not yours alone"):
                mreg.pull("churn", repo=shelf.url, output="out")
        folder.chmod(0o755)
        mreg.pull("churn", repo=shelf.url, output="out")
    (tmp_path / "link").symlink_to("cache")
    monkeypatch.setenv("MREG_CACHE_DIR", str(tmp_path / "link"))
    mreg.pull("churn", repo=shelf.url, output="out")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away, as root")
def test_cache_of_somebody_else_is_refused(shelf: Far, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MREG_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(mode=0o700)
    os.chown(tmp_path / "cache", 10_001, 10_001)
    with pytest.raises(StorageError, match="is not yours alone"):
        mreg.pull("churn", repo=shelf.url, output="out")


@pytest.mark.parametrize("path", ["file", "file/cache", "cache"])
def test_cache_that_cannot_be_written_names_the_variable(
    shelf: Far, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    monkeypatch.setenv("MREG_CACHE_DIR", str(tmp_path / path))
    (tmp_path / "file").touch()
    if path == "cache":
        mreg.pull("churn", repo=shelf.url, output="out")
        [lock] = (tmp_path / "cache" / "repos").glob("*/lock")
        lock.unlink()
        lock.mkdir()
    with pytest.raises(StorageError, match=r"the serving cache: .* cannot be written") as caught:
        mreg.pull("churn", repo=shelf.url, output="out")
    assert caught.value.hint.startswith("export MREG_CACHE_DIR=")


def test_recall_asks_nobody(far: Far) -> None:
    assert far.serving().recall("churn@production") is None
    far.serving().resolve("churn@production")
    shutil.rmtree(far.bare)
    with connections() as made:
        recalled = far.serving().recall("churn@production")
        assert far.serving().recall("churn@v1") is None  # its record was never fetched
    assert (recalled and str(recalled.version), made.count) == ("v2.0.0", 0)
    with pytest.raises(OutsideError, match="could not be used"):
        far.serving().resolve("churn@production")


@pytest.mark.slow
def test_first_looks_of_many_processes_end_well_and_share_connections(shelf: Far, tmp_path: Path) -> None:
    code = f"import mreg, sys; print(mreg.pull('churn@production', repo={shelf.url!r}, output=sys.argv[1]).commit)"
    with connections() as made:
        running = [
            subprocess.Popen([sys.executable, "-c", code, f"out{number}"], stdout=subprocess.PIPE, text=True)
            for number in range(6)
        ]
        answers = {(process.communicate()[0].strip(), process.returncode) for process in running}
    assert answers == {(shelf.tip, 0)}
    assert {(tmp_path / f"out{number}").read_bytes() for number in range(6)} == {b"churn 2"}
    assert made.count <= 3 + 5


def test_errors_are_of_the_tree(shelf: Far) -> None:
    assert issubclass(OlderStateError, ConflictError)
    with pytest.raises(UsageError, match="may not be empty"):
        Serving(" ")
    for branch in ("", "-x", "a b", "a:b", "a*", "a\nb", "a..b"):
        with pytest.raises(UsageError, match="is not a branch name"):
            shelf.serving(branch=branch)
