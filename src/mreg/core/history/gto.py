"""GTO's tags: their grammar, and which version a stage holds after each of them, as GTO 1.10 has it.

Rules (``gto.constants``, ``gto.base``):
    * ``NAME@v1.2.3`` registers, ``NAME#STAGE`` assigns, ``NAME@deprecated`` hides a model.  A ``!`` behind one of the
      first two takes back, and ``#N`` may follow; N tells nothing.
    * A stage tag is about the version whose registration names the same commit, be that older or younger.  Where there
      is none, GTO shows the commit, and no tag takes that back.
    * A registration is taken back by a tag on its own commit alone.  It may be made again.
    * A stage holds the version that was assigned last, of those registered and assigned and not taken back since.  Of
      two in one second it is the one that was registered first; a registration made again has the time of the last.
    * Within a second, taking back counts more, whatever the numbers say; but a model that was deprecated is not, where
      anything else was done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum

from msgspec import Struct, field

from mreg.core.names import ModelName, StageName, Version, parse_model_name, parse_stage_name, parse_version
from mreg.errors import NamingError

__all__ = [
    "GtoAction",
    "GtoName",
    "GtoStep",
    "GtoTag",
    "find_assigned",
    "find_deprecated",
    "find_deregistered",
    "is_gto_name",
    "parse_gto_name",
    "replay",
]

_TAG = re.compile(
    r"(?P<model>[\w./=-]+)"
    r"(?:(?:@(?P<version>v[0-9][\w.+-]*)|#(?P<stage>[\w/-]+))(?P<back>!)?|@(?P<word>created|deprecated))"
    r"(?:#(?P<number>[0-9]{1,9}))?",
    re.ASCII,
)


class GtoAction(str, Enum):
    """What a tag of GTO's does."""

    REGISTER = "register"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    DEREGISTER = "deregister"
    DEPRECATE = "deprecate"


class GtoName(Struct, frozen=True):
    """What the name of a tag of GTO's says."""

    model: ModelName
    action: GtoAction
    version: Version | None = None
    """Of a registration, and where that is taken back."""
    stage: StageName | None = None
    """Of an assignment, and where that is taken back."""
    number: int = 0
    """0 where the name has none."""


class GtoTag(Struct, frozen=True):
    """A tag of GTO's, as far as it decides."""

    name: str
    says: GtoName
    commit: str
    time: int
    """The tagger's, in seconds since 1970-01-01T00:00:00Z."""


class GtoStep(Struct, frozen=True):
    """What one tag made of one stage; nothing, where source and target are the same."""

    tag: GtoTag
    model: ModelName
    stage: StageName
    source: Version | None
    target: Version | None
    """``None`` also where GTO shows a commit that no version was registered at."""


def is_gto_name(name: str) -> bool:
    """Returns whether GTO takes a tag of this name for its own."""
    return _TAG.fullmatch(name) is not None


def parse_gto_name(name: str) -> GtoName | None:
    """Returns what a tag's name says; ``None`` where it is none of GTO's, or holds a name that mreg does not take."""
    match = _TAG.fullmatch(name)
    if match is None or match["word"] == "created":
        return None
    number = int(match["number"] or 0)
    try:
        model = parse_model_name(match["model"])
        if match["word"]:
            return GtoName(model, GtoAction.DEPRECATE, number=number)
        if match["stage"]:
            action = GtoAction.UNASSIGN if match["back"] else GtoAction.ASSIGN
            return GtoName(model, action, stage=parse_stage_name(match["stage"]), number=number)
        version = parse_version(match["version"])
    except NamingError:
        return None
    action = GtoAction.DEREGISTER if match["back"] else GtoAction.REGISTER
    return GtoName(model, action, version=version, number=number) if str(version) == match["version"] else None


def replay(tags: Iterable[GtoTag]) -> Iterator[GtoStep]:
    """Yields what tags made of the stages, in the order of their times; of one second in that of their numbers.

    Each stage tag gives one step; a registration that is taken back or made again gives one for each stage that then
    holds another version, or none.
    """
    ordered = _sorted(tags)
    models = _learn(ordered)
    for tag in ordered:
        yield from models[tag.says.model].apply(tag)


def find_assigned(tags: Iterable[GtoTag]) -> dict[tuple[ModelName, StageName], tuple[Version, ...]]:
    """Returns the versions assigned to each stage: at the end what it holds, before it what would then come back."""
    ordered = _sorted(tags)
    models = _learn(ordered)
    for tag in ordered:
        models[tag.says.model].note(tag)
    return {(name, stage): model.find_assigned(stage) for name, model in models.items() for stage in model.assigned}


