"""Words, numbers and times as people read them; what every format but JSON shares.

Rules:
    * Text out of a registry is data: no character of it steers a terminal or turns the reading order around.
    * Times are ISO 8601 in UTC; none is relative to now.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import islice

from mreg.core.fields import Plain
from mreg.core.names import StageName
from mreg.core.settings.policy import Policy
from mreg.errors import MregError

__all__ = [
    "NOTHING",
    "clean",
    "format_bytes",
    "format_moment",
    "format_plain",
    "join_lines",
    "order_stages",
    "render_error",
    "short_oid",
]

NOTHING = "-"
"""What stands where there is no value."""

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian, Indic scripts and emoji are written."""
_AT_ONCE = 1000
_BREAKS = r"[\t\n\v\f\r]+"
_KIBI = 1024


def clean(text: str) -> str:
    """Returns text in one line, with control, bidirectional and other invisible characters written as escapes."""
    return text if text.isprintable() else "".join(map(_escape, re.sub(_BREAKS, " ", text)))


def _escape(character: str) -> str:
    if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")


def format_bytes(size: int) -> str:
    """Returns a size in binary units: ``48213`` is ``47.1 KiB``."""
    if size < _KIBI:
        return f"{size} B"
    number = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        number /= _KIBI
        if number < _KIBI:
            return f"{number:.1f} {unit}"
    return f"{number / _KIBI:.1f} TiB"


def format_moment(moment: datetime) -> str:
    """Returns a time in UTC, such as ``2026-11-20T09:12:00Z``; one without a zone is taken for UTC."""
    if moment.utcoffset():
        moment = moment.astimezone(timezone.utc)
    return f"{moment.isoformat().removesuffix('+00:00')}Z"


def format_plain(value: Plain) -> str:
    """Returns a parameter as it was written: text as it is, everything else as in JSON."""
    if isinstance(value, str):
        return value
    import json  # noqa: PLC0415 - most commands write none

    return json.dumps(value, ensure_ascii=False)


def join_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yields lines as one text, which is written as few pieces; without a newline at the end."""
    rest = iter(lines)
    between = ""
    while some := list(islice(rest, _AT_ONCE)):
        yield between + "\n".join(some)
        between = "\n"


def order_stages(stages: Iterable[StageName], policy: Policy) -> tuple[StageName, ...]:
    """Returns stages in the order of the policy; those that it does not declare come last, sorted."""
    found = set(stages)
    declared = [stage for stage in policy.stages if stage in found]
    return (*declared, *sorted(found.difference(declared)))


def short_oid(oid: str | None) -> str:
    """Returns the first 12 digits of an object id or hash."""
    return oid[:12] if oid else NOTHING


def render_error(error: MregError, *, as_json: bool = False) -> str:
    """Returns an error as ``error: …`` and ``hint: …`` on two lines, or as a JSON document."""
    if as_json:
        import json  # noqa: PLC0415 - as above

        body = {"code": error.code, "message": error.message, "hint": error.hint, "details": dict(error.details)}
        return json.dumps({"schema": 1, "error": body}, indent=2, default=str)
    hint = f"\nhint: {clean(error.hint)}" if error.hint else ""
    return f"error: {clean(error.message)}{_render_findings(error)}{hint}"


def _render_findings(error: MregError) -> str:
    """Returns every answer of the gates, or all that was found, a line each, where the message does not say it."""
    told = error.details.get("told")
    if isinstance(told, list) and len(told) > 1:
        return "".join(f"\n  {clean(str(each))}" for each in told)
    findings = error.details.get("findings")
    if not isinstance(findings, list) or len(findings) < 2:  # noqa: PLR2004 - the message says one
        return ""
    lines = []
    for each in findings:
        why = f" ({each['why']})" if each["why"] else ""
        lines.append(f"\n  {each['outcome']:<8}  {clean(each['gate'] + ': ' + each['measured'] + why)}")
    return "".join(lines)
