"""Tags: GTO's grammar, and what each tag of a registry must be, as a pure function of the history.

Rules:
    * ``churn@v3.0.0`` seals a version, ``churn#production#5`` a promotion or rollback, ``churn#staging!#6`` a clear.
    * A clear takes back every version that was assigned since the last one: GTO would show the one before again.
    * Every tag points at the version's commit: GTO and DVC find a stage's version by the commit its tag points at.
    * N counts up per model over all its stage tags, GTO's own included.
    * Tagger times rise by a second or more per model, since GTO and DVC order stage tags by them; mreg never does.
    * A change that was adopted from GTO has its tag already, and gets no other.

The grammar is that of https://mlem.ai/doc/gto (gto 1.10, ``gto.constants``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import lru_cache

from msgspec import Struct, field

from mreg.core.history.gto import GtoAction, GtoName, parse_gto_name
from mreg.core.history.timeline import Action, AdoptedTag, Appearance, Event, Timeline, Transition
from mreg.core.messages import format_message
from mreg.core.names import ARCHIVED, ModelName, StageName, Version, parse_model_name, parse_stage_name, parse_version
from mreg.errors import NamingError

__all__ = [
    "DerivedTag",
    "TagName",
    "derive_tags",
    "find_blockers",
    "folders_of",
    "parse_tag_name",
    "stage_tag",
    "tagger_of",
    "tags_of",
    "transition_subject",
    "version_tag",
]

_TAG = re.compile(
    r"(?P<model>[^@#!]+)(?:@(?P<version>[^@#!]+)|#(?P<stage>[^@#!]+)(?P<clear>!)?#(?P<number>[0-9]{1,9}))"
)
_NAME_CRUD = " \t.,:;<>\"\\'"
_LAST_SECOND = 253_370_764_800
"""9999-01-01: a wilder clock must not push the times of a model beyond what Python, and so GTO and DVC, can show."""


class TagName(Struct, frozen=True):
    """What the name of a tag says."""

    model: ModelName
    version: Version | None = None
    stage: StageName | None = None
    number: int = 0
    is_clear: bool = False


class DerivedTag(Struct, frozen=True):
    """One tag that the history calls for."""

    name: str
    model: ModelName
    version: Version
    """The version whose commit the tag points at."""
    event: Appearance | Transition
    tagger: str
    email: str
    time: int
    """Seconds since 1970-01-01T00:00:00Z."""
    message: str

    @property
    def commit(self) -> str:
        """The id of the commit that calls for it."""
        return self.event.commit if isinstance(self.event, Transition) else self.event.commit.oid


def version_tag(model: ModelName, version: Version) -> str:
    """Returns the name of a version's tag."""
    return f"{model}@{version}"


def stage_tag(model: ModelName, stage: StageName, number: int, *, is_clear: bool = False) -> str:
    """Returns the name of a stage's tag."""
    return f"{model}#{stage}{'!' if is_clear else ''}#{number}"


def parse_tag_name(name: str) -> TagName | None:
    """Returns what a tag's name says, or ``None`` where it is no tag of a registry."""
    match = _TAG.fullmatch(name)
    if match is None:
        return None
    try:
        model = parse_model_name(match["model"])
        if match["version"]:
            version = parse_version(match["version"])
            return TagName(model, version=version) if str(version) == match["version"] else None
        stage = parse_stage_name(match["stage"])
        return TagName(model, stage=stage, number=int(match["number"]), is_clear=bool(match["clear"]))
    except NamingError:
        return None


def derive_tags(timeline: Timeline) -> Iterator[DerivedTag]:
    """Yields every tag that a history calls for, oldest first."""
    return tags_of(timeline.events)


def tags_of(events: Iterable[Event]) -> Iterator[DerivedTag]:
    """Yields the tags that what commits did calls for, as it comes."""
    every: dict[ModelName, _Series] = {}
    for event in events:
        series = every.get(event.model)
        if series is None:
            series = every[event.model] = _Series()
        if isinstance(event, Appearance):
            yield _seal_version(event, series.next_time(event.commit.time))
        elif isinstance(event, AdoptedTag):
            series.take(parse_gto_name(event.name), event.at)
            series.hold(event.stage, event.version, event.still_assigned)
        elif event.stage != ARCHIVED:
            yield from _seal_transition(event, series)


def find_blockers(names: Iterable[str], there: Collection[str]) -> dict[str, str]:
    """Returns the tags that cannot be made, each with one that is in its way: Git keeps ``a/b`` in a folder ``a``."""
    below: dict[str, str] = {}
    for name in there:
        for folder in folders_of(name):
            below.setdefault(folder, name)
    found: dict[str, str] = {}
    for name in names:
        blocker = below.get(name) or next((folder for folder in folders_of(name) if folder in there), None)
        if blocker is not None:
            found[name] = blocker
    return found


