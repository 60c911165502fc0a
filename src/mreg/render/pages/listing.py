"""Pages of ``list`` and ``history``: models, versions, transitions, findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct

from mreg.core.history.timeline import Finding, Transition
from mreg.core.names import ARCHIVED, StageName, Version
from mreg.core.packed import Packed
from mreg.core.results import History, ModelList, ModelSummary, VersionList, VersionStream, VersionSummary
from mreg.core.settings.policy import MetricRule, Policy
from mreg.core.versions.metrics import Number, format_metric
from mreg.render.page import Block, Cell, Grid, Line, Page, Row, Rows, Tone
from mreg.render.text import NOTHING, format_bytes, format_moment, order_stages, short_oid

__all__ = [
    "findings_grid",
    "stages_cell",
    "transitions_grid",
    "view_history",
    "view_models",
    "view_versions",
]

_MAX_METRICS = 8
_MAX_NAMED = 10
_FRONT = StageName("production")
"""The stage that is written bold, where there is one of this name."""
_UNREADABLE = Cell("unreadable", Tone.BAD)


def view_models(result: ModelList, policy: Policy) -> Page:
    """Returns one row a model, one column a stage."""
    stages = order_stages((stage for model in result.models for stage in model.stages), policy)
    header = ("model", "latest", "versions", *stages, "archived")
    rows = tuple(_model_row(model, stages) for model in result.models)
    models: Block = Grid("", header, rows) if rows else Line(Cell("no model is registered: mreg register MODEL PATH"))
    return (models, findings_grid(result.findings))


def _model_row(model: ModelSummary, stages: Sequence[StageName]) -> Row:
    held = (
        _UNREADABLE
        if stage in model.unreadable
        else _stage_cell(stage, model.stages.get(stage), is_held=stage in model.holds)
        for stage in stages
    )
    archived = _UNREADABLE if ARCHIVED in model.unreadable else Cell(str(model.archived))
    return (Cell(model.model), _version(model.latest), Cell(str(model.versions)), *held, archived)


def _stage_cell(stage: StageName, version: Version | None, *, is_held: bool = False) -> Cell:
    """Returns the version in a stage, and whether the stage is held."""
    hold = " (hold)" if is_held else ""
    return Cell(f"{version or NOTHING}{hold}", Tone.STRONG if version and stage == _FRONT else Tone.PLAIN)


def stages_cell(stages: Sequence[StageName], policy: Policy, *, is_archived: bool = False) -> Cell:
    """Returns the stages that hold a version, or that it is archived."""
    names = [*order_stages(stages, policy), *(["archived"] if is_archived else [])]
    return Cell(", ".join(names) or NOTHING, Tone.STRONG if _FRONT in stages else Tone.PLAIN)


class _Brief(Struct, frozen=True, array_like=True, gc=False):
    """What a listing shows of a version."""

    model: str
    version: str
    stages: Cell
    metrics: Mapping[str, Number] | None = None
    """``None`` where the record cannot be read."""
    size: int = 0
    format: str = ""


def view_versions(result: VersionList | VersionStream, policy: Policy) -> Page:
    """Returns one row a version, with the metrics that the policy knows first; with its model, where that varies."""
    names: set[str] = set()
    versions = Packed(_take(result.versions, names, policy))
    if not versions:
        return (Line(Cell("no versions")), findings_grid(result.findings))
    metrics = [*(name for name in policy.metrics if name in names), *sorted(names.difference(policy.metrics))]
    shown = metrics[:_MAX_METRICS]
    model = ("model",) if result.model is None else ()
    header = (*model, "version", "stages", *shown, "size", "format")
    make = partial(_version_row, metrics=shown, rules=policy.metrics, has_model=result.model is None)
    blocks: list[Block] = [Grid("", header, Rows(make, versions))]
    if len(metrics) > len(shown):
        named = metrics[_MAX_METRICS : _MAX_METRICS + _MAX_NAMED]
        more = len(metrics) - _MAX_METRICS - len(named)
        blocks.append(Line(Cell(f"metrics not shown: {', '.join(named)}{f' and {more} more' if more else ''}")))
    return (*blocks, findings_grid(result.findings))


def _take(versions: Iterable[VersionSummary], names: set[str], policy: Policy) -> Iterator[_Brief]:
    """Yields what is shown of versions, and adds the names of their metrics to ``names``."""
    for each in versions:
        start = (each.model, str(each.version), stages_cell(each.stages, policy, is_archived=each.archived))
        if each.record is None:
            yield _Brief(*start)
        else:
            names.update(each.record.metrics)
            yield _Brief(*start, each.record.metrics, each.record.artifact.size, each.record.artifact.format)


def _version_row(each: _Brief, metrics: Sequence[str], rules: Mapping[str, MetricRule], *, has_model: bool) -> Row:
    model = (Cell(each.model),) if has_model else ()
    start = (*model, Cell(each.version), each.stages)
    if each.metrics is None:
        return (*start, *[Cell(NOTHING)] * len(metrics), _UNREADABLE, Cell(NOTHING))
    values = (metric_cell(each.metrics, name, rules) for name in metrics)
    return (*start, *values, Cell(format_bytes(each.size)), Cell(each.format or NOTHING))


def metric_cell(metrics: Mapping[str, Number], name: str, rules: Mapping[str, MetricRule]) -> Cell:
    """Returns one metric of a record."""
    value = metrics.get(name)
    return Cell(NOTHING if value is None else format_metric(value, rules.get(name, MetricRule())))


def view_history(result: History, _policy: Policy) -> Page:
    """Returns one row a transition, and what could not be read."""
    head = transitions_grid("", result.transitions) if result.transitions else Line(Cell("no transitions"))
    return (head, findings_grid(result.findings))


def transitions_grid(title: str, transitions: Sequence[Transition]) -> Grid:
    """Returns one row a transition, in the order given."""
    header = ("when", "model", "stage", "action", "from → to", "by", "approved by", "reason", "commit")
    return Grid(title, header, Rows(_transition_row, transitions))


def _transition_row(each: Transition) -> Row:
    return (
        Cell(format_moment(each.at)),
        Cell(each.model),
        Cell(each.stage, Tone.STRONG if each.stage == _FRONT else Tone.PLAIN),
        Cell(each.action.value + (" (adopted)" if each.adopted else "")),
        Cell(f"{each.source or NOTHING} → {each.target or NOTHING}"),
        Cell.code(each.by),
        Cell.code(", ".join(each.approved_by)) if each.approved_by else Cell(NOTHING),
        Cell(each.reason),
        Cell.code(short_oid(each.commit)),
    )


def findings_grid(findings: Sequence[Finding]) -> Grid:
    """Returns what is wrong in the registry, and where."""
    rows = tuple((Cell(each.code, Tone.BAD), Cell.code(each.place), Cell(each.message)) for each in findings)
    return Grid("findings", ("finding", "place", "message"), rows)


def _version(version: Version | None) -> Cell:
    return Cell(str(version) if version else NOTHING)
