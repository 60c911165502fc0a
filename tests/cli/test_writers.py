"""Writers: what each says and commits, what ``--dry-run`` and ``--branch`` leave alone, and the JSON contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.checks import normalise, snapshot
from tests.conftest import Git, Mreg

WRITERS = {
    "register": ("register", "churn", "../model.bin", "--metric", "auc=0.95"),
    "register into a stage": ("register", "churn", "../model.bin", "--stage", "staging", "--reason", "nightly"),
    "promote": ("promote", "churn@v3", "staging", "--reason", "try it"),
    "promote and archive": ("promote", "churn@v3", "production", "-m", "faster", "--archive-replaced"),
    "rollback": ("rollback", "churn", "production", "--reason", "errors doubled", "--approved-by", "jane@example.com"),
    "archive": ("archive", "churn@v1", "--reason", "old schema"),
    "clear": ("clear", "churn", "production", "--reason", "stop"),
}
OUTPUTS = {
    "register": """\
Register churn v4.0.0

artifact  model.bin (7 B, unknown format)
commit  <oid>
branch  main
tag  churn@v4.0.0
next  mreg promote churn@v4.0.0 staging --reason 'why'
""",
    "register into a stage": """\
Register churn v4.0.0 and promote it to staging

staging  - → v4.0.0 (promote)
artifact  model.bin (7 B, unknown format)
commit  <oid>
branch  main
tag  churn@v4.0.0
tag  churn#staging#3
next  mreg pull churn@staging
""",
    "promote": """\
Promote churn v3.0.0 to staging

staging  - → v3.0.0 (promote)
commit  <oid>
branch  main
tag  churn#staging#3
next  mreg pull churn@staging
""",
    "promote and archive": """\
Promote churn v3.0.0 to production

production  v2.0.0 → v3.0.0 (promote)
archived  v2.0.0 is archived
commit  <oid>
branch  main
tag  churn#production#3
next  mreg pull churn@production
""",
    "rollback": """\
Roll back churn production to v1.0.0

production  v2.0.0 → v1.0.0 (rollback)
hold  automatic promotions stop until the next mreg promote
commit  <oid>
branch  main
tag  churn#production#3
next  mreg pull churn@production
""",
    "archive": """\
Archive churn v1.0.0

