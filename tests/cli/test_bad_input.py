"""What people type and hand over by mistake or malice: names, artifacts, metrics, texts; nothing of it is written."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.checks import check_refused, normalise, snapshot
from tests.conftest import Git, Mreg

GRAMMAR = "it may hold a-z, 0-9, '-' and '_', and starts and ends with a letter or digit"
BAD_NAMES = [
    ("", GRAMMAR),
    ("Churn", GRAMMAR),
    (" churn", GRAMMAR),
    ("churn\n", GRAMMAR),
    ("-churn", GRAMMAR),
    ("churn-", GRAMMAR),
    ("_churn", GRAMMAR),
    ("a//b", GRAMMAR),
    ("/a", GRAMMAR),
    ("a/", GRAMMAR),
    ("../x", GRAMMAR),
    ("a.b", GRAMMAR),
    ("größe", GRAMMAR),
    ("a b", GRAMMAR),
    ("churn@v1", GRAMMAR),
    ("churn#production", GRAMMAR),
    ("$(id)", GRAMMAR),
    ("`id`", GRAMMAR),
    ("--output=x", GRAMMAR),
    ("%0A", GRAMMAR),
    ("[/x]", GRAMMAR),
    ("a\x1b[31m", GRAMMAR),
    ("a\u202eb", GRAMMAR),
    ("a\x00b", GRAMMAR),
    ("\udcff", GRAMMAR),
    ("v1", "'v1' could be mistaken for a version"),
    ("3", "'3' could be mistaken for a version"),
    ("team/v3", "'v3' could be mistaken for a version"),
    ("latest", "'latest' is a reserved word"),
    ("team/archived", "'archived' is a reserved word"),
    ("versions", "'versions' is a reserved word"),
    ("con", "'con' is a device name on Windows"),
    ("x" * 101, "it has 101 characters; at most 100 are allowed"),
]


@pytest.mark.parametrize(("name", "why"), BAD_NAMES, ids=lambda value: ascii(value)[:24])
def test_name_outside_the_grammar_is_refused(name: str, why: str, churn: Path, model: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    check_refused(mreg_here("register", "--", name, "../model.bin"), 2, "is not a model name", why)
    lists = [] if name.endswith("/") else [("list",)]  # else a folder of models
    for words in (("history",), *lists, ("rollback", "-m", "x", "--to", "v1")):
        check_refused(mreg_here(*words, "--", name, *(["production"] if "rollback" in words else [])), 2, why)
    assert snapshot(churn) == before


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "a/b/c", "a--b", "1a", "v1a", "x" * 100, "rc/1x"])
def test_name_at_the_edge_of_the_grammar_is_taken(name: str, churn: Path, model: Path, mreg_here: Mreg) -> None:
    if name == "0":  # a version
        check_refused(mreg_here("register", name, "../model.bin"), 2, "could be mistaken for a version")
        return
    mreg_here("register", name, "../model.bin", "--dry-run", check=0)


def test_name_in_the_way_of_another_is_refused(churn: Path, model: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    check_refused(
        mreg_here("register", "churn/eu", "../model.bin"), 2, "'churn/eu' cannot be a model beside 'churn'", hint="churn-eu"
    )  # fmt: skip
    assert snapshot(churn) == before


def _one_byte(path: Path) -> None:
    path.write_bytes(b"w")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def _folder(**files: bytes | str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for name, content in files.items():
            place = path / name
            if isinstance(content, bytes):
                place.write_bytes(content)
            else:
                place.symlink_to(content)

    return make


ARTIFACTS: list[tuple[str, Callable[[Path], None], int, str]] = [
    ("absent", lambda path: None, 4, "cannot be read: no such file or directory"),
    ("empty", lambda path: path.touch(), 2, "is empty"),
    ("empty folder", _folder(), 2, "is empty"),
    ("folder of empty files", _folder(a=b"", b=b""), 2, "is empty"),
    ("link out", _folder(weights=b"w", out="/etc/hostname"), 2, "out' cannot be part of an artifact: the link leads out"),
    ("link up", _folder(weights=b"w", up="../secret"), 2, "up' cannot be part of an artifact: the link leads out"),
    ("link to nowhere", _folder(weights=b"w", lost="lost2"), 2, "lost' cannot be part of an artifact: the link leads nowhere"),
    ("dangling", lambda path: path.symlink_to("/nowhere"), 4, "dangling' cannot be read: the link leads nowhere"),
    ("loop", lambda path: path.symlink_to(path), 4, "loop' cannot be read: the link leads nowhere"),
    ("fifo", _fifo, 2, "fifo' cannot be part of an artifact: it is neither a file nor a directory"),
    ("socket", _socket, 2, "socket' cannot be part of an artifact: it is neither a file nor a directory"),
    ("line\nbreak", _one_byte, 2, "cannot be part of an artifact: the name contains control"),
    ("git", lambda path: (path / ".git").mkdir(parents=True), 2, ".git' cannot be part of an artifact"),
    ("model.bin/x", lambda path: None, 4, "cannot be read: not a directory"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "code", "message"), ARTIFACTS, ids=[case[0] for case in ARTIFACTS])
def test_artifact_that_is_none_is_refused(
    name: str, make: Callable[[Path], None], code: int, message: str, churn: Path, model: Path, mreg_here: Mreg
) -> None:
    (churn.parent / "secret").write_bytes(b"secret")
    make(churn.parent / name)
    before = snapshot(churn)
    check_refused(mreg_here("register", "churn", f"../{name}", cwd=churn), code, message)
    assert snapshot(churn) == before


def test_artifact_that_is_the_repository_is_refused(churn: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    hint = "register a copy without it"  # and nobody is told to remove it
    check_refused(mreg_here("register", "churn", "."), 2, ".git' cannot be part of an artifact", hint=hint)
    for path in (".git", "/dev/null"):
        hint = "name the file or directory that holds the model"
        check_refused(mreg_here("register", "churn", path), 2, "cannot be part of an artifact", hint=hint)
    assert snapshot(churn) == before


NUMBER = "but a metric is a number"
MEASURES = [
    ("--metric", "auc", "--metric: 'auc' has no '='"),
    ("--metric", "=1", "--metric: '' cannot be a name"),
    ("--metric", "auc=", f"--metric: metric 'auc' is text: '', {NUMBER}"),
    ("--metric", "auc=nan", "--metric: metric 'auc' is nan, which is not a finite number"),
    ("--metric", "auc=-inf", "--metric: metric 'auc' is -inf, which is not a finite number"),
    ("--metric", "auc=1e999", "--metric: metric 'auc' is 1e999, which is not a finite number"),
    ("--metric", "auc=high", f"--metric: metric 'auc' is text: 'high', {NUMBER}"),
    ("--metric", "auc=true", f"--metric: metric 'auc' is true or false: True, {NUMBER}"),
    ("--metric", "$(id)=1", "--metric: '$(id)' cannot be a name"),
    ("--metric", "a\x1b[31m=1", "--metric: 'a\\x1b[31m' cannot be a name"),
    ("--param", "depth", "--param: 'depth' has no '='"),
    ("--param", "note=a\u202eb", "the value of 'note' in --param holds the character U+202E"),
    ("--param", "key=AKIAABCDEFGHIJKLMNOP", "holds an AWS access key"),
    ("dup.json", '{"auc": 1, "auc": 2}', "dup.json: key 'auc' appears twice"),
    ("dup.yaml", "auc: 1\nauc: 2\n", "dup.yaml:2: key 'auc' appears twice"),
    ("deep.json", '{"a": {"b": 1}, "a.b": 2}', "deep.json: 'a.b' appears twice"),
    ("nan.json", '{"auc": NaN}', "nan.json: "),
    ("inf.yaml", "auc: .inf\n", "inf.yaml: "),
    ("text.json", '{"auc": "high"}', f"text.json: metric 'auc' is text: 'high', {NUMBER}"),
    ("bool.yaml", "auc: true\n", f"bool.yaml: metric 'auc' is true or false: True, {NUMBER}"),
    ("on.yaml", "auc: on\n", f"on.yaml: metric 'auc' is text: 'on', {NUMBER}"),
    ("null.json", '{"auc": null}', f"null.json: metric 'auc' is empty, {NUMBER}"),
    ("list.json", "[1]", "list.json: a mapping of names to values is needed, and this is a list"),
    ("cut.json", '{"auc": ', "cut.json:1: "),
    ("empty.json", "", "empty.json: the file is empty"),
    ("alias.yaml", "a: &x 1\nb: *x\n", "alias.yaml:1: anchors (&x) are not read here"),
    ("bad.toml", "auc = \n", "bad.toml: "),
    ("metrics.txt", "auc=1", "metrics.txt: no metrics can be read from a file of this kind"),
]


@pytest.mark.parametrize(("where", "text", "message"), MEASURES, ids=lambda value: ascii(value)[:30])
def test_measure_that_is_none_is_refused(
    where: str, text: str, message: str, churn: Path, model: Path, mreg_here: Mreg
) -> None:
    flags = (where, text)
    if not where.startswith("--"):
        (churn.parent / where).write_text(text)
        flags = ("--metrics", f"../{where}")
    before = snapshot(churn)
    check_refused(mreg_here("register", "churn", "../model.bin", *flags), 2, message)
    assert snapshot(churn) == before


def test_measure_given_twice_or_not_there_is_refused(churn: Path, model: Path, mreg_here: Mreg) -> None:
    register = ("register", "churn", "../model.bin")
    check_refused(mreg_here(*register, "--metric", "a=1", "--metric", "a=2"), 2, "--metric: 'a' is given twice")
    check_refused(mreg_here(*register, "--metrics", "../absent.json"), 4, "absent.json' cannot be read: no such file")
    check_refused(mreg_here(*register, "--metrics", ".."), 2, "no metrics can be read from a file of this kind")


HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "[/x] [bold]",
    "--output=x",
    "%0A",
    "' ; touch pwned #",
    "| a | b |",
    "<script>",
]
HIDDEN = ["a\x1b[31m", "a\u202eb", "a\u200bb", "a\x00b", "a\rb"]


@pytest.mark.parametrize("text", [*HOSTILE, "fine\n\nApproved-by: boss@example.com\nMreg-Stage: production"])
def test_hostile_text_is_kept_as_text(text: str, churn: Path, model: Path, mreg_here: Mreg, git: Git) -> None:
    words = ("register", "churn", "../model.bin", "--notes", text, "--dataset", "customers@1", "--stage", "staging")
    assert text.split("\n", maxsplit=1)[0] not in mreg_here(*words, "--reason", text, check=0).err
    transition = mreg_here("history", "churn", "staging", check=0).out
    assert text.split("\n", maxsplit=1)[0] in transition
    assert "boss" not in git("log", "-1", "--format=%(trailers:key=Approved-by)")
    assert git("log", "-1", "--format=%(trailers:key=Mreg-Stage,valueonly)").split() == ["staging"]
    for format in ("table", "json", "markdown"):
        mreg_here("show", "churn@v4", "--format", format, check=0)
    assert not list(churn.rglob("pwned"))
    assert not list(churn.rglob("x"))
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize("text", HIDDEN, ids=ascii)
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("promote", "churn@v3", "staging", "--reason"), "the reason holds the character U+"),
        (("promote", "churn@v3", "staging", "-m", "x", "--approved-by"), "the name of the approver holds the character U+"),
        (("register", "churn", "../model.bin", "--notes"), "the notes hold the character U+"),
        (("register", "churn", "../model.bin", "--dataset"), "the dataset holds the character U+"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_hidden_character_is_refused(
    words: tuple[str, ...], what: str, text: str, churn: Path, model: Path, mreg_here: Mreg
) -> None:
    before = snapshot(churn)
    check_refused(mreg_here(*words, text), 2, what)
    assert snapshot(churn) == before


def test_approver_of_two_lines_is_refused(churn: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    words = ("promote", "churn@v3", "staging", "-m", "x", "--approved-by", "a\nApproved-by: boss")
    check_refused(mreg_here(*words), 2, "the name of the approver must be one line of text")
    assert snapshot(churn) == before


@pytest.mark.parametrize(
    "branch", ["a b", "a..b", "HEAD", "-x", "../../x", "a.lock", "x~1", "a\nb", "@{-1}", "refs/../x"]
)
def test_branch_that_is_none_is_refused(branch: str, churn: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    words = ("promote", "churn@v3", "staging", "-m", "x", f"--branch={branch}")
    check_refused(mreg_here(*words), 2, "is not a branch name", hint="--branch promote-churn")
    assert snapshot(churn) == before


@pytest.mark.parametrize(
    "at", ["nonsense", "--output=x", "^HEAD", "HEAD~99", "2026-13-45", "20260101", "a\nb", "HEAD:registry.yaml"]
)
def test_at_nonsense_is_refused(at: str, churn: Path, mreg_here: Mreg) -> None:
    for words in (("list",), ("show", "churn")):
        check_refused(mreg_here(*words, f"--at={at}"), 4, "is neither a date nor a commit", hint="2026-11-20")


@pytest.mark.parametrize("where", ["", "nonsense", "auc", "auc<nan", "auc<", "<5", "auc=>1", "auc<5;id", "auc<1e999"])
def test_where_nonsense_is_refused(where: str, churn: Path, mreg_here: Mreg) -> None:
    check_refused(mreg_here("best", "churn", "--by", "auc", f"--where={where}"), 2, "is not a constraint")


def test_near_misses_are_suggested(churn: Path, mreg_here: Mreg) -> None:
    for words, hint in (
        (("show", "chrun"), "did you mean 'churn'?"),
        (("best", "churn", "--by", "latency_m"), "did you mean 'latency_ms'?"),
        (("promote", "churn@v3", "prodution", "-m", "x"), "production"),
        (("show", "churn@v10"), "v3.0.0"),
    ):
        check_refused(mreg_here(*words), 4, hint=hint)
    assert normalise(mreg_here("shw", "churn").err).startswith("error: no such command 'shw'. Did you mean 'show'?")
