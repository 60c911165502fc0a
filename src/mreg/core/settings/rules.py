"""The gates that a stage declares: what a version must fulfil to enter it.

Rules:
    * A gate is a declaration, not a program; nothing in a registry is executed.
    * Each entry of ``gates:`` is one gate, and one key says which kind it is.
    * Sizes are bytes, durations seconds; both may be written with a unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from mreg.core.fields import Fields, format_moment
from mreg.core.names import StageName

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = [
    "FormatGate",
    "FreezeGate",
    "Gate",
    "MetricGate",
    "PickleGate",
    "PickleMode",
    "RequireGate",
    "SizeGate",
    "SoakGate",
    "format_duration",
    "parse_duration",
    "parse_gates",
    "parse_size",
]

Number = int | float

_DURATION = r"(?:(\d{1,5})d)? ?(?:(\d{1,6})h)? ?(?:(\d{1,7})m)?"
_SIZE = r"(\d{1,15}(?:\.\d{1,3})?) ?([kKMGT]i?)?B?"
_SIZE_UNITS = {"": 1} | {
    f"{letter}{binary}": base**power
    for power, letters in enumerate(("kK", "M", "G", "T"), 1)
    for letter in letters
    for binary, base in (("", 1000), ("i", 1024))
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class PickleMode(str, Enum):
    """What is asked of formats that run code when they are loaded."""

    FORBID = "forbid"
    """None at all."""
    SCAN = "scan"
    """A scanner looked at the bytes and found nothing; what it cannot read is no pass."""


class MetricGate(Struct, frozen=True):
    """A metric within bounds, or no worse than that of the version that a stage holds."""

    metric: str
    min: Number | None = None
    max: Number | None = None
    no_worse_than: StageName | None = None
    tolerance: Number = 0
    """How much worse it may be; a fraction of the other value where ``is_relative``."""
    is_relative: bool = False

    def __str__(self) -> str:
        """Returns it as findings name it."""
        parts = [f"{self.metric} ≥ {self.min}"] if self.min is not None else []
        parts += [f"{self.metric} ≤ {self.max}"] if self.max is not None else []
        if self.no_worse_than:
            amount = f"{self.tolerance * 100:g}%" if self.is_relative else f"{self.tolerance:g}"
            within = f" by more than {amount}" if self.tolerance else ""
            parts.append(f"{self.metric} no worse than {self.no_worse_than}{within}")
        return ", ".join(parts)

    def allows(self, value: Number, other: Number) -> bool:
        """Returns whether a value that is worse than another is so by no more than the tolerance, to the last digit."""
        limit = _exact(self.tolerance) * (abs(_exact(other)) if self.is_relative else 1)
        return abs(_exact(value) - _exact(other)) <= limit


class RequireGate(Struct, frozen=True):
    """Fields of the record that must be there."""

    fields: tuple[str, ...]

    def __str__(self) -> str:
        """Returns it as findings name it."""
        return f"the record has {', '.join(self.fields)}"


class FormatGate(Struct, frozen=True):
    """Formats that the artifact may have; of a directory, all of its parts."""

    allowed: tuple[str, ...]

    def __str__(self) -> str:
        """Returns it as findings name it."""
        return f"format is {' or '.join(self.allowed)}"


class SizeGate(Struct, frozen=True):
    """The most bytes that the artifact may have."""

    max_bytes: int

    def __str__(self) -> str:
        """Returns it as findings name it."""
        return f"size ≤ {self.max_bytes} bytes"


class PickleGate(Struct, frozen=True):
    """No artifact that runs code when it is loaded, or only one that a scanner found clean."""

    mode: PickleMode

    def __str__(self) -> str:
        """Returns it as findings name it."""
        return "no pickle" if self.mode is PickleMode.FORBID else "a pickle is scanned and clean"


class SoakGate(Struct, frozen=True):
    """The version was in another stage before, and for how long without a break."""

    stage: StageName
    seconds: int = 0

    def __str__(self) -> str:
        """Returns it as findings name it."""
        return f"was in {self.stage}" + (f" for {format_duration(self.seconds)}" if self.seconds else "")


class FreezeGate(Struct, frozen=True):
    """A time in which nothing is promoted: between two moments, or on some days of the week, in UTC."""

    start: datetime | None = None
    end: datetime | None = None
    """Exclusive."""
    days: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        """Returns it as findings name it."""
        if self.days:
            return f"not on {', '.join(self.days)}"
        start = f"from {format_moment(self.start)} " if self.start else ""
        return f"not {start}until {format_moment(self.end)}" if self.end else f"not {start}".rstrip()

    def covers(self, moment: datetime) -> bool:
        """Returns whether a moment lies in it."""
        if self.days:
            return _DAYS[moment.astimezone(timezone.utc).weekday()] in self.days
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


Gate = MetricGate | RequireGate | FormatGate | SizeGate | PickleGate | SoakGate | FreezeGate


def parse_gates(stage: Fields, stages: Collection[str], directions: Collection[str]) -> tuple[Gate, ...]:
    """Returns what ``gates:`` of a stage asks for.

    Args:
        stage: The stage's section.
        stages: The declared stages.
        directions: The metrics of which is known which way is better.

    Raises:
        DataError: A gate is of no known kind, or asks for what cannot be.
    """
    gates = []
    for fields in stage.list_of_sections("gates"):
        kind = next((name for name in _PARSERS if fields.has(name)), None)
        if kind is None:
            given = ", ".join(fields.names) or "nothing"
            raise stage.error("gates", f"no gate is asked for by {given}", hint=f"one of: {', '.join(_PARSERS)}")
        gate = _PARSERS[kind](fields)
        key, named = "no_worse_than", gate.no_worse_than if isinstance(gate, MetricGate) else None
        if isinstance(gate, SoakGate):
            key, named = "was_in", gate.stage
        if named is not None and named not in stages:
            raise fields.error(key, f"stage {named!r} is not declared", hint="the stages are: " + ", ".join(stages))
        if isinstance(gate, MetricGate) and gate.no_worse_than and gate.metric not in directions:
            hint = f"metrics: {{{gate.metric}: {{direction: higher}}}}"
            raise fields.error("no_worse_than", f"it is not declared which way {gate.metric} is better", hint=hint)
        _only(fields, kind)
        gates.append(gate)
    return tuple(gates)


def parse_duration(text: str) -> int | None:
    """Returns the seconds of a duration such as ``24h`` or ``7d 12h``; ``None`` where it is none."""
    match = re.fullmatch(_DURATION, text)
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return days * _DAY + hours * _HOUR + minutes * _MINUTE


def format_duration(seconds: int) -> str:
    """Returns a duration as ``1d 2h 3m``; what is less than a minute as ``0m``."""
    parts = ((seconds // _DAY, "d"), (seconds % _DAY // _HOUR, "h"), (seconds % _HOUR // _MINUTE, "m"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0m"


def parse_size(text: str) -> int | None:
    """Returns the bytes of a size such as ``500 MB`` or ``2GiB``; ``None`` where it is none."""
    match = re.fullmatch(_SIZE, text)
    return int(_exact(match[1]) * _SIZE_UNITS[match[2] or ""]) if match else None


def _exact(value: Number | str) -> Fraction:
    from fractions import Fraction  # noqa: PLC0415 - few settings have such a gate

    return Fraction(repr(value) if isinstance(value, float) else value)


def _only(fields: Fields, kind: str) -> None:
    for other in _PARSERS:
        if other != kind and fields.has(other):
            raise fields.error(other, f"this gate is about {kind}: begin another one", hint=f"- {other}: …")
    fields.finish()


def _parse_metric(fields: Fields) -> MetricGate:
    metric = fields.required_text("metric")
    low = fields.number("min") if fields.has("min") else None
    high = fields.number("max") if fields.has("max") else None
    stage = fields.text("no_worse_than")
    if low is None and high is None and not stage:
        raise fields.error("metric", f"what is asked of {metric} is not said", hint="add min:, max: or no_worse_than:")
    if low is not None and high is not None and low > high:
        raise fields.error("min", f"min {low} is more than max {high}", hint="swap the two")
    tolerance, is_relative = _parse_tolerance(fields)
    if tolerance and not stage:
        raise fields.error("tolerance", "a tolerance is that of no_worse_than:", hint="add no_worse_than: production")
    return MetricGate(metric, low, high, StageName(stage) if stage else None, tolerance, is_relative)


def _parse_tolerance(fields: Fields) -> tuple[Number, bool]:
    value = fields.value("tolerance")
    if value is None:
        return 0, False
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?) ?%", value)
        if match:
            return float(_exact(match[1]) / 100), True
        raise fields.error("tolerance", f"{value!r} is not a tolerance", hint="tolerance: 0.005, or tolerance: 1%")
    number = fields.number("tolerance")
    if number < 0:
        raise fields.error("tolerance", f"{number} is negative", hint="tolerance: 0.005, or tolerance: 1%")
    return number, False


def _parse_require(fields: Fields) -> RequireGate:
    names = fields.texts("require")
    known = (
        "metrics",
        "params",
        "dataset",
        "code",
        "run",
        "environment",
        "metadata",
        "notes",
        "trained_at",
        "artifact",
    )
    for name in names:
        if name.partition(".")[0] not in known:
            raise fields.error("require", f"a record has no field {name!r}", hint=f"fields are: {', '.join(known)}")
    if not names:
        raise fields.error("require", "at least one field is needed", hint="require: [dataset.version, code.commit]")
    return RequireGate(names)


def _parse_formats(fields: Fields) -> FormatGate:
    names = fields.texts("formats")
    if not names:
        raise fields.error("formats", "at least one format is needed", hint="formats: [onnx, safetensors]")
    return FormatGate(names)


def _parse_size(fields: Fields) -> SizeGate:
    value = fields.value("max_size")
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    size = parse_size(text)
    if size is None:
        raise fields.error("max_size", f"{value!r} is not a size", hint="max_size: 500 MB, or a number of bytes")
    return SizeGate(size)


def _parse_pickle(fields: Fields) -> PickleGate:
    mode = fields.choice("pickle", PickleMode, None)
    if mode is None:
        raise fields.error("pickle", "what is asked of pickles is not said", hint="pickle: forbid, or pickle: scan")
    return PickleGate(mode)


def _parse_soak(fields: Fields) -> SoakGate:
    stage, text = fields.required_text("was_in"), fields.text("for", unit="h")
    seconds = parse_duration(text) if text else 0
    if seconds is None:
        raise fields.error("for", f"{text!r} is not a duration", hint="for: 24h, or for: 7d 12h")
    return SoakGate(StageName(stage), seconds)


def _parse_freeze(fields: Fields) -> FreezeGate:
    section = fields.required_section("frozen")
    start, end, days = section.moment("from"), section.moment("until"), section.texts("days")
    gate = FreezeGate(start, end, tuple(day.lower() for day in days), section.text("why"))
    section.finish()
    for day in gate.days:
        if day not in _DAYS:
            raise section.error("days", f"{day!r} is not a day of the week", hint=f"one of: {', '.join(_DAYS)}")
    if bool(days) == bool(start or end):
        hint = "frozen: {from: 2026-12-20, until: 2027-01-02}, or frozen: {days: [sat, sun]}"
        raise fields.error("frozen", "either from: and until:, or days: is needed", hint=hint)
    if start and end and start >= end:
        raise section.error("until", "it ends before it begins", hint="swap from: and until:")
    return gate


_PARSERS: Mapping[str, Callable[[Fields], Gate]] = {
    "metric": _parse_metric,
    "require": _parse_require,
    "formats": _parse_formats,
    "max_size": _parse_size,
    "pickle": _parse_pickle,
    "was_in": _parse_soak,
    "frozen": _parse_freeze,
}
