"""Ingest: what goes into DVC's cache, what comes out of it as hashes, and what happens when something goes wrong."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.filelist import find_path_fault, hash_file_list
from mreg.core.history.record import Artifact
from mreg.errors import ConflictError, CorruptArtifactError, DataError, NotFoundError, StorageError, UsageError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import SMALL_SIZE
from mreg.stores.artifacts.ingesting import Ingested, ingest, ingest_cached, ingest_surveyed
from mreg.stores.artifacts.stat_cache import Seen, Stamp, StatCache, StatEntry
from mreg.stores.artifacts.survey import survey_artifact
from mreg.stores.dvc_files.pointer import format_directory, format_pointer, parse_directory
from tests.stores.damage import litter

DVC = Path(sys.executable).with_name("dvc")
LARGE = 3 * SMALL_SIZE + 17

needs_proc = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts reads through /proc")


def make(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def make_tree(root: Path) -> Path:
    make(root / "config.json", b"{}")
    make(root / "weights" / "a.bin", os.urandom(5000))
    make(root / "weights" / "large.bin", os.urandom(LARGE))
    make(root / "weights" / "deeper" / "é 模型.bin", b"x")
    make(root / ".hidden" / "x", b"h")
    make(root / "empty.txt", b"")
    make(root / "a-b", b"1")
    make(root / "a" / "b", b"1")
    return root


def objects(cache: Cache) -> dict[str, bytes]:
    folder = cache.root / "files" / "md5"
    return {"".join(path.parts[-2:]): path.read_bytes() for path in sorted(folder.glob("*/*"))}


def dvc(*args: str, cwd: Path) -> None:
    subprocess.run([DVC, *args], cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def bytes_read() -> int:
    return _traffic("rchar")


def bytes_written() -> int:
    return _traffic("wchar")


def _traffic(direction: str) -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields[direction])


def grow_old(stats: StatCache, path: Path) -> None:
    """Makes the entry of a path as trusted as if its files had been old when they were hashed."""
    stats.save(path, replace(stats.load(path), started_ns=time.time_ns() + 10**10))


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [1, 4096, SMALL_SIZE, SMALL_SIZE + 1, LARGE])
def test_ingest_file_stores_and_names_its_bytes(tmp_path: Path, cache: Cache, size: int) -> None:
    content = os.urandom(size)
    path = make(tmp_path / "model.bin", content)
    before = path.stat()
    done = ingest(path, cache)
    md5, sha256 = hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()
    assert done == Ingested(Artifact("model.bin", size, md5, sha256))
    assert objects(cache) == {md5: content}
    assert stat.S_IMODE(cache.path(md5).stat().st_mode) == 0o444
    after = path.stat()
    assert (after.st_ino, after.st_nlink, after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino, 1, before.st_mode, before.st_mtime_ns, before.st_ctime_ns,
    )  # fmt: skip
    assert not litter(tmp_path)


def test_ingest_directory_lists_its_files(tmp_path: Path, cache: Cache) -> None:
    tree = make_tree(tmp_path / "model")
    done = ingest(tree, cache)
    paths = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    assert [file.path for file in done.files] == paths
    assert done.artifact == Artifact(
        path="model",
        size=sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()),
        md5=f"{hashlib.md5(format_directory(done.files)).hexdigest()}.dir",
        sha256=hash_file_list(done.files),
        files=len(paths),
    )
    assert objects(cache) == {
        done.artifact.md5: format_directory(done.files),
        **{file.md5: (tree / file.path).read_bytes() for file in done.files},
    }


def test_ingest_equals_dvc_add_byte_for_byte(repo: Path) -> None:
    make_tree(repo / "model")
    make(repo / "model.bin", os.urandom(LARGE))
    make(repo / "2026-10 churn_v2.pkl", b"x")
    dvc("init", "--quiet", cwd=repo)
    cache = Cache(repo / "own")
    done = [ingest(repo / name, cache) for name in ("model", "model.bin", "2026-10 churn_v2.pkl")]
    dvc("add", "--quiet", "model", "model.bin", "2026-10 churn_v2.pkl", cwd=repo)
    for each in done:
        assert format_pointer(each.artifact) == (repo / f"{each.artifact.path}.dvc").read_text()
    assert objects(cache) == objects(Cache(repo / ".dvc" / "cache"))


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda name: not find_path_fault(name)))
def test_format_pointer_is_read_back_by_dvc(name: str) -> None:
    name = name.replace("/", "-")
    [out] = parse_yaml(format_pointer(Artifact(name, 1, "0" * 32, "1" * 64)), name)["outs"]
    assert out == {"md5": "0" * 32, "size": 1, "hash": "md5", "path": name}


@pytest.mark.parametrize("md5", ["0" * 32, "1" * 20 + "e" + "1" * 11, "12345678" * 4, "9f1c" * 8, "0b" + "01" * 15])
def test_format_pointer_writes_a_hash_that_looks_like_a_number_as_dvc_does(md5: str) -> None:
    out = {"md5": md5, "size": 1, "hash": "md5", "path": "model.pkl"}
    assert format_pointer(Artifact("model.pkl", 1, md5, "1" * 64)) == dumps_yaml({"outs": [out]})


@given(st.from_regex(r"[A-Za-z0-9._+-]{1,20}( [A-Za-z0-9._+-]{1,10})?", fullmatch=True).filter(lambda n: n[0] != "-"))
def test_format_pointer_is_what_dvc_writes_for_ordinary_names(name: str) -> None:
    out = {"md5": "0" * 32 + ".dir", "size": 1, "nfiles": 2, "hash": "md5", "path": name}
    artifact = Artifact(name, 1, "0" * 32 + ".dir", "1" * 64, files=2)
    assert format_pointer(artifact) == dumps_yaml({"outs": [out]})


def test_ingest_names_the_format(tmp_path: Path, cache: Cache, model_file: Path) -> None:
    assert ingest(model_file, cache).artifact.format == "pickle"
    make(tmp_path / "model" / "model.pkl", model_file.read_bytes())
    make(tmp_path / "model" / "w.safetensors", b"\x02" + bytes(7) + b"{}")
    assert ingest(tmp_path / "model", cache).artifact.format == "pickle+safetensors"


def test_ingest_looks_into_archives_of_arrays(tmp_path: Path, cache: Cache) -> None:
    numbers, objects = np.arange(10_000), np.array([{"threshold": 0.5}], dtype=object)
    for name, arrays, expected in (("a", (numbers,), "numpy"), ("b", (numbers, objects), "numpy+pickle")):
        np.savez(tmp_path / f"{name}.npz", *arrays)
        np.savez_compressed(tmp_path / f"{name}-compressed.npz", *arrays)
        assert ingest(tmp_path / f"{name}.npz", cache).artifact.format == expected
        assert ingest(tmp_path / f"{name}-compressed.npz", cache).artifact.format == expected


@pytest.mark.parametrize("method", [0, 8, 12, 14, 99])
def test_ingest_bears_a_broken_archive(tmp_path: Path, cache: Cache, method: int) -> None:
    path = tmp_path / "broken.npz"
    np.savez_compressed(path, np.arange(100))
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[8:10] = content[central + 10 : central + 12] = method.to_bytes(2, "little")
    content[60:central] = bytes(central - 60)
    path.write_bytes(content)
    assert ingest(path, cache).artifact.format == "numpy"


def test_ingest_follows_links_that_stay_inside_or_lead_to_the_cache(tmp_path: Path, cache: Cache) -> None:
    linked = cache.path(ingest(make(tmp_path / "linked", b"from the cache"), cache).artifact.md5)
    make(tmp_path / "model" / "data" / "one", b"1")
    (tmp_path / "model" / "two").symlink_to("data/one")
    (tmp_path / "model" / "three").symlink_to(linked)
    (tmp_path / "latest").symlink_to("model")
    done = ingest(tmp_path / "latest", cache)
    assert done.artifact.path == "latest"
    assert {file.path: cache.path(file.md5).read_bytes() for file in done.files} == {
        "data/one": b"1",
        "three": b"from the cache",
        "two": b"1",
    }


def _link_out(folder: Path) -> None:
    make(folder.parent / "secret")
    (folder / "link").symlink_to("../secret")


def _link_to_folder(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")


def _socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(folder / "socket"))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_link_out, "leads out of the directory"),
        (_link_to_folder, "does not lead to a file"),
        (lambda folder: (folder / "link").symlink_to("nowhere"), "leads nowhere"),
        (lambda folder: (folder / "loop").symlink_to("loop"), "leads nowhere"),
        (lambda folder: os.mkfifo(folder / "pipe"), "neither a file nor a directory"),
        (_socket, "neither a file nor a directory"),
        (lambda folder: make(folder / ".git" / "config"), ".git"),
        (lambda folder: make(folder / "sub" / ".dvc" / "config"), ".dvc"),
        (lambda folder: make(folder / "a\nb"), "control characters"),
        (lambda folder: make(folder / "a\\b"), "backslash"),
        (lambda folder: make(Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))), "not UTF-8"),
    ],
)
def test_ingest_refuses_what_it_cannot_keep(tmp_path: Path, cache: Cache, spoil: object, why: str) -> None:
    assert callable(spoil)
    make(tmp_path / "m" / "good")
    spoil(tmp_path / "m")
    with pytest.raises(UsageError, match="cannot be part of an artifact") as caught:
        ingest(tmp_path / "m", cache)
    assert why in caught.value.message
    assert caught.value.hint
    assert not objects(cache)


def test_ingest_refuses_nothing_and_empty_things(tmp_path: Path, cache: Cache) -> None:
    make(tmp_path / "empty.pkl", b"")
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    make(tmp_path / "empties" / "a", b"")
    for name in ("empty.pkl", "folder", "empties"):
        with pytest.raises(UsageError, match="is empty"):
            ingest(tmp_path / name, cache)
    for name in ("nothing.pkl", "empty.pkl/model.pkl"):
        with pytest.raises((NotFoundError, StorageError), match="cannot be read"):
            ingest(tmp_path / name, cache)
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        ingest(Path(os.devnull), cache)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_ingest_unreadable_file_says_so(tmp_path: Path, cache: Cache) -> None:
    make(tmp_path / "model.pkl").chmod(0)
    with pytest.raises(StorageError, match="permission denied") as caught:
        ingest(tmp_path / "model.pkl", cache)
    assert caught.value.hint.startswith("check the permissions: ls -ld")


@pytest.mark.parametrize("change", ["append", "replace", "rewrite"])
@pytest.mark.parametrize("size", [100, LARGE])
def test_ingest_file_that_changes_meanwhile_is_an_error(tmp_path: Path, cache: Cache, change: str, size: int) -> None:
    # Two files, so that the first one's progress comes before the second is read to its end.
    make(tmp_path / "m" / "a", b"first")
    path = make(tmp_path / "m" / "b", os.urandom(size))

    def disturb(_done: int, _total: int) -> None:
        if change == "append":
            with path.open("ab") as file:
                file.write(b"more")
        elif change == "replace":
            make(tmp_path / "new", os.urandom(size)).replace(path)
        else:
            path.write_bytes(os.urandom(size))
            os.utime(path, ns=(1, 1))

    with pytest.raises(ConflictError, match="changed while it was read"):
        ingest(tmp_path / "m", cache, progress=disturb)
    assert not litter(tmp_path)


def test_ingest_directory_that_gains_a_file_meanwhile_is_an_error(tmp_path: Path, cache: Cache) -> None:
    make(tmp_path / "m" / "a")
    with pytest.raises(ConflictError, match="changed while it was read"):
        ingest(tmp_path / "m", cache, progress=lambda _done, _total: (tmp_path / "m" / "b").touch())


def test_ingest_reports_progress_up_to_the_end(tmp_path: Path, cache: Cache) -> None:
    seen: list[tuple[int, int]] = []
    tree = make_tree(tmp_path / "m")
    size = ingest(tree, cache, progress=lambda *each: seen.append(each)).artifact.size
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)


@pytest.mark.parametrize("size", [SMALL_SIZE, LARGE])
def test_ingest_on_a_full_disk_leaves_nothing(tmp_path: Path, cache: Cache, size: int) -> None:
    path = make(tmp_path / "model.bin", os.urandom(size))
    with file_size_limit(SMALL_SIZE // 2), pytest.raises(StorageError, match="copied into the DVC cache") as caught:
        ingest(path, cache)
    assert "free some space" in caught.value.hint
    assert not objects(cache)
    assert not litter(tmp_path)


def test_ingest_on_a_full_file_system_leaves_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "model.bin", os.urandom(LARGE))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", os.fspath(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount")
    try:
        with pytest.raises(StorageError, match="no space left on device"):
            ingest(path, Cache(disk / "cache"))
        assert not objects(Cache(disk / "cache"))
        assert not litter(disk)
    finally:
        subprocess.run(["umount", os.fspath(disk)], check=True)


@pytest.mark.parametrize("size", [100, LARGE])
def test_ingest_mends_a_corrupt_object(tmp_path: Path, cache: Cache, size: int) -> None:
    content = os.urandom(size)
    path = make(tmp_path / "model.bin", content)
    place = cache.path(ingest(path, cache).artifact.md5)
    place.chmod(0o644)
    place.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    ingest(path, cache)
    assert place.read_bytes() == content
    assert stat.S_IMODE(place.stat().st_mode) == 0o444


@needs_proc
@pytest.mark.parametrize("is_directory", [False, True])
def test_ingest_of_what_dvc_tracks_copies_nothing(tmp_path: Path, cache: Cache, is_directory: bool) -> None:
    source = make_tree(tmp_path / "m") if is_directory else make(tmp_path / "model.bin", os.urandom(LARGE))
    done = ingest(source, cache)
    before = bytes_written()
    assert ingest(source, cache, tracked=done.artifact.md5) == done
    assert bytes_written() - before < SMALL_SIZE


@pytest.mark.parametrize("at", [0, LARGE // 2, LARGE - 1])
@pytest.mark.parametrize("spoiled", ["source", "object"])
def test_ingest_of_what_dvc_tracks_takes_what_is_there_now(tmp_path: Path, cache: Cache, at: int, spoiled: str) -> None:
    content = os.urandom(LARGE)
    changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    source = make(tmp_path / "model.bin", content)
    tracked = ingest(source, cache).artifact.md5
    if spoiled == "source":
        source.write_bytes(changed)
    else:
        cache.path(tracked).chmod(0o644)
        cache.path(tracked).write_bytes(changed)
    md5 = ingest(source, cache, tracked=tracked).artifact.md5
    assert cache.path(md5).read_bytes() == source.read_bytes()
    assert md5 == hashlib.md5(source.read_bytes()).hexdigest()


def test_ingest_of_what_dvc_tracks_bears_a_lost_list(tmp_path: Path, cache: Cache) -> None:
    source = make_tree(tmp_path / "m")
    done = ingest(source, cache)
    cache.path(done.artifact.md5).unlink()
    assert ingest(source, cache, tracked=done.artifact.md5) == done
    assert cache.size(done.artifact.md5)


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o000])
def test_ingest_object_is_readable_whatever_the_umask(tmp_path: Path, cache: Cache, umask: int) -> None:
    make_tree(tmp_path / "m")
    before = os.umask(umask)
    try:
        done = ingest(tmp_path / "m", cache)
    finally:
        os.umask(before)
    for md5 in (done.artifact.md5, *(file.md5 for file in done.files)):
        assert stat.S_IMODE(cache.path(md5).stat().st_mode) == 0o444


def test_ingest_into_a_shared_cache_lets_the_group_write(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", is_shared=True)
    place = cache.path(ingest(make(tmp_path / "model.bin"), cache).artifact.md5)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o2775


def run_script(script: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


INGEST = """
import sys
from pathlib import Path
from mreg.stores.artifacts.ingesting import ingest
from mreg.stores.artifacts.cache import Cache
print(ingest(Path(sys.argv[1]), Cache(Path(sys.argv[2]))).artifact.sha256)
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from mreg.stores.artifacts.ingesting import ingest
from mreg.stores.artifacts.cache import Cache
def die(done, total):
    if done * 2 > total:
        os.kill(os.getpid(), signal.SIGKILL)
