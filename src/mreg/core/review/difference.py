"""The difference between two commits: the files, who changed them, and the one commit that it counts as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from mreg.core.fields import Plain
from mreg.core.history.manifest import StageEntry
from mreg.core.history.timeline import Commit, FileChange, Timeline
from mreg.core.layout import Layout, PathKind, Place
from mreg.core.names import ModelName, StageName, Version
from mreg.core.settings.people import Actor, People, identify
from mreg.errors import DataError

__all__ = ["PLAIN", "Before", "Clash", "Difference", "SettingsDifference", "find_clashes"]

PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
"""Names of branches and files that a shell takes as they are."""
Clash = tuple[ModelName, StageName, Version]
"""A version that is archived and in a stage."""


class SettingsDifference(Struct, frozen=True):
    """``registry.yaml`` before and after."""

    old: Mapping[str, Plain] | None
    """``None`` where there was none."""
    new: Mapping[str, Plain] | None
    """``None`` where it is deleted, or cannot be read."""
    fault: DataError | None = None
    """Why the new one cannot be read."""


class Difference(Struct, frozen=True):
    """What one commit, or the index, has that another lacks."""

    base: str
    landing: Commit
    """The one commit that it would be: its id is the head's, its time now, its author the head's."""
    history: tuple[str, ...] = ()
    """The commits that make the difference, newest first."""
    sources: Mapping[str, tuple[Commit, ...]] = field(default_factory=dict)
    """The commits that changed each file, newest first."""
    conflicts: tuple[str, ...] = ()
    """Files that both sides changed; they are none of ``landing.changes``."""
    settings: SettingsDifference | None = None
    """``None`` where ``registry.yaml`` stays as it is."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where each stage file names its version."""
    base_name: str = ""
    """What people call the base, such as ``origin/main``."""
    branch: str = ""
    """The branch under review, as a shell takes it; empty where it has no name."""
    has_rules: bool = True
    """False where the base has no ``registry.yaml``: then nothing is asked."""
    has_files: bool = True
    """False where the base has no file of a registry yet."""
    is_staged: bool = False
    """True where the head is the index."""
    is_draft: bool = False
    """True where it is committed on another branch first."""
    is_checked_out: bool = False
    """True where the head is the commit that is checked out."""

    def of_kind(self, layout: Layout, kind: PathKind) -> Iterator[tuple[FileChange, Place]]:
        """Yields the changed files of one kind, by path, with what they are."""
        for change in sorted(self.landing.changes, key=lambda change: change.path):
            place = layout.locate(change.path)
            if place is not None and place.kind is kind:
                yield change, place

    def editors(self, path: str, people: People) -> tuple[Actor, ...]:
        """Returns everyone who changed a file, the newest first; never empty."""
        emails = dict.fromkeys(each.email for each in self.sources.get(path, ())) or [self.landing.email]
        return tuple(dict.fromkeys(identify(people, email, None) for email in emails))


class Before(Struct, frozen=True):
    """The stages as the base has them, whatever is added to the timeline later."""

    entries: Mapping[tuple[ModelName, StageName], StageEntry]
    """What each stage file says."""
    positions: Mapping[tuple[ModelName, StageName], int]
    """Of the commit that changed each stage last."""
    clashes: frozenset[Clash]

    @classmethod
    def of(cls, timeline: Timeline) -> Before:
        """Returns the stages as they stand now."""
        return cls(
            {key: lane.entry for key, lane in timeline.lanes.items() if lane.entry},
            {key: lane.position for key, lane in timeline.lanes.items()},
            frozenset(find_clashes(timeline)),
        )


def find_clashes(timeline: Timeline) -> Iterator[Clash]:
    """Yields the versions that are archived and in a stage."""
    for (model, stage), lane in timeline.lanes.items():
        if lane.current is not None and lane.current in timeline.archived.get(model, {}):
            yield (model, stage, lane.current)
