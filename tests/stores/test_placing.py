"""Placing: verified bytes in one step, or everything as it was."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from mreg.core.history.filelist import hash_file_list
from mreg.core.results import LinkMode
from mreg.errors import (
    ConflictError,
    CorruptArtifactError,
    DataError,
    MregError,
    NotFoundError,
    RefusedError,
    StorageError,
)
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import SMALL_SIZE
from mreg.stores.artifacts.ingesting import Ingested, ingest
from mreg.stores.artifacts.placing import Placed, Placing, place
from mreg.stores.artifacts.stat_cache import StatCache
from mreg.stores.disk import exchange
from tests.stores.damage import litter, spoil

LARGE = 3 * SMALL_SIZE + 17
Tree = dict[str, bytes]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "model"


@pytest.fixture
def file(tmp_path: Path, cache: Cache) -> Ingested:
    return take(tmp_path, cache, os.urandom(LARGE))


@pytest.fixture
def tree(tmp_path: Path, cache: Cache) -> Ingested:
    return take(tmp_path, cache, {"a": b"1", "sub/b": os.urandom(LARGE), "sub/c": b"", "sub/deep/d": b"1"})


def take(folder: Path, cache: Cache, content: bytes | Tree) -> Ingested:
    source = folder / f"source-{len(list(folder.iterdir()))}"
    write(source, content)
    return ingest(source, cache)


def write(path: Path, content: bytes | Tree) -> None:
    for name, data in {"": content}.items() if isinstance(content, bytes) else content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def read(path: Path) -> bytes | Tree:
    if not path.is_dir():
        return path.read_bytes()
    return {each.relative_to(path).as_posix(): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def stored(content: Ingested, cache: Cache) -> bytes | Tree:
    if not content.files:
        return cache.path(content.artifact.md5).read_bytes()
    return {file.path: cache.path(file.md5).read_bytes() for file in content.files}


def recorded(content: Ingested) -> Ingested:
    """As it is read back from the registry, which keeps no MD5 of a directory's files."""
    return Ingested(content.artifact, tuple(replace(file, md5="") for file in content.files))


@pytest.mark.parametrize("kind", ["file", "tree"])
@pytest.mark.parametrize("link", list(LinkMode))
def test_place_puts_the_bytes_there_once(
    request: pytest.FixtureRequest, cache: Cache, target: Path, stats: StatCache, kind: str, link: LinkMode
) -> None:
    content: Ingested = request.getfixturevalue(kind)
    how = Placing(link)
    assert place(recorded(content), cache, target, how=how, stats=stats) == Placed(target, changed=True)
    assert read(target) == stored(content, cache)
    assert place(recorded(content), cache, target, how=how, stats=stats) == Placed(target, changed=False)
    assert place(recorded(content), cache, target, how=how) == Placed(target, changed=False)
    assert list(target.parent.iterdir()) == [target]


def test_place_makes_the_link_that_was_asked_for(cache: Cache, target: Path, file: Ingested) -> None:
    path = cache.path(file.artifact.md5)
    place(file, cache, target.with_name("hard"), how=Placing(LinkMode.HARDLINK))
    assert target.with_name("hard").samefile(path)
    place(file, cache, target.with_name("soft"), how=Placing(LinkMode.SYMLINK))
    assert target.with_name("soft").readlink() == path
    for link in (LinkMode.AUTO, LinkMode.COPY):
        place(file, cache, target.with_name(link.value), how=Placing(link))
        assert not target.with_name(link.value).samefile(path)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o644)])