class _Registered(Struct):
    """The version of one commit."""

    version: Version
    place: int
    """In the order of the first tags; of one second in that of their names."""
    time: int
    """Of the last registration."""


class _Model(Struct):
    """One model while its tags are replayed; what was registered where is known from the start."""

    versions: dict[str, _Registered] = field(default_factory=dict)
    """By commit."""
    taken_back: set[tuple[StageName | None, str, int]] = field(default_factory=set)
    """Stage, ``None`` for a registration, commit and time of all that was taken back so far."""
    gone: set[str] = field(default_factory=set)
    """Commits whose registration was taken back."""
    assigned: dict[StageName, dict[str, int]] = field(default_factory=dict)
    """Time of the last assignment by commit, of those that were not taken back."""
    current: dict[StageName, Version | None] = field(default_factory=dict)

    def learn(self, tag: GtoTag) -> None:
        if tag.says.version:
            known = self.versions.setdefault(tag.commit, _Registered(tag.says.version, len(self.versions), tag.time))
            known.time = tag.time if tag.says.action is GtoAction.REGISTER else known.time

    def note(self, tag: GtoTag) -> None:
        says, key = tag.says, (tag.says.stage, tag.commit, tag.time)
        held = self.assigned.setdefault(says.stage, {}) if says.stage else {}
        if says.action is GtoAction.UNASSIGN and tag.commit in self.versions:
            self.taken_back.add(key)
            held.pop(tag.commit, None)
        elif says.action is GtoAction.DEREGISTER:
            self.taken_back.add(key)
            self.gone.add(tag.commit)
        elif says.action is GtoAction.ASSIGN and key not in self.taken_back:
            held[tag.commit] = tag.time
        elif says.action is GtoAction.REGISTER and key not in self.taken_back:
            self.gone.discard(tag.commit)

    def apply(self, tag: GtoTag) -> Iterator[GtoStep]:
        self.note(tag)
        stages = [tag.says.stage] if tag.says.stage else list(self.assigned)
        steps = [self._settle(tag, stage) for stage in stages]
        yield from (step for step in steps if tag.says.stage or step.source != step.target)

    def find_assigned(self, stage: StageName) -> tuple[Version, ...]:
        ranked = (self.versions.get(commit) for _, commit in sorted(self._weigh(stage)))
        return tuple(dict.fromkeys(known.version for known in ranked if known))

    def _settle(self, tag: GtoTag, stage: StageName) -> GtoStep:
        source = self.current.get(stage)
        _, newest = max(self._weigh(stage), default=((), ""))
        known = self.versions.get(newest)
        self.current[stage] = target = known.version if known else None
        return GtoStep(tag, tag.says.model, stage, source, target)

    def _weigh(self, stage: StageName) -> Iterator[tuple[tuple[int, ...], str]]:
        for commit, time in self.assigned[stage].items():
            if commit not in self.gone:
                known = self.versions.get(commit)
                yield (time, *((-known.time, -known.place) if known else (-time, -len(self.versions)))), commit


def _learn(tags: Iterable[GtoTag]) -> dict[ModelName, _Model]:
    models: dict[ModelName, _Model] = {}
    for tag in sorted(tags, key=lambda tag: (tag.time, tag.name)):
        models.setdefault(tag.says.model, _Model()).learn(tag)
    return models


def find_deregistered(tags: Iterable[GtoTag]) -> dict[tuple[ModelName, Version], GtoTag]:
    """Returns the versions whose registration was taken back at last, and the tag that did it."""
    registered: set[tuple[ModelName, Version, str]] = set()
    gone: dict[tuple[ModelName, Version, str], GtoTag] = {}
    for tag in sorted(tags, key=lambda tag: (tag.time, tag.says.action is GtoAction.DEREGISTER, tag.says.number)):
        if tag.says.version is None:
            continue
        key = (tag.says.model, tag.says.version, tag.commit)
        if tag.says.action is GtoAction.DEREGISTER:
            gone[key] = tag
        else:
            registered.add(key)
            gone.pop(key, None)
    return {
        (model, version): tag
        for (model, version, commit), tag in gone.items()
        if (model, version, commit) in registered
    }


def find_deprecated(tags: Iterable[GtoTag]) -> list[ModelName]:
    """Returns the models that GTO hides, since nothing was done to them after they were deprecated."""
    ordered = sorted(tags, key=lambda tag: (tag.time, tag.says.action is not GtoAction.DEPRECATE))
    last = {tag.says.model: tag.says.action for tag in ordered}
    return sorted(model for model, action in last.items() if action is GtoAction.DEPRECATE)


def _sorted(tags: Iterable[GtoTag]) -> list[GtoTag]:
    return sorted(tags, key=lambda tag: (tag.time, tag.says.number, tag.name))
