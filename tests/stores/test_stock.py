"""What lies in the serving cache: artifacts and loose objects, what may go, and what is left alone."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from mreg.core.storage.trimming import Kept
from mreg.stores.serving.stock import Stock, delete_oldest, delete_stock, find_held, read_lists, read_stock
from mreg.stores.serving.uses import Last, Slot, Uses

SLOT = Slot("repo", "", "churn", "production")


def put(root: Path, content: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(content).hexdigest()
    path = root / "files" / "md5" / md5[:2] / f"{md5[2:]}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5 + suffix


def put_directory(root: Path, *contents: bytes) -> str:
    entries = [{"md5": put(root, content), "relpath": content.decode()} for content in contents]
    return put(root, json.dumps(entries).encode(), ".dir")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "uses" / "objects").mkdir(parents=True)
    return tmp_path


def look(root: Path) -> Stock:
    stock = read_stock(root)
    read_lists(root, stock)
    return stock


def kept(root: Path, *named: str, is_alone: bool = True) -> dict[str, Kept | None]:
    held = find_held(look(root), Uses(root / "uses"), named, is_alone=is_alone, spares_foreign=False)
    return {each.md5: each.kept for each in held}


def test_find_held_knows_directories_files_and_what_is_loose(root: Path) -> None:
    folder = put_directory(root, b"shared", b"one")
    shared, one, loose = put(root, b"shared"), put(root, b"one"), put(root, b"loose")
    (root / "mreg-corrupt").mkdir()
    (root / "mreg-corrupt" / one).write_bytes(b"two")
    (root / "files" / "md5" / "aa").mkdir(exist_ok=True)
    (root / "files" / "md5" / "aa" / "not-an-object").write_text("a user's")
    found = {
        each.md5: each
        for each in find_held(look(root), Uses(root / "uses"), [shared], is_alone=True, spares_foreign=False)
    }
    assert found.keys() == {folder, shared, loose, f"mreg-corrupt/{one}"}  # of `one` nobody knows but the directory
    assert found[folder].objects.keys() == {folder, shared, one}
    assert found[shared].objects == {shared: 6}
    assert {each.kept for each in found.values()} == {None}


def test_find_held_says_why_something_stays(root: Path, tmp_path: Path) -> None:
    uses = Uses(root / "uses")
    last, used, linked, rest = (put(root, content) for content in (b"last", b"used", b"linked", b"rest"))
    uses.note(Last(SLOT, "v1.0.0", "1" * 40, last))
    (tmp_path / "link").symlink_to("somewhere")
    uses.note_link(tmp_path / "link", linked)
    with uses.using(used):
        assert kept(root) == {last: Kept.LAST, used: Kept.USED, linked: Kept.LINKED, rest: None}
    assert kept(root)[used] is None


def test_find_held_spares_what_nobody_pulled_here(root: Path) -> None:
    pulled, used, folder, loose = put(root, b"a"), put(root, b"b"), put_directory(root, b"c", b"d"), put(root, b"e")
    (root / "mreg-corrupt").mkdir()
    (root / "mreg-corrupt" / pulled).write_bytes(b"bad")
    uses = Uses(root / "uses")
    with uses.using(used):
        pass
    found = find_held(look(root), uses, [pulled], is_alone=True, spares_foreign=True)
    assert {each.md5: each.kept for each in found} == {
        pulled: None,
        used: None,
        f"mreg-corrupt/{pulled}": None,
        folder: Kept.FOREIGN,
        loose: Kept.FOREIGN,
    }
    assert find_held(look(root), uses, [pulled, folder], is_alone=True, spares_foreign=True) != found


def test_find_held_leaves_what_is_hard_linked_elsewhere(root: Path, tmp_path: Path) -> None:
    both, weights = put(root, b"both"), put(root, b"weights")
    folder = put_directory(root, b"weights", b"x")
    for md5 in (both, weights):
        os.link(root / "files" / "md5" / md5[:2] / md5[2:], tmp_path / f"model-{md5}")
    found = {
        each.md5: each for each in find_held(look(root), Uses(root / "uses"), [], is_alone=True, spares_foreign=False)
    }
    assert (found[both].kept, found[both].objects) == (Kept.LINKED, {})
    assert look(root).size == sum(found[folder].objects.values())
    assert weights not in found[folder].objects
    (tmp_path / f"model-{both}").unlink()
    assert kept(root)[both] is None


def test_find_held_keeps_all_while_a_directory_is_on_its_way(root: Path) -> None:
    loose, folder = put(root, b"loose"), f"{'a' * 32}.dir"
    with Uses(root / "uses").using(folder):
        assert kept(root) == {loose: Kept.USED}
        marker = root / "uses" / "objects" / folder
        os.utime(marker, (marker.stat().st_mtime - 2 * 86_400,) * 2)  # whoever it was is stopped
        assert kept(root) == {loose: None}
        os.utime(marker)
        found = find_held(look(root), Uses(root / "uses"), [], is_alone=True, spares_foreign=False, needed_here=folder)
        assert [each.kept for each in found] == [None]
    assert kept(root) == {loose: None}


def test_find_held_does_not_believe_a_list_that_was_changed(root: Path) -> None:
    folder = put_directory(root, b"one")
    (root / "files" / "md5" / folder[:2] / folder[2:]).write_text("[]")
    assert kept(root).keys() == {folder, put(root, b"one")}


def test_find_held_without_locks_keeps_what_is_young(root: Path) -> None:
    young, old = put(root, b"young"), put(root, b"old")
    os.utime(root / "files" / "md5" / old[:2] / old[2:], (1e9, 1e9))
    assert kept(root, is_alone=False) == {young: Kept.USED, old: None}


def test_delete_stock_goes_on_behind_what_cannot_be_deleted(root: Path) -> None:
    gone, stays = put(root, b"gone"), "0" * 32
    (root / "files" / "md5" / "00" / ("0" * 30) / "a-folder").mkdir(parents=True)
    (root / "mreg-corrupt").mkdir()
    (root / "mreg-corrupt" / stays).write_bytes(b"bad")
    assert delete_stock(root, [stays, gone, "f" * 32, f"mreg-corrupt/{stays}"]) == 1
    assert read_stock(root).sizes == {}


def test_delete_oldest_keeps_so_many(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
        os.utime(tmp_path / str(number), (number, number))
    (tmp_path / "folder").mkdir()
    delete_oldest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4", "folder"]
    delete_oldest(tmp_path / "none", 2)
