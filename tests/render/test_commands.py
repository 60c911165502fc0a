"""Tests of commands as they work where the user stands."""

from __future__ import annotations

import pytest

from mreg.core.results import Check, Diagnosis
from mreg.render.commands import place_commands
from mreg.render.formats.columns import iter_columns
from mreg.render.formats.json import iter_json
from mreg.render.formats.table import iter_table
from tests.render.whole import render_markdown

HINTS = [
    ("mreg list", "mreg -C r list"),
    ("git fetch --tags && mreg sync", "git -C r fetch --tags && mreg -C r sync"),
    ("git init && mreg init   # or mreg init --adopt", "git -C r init && mreg -C r init   # or mreg -C r init --adopt"),
    ('git revert --no-edit "$(git log -1 -- :/a)"', 'git -C r revert --no-edit "$(git -C r log -1 -- :/a)"'),
    ("dvc remote modify s3 url", "dvc --cd r remote modify s3 url"),
    ("mreg hold churn production --reason 'git push'", "mreg -C r hold churn production --reason 'git push'"),
    ("""mreg clear a b --reason 'it'"'"'s git push'""", """mreg -C r clear a b --reason 'it'"'"'s git push'"""),
    ("mreg push --dry-run   # then mreg push", "mreg -C r push --dry-run   # then mreg -C r push"),
    ("mreg promote git staging   # or mreg list", "mreg -C r promote git staging   # or mreg -C r list"),
    ("mreg hold team/git production; git log", "mreg -C r hold team/git production; git -C r log"),
    ("let mreg register write them: mreg register", "let mreg register write them: mreg -C r register"),
    ("ls -ld registry/git stuff", "ls -ld registry/git stuff"),
]  # fmt: skip
AS_THEY_ARE = [
    "mreg --help",
    "mreg promote --help",
    "mreg -C elsewhere list",
    "git -C elsewhere rebase --abort",
    "git clone https://example.com/r registry && mreg -C registry verify",
    "git config --global user.name 'Your Name'",
    "git version",
    "report it to the maintainers of mreg, with the lines above",
    "check the path",
]


@pytest.mark.parametrize(("hint", "meant"), HINTS)
def test_place_commands_of_a_hint_have_the_directory(hint: str, meant: str) -> None:
    assert place_commands(hint, "r") == meant


@pytest.mark.parametrize("hint", AS_THEY_ARE)
def test_place_commands_leaves_what_works_everywhere(hint: str) -> None:
    assert place_commands(hint, "r") == hint


def test_place_commands_quotes_the_directory() -> None:
    assert place_commands("mreg list", "my models") == "mreg -C 'my models' list"
    assert place_commands("mreg list", "") == "mreg list"


@pytest.mark.parametrize("form", ["columns", "table", "json"])
def test_place_commands_in_results_are_those_that_mend(form: str) -> None:
    result = Diagnosis((Check("tags", ok=False, message="run mreg sync", fix="mreg sync"),))
    shown = {
        "columns": lambda: iter_columns(result, directory="my r"),
        "table": lambda: iter_table(result, width=200, directory="my r"),
        "json": lambda: iter_json(result, directory="my r"),
    }
    text = "".join(shown[form]())
    assert text.count("mreg -C 'my r' sync") == 1
    assert "run mreg sync" in text


def test_place_commands_of_a_page_that_is_read_elsewhere_stay() -> None:
    result = Diagnosis((Check("tags", ok=False, message="one is missing", fix="mreg sync"),))
    assert "`mreg sync`" in render_markdown(result)
