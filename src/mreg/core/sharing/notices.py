"""Notices: whether a sink is told of a transition, and the words.

Rules:
    * A change that was read from GTO's tags happened long ago: nobody is told.
    * Text out of a registry stays text: it pings nobody, hides no link, steers no terminal and adds no line of ours.
    * Every notice says whether who did it is proven or claimed.
    * Programs get the transition whole and as it is, people get long text cut.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import timezone

from msgspec import Struct

from mreg.core.fields import Plain, format_moment
from mreg.core.history.timeline import Action, Transition
from mreg.core.names import ARCHIVED
from mreg.core.settings.people import Actor
from mreg.core.settings.sinks import Sink

__all__ = ["Notice", "is_told", "transition_document", "write_notice"]

SCHEMA = 1
EVENT = "transition"
MAX_LINE = 200
MAX_REASON = 2000
MAX_APPROVERS = 20
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian, Indic scripts and emoji are written."""
_BREAKS = re.compile(r"\r\n|[\n\v\f\r\x85\u2028\u2029]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""All that Slack asks to be escaped; with it go its links and mentions, which stand between angle brackets."""
_ACTIVE = re.compile(r"[@\]]")
"""Mattermost and Discord take Slack's messages, and look for ``@all`` and for ``[text](link)`` in them."""
_APART = "\u200b"


class Notice(Struct, frozen=True):
    """What is said of one transition, in each form that a sink takes."""

    transition: Transition
    title: str
    """One line: ``churn v3.0.0 is in production``."""
    body: str
    """Plain text of several lines, the last of them the reason."""
    document: Mapping[str, Plain]
    """The transition for programs: JSON-ready, in a fixed order of keys."""

    @property
    def slack_text(self) -> str:
        """Title and body as Slack's markup that shows just them."""
        text = "".join(_ENTITIES.get(character, character) for character in f"{self.title}\n{self.body}")
        return _ACTIVE.sub(lambda match: match[0] + _APART, text)


def is_told(sink: Sink, transition: Transition) -> bool:
    """Returns whether a sink is told of a transition."""
    return (
        not transition.adopted
        and (not sink.stages or transition.stage in sink.stages)
        and (not sink.actions or transition.action.value in sink.actions)
    )


def write_notice(transition: Transition, *, actor: Actor | None = None) -> Notice:
    """Returns what is said of a transition.

    Args:
        transition: What happened.
        actor: Who made it, by the rules in force; ``None`` for whom the transition names, as a claim.
    """
    who = actor or Actor(transition.by)
    facts = [
        *_format_move(transition),
        f"by: {_line(str(who))}",
        *_format_approvers([Actor(name) for name in transition.approved_by]),
        f"at: {format_moment(transition.at.astimezone(timezone.utc))}",
        f"commit: {_line(transition.commit)}, by {_line(f'{transition.author} <{transition.email}>')}",
        # Last, so that nothing of ours stands below a text that somebody else wrote.
        *_format_reason(transition.reason),
    ]
    return Notice(transition, _format_title(transition), "\n".join(facts), transition_document(transition))


def transition_document(transition: Transition) -> dict[str, Plain]:
    """Returns a transition for programs: as ``mreg history --format json`` has it, with ``schema`` and ``event``."""
    return {
        "schema": SCHEMA,
        "event": EVENT,
        "model": transition.model,
        "stage": transition.stage,
        "action": transition.action.value,
        "from": str(transition.source) if transition.source else None,
        "to": str(transition.target) if transition.target else None,
        "by": transition.by,
        "at": format_moment(transition.at.astimezone(timezone.utc)),
        "reason": transition.reason,
        "approved_by": list(transition.approved_by),
        "commit": transition.commit,
        "author": transition.author,
        "email": transition.email,
        "adopted": transition.adopted or None,
    }


def _format_title(transition: Transition) -> str:
    model, stage = transition.model, transition.stage
    source, target = transition.source, transition.target
    if stage == ARCHIVED:
        title = f"{model} {target} is archived" if target else f"{model} {source} is out of the archive"
    elif target is None:
        title = f"{model} {stage} is empty"
    elif transition.action is Action.ROLLBACK:
        title = f"{model} {stage} is rolled back to {target}"
    else:
        title = f"{model} {target} is in {stage}"
    return _line(title)


def _format_move(transition: Transition) -> Iterator[str]:
    if transition.stage != ARCHIVED:
        source, target = (str(each) if each else "nothing" for each in (transition.source, transition.target))
        yield f"{_line(transition.stage)}: {source} → {target}"


def _format_approvers(approvers: Sequence[Actor]) -> Iterator[str]:
    if approvers:
        shown = ", ".join(_line(str(each)) for each in approvers[:MAX_APPROVERS])
        more = f" and {len(approvers) - MAX_APPROVERS} more" if len(approvers) > MAX_APPROVERS else ""
        yield f"approved by: {shown}{more}"


def _format_reason(reason: str) -> Iterator[str]:
    lines = _BREAKS.split(reason[:MAX_REASON].strip())
    yield "why:"
    yield from (f"> {_visible(line)}".rstrip() for line in lines)
    if len(reason) > MAX_REASON:
        yield "> … (the commit has all of it)"


def _line(text: str) -> str:
    """Returns text in one line of bounded length."""
    line = _visible(_BREAKS.sub(" ", text))
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"


def _visible(text: str) -> str:
    """Returns text with control, bidirectional and other invisible characters written as escapes; tabs are spaces."""
    text = text.replace("\t", " ")
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN_CATEGORIES or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")