archived  v1.0.0 is archived
commit  <oid>
branch  main
""",
}
ACTIONS = {"promote": "promote", "rollback": "rollback", "archive": "archive", "clear": "clear"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_writer_says_what_it_did(name: str, churn: Path, model: Path, mreg_here: Mreg, git: Git) -> None:
    head = git("rev-parse", "HEAD")
    result = mreg_here(*WRITERS[name], check=0)
    assert (normalise(result.out), result.err) == (OUTPUTS[name], "")
    assert git("rev-parse", "HEAD~1") == head
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize("name", WRITERS)
def test_writer_json_keeps_its_contract(name: str, churn: Path, model: Path, mreg_here: Mreg, git: Git) -> None:
    before = set(git("tag").split())
    found = json.loads(mreg_here(*WRITERS[name], "--format", "json", check=0).out)
    assert (found["schema"], found["changed"], found["commit"]) == (1, True, git("rev-parse", "HEAD"))
    assert (found["model"], found["branch"], found["dry_run"]) == ("churn", "main", False)
    assert set(found["tags"]) == set(git("tag").split()) - before
    assert all(key in found for key in ("version", "stage", "subject", "changes", "hold", "files", "record", "notices"))


@pytest.mark.parametrize("name", WRITERS)
def test_writer_with_dry_run_writes_nothing(
    name: str, churn: Path, model: Path, mreg_here: Mreg, tmp_path: Path
) -> None:
    before = snapshot(tmp_path)
    result = mreg_here(*WRITERS[name], "--dry-run", check=0)
    found = json.loads(mreg_here(*WRITERS[name], "--dry-run", "--format", "json", check=0).out)
    assert result.out.startswith("would: ")
    assert result.err == ""
    assert (found["changed"], found["dry_run"], found["commit"], found["tags"]) == (True, True, None, [])
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", WRITERS)
def test_writer_with_branch_commits_there_and_tags_nothing(
    name: str, churn: Path, model: Path, mreg_here: Mreg, git: Git
) -> None:
    refs, listed = git("for-each-ref", "refs/heads/main", "refs/tags"), mreg_here("list", check=0)
    result = mreg_here(*WRITERS[name], "--branch", "proposal", check=0)
    assert "\nbranch " in result.out
    assert "\ntag " not in result.out
    assert git("for-each-ref", "refs/heads/main", "refs/tags") == refs
    assert git("rev-parse", "proposal~1") == git("rev-parse", "main")
    assert (git("status", "--porcelain"), git("symbolic-ref", "HEAD")) == ("", "refs/heads/main")
    assert mreg_here("list", check=0) == listed
    git("merge", "--quiet", "--squash", "proposal")
    git("commit", "--quiet", "--message=Merge the proposal (#1)")
    mreg_here("sync", check=0)
    assert mreg_here("sync", check=0).out.startswith("nothing to do")


@pytest.mark.parametrize("name", ACTIONS)
def test_writer_is_in_the_history_with_its_reason(name: str, churn: Path, mreg_here: Mreg) -> None:
    words = WRITERS[name]
    mreg_here(*words, check=0)
    newest = json.loads(mreg_here("history", "--format", "json", check=0).out)["transitions"][0]
    assert (newest["action"], newest["by"]) == (ACTIONS[name], "ada@example.com")
    assert newest["reason"] == words[words.index("--reason") + 1]
    assert newest["approved_by"] == (["jane@example.com"] if name == "rollback" else [])


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (("init",), "this is already a model registry"),
        (("promote", "churn@v2", "production", "-m", "again"), "churn v2.0.0 is already in production"),
        (("clear", "churn", "staging"), "churn has no version in staging"),
        (("archive", "churn@v1", "--undo"), "churn v1.0.0 is not archived"),
    ],
)
def test_writer_with_nothing_to_do_says_so(words: tuple[str, ...], note: str, churn: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    result = mreg_here(*words, check=0)
    assert (normalise(result.out), result.err) == (f"nothing to do\n\nnote  {note}\n", "")
    found = json.loads(mreg_here(*words, "--format", "json", check=0).out)
    assert (found["changed"], found["commit"], found["tags"], found["notices"]) == (False, None, [], [note])
    assert snapshot(churn) == before


def test_writer_in_markdown_is_readable(churn: Path, mreg_here: Mreg) -> None:
    written = mreg_here(*WRITERS["promote"], "--format", "markdown", check=0).out
    assert "Promote churn v3.0.0 to staging" in written
    assert "`churn#staging#3`" in written


def test_register_takes_paths_from_the_directory_of_c(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    for name, text in (
        ("model.bin", "bytes"),
        ("metrics.json", '{"test": {"auc": 0.95}}'),
        ("params.toml", "depth = 7"),
    ):
        (churn / name).write_text(text)
    files = ("--metrics", "metrics.json", "--params", "params.toml")
    mreg_here("-C", "repo", "register", "churn", "model.bin", *files, cwd=tmp_path, check=0)
    shown = json.loads(mreg_here("show", "churn", "--format", "json", check=0).out)
    assert (shown["version"], shown["metrics"], shown["params"]) == ("v4.0.0", {"test.auc": 0.95}, {"depth": 7})


def test_register_flag_wins_over_file_and_later_file_over_earlier(churn: Path, model: Path, mreg_here: Mreg) -> None:
    for name, text in (("one.json", '{"a": 1, "b": 1, "c": 1}'), ("two.yaml", "b: 2\nc: 2\n")):
        Path(name).write_text(text)
    words = ("--metrics", "one.json", "--metrics", "two.yaml", "--metric", "c=3")
    found = json.loads(mreg_here("register", "churn", "../model.bin", *words, "--format", "json", check=0).out)
    assert found["record"]["metrics"] == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("moment", ["2026-11-20", "2026-11-20T09:12:00Z", "2026-11-20T10:12:00+01:00"])
def test_register_trained_at_takes_what_mreg_writes(moment: str, churn: Path, model: Path, mreg_here: Mreg) -> None:
    words = ("register", "churn", "../model.bin", "--trained-at", moment, "--format", "json")
    trained_at = json.loads(mreg_here(*words, check=0).out)["record"]["trained_at"]
    assert trained_at in {"2026-11-20T00:00:00Z", "2026-11-20T09:12:00Z"}


def test_register_pickle_warns_and_says_why(churn: Path, model_file: Path, mreg_here: Mreg) -> None:
    result = mreg_here("register", "churn", str(model_file), check=0)
    assert "\nnote  model.pkl: " in normalise(result.out)
    assert "while it is loaded; load it only from people you trust" in result.out


def test_init_says_what_it_did(repo: Path, mreg_here: Mreg, git: Git) -> None:
    planned = mreg_here("init", "--dry-run", "--remote", "../store", check=0)
    assert git("status", "--porcelain") == ""
    assert normalise(planned.out).startswith("would: Make this repository a model registry\n\nfile  .dvc/.gitignore\n")
    result = mreg_here("init", "--remote", "../store", check=0)
    assert (normalise(result.out), result.err) == (
        "Make this repository a model registry\n\ncommit  <oid>\nbranch  main\n",
        "",
    )
    assert git("status", "--porcelain") == ""


def test_init_json_keeps_its_contract(repo: Path, mreg_here: Mreg, git: Git) -> None:
    found = json.loads(mreg_here("init", "--format", "json", check=0).out)
    assert (found["schema"], found["changed"], found["tags"]) == (1, True, [])
    assert found["commit"] == git("rev-parse", "HEAD")


def test_sync_makes_the_tags_of_merged_commits(churn: Path, mreg_here: Mreg, git: Git) -> None:
    git("tag", "--delete", "churn@v3.0.0", "churn#production#2")
    planned = mreg_here("sync", "--dry-run", check=0)
    assert git("tag", "--list", "churn@v3.0.0") == ""
    expected = "made 2 tags\n\ntag  churn@v3.0.0\ntag  churn#production#2\nalready there  3\n"
    assert normalise(planned.out).startswith(expected.replace("made", "would make"))
    result = mreg_here("sync", "--format", "json", check=0)
    found = json.loads(result.out)
    assert (found["schema"], found["changed"], found["tags"]) == (1, True, ["churn@v3.0.0", "churn#production#2"])
    assert normalise(mreg_here("sync", check=0).out) == "nothing to do: no tag is missing\n\nalready there  5\n"


def test_sync_with_a_finding_ends_with_no(churn: Path, mreg_here: Mreg, git: Git) -> None:
    git("tag", "churn#production#9", "HEAD")
    result = mreg_here("sync", check=1)
    assert "refs/tags/churn#production#9" in result.out
    assert result.err == ""


def test_doctor_says_what_is_wrong_and_the_command_that_mends_it(churn: Path, mreg_here: Mreg, git: Git) -> None:
    assert mreg_here("doctor", check=0).out.count(" ok ") >= 8
    git("tag", "--delete", "churn@v3.0.0")
    result = mreg_here("doctor", check=1)
    assert "tags fault 1 tag is missing, first churn@v3.0.0 git fetch --tags && mreg sync" in " ".join(
        result.out.split()
    )
    found = json.loads(mreg_here("doctor", "--format", "json", check=1).out)
    assert (found["schema"], found["ok"]) == (1, False)


def test_doctor_fix_of_a_hostile_name_runs_nothing(churn: Path, mreg_here: Mreg, git: Git) -> None:
    import subprocess

    stray = churn / "registry" / "$(touch pwned) ; touch pwned"
    stray.write_text("x")
    git("tag", "churn#production!#9", "HEAD")
    git("add", "--all")
    git("commit", "--quiet", "--message=Stray")
    checks = json.loads(mreg_here("doctor", "--format", "json", check=1).out)["checks"]
    fixes = [check["fix"] for check in checks if not check["ok"]]
    assert len(fixes) >= 2
    for fix in fixes:
        done = subprocess.run(["bash", "-c", fix.replace("mreg", "true")], capture_output=True, check=False)
        assert done.returncode == 0, (fix, done.stderr)
    assert not (churn / "pwned").exists()


def test_doctor_fix_of_a_branch_behind_its_remote_works(churn: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    import shlex

    git("clone", "--quiet", str(churn), str(tmp_path / "clone"))
    mreg_here(*WRITERS["promote"], check=0)
    git("fetch", "--quiet", cwd=tmp_path / "clone")
    for branch in ("main", "elsewhere"):
        git("checkout", "--quiet", "-B", branch, "main", cwd=tmp_path / "clone")
        checks = json.loads(mreg_here("doctor", "--format", "json", cwd=tmp_path / "clone").out)["checks"]
        [fix] = [check["fix"] for check in checks if check["name"] == "registry branch"]
        git(*shlex.split(fix)[1:], cwd=tmp_path / "clone")
        assert git("rev-parse", "main", cwd=tmp_path / "clone") == git("rev-parse", "main")
        git("update-ref", "refs/heads/main", "HEAD~1", cwd=tmp_path / "clone")
        git("checkout", "--quiet", "--detach", "main", cwd=tmp_path / "clone")