def test_place_copies_are_the_users_own(
    cache: Cache, target: Path, file: Ingested, tree: Ingested, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        place(file, cache, target)
        place(tree, cache, target.with_name("tree"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert stat.S_IMODE((target.with_name("tree") / "sub" / "b").stat().st_mode) == mode
    assert stat.S_IMODE((target.with_name("tree") / "sub").stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("kinds", [("file", "file"), ("tree", "tree"), ("file", "tree"), ("tree", "file")])
@pytest.mark.parametrize("reason", ["placed", "known", "force"])
def test_place_replaces_what_the_registry_can_give_back(
    tmp_path: Path, cache: Cache, target: Path, stats: StatCache, kinds: tuple[str, str], reason: str
) -> None:
    contents: dict[str, bytes | Tree] = {"file": b"old", "tree": {"x": b"old"}}
    old = take(tmp_path, cache, contents[kinds[0]])
    new = take(tmp_path, cache, {"y": b"new"} if kinds[1] == "tree" else b"new")
    place(old, cache, target, stats=stats if reason == "placed" else None)
    how = Placing(force=reason == "force", known={old.artifact.sha256} if reason == "known" else ())
    assert place(new, cache, target, how=how, stats=stats).changed
    assert read(target) == stored(new, cache)
    assert not litter(tmp_path)


def _touched_up(target: Path, cache: Cache, content: Ingested, stats: StatCache) -> None:
    place(content, cache, target, stats=stats)
    path = target if target.is_file() else target / "a"
    path.write_bytes(b"edited by hand")


def _added_to(target: Path, cache: Cache, content: Ingested, stats: StatCache) -> None:
    place(content, cache, target, stats=stats)
    write(target.parent / "more", b"")
    if target.is_dir():
        write(target / "notes.txt", b"mine")
    else:
        target.write_bytes(target.read_bytes() + b"mine")


def _own_file(target: Path, *_: object) -> None:
    write(target, b"mine")


def _own_empty_file(target: Path, *_: object) -> None:
    write(target, b"")


def _own_repository(target: Path, *_: object) -> None:
    write(target, {".git/config": b"", "a": b"mine"})


def _link_to_own_file(target: Path, *_: object) -> None:
    write(target.parent / "own", b"mine")
    target.symlink_to("own")


def _link_to_nowhere(target: Path, *_: object) -> None:
    target.parent.mkdir(parents=True)
    target.symlink_to("nowhere")


def _pipe(target: Path, *_: object) -> None:
    target.parent.mkdir(parents=True)
    os.mkfifo(target)


@pytest.mark.parametrize(
    "occupy",
    [
        _touched_up, _added_to, _own_file, _own_empty_file, _own_repository, _link_to_own_file, _link_to_nowhere, _pipe,
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["file", "tree"])
def test_place_leaves_what_is_the_users(
    request: pytest.FixtureRequest, cache: Cache, target: Path, stats: StatCache, occupy: Callable[..., None], kind: str
) -> None:
    content: Ingested = request.getfixturevalue(kind)
    occupy(target, cache, content, stats)
    before = _picture(target.parent)
    with pytest.raises(RefusedError, match="is not a version of this model") as caught:
        place(content, cache, target, how=Placing(known={content.artifact.sha256, "0" * 64}), stats=stats)
    assert "--force" in caught.value.hint
    assert _picture(target.parent) == before
    own = target.parent / "own"
    place(content, cache, target, how=Placing(force=True), stats=stats)
    assert read(target) == stored(content, cache)
    assert not target.is_symlink()
    assert not own.exists() or own.read_bytes() == b"mine"


def _picture(folder: Path) -> list[tuple[str, int, int]]:
    paths = sorted(folder.rglob("*"))
    return [(os.fspath(path), path.lstat().st_ino, path.lstat().st_mtime_ns) for path in paths]


def test_place_takes_an_empty_folder(cache: Cache, target: Path, tree: Ingested) -> None:
    target.mkdir(parents=True)
    place(tree, cache, target)
    assert read(target) == stored(tree, cache)


def test_place_renews_a_link_whose_object_is_gone(tmp_path: Path, cache: Cache, target: Path, file: Ingested) -> None:
    place(file, cache, target, how=Placing(LinkMode.SYMLINK))
    cache.path(file.artifact.md5).unlink()
    other = take(tmp_path, cache, b"other")
    place(other, cache, target)
    assert read(target) == b"other"


@pytest.mark.parametrize("link", list(LinkMode))
def test_place_corrupt_object_leaves_the_cache_and_the_destination_alone(
    tmp_path: Path, cache: Cache, target: Path, file: Ingested, link: LinkMode
) -> None:
    old = take(tmp_path, cache, b"old")
    place(old, cache, target)
    content = stored(file, cache)
    path = cache.path(file.artifact.md5)
    spoil(path)
    how = Placing(link, known={old.artifact.sha256})
    with pytest.raises(CorruptArtifactError, match="their MD5 is another"):
        place(file, cache, target, how=how)
    assert read(target) == b"old"
    assert not path.exists()
    assert not litter(tmp_path)
    write(path, content)
    assert place(file, cache, target, how=how).changed


def test_place_corrupt_directory_loses_all_corrupt_objects_at_once(
    tmp_path: Path, cache: Cache, target: Path, tree: Ingested
) -> None:
    for each in (tree.files[0], tree.files[1]):
        spoil(cache.path(each.md5))
    with pytest.raises(CorruptArtifactError):
        place(tree, cache, target)
    assert [cache.size(each.md5) is None for each in tree.files] == [True, True, False, True]
    assert not target.exists()
    assert not litter(tmp_path)


def test_place_truncated_and_missing_objects(tmp_path: Path, cache: Cache, target: Path, tree: Ingested) -> None:
    path = cache.path(tree.files[1].md5)
    path.chmod(0o644)
    os.truncate(path, LARGE - 1)
    with pytest.raises(CorruptArtifactError):
        place(tree, cache, target)
    with pytest.raises(NotFoundError, match="is not in the DVC cache"):
        place(tree, cache, target)
    spoil(cache.path(tree.artifact.md5))
    with pytest.raises(CorruptArtifactError):
        place(tree, cache, target)
    assert not target.exists()
    assert not litter(tmp_path)


def test_place_bytes_swapped_under_the_same_md5_are_refused(cache: Cache, target: Path, file: Ingested) -> None:
    # What an MD5 collision looks like: DVC's name fits, the record's SHA-256 does not.
    wanted = replace(file, artifact=replace(file.artifact, sha256="0" * 64))
    with pytest.raises(CorruptArtifactError, match="other bytes than were registered"):
        place(wanted, cache, target)
    assert cache.size(file.artifact.md5) == LARGE
    assert not target.exists()


def test_place_list_that_is_not_the_records_is_refused(
    tmp_path: Path, cache: Cache, target: Path, tree: Ingested
) -> None:
    with pytest.raises(DataError, match="is not the one that its record names"):
        place(replace(tree, files=tree.files[1:]), cache, target)
    fewer = tree.files[1:]
    artifact = replace(tree.artifact, sha256=hash_file_list(fewer), files=len(fewer))
    with pytest.raises(CorruptArtifactError, match="names other files"):
        place(Ingested(artifact, fewer), cache, target)


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_place_interrupted_leaves_everything_as_it_was(
    request: pytest.FixtureRequest, tmp_path: Path, cache: Cache, target: Path, kind: str
) -> None:
    content: Ingested = request.getfixturevalue(kind)
    old = take(tmp_path, cache, {"x": b"old"})
    place(old, cache, target)

    def interrupt(done: int, total: int) -> None:
        if done * 2 > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place(content, cache, target, how=Placing(force=True), progress=interrupt)
    assert read(target) == {"x": b"old"}
    assert not litter(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from mreg.stores.artifacts.ingesting import ingest_cached
from mreg.stores.artifacts.cache import Cache
from mreg.stores.disk import exchange
from mreg.stores.artifacts.placing import Placing, place
def die(done, total):
    if done * 2 > total:
        os.kill(os.getpid(), signal.SIGKILL)
cache = Cache(Path(sys.argv[1]))
place(ingest_cached("m", sys.argv[2], cache), cache, Path(sys.argv[3]), how=Placing(force=True), progress=die)
"""

PLACE = """
import sys
from pathlib import Path
from mreg.stores.artifacts.ingesting import ingest_cached
from mreg.stores.artifacts.cache import Cache
from mreg.stores.disk import exchange
from mreg.stores.artifacts.placing import Placing, place
cache = Cache(Path(sys.argv[1]))
for md5 in sys.argv[3:] * 5:
    place(ingest_cached("m", md5, cache), cache, Path(sys.argv[2]), how=Placing(force=True))
"""


def run(script: str, *args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *map(str, args)])


def test_place_killed_leaves_everything_as_it_was(tmp_path: Path, cache: Cache, target: Path, tree: Ingested) -> None:
    old = take(tmp_path, cache, b"old")
    place(old, cache, target)
    assert run(KILLED, cache.root, tree.artifact.md5, target).wait() == -signal.SIGKILL
    assert read(target) == b"old"
    [left] = litter(target.parent)
    os.utime(left, (time.time() - 60, time.time() - 60))
    place(tree, cache, target, how=Placing(force=True))
    assert read(target) == stored(tree, cache)
    assert not litter(tmp_path)


def test_place_by_four_processes_at_once_leaves_one_of_them_whole(
    tmp_path: Path, cache: Cache, target: Path, tree: Ingested
) -> None:
    other = take(tmp_path, cache, {"x": b"other"})
    place(tree, cache, target)
    md5s = [content.artifact.md5 for content in (tree, other)]
    runs = [run(PLACE, cache.root, target, *order) for order in (md5s, md5s[::-1], md5s, md5s[::-1])]
    while any(each.poll() is None for each in runs):
        assert target.is_dir()  # there is no moment without it
    assert [each.returncode for each in runs] == [0] * 4
    assert read(target) in [stored(content, cache) for content in (tree, other)]
    assert not litter(tmp_path)


def test_place_on_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, cache: Cache, target: Path, file: Ingested
) -> None:
    old = take(tmp_path, cache, b"old")
    place(old, cache, target)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_SIZE, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written: file too large") as caught:
            place(file, cache, target, how=Placing(force=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "free some space" in caught.value.hint
    assert read(target) == b"old"
    assert not litter(tmp_path)


def test_place_below_a_file_is_an_error(tmp_path: Path, cache: Cache, file: Ingested) -> None:
    write(tmp_path / "note", b"mine")
    with pytest.raises(StorageError, match="cannot be written"):
        place(file, cache, tmp_path / "note" / "model")


def test_place_link_across_file_systems_says_what_to_do(cache: Cache, file: Ingested) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == cache.root.stat().st_dev:
        pytest.skip("needs a second file system")
    target = shm / f"mreg-test-{os.getpid()}"
    with pytest.raises(StorageError, match="a hardlink to the DVC cache cannot be made") as caught:
        place(file, cache, target, how=Placing(LinkMode.HARDLINK))
    assert caught.value.hint == "copy instead: --link copy"
    assert not target.exists()


def test_place_something_that_appears_meanwhile_is_not_overwritten(cache: Cache, target: Path, file: Ingested) -> None:
    def appear(done: int, total: int) -> None:
        if done == total:
            write(target, b"mine")

    with pytest.raises(ConflictError, match="appeared"):
        place(file, cache, target, progress=appear)
    assert read(target) == b"mine"


def test_place_hashes_a_known_destination_only_once(
    cache: Cache, target: Path, file: Ingested, stats: StatCache
) -> None:
    place(file, cache, target, stats=stats)
    stats.save(target, replace(stats.load(target), started_ns=time.time_ns() + 10**10))
    io = Path("/proc/self/io")
    if not io.exists():
        pytest.skip("counts reads through /proc")
    before = int(io.read_text().split()[1])
    assert not place(file, cache, target, stats=stats).changed
    assert int(io.read_text().split()[1]) - before < SMALL_SIZE


def test_exchange_without_the_system_call_still_swaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The path of file systems that lack it (NFS, some FUSE), taken here by hiding the C library's function.
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_options: object())
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write(ours, {"new": b""})
    write(theirs, {"old": b""})
    exchange(ours, theirs)
    assert read(theirs) == {"new": b""}
    assert read(ours) == {"old": b""}
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "absent", theirs)
    assert read(theirs) == {"new": b""}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["ours", "theirs"]


def test_place_every_error_is_one_of_ours(cache: Cache, target: Path, file: Ingested) -> None:
    cache.path(file.artifact.md5).unlink()
    cache.path(file.artifact.md5).mkdir()  # not an object at all
    with pytest.raises(MregError):
        place(file, cache, target)
    assert not target.exists()
