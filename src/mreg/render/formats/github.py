"""Results for GitHub Actions: annotations for the log, outputs for the steps that follow, a summary for people.

Rules:
    * The log has commands of ours alone, one a line; text out of a registry is escaped in them, and begins none.
    * An output that is too large is empty, and a warning says so; see ``outputs``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct

from mreg.core.history.timeline import Finding
from mreg.core.layout import SETTINGS_FILE
from mreg.core.results import Diagnosis, History, ModelList, Receipt, SyncReport, VersionList
from mreg.core.review.audited import Audit
from mreg.core.review.reviewed import Review
from mreg.core.sharing.pushed import Pushed
from mreg.core.sharing.settling import tell
from mreg.core.storage.cached import CacheReport
from mreg.core.storage.soundness import Soundness
from mreg.core.storage.swept import Sweep
from mreg.errors import MregError
from mreg.render.formats.markdown import escape
from mreg.render.formats.outputs import MAX_OUTPUT_BYTES, as_output, read_document, render_outputs
from mreg.render.formats.review import CHECK_MARK
from mreg.render.pages.cached import format_cache
from mreg.render.pages.sections import SQUASHED, format_verdict, squash_lines
from mreg.render.pages.upkeep import format_soundness, format_sweep, mend_command, tell_fault
from mreg.render.text import clean, render_error
from mreg.render.view import Result

__all__ = [
    "Annotation",
    "Level",
    "Step",
    "annotate",
    "render_annotations",
    "render_error_step",
    "render_step",
]

MAX_SUMMARY_BYTES = 1_000_000
"""GitHub shows no summary of a step that is larger than 1 MiB."""
MAX_ANNOTATIONS = 10
"""GitHub shows no more of one level in a step."""
_PLACE = re.compile(r"(?P<file>[^\s:]+):(?P<line>[0-9]+): .*", re.DOTALL)
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}
_PROMISED = ("changed", "commit", "tags", "version", "transitions")
"""Keys of the JSON document that are outputs of their own."""


class Level(str, Enum):
    """How an annotation is shown."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Annotation(Struct, frozen=True):
    """One remark, at a place of the repository or on the run as a whole."""

    level: Level
    title: str
    message: str
    """May have several lines."""
    file: str = ""
    line: int = 0


class Step(Struct, frozen=True):
    """What one step leaves."""

    log: str
    """Workflow commands, for the log."""
    outputs: str
    """To be appended to the file that ``GITHUB_OUTPUT`` names."""
    summary: str
    """Markdown, to be appended to the file that ``GITHUB_STEP_SUMMARY`` names."""


def render_step(result: Result, markdown: Iterable[str]) -> Step:
    """Returns what the step of a result leaves.

    Args:
        result: What the registry answered.
        markdown: The same as Markdown, in pieces; where it is a review, it is the output ``comment`` too.
    """
    document = read_document(result)
    is_ok = not result.findings if isinstance(result, SyncReport) else document.get("ok", True)
    outputs = {"ok": is_ok}
    # Where `verify` counts tags and transitions, the numbers are in the report alone.
    outputs |= {name: document[name] for name in _PROMISED if type(document.get(name, 0)) is not int}
    if isinstance(result, Receipt):
        about, commit = {"model": document["model"]}, {"commit": document["commit"]}
        outputs["transitions"] = [{**about, **each, **commit} for each in document["changes"] if not result.dry_run]
    return _step(annotate(result), {**outputs, "report": document}, _begin(markdown, MAX_SUMMARY_BYTES))


def render_error_step(error: MregError, *, is_check: bool = False) -> Step:
    """Returns what the step of a command that failed leaves.

    Args:
        error: Why.
        is_check: Whether a review was asked for, which a comment is to tell of.
    """
    outputs = {"ok": False, "changed": False, "report": json.loads(render_error(error, as_json=True))}
    mark = f"{CHECK_MARK}\n" if is_check else ""
    return _step(_annotate_error(error), outputs, mark + _error_markdown(error))


def annotate(result: Result) -> tuple[Annotation, ...]:
    """Returns what to remark on a result: what was done, and what is wrong."""
    remarks = _REMARKS.get(type(result))
    return tuple(remarks(result)) if remarks else ()


def _annotate_error(error: MregError) -> tuple[Annotation, ...]:
    """Returns what to remark on a command that failed: the error, and every finding that refused it."""
    hint = f"\nhint: {error.hint}" if error.hint else ""
    findings = (
        Annotation(Level.ERROR, f"mreg: {each['rule']}", _finding_text(each))
        for each in _findings_of(error)
        if each["outcome"] != "pass"
    )
    return (Annotation(Level.ERROR, f"mreg: {error.code}", error.message + hint), *findings)


