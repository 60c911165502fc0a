"""The serving cache stays below its limit, and has what a start alone and a rollback need; also under a race."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import mreg
from mreg.core.names import Version
from mreg.core.storage.trimming import Kept
from mreg.errors import DataError, OlderStateError, StorageError, UsageError
from tests.conftest import Git, Mreg
from tests.serving.conftest import Far
from tests.serving.watches import following

V1, V2, V3 = (Version(number, 0, 0) for number in (1, 2, 3))
SIZE = len(b"churn 1")
PULLS = """
import hashlib, json, os, sys
from pathlib import Path
import mreg
url, output, rounds, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
names = json.loads(sys.argv[5])
for number in range(first, first + rounds):
    selector, expected = names[number % len(names)]
    place = output / selector.partition("@")[0]
    pulled = mreg.pull(selector, repo=url, output=place, force=True)
    files = sorted(path for path in place.rglob("*")) if place.is_dir() else [place]
    found = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in files}
    assert sorted(found.values()) == sorted(expected), (selector, found, expected)
print("whole", flush=True)
"""
TRIMS = """
import sys
import mreg
print("ready", flush=True)
freed = 0
while not sys.argv[1:] or not __import__("os").path.exists(sys.argv[1]):
    freed += mreg.cache(size="0", delete=True).freed
