"""The log: trailers as Git finds them, and commits that change nothing that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mreg.stores.git.parsing import find_addresses
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git

MESSAGES = {
    "none": "Subject\n\nBody",
    "one": "Subject\n\nBody\n\nMreg-Model: churn\nMreg-Version: v2.0.0",
    "above": "Subject\n\nMreg-Model: fraud\n\nBody\n\nMreg-Model: churn",
    "body alone": "Subject\n\nMreg-Model: fraud\n\nBody",
    "folded": "Subject\n\nMreg-Model: churn\n and more\nApproved-by: x",
    "indented": "Subject\n\n    Mreg-Model: churn\n    Mreg-Version: v1.0.0",
    "mixed": "Subject\n\nsome words\nMreg-Model: churn",
    "mixed, signed off": "Subject\n\nMreg-Model: churn\nwords\nSigned-off-by: A <a@example.com>",
    "comment": "Subject\n\nMreg-Model: churn\n# a comment",
    "empty": "Subject\n\nMreg-Model:\nMreg-Stage: production",
    "line separator": "Subject\n\nMreg-Model: a\u2028b\nMreg-Stage: \x0b",
    "dashes": "Subject\n\n---\n\nMreg-Model: churn",
    "scissors": f"Subject\n\nMreg-Model: churn\n# {'-' * 24} >8 {'-' * 24}\nMreg-Model: fraud",
    "other separator": "Subject\n\nMreg-Model= churn",
    "subject alone": "Mreg-Model: churn",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
def test_log_trailers_are_those_that_git_finds(repo: Path, git: Git, message: str) -> None:
    git("commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--file=-", input=message)
    wanted = git("interpret-trailers", "--parse", "--no-divider", input=message + "\n").split("\n")
    (*_, last) = GitRepository(repo).log("HEAD", ["nowhere"], is_whole=True)
    assert [f"{key}: {value}".rstrip() for key, value in last.trailers] == [line.rstrip() for line in wanted if line]


def test_log_trailers_do_not_depend_on_the_users_settings(repo: Path, git: Git) -> None:
    git("commit", "--quiet", "--allow-empty", "--file=-", input=MESSAGES["one"])
    for setting in ("trailer.separators=#", "core.commentChar=M"):
        git("config", *setting.split("="))
    (*_, last) = GitRepository(repo).log("HEAD", ["nowhere"], is_whole=True)
    assert last.trailers == (("Mreg-Model", "churn"), ("Mreg-Version", "v2.0.0"))


def test_log_whole_has_every_commit_with_the_changes_asked_for(repo: Path, git: Git) -> None:
    for name in ("a/x", "b/y", "a/z"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text(name)
        git("add", name)
        git("commit", "--quiet", f"--message={name}")
    found = GitRepository(repo).log("HEAD", ["a"], is_whole=True)
    assert [(each.subject, [change.path for change in each.changes]) for each in found] == [
        ("Begin", []),
        ("a/x", ["a/x"]),
        ("b/y", []),
        ("a/z", ["a/z"]),
    ]
    assert [each.subject for each in GitRepository(repo).log("HEAD", ["a"])] == ["a/x", "a/z"]
    assert [each.subject for each in GitRepository(repo).log("HEAD", ["a"], since="HEAD~2", is_whole=True)] == [
        "b/y",
        "a/z",
    ]


def test_is_linear_tells_of_merges(repo: Path, git: Git) -> None:
    assert GitRepository(repo).is_linear("HEAD")
    git("checkout", "--quiet", "-b", "side")
    git("commit", "--quiet", "--allow-empty", "--message=Side")
    git("checkout", "--quiet", "main")
    git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    assert not GitRepository(repo).is_linear("HEAD")
    assert GitRepository(repo).is_linear("side")


def test_find_addresses_in_names() -> None:
    assert find_addresses("A <a@x.org>, B <b@y.org>,<c@z>, d@e, <f>") == ["a@x.org", "b@y.org", "c@z"]
