"""A review in sections: the verdict, why not, one section a transition, and what else changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.fields import Plain
from mreg.core.history.record import Record
from mreg.core.names import ARCHIVED
from mreg.core.review.gates import GateFinding, Outcome
from mreg.core.review.reviewed import Registration, Review, ReviewedChange, SettingsReview
from mreg.core.review.squashing import CO_AUTHOR
from mreg.core.settings.policy import MetricRule, Policy
from mreg.core.versions.compare import MetricComparison
from mreg.core.versions.metrics import Delta, Verdict, format_metric
from mreg.render.page import Block, Cell, Facts, Grid, Line, Page, Tone
from mreg.render.text import NOTHING, format_bytes, format_plain, short_oid

__all__ = [
    "SQUASHED",
    "Section",
    "change_section",
    "complaints_grid",
    "count",
    "ends_facts",
    "format_verdict",
    "other_sections",
    "squash_lines",
    "summary_grid",
    "view_review",
]

SQUASHED = (
    "unsigned approvals count only if the commit message ends in these lines; GitHub adds them, GitLab does if its "
    "template has %{co_authored_by}, git merge --squash does not"
)
_COMMANDS = ("git ", "mreg ")
_MAX_METRICS = 8
"""Of a registration; ``mreg show`` has them all."""
_OUTCOMES = {
    Outcome.PASS: Cell("✓ pass", Tone.GOOD),
    Outcome.FAIL: Cell("✗ fail", Tone.BAD),
    Outcome.UNPROVEN: Cell("? unproven"),
}
_VERDICTS = {
    Verdict.BETTER: Cell("▲ better", Tone.GOOD),
    Verdict.WORSE: Cell("▼ worse", Tone.BAD),
    Verdict.EQUAL: Cell("= equal"),
    Verdict.UNKNOWN: Cell(NOTHING),
}


class Section(Struct, frozen=True):
    """One part of a review."""

    title: str
    blocks: tuple[Facts | Grid, ...]
    """Without titles of their own."""
    is_refused: bool | None = None
    """``None`` where there was nothing to refuse."""
    commands: tuple[str, ...] = ()
    """What to do next."""
    lines: tuple[str, ...] = ()
    """Text to copy as it is."""


def view_review(result: Review, _: Policy) -> Page:
    """Returns the verdict, why not, and the sections of a review."""
    blocks: list[Block] = [
        Line(Cell(format_verdict(result), Tone.STRONG)),
        ends_facts(result),
        replace(complaints_grid(result), title="reasons"),
    ]
    sections = [*(change_section(result, each) for each in result.changes), *other_sections(result)]
    for section in sections:
        first, *rest = (block for block in section.blocks if block.rows)
        blocks += [replace(first, title=section.title), *rest]
        blocks.append(Facts("", tuple(("next", Cell.command(command)) for command in section.commands)))
        blocks += [Line(Cell(line)) for line in section.lines]
    return tuple(blocks)


def format_verdict(result: Review) -> str:
    """Returns in a few words whether a difference may land."""
    act = "be committed" if result.is_staged else "land"
    if not result.ok:
        return f"this change may not {act}, for {count(len(result.complaints), 'reason')}"
    return f"this change may {act}" if result.changed else "the registry does not change"


def count(number: int, what: str) -> str:
    """Returns a number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def ends_facts(result: Review) -> Facts:
    """Returns what is compared, by whose rules, and how much changes."""
    head = f"the index, as tree {short_oid(result.head)}" if result.is_staged else short_oid(result.head)
    name = f"{result.base_name}, " if result.base_name else ""
    counts = (
        (len(result.changes), "transition"),
        (len(result.registrations), "registration"),
        (len(result.settings.changes) if result.settings else 0, "setting"),
        (len(result.approvals), "approval"),
        (len(result.holds), "hold"),
    )
    rows = (
        ("base", Cell(f"{name}{short_oid(result.base)}, whose rules apply")),
        ("head", Cell(head)),
        ("changes", Cell(", ".join(count(number, what) for number, what in counts if number) or "none")),
    )
    return Facts("", rows)


