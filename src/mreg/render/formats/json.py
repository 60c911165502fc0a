"""Results as JSON: the documents that programs read.

Rules:
    * Every document has ``schema``; keys stand in a fixed order; a new key may come, none goes away.
    * What is not known is null, not empty text.
    * Numbers are those of the record, times ISO 8601 in UTC.
    * The text is ASCII: no terminal and no encoding can be disturbed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mreg.core.results import (
    Diagnosis,
    History,
    ModelList,
    Pulled,
    Receipt,
    SyncReport,
    VersionDetails,
    VersionList,
    VersionStream,
)
from mreg.render.commands import place_document
from mreg.render.documents import (
    Document,
    findings_documents,
    mark_document,
    metric_document,
    record_document,
    section_document,
    transition_document,
)
from mreg.render.json_text import json_pieces, make_plain
from mreg.render.view import Result

if TYPE_CHECKING:
    from mreg.core.review.audited import Audit
    from mreg.core.review.reviewed import Review
    from mreg.core.sharing.pushed import Pushed
    from mreg.core.storage.cached import CacheReport
    from mreg.core.storage.soundness import Soundness
    from mreg.core.storage.swept import Sweep
    from mreg.core.versions.best import Choice
    from mreg.core.versions.compare import Comparison, FactComparison

__all__ = ["SCHEMA", "iter_json", "json_document", "render_json"]

SCHEMA = 1


def render_json(result: Result) -> str:
    """Returns a result as a JSON document, without a newline at the end."""
    return "".join(iter_json(result))


def iter_json(result: Result, *, directory: str = "") -> Iterator[str]:
    """Yields the same piece by piece: a long history is never there as a whole.

    Args:
        result: What the registry answered.
        directory: Where commands are to run; empty for the current one.
    """
    return json_pieces(place_document(json_document(result), directory))


def json_document(result: Result) -> Document:
    """Returns the same before it is text, as ``json_pieces`` takes it: long lists are iterators."""
    return {"schema": SCHEMA, **_DOCUMENTS[type(result).__name__](result)}


def _models(result: ModelList) -> Document:
    models = (
        {
            "model": each.model,
            "latest": str(each.latest) if each.latest else None,
            "versions": each.versions,
            "stages": make_plain(each.stages),
            "archived": each.archived,
            "holds": each.holds,
            "unreadable": each.unreadable,
        }
        for each in result.models
    )
    return {"models": models, "commit": result.commit, "findings": findings_documents(result.findings)}


def _versions(result: VersionList | VersionStream) -> Document:
    versions = (
        {
            "model": each.model,
            "version": str(each.version),
            "stages": each.stages,
            "archived": each.archived,
            "readable": each.record is not None,
            **record_document(each.record),
        }
        for each in result.versions
    )
    return {
        "model": result.model,
        "versions": versions,
        "commit": result.commit,
        "findings": map(section_document, result.findings),  # which may be complete only behind the versions
    }


def _details(result: VersionDetails) -> Document:
    return {
        "model": result.record.model,
        "version": result.record.version,
        "stages": result.stages,
        "archived": result.archived is not None,
        **record_document(result.record),
        "commit": result.commit,
        "tag": result.tag,
        "registered_by": result.registered_by or None,
        "registered_at": result.registered_at,
        "archive": mark_document(result.archived),
        "adopted": section_document(result.record.adopted),
        "transitions": list(map(transition_document, result.transitions)),
        "notices": result.notices,
    }


def _history(result: History) -> Document:
    return {
        "transitions": map(transition_document, result.transitions),
        "findings": findings_documents(result.findings),
    }


def _comparison(result: Comparison) -> Document:
    versions = result.versions.items()
    return {
        "versions": list(result.versions),
        "baseline": result.baseline,
        "models": result.models,
        "metrics": {name: metric_document(metric) for name, metric in result.metrics.items()},
        "params": _facts(result.params),
        "lineage": _facts(result.lineage),
        "artifact": {**_facts(result.artifact), "same_bytes": result.same_bytes},
        "stages": {name: subject.stages for name, subject in versions},
        "archived": {name: subject.archived for name, subject in versions},
        "notices": result.notices,
    }


def _facts(facts: FactComparison) -> Document:
    return {"differ": facts.differ, "same": facts.same}


def _choice(result: Choice) -> Document:
    metrics = [each.metric for each in result.criteria]
    ranking = [
        {"rank": each.rank, "version": each.version, "values": dict(zip(metrics, each.values, strict=True))}
        for each in result.ranking
    ]
    return {
        "model": result.model,
        "version": result.version,
        "stage": result.stage,
        "holder": result.holder,
        "holds_already": result.holds_already,
        "command": result.command,
        "reasons": result.reasons,
        "by": [{"metric": each.metric, "direction": each.direction} for each in result.criteria],
        "where": list(map(str, result.constraints)),
        "ranking": ranking,
        "tied": result.tied,
        "excluded": [{"version": each.version, "reason": each.reason} for each in result.excluded],
        "against": _comparison(result.against) if result.against else None,
    }


def _receipt(result: Receipt) -> Document:
    from mreg.render.pages.receipt import sets_hold  # noqa: PLC0415 - it imports the gates

    plan = result.plan
    changes = [
        {"stage": each.stage, "action": each.action, "from": each.source, "to": each.target} for each in plan.changes
    ]
    return {
        "changed": result.changed,
        "dry_run": result.dry_run,
        "model": plan.model,
        "version": plan.version,
        "stage": plan.stage,
        "subject": plan.subject or None,
        "commit": result.commit,
        "branch": result.branch,
        "remote": result.remote or None,
        "tags": result.tags,
        "changes": changes,
        "hold": sets_hold(plan),
        "files": sorted(plan.documents),
        "record": record_document(result.record) if result.record else None,
        "adopted": result.adopted,
        "findings": list(map(section_document, result.findings)),
        "notices": (*plan.notices, *result.notices),
    }


def _pulled(result: Pulled) -> Document:
    return {
        "changed": result.changed,
        "model": result.model,
        "version": result.version,
        "path": result.path,
        "size": result.size,
        "sha256": result.sha256,
        "stages": result.stages,
        "commit": result.commit,
        "branch": result.branch,
        "repo": result.repo or None,
        "notices": result.notices,
    }


def _sync(result: SyncReport) -> Document:
    return {
        "changed": bool(result.created or result.promotions),
        "dry_run": result.dry_run,
        "commit": result.commit,
        "remote": result.remote or None,
        "tags": iter(result.created),
        "present": result.present,
        "transitions": map(transition_document, result.transitions),
        "promotions": [
            {
                "model": each.plan.model,
                "version": each.version,
                "stage": each.plan.stage,
                "commit": each.commit,
                "tags": each.tags,
                "gates": list(map(section_document, each.findings)),
            }
            for each in result.promotions
        ],
        "notifications": [
            {
                "sink": each.sink,
                "ok": each.ok,
                "error": each.error or None,
                "hint": each.hint or None,
                "model": each.transition.model,
                "stage": each.transition.stage,
                "commit": each.transition.commit,
            }
            for each in result.notifications
        ],
        "findings": findings_documents(result.findings),
    }


def _diagnosis(result: Diagnosis) -> Document:
    checks = [
        {"name": each.name, "ok": each.ok, "message": each.message, "fix": each.fix or None} for each in result.checks
    ]
    return {"ok": result.ok, "checks": checks}


def _review(result: Review) -> Document:
    from mreg.render.formats.review_document import review_document  # noqa: PLC0415 - no other answer needs it

    return review_document(result)


def _pushed(result: Pushed) -> Document:
    from mreg.render.pages.pushed import pushed_document  # noqa: PLC0415 - no other answer needs it

    return pushed_document(result)


def _audit(result: Audit) -> Document:
    from mreg.render.pages.audit import audit_document  # noqa: PLC0415 - no other answer needs it

    return audit_document(result)


def _soundness(result: Soundness) -> Document:
    from mreg.render.pages.upkeep import soundness_document  # noqa: PLC0415 - no other answer needs it

    return soundness_document(result)


def _sweep(result: Sweep) -> Document:
    from mreg.render.pages.upkeep import sweep_document  # noqa: PLC0415 - no other answer needs it

    return sweep_document(result)


def _cache(result: CacheReport) -> Document:
    from mreg.render.pages.cached import cache_document  # noqa: PLC0415 - no other answer needs it

    return cache_document(result)


_DOCUMENTS: dict[str, Callable[[Any], Document]] = {
    "ModelList": _models,
    "VersionList": _versions,
    "VersionStream": _versions,
    "VersionDetails": _details,
    "History": _history,
    "Comparison": _comparison,
    "Choice": _choice,
    "Receipt": _receipt,
    "Pulled": _pulled,
    "Pushed": _pushed,
    "SyncReport": _sync,
    "Diagnosis": _diagnosis,
    "Review": _review,
    "Audit": _audit,
    "Soundness": _soundness,
    "Sweep": _sweep,
    "CacheReport": _cache,
}
"""By name: an answer does not wait for the modules that the others need."""