ingest(Path(sys.argv[1]), Cache(Path(sys.argv[2])), progress=die)
"""


def test_ingest_by_four_processes_at_once_agrees(tmp_path: Path, cache: Cache) -> None:
    tree = make_tree(tmp_path / "m")
    runs = [run_script(INGEST, tree, cache.root) for _ in range(4)]
    answers = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0] * 4
    done = ingest(tree, cache)
    assert answers == {f"{done.artifact.sha256}\n"}
    assert len(objects(cache)) == len({file.md5 for file in done.files}) + 1
    assert not litter(tmp_path)


def test_ingest_that_is_killed_leaves_no_object_and_is_cleaned_up_later(tmp_path: Path, cache: Cache) -> None:
    path = make(tmp_path / "model.bin", os.urandom(LARGE))
    run = run_script(KILLED, path, cache.root)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert not objects(cache)
    [left] = litter(tmp_path)
    ingest(make(tmp_path / "other"), cache)
    assert litter(tmp_path) == [left]  # its owner may just be about to lock it
    os.utime(left, (time.time() - 60, time.time() - 60))
    ingest(make(tmp_path / "other"), cache)
    assert not litter(tmp_path)


def test_ingest_leaves_the_scratch_folder_of_a_running_process(cache: Cache, tmp_path: Path) -> None:
    with cache.scratch() as scratch:
        os.utime(scratch, (1, 1))
        ingest(make(tmp_path / "model.bin"), cache)
        assert scratch.is_dir()
    assert not litter(tmp_path)


def test_ingest_cached_equals_ingest(tmp_path: Path, cache: Cache, model_file: Path) -> None:
    tree = make_tree(tmp_path / "m")
    for source in (tree, model_file):
        done = ingest(source, cache)
        assert ingest_cached(source.name, done.artifact.md5, cache) == done


def test_ingest_cached_of_what_dvc_added(repo: Path) -> None:
    dvc("init", "--quiet", cwd=repo)
    tree = make_tree(repo / "m")
    expected = ingest(tree, Cache(repo / "own"))
    dvc("add", "--quiet", "m", cwd=repo)
    assert ingest_cached("m", expected.artifact.md5, Cache(repo / ".dvc" / "cache")) == expected


def test_ingest_cached_takes_a_corrupt_object_out_of_the_cache(tmp_path: Path, cache: Cache) -> None:
    done = ingest(make_tree(tmp_path / "m"), cache)
    place = cache.path(done.files[-1].md5)
    place.chmod(0o644)
    place.write_bytes(b"y")
    with pytest.raises(CorruptArtifactError, match="have changed") as caught:
        ingest_cached("m", done.artifact.md5, cache)
    assert not place.exists()
    assert Path(str(caught.value.details["kept"])).read_bytes() == b"y"
    with pytest.raises(NotFoundError, match="is not in the DVC cache"):
        ingest_cached("m", done.artifact.md5, cache)


def test_ingest_cached_cut_off_list_is_corrupt(tmp_path: Path, cache: Cache) -> None:
    done = ingest(make_tree(tmp_path / "m"), cache)
    place = cache.path(done.artifact.md5)
    place.chmod(0o644)
    os.truncate(place, place.stat().st_size // 2)
    with pytest.raises(CorruptArtifactError):
        ingest_cached("m", done.artifact.md5, cache)


@pytest.mark.parametrize("md5", ["", "x" * 32, "0" * 31, "../../etc/passwd", "0" * 32 + ".dir/..", "0" * 32 + "\n"])
def test_ingest_cached_malformed_name_is_refused(cache: Cache, md5: str) -> None:
    with pytest.raises(DataError, match="is not a name that DVC gives"):
        ingest_cached("m", md5, cache)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[1]",
        b"null",
        b"\xff",
        b'[{"md5": "0", "relpath": "a"}]',
        b'[{"md5": "00000000000000000000000000000000"}]',
        b'[{"md5": 1, "relpath": "a"}]',
        b'[{"md5": "00000000000000000000000000000000", "relpath": "../a"}]',
        b'[{"md5": "00000000000000000000000000000000", "relpath": 1}]',
    ],
)
def test_parse_directory_refuses_what_dvc_does_not_write(text: bytes) -> None:
    if text == b"{}":  # nothing in it: an empty directory, which no record has
        assert parse_directory(text, "x") == {}
        return
    with pytest.raises(DataError, match="is not the list of a directory"):
        parse_directory(text, "x")


@needs_proc
def test_ingest_of_unchanged_files_reads_them_once(tmp_path: Path, cache: Cache, stats: StatCache) -> None:
    for source in (make(tmp_path / "model.bin", os.urandom(LARGE)), make_tree(tmp_path / "m")):
        done = ingest(source, cache, stats=stats)
        grow_old(stats, source)
        before = bytes_read()
        assert ingest(source, cache, stats=stats) == done
        assert bytes_read() - before < SMALL_SIZE


@needs_proc
def test_ingest_cached_of_unchanged_objects_reads_them_once(tmp_path: Path, cache: Cache, stats: StatCache) -> None:
    md5 = ingest(make_tree(tmp_path / "m"), cache).artifact.md5
    done = ingest_cached("m", md5, cache, stats=stats)
    grow_old(stats, cache.path(md5))
    before = bytes_read()
    assert ingest_cached("m", md5, cache, stats=stats) == done
    assert bytes_read() - before < SMALL_SIZE


def test_ingest_of_known_file_whose_object_is_gone_reads_it(tmp_path: Path, cache: Cache, stats: StatCache) -> None:
    source = make(tmp_path / "model.bin", b"12345")
    done = ingest(source, cache, stats=stats)
    grow_old(stats, source)
    cache.path(done.artifact.md5).unlink()
    assert ingest(source, cache, stats=stats) == done
    assert cache.size(done.artifact.md5) == 5


def test_ingest_of_changed_file_is_not_fooled_by_size_and_time(tmp_path: Path, cache: Cache, stats: StatCache) -> None:
    source = make(tmp_path / "model.bin", b"12345")
    os.utime(source, ns=(10**18, 10**18))
    ingest(source, cache, stats=stats)
    grow_old(stats, source)
    source.write_bytes(b"54321")
    os.utime(source, ns=(10**18, 10**18))
    assert ingest(source, cache, stats=stats).artifact.md5 == hashlib.md5(b"54321").hexdigest()


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("change", ["rewritten", "replaced", "added", "removed"])
def test_ingest_surveyed_of_what_changed_since_is_a_conflict(
    tmp_path: Path, cache: Cache, stats: StatCache, change: str, is_known: bool
) -> None:
    file = make(tmp_path / "model" / "a.bin", b"12345")
    os.utime(file, ns=(10**18, 10**18))
    make(tmp_path / "model" / "b.bin", b"12345")
    if is_known:
        ingest(file.parent, cache, stats=stats)
        grow_old(stats, file.parent)
    os.utime(file.parent, ns=(10**18, 10**18))
    survey = survey_artifact(file.parent, cache.root)
    if change == "rewritten":
        file.write_bytes(b"54321")
    elif change == "replaced":
        make(tmp_path / "new", b"54321").replace(file)
    elif change == "added":
        make(tmp_path / "model" / "c.bin")
    else:
        file.with_name("b.bin").rename(tmp_path / "b.bin")
    with pytest.raises((ConflictError, NotFoundError)):
        ingest_surveyed(survey, cache, stats=stats)


def test_stat_entry_does_not_trust_a_file_that_was_just_touched(tmp_path: Path, cache: Cache, stats: StatCache) -> None:
    source = make(tmp_path / "model.bin")
    ingest(source, cache, stats=stats)
    entry = stats.load(source)
    stamp = Stamp.of(source.stat())
    assert entry.equals({"": stamp})
    assert entry.find("", stamp) is None
    older = replace(entry, started_ns=entry.started_ns + 10**10)
    assert older.find("", stamp) == entry.files[""].digests
    assert older.find("", replace(stamp, inode=1)) is None
    assert older.find("other", stamp) is None


@pytest.mark.parametrize("at", [None, 0, 12, 44, 60, -1])
def test_stat_cache_changed_entry_counts_as_absent(
    tmp_path: Path, cache: Cache, stats: StatCache, at: int | None
) -> None:
    source = make(tmp_path / "model.bin")
    ingest(source, cache, stats=stats)
    [entry] = (tmp_path / "stat").iterdir()
    content = bytearray(entry.read_bytes())
    if at is None:
        content = content[: len(content) // 2]
    else:
        content[at] ^= 1
    entry.write_bytes(content)
    assert stats.load(source) == StatEntry()
    ingest(source, cache, stats=stats)
    assert stats.load(source) != StatEntry()


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x90", b"\x93\x01\xc2\x81\xa0\x90", b'{"schema": 1}'])
def test_stat_cache_entry_of_another_shape_counts_as_absent(tmp_path: Path, stats: StatCache, body: bytes) -> None:
    stats.save(tmp_path / "model.bin", StatEntry(1))
    [entry] = (tmp_path / "stat").iterdir()
    head = entry.read_bytes().partition(b"\n")[0]
    entry.write_bytes(head + b"\n" + hashlib.sha256(body).digest() + body)
    assert stats.load(tmp_path / "model.bin") == StatEntry()


def test_stat_cache_that_cannot_be_written_is_no_error(tmp_path: Path, cache: Cache) -> None:
    make(tmp_path / "file")
    stats = StatCache(tmp_path / "file" / "stat")
    ingest(make(tmp_path / "model.bin"), cache, stats=stats)
    assert stats.load(tmp_path / "model.bin") == StatEntry()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "c.d", ".e", "é"]), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=20),
        min_size=1,
        max_size=6,
    ).filter(lambda tree: any(tree.values()) and not any(f"{one}/" in two for one in tree for two in tree))
)
def test_ingest_any_directory_can_be_read_back(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for path, content in tree.items():
        make(folder / "m" / path, content)
    cache = Cache(folder / "cache")
    done = ingest(folder / "m", cache)
    assert {file.path: cache.path(file.md5).read_bytes() for file in done.files} == tree
    assert parse_directory(cache.read(done.artifact.md5), "x") == {file.path: file.md5 for file in done.files}
    assert ingest_cached("m", done.artifact.md5, cache) == done


def test_seen_is_kept_across_save_and_load(tmp_path: Path, cache: Cache, stats: StatCache) -> None:
    tree = make_tree(tmp_path / "m")
    ingest(tree, cache, stats=stats)
    entry = stats.load(tree)
    assert isinstance(entry.files["a/b"], Seen)
    stats.save(tree, entry)
    assert stats.load(tree) == entry
    assert not litter(tmp_path)


@pytest.mark.parametrize("is_directory", [False, True])
def test_survey_of_a_pointer_of_git_lfs_names_it(tmp_path: Path, is_directory: bool) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 12345\n"
    (folder / "model.bin").write_text(text)
    (folder / "short.txt").write_text("a text as long as such a pointer, which is none of them. " * 2)
    with pytest.raises(NotFoundError, match=r"model\.bin' is a pointer of Git LFS, and its bytes") as caught:
        survey_artifact(folder if is_directory else folder / "model.bin", tmp_path / "cache")
    assert caught.value.hint == "git lfs pull"
    (folder / "model.bin").write_text(text.replace("git-lfs", "another"))
    assert survey_artifact(folder, tmp_path / "cache").size
