"""The program in its shell: help, near misses, completion, pipes, streams and signals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mreg.cli.app import COMMANDS
from mreg.cli.help import SECTIONS
from tests.cli.checks import check_refused, snapshot
from tests.conftest import Git, Mreg

MREG = (sys.executable, "-m", "mreg")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command(flag: str, mreg_here: Mreg) -> None:
    for words in ((flag,), (flag, "list"), ("-C", "nowhere", flag)):
        result = mreg_here(*words, check=0)
        sections = result.out.partition("Show this message and exit.\n")[2]
        assert tuple(re.findall(r"(?m)^  (\w+) ", sections)) == COMMANDS
        assert tuple(re.findall(r"(?m)^(\w.*):$", sections)) == tuple(SECTIONS)
        assert "..." not in sections  # a summary that was cut off
        assert result.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples_that_parse(command: str, mreg_here: Mreg) -> None:
    from typer.main import get_command

    from mreg.cli.app import build

    result = mreg_here(command, "-h", check=0)
    assert result == mreg_here(command, "--help", check=0)
    examples = [line.strip() for line in result.out.splitlines() if line.strip().startswith(f"mreg {command}")]
    assert examples
    for example in examples:
        words = shlex.split(example)[1:]
        with get_command(build(words)).make_context("mreg", list(words)) as context:
            name, found, rest = context.command.resolve_command(context, words)  # type: ignore[attr-defined]
            found.make_context(name, rest, parent=context)


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("pull", ["Arguments", "Options", "Without a clone", "Following a stage", "Common options"]),
        ("check", ["Options", "Common options"]),
        ("schema", ["Options"]),
    ],
)
def test_help_of_a_command_groups_its_options(command: str, headings: list[str], mreg_here: Mreg) -> None:
    result = mreg_here(command, "--help", check=0)
    assert re.findall(r"(?m)^(\w.*):$", result.out) == headings
    assert result.out.splitlines()[-1].split()[:2] == ["-h,", "--help"]


def test_mreg_alone_shows_the_help_and_ends_with_usage(mreg: Mreg, tmp_path: Path) -> None:
    result = mreg(cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: mreg [OPTIONS] COMMAND [ARGS]...\n")


@pytest.mark.parametrize("words", [("--version",), ("-V",), ("-V", "list")])
def test_version_is_printed(words: tuple[str, ...], mreg_here: Mreg) -> None:
    assert re.fullmatch(r"mreg \d+\.\d+\.\d+\S*\n", mreg_here(*words, check=0).out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lst",), "no such command 'lst'. Did you mean 'list'?"),
        (("nonsense",), "no such command 'nonsense'"),
        (("list", "--formt", "json"), "no such option: --formt (Possible options: --format)"),
        (("show",), "missing argument 'SELECTOR'"),
        (("register", "churn"), "missing argument 'PATH'"),
        (("register", "churn", ""), "invalid value for 'PATH': the path is empty"),
        (("pull", "churn", "-o", ""), "invalid value for '--output' / '-o': the path is empty"),
        (("register", "churn", "m", "--trained-at", "soon"), "'soon' is not a time such as 2026-11-20T09:12:00Z"),
        (("register", "churn", "m", "--bump", "huge"), "'huge' is not one of 'major', 'minor', 'patch'"),
        (("history", ""), "'' is not a model name"),
        (("list", ""), "'' is not a model name"),
        (("show", ""), "'' is not a model name"),
        (("rollback", "churn", "production", "-m", "x", "--to", ""), "'' is not a version"),
        (("register", "churn", "registry.yaml", "--version", ""), "'' is not a version"),
        (("register", "churn", "registry.yaml", "--stage", ""), "'' is not a stage name"),
        (("promote", "churn", "staging", "-m", "x", "--branch", ""), "'' is not a branch name"),
        (("init", "--remote", ""), "'' is not a URL or path of a DVC remote"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_usage_that_makes_no_sense_is_refused(
    words: tuple[str, ...], message: str, churn: Path, mreg_here: Mreg
) -> None:
    before = snapshot(churn)
    check_refused(mreg_here(*words), 2, message)
    assert snapshot(churn) == before


def complete(mreg: Mreg, line: str, cwd: Path, shell: str = "bash") -> list[str]:
    """Returns what is offered behind a line; bash splits it at ``@``, zsh and fish do not."""
    words = [word for word in re.split(r"(@)| ", line) if word] + ([""] if line.endswith(" ") else [])
    env = {"_MREG_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    if shell == "bash":
        env |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        env["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    result = mreg(cwd=cwd, env=env, check=0)
    assert result.err == ""
    found = re.findall(r'"([^":]+)"', result.out) if shell == "zsh" else result.out.split()
    return [word.replace("\\", "") for word in found]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mreg pro", ["promote"]),
        ("mreg list ch", ["churn"]),
        ("mreg show churn@p", ["production"]),
        ("mreg show churn@v", ["v3.0.0", "v2.0.0", "v1.0.0"]),
        ("mreg show churn@", ["production", "v3.0.0", "v2.0.0", "v1.0.0"]),
        ("mreg compare churn@v1 churn@v3", ["v3.0.0"]),
        ("mreg promote churn@v1 st", ["staging"]),
        ("mreg history churn a", ["archived"]),
        ("mreg register churn m --stage p", ["production"]),
        ("mreg best churn --by ", ["auc", "latency_ms"]),
        ("mreg best churn --by auc,l", ["auc,latency_ms"]),
        ("mreg rollback churn production --to v", ["v3.0.0", "v2.0.0", "v1.0.0"]),
        ("mreg rollback nope production --to v", []),
        ("mreg rollback x", []),
        ("mreg show nope@", []),
    ],
)
def test_completion_in_bash_offers_what_the_registry_holds(
    line: str, offered: list[str], churn: Path, mreg_here: Mreg
) -> None:
    assert complete(mreg_here, line, churn) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_in_other_shells_offers_whole_selectors(shell: str, churn: Path, mreg_here: Mreg) -> None:
    assert complete(mreg_here, "mreg show churn@v3", churn, shell) == ["churn@v3.0.0"]
    assert complete(mreg_here, "mreg show c", churn, shell) == ["churn"]


def test_completion_looks_where_c_points(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    assert complete(mreg_here, f"mreg -C {churn} show churn@p", tmp_path) == ["production"]


@pytest.mark.parametrize("line", ["mreg show c", "mreg show churn@v", "mreg promote churn s", "mreg -C nowhere show c"])
def test_completion_outside_of_a_registry_is_silent(line: str, mreg_here: Mreg, tmp_path: Path) -> None:
    assert complete(mreg_here, line, tmp_path) == []


def test_completion_of_a_broken_registry_is_silent(churn: Path, mreg_here: Mreg, git: Git) -> None:
    (churn / "registry.yaml").write_text("schema: 9\n")
    git("commit", "--quiet", "--all", "--message=Break it")
    assert complete(mreg_here, "mreg show churn@v", churn) == []


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_completion_works_in_a_real_bash(churn: Path, tmp_path: Path) -> None:
    """Bash itself splits the line and puts the answer in: only that shows the two agree."""
    program = tmp_path / "bin" / "mreg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(MREG)} "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(program.parent), os.environ["PATH"]))
    env = {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "$ ", "HISTFILE": ""}
    detection = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = subprocess.run(
        [*MREG, "--show-completion", "bash"], env=env | detection, stdout=subprocess.PIPE, check=True
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(churn)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], env)  # a process of our own making
    try:
        _type(terminal, script.stdout.decode())
        _read_until(terminal, "\\$ $")
        for line, ending in (
            ("mreg show churn@p", "production "),
            ("mreg show chu", "churn "),
            ("mreg pro", "promote "),
        ):
            _type(terminal, f"{line}\t")
            # Bash moves back to where it began to complete: at the ``@``.
            assert _read_until(terminal, f"{ending}$").endswith(ending)
            _type(terminal, "\x15")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def _type(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def _read_until(terminal: int, pattern: str) -> str:
    seen, deadline = "", time.monotonic() + 30
    while not re.search(pattern, seen) and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
    return seen


def test_closed_pipe_ends_with_141_and_no_traceback(churn: Path) -> None:
    for words in (["history"], ["show", "churn", "--format", "json"], ["list", "--help"], ["nonsense"]):
        reader, writer = os.pipe()
        os.close(reader)
        run = subprocess.run([*MREG, *words], cwd=churn, stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert (run.returncode, run.stderr[:5]) == ((2, b"error") if words == ["nonsense"] else (141, b""))


def test_closed_pipe_of_errors_ends_with_141(churn: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run([*MREG, "show", "nope"], cwd=churn, stdout=subprocess.PIPE, stderr=writer, check=False)
    os.close(writer)
    assert (run.returncode, run.stdout) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_stdout_is_an_error_of_its_own(churn: Path) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run([*MREG, "list"], cwd=churn, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 6
    assert run.stderr.startswith("error: standard output cannot be written: no space left on device\nhint: df -h")


def test_closed_streams_do_not_matter(churn: Path) -> None:
    for redirection, code in (("<&- >&- 2>&-", 0), ("2>&-", 0)):
        command = f"{shlex.join(MREG)} list {redirection}"
        assert (
            subprocess.run(["bash", "-c", command], cwd=churn, stdout=subprocess.DEVNULL, check=False).returncode
            == code
        )
    command = f"{shlex.join(MREG)} promote churn@v3 staging <&-"
    done = subprocess.run(["bash", "-c", command], cwd=churn, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: a reason is needed: the history records it",
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_stdout_of_any_encoding_gets_its_answer(encoding: str, churn: Path, git: Git) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    outputs = []
    for words in (["history"], ["compare", "churn@v1", "churn@v2"], ["init", "--help"]):
        run = subprocess.run([*MREG, *words], cwd=churn, env=env, capture_output=True, check=False)
        assert (run.returncode, run.stderr) == (0, b"")
        outputs.append(run.stdout)
    assert (b"v1.0.0 \\u2192 v2.0.0" if encoding != "cp437" else b"v1.0.0 \x1a v2.0.0") in outputs[
        0
    ] or encoding == "cp437"


def test_errors_are_json_where_json_was_asked_for(churn: Path, mreg_here: Mreg) -> None:
    for words in (("--format", "json"), ("--format=json",), ("-f", "json"), ("-fjson",)):
        result = mreg_here("show", "nope", *words)
        assert (result.code, result.out, json.loads(result.err)["error"]["code"]) == (4, "", "not-found")


def test_deleted_working_directory_is_an_error_of_its_own(mreg: Mreg, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = f"rmdir ../gone; {shlex.join(MREG)} list"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path / "gone", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "error: the current directory was deleted\nhint: cd .. && mreg list\n"


def test_interrupt_while_registering_records_nothing(churn: Path, tmp_path: Path, git: Git) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(3 << 30)
    before, refs = snapshot(churn), git("for-each-ref")
    command = [*MREG, "register", "churn", str(big), "--format", "json"]
    run = subprocess.Popen(command, cwd=churn, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not list(churn.glob(".dvc/cache/.mreg-*.tmp/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out, json.loads(err)["error"]["message"]) == (130, "", "interrupted")
    assert git("for-each-ref") == refs
    assert snapshot(churn) == before
    assert git("fsck", "--strict") == ""
