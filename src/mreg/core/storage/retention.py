"""Retention: which versions' bytes are kept, and why.

Rules:
    * What a stage holds or ever held is kept, whatever the settings say; so is what someone proposes for a stage: an
      approval that is there, or a stage file on another branch.
    * The newest N versions of a model are kept by number, at least one; those given up already do not count.
    * What is younger than D is kept.  A commit cannot be older than those before it, so the latest time that was
      written up to it counts; one that lies in the future tells nothing, and its version counts as young.
    * Time in which nothing is committed counts as ``_IDLE`` at most, and as half of D: now, after the last commit, and
      between two commits where it is years.  So a clock that is years ahead, of whoever asks or of a commit, makes
      nothing old that is young.
    * What cannot be read is not decided on: a model whose stages cannot be read in some commit is kept whole, and so is
      a version whose record was changed or deleted.
    * Without settings nothing is given up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from mreg.core.history.manifest import Deletion
from mreg.core.history.timeline import Commit, Timeline
from mreg.core.layout import Layout, PathKind
from mreg.core.names import ModelName, Version
from mreg.core.settings.retention import Retention
from mreg.core.settings.rules import format_duration

__all__ = ["Key", "Verdict", "judge_versions"]

Key = tuple[ModelName, Version]
_IDLE = timedelta(days=30)
"""So long a registry may rest before its versions stop to grow older."""
_YEARS = timedelta(days=365)
"""A rest between two commits that is longer may be that of a clock."""


class Verdict(Struct, frozen=True):
    """Whether one version's bytes are kept."""

    model: ModelName
    version: Version
    why: str
    """What keeps them; empty where nothing does."""
    registered: datetime
    """The time of its commit, as written."""
    deletion: Deletion | None = None
    """Where they were given up already."""

    @property
    def key(self) -> Key:
        """Names the version."""
        return self.model, self.version

    @property
    def is_kept(self) -> bool:
        """True where something keeps the bytes."""
        return bool(self.why)


def judge_versions(
    timeline: Timeline,
    commits: Sequence[Commit],
    layout: Layout,
    retention: Retention,
    *,
    now: datetime,
    shielded: Mapping[Key, str],
) -> tuple[Verdict, ...]:
    """Returns the verdict on every version that ever was registered, by model and number.

    Args:
        timeline: The whole history.
        commits: What it was folded from, oldest first; or all of the registry, where it was folded from some of them.
        layout: Where the registry's files are.
        retention: What is kept besides.
        now: The time.
        shielded: Versions that are kept for what other branches say, and why.
    """
    reasons = _Reasons(timeline, layout)
    reasons.collect()
    ages = _ages(commits, retention, now)
    by_model: dict[ModelName, list[Version]] = {}
    for model, version in sorted(timeline.appearances):
        by_model.setdefault(model, []).append(version)
    verdicts = []
    for model, versions in by_model.items():
        marks = timeline.archived.get(model, {})
        given_up = {version: marks[version].deletion for version in versions if version in marks}
        newest = _newest([version for version in versions if not given_up.get(version)], retention)
        for version in versions:
            appearance, deletion = timeline.appearances[model, version], given_up.get(version)
            why = reasons.found.get((model, version), "")
            if not why and deletion is None:
                why = newest.get(version) or _young(ages[appearance.commit.oid], retention)
            why = why or shielded.get((model, version), "")
            verdicts.append(Verdict(model, version, why, appearance.commit.time, deletion))
    return tuple(verdicts)


class _Reasons(Struct):
    timeline: Timeline
    layout: Layout
    found: dict[Key, str] = field(default_factory=dict)

    def collect(self) -> None:
        """Finds what keeps versions, the strongest reason last, since that is the one that stays."""
        for (model, version, stage), files in self.timeline.approvals.items():
            if files:
                self.found[model, version] = f"approved for {stage}"
        for (model, stage), lane in sorted(self.timeline.lanes.items()):
            self.found |= {(model, version): f"was in {stage}" for version in lane.held}
        for (model, stage), lane in sorted(self.timeline.lanes.items()):
            if lane.current is not None:
                self.found[model, lane.current] = f"is in {stage}"
        self._keep_doubtful()

    def _keep_doubtful(self) -> None:
        unreadable: set[ModelName] = set()
        for finding in self.timeline.findings:
            place = self.layout.locate(finding.place)
            if place and place.kind is PathKind.STAGE:
                unreadable.add(place.model)
        for key in self.timeline.appearances:
            if self.timeline.records.get(key) is None:
                self.found.setdefault(key, "its record was deleted, and its tag stays")
            if key[0] in unreadable:
                self.found.setdefault(key, "a stage file of the model cannot be read in some commit")
        for finding in self.timeline.findings:
            place = self.layout.locate(finding.place)
            if finding.code == "record-changed" and place and place.version:
                self.found.setdefault((place.model, place.version), "its record was changed")


def _newest(versions: Iterable[Version], retention: Retention) -> dict[Version, str]:
    """Returns the versions that are kept for their number, and why."""
    ordered = sorted(versions, reverse=True)
    if not retention.is_set:
        return dict.fromkeys(ordered, "nothing says what to keep")
    releases = [version for version in ordered if not version.prerelease]
    count = retention.newest or 1
    # MODEL@latest is the greatest release, however many pre-releases come after it.
    return dict.fromkeys([*ordered[:count], *releases[:1]], f"among the newest {count}")


def _ages(commits: Sequence[Commit], retention: Retention, now: datetime) -> dict[str, timedelta | None]:
    """Returns the age of each commit, as little as it may be; ``None`` where nobody knows."""
    within = retention.within_s
    rest = _IDLE if within is None else min(_IDLE, timedelta(seconds=within) / 2)
    latest, elapsed = None, timedelta()
    marks: dict[str, timedelta | None] = {}
    for commit in commits:
        if commit.time > now:
            marks[commit.oid] = None
            continue
        gap = max(commit.time - (latest or commit.time), timedelta())
        elapsed += rest if gap > _YEARS else gap
        latest = max(latest or commit.time, commit.time)
        marks[commit.oid] = elapsed
    if latest is not None:
        elapsed += min(now - latest, rest)
    return {oid: None if mark is None else elapsed - mark for oid, mark in marks.items()}


def _young(age: timedelta | None, retention: Retention) -> str:
    if retention.within_s is None:
        return ""
    if age is None:
        return "its commit lies in the future, so nobody knows its age"
    is_young = age < timedelta(seconds=retention.within_s)
    return f"younger than {format_duration(retention.within_s)}" if is_young else ""
