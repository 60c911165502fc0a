"""Exit codes: the table of errors, and each code that each command can end with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mreg import errors
from mreg.cli.exit_codes import ExitCode, exit_code
from tests.cli.checks import check_hint, check_refused, snapshot
from tests.conftest import Git, Mreg

README = Path(__file__).parents[2] / "README.md"
UNDECLARED = ("stage 'nowhere' is not declared in registry.yaml", "the stages are: staging, production")
UNKNOWN = ("no model 'chrun' is registered", "did you mean 'churn'?")
NO_V9 = ("churn has no version v9.0.0", "mreg list churn   # newest: v3.0.0, v2.0.0, v1.0.0")
REASON = "a reason is needed: the history records it"
SHALLOW = ("this clone is shallow and lacks the history that this needs", "git fetch --unshallow")
BROKEN = ("registry.yaml:1: schema: schema 9 is not known to this mreg", "install a newer mreg")
BAD_STAGE = ("registry/churn/stages/production.yaml:1: version: ", "mreg doctor")
BAD_RECORD = ("registry/churn/versions/v2.0.0.yaml", "git log -p -- :/registry/churn/versions/v2.0.0.yaml")
IDENTITY = ("git does not know who you are", 'git config --global user.name "Your Name" && ')
WRITES = (
    "register churn ../model.bin",
    "promote churn@v3 staging -m x",
    "rollback churn production -m x",
    "clear churn production",
    "archive churn@v1",
)

# Set-up, command, code, what the error says, what the hint says.
CASES = [
    ("", "list chrun", 4, *UNKNOWN),
    ("", "list --at nonsense", 4, "'nonsense' is neither a date nor a commit", "2026-11-20"),
    ("", "list --at 1999-01-01", 4, "the registry branch has no commit as old as 1999-01-01", "mreg history"),
    (
        "",
        "list --format xml",
        2,
        "invalid value for '--format' / '-f': 'xml' is not one of 'table'",
        "mreg list --help",
    ),
    ("shallow", "list --at 2026-01-01", 5, *SHALLOW),
    ("", "show chrun@v1", 4, *UNKNOWN),
    ("", "show churn@v9", 4, *NO_V9),
    (
        "",
        "show churn@staging",
        4,
        "churn has no version in staging",
        "mreg promote churn@v3.0.0 staging --reason 'why'",
    ),
    ("", "show churn@nowhere", 4, *UNDECLARED),
    ("", "show churn@v1.0.0.0", 2, "'v1.0.0.0' is not a version", "write it as v3.0.0"),
    ("bad record", "show churn@v2", 3, *BAD_RECORD),
    ("", "history chrun", 4, *UNKNOWN),
    ("", "history churn nowhere", 4, *UNDECLARED),
    ("", "history Churn", 2, "'Churn' is not a model name", "use 'churn'"),
    ("shallow", "history", 5, *SHALLOW),
    ("", "compare churn", 2, "two versions or more are needed to compare", "mreg compare churn@v1 churn@v2"),
    ("", "compare churn@v1 churn@v9", 4, *NO_V9),
    ("", "compare churn@v1 churn@v2 --higher acu", 4, "no version compared has a metric 'acu'", "did you mean 'auc'?"),
    ("bad record", "compare churn@v1 churn@v2", 3, *BAD_RECORD),
    (
        "",
        "best churn --by auc --where auc>5",
        1,
        "no version of churn can be chosen",
        "mreg list churn   # then loosen",
    ),
    ("", "best churn", 2, "missing option '--by'", "mreg best --help"),
    ("", "best churn --by auc --where nonsense", 2, "'nonsense' is not a constraint", "--where 'latency_ms<=50'"),
    ("", "best churn --by acu", 4, "no version of churn has a metric 'acu'", "did you mean 'auc'?"),
    ("", "best churn --by auc --stage nowhere", 4, *UNDECLARED),
    ("bad stage", "best churn --by auc --stage production", 3, *BAD_STAGE),
    ("archived", "promote churn@v1 staging -m x", 1, "churn v1.0.0 is archived", "mreg archive churn@v1.0.0 --undo"),
    ("", "promote churn@v3 staging", 2, REASON, "mreg promote churn@v3.0.0 staging --reason 'why'"),
    ("", "promote churn@v3 archived -m x", 2, "'archived' is not a stage, but a mark", "mreg archive churn@v3.0.0"),
    ("", "promote churn@v3 staging -m x --branch a..b", 2, "'a..b' is not a branch name", "--branch promote-churn"),
    ("bad record", "promote churn@v2 staging -m x", 3, BAD_RECORD[0], "git restore --source="),
    ("", "promote churn@v9 staging -m x", 4, *NO_V9),
    ("", "promote churn@v3 nowhere -m x", 4, *UNDECLARED),
    (
        "dirty",
        "promote churn@v3 production -m x",
        6,
        "production.yaml has uncommitted changes",
        "git commit",
    ),
    ("", "rollback churn staging -m x", 1, "churn staging has no version to go back to", "mreg history churn staging"),
    ("", "rollback churn production --to v3 -m x", 1, "churn v3.0.0 never held production", "v1.0.0, v2.0.0"),
    ("", "rollback churn production", 2, REASON, "mreg rollback churn production --reason 'why'"),
    ("bad stage", "rollback churn production -m x", 3, *BAD_STAGE),
    ("", "rollback churn production --to v9 -m x", 4, *NO_V9),
    ("", "clear churn archived", 2, "'archived' is not a stage, but a mark", "mreg archive churn@latest"),
    ("bad stage", "clear churn production", 3, *BAD_STAGE),
    ("", "clear churn nowhere", 4, *UNDECLARED),
    ("", "archive churn@v2", 1, "churn v2.0.0 is in production and cannot be archived", "mreg clear churn production"),
    ("", "archive churn@v2 --reson x", 2, "no such option: --reson", "mreg archive --help"),
    ("bad stage", "archive churn@v3", 3, *BAD_STAGE),
    ("", "archive churn@v9", 4, *NO_V9),
    (
        "",
        "register churn ../model.bin --version v2",
        1,
        "churn v2.0.0 exists",
        "leave --version out: the next one is v4",
    ),
    ("", "register churn ../model.bin --version v1.5.0", 1, "v1.5.0 is older than the newest version v3.0.0", "v4.0.0"),
    ("", "register churn ../model.bin --reason x", 2, "no stage is named", "name it with --stage"),
    ("", "register churn ../absent", 4, "absent' cannot be read: no such file or directory", "check the path"),
    ("", "register churn ../model.bin --stage nowhere", 4, *UNDECLARED),
    ("", "pull churn -o README.md", 1, "README.md' exists already and is not a version of this model", "--force"),
    ("", "pull churn -o .git --force", 1, "is never replaced: it belongs to Git", "mreg pull churn@latest --output"),
    ("", "pull churn --link soft", 2, "invalid value for '--link': 'soft' is not one of", "mreg pull --help"),
    ("bad stage", "pull churn@production", 3, "registry/churn/stages/production.yaml", "mreg doctor"),
    ("", "pull churn@staging", 4, "churn has no version in staging", "mreg promote churn@v3.0.0 staging"),
    ("shallow", "sync", 5, *SHALLOW),
    ("", "sync now", 2, "got unexpected extra argument", "mreg sync --help"),
    ("", "init --remote nope://x", 2, "nope", ""),
    ("", "demo .", 2, "is not empty", "mreg demo"),
    ("", "-C nowhere list", 4, "-C 'nowhere': there is no such directory", "check the path"),
    *(("shallow", words, 5, *SHALLOW) for words in WRITES),
    *(("no identity", words, 6, *IDENTITY) for words in WRITES),
    *(("bad settings", words, 3, *BROKEN) for words in ("list", "show churn", "history", "sync", "init", *WRITES)),
]


@pytest.mark.parametrize(("setup", "command", "code", "message", "hint"), CASES, ids=lambda value: str(value)[:40])
def test_command_ends_with_its_code_and_writes_nothing(
    setup: str, command: str, code: int, message: str, hint: str, request: pytest.FixtureRequest
) -> None:
    place = _set_up(setup, request)
    before = snapshot(place)
    mreg_here: Mreg = request.getfixturevalue("mreg_here")
    words = command.split(" ")
    check_refused(mreg_here(*words, cwd=place), code, message, hint=hint)
    if words[0] not in {"-C", "demo"} and "--format" not in words:
        result = mreg_here(*words, "--format", "json", cwd=place)
        assert (result.code, result.out) == (code, "")
        found = json.loads(result.err)
        assert (found["schema"], set(found["error"])) == (1, {"code", "message", "hint", "details"})
        assert message in found["error"]["message"]
    assert _named(snapshot(place)) == _named(before)


def _named(files: dict[str, str]) -> dict[str, str]:
    # Bytes and objects that nothing names may be left.
    return {path: found for path, found in files.items() if not path.startswith((".dvc/cache/", ".git/objects/"))}


def _set_up(setup: str, request: pytest.FixtureRequest) -> Path:
    churn: Path = request.getfixturevalue("churn")
    git: Git = request.getfixturevalue("git")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    request.getfixturevalue("model")
    if setup == "shallow":
        place = churn.with_name("shallow")
        git("clone", "--quiet", "--depth=1", f"file://{churn}", str(place))
        return place
    if setup == "archived":
        mreg_here: Mreg = request.getfixturevalue("mreg_here")
        mreg_here("archive", "churn@v1", "--reason", "old", check=0)
    if setup == "no identity":
        for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
            monkeypatch.delenv(name)
    edits = {
        "bad settings": ("registry.yaml", "schema: 9\n"),
        "bad stage": ("registry/churn/stages/production.yaml", "version: maybe\n"),
        "bad record": ("registry/churn/versions/v2.0.0.yaml", "schema: 1\nmodel: churn\nversion: v5\n"),
        "dirty": ("registry/churn/stages/production.yaml", "version: v3.0.0\n"),
    }
    if setup in edits:
        path, text = edits[setup]
        (churn / path).write_text(text)
        if setup != "dirty":
            git("commit", "--quiet", "--all", "--message=By hand")
    return churn


def subclasses(kind: type[errors.MregError]) -> list[type[errors.MregError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in subclasses(child))]


FAMILIES = {
    errors.RefusedError: 1,
    errors.UsageError: 2,
    errors.DataError: 3,
    errors.NotFoundError: 4,
    errors.ConflictError: 5,
    errors.OutsideError: 6,
}


@pytest.mark.parametrize("name", errors.__all__)
def test_exit_code_of_every_error_is_that_of_its_family(name: str) -> None:
    kind: type[errors.MregError] = getattr(errors, name)
    expected = [code for family, code in FAMILIES.items() if issubclass(kind, family)]  # type: ignore[redundant-expr]
    assert [int(exit_code(kind("x")))] == (expected or [70])


def test_exit_code_every_number_is_in_the_readme() -> None:
    table = README.read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    numbers = {word for line in table.splitlines() for word in line.partition("|")[2].partition("|")[0].replace(",", " ").split()}  # fmt: skip
    assert {str(int(code)) for code in ExitCode} <= numbers


def test_errors_tree_is_what_its_module_draws() -> None:
    drawn = errors.__doc__ or ""
    for kind in (each for each in subclasses(errors.MregError) if each.__module__ == "mreg.errors"):
        assert f" {kind.__name__}" in drawn or f"\n{kind.__name__}" in drawn
        assert kind.__name__ in errors.__all__


def test_errors_have_a_code_each() -> None:
    own = [kind for kind in subclasses(errors.MregError) if kind.__module__ == "mreg.errors"]
    assert len({kind.code for kind in own}) == len(own)


@pytest.mark.parametrize("hint", ["mreg list --nope", "mreg lst", "mreg pull (or not)", "git fech"])
def test_check_of_hints_finds_what_does_not_work(hint: str) -> None:
    with pytest.raises(Exception, match=r"."):  # whatever the parser says
        check_hint(hint)
