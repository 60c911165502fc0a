from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import count
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.history.timeline import Finding, Transition
from mreg.core.results import Check, Diagnosis, Notification, SyncReport
from mreg.core.review.audited import Audit, AuditFault
from mreg.core.review.reviewed import Fault, Review
from mreg.errors import NotFoundError, RefusedError
from mreg.render.formats.github import (
    MAX_ANNOTATIONS,
    MAX_SUMMARY_BYTES,
    Annotation,
    Level,
    annotate,
    render_annotations,
    render_error_step,
    render_step,
)
from mreg.render.formats.json import render_json
from mreg.render.formats.outputs import MAX_OUTPUT_BYTES, read_document, render_outputs
from mreg.render.formats.review import CHECK_MARK
from mreg.render.text import clean
from mreg.render.view import Result
from tests.render.samples import HOSTILE, TIP, make_results, make_transition
from tests.render.whole import render_markdown

COMMANDS = HOSTILE + (
    "\n::set-output name=ok::yes\r\n::error::x\n##[add-mask]v1 ##[error]####[group]\n%0A::stop-commands::x %25 "
    "${{ github.token }} `id` $(id) ,file=a::b"
)
"""What the runner would obey, besides what a terminal or a browser would."""


@dataclass
class Runner:
    """Reads a log and files as GitHub's runner does."""

    commands: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def read_log(self, text: str) -> None:
        for line in text.split("\n"):
            assert "##[" not in line, line
            match = re.fullmatch(r"::(?P<name>[\w-]+)(?: (?P<properties>.*?))?::(?P<data>.*)", line.strip())
            assert match, f"{line!r} is no command"
            pairs = (pair.split("=", 1) for pair in (match["properties"] or "").split(",") if pair)
            properties = {name: self.unescape(value, {"%3A": ":", "%2C": ","}) for name, value in pairs}
            self.commands.append((match["name"], properties, self.unescape(match["data"], {})))

    @staticmethod
    def unescape(text: str, more: dict[str, str]) -> str:
        for code, character in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
            text = text.replace(code, character)
        return text

    @staticmethod
    def read_file(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        lines = iter(text.split("\n"))
        for line in lines:
            if not line:
                continue
            name, _, mark = line.partition("<<")
            assert mark, line
            value = []
            while (each := next(lines)) != mark:
                value.append(each)
            found[name] = "\n".join(value)
        return found


@pytest.fixture
def runner() -> Runner:
    return Runner()


def make_all(text: str) -> dict[str, Result]:
    """Returns every kind of result, by name."""
    faults = (
        Fault("stray-file", f"registry/{text}", text, fix=text),
        Fault("hand-edit", "registry.yaml", text, line=3),
    )
    damage = (AuditFault("tag-moved", "refs/tags/churn@v1.0.0", text), AuditFault("edited", "registry.yaml", text, TIP))
    gaps = (Finding("shallow", "info/shallow", text),)
    return {
        **make_results(text),
        "review": Review("b" * 40, "a" * 40, faults=faults, notices=(text,)),
        "audit": Audit(TIP, faults=damage),
        "incomplete audit": Audit(TIP, gaps=gaps),
    }


@pytest.mark.parametrize("name", make_all(""))
def test_render_step_of_hostile_text_is_commands_of_ours_and_outputs_of_ours(name: str, runner: Runner) -> None:
    result = make_all(COMMANDS)[name]
    step = render_step(result, [render_markdown(result)])
    if step.log:
        runner.read_log(step.log)
    assert {command for command, _, _ in runner.commands} <= {"error", "warning", "notice"}
    outputs = runner.read_file(step.outputs)
    document = json.loads(render_json(result))
    assert json.loads(outputs["report"]) == document
    promised = {key for key in ("changed", "commit", "tags", "version") if type(document.get(key, 0)) is not int}
    is_writers = "changes" in document and name != "review"
    has_transitions = isinstance(document.get("transitions"), list) or is_writers
    assert ("comment" in outputs) == (name == "review")
    assert set(outputs) - {"transitions", "comment"} == {"ok", "report"} | promised
    assert ("transitions" in outputs) == has_transitions
    assert "##[" not in step.outputs
    assert step.summary == render_markdown(result)


def test_render_step_outputs_are_those_of_the_contract(runner: Runner) -> None:
    results = make_results()
    promoted = runner.read_file(render_step(results["promote"], []).outputs)
    assert (promoted["ok"], promoted["changed"], promoted["version"]) == ("true", "true", "v2.0.0")
    assert (promoted["commit"], promoted["tags"]) == ("e" * 40, '["churn#production#5"]')
    production, archived = json.loads(promoted["transitions"])
    assert list(production) == ["model", "stage", "action", "from", "to", "commit"]
    assert list(production.values()) == ["churn", "production", "promote", "v1.0.0", "v2.0.0", "e" * 40]
    assert (archived["stage"], archived["action"]) == ("archived", "archive")
    assert runner.read_file(render_step(results["promote, dry run"], []).outputs)["transitions"] == "[]"
    synced = runner.read_file(render_step(results["sync"], []).outputs)
    assert (synced["ok"], synced["changed"], synced["commit"]) == ("false", "true", "")
    assert json.loads(synced["tags"]) == ["churn@v2.0.0", "churn#production#1"]
    assert [each["model"] for each in json.loads(synced["transitions"])] == ["churn"]
    assert runner.read_file(render_step(results["diagnosis"], []).outputs)["ok"] == "false"
    assert runner.read_file(render_step(results["history"], []).outputs)["ok"] == "true"


def test_annotate_says_what_was_done_and_what_is_wrong(runner: Runner) -> None:
    results = make_results("two words")
    texts = {name: [(each.level, each.message) for each in annotate(result)] for name, result in results.items()}
    assert texts["promote"][0] == (Level.NOTICE, "Promote churn v2.0.0 to production\nchurn#production#5")
    assert texts["nothing"] == [(Level.NOTICE, "nothing to do"), (Level.NOTICE, "two words")]
    assert texts["sync"] == [(Level.NOTICE, "made 2 tags"), (Level.ERROR, "two words")]
    assert texts["diagnosis"] == [(Level.ERROR, "two words\nfix: two words")]
    assert texts["comparison"] == texts["pulled"] == texts["models"] == []
    assert annotate(results["promote, dry run"])[0].title == "mreg: would"


def test_annotate_review_marks_the_lines_that_may_not_land() -> None:
    verdict, first, second, notice = annotate(make_all("two words")["review"])
    assert (verdict.level, verdict.message) == (Level.NOTICE, "this change may not land, for 2 reasons")
    assert (first.title, first.file, first.line) == ("mreg: stray-file", "registry/two words", 0)
    assert (first.level, first.message) == (Level.ERROR, "two words\nfix: two words")
    assert (second.file, second.line, second.message) == ("registry.yaml", 3, "two words")
    assert (notice.level, notice.message) == (Level.NOTICE, "two words")


def test_annotate_audit_says_what_is_wrong_and_since_when() -> None:
    results = make_all("two words")
    verdict, tag, file = annotate(results["audit"])
    assert verdict.title == "mreg verify: not ok"
    assert (tag.file, tag.message) == ("", "refs/tags/churn@v1.0.0: two words")
    assert (file.file, file.message) == ("registry.yaml", f"registry.yaml: two words (commit {TIP[:12]})")
    verdict, gap = annotate(results["incomplete audit"])
    assert (verdict.title, gap.level) == ("mreg verify: incomplete", Level.ERROR)
    assert annotate(Audit(TIP))[0].title == "mreg verify: ok"


def test_annotate_sync_says_who_was_not_told() -> None:
    told = (Notification("chat", make_transition("x")), Notification("mail", make_transition("x"), "no answer"))
    _, warning, notice = annotate(SyncReport((), 0, (), (), notifications=told, notices=("held",)))
    assert (warning.level, warning.message) == (Level.WARNING, "no answer")
    assert (notice.level, notice.message) == (Level.NOTICE, "held")


@pytest.mark.parametrize(
    ("created", "dry_run", "said"),
    [((), False, "no tag is missing"), (("a@v1.0.0",), False, "made 1 tag"), (("a",), True, "would make 1 tag")],
)
def test_annotate_counts_the_tags_of_sync(created: tuple[str, ...], dry_run: bool, said: str) -> None:
    assert annotate(SyncReport(created, 0, (), (), dry_run))[0].message == said


@pytest.mark.parametrize(
    ("place", "file"),
    [("registry/churn/stages/production.yaml", "registry/churn/stages/production.yaml"), ("refs/tags/churn@v1", "")],
)
def test_annotate_finding_in_a_file_is_shown_at_the_file(place: str, file: str) -> None:
    _, found = annotate(SyncReport((), 0, (), (Finding("some-code", place, "what is wrong"),)))
    assert (found.title, found.message, found.file) == ("mreg: some-code", f"{place}: what is wrong", file)


def test_annotate_check_with_a_place_is_shown_at_its_line(runner: Runner) -> None:
    check = Check("shallow-checkout", ok=False, message=".github/workflows/a,b.yml:12: what: it is", fix="depth: 0")
    runner.read_log(render_annotations(annotate(Diagnosis((check,)))))
    properties = {"file": ".github/workflows/a,b.yml", "line": "12", "title": "mreg: shallow-checkout"}
    assert runner.commands == [("error", properties, ".github/workflows/a,b.yml:12: what: it is\nfix: depth: 0")]


@given(st.text(), st.text(), st.text())
def test_render_annotations_reads_back(title: str, message: str, file: str) -> None:
    runner = Runner()
    runner.read_log(render_annotations([Annotation(Level.WARNING, f"t{title}", message, file, 3)]))
    [(name, properties, data)] = runner.commands
    shown = {"title": clean(f"t{title}").replace("##[", "# #["), "line": "3"}
    if clean(file):
        shown["file"] = clean(file).replace("##[", "# #[")
    assert (name, properties) == ("warning", shown)
    # The runner does not see the spaces that end a line.
    assert data.rstrip() == "\n".join(map(clean, message.splitlines())).replace("##[", "# #[").rstrip()


def test_render_annotations_shows_as_many_as_github_does(runner: Runner) -> None:
    errors = [Annotation(Level.ERROR, "t", str(number)) for number in range(30)]
    notices = [Annotation(Level.NOTICE, "t", str(number)) for number in range(MAX_ANNOTATIONS)]
    runner.read_log(render_annotations([*notices, *errors]))
    shown = [data for name, _, data in runner.commands if name == "error"]
    assert shown[:-1] == [str(number) for number in range(MAX_ANNOTATIONS - 1)]
    assert shown[-1] == "21 more: the summary of this job has them all"
    assert len([name for name, _, _ in runner.commands if name == "notice"]) == MAX_ANNOTATIONS
    assert render_annotations([]) == ""


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(blacklist_characters="\r"))))
def test_render_outputs_reads_back(outputs: dict[str, str]) -> None:
    assert Runner.read_file(render_outputs(outputs)) == outputs


