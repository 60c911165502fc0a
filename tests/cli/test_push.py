"""``mreg push``: what people and programs see of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mreg.cli.exit_codes import ExitCode
from tests.conftest import Git, Mreg
from tests.registry.teams import Team, found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("team")


@pytest.fixture
def sides(made: Path, repo: Path, tmp_path: Path, git: Git, mreg_here: Mreg) -> tuple[Team, Path]:
    """A clone whose stage others changed too, with a change of its own beside it."""
    team = found(made, repo, tmp_path, git)
    ada, bo = team.clone("ada"), team.clone("bo")
    mreg_here("promote", "churn@v1", "staging", "--reason", "theirs", "--push", cwd=ada, check=0)
    mreg_here("promote", "churn@v2", "staging", "--reason", "mine", cwd=bo, check=0)
    mreg_here("promote", "churn@v3", "production", "--reason", "mine too", cwd=bo, check=0)
    return team, bo


def oids(team: Team, bo: Path) -> list[str]:
    return team.git("log", "--reverse", "--format=%h", "--abbrev=12", "origin/main..main", cwd=bo).split("\n")


def test_push_table_tells_what_became_of_each_commit(sides: tuple[Team, Path], mreg_here: Mreg) -> None:
    team, bo = sides
    mine, other = oids(team, bo)
    found = mreg_here("push", "--drop", mine, cwd=bo, check=0)
    tip = team.git("rev-parse", "--short=12", "main", cwd=bo)
    assert found.err == ""
    assert (
        found.out
        == f"""\
pushed 2 commits and 1 tag to origin/main

commit  {tip}
tag     churn#production#2
remade  churn#production#2
remade  churn#staging#1

commits
here          way      there         subject
{mine}  dropped  -             Promote churn v2.0.0 to staging
{other}  remade   {tip}  Promote churn v3.0.0 to production
"""
    )
    assert mreg_here("push", cwd=bo, check=0).out.startswith("nothing to push: origin/main has everything\n")


def test_push_conflict_says_who_what_where_and_how_to_go_on(sides: tuple[Team, Path], mreg_here: Mreg) -> None:
    team, bo = sides
    mine, _ = oids(team, bo)
    refused = mreg_here("push", cwd=bo, check=ExitCode.CONFLICT)
    theirs = team.git("rev-parse", "--short=12", "origin/main", cwd=bo)
    error, hint = refused.err.splitlines()
    assert refused.out == ""
    assert error.startswith("error: main here and origin/main both changed churn staging: here nothing → v2.0.0 by ")
    for text in (f"in {mine}, there nothing → v1.0.0 by ", f"in {theirs} (registry/churn/stages/staging.yaml)"):
        assert text in error
    again = f"mreg push --drop {mine} && mreg promote churn@v2.0.0 staging --reason mine --push"
    assert hint == f"hint: mreg push --drop {mine}   # leaves out what was made here; to make it again on top: {again}"
    told = json.loads(mreg_here("push", "--format", "json", cwd=bo, check=ExitCode.CONFLICT).err)["error"]
    assert (told["code"], [each["matter"] for each in told["details"]["conflicts"]]) == ("conflict", ["stage"])


@pytest.mark.parametrize("form", ["table", "json", "markdown", "github"])
def test_push_dry_run_shows_conflicts_in_each_format(form: str, sides: tuple[Team, Path], mreg_here: Mreg) -> None:
    team, bo = sides
    before = team.refs(bo), team.refs()
    found = mreg_here("push", "--dry-run", "--format", form, cwd=bo, check=ExitCode.CONFLICT)
    assert (team.refs(bo), team.refs(), found.err) == (*before, "")
    if form == "json":
        (conflict,) = json.loads(found.out)["conflicts"]
        assert (conflict["ours"]["says"], conflict["theirs"]["says"]) == ("nothing → v2.0.0", "nothing → v1.0.0")
    elif form == "github":
        assert found.out.startswith("::error file=registry/churn/stages/staging.yaml,title=mreg push")
    else:
        assert "1 of 2 commits of main cannot land on origin/main, so none of them does" in found.out
        drop = f"mreg push --drop {oids(team, bo)[0]}"
        again = "mreg promote churn@v2.0.0 staging --reason mine --push"
        for label, command in (("either", drop), ("or", f"{drop} && {again}")):
            assert re.search(rf"{label}\W+{re.escape(command)}\W*$", found.out, re.MULTILINE)
        assert "next" not in found.out


def test_push_of_several_reasons_lists_them(sides: tuple[Team, Path], mreg_here: Mreg) -> None:
    team, bo = sides
    for stage in ("staging", "production"):
        (bo / f"registry/churn/stages/{stage}.yaml").write_text("version: v9.0.0\n")
    team.git("commit", "--quiet", "--all", "--message=By hand", cwd=bo)
    mine, _, last = oids(team, bo)
    refused = mreg_here("push", "--drop", mine, "--drop", last, cwd=bo, check=0)
    assert "dropped" in refused.out
    for stage in ("staging", "production"):
        (bo / f"registry/churn/stages/{stage}.yaml").write_text("version: v9.0.0\n")
    team.git("commit", "--quiet", "--all", "--message=By hand", cwd=bo)
    found = mreg_here("push", cwd=bo, check=ExitCode.NO)
    error, *lines, hint = found.err.splitlines()
    assert error == "error: what was made here may not land on origin/main, for 2 reasons"
    assert [line.split(":")[0].strip() for line in lines] == [
        f"registry/churn/stages/{stage}.yaml" for stage in ("production", "staging")
    ]
    assert hint.startswith(f"hint: mreg push --drop {oids(team, bo)[0]}   # leaves out what is refused")
    found = mreg_here("push", "--dry-run", cwd=bo, check=ExitCode.NO)
    assert "refused\nfile" in found.out


@pytest.mark.parametrize(
    ("args", "code"),
    [(["--drop", "12"], ExitCode.USAGE), (["--branch", "a..b"], ExitCode.USAGE), ([], ExitCode.OUTSIDE)],
)
def test_push_exit_codes(args: list[str], code: ExitCode, sides: tuple[Team, Path], mreg_here: Mreg) -> None:
    team, bo = sides
    if code is ExitCode.OUTSIDE:
        team.git("remote", "remove", "origin", cwd=bo)
    assert "hint: " in mreg_here("push", *args, cwd=bo, check=code).err


def test_push_where_there_is_no_registry_is_not_found(git: Git, repo: Path, mreg_here: Mreg) -> None:
    assert "mreg init" in mreg_here("push", cwd=repo, check=ExitCode.NOT_FOUND).err
