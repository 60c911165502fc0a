"""Bytes that are missing or changed are found, each file of a directory too, and put right from a good copy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mreg import Registry
from mreg.core.storage.objects import FaultKind
from mreg.core.storage.soundness import Depth, Soundness
from mreg.errors import DataError, NotFoundError, StorageError, UnchangedArtifactError
from tests.conftest import Git
from tests.registry.stock import Clone, Stock, make_stock, object_path

if TYPE_CHECKING:
    from tests.s3 import S3

A, B, C = (letter.encode() * 1000 for letter in "abc")
MISSING, SIZE, CHANGED = FaultKind.MISSING, FaultKind.SIZE, FaultKind.CHANGED


@pytest.fixture
def stock(tmp_path: Path, git: Git) -> Stock:
    return make_stock(tmp_path, git)


def write(folder: Path, md5: str, content: bytes | None) -> None:
    path = object_path(folder, md5)
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def faults(found: Soundness) -> dict[str, list[tuple[FaultKind, str, bool]]]:
    return {
        f"{each.model}@{each.version}": [(fault.kind, fault.path, fault.has_copy) for fault in each.faults]
        for each in found.faults
    }


def md5_of(folder: Path, content: bytes) -> str:
    found = (path for path in folder.glob("files/md5/*/*") if path.read_bytes() == content)
    return "".join(next(found).parts[-2:])


def test_fsck_of_whole_bytes(stock: Stock) -> None:
    ann = stock.ann
    ann.register("churn", A)
    ann.register("dirs", {"x": A, "sub/y": B})
    for remote in (False, True):
        found = ann.registry.fsck(remote=remote)
        assert (found.ok, found.versions, found.objects, found.depth) == (True, 2, 3, Depth.LISTED)
        assert ann.registry.fsck(remote=remote, read_data=True).depth is Depth.READ


def test_fsck_of_the_remote_finds_and_mends(stock: Stock, tmp_path: Path) -> None:
    ann = stock.ann
    a, b = (ann.register("churn", content) for content in (A, B))
    listing = ann.register("dirs", {"x": C, "sub/y": B})
    member = md5_of(stock.store, C)
    write(stock.store, a, None)
    write(stock.store, b, B[:-1])
    write(stock.store, member, b"C" + C[1:])
    found = ann.registry.fsck(remote=True)
    shared = (SIZE, "sub/y", True)
    assert faults(found) == {
        "churn@v1.0.0": [(MISSING, "ann-churn.bin", True)],
        "churn@v2.0.0": [(SIZE, "ann-churn.bin", True)],
        "dirs@v1.0.0": [shared],
    }
    found = ann.registry.fsck(remote=True, read_data=True)
    assert faults(found)["dirs@v1.0.0"] == [shared, (CHANGED, "x", True)]
    mended = ann.registry.fsck(remote=True, read_data=True, repair=True)
    assert (mended.ok, mended.repaired) == (True, 3)
    bob = stock.clone("bob")
    assert bob.registry.fsck(remote=True, read_data=True).ok
    assert (bob.registry.pull("dirs", tmp_path / "dirs").path / "x").read_bytes() == C
    assert stock.holds(listing) == [True]


def test_register_of_bytes_that_the_remote_lost_puts_them_back_and_still_refuses(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    listing = ann.register("dirs", {"x": B, "sub/y": C})
    ann.push()
    member = md5_of(stock.store, C)
    for folder in (stock.store, ann.cache):
        for md5 in (a, listing, member):
            object_path(folder, md5).unlink()
    with pytest.raises(UnchangedArtifactError) as caught:
        ann.register("churn", A, force=False, upload=False)
    assert (caught.value.message[-22:], stock.holds(a)) == ("nothing was registered", [False])
    with pytest.raises(UnchangedArtifactError, match="storage had lost 1 object of it, sent again from here") as caught:
        ann.register("churn", A, force=False)
    assert caught.value.details["repaired"] == 1
    with pytest.raises(UnchangedArtifactError, match="storage had lost 2 objects of it"):
        ann.register("dirs", {"x": B, "sub/y": C}, force=False)
    assert ann.registry.fsck(remote=True, read_data=True).ok
    with pytest.raises(UnchangedArtifactError, match=r"nothing was registered\n"):
        ann.register("churn", A, force=False)


def test_register_of_bytes_that_others_gave_up_sends_nothing_back(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    bob = stock.clone("bob")
    bob.register("churn", B)
    bob.push()
    bob.registry.gc(remote=True, keep_newest=1, delete=True)
    with pytest.raises(UnchangedArtifactError, match=r"nothing was registered\n"):
        ann.register("churn", A, force=False)
    assert stock.holds(a) == [False]


def test_fsck_mends_only_from_a_copy_that_is_good(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    write(stock.store, a, None)
    write(ann.cache, a, B)
    found = ann.registry.fsck(remote=True, repair=True)
    assert faults(found) == {"churn@v1.0.0": [(MISSING, "ann-churn.bin", False)]}
    assert stock.holds(a) == [False]
    assert not found.faults[0].is_mendable


def test_fsck_of_a_list_that_is_lost_or_changed(stock: Stock) -> None:
    ann = stock.ann
    listing = ann.register("dirs", {"x": A})
    write(stock.store, listing, b"[]")
    assert faults(ann.registry.fsck(remote=True)) == {}  # nothing says how long it is
    found = ann.registry.fsck(remote=True, read_data=True)
    assert faults(found) == {"dirs@v1.0.0": [(CHANGED, "ann-dirs", True)]}
    bob = stock.clone("bob")
    found = bob.registry.fsck(remote=True)
    assert faults(found) == {"dirs@v1.0.0": [(MISSING, "ann-dirs", False)]}
    assert ann.registry.fsck(remote=True, read_data=True, repair=True).ok
    assert bob.registry.fsck(remote=True).ok


def test_fsck_of_the_cache_takes_what_is_not_there_for_no_fault_where_a_remote_is(stock: Stock) -> None:
    ann = stock.ann
    ann.register("churn", A)
    ann.register("dirs", {"x": A, "y": B})
    bob = stock.clone("bob")
    found = bob.registry.fsck()
    assert (found.ok, found.absent, found.versions) == (True, 2, 2)
    bob.registry.pull("dirs", bob.path / "dirs")
    assert bob.registry.fsck().absent == 0


def test_fsck_of_the_cache_mends_what_changed_from_the_remote(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    write(ann.cache, a, b"A" + A[1:])
    assert ann.registry.fsck().ok
    found = ann.registry.fsck(read_data=True)
    assert faults(found) == {"churn@v1.0.0": [(CHANGED, "ann-churn.bin", True)]}
    mended = ann.registry.fsck("churn@v1", read_data=True, repair=True)
    assert (mended.ok, mended.repaired) == (True, 1)
    assert object_path(ann.cache, a).read_bytes() == A


def test_fsck_without_a_remote(repo: Path, git: Git) -> None:
    Registry.init(repo)
    ann = Clone(repo, git)
    a = ann.register("churn", A)
    with pytest.raises(NotFoundError, match="no default DVC remote is set"):
        ann.registry.fsck(remote=True)
    object_path(ann.cache, a).unlink()
    assert faults(ann.registry.fsck()) == {"churn@v1.0.0": [(MISSING, "repo-churn.bin", False)]}


def test_fsck_of_some(stock: Stock) -> None:
    ann = stock.ann
    a = ann.register("churn", A)
    ann.register("churn", B)
    ann.register("other", C)
    ann.registry.promote("churn@v2", "production", reason="r")
    write(stock.store, a, None)
    assert not ann.registry.fsck("churn", remote=True).ok
    assert ann.registry.fsck(["churn@production", "other"], remote=True).versions == 2
    for wanted in ("nothing", "churn@v9"):
        with pytest.raises(NotFoundError):
            ann.registry.fsck(wanted, remote=True)


def test_fsck_in_a_shallow_clone_says_what_it_does_not_know(stock: Stock) -> None:
    stock.ann.register("churn", A)
    found = stock.clone("bob", "--depth=1").registry.fsck(remote=True)
    assert found.ok
    assert "this clone is shallow" in found.notices[0]


def test_fsck_of_a_file_list_that_is_not_the_one_of_the_record(stock: Stock) -> None:
    ann = stock.ann
    ann.register("dirs", {"x": A})
    path = ann.path / "registry" / "dirs" / "versions" / "v1.0.0.files"
    (ann.path / "registry" / "dirs" / "versions" / "v1.0.0.files").write_text(path.read_text().replace(" x", " z"))
    ann.git("commit", "--quiet", "--all", "--message=Forge", cwd=ann.path)
    assert ann.registry.fsck(remote=True).ok  # what was registered counts
    bob = stock.clone("bob", "--depth=1")
    with pytest.raises(DataError, match="is not the file list that the record"):
        bob.registry.fsck(remote=True)


def test_fsck_of_a_remote_that_is_not_mounted(stock: Stock) -> None:
    stock.ann.register("churn", A)
    shutil.move(stock.store, stock.root / "away")
    with pytest.raises(StorageError, match="is not there"):
        stock.ann.registry.fsck(remote=True)


@pytest.mark.slow
def test_fsck_and_gc_on_s3(tmp_path: Path, git: Git, s3: S3) -> None:
    stock = make_stock(tmp_path, git, config=s3.options("upkeep"))
    ann = stock.ann
    a, b = (ann.register("churn", content) for content in (A, B))
    large = ann.register("large", bytes(20 << 20))  # in parts: its ETag is no MD5
    members = {f"{number}": f"{number}".encode() for number in range(205)}  # so many are listed
    listing = ann.register("dirs", members)

    def key(md5: str) -> str:
        return f"upkeep/files/md5/{md5[:2]}/{md5[2:]}"

    assert ann.registry.fsck(remote=True).ok
    s3.write(key(a), b"A" + A[1:])
    s3.delete(key(md5_of(ann.cache, b"204")))
    s3.write(key(listing), b"[]")
    expected = {
        "churn@v1.0.0": [(CHANGED, "ann-churn.bin", True)],
        "dirs@v1.0.0": [(MISSING, "204", True), (CHANGED, "ann-dirs", True)],
    }
    assert faults(ann.registry.fsck(remote=True)) == expected
    s3.write(key(large), bytes(20 << 20)[:-1] + b"1")
    assert "large@v1.0.0" in faults(ann.registry.fsck(remote=True))  # written whole, its ETag is an MD5 now
    mended = ann.registry.fsck(remote=True, repair=True)
    assert (mended.ok, mended.repaired) == (True, 4)
    ann.register("churn", C)
    ann.register("dirs", {**members, "0": b"another"})
    ann.push()
    before = s3.keys("upkeep/")
    done = ann.registry.gc(remote=True, keep_newest=1, delete=True)
    assert [f"{each.model}@{each.version}" for each in done.versions] == ["churn@v1.0.0", "churn@v2.0.0", "dirs@v1.0.0"]
    gone = set(before) - set(s3.keys("upkeep/"))
    assert gone == {key(a), key(b), key(listing), key(md5_of(ann.cache, b"0"))}
    assert done.objects == 4
    assert ann.registry.fsck(remote=True, read_data=True).ok


@pytest.mark.slow
def test_gc_with_keys_that_may_only_read_gives_nothing_up(tmp_path: Path, git: Git, s3: S3) -> None:
    stock = make_stock(tmp_path, git, config=s3.options("readonly"))
    ann = stock.ann
    for content in (A, B):
        ann.register("churn", content)
    ann.push()
    before, keys = ann.git("rev-parse", "main", cwd=stock.origin), s3.keys("readonly/")
    local = "['remote \"storage\"']\n    access_key_id = readkey\n    secret_access_key = readsecret\n"
    (ann.path / ".dvc" / "config.local").write_text(local)
    with pytest.raises(StorageError, match="access was refused"):
        ann.registry.gc(remote=True, keep_newest=1, delete=True)
    assert ann.git("rev-parse", "main", cwd=stock.origin) == before
    assert s3.keys("readonly/") == keys
