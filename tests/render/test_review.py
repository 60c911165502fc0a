from __future__ import annotations

import json
import re

import pytest
from msgspec.structs import replace

from mreg.core.review.reviewed import Review
from mreg.core.settings.policy import MetricRule, Policy
from mreg.render.formats.json import render_json
from mreg.render.formats.review import CHECK_MARK, MAX_CHARACTERS, render_review
from tests.golden.reviews import REVIEWS
from tests.render.test_markdown import LIVE, TAGS, Page
from tests.render.whole import render_columns, render_markdown, render_table

MADE = {name: make() for name, make in REVIEWS.items()}
BIG = ("hundred-transitions", "hostile", "policy-change")


def size(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def check_form(text: str) -> None:
    """Checks that no fence is open, and that every row has the cells of its table."""
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0
    cells = 0
    for line in text.split("\n"):
        if not line.startswith("| "):
            cells = 0
            continue
        found = len(re.split(r"(?<!\\)\|", line)) - 2
        assert found == (cells or found), line
        cells = found


@pytest.mark.parametrize("name", MADE)
def test_render_review_begins_with_the_mark_and_the_verdict(name: str) -> None:
    text = render_review(MADE[name])
    verdict = "## ✅ This change may land" if MADE[name].ok else "## ❌ This change may not land, for "
    assert text.startswith(f"{CHECK_MARK}\n\n{verdict}")
    assert text == render_markdown(MADE[name])
    check_form(text)


@pytest.mark.parametrize("name", MADE)
def test_render_review_hostile_text_stays_text(name: str) -> None:
    page = Page(render_review(MADE[name]).removeprefix(CHECK_MARK))
    assert set(page.tags) <= TAGS | {"h2", "pre", "em"}
    assert not LIVE.search(page.prose)


@pytest.mark.parametrize("name", BIG)
@pytest.mark.parametrize("limit", [*range(1500, 12_000, 613), 20_000, 40_000, MAX_CHARACTERS])
def test_render_review_is_cut_by_whole_rows_and_fences(name: str, limit: int) -> None:
    text = render_review(MADE[name], limit=limit)
    assert size(text) <= limit
    assert text.startswith(f"{CHECK_MARK}\n\n## ❌ This change may not land")
    check_form(text)
    whole = render_review(MADE[name], limit=10_000_000)
    assert text == whole or re.search(
        r"to fit: `mreg check --base [0-9a-f]{12} --head [0-9a-f]{12}` shows everything\._$", text
    )


def test_render_review_that_is_cut_says_how_much_is_missing() -> None:
    text = render_review(MADE["hundred-transitions"], limit=3800)
    rows, sections = map(int, re.findall(r"(\d+) (?:row|section)s?\b", text.splitlines()[-1])[::-1])
    shown = len(re.findall(r"^### ", text, re.MULTILINE))
    assert sections + shown == 1 + 3 + 1  # reasons, three that may not, the others in short
    assert rows > 0


def test_render_review_keeps_every_failing_finding_of_a_hundred_transitions() -> None:
    review = MADE["hundred-transitions"]
    text = render_review(review)
    assert size(text) <= MAX_CHARACTERS
    for change in review.changes:
        assert (f"### ❌ {change.title}" in text) is not review.is_allowed(change)
        assert change.title in text
    assert text.index("### reasons") < text.index("in short")


def test_render_review_of_nothing_and_of_the_index() -> None:
    assert render_review(Review("a" * 40, "b" * 40)) == (
        f"{CHECK_MARK}\n\n## ✅ The registry does not change\n\n"
        "- base: aaaaaaaaaaaa, whose rules apply\n- head: bbbbbbbbbbbb\n- changes: none"
    )
    staged = Review("a" * 40, "b" * 40, is_staged=True, notices=("n" * 500,) * 9, base_name="HEAD")
    assert "- head: the index, as tree bbbbbbbbbbbb" in render_review(staged)
    assert "This change may be committed" in render_review(staged)
    assert render_review(staged, limit=1000).endswith(" left out to fit: `mreg check --staged` shows everything._")


def test_render_review_table_says_the_same() -> None:
    text = render_columns(MADE["refused-promotion"])
    assert text.startswith("this change may not land, for 4 reasons\n\nbase     main, ")
    assert "\nreasons\nfault           place  " in text
    assert "\nchurn production: v1.0.0 → v3.0.0 (promote)\nby         eve@example.com (claimed)\n" in text
    assert "\nnext  mreg compare churn@production churn@v3.0.0\n" in text


@pytest.mark.parametrize("name", MADE)
def test_render_review_table_of_every_kind(name: str) -> None:
    assert render_table(MADE[name], Policy(), width=100)
    assert "\x1b" not in render_columns(MADE[name])


def test_render_review_json_has_every_reason_and_who_is_proven() -> None:
    document = json.loads(render_json(MADE["approvals-partly-there"]))
    assert (document["ok"], document["changed"], document["policy"]) == (False, True, {})
    assert [fault["code"] for fault in document["faults"]] == ["rule-approvals", "approval-forged"]
    (change,) = document["changes"]
    assert (change["allowed"], change["next"]) == (False, "mreg approve churn@v2.0.0 production --branch promote-churn")
    approvals = change["approvals"]
    assert (approvals["count"], approvals["by"], approvals["missing"]) == (2, ["managers"], 1)
    assert [each["person"] for each in approvals["approvers"]] == ["bo"]
    assert [each["code"] for each in approvals["not_counted"]] == ["approval-self", "approval-forged"]
    assert change["actor"] == {"email": "ada@example.com", "person": "ada", "proven": False, "fault": None}
    assert [each["counts"] for each in document["approvals"]] == [False, True, False]


def test_render_review_json_sets_the_policy_apart() -> None:
    policy = json.loads(render_json(MADE["policy-change"]))["policy"]
    assert {"key": "stages.production.auto", "old": None, "new": True} in policy["changes"]
    assert [each["outcome"] for each in policy["findings"]] == ["fail"]


def test_render_review_json_registration_has_its_record() -> None:
    (registration,) = json.loads(render_json(MADE["registration"]))["registrations"]
    assert (registration["model"], registration["version"]) == ("churn", "v4.0.0")
    assert registration["record"]["metrics"] == {"auc": 0.921, "latency_ms": 9.0}


def test_render_review_names_a_few_metrics_of_a_registration_and_those_of_the_policy_first() -> None:
    review = MADE["registration"]
    (registration,) = review.registrations
    assert registration.record
    record = replace(registration.record, metrics={f"m{number}": number for number in range(20)})
    policy = replace(review.policy, metrics={"m19": MetricRule()})
    many = replace(review, registrations=(replace(registration, record=record),), policy=policy)
    assert "  m19 19, m0 0, m1 1, m2 2, m3 3, m4 4, m5 5, m6 6 and 12 more  " in render_columns(many)
