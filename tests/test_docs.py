"""The documents against the program: commands, examples, exit codes, and every key of the JSON contract."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event

import pytest
import typer
from typer.core import TyperGroup

import mreg
from mreg import News, errors
from mreg.cli.app import build
from mreg.cli.exit_codes import ExitCode, exit_code
from mreg.render.formats.watch import render_news
from tests.conftest import Git, Mreg

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "docs/json.md",
    "docs/format.md",
    "docs/github.md",
    "docs/retention.md",
    "docs/review.md",
    "docs/notifications.md",
    "docs/remotes.md",
    "docs/serving.md",
    "docs/storage.md",
    "docs/verify.md",
    "examples/README.md",
    "examples/migrate_mlflow/README.md",
    "examples/serving/README.md",
)
JSON_DOCUMENT = ROOT / "docs" / "json.md"
WITHOUT_JSON = {"demo", "schema"}
SYNOPSIS = re.compile(r"mreg (?P<name>[a-z]+)")
CI = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/churn", "GITHUB_RUN_ID": "7"}


def group() -> TyperGroup:
    found = typer.main.get_command(build())
    assert isinstance(found, TyperGroup)
    return found


COMMANDS = sorted(group().commands)


def parse_command_line(line: str) -> None:
    """Parses one command line as the program would, and runs nothing.

    Raises:
        Exception: The program would refuse it.
    """
    program, *words = shlex.split(line, comments=True)
    assert program == "mreg", line
    if words in (["--install-completion"], ["--version"]):
        return
    name, *rest = words
    commands = group()
    assert name in commands.commands, f"{line}: there is no such command"
    commands.commands[name].make_context(name, rest, parent=commands.make_context("mreg", [name]))


def examples_in_help(name: str) -> list[str]:
    text = group().commands[name].help or ""
    return [line.strip() for line in text.splitlines() if line.strip().startswith("mreg ")]


def examples_in(document: str) -> Iterator[str]:
    """Yields the commands in fenced blocks: ``$ mreg …`` among output, ``mreg …`` in a shell script."""
    language = ""
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            language = "" if language else line.removeprefix("```") or "text"
        elif language == "console" and line.startswith("$ mreg "):
            yield line.removeprefix("$ ")
        elif language == "bash" and line.startswith("mreg "):
            yield line


def commands_in_readme() -> list[str]:
    rows = table_after(ROOT / "README.md", "## Commands")
    found = [SYNOPSIS.match(row[0].strip("`")) for row in rows]
    return [match["name"] for match in found if match]


def table_after(document: Path, heading: str) -> list[tuple[str, ...]]:
    """Returns the rows of the first table below a heading, without its head."""
    text = document.read_text(encoding="utf-8")
    assert f"\n{heading}\n" in text, f"{document.name} has no heading {heading!r}"
    rows: list[tuple[str, ...]] = []
    for line in text.split(f"\n{heading}\n", 1)[1].splitlines():
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
        elif rows or line.startswith("#"):
            break
    assert len(rows) > 2, f"{document.name}: there is no table below {heading!r}"
    return rows[2:]


def test_docs_readme_table_names_every_command_once() -> None:
    assert sorted(commands_in_readme()) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_docs_command_has_help_with_examples_of_itself(name: str) -> None:
    examples = examples_in_help(name)
    assert examples
    assert {line.split()[1] for line in examples} == {name}


@pytest.mark.parametrize("line", [line for name in COMMANDS for line in examples_in_help(name)])
def test_docs_example_in_help_parses(line: str) -> None:
    parse_command_line(line)


@pytest.mark.parametrize(("document", "line"), [(name, line) for name in DOCUMENTS for line in examples_in(name)])
def test_docs_example_in_document_parses(document: str, line: str) -> None:
    parse_command_line(line)


@pytest.mark.parametrize("line", ["mreg nope", "mreg list --nope", "mreg promote churn", "mreg best churn --by a --x"])
def test_docs_parser_of_examples_refuses_what_the_program_refuses(line: str) -> None:
    with pytest.raises((typer.BadParameter.__mro__[1], AssertionError)):
        parse_command_line(line)


ERRORS = [getattr(errors, name) for name in errors.__all__]
BRANCHES = [kind for kind in ERRORS if kind is not errors.MregError]


def test_docs_every_error_class_is_exported() -> None:
    here = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MregError)}
    assert here == set(ERRORS)


def test_docs_error_codes_are_distinct() -> None:
    codes = [kind.code for kind in ERRORS]
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", BRANCHES)
def test_docs_error_has_an_exit_code_of_the_tables(kind: type[errors.MregError]) -> None:
    number = exit_code(kind("what went wrong"))
    assert number not in {ExitCode.DONE, ExitCode.BUG, ExitCode.INTERRUPTED, ExitCode.CLOSED_PIPE}
    assert number in exit_codes_in_readme()
    assert kind.__name__ in (errors.__doc__ or "")


def exit_codes_in_readme() -> list[int]:
    rows = table_after(ROOT / "README.md", "## Exit codes")
    return [int(code) for row in rows for code in row[0].split(",")]


def test_docs_readme_table_has_every_exit_code() -> None:
    assert exit_codes_in_readme() == list(ExitCode)


def test_docs_json_table_has_every_error_code_with_its_exit_code() -> None:
    rows = [row for row in error_table() if row[0] != "code"]
    assert {row[0].strip("`"): int(row[1]) for row in rows} == {
        kind.code: int(exit_code(kind("what went wrong"))) for kind in BRANCHES
    }


def error_table() -> list[tuple[str, ...]]:
    text = JSON_DOCUMENT.read_text(encoding="utf-8")
    lines = text.split("| code | exit code | meaning |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines]


Table = Mapping[str, str]
"""The type of each key."""

ATOMS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "time": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass
class Contract:
    """``docs/json.md``: a table for each document and each shared part; and which of them were met."""

    tables: Mapping[str, Table]
    met: set[str] = field(default_factory=set)

    def check(self, value: object, kind: str, place: str) -> None:
        """Fails where a value is not of a type."""
        if kind.startswith("(") and kind.endswith(")"):
            kind = kind[1:-1]
        for suffix, pardoned in ((" or null", None), (" or empty", {})):
            if kind.endswith(suffix):
                if value != pardoned:
                    self.check(value, kind.removesuffix(suffix), place)
                return
        if kind.startswith("list of "):
            assert isinstance(value, list), place
            for index, item in enumerate(value):
                self.check(item, kind.removeprefix("list of "), f"{place}[{index}]")
        elif kind.startswith("map of "):
            assert isinstance(value, dict), place
            for name, item in value.items():
                self.check(item, kind.removeprefix("map of "), f"{place}.{name}")
        elif kind in ATOMS:
            is_right = isinstance(value, ATOMS[kind]) and isinstance(value, bool) == (kind == "boolean")
            assert is_right, f"{place} is to be {kind}, and is {value!r}"
            if kind == "time":
                assert re.fullmatch(r"[0-9-]{10}T[0-9:.]+Z", str(value)), place
                datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        elif kind != "any":
            self.check_table(value, kind, place)

    def check_table(self, value: object, name: str, place: str) -> None:
        """Fails where the keys of an object are not those of a table, in its order, or a value is of another type."""
        assert name in self.tables, f"{place}: docs/json.md has no table of {name!r}"
        assert isinstance(value, dict), place
        assert list(value) == list(self.tables[name]), place
        self.met.add(name)
        for key, kind in self.tables[name].items():
            self.check(value[key], kind, f"{place}.{key}")


def read_tables() -> Mapping[str, Table]:
    tables: dict[str, dict[str, str]] = {}
    heading = ""
    for line in JSON_DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").replace("`", "").removeprefix("mreg ")
        elif match := re.fullmatch(r"\| `(?P<key>\w+)` \| (?P<type>[a-z ()]+) \|.*\|", line):
            tables.setdefault(heading, {})[match["key"]] = match["type"]
    return tables


def names_of(heading: str) -> tuple[str, ...]:
    """Returns the commands of a heading: ``register, promote`` are two, ``list MODEL`` is one."""
    return tuple(heading.split(", "))


@pytest.fixture
def contract() -> Contract:
    tables = read_tables()
    each = {name: table for heading, table in tables.items() for name in names_of(heading)}
    with_schema = {
        name: {"schema": "integer", **table} if name.split()[0] in {*COMMANDS, "Errors"} else table
        for name, table in each.items()
    }
    return Contract(with_schema)


@dataclass
class Recorder:
    """Runs commands with ``--format json``, and keeps each document with the name of its table."""

    mreg: Mreg
    git: Git
    repo: Path
    other: Path
    """An artifact that is written anew for each registration."""
    found: list[tuple[str, object]] = field(default_factory=list)

    def __call__(self, name: str, *args: str, code: int = 0, env: Mapping[str, str] | None = None) -> None:
        result = self.mreg(name.split(maxsplit=1)[0], *args, "--format", "json", check=code, env=env)
        assert result.out
        assert result.err == ""
        self.found.append((name, json.loads(result.out)))

    def write(self, model_file: Path, remote: str) -> None:
        """Makes a history that has something of everything."""
        self("init", "--remote", remote, "--adopt")
        stage = ("--stage", "staging", "--reason", "r")
        self("register", "churn", str(model_file), *_facts("0.8"), *stage, env=CI)
        self.other.write_bytes(b"other bytes")
        self("register", "churn", str(self.other), *_facts("0.9"))
        self.other.write_bytes(b"more bytes")
        self("register", "churn", str(self.other), "--dry-run")
        self("register", "churn", str(self.other))
        self("promote", "churn@v1", "production", "--reason", "first", "--approved-by", "ann@example.com")
        self("promote", "churn@v2", "production", "--reason", "better")
        self("promote", "churn@v2", "production", "--reason", "better")
        self("rollback", "churn", "production", "--reason", "worse", "--dry-run")
        self("rollback", "churn", "production", "--reason", "worse")
        self("clear", "churn", "staging")
        self("archive", "churn@v3", "--reason", "too many bytes")
        self("approve", "churn@v2", "staging", "--reason", "looked at it")
        self("hold", "churn", "production", "--reason", "looking", "--off")

    def upkeep(self, remote: Path, bare: Path) -> None:
        """Loses bytes, has them mended, and gives some up; leaves the repository as it was."""
        start = self.git("rev-parse", "HEAD")
        self.git("init", "--quiet", "--bare", str(bare))
        self.git("remote", "add", "origin", str(bare))
        for content in (b"spare bytes", b"spare bytes of another version"):
            self.other.write_bytes(content)
            self.mreg("register", "spare", str(self.other), check=0)
        self.git("push", "--quiet", "--tags", "origin", "main")
        lost = next(path for path in remote.glob("files/md5/*/*") if path.read_bytes() == b"spare bytes")
        lost.unlink()
        self("fsck")
        self("fsck", "--remote", code=ExitCode.NO)
        self("fsck", "spare@v1", "--remote", "--read-data", "--repair")
        self("gc", "--remote", "--keep-newest", "1")
        self("gc", "--remote", "--keep-newest", "1", "--delete")
        self("gc", "--keep-newest", "1")
        self("show", "spare@v1")
        self.git("tag", "--delete", "spare@v1.0.0", "spare@v2.0.0")
        self.git("remote", "remove", "origin")
        self.git("reset", "--quiet", "--hard", start)

    def review(self) -> None:
        """Looks at a branch that has something of everything too."""
        self.git("checkout", "--quiet", "-b", "feature")
        self.other.write_bytes(b"bytes of another model")
        branch = ("--reason", "r", "--branch", "feature")
        self.mreg("register", "extra", str(self.other), "--branch", "feature", check=0)
        self.mreg("promote", "churn@v2", "production", *branch, check=0)
        self.mreg("approve", "churn@v2", "production", *branch, check=0)
        self.mreg("hold", "churn", "staging", *branch, check=0)
        unreadable = self.repo / "registry" / "churn" / "approvals" / "v2.0.0" / "production" / "x.yaml"
        unreadable.write_text("by: nobody\n", encoding="utf-8")
        with (self.repo / "registry.yaml").open("a", encoding="utf-8") as file:
            file.write("push: false\n")
        self.git("add", "--all", "registry", "registry.yaml")
        self.git("commit", "--quiet", "--message=Change the rules")
        self("plan", "--base", "main")
        self("check", code=ExitCode.NO)
        self.git("checkout", "--quiet", "main")

    def push(self, bare: Path) -> None:
        """Pushes, once others did the same and once against the rules; leaves the repository as it was."""
        start = self.git("rev-parse", "HEAD")
        self.git("init", "--quiet", "--bare", str(bare))
        self.git("remote", "add", "origin", str(bare))
        self("push")
        clone = bare.with_name("clone")
        self.git("clone", "--quiet", str(bare), str(clone))
        archive = ("archive", "churn@v2", "--reason")
        self.mreg(*archive, "theirs", "--push", cwd=clone, check=0)
        self.mreg(*archive, "mine", check=0)
        self("push", "--dry-run", code=ExitCode.CONFLICT)
        self("push", "--drop", self.git("rev-parse", "HEAD"))
        stage = self.repo / "registry" / "churn" / "stages" / "staging.yaml"
        stage.write_text("version: v9.0.0\n", encoding="utf-8")
        self.git("commit", "--quiet", "--all", "--message=By hand")
        self("push", "--dry-run", code=ExitCode.NO)
        self.git("remote", "remove", "origin")
        self.git("reset", "--quiet", "--hard", start)

    def spoil(self) -> None:
        """Lets something happen by itself, and breaks one thing."""
        settings = self.repo / "registry.yaml"
        notify = "notify: [{to: webhook, url_env: MREG_NO_URL}]"
        dev = "  dev: {auto: true, gates: [{metric: auc, min: 0.85}]}\n"
        settings.write_text(f"{settings.read_text().replace('stages:', f'stages:{chr(10)}{dev}', 1)}\n{notify}\n")
        self.git("commit", "--quiet", "--all", "--message=Promote by itself, and tell")
        stray = self.repo / "registry" / "broken" / "stages"
        stray.mkdir(parents=True)
        (stray / "production.yaml").write_text("version: [\n", encoding="utf-8")
        self.git("add", str(stray))
        self.git("commit", "--quiet", "--message=Break one thing")


def watch_nothing(folder: Path) -> object:
    """Returns what is said of a repository that is not there."""
    stop = Event()
    said: list[News] = []

    def hear(news: News) -> None:
        said.append(news)
        stop.set()

    assert list(mreg.watch("churn", repo=folder / "none", output=folder / "watched", stop=stop, on_news=hear)) == []
    return json.loads(render_news(said[0], as_json=True))


def _facts(auc: str) -> list[str]:
    return ["--metric", f"auc={auc}", "--param", f"depth={auc}", "--dataset", "customers@2026-10", "--notes", "n"]


@pytest.fixture
def documents(mreg_here: Mreg, git: Git, repo: Path, tmp_path: Path, model_file: Path) -> list[tuple[str, object]]:
    """What every command writes in a registry that has something of everything, with the table that describes it."""
    for tag, message in (("old@v1.0.0", "v1"), ("old#staging#1", "in"), ("old#production#2", "in")):
        git("tag", "--annotate", f"--message={message}", tag)
    run = Recorder(mreg_here, git, repo, tmp_path / "other.bin")
    run.write(model_file, str(tmp_path / "remote"))
    run.push(tmp_path / "bare.git")
    run.upkeep(tmp_path / "remote", tmp_path / "shared.git")
    run.review()
    run.spoil()
    run("list")
    run("list MODEL", "churn")
    run("list --versions", "--versions")
    run("list --versions", "--stage", "staging")
    for selector in ("churn@v1", "churn@v3", "old@v1"):
        run("show", selector)
    run("history")
    run("compare", "churn@v1", "churn@v2", "churn@v3", "--higher", "auc")
    run("best", "churn", "--by", "auc:higher", "--where", "auc<=1", "--stage", "production")
    run("best", "churn", "--by", "auc:higher")
    run("pull", "churn@production", "-o", str(tmp_path / "pulled"))
    mreg_here("pull", "churn@production", "--repo", str(repo), "-o", str(tmp_path / "served"), check=0)
    run("cache")
    run.found.append(("pull --watch", watch_nothing(tmp_path)))
    run("sync", "--no-notify", code=ExitCode.NO)
    told = mreg_here("sync", "--resend", "HEAD", "--format", "json", check=ExitCode.NO)
    assert "MREG_NO_URL is not set" in told.err
    run.found.append(("sync", json.loads(told.out)))
    git("tag", "--delete", "churn#production#3")
    run("sync", "--dry-run", code=ExitCode.NO)
    run("doctor", code=ExitCode.NO)
    run("verify", code=ExitCode.NO)
    refused = mreg_here("show", "churn@v9", "--format", "json", check=ExitCode.NOT_FOUND)
    assert refused.out == ""
    run.found.append(("Errors", json.loads(refused.err)))
    return run.found


@pytest.mark.slow
def test_docs_json_contract_is_what_the_commands_write(contract: Contract, documents: list[tuple[str, object]]) -> None:
    for name, document in documents:
        contract.check_table(document, name, name)
        assert isinstance(document, dict)
        assert document["schema"] == 1
    assert contract.met == set(contract.tables), "no real output has these parts"


def test_docs_json_contract_has_every_command() -> None:
    headings = [name.split()[0] for heading in read_tables() for name in names_of(heading)]
    assert set(COMMANDS) - set(headings) == WITHOUT_JSON


def test_docs_json_examples_keep_the_contract(contract: Contract) -> None:
    text = JSON_DOCUMENT.read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    count = 0
    for heading, body in sections:
        name = names_of(heading.replace("`", "").removeprefix("mreg "))[0]
        for example in re.findall(r"^```json\n(.*?)^```", body, re.MULTILINE | re.DOTALL):
            contract.check_table(json.loads(example), name, name)
            count += 1
    assert count >= len(COMMANDS) / 2


@pytest.mark.parametrize(
    ("change", "key"), [("rename", "models"), ("drop", "latest"), ("add", "models"), ("retype", "versions")]
)
def test_docs_json_checker_finds_a_difference(contract: Contract, change: str, key: str) -> None:
    summary: dict[str, object] = {
        "model": "a",
        "latest": None,
        "versions": 1,
        "stages": {"s": None},
        "archived": 0,
        "holds": [],
        "unreadable": [],
    }
    document: dict[str, object] = {"schema": 1, "models": [summary], "commit": None, "findings": []}
    contract.check_table(document, "list", "list")
    if change == "rename":
        document = {key + "x" if name == key else name: value for name, value in document.items()}
    elif change == "drop":
        del summary[key]
    elif change == "add":
        document["new"] = []
    else:
        summary[key] = "1"
    with pytest.raises(AssertionError):
        contract.check_table(document, "list", "list")
