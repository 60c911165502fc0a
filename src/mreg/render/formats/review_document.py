"""A review as a JSON document."""

from __future__ import annotations

from collections.abc import Iterable

from mreg.core.review.gates import GateFinding
from mreg.core.review.reviewed import (
    Fault,
    GivenApproval,
    HoldChange,
    Registration,
    Review,
    ReviewedChange,
    SettingsReview,
)
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import ApprovalRule
from mreg.render.documents import Document, metric_document, record_document, section_document, transition_document

__all__ = ["review_document"]


def review_document(result: Review) -> Document:
    """Returns what a difference does to the registry, and every reason why it may not land."""
    return {
        "ok": result.ok,
        "changed": result.changed,
        "base": result.base,
        "head": result.head,
        "staged": result.is_staged,
        "draft": result.is_draft,
        "changes": [_change(result, each) for each in result.changes],
        "registrations": list(map(_registration, result.registrations)),
        "policy": _settings(result.settings) if result.settings else {},
        "approvals": list(map(_approval, result.approvals)),
        "holds": list(map(_hold, result.holds)),
        "faults": list(map(_fault, result.complaints)),
        "notices": result.notices,
        "co_authors": result.co_authors,
    }


def _actor_document(actor: Actor) -> Document:
    """Returns who did something, and what that is worth."""
    return {
        "email": actor.email,
        "person": actor.person.name if actor.person else None,
        "proven": actor.is_proven,
        "fault": actor.fault or None,
    }


def _change(result: Review, each: ReviewedChange) -> Document:
    tally = each.judgement.tally
    compared = each.comparison.metrics if each.comparison else {}
    return {
        "transition": transition_document(each.transition),
        "file": each.path,
        "line": each.line,
        "allowed": result.is_allowed(each),
        "actor": _actor_document(each.actor),
        "record": record_document(each.record) if each.record else None,
        "metrics": {name: metric_document(metric) for name, metric in compared.items()},
        "findings": _findings(each.judgement.findings),
        "approvals": {
            **_rule(each.approvals),
            "approvers": list(map(_actor_document, tally.approvers)),
            "missing": each.lacking,
            "not_counted": [{"code": code, "place": path, "message": why} for code, path, why in tally.faults],
        },
        "next": each.next_step or None,
    }


def _rule(rule: ApprovalRule) -> Document:
    return {"count": rule.count, "by": rule.by, "not_author": rule.not_author}


def _registration(each: Registration) -> Document:
    return {
        "model": each.model,
        "version": each.version,
        "file": each.path,
        "record": record_document(each.record) if each.record else None,
    }


def _settings(each: SettingsReview) -> Document:
    return {
        "file": each.path,
        "changes": [{"key": change.key, "old": change.old, "new": change.new} for change in each.changes],
        "actors": list(map(_actor_document, each.actors)),
        "findings": _findings(each.findings),
    }


def _approval(each: GivenApproval) -> Document:
    return {
        "model": each.model,
        "version": each.version,
        "stage": each.stage,
        "file": each.path,
        "actor": _actor_document(each.actor) if each.actor else {},
        "reason": each.reason or None,
        "counts": not each.code,
        "code": each.code or None,
        "message": each.why or None,
    }


def _hold(each: HoldChange) -> Document:
    return {
        "model": each.model,
        "stage": each.stage,
        "file": each.path,
        "set": each.is_set,
        "actor": _actor_document(each.actor),
        "findings": _findings(each.findings),
    }


def _fault(each: Fault) -> Document:
    return {
        "code": each.code,
        "place": each.place,
        "line": each.line,
        "message": each.message,
        "fix": each.fix or None,
    }


def _findings(findings: Iterable[GateFinding]) -> list[Document]:
    return list(map(section_document, findings))
