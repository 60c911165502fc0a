"""Notices: who is told, and words that stay inert whatever people have written into a registry."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.timeline import Action, Transition
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.results import History
from mreg.core.settings.people import Actor, Person
from mreg.core.settings.sinks import Sink, SinkKind
from mreg.core.sharing.notices import MAX_LINE, MAX_REASON, Notice, is_told, transition_document, write_notice
from mreg.render.formats.json import render_json

DOCUMENT = Path(__file__).parents[2] / "docs" / "notifications.md"
PRODUCTION, STAGING = StageName("production"), StageName("staging")
V2, V3 = Version(2), Version(3)
MOVE = Transition(
    model=ModelName("churn"),
    stage=PRODUCTION,
    action=Action.PROMOTE,
    source=V2,
    target=V3,
    by="jane@example.com",
    at=datetime(2026, 11, 20, 9, 12, tzinfo=timezone.utc),
    reason="AUC 0.913 against 0.902",
    approved_by=("ann@example.com", "bo@example.com"),
    commit="7437c4c411dd392e0299896a07db26ed2778c0c0",
    author="Jane Doe",
    email="jane@example.com",
)
SINK = Sink("chat", SinkKind.SLACK, "CHAT_URL")
MENTION = re.compile(r"@\w|<[!@#]|<[a-z]+:")
LINK = re.compile(r"\][(\[:]")


def test_notice_of_a_promotion_says_who_what_why_and_where() -> None:
    jane = Actor("jane@example.com", Person("jane", ("jane@example.com",)), is_proven=True)
    notice = write_notice(MOVE, actor=jane)
    assert notice.title == "churn v3.0.0 is in production"
    assert notice.body.splitlines() == [
        "production: v2.0.0 → v3.0.0",
        "by: jane <jane@example.com> (proven)",
        "approved by: ann@example.com (claimed), bo@example.com (claimed)",
        "at: 2026-11-20T09:12:00Z",
        "commit: 7437c4c411dd392e0299896a07db26ed2778c0c0, by Jane Doe <jane@example.com>",
        "why:",
        "> AUC 0.913 against 0.902",
    ]


def test_notice_of_names_that_nobody_proved_says_claimed() -> None:
    body = write_notice(MOVE).body
    assert "by: jane@example.com (claimed)\n" in body
    assert "approved by: ann@example.com (claimed), bo@example.com (claimed)\n" in body


@pytest.mark.parametrize(
    ("change", "title", "move"),
    [
        ({"source": None}, "churn v3.0.0 is in production", "production: nothing → v3.0.0"),
        (
            {"action": Action.ROLLBACK, "source": V3, "target": V2},
            "churn production is rolled back to v2.0.0",
            "production: v3.0.0 → v2.0.0",
        ),
        ({"action": Action.CLEAR, "target": None}, "churn production is empty", "production: v2.0.0 → nothing"),
        (
            {"stage": ARCHIVED, "action": Action.ARCHIVE, "source": None},
            "churn v3.0.0 is archived",
            "by: jane@example.com (claimed)",
        ),
        (
            {"stage": ARCHIVED, "action": Action.CLEAR, "target": None},
            "churn v2.0.0 is out of the archive",
            "by: jane@example.com (claimed)",
        ),
    ],
)
def test_notice_titles_and_moves(change: dict[str, object], title: str, move: str) -> None:
    notice = write_notice(replace(MOVE, **change))
    assert (notice.title, notice.body.splitlines()[0]) == (title, move)


def test_notice_approvers_are_left_out_where_there_are_none() -> None:
    assert "approved" not in write_notice(replace(MOVE, approved_by=())).body


def test_notice_bounds_what_it_repeats() -> None:
    names = tuple(f"person-{number}@example.com" for number in range(50))
    notice = write_notice(replace(MOVE, reason="x" * 100_000, author="y" * 100_000, approved_by=names))
    assert "and 30 more" in notice.body
    assert "y" * (MAX_LINE + 1) not in notice.body
    assert "x" * (MAX_REASON + 1) not in notice.body
    assert notice.body.endswith("> … (the commit has all of it)")
    assert len(notice.slack_text) < 40_000  # what Slack takes
    assert notice.document["reason"] == "x" * 100_000


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        (SINK, True),
        (replace(SINK, stages=(PRODUCTION,)), True),
        (replace(SINK, stages=(STAGING, ARCHIVED)), False),
        (replace(SINK, actions=("promote",)), True),
        (replace(SINK, actions=("rollback", "clear")), False),
        (replace(SINK, stages=(PRODUCTION,), actions=("rollback",)), False),
    ],
)
def test_sink_is_told_of_its_stages_and_actions(sink: Sink, told: bool) -> None:
    assert is_told(sink, MOVE) is told


def test_sink_is_not_told_of_what_was_read_from_gto() -> None:
    assert not is_told(SINK, replace(MOVE, adopted="churn#production#2"))


# What must do no harm, and what of it must still be read.
HOSTILE = [
    ("<!channel> <!here> <!everyone>", "&lt;!channel&gt;"),
    ("<@U123ABC> <#C123> <!subteam^S1>", "&lt;@"),
    ("@here @channel @all @everyone @jane", "here"),
    ("<https://evil.example|the dashboard>", "&lt;https://evil.example|the dashboard&gt;"),
    ("[the dashboard](https://evil.example) ![](https://evil.example/pixel)", "[the dashboard]"),
    ("[text][1]\n\n[1]: https://evil.example", "[text]"),
    ("&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;"),
    ("fine\r\nApproved-by: the boss\rBcc: eve@example.com\n\napproved by: the boss (proven)", "\n&gt; "),
    ("a\u202egnp.exe\u2066b\u200bc\x00\x07\x1b[31m\u2028d\x85e", "\\u202e"),
    ("\ud800 lone surrogate", "\\ud800"),
    ("```\nwhy:\n```", "&gt; why:"),
]


@pytest.mark.parametrize(("text", "kept"), HOSTILE)
def test_notice_hostile_reason_is_inert(text: str, kept: str) -> None:
    notice = write_notice(replace(MOVE, reason=text))
    check_inert(notice)
    assert kept in notice.slack_text
    own, _, said = notice.body.partition("\nwhy:\n")
    assert own == write_notice(MOVE).body.partition("\nwhy:\n")[0]
    assert all(line.startswith(">") for line in said.split("\n"))


@pytest.mark.parametrize("field", ["by", "author", "email", "commit", "model", "stage"])
@pytest.mark.parametrize("text", [text for text, _ in HOSTILE])
def test_notice_hostile_name_is_inert(field: str, text: str) -> None:
    notice = write_notice(replace(MOVE, **{field: text}))
    check_inert(notice)
    assert len(notice.body.split("\n")) == len(write_notice(MOVE).body.split("\n"))


@given(text=st.text(), name=st.text())
def test_notice_of_any_text_is_inert(text: str, name: str) -> None:
    check_inert(write_notice(replace(MOVE, reason=text, by=name, author=name, approved_by=(name, text))))


def check_inert(notice: Notice) -> None:
    """Fails where a text breaks out of its line, pings, links, or has a character that is not seen."""
    assert len(notice.title.splitlines()) == 1
    assert len(notice.body.splitlines()) == len(notice.body.split("\n"))
    for text in (notice.title, notice.body):
        hidden = {unicodedata.category(each) for each in text if each not in "\n\u200c\u200d"}
        assert hidden.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
        text.encode()
    assert not MENTION.search(notice.slack_text)
    assert not LINK.search(notice.slack_text)
    assert not set("<>") & set(notice.slack_text)
    json.dumps(notice.document)


def test_notice_document_has_the_keys_of_history() -> None:
    elsewhere = MOVE.at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    for move in (MOVE, replace(MOVE, source=None, at=elsewhere), replace(MOVE, target=None, action=Action.CLEAR)):
        document = transition_document(move)
        assert list(document.items())[:2] == [("schema", 1), ("event", "transition")]
        [shown] = json.loads(render_json(History((move,))))["transitions"]
        assert list(document.items())[2:] == list(shown.items())


def test_notice_document_is_the_documented_one() -> None:
    [example] = re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert list(json.loads(example).items()) == list(transition_document(MOVE).items())


def test_notice_text_is_the_documented_one() -> None:
    examples = re.findall(r"^```text\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    notice = write_notice(MOVE)
    assert f"{notice.title}\n{notice.body}\n" in examples