def render_annotations(annotations: Iterable[Annotation]) -> str:
    """Returns workflow commands, one a line; of each level as many as GitHub shows, and how many more there are."""
    lines: list[str] = []
    found = list(annotations)
    for level in Level:
        those = [each for each in found if each.level is level]
        shown = those if len(those) <= MAX_ANNOTATIONS else those[: MAX_ANNOTATIONS - 1]
        lines += map(_command, shown)
        if len(shown) < len(those):
            more = f"{len(those) - len(shown)} more: the summary of this job has them all"
            lines.append(_command(Annotation(level, "mreg", more)))
    return "\n".join(lines)


def _step(annotations: Iterable[Annotation], outputs: Mapping[str, object], markdown: str) -> Step:
    texts = {name: as_output(value) for name, value in outputs.items()}
    large = [name for name, text in texts.items() if len(text.encode("utf-8", "backslashreplace")) > MAX_OUTPUT_BYTES]
    texts.update(dict.fromkeys(large, ""))
    if markdown.startswith(CHECK_MARK):
        texts["comment"] = _cut(markdown, MAX_OUTPUT_BYTES)
    warnings = (
        Annotation(Level.WARNING, "mreg", f"the output {name} is too large for a variable, and was left empty")
        for name in large
    )
    log = render_annotations([*annotations, *warnings])
    return Step(log, render_outputs(texts), _cut(markdown, MAX_SUMMARY_BYTES))


def _begin(pieces: Iterable[str], size: int) -> str:
    """Returns a text, or as much of it as shows that it is longer than so many bytes."""
    taken: list[str] = []
    for piece in pieces:
        taken.append(piece)
        size -= len(piece)
        if size < 0:
            break
    return "".join(taken)


def _of_receipt(result: Receipt) -> Iterator[Annotation]:
    title = "mreg: would" if result.dry_run and result.changed else "mreg"
    yield Annotation(Level.NOTICE, title, "\n".join((result.plan.subject or "nothing to do", *result.tags)))
    for notice in (*result.plan.notices, *result.notices):
        yield Annotation(Level.NOTICE, "mreg", notice)


def _of_sync(result: SyncReport) -> Iterator[Annotation]:
    count, verb = len(result.created), "would make" if result.dry_run else "made"
    done = f"{verb} {count} {'tag' if count == 1 else 'tags'}" if count else "no tag is missing"
    yield Annotation(Level.NOTICE, "mreg sync", done)
    yield from _of_findings(result.findings, Level.ERROR)
    for told in result.notifications:
        if not told.ok:
            yield Annotation(Level.WARNING, "mreg sync", told.error)
    for notice in result.notices:
        yield Annotation(Level.NOTICE, "mreg sync", notice)


def _of_pushed(result: Pushed) -> Iterator[Annotation]:
    for each in result.conflicts:
        message = f"{tell(each)}\nhint: {each.settle}"
        yield Annotation(Level.ERROR, f"mreg push: {each.what}", message, file=each.path)
    for fault in result.complaints:
        yield Annotation(Level.ERROR, f"mreg push: {fault.code}", fault.message, file=fault.place)
    if result.ok:
        verb = "would push" if result.dry_run else "pushed"
        done = f"{verb} {len(result.commits)} commits" if result.changed else "nothing to push"
        yield Annotation(Level.NOTICE, "mreg push", done)
    for notice in result.notices:
        yield Annotation(Level.NOTICE, "mreg push", notice)


def _of_reading(result: ModelList | VersionList | History) -> Iterator[Annotation]:
    yield from _of_findings(result.findings, Level.WARNING)


def _of_findings(findings: Iterable[Finding], level: Level) -> Iterator[Annotation]:
    for each in findings:
        is_path = "/" in each.place and not each.place.startswith("refs/")
        message = each.message if each.message.startswith(each.place) else f"{each.place}: {each.message}"
        yield Annotation(level, f"mreg: {each.code}", message, file=each.place if is_path else "")


def _of_review(result: Review) -> Iterator[Annotation]:
    yield Annotation(Level.NOTICE, "mreg check", format_verdict(result))
    for each in result.complaints:
        fix = f"\nfix: {each.fix}" if each.fix else ""
        yield Annotation(Level.ERROR, f"mreg: {each.code}", each.message + fix, each.place, each.line or 0)
    for notice in result.notices:
        yield Annotation(Level.NOTICE, "mreg check", notice)
    if result.co_authors:
        told = "\n".join((f"if it is squashed: {SQUASHED}", *squash_lines(result)))
        yield Annotation(Level.NOTICE, "mreg check", told)


