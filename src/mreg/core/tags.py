"""Tags: GTO's grammar, and what each tag of a registry must be, as a pure function of the history.

Rules:
    * ``churn@v3.0.0`` seals a version, ``churn#production#5`` a promotion or rollback, ``churn#staging!#6`` a clear.
    * Every tag points at the version's commit: GTO and DVC find a stage's version by the commit its tag points at.
    * N counts up per model over all its stage tags, GTO's own included.
    * Tagger times rise by a second or more per model, since GTO and DVC order stage tags by them; mreg never does.
    * A change that was adopted from GTO has its tag already, and gets no other.

The grammar is that of https://mlem.ai/doc/gto (gto 1.10, ``gto.constants``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mreg.core.history import Action, Appearance, Timeline, Transition
from mreg.core.messages import format_message
from mreg.core.names import ARCHIVED, ModelName, StageName, Version, parse_model_name, parse_stage_name, parse_version
from mreg.errors import NamingError

__all__ = [
    "DerivedTag",
    "TagName",
    "derive_tags",
    "parse_tag_name",
    "stage_tag",
    "tagger_of",
    "transition_subject",
    "version_tag",
]

_TAG = re.compile(
    r"(?P<model>[^@#!]+)(?:@(?P<version>[^@#!]+)|#(?P<stage>[^@#!]+)(?P<clear>!)?#(?P<number>[0-9]{1,9}))"
)
_NAME_CRUD = " \t.,:;<>\"\\'"
_LAST_SECOND = 253_370_764_800
"""9999-01-01: a wilder clock must not push the times of a model beyond what Python, and so GTO and DVC, can show."""


@dataclass(frozen=True, slots=True)
class TagName:
    """What the name of a tag says."""

    model: ModelName
    version: Version | None = None
    stage: StageName | None = None
    number: int = 0
    is_clear: bool = False


@dataclass(frozen=True, slots=True)
class DerivedTag:
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
    numbers: dict[ModelName, int] = {}
    times: dict[ModelName, int] = {}
    for event in timeline.events:
        model = event.model
        number, time = numbers.get(model, 0), times.get(model, 0)
        if isinstance(event, Appearance):
            times[model] = max(_second(event.commit.time), time + 1)
            yield _seal_version(event, times[model])
        elif (adopted := _adopted_tag(event)) is not None:
            numbers[model] = max(adopted.number, number)
            times[model] = max(_second(event.at), time)
        elif event.stage != ARCHIVED and (version := event.target or event.source) is not None:
            numbers[model] = number + 1
            times[model] = max(_second(event.at), time + 1)
            yield _seal_transition(event, version, number + 1, times[model])


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


def _seal_transition(event: Transition, version: Version, number: int, time: int) -> DerivedTag:
    name = stage_tag(event.model, event.stage, number, is_clear=event.target is None)
    author, email = tagger_of(event.author, event.email)
    subject = transition_subject(event.action, event.model, event.stage, event.source, event.target)
    trailers = [("Mreg-Commit", event.commit), *(("Approved-by", who) for who in event.approved_by)]
    message = format_message(subject, event.reason, trailers)
    return DerivedTag(name, event.model, version, event, author, email, time, message)


def _adopted_tag(event: Transition) -> TagName | None:
    tag = parse_tag_name(event.adopted)
    is_of_event = tag is not None and (tag.model, tag.stage, tag.is_clear) == (
        event.model,
        event.stage,
        event.target is None,
    )
    return tag if is_of_event else None


def _second(moment: datetime) -> int:
    return min(int(moment.timestamp()), _LAST_SECOND)


def tagger_of(name: str, email: str) -> tuple[str, str]:
    """Returns a name and an e-mail address that Git, GTO and DVC accept in an identity."""
    # Git takes these characters out of an identity, and GTO fails on an empty one.
    clean = re.sub(r"[<>\x00-\x1f\x7f\ud800-\udfff]", "", name).strip(_NAME_CRUD)
    address = re.sub(r"[<>\s\x00-\x1f\x7f\ud800-\udfff]", "", email).strip(_NAME_CRUD)
    return clean or "unknown", address or "unknown@localhost"
