"""Long results: they are written piece by piece, never held as a whole, and say what they would in one piece."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from mreg.core import packed
from mreg.core.history.timeline import Finding, Transition
from mreg.core.names import ModelName, Version
from mreg.core.results import History, VersionList, VersionStream, VersionSummary
from mreg.core.review.audited import Judged, Report
from mreg.core.review.gates import Judgement
from mreg.core.settings.people import Actor
from mreg.render import text
from mreg.render.formats import columns
from mreg.render.formats.columns import format_lines, iter_columns
from mreg.render.formats.csv import iter_csv
from mreg.render.formats.json import iter_json
from mreg.render.formats.markdown import iter_markdown
from mreg.render.formats.table import iter_table
from mreg.render.page import Cell, Grid, Rows
from tests.render.samples import POLICY, make_record, make_transition
from tests.render.whole import render_columns, render_markdown

MANY = 3000
WORDS = ["why", "a long reason, longer than others", "größer", "資料", "e\u0301", "\x1b[2J"]


class Told(Sequence[Transition]):
    """Transitions that are there while one looks at them."""

    def __len__(self) -> int:
        return MANY

    def __getitem__(self, index: int | slice) -> Transition:  # type: ignore[override]
        raise AssertionError

    def __iter__(self) -> Iterator[Transition]:
        return (make_transition(f"{WORDS[number % 6]} {number}") for number in range(MANY))


def make_report(rows: Sequence[Transition]) -> Report:
    return Report(packed.Packed(Judged(each, Actor(each.by), Judgement(())) for each in rows))


def make_summaries(count: int) -> Iterator[VersionSummary]:
    for number in range(count):
        version = Version(number + 1)
        record = replace(make_record(1, 0.5, 1, "x"), metrics={f"metric_{number % 11}": number / 7, "auc": 0.5})
        shown = record if number % 5 else None
        yield VersionSummary(ModelName(f"model-{number % 3}"), version, (), archived=number % 2 == 0, record=shown)


FORMATS: dict[str, Callable[[History], Iterable[str]]] = {
    "columns": iter_columns,
    "table": lambda result: iter_table(result, width=100),
    "markdown": iter_markdown,
    "json": iter_json,
    "report as csv": lambda result: iter_csv(make_report(result.transitions)),
    "report as markdown": lambda result: iter_markdown(make_report(result.transitions)),
}


@contextmanager
def in_small_parts() -> Iterator[None]:
    with (
        patch.object(packed, "AT_ONCE", 101),
        patch.object(columns, "_AT_ONCE", 100),
        patch.object(text, "_AT_ONCE", 99),
    ):
        yield


@pytest.mark.parametrize("name", FORMATS)
def test_long_history_is_written_without_being_held(name: str) -> None:
    write = FORMATS[name]
    list(write(History((make_transition("why"),))))  # whatever is imported
    tracemalloc.start()
    try:
        with in_small_parts():
            size = sum(map(len, write(History(cast("tuple[Transition, ...]", Told())))))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 100 * MANY
    assert most < 1_000_000  # all rows would be nine millions, and a text of them half a million more


@pytest.mark.parametrize("name", FORMATS)
def test_long_history_reads_as_a_short_one(name: str) -> None:
    result = History(tuple(make_transition(f"{WORDS[number % 6]} {number}") for number in range(1010)))
    whole = "".join(FORMATS[name](result))
    with in_small_parts():
        assert "".join(FORMATS[name](result)) == whole
    assert whole.count("\n") >= 1009


def test_long_grid_has_columns_as_wide_as_their_widest_cell() -> None:
    texts = [("a", "b", "c"), ("x", "größer", ""), ("資料", "e\u0301", "-"), ("longest", "{}", "1")]
    grid = Grid("", ("h", "i", "j"), Rows(lambda row: tuple(map(Cell, row)), texts))
    with patch.object(packed, "AT_ONCE", 2), patch.object(columns, "_AT_ONCE", 1):
        assert list(format_lines(grid)) == [
            "h        i       j",
            "a        b       c",
            "x        größer",
            "資料     e\u0301       -",
            "longest  {}      1",
        ]


@pytest.mark.parametrize("model", [None, ModelName("model-0")])
@pytest.mark.parametrize("render", [render_columns, render_markdown])
def test_stream_of_versions_reads_as_their_list(render: Callable[..., str], model: ModelName | None) -> None:
    wrong = Finding("unreadable", "registry/a", "it is")
    whole = render(VersionList(model, tuple(make_summaries(40)), "c" * 40, (wrong,)), POLICY)
    findings: list[Finding] = []

    def take() -> Iterator[VersionSummary]:
        yield from make_summaries(40)
        findings.append(wrong)  # which is not known before the end

    with patch.object(packed, "AT_ONCE", 7):
        assert render(VersionStream(model, take(), "c" * 40, findings), POLICY) == whole
    assert "metrics not shown: " in whole
    assert "it is" in whole
    assert render(VersionStream(model, iter(()), None, []), POLICY) == "no versions"


def test_report_as_csv_has_a_record_a_line() -> None:
    moves = [make_transition(word) for word in WORDS]
    lines = list(iter_csv(make_report(moves)))
    assert [line.count("\r\n") for line in lines] == [1] * 7
    rows = list(csv.DictReader(io.StringIO("".join(lines), newline="")))
    assert [row["reason"] for row in rows] == [*WORDS[:5], "\\x1b[2J"]
