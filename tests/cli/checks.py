"""What the tests of the command line have in common: comparing output, and judging errors as a stranger would."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from typer.main import get_command

from mreg.cli.app import build
from tests.conftest import Result

__all__ = ["check_hint", "check_refused", "normalise", "snapshot"]

_PROGRAMS = {"cd", "chmod", "cp", "df", "dvc", "git", "ls", "mreg", "mv", "pip", "rm"}
_SKIPPED = {".git/index", ".git/mreg", ".dvc/tmp"}


def normalise(text: str) -> str:
    """Returns output with commits and times replaced, and without the spaces that only align it."""
    text = re.sub(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{12})\b", "<oid>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text)
    return re.sub(r" {2,}", "  ", re.sub(r" +$", "", text, flags=re.MULTILINE))


def check_refused(result: Result, code: int, *words: str, hint: str = "") -> None:
    """Checks that a command ended in an error that says what, which and where, and what to do, and nothing else."""
    assert (result.code, result.out) == (code, ""), result.err
    lines = result.err.split("\n")
    assert [line.partition(":")[0] for line in lines] == ["error", "hint", ""], result.err
    for word in words:
        assert word in lines[0], lines[0]
    assert hint in lines[1]
    assert result.err.isascii() or result.err.replace("\n", "").isprintable()
    check_hint(lines[1].removeprefix("hint: "))


def check_hint(hint: str) -> None:
    """Checks that a hint is advice, or a command that a shell and mreg can read."""
    assert hint.strip()
    program = hint.split(maxsplit=1)[0]
    if program not in _PROGRAMS:
        return
    done = subprocess.run(["bash", "-n", "-c", hint], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert shutil.which(program) or program == "cd"
    for words in _commands(shlex.split(hint, comments=True)):
        if words[0] == "mreg" and "METRIC" not in words:
            _parse(words[1:])
        if words[0] == "git":
            known = subprocess.run(["git", "help", "--all"], capture_output=True, encoding="utf-8", check=True).stdout
            assert re.search(rf"^   {re.escape(words[1])}\b", known, re.MULTILINE), hint


def snapshot(folder: Path) -> dict[str, str]:
    """Returns every file below a folder and what is in it, less what Git and mreg note for themselves."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in [*files, *folders]:
            path = Path(base, name)
            key = path.relative_to(folder).as_posix()
            if not any(f"/{key}/".find(f"/{skipped}/") >= 0 for skipped in _SKIPPED):
                found[key] = _content(path)
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest() if os.access(path, os.R_OK) else "unreadable"
    return "folder" if path.is_dir() else "special"


def _commands(words: list[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def _parse(words: list[str]) -> None:
    if "--help" in words:
        return
    root = get_command(build(words))
    with root.make_context("mreg", words, resilient_parsing=True) as context:
        name, command, rest = root.resolve_command(context, words)  # type: ignore[attr-defined]
        command.make_context(name, rest, parent=context)
