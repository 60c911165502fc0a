"""Pages of what writers did, and of ``pull``, ``sync`` and ``doctor``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mreg.core.names import ARCHIVED
from mreg.core.results import Diagnosis, Pulled, Receipt, SyncReport
from mreg.core.review.gates import GateFinding, Outcome
from mreg.core.settings.policy import Policy
from mreg.core.writing.plan import Plan, PlannedChange
from mreg.render.page import Cell, Facts, Grid, Line, Page, Tone
from mreg.render.pages.listing import findings_grid, transitions_grid
from mreg.render.text import NOTHING, format_bytes, short_oid

__all__ = ["sets_hold", "view_diagnosis", "view_pulled", "view_receipt", "view_sync"]


def view_receipt(result: Receipt, policy: Policy) -> Page:
    """Returns what was done, the commit, the tags and the next step."""
    subject = result.plan.subject or "nothing to do"
    head = f"would: {subject}" if result.dry_run and result.changed else subject
    return (
        Line(Cell(head, Tone.STRONG)),
        Facts("", tuple(_receipt(result, policy))),
        _gates_grid(result.findings),
    )


def _receipt(result: Receipt, policy: Policy) -> Iterator[tuple[str, Cell]]:
    for change in result.plan.changes:
        yield change.stage, Cell(_change(change))
    if sets_hold(result.plan):
        yield "hold", Cell("automatic promotions stop until the next mreg promote")
    if result.record:
        artifact = result.record.artifact
        known = artifact.format or ("unknown format" if artifact.sha256 else "")  # what was not read is not known yet
        what = ", ".join(filter(None, (format_bytes(artifact.size), known)))
        yield "artifact", Cell.code(f"{artifact.path} ({what})")
    if result.commit:
        yield "commit", Cell.code(short_oid(result.commit))
        yield "branch", Cell.code(result.branch)
    if result.commit and result.remote:
        yield "remote", Cell.code(result.remote)
    for tag in result.tags:
        yield "tag", Cell.code(tag)
    if result.dry_run:
        for path in sorted(result.plan.documents):
            yield "file", Cell.code(path)
    for notice in (*result.plan.notices, *result.notices):
        yield "note", Cell(notice)
    step = _next_step(result, policy)
    if step:
        yield "next", Cell.command(step)


def _gates_grid(findings: Iterable[GateFinding]) -> Grid:
    """Returns one row a gate: what is asked, its answer, what was found, why."""
    tones = {Outcome.PASS: Tone.GOOD, Outcome.FAIL: Tone.BAD, Outcome.UNPROVEN: Tone.PLAIN}
    rows = tuple(
        (
            Cell(each.gate),
            Cell(each.outcome.value, tones[each.outcome]),
            Cell(each.measured),
            Cell(each.why or NOTHING),
        )
        for each in findings
    )
    return Grid("gates", ("gate", "answer", "found", "why"), rows)


def sets_hold(plan: Plan) -> bool:
    """Returns whether a stage is held afterwards against automatic promotions."""
    return any(isinstance(each, Mapping) and each.get("hold") is True for each in plan.documents.values())


def _change(change: PlannedChange) -> str:
    if change.stage == ARCHIVED:
        return f"{change.target} is archived" if change.target else f"{change.source} is taken out"
    return f"{change.source or NOTHING} → {change.target or NOTHING} ({change.action.value})"


def _next_step(result: Receipt, policy: Policy) -> str:
    plan = result.plan
    if result.dry_run or not result.commit or plan.model is None:
        return ""
    if not result.tags and (result.record or any(change.stage != ARCHIVED for change in plan.changes)):
        if result.branch == policy.branch:
            return "mreg doctor   # shows what blocks its tags, and how to fix it"
        return f"mreg sync   # makes the tags, once {result.branch} is merged"
    if result.record and not plan.changes:
        return f"mreg promote {plan.model}@{plan.version} {next(iter(policy.stages))} --reason 'why'"
    filled = next((change.stage for change in plan.changes if change.target and change.stage != ARCHIVED), None)
    return f"mreg pull {plan.model}@{filled}" if filled else ""


def view_pulled(result: Pulled, _policy: Policy) -> Page:
    """Returns the path alone, for ``$(mreg pull churn)``."""
    return (Line(Cell.code(str(result.path))),)


def view_sync(result: SyncReport, _policy: Policy) -> Page:
    """Returns the tags that were made, for which transitions, and what is wrong with others."""
    verb = "would make" if result.dry_run else "made"
    count = len(result.created)
    head = f"{verb} {count} {'tag' if count == 1 else 'tags'}" if count else "nothing to do: no tag is missing"
    rows = [("tag", Cell.code(tag)) for tag in result.created]
    rows += [("promoted", Cell(each.plan.subject)) for each in result.promotions]
    rows.append(("already there", Cell(str(result.present))))
    if result.remote:
        rows.append(("remote", Cell.code(result.remote)))
    return (
        Line(Cell(head, Tone.STRONG)),
        Facts("", tuple(rows)),
        transitions_grid("transitions", result.transitions),
        _notifications_grid(result),
        findings_grid(result.findings),
    )


def _notifications_grid(result: SyncReport) -> Grid:
    rows = tuple(
        (
            Cell.code(each.sink),
            Cell("sent", Tone.GOOD) if each.ok else Cell("failed", Tone.BAD),
            Cell(f"{each.transition.model} {each.transition.stage}"),
            Cell(each.error or NOTHING),
        )
        for each in result.notifications
    )
    return Grid("notifications", ("sink", "state", "of", "why"), rows)


def view_diagnosis(result: Diagnosis, _policy: Policy) -> Page:
    """Returns one row a check, and what mends it."""
    rows = tuple(
        (
            Cell(check.name),
            Cell("ok", Tone.GOOD) if check.ok else Cell("fault", Tone.BAD),
            Cell(check.message),
            Cell.command(check.fix) if check.fix else Cell(NOTHING),
        )
        for check in result.checks
    )
    return (Grid("", ("check", "state", "message", "fix"), rows),)