print(freed, flush=True)
"""


@pytest.fixture(autouse=True)
def _no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MREG_CACHE_SIZE", "unlimited")


def pull(far: Far, selector: str, output: str = "model") -> mreg.Pulled:
    return mreg.pull(selector, repo=far.url, output=output)


def here(size: str | None = None) -> dict[str, Kept | None]:
    return {f"{each.model}@{each.version}": each.kept for each in mreg.cache(size=size).versions}


def objects() -> list[Path]:
    cache = Path(os.environ["XDG_CACHE_HOME"]) / "mreg"
    return sorted(path for path in cache.glob("files/md5/*/*"))


def test_pull_keeps_the_cache_below_the_limit(shelf: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MREG_CACHE_SIZE", str(2 * SIZE))
    for number in (1, 2, 1, 3):  # what is put in place once more was used again
        pull(shelf, f"churn@v{number}")
    assert here() == {"churn@v3.0.0": Kept.LAST, "churn@v1.0.0": Kept.FITS}
    monkeypatch.setenv("MREG_CACHE_SIZE", "0")
    assert here() == {"churn@v3.0.0": Kept.LAST, "churn@v1.0.0": None}
    assert pull(shelf, "churn@v2").version == V2  # downloads it anew
    assert here() == {"churn@v2.0.0": Kept.LAST}


def test_pull_keeps_what_was_placed_last_for_each_stage(shelf: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MREG_CACHE_SIZE", "0")
    for selector in ("churn@production", "churn", "churn@v3", "churn@v1"):
        pull(shelf, selector)
    report = mreg.cache()
    assert {str(each.version): each.last_for for each in report.versions} == {
        "v1.0.0": ("v1.0.0",),
        "v2.0.0": ("production",),
        "v3.0.0": ("latest",),
    }
    assert (report.limit, report.limit_from, report.size, report.freed) == (0, "MREG_CACHE_SIZE", 3 * SIZE, 0)


def test_pull_does_not_keep_for_ever_what_nobody_asks_for(shelf: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(shelf, "churn@production")
    pull(shelf, "churn@v1")
    cache = Path(mreg.cache().place)
    for path in cache.glob("uses/last/*"):
        os.utime(path, (1e9, 1e9))
    monkeypatch.setenv("MREG_CACHE_SIZE", "0")
    pull(shelf, "churn")
    assert here() == {"churn@v3.0.0": Kept.LAST}


def test_pull_deletes_nothing_that_another_program_put_there(
    shelf: Far, monkeypatch: pytest.MonkeyPatch, mreg_here: Mreg
) -> None:
    pull(shelf, "churn@v1")
    other = objects()[0].parents[1] / "ab" / ("0" * 30)
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(b"DVC's")
    monkeypatch.setenv("MREG_CACHE_SIZE", "0")
    pull(shelf, "churn@v2")
    assert (here(), other.read_bytes()) == ({"churn@v2.0.0": Kept.LAST}, b"DVC's")
    assert "of no known version  5 B\n" in mreg_here("cache", check=0).out
    assert mreg.cache(delete=True).freed == 5  # who asks for it has seen it


def test_cache_shows_then_deletes(shelf: Far, mreg_here: Mreg) -> None:
    for number in (1, 2, 3):
        pull(shelf, f"churn@v{number}")
    shown = mreg_here("cache", "--size", "7", check=0).out
    assert shown.startswith("would delete 2 objects, 14 B of 21 B\n")
    assert "limit  7 B (--size)\n" in shown
    assert "next   mreg cache --size 7 --delete\n" in shown
    assert f"placed last for v3.0.0  {shelf.bare}\n" in shown
    assert len(objects()) == 3
    done = json.loads(mreg_here("cache", "--size", "7", "--delete", "--format", "json", check=0).out)
    assert (done["dry_run"], done["freed"], done["objects"], done["size"]) == (False, 14, 2, 21)
    assert [(each["version"], each["kept"]) for each in done["versions"]] == [
        ("v3.0.0", "last"),
        ("v2.0.0", None),
        ("v1.0.0", None),
    ]
    assert len(objects()) == 1
    again = mreg_here("cache", "--size", "7", "--delete", check=0).out
    assert again.startswith("7 B: nothing to delete\n")
    log = mreg_here("cache", "--format", "github", check=0).out
    assert log == "::notice title=mreg cache::7 B: nothing to delete\n"


@pytest.mark.parametrize(("time_s", "year"), [(9_999_999_999_999, 9999), (-99_999_999_999, 1970)])
def test_cache_with_times_of_a_wrong_clock_is_shown(
    time_s: int, year: int, shelf: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir():
        pytest.skip("needs a file system that keeps such times")
    with TemporaryDirectory(dir=shm) as folder:
        monkeypatch.setenv("MREG_CACHE_DIR", folder)
        pull(shelf, "churn@v1")
        for use in Path(folder).glob("uses/objects/*"):
            os.utime(use, (time_s, time_s))
        assert [each.used.year for each in mreg.cache().versions] == [year]


def test_cache_of_a_machine_that_never_pulled_is_empty(mreg_here: Mreg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MREG_CACHE_SIZE")
    out = mreg_here("cache", "--delete", check=0).out
    assert out.startswith("0 B: nothing to delete\n")
    assert "(a tenth of the file system, at most 50 GB)" in out


def test_limit_is_that_of_the_environment_and_then_of_git(
    shelf: Far, git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mreg_here: Mreg
) -> None:
    own = shutil.copyfile(os.environ["GIT_CONFIG_GLOBAL"], tmp_path / "gitconfig")  # the other is of all tests
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    git("config", "--global", "mreg.cacheSize", "5 GB")
    assert mreg.cache().limit_from == "MREG_CACHE_SIZE"
    monkeypatch.delenv("MREG_CACHE_SIZE")
    assert (mreg.cache().limit, mreg.cache().limit_from) == (5 * 10**9, "mreg.cacheSize")
    git("config", "--global", "mreg.cacheSize", "much")
    with pytest.raises(UsageError, match=r"mreg\.cacheSize is 'much', which is not a size"):
        mreg.cache()
    assert "--size is '7 eggs'" in mreg_here("cache", "--size", "7 eggs", check=2).err
    # The model is in place: a slip in a setting is told, and does no harm.
    pulled = pull(shelf, "churn@v1")
    assert pulled.notices == (
        "nothing is deleted from the serving cache: mreg.cacheSize is 'much', which is not a size",
    )


def test_cache_of_a_directory_counts_shared_files_once(far: Far, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "tokens").write_bytes(b"shared by both")
    for number in (1, 2):
        (folder / "weights").write_bytes(b"weights %d" % number)
        far.registry.register("folder", folder, push=True)
        pull(far, f"folder@v{number}", "served")
    assert (len(objects()), {each.objects for each in mreg.cache().versions}) == (5, {3})
    assert mreg.cache(size="0", delete=True).objects == 2
    assert len(objects()) == 3
    # What is left of one that was deleted in the middle is completed.
    next(path for path in objects() if path.read_bytes() == b"weights 2").unlink()
    pull(far, "folder@v2", "again")
    assert sorted(path.name for path in Path("again").iterdir()) == ["tokens", "weights"]


@pytest.mark.parametrize("link", ["symlink", "hardlink"])
def test_cache_leaves_what_a_link_leads_to(shelf: Far, link: str) -> None:
    mreg.pull("churn@v1", repo=shelf.url, output="linked", link=link)
    pull(shelf, "churn@v2")
    assert mreg.cache(size="0", delete=True).freed == 0
    assert here()["churn@v1.0.0"] is Kept.LINKED
    assert Path("linked").read_bytes() == b"churn 1"
    Path("linked").unlink()
    assert mreg.cache(size="0", delete=True).freed == SIZE


def test_cache_leaves_what_links_of_an_adopted_directory_lead_to(repo: Path, git: Git, tmp_path: Path) -> None:
    def put(content: bytes, kind: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest() + kind
        (store / md5[:2]).mkdir(parents=True, exist_ok=True)
        (store / md5[:2] / md5[2:]).write_bytes(content)
        return md5

    store = tmp_path / "store" / "files" / "md5"
    Path(".dvc").mkdir()
    Path(".dvc", "config").write_text(f"[core]\nremote = s\n['remote \"s\"']\nurl = {tmp_path / 'store'}\n")
    Path("dvc.yaml").write_text("artifacts: {lm: {path: weights, type: model}}\n")
    for number in (1, 2):
        listed = put(json.dumps([{"md5": put(b"weights %d" % number), "relpath": "layer"}]).encode(), ".dir")
        Path("weights.dvc").write_text(f"outs:\n- {{md5: {listed}, size: 9, nfiles: 1, hash: md5, path: weights}}\n")
        git("add", "--all")
        git("commit", "--quiet", f"--message=Train {number}")
        git("tag", "--annotate", f"lm@v{number}.0.0", "--message=x")
    mreg.Registry.init(repo, adopt=True)
    pulled = mreg.pull("lm@v1", repo=repo, output=tmp_path / "linked", link="symlink")
    assert [note.partition(": ")[0] for note in pulled.notices] == [f"lm@v1.0.0 in {repo} was adopted from GTO"]
    mreg.pull("lm@v2", repo=repo, output=tmp_path / "copied", link="copy")
    assert mreg.cache(size="0", delete=True).freed == 0
    assert (tmp_path / "linked" / "layer").read_text() == "weights 1"


def test_pull_replaces_a_link_that_it_made_and_not_what_it_leads_to(shelf: Far, mreg_here: Mreg) -> None:
    for version in ("v1", "v1", "v2", "v3"):
        pulled = mreg.pull(f"churn@{version}", repo=shelf.url, output="linked", link="symlink")
        assert pulled.path.is_symlink()
    assert Path("linked").read_bytes() == b"churn 3"
    assert [path.read_bytes() for path in objects()] == [b"churn 1", b"churn 2", b"churn 3"]
    Path("folder").symlink_to(objects()[0].parent)
    for output in ("folder", "folder/new", str(objects()[0])):
        error = mreg_here("pull", "churn@v2", "--repo", shelf.url, "--output", output, "--force", check=1).err
        assert "it belongs to mreg's serving cache" in error


def test_cache_never_deletes_what_was_seen(far: Far, git: Git) -> None:
    before = far.tip
    pull(far, "churn@v1")
    now = far.promote("churn@v3")
    pull(far, "churn@production")
    assert mreg.cache(size="0", delete=True).freed == 0
    pull(far, "churn@v2")
    assert mreg.cache(size="0", delete=True).freed == SIZE
    git("update-ref", "refs/heads/main", before, cwd=far.bare)
    with pytest.raises(OlderStateError):
        pull(far, "churn@production")
    git("update-ref", "refs/heads/main", now, cwd=far.bare)
    record = "registry/churn/versions/v1.0.0.yaml"
    text = (far.clone / record).read_text()
    far.write(record, text.replace(hashlib.md5(b"churn 1").hexdigest(), hashlib.md5(b"churn 2").hexdigest()))
    with pytest.raises(DataError, match=r"names other bytes than when churn@v1\.0\.0 was first pulled"):
        pull(far, "churn@v1")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mounts a folder over itself, to be read alone."""
    commands = (["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,ro,bind", str(folder)])
    if shutil.which("mount") is None or any(
        subprocess.run(command, check=False, capture_output=True).returncode for command in commands
    ):
        pytest.skip("needs to mount a folder, as root")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_cache_that_may_only_be_read_is_shown_and_stays(shelf: Far, mreg_here: Mreg) -> None:
    for number in (1, 2):
        pull(shelf, f"churn@v{number}")
    cache = Path(mreg.cache().place)
    note = "note: 1 of these objects could not be deleted: they are another user's, or on a disk that is read-only\n"
    with read_only(cache / "files"):
        assert mreg_here("cache", "--size", "0", "--delete", check=0).err == note
        assert pull(shelf, "churn@v1", "other").version == V1
    with read_only(cache):
        assert here("0").keys() == {"churn@v1.0.0", "churn@v2.0.0"}
        mreg_here("cache", "--size", "0", "--delete", check=0)
    assert len(objects()) == 2


