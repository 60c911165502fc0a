"""Whom a squash must name, from plain values."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from mreg.core.history.timeline import Commit
from mreg.core.names import ModelName, StageName, parse_version
from mreg.core.review.difference import Difference
from mreg.core.review.reviewed import GivenApproval
from mreg.core.review.squashing import advise_forged, find_co_authors
from mreg.core.settings.people import Actor, Person

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)
BO = Person("bo", ("bo@example.com", "bo@home.example"))
APPROVER = Actor("bo@example.com", BO)


def commit(oid: str = "1" * 40, *, author: str = "Bo", email: str = "bo@example.com") -> Commit:
    return Commit(oid, author, email, NOW, "Approve")


def given(actor: Actor | None = APPROVER, code: str = "", path: str = "a.yaml") -> GivenApproval:
    return GivenApproval(path, ModelName("churn"), parse_version("v1"), StageName("production"), actor, code=code)


def difference(*commits: Commit, head: str = "1" * 40) -> Difference:
    return Difference("0" * 40, commit(head), sources={"a.yaml": commits, "b.yaml": commits}, is_checked_out=True)


@pytest.mark.parametrize(
    ("approval", "by", "expected"),
    [
        (given(), commit(), ("Bo <bo@example.com>",)),
        (given(), commit(author="Bo B.", email="BO@home.example"), ("Bo B. <BO@home.example>",)),
        (given(), commit(author="Ada", email="ada@example.com"), ("bo <bo@example.com>",)),  # a co-author already
        (given(Actor("dan@example.com")), commit(), ("dan <dan@example.com>",)),
        (given(code="approval-self"), commit(), ("Bo <bo@example.com>",)),
        (given(Actor("bo@example.com", BO, is_proven=True)), commit(), ()),
        (given(code="approval-unsigned"), commit(), ()),
        (given(code="approval-forged"), commit(), ()),
        (given(None, code="approval-unreadable"), commit(), ()),
        (given(path="staged.yaml"), commit(), ()),
    ],
)
def test_squash_must_name(approval: GivenApproval, by: Commit, expected: tuple[str, ...]) -> None:
    assert find_co_authors([approval], difference(by)) == expected


def test_squash_must_name_a_person_once() -> None:
    assert len(find_co_authors([given(), given(path="b.yaml")], difference(commit()))) == 1


@pytest.mark.parametrize(
    ("approval", "head", "is_told"),
    [
        (given(code="approval-forged"), "1" * 40, True),
        (given(code="approval-forged"), "2" * 40, False),
        (given(Actor("bo@example.com", BO, fault="broken"), code="approval-forged"), "1" * 40, False),
        (given(None, code="approval-unreadable"), "1" * 40, False),
        (given(code="approval-forged", path="staged.yaml"), "1" * 40, False),
    ],
)
def test_forged_approval_of_the_newest_commit_may_be_a_squash(
    approval: GivenApproval, head: str, is_told: bool
) -> None:
    command = "git commit --amend --no-edit --trailer 'Co-authored-by: bo <bo@example.com>'"
    assert advise_forged(approval, difference(commit(), head=head)).startswith(command) is is_told
