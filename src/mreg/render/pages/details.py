"""The page of ``show``: all that is known of one version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mreg.core.fields import Plain
from mreg.core.history.manifest import ArchivedMark, tell_deletion
from mreg.core.history.record import Artifact, Record
from mreg.core.results import VersionDetails
from mreg.core.settings.policy import MetricRule, Policy
from mreg.core.versions.compare import flatten_lineage
from mreg.render.page import Cell, Facts, Grid, Line, Page, Tone
from mreg.render.pages.listing import metric_cell, stages_cell, transitions_grid
from mreg.render.text import NOTHING, format_bytes, format_moment, format_plain

__all__ = ["view_details"]


def view_details(result: VersionDetails, policy: Policy) -> Page:
    """Returns the version's state, artifact, metrics, parameters, lineage and transitions."""
    record = result.record
    return (
        Line(Cell(f"{record.model} {record.version}", Tone.STRONG)),
        Facts("", tuple(_state(result, policy))),
        Facts("artifact", tuple(_artifact(record.artifact))),
        _metrics(record, policy.metrics),
        Grid("params", ("param", "value"), tuple(_rows(record.params))),
        Facts("lineage", tuple(_lineage(record))),
        Grid("metadata", ("key", "value"), tuple(_rows(record.metadata))),
        transitions_grid("transitions", result.transitions),
    )


def _state(result: VersionDetails, policy: Policy) -> Iterator[tuple[str, Cell]]:
    yield "stages", stages_cell(result.stages, policy, is_archived=result.archived is not None)
    if result.archived:
        yield "archived", Cell(_archived(result.archived))
    if result.archived and result.archived.deletion:
        yield "bytes", Cell(f"deleted {tell_deletion(result.archived.deletion)}")
    yield "tag", Cell.code(result.tag) if result.tag else Cell(NOTHING)
    yield "commit", Cell.code(result.commit) if result.commit else Cell(NOTHING)
    if result.registered_at:
        yield "registered", Cell(format_moment(result.registered_at))
    if result.registered_by:
        yield "registered by", Cell.code(result.registered_by)
    if result.record.adopted:
        yield "adopted from", Cell.code(result.record.adopted.tag)
    if result.record.notes:
        yield "notes", Cell(result.record.notes)
    for notice in result.notices:
        yield "note", Cell(notice)


def _archived(mark: ArchivedMark) -> str:
    by = f"by {mark.by}" if mark.by else ""
    at = f"at {format_moment(mark.at)}" if mark.at else ""
    return ", ".join(part for part in (" ".join(filter(None, (by, at))), mark.reason) if part) or "yes"


def _artifact(artifact: Artifact) -> Iterator[tuple[str, Cell]]:
    yield "path", Cell.code(artifact.path)
    size = format_bytes(artifact.size)
    yield "size", Cell(size if size.endswith(" B") else f"{size} ({artifact.size} bytes)")
    if artifact.files is not None:
        yield "files", Cell(str(artifact.files))
    for name, text in (("format", artifact.format), ("sha256", artifact.sha256), ("md5", artifact.md5)):
        yield name, Cell.code(text) if text else Cell(NOTHING)


def _metrics(record: Record, rules: Mapping[str, MetricRule]) -> Grid:
    rows = []
    for name in record.metrics:
        direction = rules.get(name, MetricRule()).direction
        rows.append(
            (Cell(name), metric_cell(record.metrics, name, rules), Cell(direction.value if direction else NOTHING))
        )
    return Grid("metrics", ("metric", "value", "better"), tuple(rows))


def _rows(values: Mapping[str, Plain]) -> Iterator[tuple[Cell, ...]]:
    return ((Cell(name), Cell(format_plain(value))) for name, value in values.items())


def _lineage(record: Record) -> Iterator[tuple[str, Cell]]:
    for name, value in flatten_lineage(record).items():
        is_dirty = name == "code.dirty" and value is True
        yield name, Cell(format_plain(value), Tone.BAD if is_dirty else Tone.PLAIN, is_code=True)
