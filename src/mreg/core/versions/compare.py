"""Versions side by side: metrics, parameters, lineage, artifact, stages.

Rules:
    * The first version is the baseline that the others are measured against; a version named twice counts once.
    * A version is called ``v3.0.0``, or ``churn@v3.0.0`` where several models are compared.
    * A metric without a direction has no best version; a version that lacks it is listed as such.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timezone

from msgspec import Struct

from mreg.core.fields import Plain
from mreg.core.history.record import Record, format_record
from mreg.core.names import ModelName, StageName
from mreg.core.settings.policy import Direction, MetricRule
from mreg.core.versions.metrics import Delta, Number, check_metric, measure_delta, override_directions
from mreg.errors import UsageError

__all__ = ["Comparison", "FactComparison", "MetricComparison", "Subject", "compare", "flatten_lineage"]


class Subject(Struct, frozen=True):
    """One version that is compared."""

    record: Record
    stages: tuple[StageName, ...] = ()
    """The stages that hold it."""
    archived: bool = False


class MetricComparison(Struct, frozen=True):
    """One metric of every version."""

    rule: MetricRule
    """As in ``registry.yaml``, with the direction that was asked for."""
    values: Mapping[str, Number | None]
    """By version; ``None`` where the record lacks it."""
    best: str | None
    """The version with the best value; ``None`` on a tie and without a direction."""
    tied: tuple[str, ...]
    """The versions that share the best value; empty where one alone has it."""
    deltas: Mapping[str, Delta]
    """By version, without the baseline."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The versions that lack it."""
        return tuple(name for name, value in self.values.items() if value is None)


class FactComparison(Struct, frozen=True):
    """Named facts, apart by whether the versions agree on them; sorted by name."""

    differ: Mapping[str, Mapping[str, Plain]]
    """Values by name, then by version; a version that lacks the fact is left out."""
    same: Mapping[str, Plain]


class Comparison(Struct, frozen=True):
    """Versions side by side; every mapping by version keeps the order that was asked for."""

    versions: Mapping[str, Subject]
    """By what each is called in this comparison; the first is the baseline."""
    metrics: Mapping[str, MetricComparison]
    """Those with a direction first, then by name."""
    params: FactComparison
    lineage: FactComparison
    """Dataset, code, run, environment and time, by dotted name: ``code.commit``."""
    artifact: FactComparison
    same_bytes: bool | None
    """Whether all artifacts are the same; ``None`` where a record names no hash."""
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Returns what is compared."""
        return f"<Comparison of {', '.join(self.versions)}>"

    @property
    def baseline(self) -> str:
        """The version that the others are measured against."""
        return next(iter(self.versions))

    @property
    def models(self) -> tuple[ModelName, ...]:
        """The models that are compared, each once."""
        return tuple(dict.fromkeys(subject.record.model for subject in self.versions.values()))


def compare(
    subjects: Sequence[Subject],
    rules: Mapping[str, MetricRule],
    *,
    higher: Collection[str] = (),
    lower: Collection[str] = (),
) -> Comparison:
    """Returns versions side by side.

    Args:
        subjects: Two or more, of one model or of several; the first is the baseline.
        rules: How the policy reads metrics.
        higher: Metrics of which more is better, whatever the policy says.
        lower: Metrics of which less is better.

    Raises:
        UsageError: Fewer than two versions, or a metric that is asked to be both higher and lower.
        NotFoundError: ``higher`` or ``lower`` names a metric that no version has.
    """
    if len(subjects) < 2:  # noqa: PLR2004 - the least that can be compared
        raise UsageError("two versions or more are needed to compare", hint="mreg compare churn@v1 churn@v2")
    rules = override_directions(rules, higher=higher, lower=lower)
    versions = _call(subjects)
    records = {name: subject.record for name, subject in versions.items()}
    known = {metric for record in records.values() for metric in record.metrics}
    for metric in (*higher, *lower):
        check_metric(metric, known, "no version compared")
    return Comparison(
        versions=versions,
        metrics=_compare_metrics(records, sorted(known), rules),
        params=_compare_facts({name: record.params for name, record in records.items()}),
        lineage=_compare_facts({name: flatten_lineage(record) for name, record in records.items()}),
        artifact=_compare_facts({name: _section(record, "artifact") for name, record in records.items()}),
        same_bytes=_same_bytes(records.values()),
        notices=_notices(subjects, versions),
    )


def flatten_lineage(record: Record) -> dict[str, Plain]:
    """Returns what a version was made from, by dotted name: ``code.commit``, ``environment.packages.numpy``."""
    facts: dict[str, Plain] = {}
    for section in ("dataset", "code", "run", "environment"):
        for name, value in _section(record, section).items():
            if isinstance(value, dict):
                facts |= {f"{section}.{name}.{key}": each for key, each in value.items()}
            else:
                facts[f"{section}.{name}"] = value
    if record.trained_at:
        # In UTC, since the same instant in another time zone is no difference.
        facts["trained_at"] = record.trained_at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return facts


def _call(subjects: Sequence[Subject]) -> dict[str, Subject]:
    is_one_model = len({subject.record.model for subject in subjects}) == 1
    records = [subject.record for subject in subjects]
    names = (str(record.version) if is_one_model else f"{record.model}@{record.version}" for record in records)
    return dict(zip(names, subjects, strict=True))


def _notices(subjects: Sequence[Subject], versions: Mapping[str, Subject]) -> tuple[str, ...]:
    if len(versions) == 1:
        return (f"all selectors name the same version, {next(iter(versions))}",)
    return ("a version that was named more than once is shown once",) if len(versions) < len(subjects) else ()


def _compare_metrics(
    records: Mapping[str, Record], metrics: Sequence[str], rules: Mapping[str, MetricRule]
) -> dict[str, MetricComparison]:
    compared = {metric: _compare_metric(metric, records, rules.get(metric, MetricRule())) for metric in metrics}
    return dict(sorted(compared.items(), key=lambda item: item[1].rule.direction is None))


def _compare_metric(metric: str, records: Mapping[str, Record], rule: MetricRule) -> MetricComparison:
    values = {name: record.metrics.get(metric) for name, record in records.items()}
    baseline, *others = values
    top: list[str] = []
    if rule.direction is not None:
        measured = [value for value in values.values() if value is not None]
        limit = max(measured) if rule.direction is Direction.HIGHER else min(measured)
        top = [name for name, value in values.items() if value == limit]
    return MetricComparison(
        rule=rule,
        values=values,
        best=top[0] if len(top) == 1 else None,
        tied=tuple(top) if len(top) > 1 else (),
        deltas={name: measure_delta(values[name], values[baseline], rule.direction) for name in others},
    )


def _compare_facts(facts: Mapping[str, Mapping[str, Plain]]) -> FactComparison:
    names = sorted({name for each in facts.values() for name in each})
    differ: dict[str, Mapping[str, Plain]] = {}
    same: dict[str, Plain] = {}
    for name in names:
        values = {version: each[name] for version, each in facts.items() if name in each}
        first, *others = values.values()
        if len(values) == len(facts) and all(_is_same(first, other) for other in others):
            same[name] = first
        else:
            differ[name] = values
    return FactComparison(differ, same)


def _is_same(one: Plain, other: Plain) -> bool:
    # True equals 1 in Python, and is another parameter all the same.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _section(record: Record, name: str) -> dict[str, Plain]:
    section = format_record(record).get(name)
    return section if isinstance(section, dict) else {}


def _same_bytes(records: Iterable[Record]) -> bool | None:
    hashes = {record.artifact.sha256 for record in records}
    return None if "" in hashes else len(hashes) == 1
