"""A machine that does not play along: no Git, no repository, no rights, no space; each is an error of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.checks import check_refused, snapshot
from tests.conftest import Git, Mreg, Result

MREG = (sys.executable, "-m", "mreg")
READERS = ("list", "show churn@production", "history", "compare churn@v1 churn@v2", "best churn --by auc")
PROMOTE = ("promote", "churn@v3", "staging", "-m", "x")


@pytest.fixture
def powerless() -> Callable[..., Result]:
    """Runs mreg without root's power to pass by permissions."""
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root reads and writes everything, and there is no setpriv to give that up")
        powers = "-dac_override,-dac_read_search"
        prefix = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")

    def run(*words: str) -> Result:
        done = subprocess.run([*prefix, *MREG, *words], capture_output=True, text=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs of a size."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"a tmpfs cannot be mounted: {done.stderr.decode().strip()}")
        return place

    yield mount
    os.chdir(tmp_path)
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize("words", ["list", "show churn", "history", "register a ../m", "pull churn", "sync", "init"])
def test_no_git_repository_is_an_error_of_its_own(words: str, mreg_here: Mreg, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    check_refused(mreg_here(*words.split()), 4, f"{tmp_path} is not in a Git repository", hint="git init && mreg init")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("kind", ["repo", "empty_repo"])
@pytest.mark.parametrize("words", ["list", "show churn", "history", "promote churn staging -m x", "pull churn", "sync"])
def test_repository_without_a_registry_hints_at_init(
    kind: str, words: str, request: pytest.FixtureRequest, mreg_here: Mreg
) -> None:
    place = request.getfixturevalue(kind)
    before = snapshot(place)
    check_refused(
        mreg_here(*words.split()), 4, f"{place} holds no registry: no registry.yaml on main", hint="mreg init"
    )
    assert snapshot(place) == before
    mreg_here("doctor", check=1)


def test_repository_without_a_registry_names_the_branch_that_is_checked_out(
    empty_repo: Path, mreg_here: Mreg, git: Git
) -> None:
    git("symbolic-ref", "HEAD", "refs/heads/trunk", cwd=empty_repo)
    check_refused(mreg_here("list", cwd=empty_repo), 4, "no registry.yaml on main or trunk", hint="mreg init")


def test_locale_without_the_characters_of_a_path_is_an_error_of_its_own(
    churn: Path, mreg: Mreg, git: Git, tmp_path: Path
) -> None:
    place = tmp_path / "né"
    git("clone", "--quiet", str(churn), str(place))
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in ("list", "promote churn@v1 staging -m x"):
        result = mreg(*words.split(), cwd=place, env=ascii_only)
        check_refused(result, 6, "the encoding of the locale, ascii, has no '\\xe9'", hint="export LC_ALL=C.UTF-8")


def test_missing_git_is_an_error_of_its_own(churn: Path, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = mreg_here("list")
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith("error: git ")
    assert "\nhint: " in result.err


def test_repository_of_someone_else_is_an_error_of_its_own(churn: Path, mreg_here: Mreg, git_config: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (churn, churn / ".git"):
        os.chown(path, 65534, 65534)
    check_refused(mreg_here("list"), 6, "dubious ownership", hint="git config --global --add safe.directory")


def test_no_identity_names_both_settings(churn: Path, mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name)
    before = snapshot(churn)
    check_refused(mreg_here(*PROMOTE), 6, "user.name and user.email", hint="git config --global user.name")
    assert snapshot(churn) == before
    for words in READERS:
        mreg_here(*words.split(), check=0)


def test_unreadable_artifact_is_an_error_of_its_own(churn: Path, model: Path, powerless: Callable[..., Result]) -> None:
    model.chmod(0)
    before = snapshot(churn)
    check_refused(powerless("register", "churn", "../model.bin"), 6, "model.bin' cannot be read: permission denied", hint="ls -ld")  # fmt: skip
    model.chmod(0o644)
    (folder := model.with_name("folder")).mkdir()
    (folder / "part").write_bytes(b"w")
    (folder / "part").chmod(0)
    check_refused(powerless("register", "churn", "../folder"), 6, "folder/part' cannot be read: permission denied")
    assert snapshot(churn) == before


def test_repository_without_write_permission_can_be_read(
    churn: Path, model: Path, powerless: Callable[..., Result], tmp_path: Path, git: Git
) -> None:
    git("tag", "--delete", "churn#production#2", cwd=churn)  # so that sync has something to do
    folders = [churn, *(path for path in churn.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    before = snapshot(churn)
    try:
        for words in READERS:
            assert powerless(*words.split()).code == 0
        pulled = powerless("pull", "churn@production", "-o", str(tmp_path / "served"))
        assert (pulled.code, pulled.out) == (0, f"{tmp_path}/served\n"), pulled.err
        for words in ("register churn ../model.bin", " ".join(PROMOTE), "sync"):
            check_refused(powerless(*words.split()), 6, "ermission")
        assert snapshot(churn) == before
    finally:
        for path in folders:
            path.chmod(0o755)


def test_read_only_disk_can_be_read(
    churn: Path, model: Path, mreg_here: Mreg, small_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    disk = small_disk("size=20m")
    shutil.copytree(churn, disk / "repo")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for words in READERS:
        mreg_here(*words.split(), cwd=disk / "repo", check=0)
    mreg_here("pull", "churn@production", "-o", str(tmp_path / "served"), cwd=disk / "repo", check=0)
    mreg_here("doctor", cwd=disk / "repo")
    for words in (f"register churn {model}", " ".join(PROMOTE), "sync", "init --remote elsewhere"):
        check_refused(mreg_here(*words.split(), cwd=disk / "repo"), 6, "ead-only file system")


def test_full_cache_records_nothing_and_leaves_nothing(
    churn: Path, model: Path, mreg_here: Mreg, small_disk: Callable[[str], Path], git: Git
) -> None:
    disk = small_disk("size=1m")
    shutil.rmtree(churn / ".dvc" / "cache")
    (churn / ".dvc" / "cache").symlink_to(disk)
    model.write_bytes(os.urandom(3 << 20))
    refs, before = git("for-each-ref"), snapshot(churn)
    check_refused(mreg_here("register", "churn", "../model.bin"), 6, "no space left on device", hint="df -h")
    assert (git("for-each-ref"), snapshot(churn)) == (refs, before)
    assert not [path for path in disk.rglob("*") if path.is_file()]


def test_full_remote_records_nothing(
    churn: Path, model: Path, mreg_here: Mreg, small_disk: Callable[[str], Path], git: Git
) -> None:
    disk = small_disk("size=1m")
    shutil.rmtree(churn / "store")
    (churn / "store").symlink_to(disk)
    model.write_bytes(os.urandom(3 << 20))
    refs = git("for-each-ref")
    result = mreg_here("register", "churn", "../model.bin")
    check_refused(result, 6)
    assert git("for-each-ref") == refs
    assert not list(disk.rglob("files/md5/??/*"))


@pytest.mark.parametrize("command", ["register churn {model}", " ".join(PROMOTE)])
def test_full_disk_lands_a_change_whole_or_not_at_all(
    command: str, churn: Path, model: Path, mreg_here: Mreg, small_disk: Callable[[str], Path], git: Git
) -> None:
    disk = small_disk("size=8m")
    repo = disk / "repo"
    shutil.copytree(churn, repo)
    words = command.format(model=model).split()
    outcomes = []
    for free in (0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        refs, status = git("for-each-ref", cwd=repo), git("status", "--porcelain", cwd=repo)
        filler = disk / "filler"
        room = os.statvfs(disk)
        filler.write_bytes(bytes(room.f_bavail * room.f_frsize - free * 1024))
        result = mreg_here(*words, cwd=repo)
        filler.unlink()
        outcomes.append(result.code)
        if result.code == 0:
            break
        check_refused(result, 6)
        assert (git("for-each-ref", cwd=repo), git("status", "--porcelain", cwd=repo)) == (refs, status)
        assert git("fsck", "--strict", "--no-dangling", cwd=repo) == ""
    assert (outcomes[0], outcomes[-1]) == (6, 0), shlex.join(words)
    assert git("status", "--porcelain", cwd=repo) == ""
    assert git("fsck", "--strict", "--no-dangling", cwd=repo) == ""
    mreg_here("doctor", cwd=repo, check=0)


def test_settings_that_were_written_first_are_taken_once_committed(repo: Path, mreg_here: Mreg, git: Git) -> None:
    (repo / "registry.yaml").write_text("schema: 1\n")
    (repo / "deep").mkdir()
    for words in (("list",), ("register", "churn", "registry.yaml")):
        error = mreg_here(*words, cwd=repo / "deep")
        check_refused(error, 4, "no registry.yaml on main", hint="git add -- :/registry.yaml && git commit")
    error = mreg_here("init", cwd=repo / "deep")
    check_refused(
        error, 6, "is in the way", hint="git add -- :/registry.yaml && git commit -- :/registry.yaml   # takes"
    )
    git("add", "--", ":/registry.yaml", cwd=repo / "deep")
    git("commit", "--quiet", "--message=Settings", "--", ":/registry.yaml", cwd=repo / "deep")
    assert mreg_here("list", check=0).out.startswith("no model is registered")
