"""``mreg pull --watch``: its lines, its exit codes, and what is left when a signal ends it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg
from tests.hosts import check_ended, make_nap
from tests.serving.watches import watching

SELECTOR = "churn@production"


def leftovers(*folders: Path) -> list[str]:
    return [str(path) for folder in folders for path in folder.rglob(".mreg-*")]


def cache() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"])


def promote(mreg: Mreg, version: int) -> None:
    mreg("promote", f"churn@v{version}", "production", "--reason", "so that it is followed", check=0)


@pytest.mark.slow
def test_watch_writes_a_line_a_version_and_ends_by_signal(
    churn: Path, tmp_path: Path, mreg_here: Mreg, git: Git
) -> None:
    place = tmp_path / "out" / "model.bin"
    with watching(SELECTOR, "-o", str(place)) as watch:
        first = watch.next()
        assert (first["schema"], first["version"], first["path"], first["repo"]) == (
            1,
            "v2.0.0",
            str(place),
            str(churn),
        )
        assert first["commit"] == git("rev-parse", "main")
        promote(mreg_here, 3)
        second = watch.next()
        assert (second["version"], second["commit"]) == ("v3.0.0", git("rev-parse", "main"))
        assert hashlib.sha256(place.read_bytes()).hexdigest() == second["sha256"]
        mreg_here("clear", "churn", "production", "--reason", "a pause", check=0)
        news = watch.hear()
        assert (news["schema"], news["event"], news["code"]) == (1, "failing", "not-found")
        assert (news["version"], news["commit"], news["path"]) == ("v3.0.0", second["commit"], str(place))
        assert news["committed_at"].endswith("Z")
        promote(mreg_here, 1)
        assert watch.hear()["event"] == "recovered"
        assert watch.next()["version"] == "v1.0.0"
        assert watch.end(signal.SIGTERM) == 143
        assert watch.errors == []
    assert leftovers(tmp_path, cache()) == []


@pytest.mark.slow
def test_watch_as_text_says_what_it_does_and_passes_on_what_the_command_writes(
    churn: Path, tmp_path: Path, git: Git
) -> None:
    place = tmp_path / "model.bin"
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    told = f"sh -c 'echo told of $MREG_VERSION in $MREG_STAGE; echo > {fifo}; exit 7'"
    command = [sys.executable, "-m", "mreg", "pull", SELECTOR, "-o", "../model.bin", "--watch", "--exec", told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout
        line = process.stdout.readline()
        fifo.read_bytes()
        fifo.unlink()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    when = git("log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "main")
    what = f"churn v2.0.0 of registry commit {git('rev-parse', 'main')[:12]} ({when}) at '{place}'"
    assert (process.returncode, line, out) == (130, f"{what}\n", "")
    lines = err.splitlines()
    assert lines[:2] == ["note: following churn@production, about every 30 s", "told of v2.0.0 in production"]
    assert lines[-1] == f"note: ended by SIGINT; {what} stays"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_watch_a_signal_in_the_middle_of_a_command_or_of_git_leaves_nothing(
    churn: Path, tmp_path: Path, git: Git, number: signal.Signals
) -> None:
    place, fifo = tmp_path / "model.bin", tmp_path / "started"
    os.mkfifo(fifo)
    nap = make_nap()
    hook = f"sh -c 'echo > {fifo}; exec {nap}'"
    with watching(SELECTOR, "-o", str(place), "--exec", hook) as watch:
        watch.next()
        fifo.read_bytes()
        assert watch.end(number) == 128 + number
    check_ended(nap)
    # A server that takes what Git asks, and never answers.
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    real = next(path for path in os.environ["PATH"].split(os.pathsep) if Path(path, "git").exists())
    fake.write_text(f'#!/bin/sh\ncase "$*" in *fetch*) echo > {fifo}; exec {nap};; esac\nexec {real}/git "$@"\n')
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    with watching(SELECTOR, "-o", str(place), env={"PATH": path}) as watch:
        fifo.read_bytes()
        assert watch.end(number) == 128 + number
    check_ended(nap)
    assert leftovers(tmp_path, cache()) == []
    assert place.exists()


@pytest.mark.slow
def test_watch_that_was_killed_leaves_a_whole_file_and_goes_on(churn: Path, tmp_path: Path, mreg_here: Mreg) -> None:
    place = tmp_path / "model.bin"
    known = {hashlib.sha256(b"churn %d" % number).hexdigest() for number in (1, 2, 3)}
    for version in (3, 1):
        with watching(SELECTOR, "-o", str(place)) as watch:
            watch.next()
            promote(mreg_here, version)
            assert watch.end(signal.SIGKILL) == -signal.SIGKILL
        assert hashlib.sha256(place.read_bytes()).hexdigest() in known
    with watching(SELECTOR, "-o", str(place)) as watch:
        assert watch.next()["version"] == "v1.0.0"
        assert place.read_bytes() == b"churn 1"


@pytest.mark.slow
def test_watch_whose_reader_went_away_ends(churn: Path, tmp_path: Path, mreg_here: Mreg) -> None:
    command = [sys.executable, "-m", "mreg", "pull", SELECTOR, "-o", str(tmp_path / "m"), "--watch", "--every", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        promote(mreg_here, 3)
        assert process.wait(60) == 141


def test_watch_start_that_makes_no_sense_ends_with_its_code(churn: Path, mreg_here: Mreg) -> None:
    (churn / "mine").write_bytes(b"the user's own")
    for words, code, says in (
        (["--watch"], 2, "--watch needs --output"),
        (["--watch", "-o", "m", "--format", "markdown"], 2, "--watch writes one line per version, not markdown"),
        (["--every", "3"], 2, "--every, --exec and --exec-timeout need --watch"),
        (["--watch", "-o", "m", "--every", "0"], 2, "0.1"),
        (["--watch", "-o", "m", "--exec", "mreg-no-such-program"], 2, "there is no program 'mreg-no-such-program'"),
        (["--watch", "-o", "m", "--branch", ""], 2, "is not a branch name"),
        (["--watch", "-o", "m", "--repo", ""], 2, "may not be empty"),
        (["--watch", "-o", "mine"], 1, "'mine' exists already"),
        (["--watch", "-o", "m", "--branch", "nope"], 4, "nope"),
    ):
        result = mreg_here("pull", SELECTOR, *words, check=code)
        assert says in result.err.replace(f"{churn}/", ""), words
        assert result.out == ""
    result = mreg_here("pull", "chrn@production", "--watch", "-o", "m", check=4)
    assert "no model 'chrn' is registered" in result.err
    assert not (churn / "m").exists()
