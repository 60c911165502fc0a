from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from mreg.core.results import History
from mreg.render.formats.markdown import escape
from mreg.render.text import clean
from tests.render.samples import HOSTILE, POLICY, make_bare_details, make_results, make_transition
from tests.render.whole import render_markdown

TAGS = {"table", "thead", "tbody", "tr", "th", "td", "p", "ul", "li", "h3", "strong", "code"}
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
LIVE = re.compile(r"@\w|#\d|\bGH-\d|://|\bwww\.", re.IGNORECASE)
"""What GitHub makes a mention, a reference or a link of, once the Markdown is read."""


class Page(HTMLParser):
    """The tags of a page, its text, and its text outside of code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = self.prose = ""
        self.is_in_code = False
        self.feed(READER.render(markdown))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.is_in_code = tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self.is_in_code = False

    def handle_data(self, data: str) -> None:
        self.text += data
        self.prose += "" if self.is_in_code else data


@pytest.mark.parametrize("name", make_results())
def test_render_markdown_hostile_text_stays_text(name: str) -> None:
    text = render_markdown(make_results(HOSTILE)[name], POLICY)
    page = Page(text)
    assert set(page.tags) <= TAGS
    assert not LIVE.search(page.prose)
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AUC 0.913, was 0.902 (+1.2%)", "AUC 0.913, was 0.902 (+1.2%)"),
        ("max_depth", "max_depth"),
        ("_a_ *b* ~c~ `d`", "\\_a\\_ \\*b\\* \\~c\\~ \\`d\\`"),
        ("a|b\\|c", "a\\|b&#92;\\|c"),
        ("![i](x) [l](y)", "!\\[i\\](x) \\[l\\](y)"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("@jane #12 GH-7", "@&#8203;jane #&#8203;12 GH-&#8203;7"),
        ("https://x www.x.de", "https:&#8203;//x www&#8203;.x.de"),
        ("one\n\ntwo\u202e\x1b", "one two&#92;u202e&#92;x1b"),
        ("$x$", "&#36;x&#36;"),
    ],
)
def test_escape_shows_just_the_text(text: str, expected: str) -> None:
    assert escape(text) == expected


@given(st.text(alphabet=st.sampled_from("|\\`*_~[]()<>&#@!$:/wGH-1. \n\r\tab\u202e\x1bé") | st.characters()))
def test_escape_never_leaves_a_pipe_newline_or_markup(text: str) -> None:
    escaped = escape(text)
    assert not re.search(r"(?<!\\)\|", escaped)
    assert "\n" not in escaped
    assert "\r" not in escaped
    page = Page(f"| a | b |\n| --- | --- |\n| x{escaped}x | c |\n")
    assert page.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert f"x{clean(text)}x" in page.text.replace("\u200b", "") or "\u200b" in text
    assert not LIVE.search(page.prose)


def test_render_markdown_list() -> None:
    assert render_markdown(make_results()["models"], POLICY) == (
        "| model | latest | versions | staging | production | shadow | archived |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| churn | v4.0.0 | 4 | - | **v2.0.0 (hold)** | v1.0.0 | 1 |"
    )


def test_render_markdown_history() -> None:
    assert render_markdown(make_results("better | AUC")["history"]) == (
        "| when | model | stage | action | from → to | by | approved by | reason | commit |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| 2026-11-20T12:00:00Z | churn | **production** | promote | v1.0.0 → v2.0.0 | `jane@example.com` "
        "| joe@&#8203;example.com, better \\| AUC | better \\| AUC | `dddddddddddd` |"
    )


def test_render_markdown_promote() -> None:
    assert render_markdown(make_results("why")["promote"]) == (
        "**Promote churn v2.0.0 to production**\n\n"
        "- production: v1.0.0 → v2.0.0 (promote)\n"
        "- archived: v1.0.0 is archived\n"
        "- commit: `eeeeeeeeeeee`\n"
        "- branch: `main`\n"
        "- tag: `churn#production#5`\n"
        "- note: why\n"
        "- next: `mreg pull churn@production`"
    )


def test_render_markdown_compare_marks_better_and_worse() -> None:
    text = render_markdown(make_results()["comparison"], POLICY)
    assert "### metrics: ▲ better, ▼ worse than v1.0.0\n" in text
    assert "| auc | higher | 0.900 | 0.902 ▲ +0.002 (+0.2%) | 0.913 ▲ +0.013 (+1.4%) | **v3.0.0** |" in text
    assert "| latency_ms | lower | 14.3 ms | 11.2 ms ▲ -3.1 ms (-21.7%) | 61.2 ms ▼ +46.9 ms (+328.0%) |" in text


def test_render_markdown_reason_that_is_empty_leaves_an_empty_cell() -> None:
    transition = replace(make_transition(""), by="", approved_by=())
    assert render_markdown(History((transition,))).endswith("| v1.0.0 → v2.0.0 |  | - |  | `dddddddddddd` |")


def test_render_markdown_show_is_a_list_and_tables() -> None:
    text = render_markdown(make_bare_details())
    assert text == (
        "**churn v1.0.0**\n\n- stages: -\n- tag: -\n- commit: -\n- adopted from: `churn@v1.0.0`\n\n"
        "### artifact\n\n- path: `model`\n- size: 10 B\n- files: 2\n- format: -\n- sha256: -\n- md5: -"
    )
