"""Pages and documents of an audit, and of the auditor's report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mreg.core.review.audited import Audit, AuditFault, Judged, Report, Trusted
from mreg.core.review.gates import Outcome
from mreg.core.settings.policy import Policy
from mreg.render.page import Cell, Facts, Grid, Line, Page, Rows, Tone
from mreg.render.pages.listing import findings_grid
from mreg.render.text import NOTHING, format_moment, short_oid

__all__ = ["approvers_of", "audit_document", "format_rules", "view_audit", "view_report", "worth_of"]

_MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.UNPROVEN: "?"}


def view_audit(result: Audit, _policy: Policy) -> Page:
    """Returns the verdict, what was looked at, and what is wrong with it."""
    return (
        Line(Cell(_verdict(result), Tone.GOOD if result.ok else Tone.BAD)),
        Facts("", tuple(_facts(result))),
        _faults_grid("faults", result.faults),
        _fixes(result.faults),
        _faults_grid("no longer proven", result.unproven),
        findings_grid(result.gaps),
    )


def audit_document(result: Audit) -> dict[str, object]:
    """Returns the JSON document of an audit."""
    return {
        "ok": result.ok,
        "complete": result.complete,
        "tip": result.tip,
        "since": result.since,
        "trusted": _trusted_document(result.trusted) if result.trusted else None,
        "fallback": result.fallback or None,
        "commits": result.commits,
        "transitions": result.transitions,
        "signed": result.signed,
        "proven": result.proven,
        "claimed": result.claimed,
        "tags": result.tags,
        "remote": result.remote,
        "faults": list(map(_fault_document, result.faults)),
        "unproven": list(map(_fault_document, result.unproven)),
        "gaps": [{"code": each.code, "place": each.place, "message": each.message} for each in result.gaps],
    }


def view_report(result: Report, _policy: Policy) -> Page:
    """Returns one row a transition: who, when, why, by which rules, approved by whom, and what of that is proven."""
    header = ("when", "model", "stage", "action", "from", "to", "by", "approved by", "rules", "reason", "commit")
    grid = Grid("", header, Rows(_row, result.rows))
    proven = sum(each.actor.is_proven for each in result.rows)
    note = f"{_count(len(result.rows), 'transition')}: {_identities(proven, len(result.rows) - proven)}"
    head = Line(Cell(note if result.rows else "no transitions"))
    return (head, grid, findings_grid(result.findings))


def format_rules(each: Judged) -> str:
    """Returns how the rules of a stage answer: ``metric ✓, approvals ✗ 1 of 2``; empty where it has none."""
    words: dict[str, None] = {}
    for finding in each.judgement.findings:
        word = f"{finding.rule} {_MARKS[finding.outcome]}"
        if finding.rule == "approvals":
            word += f" {len(each.judgement.tally.approvers)} of {each.wanted}"
        words[word] = None
    return ", ".join(words)


def worth_of(each: Judged) -> str:
    """Returns what is known of who made a transition: ``proven`` or ``claimed``."""
    return each.actor.worth


def approvers_of(each: Judged) -> tuple[str, ...]:
    """Returns who approved a transition, and what that is worth; those whom only the statement names are claimed."""
    counted = each.judgement.tally.approvers
    known = {name.casefold() for actor in counted for name in (actor.email, actor.name)}
    named = [name for name in each.transition.approved_by if name.casefold() not in known]
    return (*(f"{actor.email} ({actor.worth})" for actor in counted), *(f"{name} (claimed)" for name in named))


def _row(each: Judged) -> tuple[Cell, ...]:
    move = each.transition
    return (
        Cell(format_moment(move.at)),
        Cell(move.model),
        Cell(move.stage),
        Cell(move.action.value + (" (adopted)" if move.adopted else "")),
        Cell(str(move.source or NOTHING)),
        Cell(str(move.target or NOTHING)),
        Cell(f"{move.by} ({worth_of(each)})"),
        Cell(", ".join(approvers_of(each)) or NOTHING),
        Cell(format_rules(each) or NOTHING),
        Cell(move.reason),
        Cell.code(short_oid(move.commit)),
    )


def _verdict(result: Audit) -> str:
    if not result.complete:
        return f"incomplete: this clone lacks {_count(len(result.gaps), 'object')}, and nothing was judged"
    if result.faults:
        return f"not ok: {_count(len(result.faults), 'fault')}"
    if result.trusted:
        return "ok: nothing wrong since this clone was last found clean"
    return "ok: every change kept to the rules, and every tag matches the history"


def _facts(result: Audit) -> Iterator[tuple[str, Cell]]:
    yield "tip", Cell.code(short_oid(result.tip))
    if result.trusted:
        yield "not judged again", Cell(_tell_trusted(result.trusted))
        yield "last full check", Cell(format_moment(result.trusted.whole_at))
    elif result.since:
        yield "since", Cell.code(short_oid(result.since))
    if result.fallback:
        yield "checked in full", Cell(result.fallback)
    if not result.complete:
        return
    yield "commits", Cell(str(result.commits))
    yield "transitions", Cell(f"{result.transitions}, {result.signed} signed")
    yield "identities", Cell(_identities(result.proven, result.claimed))
    yield "tags", Cell(str(result.tags))
    if result.remote:
        yield "remote", Cell.code(result.remote)
    if result.unproven:
        yield "no longer proven", Cell(str(len(result.unproven)))


def _tell_trusted(trusted: Trusted) -> str:
    number, commit = _count(trusted.commits, "commit"), short_oid(trusted.commit)
    return f"{number} up to {commit}, and the tags, found clean here on {format_moment(trusted.at)}"


def _trusted_document(trusted: Trusted) -> dict[str, object]:
    return {
        "commit": trusted.commit,
        "commits": trusted.commits,
        "at": format_moment(trusted.at),
        "whole_at": format_moment(trusted.whole_at),
    }


def _identities(proven: int, claimed: int) -> str:
    parts = [f"{proven} proven by signatures"] if proven else []
    parts += [f"{claimed} claimed, not proven"] if claimed or not proven else []
    return ", ".join(parts)


def _faults_grid(title: str, faults: Sequence[AuditFault]) -> Grid:
    rows = tuple(
        (Cell(each.code, Tone.BAD), Cell.code(each.place), Cell.code(short_oid(each.commit)), Cell(each.message))
        for each in faults
    )
    return Grid(title, ("code", "place", "commit", "what"), rows)


def _fixes(faults: Sequence[AuditFault]) -> Facts:
    """Returns what mends those faults for which something may, each command once."""
    places = {each.fix: short_oid(each.commit) for each in reversed(faults) if each.fix}
    return Facts("fix", tuple((oid, Cell.command(fix)) for fix, oid in reversed(places.items())))


def _fault_document(each: AuditFault) -> dict[str, object]:
    return {
        "code": each.code,
        "place": each.place,
        "commit": each.commit or None,
        "message": each.message,
        "fix": each.fix or None,
    }


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
