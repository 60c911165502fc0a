"""GTO's tags: their grammar, and which version a stage holds after each of them, as GTO 1.10 has it.

Rules (``gto.constants``, ``gto.base``):
    * ``NAME@v1.2.3`` registers, ``NAME#STAGE`` assigns, ``NAME@deprecated`` hides a model.  A ``!`` behind one of the
      first two takes back, and ``#N`` may follow; N tells nothing.
    * A stage tag is about the version whose registration names the same commit, be that older or younger.
    * A stage holds the version that was assigned last, of those registered and assigned and not taken back since.  Of
      two in one second it is the one that was registered first.
    * Within a second, taking back comes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from mreg.core.names import ModelName, StageName, Version, parse_model_name, parse_stage_name, parse_version
from mreg.errors import NamingError

__all__ = [
    "GtoAction",
    "GtoName",
    "GtoStep",
    "GtoTag",
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
    """What a tag of GTO's does; within one second in this order."""

    REGISTER = "register"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    DEREGISTER = "deregister"
    DEPRECATE = "deprecate"


_ORDER = list(GtoAction)


@dataclass(frozen=True, slots=True)
class GtoName:
    """What the name of a tag of GTO's says."""

    model: ModelName
    action: GtoAction
    version: Version | None = None
    """Of a registration, and where that is taken back."""
    stage: StageName | None = None
    """Of an assignment, and where that is taken back."""
    number: int = 0
    """0 where the name has none."""


@dataclass(frozen=True, slots=True)
class GtoTag:
    """A tag of GTO's, as far as it decides."""

    name: str
    says: GtoName
    commit: str
    time: int
    """The tagger's, in seconds since 1970-01-01T00:00:00Z."""


@dataclass(frozen=True, slots=True)
class GtoStep:
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
    """Yields what tags made of the stages, in GTO's order.

    Each stage tag gives one step; a registration that is taken back gives one for each stage that then holds another
    version, or none.
    """
    ordered = _sorted(tags)
    models: dict[ModelName, _Model] = {}
    for tag in ordered:
        models.setdefault(tag.says.model, _Model()).learn(tag)
    for tag in ordered:
        yield from models[tag.says.model].apply(tag)


@dataclass(slots=True)
class _Model:
    """One model while its tags are replayed; what was registered where is known from the start."""

    versions: dict[str, tuple[Version, int]] = field(default_factory=dict)
    """By commit, with the place in the order of registration."""
    gone: set[Version] = field(default_factory=set)
    assigned: dict[StageName, dict[str, int]] = field(default_factory=dict)
    """Time of the last assignment by commit, of those that were not taken back."""
    current: dict[StageName, Version | None] = field(default_factory=dict)

    def learn(self, tag: GtoTag) -> None:
        if tag.says.action is GtoAction.REGISTER and tag.says.version:
            self.versions.setdefault(tag.commit, (tag.says.version, len(self.versions)))

    def apply(self, tag: GtoTag) -> Iterator[GtoStep]:
        says = tag.says
        if says.stage:
            held = self.assigned.setdefault(says.stage, {})
            if says.action is GtoAction.ASSIGN:
                held[tag.commit] = tag.time
            else:
                held.pop(tag.commit, None)
            yield self._settle(tag, says.stage)
        elif says.version:
            (self.gone.add if says.action is GtoAction.DEREGISTER else self.gone.discard)(says.version)
            steps = [self._settle(tag, stage) for stage in self.assigned]
            yield from (step for step in steps if step.source != step.target)

    def _settle(self, tag: GtoTag, stage: StageName) -> GtoStep:
        source, target = self.current.get(stage), None
        newest = (-1, 0)
        for commit, time in self.assigned[stage].items():
            version, rank = self.versions.get(commit, (None, len(self.versions)))
            if version not in self.gone and (time, -rank) > newest:
                newest, target = (time, -rank), version
        self.current[stage] = target
        return GtoStep(tag, tag.says.model, stage, source, target)


def find_deregistered(tags: Iterable[GtoTag]) -> dict[tuple[ModelName, Version], GtoTag]:
    """Returns the versions whose registration was taken back at last, and the tag that did it."""
    gone: dict[tuple[ModelName, Version], GtoTag] = {}
    for tag in _sorted(tags):
        if tag.says.version is None:
            continue
        if tag.says.action is GtoAction.DEREGISTER:
            gone[tag.says.model, tag.says.version] = tag
        else:
            gone.pop((tag.says.model, tag.says.version), None)
    return gone


def find_deprecated(tags: Iterable[GtoTag]) -> list[ModelName]:
    """Returns the models that GTO hides, since nothing was done to them after they were deprecated."""
    last = {tag.says.model: tag.says.action for tag in _sorted(tags)}
    return sorted(model for model, action in last.items() if action is GtoAction.DEPRECATE)


def _sorted(tags: Iterable[GtoTag]) -> list[GtoTag]:
    return sorted(tags, key=lambda tag: (tag.time, _ORDER.index(tag.says.action), tag.says.number, tag.name))
