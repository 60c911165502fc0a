"""What storage does to a command, and what the command makes of it: the table of ``docs/storage.md``.

Each fault ends in an error that names it, in bounded time and without a trace; then it is mended, and the same command
succeeds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.proxy import Fault
from tests.faults.sites import LARGE_SIZE, Site, make_model, require

WARNINGS = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
# A connection that breaks under a thread which nobody waits for any more is closed by the garbage collector.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{name}") for name in WARNINGS]
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 81\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate</Message></Error>"
)
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
MIDDLE = LARGE_SIZE // 3


@dataclass(frozen=True)
class Case:
    """A fault of the network or the server, and what is said of it."""

    fault: Fault
    says: str
    code: int = 6
    env: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


HANGING = (("mreg.storageTimeout", "3"),)
WRONG_SECRET = (("AWS_SECRET_ACCESS_KEY", "wrong"),)
WRONG_KEY = (("AWS_ACCESS_KEY_ID", "nobody"),)
READER = (("AWS_ACCESS_KEY_ID", "readkey"), ("AWS_SECRET_ACCESS_KEY", "readsecret"))
STRANGER = (("AWS_ACCESS_KEY_ID", "blindkey"), ("AWS_SECRET_ACCESS_KEY", "blindsecret"))

UP = {
    "refuses": Case(Fault(refuses=True), "it cannot be reached, or stopped answering"),
    "never answers": Case(Fault(swallows=True), "has not answered for 3 s", settings=HANGING),
    "cuts off": Case(Fault(cut_up=MIDDLE), "it cannot be reached, or stopped answering"),
    "has too much to do": Case(Fault(answers=SLOW_DOWN, answers_to="PUT|POST"), "it is overloaded"),
    "fails": Case(Fault(answers=FAILED, answers_to="PUT|POST"), "it failed"),
    "changes a byte": Case(Fault(flip_up=MIDDLE), "the bytes changed in transit|does not hold what it was sent"),
    "wrong secret": Case(Fault(), "access was refused", env=WRONG_SECRET),
    "wrong key": Case(Fault(), "access was refused", env=WRONG_KEY),
    "may only read": Case(Fault(), "access was refused", env=READER),
}
DOWN = {
    "refuses": Case(Fault(refuses=True), "it cannot be reached, or stopped answering"),
    "never answers": Case(Fault(swallows=True), "has not answered for 3 s", settings=HANGING),
    "cuts off": Case(Fault(cut_down=1000), "it cannot be reached, or stopped answering"),
    "has too much to do": Case(Fault(answers=SLOW_DOWN), "it is overloaded"),
    "fails": Case(Fault(answers=FAILED), "it failed"),
    "changes a byte": Case(Fault(flip_down=MIDDLE), "has changed", code=3),
    "wrong secret": Case(Fault(), "access was refused", env=WRONG_SECRET),
    "may do nothing": Case(Fault(), "access was refused", env=STRANGER),
}


def break_(site: Site, case: Case) -> None:
    site.proxy.suffer(case.fault)
    site.env |= dict(case.env)
    site.is_apart = case.fault.swallows
    for name, value in case.settings:
        site.set(name, value)


def mend(site: Site) -> None:
    site.proxy.heal()
    site.env.clear()


@pytest.mark.slow
@pytest.mark.parametrize("fault", UP)
def test_register_while_storage(site: Site, fault: str, *, soak: bool) -> None:
    if fault in RARE and not soak:
        pytest.skip("with --soak")
    register = ["register", "churn", os.fspath(make_model(site.root.parent / "model"))]
    break_(site, UP[fault])
    site.fail(register, code=UP[fault].code, says=UP[fault].says)
    assert not [key for key in site.keys() if key.endswith(".dir")]  # noqa: SIM118 - a method of ours
    mend(site)
    site.succeed(register)
    assert len(site.keys()) == 3


RARE = {"has too much to do", "fails", "wrong key", "may do nothing"}
"""Faults that are like another one to all but the words; run with ``--soak``."""
PASSING = {
    "breaks": Fault(cut_up=MIDDLE, times=1),
    "has too much to do": Fault(answers=SLOW_DOWN, times=3),
    "changes a byte": Fault(flip_up=MIDDLE, times=1),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", PASSING)
def test_register_while_storage_for_a_moment(site: Site, fault: str) -> None:
    site.proxy.suffer(PASSING[fault])
    site.succeed(["register", "churn", os.fspath(make_model(site.root.parent / "model"))])
    assert len(site.keys()) == 3
    assert not site.s3.unfinished(site.prefix)


@pytest.mark.slow
def test_register_into_a_bucket_that_is_not_there(site: Site) -> None:
    register = ["register", "churn", os.fspath(make_model(site.root.parent / "model", 10))]
    bucket = f"b{site.prefix}"
    site.succeed(["init", "--remote", f"s3://{bucket}/models"])
    site.fail(register, code=6, says="the bucket does not exist")
    site.s3.make_bucket(bucket)
    site.succeed(register)


@pytest.fixture
def pulling(served: Site) -> list[str]:
    """A command that would replace what is there already."""
    served.out.mkdir()
    (served.out / "kept").write_text("as it was")
    return ["pull", "churn", "--output", os.fspath(served.out), "--force"]


def check_pulled(site: Site) -> None:
    subprocess.run(["diff", "-r", site.root.parent / "model", site.out], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("fault", DOWN)
def test_pull_while_storage(served: Site, pulling: list[str], fault: str, *, soak: bool) -> None:
    if fault in RARE | {"refuses"} and not soak:  # the same waits as those of register
        pytest.skip("with --soak")
    break_(served, DOWN[fault])
    served.fail(pulling, code=DOWN[fault].code, says=DOWN[fault].says)
    mend(served)
    served.succeed(pulling)
    check_pulled(served)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault(cut_down=MIDDLE, times=1), Fault(flip_down=MIDDLE, times=1)])
def test_pull_while_storage_for_a_moment(served: Site, pulling: list[str], fault: Fault) -> None:
    served.proxy.suffer(fault)
    served.succeed(pulling)
    check_pulled(served)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["weights.bin", ".dir"])
@pytest.mark.parametrize("fault", ["lost", "changed", "shortened"])
def test_pull_of_an_object_that_storage(served: Site, pulling: list[str], which: str, fault: str) -> None:
    key = served.key_of(which)
    content = served.s3.read(key)
    if fault == "lost":
        served.s3.delete(key)
        served.fail(pulling, code=4, says="is not in remote 'storage'")
    else:
        served.s3.write(key, flip(content) if fault == "changed" else content[:-1])
        served.fail(pulling, code=3, says="has changed: its bytes have the MD5")
    served.s3.write(key, content)
    served.succeed(pulling)
    check_pulled(served)


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.slow
def test_pull_of_a_byte_that_changed_in_the_cache(served: Site, pulling: list[str]) -> None:
    served.succeed(["pull", "churn", "--output", os.fspath(served.root.parent / "other")])
    md5 = "".join(served.key_of("weights.bin").split("/")[-2:])
    cached = served.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    cached.chmod(0o644)
    cached.write_bytes(flip(cached.read_bytes()))
    served.proxy.suffer(Fault(refuses=True))
    served.fail(pulling, code=6, says="it cannot be reached")
    served.proxy.heal()
    served.succeed(pulling)
    check_pulled(served)


@pytest.mark.slow
def test_one_changed_byte_that_dvc_lets_through(served: Site, pulling: list[str]) -> None:
    key = served.key_of("weights.bin")
    content = served.s3.read(key)
    served.s3.write(key, flip(content))
    try:
        served.fail(pulling, code=3, says="has changed")
        config = served.root / ".dvc" / "config"
        config.write_text(config.read_text().replace("verify = true", ""))  # as DVC's users have it
        done = served.run("dvc", "pull")
        assert done.code == 0, done.out + done.err
        pulled = served.root / "registry" / "churn" / "artifact" / "model" / "weights.bin"
        assert pulled.read_bytes() == flip(content)
        assert "up to date" in served.run("dvc", "status").out
    finally:
        served.s3.write(key, content)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 4 MiB; full until something is deleted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=13m", "mreg-test", os.fspath(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a small file system, as root")
    (folder / "ballast").write_bytes(bytes(9 << 20))
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["register", "pull"])
def test_full_disk_of_the_cache(served: Site, pulling: list[str], full_disk: Path, command: str) -> None:
    local = served.root / ".dvc" / "config.local"
    local.write_text(f"[cache]\n    dir = {full_disk}\n")
    if command == "register":
        (served.root.parent / "model" / "more").write_bytes(b"more")
    args = pulling if command == "pull" else ["register", "churn", os.fspath(served.root.parent / "model")]
    said = served.fail(args, code=6, says="no space left on device")
    assert "df -h" in said
    (full_disk / "ballast").unlink()
    served.succeed(args)


@pytest.mark.slow
def test_full_disk_of_the_destination(served: Site, full_disk: Path) -> None:
    pull = ["pull", "churn", "--output", os.fspath(full_disk / "model"), "--link", "copy"]
    served.fail(pull, code=6, says="no space left on device")
    assert [path.name for path in full_disk.iterdir()] == ["ballast"]
    (full_disk / "ballast").unlink()
    served.succeed(pull)


def test_full_disk_of_a_remote_that_is_a_folder(site: Site, full_disk: Path) -> None:
    site.succeed(["init", "--remote", os.fspath(full_disk / "remote")])
    register = ["register", "churn", os.fspath(make_model(site.root.parent / "model"))]
    said = site.fail(register, code=6, says="no space left on device")
    assert "df -h" in said
    assert not [path for path in (full_disk / "remote").rglob("*") if path.is_file() and path.stat().st_size > 100]
    (full_disk / "ballast").unlink()
    site.succeed(register)


@pytest.mark.slow
def test_clock_that_is_years_off(served: Site, pulling: list[str]) -> None:
    require("faketime")
    register = ["register", "churn", os.fspath(make_model(served.root.parent / "next", 10))]
    for args in (pulling, register):
        served.wrapper = ("faketime", "-f", "-3y")
        said = served.fail(args, code=6, says="the clock of this machine is wrong")
        assert "date -u" in said
        served.wrapper = ()
        served.succeed(args)


@pytest.mark.slow
def test_transfers_go_on_where_they_broke(site: Site) -> None:
    model = make_model(site.root.parent / "model", 10)
    for number in range(30):
        (model / f"{number}").write_bytes(os.urandom(2000))
    site.is_apart = True  # so that nothing of the command that failed goes on
    site.proxy.suffer(Fault(stops_after=45))
    site.fail(["register", "churn", os.fspath(model)], code=6, says="it cannot be reached")
    there = len(site.keys())
    assert 0 < there < 33
    site.proxy.heal()
    site.proxy.forget()
    site.succeed(["register", "churn", os.fspath(model)])
    assert site.proxy.count()["PUT"] == 33 - there
    site.forget()
    site.proxy.suffer(Fault(stops_after=15))
    pull = ["pull", "churn", "--output", os.fspath(site.out)]
    site.fail(pull, code=6, says="it cannot be reached")
    here = len(list((site.root / ".dvc" / "cache" / "files").rglob("*/*/??*")))
    assert 0 < here < 33
    site.proxy.heal()
    site.proxy.forget()
    site.succeed(pull)
    assert site.proxy.count()["GET"] == 33 - here


@pytest.mark.slow
def test_slow_line_is_not_a_dead_one(site: Site, *, soak: bool) -> None:
    if not soak:
        pytest.skip("takes half a minute: the buffers of the system are as large as what a shorter test could send")
    site.set("mreg.storageTimeout", "8")
    site.proxy.suffer(Fault(pause_s=0.03))
    site.succeed(["register", "churn", os.fspath(make_model(site.root.parent / "model", 24 << 20))])
    site.forget()
    site.succeed(["pull", "churn", "--output", os.fspath(site.out)])


def test_wrong_credentials_are_not_tried_again(served: Site, pulling: list[str]) -> None:
    served.env |= dict(WRONG_SECRET)
    served.fail(pulling, code=6, says="access was refused")
    assert len(served.proxy.requests) <= 2


def test_doctor_asks_the_remote(site: Site) -> None:
    assert f"remote 'storage' (s3://models/{site.prefix}) answers" in site.succeed(["doctor"]).out
    site.env |= dict(WRONG_SECRET)
    said = site.mreg("doctor")
    assert said.code == 1
    assert "access was refused" in said.out
    site.env.clear()
    site.set("mreg.storageTimeout", "1")
    site.is_apart = True
    site.proxy.suffer(Fault(swallows=True))
    assert "has not answered for 1 s" in site.mreg("doctor").out


@pytest.mark.slow
def test_several_large_files_at_once(site: Site, *, soak: bool) -> None:
    size = (100 if soak else 30) << 20
    model = make_model(site.root.parent / "model", size)
    for number in range(2):
        (model / f"more{number}").write_bytes(os.urandom(size))
    site.is_apart = True
    site.set("mreg.storageTimeout", "20")
    site.succeed(["register", "churn", os.fspath(model)])
    site.forget()
    site.succeed(["pull", "churn", "--output", os.fspath(site.out)])
    check_pulled(site)
