"""Who uses bytes of the serving cache: locks that end with their process, and what was placed last."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from mreg.stores.serving.uses import KNOWN_S, Last, Slot, Uses

A, B, FOLDER = "a" * 32, "b" * 32, f"{'c' * 32}.dir"
SLOT = Slot("https://git.example.com/models.git", "", "churn", "production")
V1 = Last(SLOT, "v1.0.0", "1" * 40, A)
V2 = Last(SLOT, "v2.0.0", "2" * 40, B)
HOLD = """
import sys
from pathlib import Path
from mreg.stores.serving.uses import Uses
with Uses(Path(sys.argv[1])).using(sys.argv[2]):
    print("holding", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def uses(tmp_path: Path) -> Uses:
    return Uses(tmp_path / "uses")


def going_on(uses: Uses) -> set[str]:
    with uses.alone() as is_alone:
        assert is_alone
        return {md5 for md5, use in uses.read_uses(is_alone=True).items() if use.is_going_on}


def age(path: Path, seconds: float) -> None:
    time_s = path.stat().st_mtime - seconds
    os.utime(path, (time_s, time_s))


def test_using_shows_while_it_lasts(uses: Uses) -> None:
    with uses.using(A), uses.using(FOLDER), uses.using(A):
        assert going_on(uses) == {A, FOLDER}
    assert going_on(uses) == set()
    assert uses.read_uses(is_alone=True).keys() == {A, FOLDER}


def test_using_of_which_nobody_can_tell_counts_as_going_on(uses: Uses, tmp_path: Path) -> None:
    with uses.using(A):
        pass
    (tmp_path / "uses" / "objects" / B).mkdir()  # cannot be opened, as where too many files are open
    assert going_on(uses) == {B}


def test_using_of_a_process_ends_with_it(uses: Uses, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "uses"), A]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "holding\n"
        assert going_on(uses) == {A}
        holder.kill()
    assert going_on(uses) == set()


def test_using_waits_for_who_is_alone(uses: Uses) -> None:
    begun, ended = threading.Event(), threading.Event()

    def use() -> None:
        begun.set()
        with uses.using(A):
            ended.set()

    thread = threading.Thread(target=use)
    with uses.alone():
        thread.start()
        begun.wait(60)
        uses.forget(set())
        assert not ended.is_set()
    thread.join(60)
    assert ended.is_set()


def test_nobody_waits_for_ever_for_a_process_that_was_stopped(tmp_path: Path) -> None:
    uses = Uses(tmp_path / "uses", patience_s=0)
    with uses.alone(), uses.using(A):
        assert uses.read_uses(is_alone=True)[A].is_going_on
        with uses.alone() as is_alone:
            assert not is_alone


def test_using_does_without_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    uses = Uses(tmp_path / "file")
    with uses.using(A), uses.alone() as is_alone:
        assert not is_alone
    uses.note(V1)
    assert (uses.last(SLOT), uses.swept_ns(), list(uses.read_lasts()), uses.read_links()) == (None, 0, [], set())


def test_without_locks_what_was_used_lately_may_be_in_use(uses: Uses, tmp_path: Path) -> None:
    for md5 in (A, B):
        with uses.using(md5):
            pass
    age(tmp_path / "uses" / "objects" / A, 2 * 86_400)
    found = uses.read_uses(is_alone=False)
    assert {md5: use.is_going_on for md5, use in found.items()} == {A: False, B: True}


def test_last_is_what_was_written_last_whatever_the_clock_says(uses: Uses, tmp_path: Path) -> None:
    uses.note(V2)
    [path] = (tmp_path / "uses" / "last").iterdir()
    age(path, -1e6)  # a clock that was ahead
    uses.note(V1)
    assert uses.last(SLOT) == V1
    assert uses.last(replace(SLOT, stage="staging")) is None
    assert [last for last, age_s in uses.read_lasts() if age_s < KNOWN_S] == [V1]


def test_note_counts_what_was_there_before_as_used_until_now(uses: Uses, tmp_path: Path) -> None:
    for md5 in (A, B):
        with uses.using(md5):
            pass
        age(tmp_path / "uses" / "objects" / md5, 1000)
    uses.note(V1)
    uses.note(V1)
    before = uses.read_uses(is_alone=True)
    uses.note(V2)
    after = uses.read_uses(is_alone=True)
    assert after[A].time_s > before[A].time_s + 500
    assert after[B].time_s >= after[A].time_s


def test_touch_says_that_somebody_asks_still(uses: Uses, tmp_path: Path) -> None:
    uses.touch(SLOT)
    assert not list(uses.read_lasts())
    uses.note(V1)
    [path] = (tmp_path / "uses" / "last").iterdir()
    age(path, KNOWN_S + 60)
    [(_, age_s)] = uses.read_lasts()
    assert age_s > KNOWN_S
    uses.touch(SLOT)
    [(_, age_s)] = uses.read_lasts()
    assert age_s < KNOWN_S


def test_link_counts_while_it_is_where_it_was_made(uses: Uses, tmp_path: Path) -> None:
    link = tmp_path / os.fsdecode(b"model\xff")
    link.symlink_to("object")
    uses.note_link(link, A)
    uses.note_link(tmp_path / "no-link", B)
    assert uses.read_links() == {A}
    link.unlink()
    link.write_bytes(b"a copy")
    assert uses.read_links() == set()


def test_forget_deletes_what_is_noted_of_what_is_gone(uses: Uses, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("object")
    uses.note_link(tmp_path / "link", A)
    (tmp_path / "link").unlink()
    uses.note(V1)
    uses.note(replace(V2, slot=replace(SLOT, stage="staging")))
    for path in (tmp_path / "uses" / "last").iterdir():
        age(path, KNOWN_S + 60)
    (tmp_path / "uses" / "last" / "broken.json").write_text("{")
    with uses.using(A), uses.using(B):
        uses.forget({B})
        assert uses.read_uses(is_alone=True).keys() == {A, B}
    uses.forget({B})
    assert uses.read_uses(is_alone=True).keys() == {B}
    assert [last.md5 for last, _ in uses.read_lasts()] == [B]
    assert not list((tmp_path / "uses" / "links").iterdir())
    assert len(list((tmp_path / "uses" / "last").iterdir())) == 1


def test_swept_in_the_future_counts_as_never(uses: Uses, tmp_path: Path) -> None:
    (tmp_path / "uses").mkdir()
    uses.note_swept(1_767_225_600_000_000_000)
    assert uses.swept_ns() == 1_767_225_600_000_000_000
    age(tmp_path / "uses" / "swept", -1e9)
    assert uses.swept_ns() == 0