def test_render_outputs_delimiters_are_new_each_time() -> None:
    marks = re.findall(r"<<(\w+)", render_outputs({"a": "1", "b": "2"}) + render_outputs({"a": "1"}))
    assert len(set(marks)) == 3
    assert all(len(mark) > 32 for mark in marks)


def test_render_step_with_too_much_for_a_variable_leaves_it_empty_and_says_so(runner: Runner) -> None:
    transitions = (make_transition("x" * 1000),) * 200
    step = render_step(SyncReport((), 0, transitions, ()), "text")
    outputs = runner.read_file(step.outputs)
    assert (outputs["transitions"], outputs["report"], outputs["tags"]) == ("", "", "[]")
    runner.read_log(step.log)
    warnings = [data for name, _, data in runner.commands if name == "warning"]
    assert warnings == [
        "the output transitions is too large for a variable, and was left empty",
        "the output report is too large for a variable, and was left empty",
    ]


@pytest.mark.parametrize("name", make_results())
def test_read_document_is_what_json_says(name: str) -> None:
    said, read = json.loads(render_json(make_results(HOSTILE)[name])), read_document(make_results(HOSTILE)[name])
    assert json.loads(json.dumps(read)) == said


def test_render_step_of_very_much_looks_at_no_more_than_there_is_room_for() -> None:
    def make(number: int) -> Transition:
        made.append(number)
        return make_transition("x" * 100)

    made: list[int] = []
    lines = (f"{number:0100}\n" for number in count())  # without an end
    step = render_step(SyncReport((), 0, cast("tuple[Transition, ...]", map(make, count())), ()), lines)
    assert len(step.summary) < MAX_SUMMARY_BYTES
    assert step.summary.endswith("(this was too long, and is cut here)")
    assert len(made) < 1000


