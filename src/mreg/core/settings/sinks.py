"""Sinks: the places that are told of transitions.

Rules:
    * Secrets are not settings: a sink names the environment variable that holds its URL.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum

from msgspec import Struct

from mreg.core.fields import Fields
from mreg.core.names import ARCHIVED, StageName

__all__ = ["Sink", "SinkKind", "parse_sinks"]

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_ACTIONS = ("promote", "rollback", "clear", "archive")


class SinkKind(str, Enum):
    """How a notification is sent."""

    SLACK = "slack"
    EMAIL = "email"
    WEBHOOK = "webhook"


class Sink(Struct, frozen=True):
    """One place that is told of transitions."""

    name: str
    kind: SinkKind
    url_env: str
    """Name of the environment variable that holds the URL, which is a secret."""
    recipients: tuple[str, ...] = ()
    """E-mail addresses; of ``email`` alone."""
    sender: str = ""
    """E-mail address; of ``email`` alone."""
    stages: tuple[StageName, ...] = ()
    """Empty for all."""
    actions: tuple[str, ...] = ()
    """``promote``, ``rollback``, ``clear``, ``archive``; empty for all."""


def parse_sinks(fields: Fields, stages: Collection[StageName]) -> tuple[Sink, ...]:
    """Returns what ``notify:`` says.

    Raises:
        DataError: A sink is incomplete, or names a stage or an action that is not there.
    """
    sinks: list[Sink] = []
    for number, section in enumerate(fields.list_of_sections("notify"), 1):
        kind = section.choice("to", SinkKind, None)
        if kind is None:
            raise section.error(
                "to", "no destination is given", hint=f"to: {', or to: '.join(each.value for each in SinkKind)}"
            )
        sink = Sink(
            name=section.text("name", f"{kind.value}-{number}"),
            kind=kind,
            url_env=section.required_text("url_env"),
            recipients=section.texts("recipients") if kind is SinkKind.EMAIL else (),
            sender=section.text("sender") if kind is SinkKind.EMAIL else "",
            stages=tuple(map(StageName, section.texts("stages"))),
            actions=section.texts("actions"),
        )
        section.finish()
        _check_sink(section, sink, stages, {each.name for each in sinks})
        sinks.append(sink)
    return tuple(sinks)


def _check_sink(section: Fields, sink: Sink, stages: Collection[StageName], names: Collection[str]) -> None:
    if not re.fullmatch(_VARIABLE, sink.url_env):
        hint = "write the name of an environment variable that holds the URL: url_env: SLACK_WEBHOOK_URL"
        raise section.error("url_env", "this is not the name of an environment variable", hint=hint)
    if sink.kind is SinkKind.EMAIL and not sink.recipients:
        raise section.error("recipients", "required, but missing", hint="recipients: [team@example.com]")
    for stage in sink.stages:
        if stage not in stages and stage != ARCHIVED:
            raise section.error(
                "stages", f"stage {stage!r} is not declared", hint="the stages are: " + ", ".join(stages)
            )
    for action in sink.actions:
        if action not in _ACTIONS:
            raise section.error("actions", f"{action!r} is not one of {', '.join(_ACTIONS)}", hint="actions: [promote]")
    if sink.name in names:
        raise section.error("name", f"{sink.name!r} is another sink's name", hint="give each a name of its own")