def _of_audit(result: Audit) -> Iterator[Annotation]:
    counts = f"{result.commits} commits, {result.transitions} transitions, {result.tags} tags"
    worth = f"{result.proven} proven by signatures, {result.claimed} claimed, not proven"
    verdict = "ok" if result.ok else "not ok" if result.complete else "incomplete"
    yield Annotation(Level.NOTICE, f"mreg verify: {verdict}", f"{counts}; {worth}")
    yield from _of_findings(result.gaps, Level.ERROR)
    for each in result.faults:
        is_path = "/" in each.place and not each.place.startswith(("refs/", "info/"))
        where = f" (commit {each.commit[:12]})" if each.commit else ""
        file = each.place if is_path or each.place == SETTINGS_FILE else ""
        fix = f"\nfix: {each.fix}" if each.fix else ""
        yield Annotation(Level.ERROR, f"mreg: {each.code}", f"{each.place}: {each.message}{where}{fix}", file=file)


def _of_soundness(result: Soundness) -> Iterator[Annotation]:
    yield Annotation(Level.NOTICE, "mreg fsck", format_soundness(result))
    for each in result.faults:
        message = f"{each.model} {each.version}: {tell_fault(each)}\nfix: {mend_command(result, each)}"
        yield Annotation(Level.ERROR, "mreg: bytes", message)


def _of_sweep(result: Sweep) -> Iterator[Annotation]:
    yield Annotation(Level.ERROR if result.lost else Level.NOTICE, "mreg gc", format_sweep(result))
    for notice in result.notices:
        yield Annotation(Level.NOTICE, "mreg gc", notice)


def _of_cache(result: CacheReport) -> Iterator[Annotation]:
    yield Annotation(Level.NOTICE, "mreg cache", format_cache(result))
    for notice in result.notices:
        yield Annotation(Level.WARNING, "mreg cache", notice)


def _of_diagnosis(result: Diagnosis) -> Iterator[Annotation]:
    for check in result.checks:
        if not check.ok:
            place = _PLACE.fullmatch(check.message)
            file, line = (place["file"], int(place["line"])) if place else ("", 0)
            fix = f"\nfix: {check.fix}" if check.fix else ""
            yield Annotation(Level.ERROR, f"mreg: {check.name}", check.message + fix, file, line)


def _command(each: Annotation) -> str:
    properties = {"file": each.file, "line": str(each.line or ""), "title": each.title}
    words = ",".join(f"{name}={_escape(clean(text), _PROPERTY)}" for name, text in properties.items() if text)
    message = "\n".join(clean(line) for line in each.message.splitlines())
    return f"::{each.level.value} {words}::{_escape(message, _DATA)}"


def _escape(text: str, table: Mapping[str, str]) -> str:
    # Before `::` there was `##[…]`, which GitHub still obeys wherever it stands in a line.
    return "".join(table.get(character, character) for character in text.replace("##[", "# #["))


def _cut(text: str, size: int) -> str:
    """Returns text that has at most so many bytes in UTF-8; what is cut ends with a line that says so."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= size:
        return text
    note = "\n\n(this was too long, and is cut here)"
    kept = data[: size - len(note)]
    return (kept.rpartition(b"\n")[0] or kept).decode("utf-8", "ignore") + note


def _error_markdown(error: MregError) -> str:
    findings = [
        f"- {'✓' if each['outcome'] == 'pass' else '✗'} {escape(_finding_text(each))}" for each in _findings_of(error)
    ]
    hint = clean(error.hint)
    shown = f"hint: {escape(hint) if '`' in hint else f'`{hint}`'}" if hint else ""
    blocks = (f"**{escape(f'error: {error.message}')}**", "\n".join(findings), shown)
    return "\n\n".join(filter(None, blocks))


def _findings_of(error: MregError) -> list[Mapping[str, str]]:
    found = error.details.get("findings")
    return found if isinstance(found, list) and len(found) > 1 else []  # of one alone, the message tells


def _finding_text(each: Mapping[str, str]) -> str:
    return f"{each['gate']}: {each['measured']}" + (f" ({each['why']})" if each["why"] else "")


_REMARKS: dict[type, Callable[[Any], Iterator[Annotation]]] = {
    Receipt: _of_receipt,
    Pushed: _of_pushed,
    SyncReport: _of_sync,
    Diagnosis: _of_diagnosis,
    Review: _of_review,
    Audit: _of_audit,
    Soundness: _of_soundness,
    Sweep: _of_sweep,
    CacheReport: _of_cache,
    ModelList: _of_reading,
    VersionList: _of_reading,
    History: _of_reading,
}