def complaints_grid(result: Review) -> Grid:
    """Returns every reason why a difference may not land, and what mends it."""
    rows = []
    for each in result.complaints:
        place = f"{each.place}:{each.line}" if each.line else each.place
        fix = Cell.command(each.fix) if each.fix.startswith(_COMMANDS) else Cell(each.fix or NOTHING)
        rows.append((Cell(each.code, Tone.BAD), Cell.code(place), Cell(each.message), fix))
    return Grid("", ("fault", "place", "problem", "fix"), tuple(rows))


def change_section(result: Review, change: ReviewedChange) -> Section:
    """Returns one transition: who, why, metrics, gates, approvals."""
    blocks = (Facts("", tuple(_facts(change))), _metrics_grid(change, result.policy), _gates_grid(change))
    commands = dict.fromkeys(step for step in change.steps if step.startswith(_COMMANDS))
    return Section(change.title, blocks, not result.is_allowed(change), tuple(commands))


def summary_grid(result: Review, changes: Iterable[ReviewedChange]) -> Grid:
    """Returns transitions in one row each."""
    rows = []
    for each in changes:
        passed = sum(finding.outcome is Outcome.PASS for finding in each.judgement.findings)
        gates = f"{passed} of {len(each.judgement.findings)} pass"
        is_allowed = result.is_allowed(each)
        mark = Cell("✓ may", Tone.GOOD) if is_allowed else Cell("✗ may not", Tone.BAD)
        rows.append((Cell(each.title), mark, Cell(gates), Cell(str(each.actor)), Cell(each.transition.reason)))
    return Grid("", ("transition", "verdict", "gates", "by", "reason"), tuple(rows))


def other_sections(result: Review) -> Iterator[Section]:
    """Yields what changes besides stages."""
    if result.settings:
        title = f"{result.settings.path}: judged by the policy of {short_oid(result.base)}, not by its own"
        yield Section(title, tuple(_settings_blocks(result.settings)), _is_refused(result.settings.findings))
    if result.registrations:
        header = ("version", "artifact", "metrics", "dataset", "code", "notes")
        rows = tuple(_registration_row(each, result.policy) for each in result.registrations)
        yield Section("registrations", (Grid("", header, rows),))
    if result.approvals:
        given = tuple(
            (
                Cell(f"{each.model} {each.version} in {each.stage}"),
                Cell(str(each.actor) if each.actor else NOTHING),
                Cell("✗ does not count", Tone.BAD) if each.code else Cell("✓ counts", Tone.GOOD),
                Cell(each.why or each.reason or NOTHING),
            )
            for each in result.approvals
        )
        yield Section("approvals in this change", (Grid("", ("approval", "by", "verdict", "why"), given),))
    if result.holds:
        holds = tuple(
            (
                Cell(f"{each.model} {each.stage}"),
                Cell("set: no automatic promotions" if each.is_set else "released"),
                Cell(str(each.actor)),
            )
            for each in result.holds
        )
        yield Section("holds", (Grid("", ("stage", "hold", "by"), holds),))
    if result.co_authors:
        note = Facts("", (("note", Cell(SQUASHED)),))
        yield Section("if it is squashed", (note,), lines=squash_lines(result))
    if result.notices:
        yield Section("notes", (Facts("", tuple(("note", Cell(notice)) for notice in result.notices)),))


def squash_lines(result: Review) -> tuple[str, ...]:
    """Returns the lines that the message of a squash must end in."""
    return tuple(f"{CO_AUTHOR}: {each}" for each in result.co_authors)


def _facts(change: ReviewedChange) -> Iterator[tuple[str, Cell]]:
    move, tally = change.transition, change.judgement.tally
    yield "by", Cell(str(change.actor))
    yield "reason", Cell(move.reason or NOTHING)
    yield "file", Cell.code(f"{change.path}:{change.line}" if change.line else change.path)
    if change.approvals.count:
        given = f"{len(tally.approvers)} of {change.approvals.count}"
        yield "approvals", Cell(f"{given}: {', '.join(map(str, tally.approvers)) or 'nobody'}")
    if change.lacking:
        who = f" by {' or '.join(change.approvals.by)}" if change.approvals.by else ""
        besides = ", other than the proposer" if change.approvals.not_author else ""
        yield "missing", Cell(f"{count(change.lacking, 'more approval')}{who}{besides}", Tone.BAD)
    for _, path, why in tally.faults:
        yield "not counted", Cell(f"{path}: {why}")
    if move.approved_by:
        yield "names as approvers", Cell(f"{', '.join(move.approved_by)} (claimed)")