@pytest.mark.parametrize("line", ["é" * 50 + "\n", "é" * 50])
def test_render_step_cuts_what_github_would_not_show(line: str, runner: Runner) -> None:
    result = make_results()["sync"]
    step = render_step(result, [f"{CHECK_MARK}\n", line * 30_000])
    comment = runner.read_file(step.outputs)["comment"]
    for text, size in ((comment, MAX_OUTPUT_BYTES), (step.summary, MAX_SUMMARY_BYTES)):
        assert text.startswith(CHECK_MARK)
        assert text.endswith("\n\n(this was too long, and is cut here)")
        assert len(text.encode()) <= size
    short = render_step(result, [f"{CHECK_MARK}\nshort"])
    assert runner.read_file(short.outputs)["comment"] == short.summary == f"{CHECK_MARK}\nshort"


def test_render_error_step_says_why_and_what_next(runner: Runner) -> None:
    error = NotFoundError(f"no such thing {COMMANDS}", hint="mreg list `x`")
    step = render_error_step(error)
    runner.read_log(step.log)
    assert [name for name, _, _ in runner.commands] == ["error"]
    assert runner.commands[0][1] == {"title": "mreg: not-found"}
    assert runner.commands[0][2].endswith("\nhint: mreg list `x`")
    outputs = runner.read_file(step.outputs)
    assert (outputs["ok"], outputs["changed"], list(outputs)) == ("false", "false", ["ok", "changed", "report"])
    assert json.loads(outputs["report"])["error"]["code"] == "not-found"
    assert step.summary.startswith("**error: no such thing")
    assert "<script>" not in step.summary