def folders_of(name: str) -> list[str]:
    """Returns the names that a tag's name makes folders of: ``a`` and ``a/b`` of ``a/b/c``."""
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


class _Series(Struct):
    """The tags of one model so far."""

    number: int = 0
    time: int = 0
    assigned: dict[StageName, dict[Version, None]] = field(default_factory=dict)
    """For each stage the versions that GTO takes to be there, the last assigned at the end."""

    def next_time(self, moment: datetime) -> int:
        self.time = max(_second(moment), self.time + 1)
        return self.time

    def take(self, name: GtoName | None, moment: datetime) -> None:
        """Leaves room for a tag that GTO made."""
        self.number = max(self.number, name.number if name else 0)
        self.time = max(self.time, _second(moment))

    def hold(self, stage: StageName, version: Version | None, others: Iterable[Version]) -> None:
        """Keeps what GTO had assigned to a stage when it was adopted."""
        self.assigned[stage] = dict.fromkeys([*others, *([version] if version else [])])

    def move(self, event: Transition) -> list[Version]:
        """Returns the versions that GTO must be told of, the one that decides at the end."""
        held = self.assigned.setdefault(event.stage, {})
        if event.target is not None:
            held.pop(event.target, None)
            held[event.target] = None
            return [event.target]
        # Taking the last one back alone would give the stage to the one before.
        moved = sorted(held, key=lambda version: version == event.source)
        held.clear()
        return moved


def transition_subject(
    action: Action, model: ModelName, stage: StageName, source: Version | None, target: Version | None
) -> str:
    """Returns the one line that names a transition, in commits and tags alike."""
    if stage == ARCHIVED:
        return f"Archive {model} {target}" if target else f"Take {model} {source} out of the archive"
    if action is Action.CLEAR or target is None:
        return f"Clear {model} {stage} of {source}"
    if action is Action.ROLLBACK:
        return f"Roll back {model} {stage} to {target}"
    return f"Promote {model} {target} to {stage}"


def _seal_version(event: Appearance, time: int) -> DerivedTag:
    name = version_tag(event.model, event.version)
    author, email = tagger_of(event.commit.author, event.commit.email)
    subject = f"Register {event.model} {event.version}"
    message = format_message(subject, "", [("Mreg-Commit", event.commit.oid)])
    return DerivedTag(name, event.model, event.version, event, author, email, time, message)


def _seal_transition(event: Transition, series: _Series) -> Iterator[DerivedTag]:
    adopted = _adopted_tag(event)
    if adopted is not None:
        series.take(adopted, event.at)
        series.hold(event.stage, event.target, event.still_assigned)
        return
    for version in series.move(event):
        series.number += 1
        name = stage_tag(event.model, event.stage, series.number, is_clear=event.target is None)
        yield _seal_move(event, version, name, series.next_time(event.at))


def _seal_move(event: Transition, version: Version, name: str, time: int) -> DerivedTag:
    author, email = tagger_of(event.author, event.email)
    source = event.source if event.target else version
    subject = transition_subject(event.action, event.model, event.stage, source, event.target)
    trailers = [("Mreg-Commit", event.commit), *(("Approved-by", who) for who in event.approved_by)]
    message = format_message(subject, event.reason, trailers)
    return DerivedTag(name, event.model, version, event, author, email, time, message)


def _adopted_tag(event: Transition) -> GtoName | None:
    """Returns what the tag says that GTO made for a change; ``None`` where it has none."""
    name = parse_gto_name(event.adopted)
    if name is None or name.model != event.model:
        return None
    if name.action is GtoAction.REGISTER:
        return name if name.version == event.target else None
    if name.action is GtoAction.DEREGISTER:
        # Where the adoption was squashed, it put a version there that GTO went back to.
        return name if event.source in (name.version, None) else None
    return name if name.stage == event.stage else None


def _second(moment: datetime) -> int:
    return min(int(moment.timestamp()), _LAST_SECOND)


@lru_cache(maxsize=1024)
def tagger_of(name: str, email: str) -> tuple[str, str]:
    """Returns a name and an e-mail address that Git, GTO and DVC accept in an identity."""
    # Git takes these characters out of an identity, and GTO fails on an empty one.
    clean = re.sub(r"[<>\x00-\x1f\x7f\ud800-\udfff]", "", name).strip(_NAME_CRUD)
    address = re.sub(r"[<>\s\x00-\x1f\x7f\ud800-\udfff]", "", email).strip(_NAME_CRUD)
    return clean or "unknown", address or "unknown@localhost"