def _metrics_grid(change: ReviewedChange, policy: Policy) -> Grid:
    if change.transition.stage == ARCHIVED or change.record is None:
        return Grid("", (), ())
    if change.comparison is None:
        rules, metrics = policy.metrics, change.record.metrics
        shown = (format_metric(value, rules.get(name, MetricRule())) for name, value in metrics.items())
        alone = tuple((Cell(name), Cell(text)) for name, text in zip(metrics, shown, strict=True))
        return Grid("", ("metric", str(change.record.version)), alone)
    names = tuple(change.comparison.versions)
    compared = change.comparison.metrics.items()
    rows = tuple((Cell(name), *_metric_cells(metric, names)) for name, metric in compared)
    return Grid("", ("metric", *names, "difference", "verdict"), rows)


def _metric_cells(metric: MetricComparison, names: Sequence[str]) -> tuple[Cell, ...]:
    values = (metric.values[name] for name in names)
    shown = (Cell("missing" if value is None else format_metric(value, metric.rule)) for value in values)
    delta = metric.deltas[names[-1]]
    return (*shown, Cell(_format_delta(delta, metric.rule)), _VERDICTS[delta.verdict])


def _format_delta(delta: Delta, rule: MetricRule) -> str:
    if delta.absolute is None:
        return NOTHING
    relative = f" ({delta.relative:+.1%})" if delta.relative is not None and delta.absolute else ""
    return format_metric(delta.absolute, rule, signed=True) + relative


def _gates_grid(change: ReviewedChange) -> Grid:
    rows = tuple(
        (Cell(each.gate), _OUTCOMES[each.outcome], Cell(each.measured), Cell(each.why or NOTHING))
        for each in change.judgement.findings
    )
    return Grid("", ("gate", "verdict", "found", "why"), rows)


def _settings_blocks(settings: SettingsReview) -> Iterator[Facts | Grid]:
    facts = [("by", Cell(", ".join(map(str, settings.actors))))]
    facts += [
        (each.gate, Cell(f"{_OUTCOMES[each.outcome].text}{f': {each.why}' if each.why else ''}"))
        for each in settings.findings
    ]
    if settings.is_there and not settings.changes:
        facts.append(("settings", Cell("no setting changes: only comments and layout")))
    yield Facts("", tuple(facts))
    rows = tuple((Cell.code(each.key), _setting(each.old), _setting(each.new)) for each in settings.changes)
    yield Grid("", ("setting", "before", "after"), rows)


def _setting(value: Plain) -> Cell:
    return Cell(NOTHING) if value is None else Cell.code(format_plain(value))


def _registration_row(each: Registration, policy: Policy) -> tuple[Cell, ...]:
    record = each.record
    if record is None:
        return (Cell(f"{each.model} {each.version}"), Cell("unreadable", Tone.BAD), *[Cell(NOTHING)] * 4)
    artifact, dataset, code = record.artifact, record.dataset, record.code
    return (
        Cell(f"{each.model} {each.version}"),
        Cell(f"{artifact.path}, {format_bytes(artifact.size)}, {artifact.format or 'unknown format'}"),
        Cell(_tell_metrics(record, policy) or NOTHING),
        Cell("@".join(filter(None, (dataset.name, dataset.version))) if dataset else NOTHING),
        Cell(f"{short_oid(code.commit)}{', dirty' if code.dirty else ''}" if code else NOTHING),
        Cell(record.notes or NOTHING),
    )


def _tell_metrics(record: Record, policy: Policy) -> str:
    """Returns the metrics in one line: those that the policy knows first, and the rest of many as a number."""
    known = policy.metrics
    names = sorted(record.metrics, key=lambda name: name not in known)
    shown = [f"{name} {format_metric(record.metrics[name], known.get(name, MetricRule()))}" for name in names]
    more = len(shown) - _MAX_METRICS
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:_MAX_METRICS])} and {more} more"


def _is_refused(findings: Iterable[GateFinding]) -> bool:
    return any(each.outcome is Outcome.FAIL for each in findings)