def test_render_error_step_of_a_check_is_a_comment(runner: Runner) -> None:
    step = render_error_step(NotFoundError("no such commit"), is_check=True)
    assert runner.read_file(step.outputs)["comment"] == step.summary
    assert step.summary == f"{CHECK_MARK}\n**error: no such commit**"


def test_render_error_step_of_a_refusal_has_every_finding(runner: Runner) -> None:
    findings = [
        {"rule": "from", "gate": "from staging", "outcome": "pass", "measured": "it was there", "why": ""},
        {"rule": "metric", "gate": "auc >= 0.9", "outcome": "fail", "measured": "0.8", "why": "too low"},
        {"rule": "who", "gate": "who", "outcome": "unproven", "measured": "`x`|<b>", "why": ""},
    ]
    step = render_error_step(
        RefusedError("2 of 3 gates block it", hint="mreg show churn", details={"findings": findings})
    )
    runner.read_log(step.log)
    assert [(properties["title"], data) for _, properties, data in runner.commands] == [
        ("mreg: refused", "2 of 3 gates block it\nhint: mreg show churn"),
        ("mreg: metric", "auc >= 0.9: 0.8 (too low)"),
        ("mreg: who", "who: `x`|<b>"),
    ]
    assert step.summary.split("\n") == [
        "**error: 2 of 3 gates block it**",
        "",
        "- ✓ from staging: it was there",
        "- ✗ auc &gt;= 0.9: 0.8 (too low)",
        "- ✗ who: \\`x\\`\\|&lt;b&gt;",
        "",
        "hint: `mreg show churn`",
    ]
