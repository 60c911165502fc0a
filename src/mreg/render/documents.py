"""Parts that several JSON documents have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import asdict

from mreg.core.history.record import Record
from mreg.core.history.timeline import Finding, Transition
from mreg.render.json_text import make_plain
from mreg.render.text import format_moment

if TYPE_CHECKING:
    from mreg.core.history.manifest import Adopted, ArchivedMark, Deletion
    from mreg.core.history.record import Artifact, Code, Dataset, Environment, Run
    from mreg.core.review.gates import GateFinding
    from mreg.core.versions.compare import MetricComparison
    from mreg.core.versions.metrics import Delta

__all__ = [
    "Document",
    "findings_documents",
    "metric_document",
    "record_document",
    "section_document",
    "transition_document",
]

Document = dict[str, object]

_OF_RECORD = (
    "metrics",
    "params",
    "artifact",
    "dataset",
    "code",
    "run",
    "trained_at",
    "environment",
    "notes",
    "metadata",
)

_Section: TypeAlias = (
    "Artifact | Code | Dataset | Environment | Run | Adopted | ArchivedMark | Deletion | Delta | Finding | GateFinding"
)


def section_document(section: _Section | None) -> Document:
    """Returns the fields of a value; an empty document for none, so that ``.code.commit`` never fails."""
    if section is None:
        return {}
    return {name: None if value == "" else value for name, value in asdict(section).items()}


def mark_document(mark: ArchivedMark | None) -> Document:
    """Returns who archived a version, and who gave its bytes up; an empty document where nobody archived it."""
    if mark is None:
        return {}
    return {**section_document(mark), "deletion": section_document(mark.deletion) if mark.deletion else None}


def record_document(record: Record | None) -> Document:
    """Returns what a record says, as plain values; the same keys with null where it cannot be read."""
    if record is None:
        return dict.fromkeys(_OF_RECORD)
    return {
        "metrics": record.metrics,
        "params": make_plain(record.params),
        "artifact": section_document(record.artifact),
        "dataset": section_document(record.dataset),
        "code": section_document(record.code),
        "run": section_document(record.run),
        "trained_at": format_moment(record.trained_at) if record.trained_at else None,
        "environment": section_document(record.environment),
        "notes": record.notes or None,
        "metadata": make_plain(record.metadata),
    }


def transition_document(each: Transition) -> Document:
    """Returns one change of one stage, as plain values."""
    return {
        "model": each.model,
        "stage": each.stage,
        "action": each.action,
        "from": str(each.source) if each.source else None,
        "to": str(each.target) if each.target else None,
        "by": each.by,
        "at": format_moment(each.at),
        "reason": each.reason,
        "approved_by": each.approved_by,
        "commit": each.commit,
        "author": each.author,
        "email": each.email,
        "adopted": each.adopted or None,
    }


def findings_documents(findings: Sequence[Finding]) -> list[Document]:
    """Returns what is wrong, and where."""
    return [section_document(each) for each in findings]


def metric_document(metric: MetricComparison) -> Document:
    """Returns one metric of several versions."""
    return {
        "values": metric.values,
        "best": metric.best,
        "tied": metric.tied,
        "missing": metric.missing,
        "direction": metric.rule.direction,
        "unit": metric.rule.unit or None,
        "deltas": {name: section_document(delta) for name, delta in metric.deltas.items()},
    }
