"""Which version of a model should go to a stage, and why.

Rules:
    * Metrics decide one after the other: the second is asked only where the first is equal, and so on.
    * A version is out if it is archived, its record cannot be read, it lacks a metric that is asked for, or it breaks a
      constraint; each is listed with its reason.
    * Where all metrics are equal, a version that the stage holds already stays, since a change that gains nothing is
      only a risk; else the newest wins, since it knows the latest data and code.  Either way the tie is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.names import ModelName, StageName, Version
from mreg.core.results import VersionSummary
from mreg.core.settings.policy import Direction, MetricRule
from mreg.core.versions.compare import Comparison, Subject, compare
from mreg.core.versions.constraint import Constraint
from mreg.core.versions.metrics import Number, check_metric, format_metric
from mreg.errors import RefusedError, UsageError

__all__ = ["Choice", "Criterion", "Excluded", "Ranked", "choose_best"]

_DIRECTIONS = frozenset(direction.value for direction in Direction)
_MAX_LISTED = 5


class Criterion(Struct, frozen=True):
    """A metric that decides, and which way it is better."""

    metric: str
    direction: Direction
    rule: MetricRule
    """How it is read, this direction included."""


class Ranked(Struct, frozen=True):
    """One version that could be chosen."""

    rank: int
    """From 1; versions that are equal in every metric share it."""
    version: Version
    values: tuple[Number, ...]
    """In the order of the criteria."""


class Excluded(Struct, frozen=True):
    """One version that could not be chosen."""

    version: Version
    reason: str
    """Such as ``missing auc``, or ``latency_ms 61.2 breaks latency_ms <= 50``."""


class Choice(Struct, frozen=True):
    """The version that should go to a stage, and why."""

    model: ModelName
    version: Version
    criteria: tuple[Criterion, ...]
    constraints: tuple[Constraint, ...]
    ranking: tuple[Ranked, ...]
    """Best first; the chosen version leads."""
    excluded: tuple[Excluded, ...]
    """Newest first."""
    reasons: tuple[str, ...]
    """In words, the weightiest first."""
    stage: StageName | None = None
    """The stage that was asked about."""
    holder: Version | None = None
    """The version that the stage holds now."""
    against: Comparison | None = None
    """The chosen version against the holder; ``None`` where there is no other version to set it against."""

    def __repr__(self) -> str:
        """Returns which, and the first reason why."""
        return f"<Choice {self.model} {self.version}: {self.reasons[0]}>"

    @property
    def tied(self) -> tuple[Version, ...]:
        """The versions that are equal in every metric, the chosen one first; empty where it is better than all."""
        first = tuple(each.version for each in self.ranking if each.rank == 1)
        return first if len(first) > 1 else ()

    @property
    def holds_already(self) -> bool:
        """True where the stage holds the chosen version, so that there is nothing to do."""
        return self.holder == self.version

    @property
    def command(self) -> str | None:
        """What promotes the chosen version; ``None`` where no stage was asked about, or it is there already."""
        if self.stage is None or self.holds_already:
            return None
        reason = self.reasons[0].replace("'", "'\\''")
        return f"mreg promote {self.model}@{self.version} {self.stage} --reason '{reason}'"


def choose_best(
    model: ModelName,
    versions: Sequence[VersionSummary],
    by: Sequence[str],
    rules: Mapping[str, MetricRule],
    where: Sequence[Constraint] = (),
    *,
    stage: StageName | None = None,
) -> Choice:
    """Returns the version that should go to a stage, and why.

    Args:
        model: The model.
        versions: All its versions.
        by: Metrics, the weightiest first, each as ``auc`` or ``auc:higher``; a comma separates several.
        rules: How the policy reads metrics.
        where: What a version must keep to.
        stage: Say what this stage holds now, and how the choice differs from it.

    Raises:
        UsageError: No metric is named, one is named twice, or one has no direction.
        NotFoundError: No version has the metric.
        RefusedError: No version is left; ``details`` say why each fell out.
    """
    known = {metric for each in versions if each.record for metric in each.record.metrics}
    criteria = _parse_criteria(by, rules, known, model)
    for constraint in where:
        check_metric(constraint.metric, known, f"no version of {model}")
    faults = {each.version: _find_fault(each, criteria, where) for each in versions}
    excluded = tuple(Excluded(version, fault) for version, fault in faults.items() if fault)
    ranking = _rank([each for each in versions if not faults[each.version]], criteria, stage)
    if not ranking:
        raise _none_left(model, excluded)
    chosen = next(each for each in versions if each.version == ranking[0].version)
    holder = next((each for each in versions if stage in each.stages), None)
    return Choice(
        model=model,
        version=chosen.version,
        criteria=criteria,
        constraints=tuple(where),
        ranking=ranking,
        excluded=excluded,
        reasons=(*_explain_rank(ranking, criteria), *_explain_stage(ranking, holder, stage, faults)),
        stage=stage,
        holder=holder.version if holder else None,
        against=_set_against(chosen, holder, criteria, rules),
    )


def _parse_criteria(
    by: Sequence[str], rules: Mapping[str, MetricRule], known: Collection[str], model: ModelName
) -> tuple[Criterion, ...]:
    criteria: dict[str, Criterion] = {}
    for text in (part.strip() for each in by for part in each.split(",") if part.strip()):
        name, _, way = text.rpartition(":")
        metric, asked = (name, Direction(way)) if way in _DIRECTIONS else (text, None)
        if metric not in known and name in known:
            hint = " or ".join(f"{name}:{each.value}" for each in Direction)
            raise UsageError(f"{way!r} is not a direction for {name}", hint=hint, details={"metric": name})
        check_metric(metric, known, f"no version of {model}")
        if metric in criteria:
            raise UsageError(f"metric {metric!r} is named twice", hint="name it once", details={"metric": metric})
        rule = rules.get(metric, MetricRule())
        direction = asked or rule.direction
        if direction is None:
            raise UsageError(
                f"metric {metric!r} has no direction: nothing says whether higher or lower is better",
                hint=f"--higher {metric} or --lower {metric}; for good, in registry.yaml: "
                f"metrics: {{{metric}: {{direction: higher}}}}",
                details={"metric": metric},
            )
        criteria[metric] = Criterion(metric, direction, MetricRule(direction, rule.unit, rule.format))
    if not criteria:
        raise UsageError("no metric is named to choose by", hint=f"mreg best {model} --by METRIC")
    return tuple(criteria.values())


def _find_fault(each: VersionSummary, criteria: Sequence[Criterion], where: Sequence[Constraint]) -> str:
    if each.archived:
        return "archived"
    if each.record is None:
        return "its record cannot be read"
    metrics = each.record.metrics
    needed = dict.fromkeys([rule.metric for rule in criteria] + [rule.metric for rule in where])
    missing = [metric for metric in needed if metric not in metrics]
    if missing:
        return "missing " + ", ".join(missing)
    # The value as it is in the record: a rounded one could seem to keep to the limit.
    broken = [
        f"{rule.metric} {metrics[rule.metric]} breaks {rule}" for rule in where if not rule.allows(metrics[rule.metric])
    ]
    return "; ".join(broken)


def _rank(left: Sequence[VersionSummary], criteria: Sequence[Criterion], stage: StageName | None) -> tuple[Ranked, ...]:
    rows = []
    for each in left:
        metrics = each.record.metrics if each.record else {}
        values = tuple(metrics[criterion.metric] for criterion in criteria)
        order = tuple(map(_descend, values, criteria))
        rows.append((order, stage not in each.stages, Ranked(0, each.version, values)))
    rows.sort(key=lambda row: row[:2])  # stable: what is equal stays newest first
    ranking: list[Ranked] = []
    for place, (_, _, row) in enumerate(rows, start=1):
        shares = ranking and ranking[-1].values == row.values
        ranking.append(replace(row, rank=ranking[-1].rank if shares else place))
    return tuple(ranking)


def _descend(value: Number, criterion: Criterion) -> Number:
    return -value if criterion.direction is Direction.HIGHER else value


def _explain_rank(ranking: Sequence[Ranked], criteria: Sequence[Criterion]) -> Iterator[str]:
    rivals = ranking
    for index, criterion in enumerate(criteria):
        value = ranking[0].values[index]
        equal = [each for each in rivals if each.values[index] == value]
        lesser = next((each for each in rivals if each.values[index] != value), None)
        shown, next_best = _tell_apart(value, lesser.values[index] if lesser else None, criterion.rule)
        most = "highest" if criterion.direction is Direction.HIGHER else "lowest"
        text = f"{criterion.metric} {shown}"
        if len(rivals) == 1:
            text += ", and no other version is left to choose from"
        elif lesser is None:
            text += f" is the same in all {len(rivals)}"
        else:
            shared = f", shared by {len(equal)}" if len(equal) > 1 else ""
            text += f" is the {most} of {len(rivals)}{shared}; next {lesser.version} with {next_best}"
        yield text
        if len(equal) == 1:
            return
        rivals = equal


def _tell_apart(one: Number, other: Number | None, rule: MetricRule) -> tuple[str, str]:
    if other is None:
        return format_metric(one, rule), ""
    texts = format_metric(one, rule), format_metric(other, rule)
    return texts if texts[0] != texts[1] else (str(one), str(other))


def _explain_stage(
    ranking: Sequence[Ranked], holder: VersionSummary | None, stage: StageName | None, faults: Mapping[Version, str]
) -> Iterator[str]:
    chosen = ranking[0].version
    stays = holder is not None and holder.version == chosen
    tied = [str(each.version) for each in ranking if each.rank == 1]
    if len(tied) > 1:
        yield f"a tie of {', '.join(tied)}: " + (
            f"{chosen} is already there and stays" if stays else "the newest is taken"
        )
    if stage is None:
        return
    if holder is None:
        yield f"{stage} is empty"
    elif stays:
        yield f"{stage} holds {chosen} already"
    else:
        fault = faults[holder.version]
        yield f"{stage} holds {holder.version}" + (f", which is out: {fault}" if fault else "")


def _set_against(
    chosen: VersionSummary,
    holder: VersionSummary | None,
    criteria: Sequence[Criterion],
    rules: Mapping[str, MetricRule],
) -> Comparison | None:
    if holder is None or holder.version == chosen.version or chosen.record is None or holder.record is None:
        return None
    before = Subject(holder.record, holder.stages, holder.archived)
    after = Subject(chosen.record, chosen.stages, chosen.archived)
    return compare([before, after], {**rules, **{each.metric: each.rule for each in criteria}})


def _none_left(model: ModelName, excluded: Sequence[Excluded]) -> RefusedError:
    listed = [f"{each.version}: {each.reason}" for each in excluded[:_MAX_LISTED]]
    if len(excluded) > _MAX_LISTED:
        listed.append(f"{len(excluded) - _MAX_LISTED} more")
    return RefusedError(
        f"no version of {model} can be chosen; " + "; ".join(listed),
        hint=f"mreg list {model}   # then loosen --where, or choose by other metrics",
        details={"model": model, "excluded": [{"version": str(e.version), "reason": e.reason} for e in excluded]},
    )
