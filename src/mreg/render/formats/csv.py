"""The auditor's report as CSV (RFC 4180), for spreadsheets.

Rules:
    * Text out of a registry stays text: a cell that a spreadsheet would take for a formula gets an apostrophe in front
      (one that begins with ``=``, ``+``, ``-``, ``@``, or a full-width form of these, be there white space before it).
    * One record a line: line breaks and control characters are shown as in every other format.
    * What is not known is an empty cell; several approvers are separated by ``; ``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from mreg.core.review.audited import Judged, Report
from mreg.render.pages.audit import approvers_of, format_rules, worth_of
from mreg.render.text import clean, format_moment

__all__ = ["iter_csv"]

_HEADER = (
    "when",
    "model",
    "stage",
    "action",
    "from",
    "to",
    "by",
    "identity",
    "approved_by",
    "rules",
    "reason",
    "commit",
    "adopted_from",
)
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def iter_csv(result: Report) -> Iterator[str]:
    """Yields the lines of the report as CSV, each with its line break."""
    # `writerow` returns what `write` does.
    writer = csv.writer(_Line(), lineterminator="\r\n")
    yield writer.writerow(_HEADER)
    for each in result.rows:
        yield writer.writerow([_cell(text) for text in _row(each)])


class _Line:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _row(each: Judged) -> tuple[str, ...]:
    move = each.transition
    return (
        format_moment(move.at),
        move.model,
        move.stage,
        move.action.value,
        str(move.source or ""),
        str(move.target or ""),
        move.by,
        worth_of(each),
        "; ".join(approvers_of(each)),
        format_rules(each),
        move.reason,
        move.commit,
        move.adopted,
    )


def _cell(text: str) -> str:
    shown = clean(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
