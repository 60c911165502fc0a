"""Pages of ``compare`` and ``best``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mreg.core.fields import Plain
from mreg.core.settings.policy import MetricRule, Policy
from mreg.core.versions.best import Choice
from mreg.core.versions.compare import Comparison, FactComparison, MetricComparison
from mreg.core.versions.metrics import Delta, Verdict, format_metric
from mreg.render.page import Cell, Facts, Grid, Line, Page, Tone
from mreg.render.pages.listing import stages_cell
from mreg.render.text import NOTHING, format_bytes, format_plain, short_oid

__all__ = ["view_choice", "view_comparison"]

_MARKS = {Verdict.BETTER: "▲", Verdict.WORSE: "▼", Verdict.EQUAL: "=", Verdict.UNKNOWN: ""}
_TONES = {
    Verdict.BETTER: Tone.GOOD,
    Verdict.WORSE: Tone.BAD,
    Verdict.EQUAL: Tone.PLAIN,
    Verdict.UNKNOWN: Tone.PLAIN,
}


def view_comparison(result: Comparison, policy: Policy) -> Page:
    """Returns what differs, one column a version; then what is the same, in a few lines."""
    names = tuple(result.versions)
    bytes_ = {True: "the same bytes", False: "different bytes", None: "a hash is missing"}[result.same_bytes]
    versions = Grid(
        f"versions: {bytes_}",
        ("", *names),
        (
            (
                Cell("stages"),
                *(stages_cell(each.stages, policy, is_archived=each.archived) for each in result.versions.values()),
            ),
            (Cell("size"), *(Cell(format_bytes(each.record.artifact.size)) for each in result.versions.values())),
            (Cell("sha256"), *(Cell.code(short_oid(each.record.artifact.sha256)) for each in result.versions.values())),
            (Cell("format"), *(Cell(each.record.artifact.format or NOTHING) for each in result.versions.values())),
        ),
    )
    return (
        versions,
        _metrics_grid(result),
        _facts_grid("params that differ", result.params, names),
        _facts_grid("lineage that differs", result.lineage, names),
        Facts("", tuple(_remarks(result))),
    )


def _metrics_grid(result: Comparison) -> Grid:
    names = tuple(result.versions)
    title = f"metrics: ▲ better, ▼ worse than {result.baseline}"
    rows = tuple(_metric_row(name, metric) for name, metric in result.metrics.items())
    return Grid(title, ("metric", "better", *names, "best"), rows)


def _metric_row(name: str, metric: MetricComparison) -> tuple[Cell, ...]:
    direction = metric.rule.direction
    best = metric.best or (f"tie: {', '.join(metric.tied)}" if metric.tied else NOTHING)
    cells = (_metric_cell(metric, version) for version in metric.values)
    return (
        Cell(name),
        Cell(direction.value if direction else NOTHING),
        *cells,
        Cell(best, Tone.STRONG if metric.best else Tone.PLAIN),
    )


def _metric_cell(metric: MetricComparison, version: str) -> Cell:
    value = metric.values[version]
    if value is None:
        return Cell("missing")
    delta = metric.deltas.get(version)
    text = format_metric(value, metric.rule)
    if delta is None:
        return Cell(text)
    return Cell(
        " ".join(filter(None, (text, _MARKS[delta.verdict], *_delta(delta, metric.rule)))), _TONES[delta.verdict]
    )


def _delta(delta: Delta, rule: MetricRule) -> Iterator[str]:
    if delta.absolute:
        yield format_metric(delta.absolute, rule, signed=True)
        if delta.relative is not None:
            yield f"({delta.relative:+.1%})"


def _facts_grid(title: str, facts: FactComparison, names: tuple[str, ...]) -> Grid:
    rows = tuple((Cell(fact), *(_value(values, name) for name in names)) for fact, values in facts.differ.items())
    return Grid(title, ("", *names), rows)


def _value(values: Mapping[str, Plain], name: str) -> Cell:
    return Cell(format_plain(values[name])) if name in values else Cell(NOTHING)


def _remarks(result: Comparison) -> Iterator[tuple[str, Cell]]:
    for title, facts in (("params that agree", result.params), ("lineage that agrees", result.lineage)):
        if facts.same:
            yield title, Cell(", ".join(f"{name}={format_plain(value)}" for name, value in facts.same.items()))
    for name, metric in result.metrics.items():
        if metric.missing:
            yield "missing", Cell(f"{name} in {', '.join(metric.missing)}")
    undirected = [name for name, metric in result.metrics.items() if metric.rule.direction is None]
    if undirected:
        names = ", ".join(undirected)
        yield "no direction", Cell(f"{names}: give --higher or --lower, or set metrics: in registry.yaml")
    for notice in result.notices:
        yield "note", Cell(notice)


def view_choice(result: Choice, _policy: Policy) -> Page:
    """Returns the chosen version, why, what promotes it, the ranking, and what fell out."""
    header = ("rank", "version", *(f"{each.metric} ({each.direction.value})" for each in result.criteria))
    ranking = tuple(
        (
            Cell(str(each.rank)),
            Cell(str(each.version), Tone.STRONG if each.version == result.version else Tone.PLAIN),
            *(Cell(format_metric(value, by.rule)) for value, by in zip(each.values, result.criteria, strict=True)),
        )
        for each in result.ranking
    )
    excluded = tuple((Cell(str(each.version)), Cell(each.reason)) for each in result.excluded)
    return (
        Line(Cell(f"{result.model} {result.version}", Tone.STRONG)),
        Facts("", tuple(_why(result))),
        Grid("ranking", header, ranking),
        Grid("out", ("version", "reason"), excluded),
        *((_metrics_grid(result.against),) if result.against else ()),
    )


def _why(result: Choice) -> Iterator[tuple[str, Cell]]:
    for reason in result.reasons:
        yield "why", Cell(reason)
    if result.constraints:
        yield "where", Cell(", ".join(map(str, result.constraints)))
    if result.command:
        yield "next", Cell.command(result.command)
