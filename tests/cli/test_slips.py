"""What is typed by habit: the hint is the command that was meant, and it works."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.cli.checks import check_refused
from tests.conftest import Mreg

SLIPS = [
    ("list churn@v1", "show churn@v1"),
    ("list churn@v1 -f json", "show churn@v1 -f json"),
    ("history churn@v1", "show churn@v1"),
    ("history churn@production", "history churn production"),
    ("show churn v1", "show churn@v1"),
    ("show churn production", "show churn@production"),
    ("pull churn production -o out", "pull churn@production -o out"),
    ("pull churn latest -o out --force", "pull churn@latest -o out --force"),
    ("promote churn v3 production -m x", "promote churn@v3 production -m x"),
    ("promote churn production v3 -m x", "promote churn@v3 production -m x"),
    ("promote -m x churn v3 production", "promote churn@v3 production -m x"),
    ("approve churn v3 production", "approve churn@v3 production"),
    ("archive churn v3 --reason x", "archive churn@v3 --reason x"),
    ("compare churn v1 v2", "compare churn@v1 churn@v2"),
    ("compare churn@v1 v2", "compare churn@v1 churn@v2"),
    ("rollback churn@v1 production -m x", "rollback churn production --to v1 -m x"),
    ("rollback churn@production -m x", "rollback churn production -m x"),
    ("clear churn@v2 production", "clear churn production"),
    ("hold churn@production -m x", "hold churn production -m x"),
    ("best churn@v1 --by auc", "best churn --by auc"),
    ("promote churn@v3 --to production -m x", "promote churn@v3 production -m x"),
    ("promote churn@v3 --stage=production -m x", "promote churn@v3 production -m x"),
    ("promote churn --version v3 --stage production -m x", "promote churn@v3 production -m x"),
    ("promote churn@v3 production --message x", "promote churn@v3 production --reason x"),
    ("promote churn@v3 production 'it is better'", "promote churn@v3 production --reason 'it is better'"),
    ("promote production churn@v3 -m x", "promote churn@v3 production -m x"),
    ("promote churn:v3 production -m x", "promote churn@v3 production -m x"),
    ("show churn:production", "show churn@production"),
    ("show churn/v1", "show churn@v1"),
    ("compare churn:v1 churn==2", "compare churn@v1 churn@2"),
    ("rollback churn production v1 -m x", "rollback churn production --to v1 -m x"),
    ("rollback churn production --to churn@v1 -m x", "rollback churn production --to v1 -m x"),
    ("log churn production", "history churn production"),
    ("ls", "list"),
    ("shwo churn@v1", "show churn@v1"),
    ("histroy churn production", "history churn production"),
    ("--format json list", "list --format json"),
    ("-f json show churn:v1", "show churn@v1 -f json"),
    ("-n promote churn@v3 production -m x", "promote churn@v3 production -m x -n"),
    ("--format=markdown doctor", "doctor --format=markdown"),
    ("diff churn@v1 churn@v2 -f json", "compare churn@v1 churn@v2 -f json"),
    ("revert churn production -m x", "rollback churn production -m x"),
    ("get churn@v1 -o out", "pull churn@v1 -o out"),
    ("register ../model.bin churn", "register churn ../model.bin"),
    ("register churn@v9 ../model.bin", "register churn ../model.bin --version v9"),
]
OTHERS = [
    ("list Churn", "use 'churn'"),
    ("show churn v1 v2", "mreg show --help"),
    ("promote churn production staging v1 -m x", "mreg promote --help"),
    ("register ../absent.bin churn", "use 'absent-bin'"),
    ("compare v1 v2", "examples: churn"),
    ("promote churn v3 production --nosuch", "mreg promote --help"),
    ("promote churn@v3 --to production --bump x", "mreg promote --help"),
    ("promote churn@v3 production -m it is better", "mreg promote --help"),
    ("rollback churn@v3 -m x", "mreg rollback --help"),
    ("clear churn@v3", "mreg clear --help"),
    ("promote churn@v3 production --reason", "mreg promote --help"),
    ("promote", "mreg promote --help"),
    ("promot", "mreg promote --help"),
    ("--nosuch list", "mreg --help"),
    ("bogus", "mreg --help"),
    ("rollback", "mreg rollback --help"),
    ("best", "mreg best --help"),
    ("add churn", "mreg register --help"),
    ("history --stages production", "mreg history --help"),
    ("compare churn --to v2", "mreg compare --help"),
    ("history ls status log", "mreg history --help"),
]


@pytest.mark.parametrize(("typed", "meant"), SLIPS)
def test_slip_is_answered_with_what_was_meant(
    typed: str, meant: str, churn: Path, model: Path, mreg_here: Mreg
) -> None:
    result = mreg_here(*shlex.split(typed))
    assert result.code == 2
    hint = result.err.rpartition("hint: ")[2].strip().splitlines()[-1]
    if "json" not in typed:
        check_refused(result, 2)
        assert hint == f"mreg {meant}"
    mreg_here(*shlex.split(meant), check=0)


@pytest.mark.parametrize(("typed", "hint"), OTHERS)
def test_other_errors_keep_their_hint(typed: str, hint: str, churn: Path, model: Path, mreg_here: Mreg) -> None:
    check_refused(mreg_here(*shlex.split(typed)), 2, hint=hint)


def test_slip_from_another_directory_looks_there(churn: Path, model: Path, mreg_here: Mreg) -> None:
    meant = f"mreg -C {churn} register churn ../model.bin"
    check_refused(mreg_here("-C", str(churn), "register", "../model.bin", "churn", cwd=Path("/")), 2, hint=meant)
    check_refused(mreg_here("-C", str(churn), "log", "churn", cwd=Path("/")), 2, hint=f"mreg -C {churn} history churn")


def test_init_that_is_to_push_is_followed_by_a_push(churn: Path, mreg_here: Mreg) -> None:
    meant = f"mreg -C {churn} init --remote store && mreg -C {churn} push"
    refused = mreg_here("-C", str(churn), "init", "--push", "--remote", "store", cwd=Path("/"))
    check_refused(refused, 2, "no such option: --push", hint=meant)


def test_hint_from_another_directory_works_where_it_is_pasted(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    here, there = churn.parent, churn.name
    for words in (("-C", there), (f"--directory={there}",)):
        check_refused(mreg_here(*words, "promote", "chrn", "staging", cwd=here), 4, hint=f"mreg -C {there} list")
    done = mreg_here("-C", there, "promote", "churn@v3", "staging", "-m", "why", cwd=here, check=0).out
    assert f"mreg -C {there} pull churn@staging" in done
    failed = mreg_here("-C", there, "show", "chrn", "--format", "json", cwd=here)
    assert f"mreg -C {there} list" in json.loads(failed.err)["error"]["hint"]