def test_watch_started_alone_finds_what_another_left_in_the_cache(far: Far, tmp_path: Path) -> None:
    first, second = tmp_path / "first" / "model", tmp_path / "second" / "model"
    for place in (first, second):
        with following("churn@production", far.url, place) as watch:
            assert watch.next().version == V2
    far.promote("churn@v3")
    with following("churn@production", far.url, first) as watch:
        assert watch.next().version == V3
    far.promote("churn@v1")
    far.serving().resolve("churn@production")  # this machine knows of it, and has not got the bytes
    assert mreg.cache(size="0", delete=True).freed == SIZE  # v2, which the second had in place
    second.unlink()
    far.bare.rename(tmp_path / "away")
    far.store.rename(tmp_path / "away-too")
    with following("churn@production", far.url, second) as watch:
        pulled = watch.next()
        assert (pulled.version, second.read_bytes()) == (V3, b"churn 3")


def test_watch_keeps_its_version_however_much_others_pull(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MREG_CACHE_SIZE", "0")
    place = tmp_path / "served" / "model"
    with following("churn@production", far.url, place) as watch:
        watch.next()
        for number in (1, 3, 1):
            pull(far, f"churn@v{number}")
    place.unlink()
    far.bare.rename(tmp_path / "away")
    far.store.rename(tmp_path / "away-too")
    with following("churn@production", far.url, place) as watch:
        assert watch.next().version == V2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "mreg-test", os.fspath(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a small file system, as root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_pull_onto_a_full_disk_gives_up_what_need_not_stay(
    far: Far, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MREG_CACHE_DIR", str(small_disk / "cache"))
    for number in (4, 5, 6):
        far.register(bytes([number]) * (1 << 20))
        if number < 6:
            pull(far, f"churn@v{number}")
    left = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(bytes(left - (600 << 10)))
    assert pull(far, "churn@v6").version == Version(6, 0, 0)
    assert here() == {"churn@v6.0.0": Kept.LAST, "churn@v5.0.0": Kept.FITS} or here() == {"churn@v6.0.0": Kept.LAST}
    # Where nothing need not stay, it is the error that it was.
    mreg.cache(size="0", delete=True)
    left = shutil.disk_usage(small_disk).free
    (small_disk / "more-ballast").write_bytes(bytes(left - (600 << 10)))
    with pytest.raises(StorageError, match="no space left on device"):
        pull(far, "churn@v5")


@pytest.mark.slow
def test_pulls_that_race_with_deletions_all_end_well(far: Far, tmp_path: Path, soak: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    names = [(f"churn@v{number}", [hashlib.md5(b"churn %d" % number).hexdigest()]) for number in (1, 2, 3)]
    (folder / "tokens").write_bytes(b"shared by all")
    for number in (1, 2, 3):
        (folder / "weights").write_bytes(b"weights %d" % number)
        far.registry.register("folder", folder, push=True)
        contents = (b"shared by all", b"weights %d" % number)
        names.append((f"folder@v{number}", [hashlib.md5(content).hexdigest() for content in contents]))
    done, rounds = tmp_path / "done", 60 if soak else 6
    environment = {**os.environ, "MREG_CACHE_SIZE": "0"}
    trimming = [sys.executable, "-c", TRIMS, str(done)]
    trims = [subprocess.Popen(trimming, stdout=subprocess.PIPE, text=True) for _ in range(2 if soak else 1)]
    pulls = []
    for first in range(4 if soak else 3):
        (tmp_path / f"out{first}").mkdir()
        args = [far.url, str(tmp_path / f"out{first}"), str(rounds), str(first * 2), json.dumps(names)]
        command = [sys.executable, "-c", PULLS, *args]
        pulls.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
    for process in pulls:
        out, err = process.communicate()
        assert (process.returncode, out, err) == (0, "whole\n", "")
    done.touch()
    freed = 0
    for process in trims:
        out, _ = process.communicate()
        assert process.returncode == 0
        freed += int(out.split()[-1])
    report = mreg.cache(size="0", delete=True)
    assert all(each.kept is Kept.LAST for each in mreg.cache().versions)
    assert report.others == 0
    assert freed > 0
    assert not list(Path(report.place).rglob(".mreg-*"))


@pytest.mark.slow
def test_deletion_that_is_killed_leaves_a_cache_that_works(far: Far, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in (1, 2):
        for name in range(200):
            (folder / f"file{name}").write_bytes(b"%d of %d" % (name, number))
        far.registry.register("folder", folder, push=True)
    pull(far, "folder@v1", "served")
    pull(far, "folder@v2", "served")
    with subprocess.Popen([sys.executable, "-c", TRIMS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        while len(objects()) == 402 and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    assert len(objects()) < 402
    for number in (1, 2):
        pull(far, f"folder@v{number}", f"again{number}")
        found = {path.read_bytes() for path in Path(f"again{number}").iterdir()}
        assert found == {b"%d of %d" % (name, number) for name in range(200)}
