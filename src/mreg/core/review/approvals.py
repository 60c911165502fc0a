"""Approvals: a committed statement by one person that one version may enter one stage.

Rules:
    * An approval binds model, version, artifact, stage and the version that is replaced: it counts once, for that.
    * It counts from the commit that adds it until the stage changes; what is older than the last change is spent, and
      stays so in whatever file it comes back.
    * Whose it is, its signature proves; without one, the authors of the commit that added it claim it.
    * Persons are counted: two approvals of one person are one.
    * A file that is deleted is withdrawn; one that is changed counts no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from msgspec import Struct, field

from mreg.core.fields import Fields, Plain, format_moment
from mreg.core.history.manifest import NO_VERSION, read_version
from mreg.core.history.statements import Namespace, encode_statement
from mreg.core.names import ModelName, StageName, Version, parse_model_name, parse_stage_name
from mreg.core.settings.people import Actor, People, Proof, identify
from mreg.core.settings.policy import ApprovalRule, Signatures
from mreg.errors import NamingError

__all__ = [
    "Approval",
    "Ballot",
    "Tally",
    "Vote",
    "approval_id",
    "count_votes",
    "encode_approval",
    "format_approval",
    "parse_approval",
]

_ID_LENGTH = 16


class Approval(Struct, frozen=True):
    """What one approval file says."""

    model: ModelName
    version: Version
    stage: StageName
    artifact: str
    """As ``statements.artifact_name`` gives it."""
    replaces: Version | None
    by: str
    """E-mail address of the approver."""
    at: datetime | None = None
    reason: str = ""
    signature: str = ""


class Vote(Struct, frozen=True):
    """One approval file as history has it."""

    path: str
    approval: Approval | None
    """``None`` where it cannot be read."""
    fault: str = ""
    """Why it cannot be read."""
    authors: frozenset[str] = frozenset()
    """E-mail addresses, in lower case, of who committed it: the author, and co-authors of a squash."""
    proof: Proof | None = None
    """What its signature shows; ``None`` where it has none."""
    is_fresh: bool = True
    """False where it was said before the stage changed, or was withdrawn once."""
    is_changed: bool = False
    """True where a later commit changed the file."""


class Ballot(Struct, frozen=True):
    """What votes are counted for."""

    model: ModelName
    version: Version
    stage: StageName
    artifact: str
    replaces: Version | None
    author: Actor
    """Who proposes the promotion."""


class Tally(Struct, frozen=True):
    """The votes that count, and why the others do not."""

    approvers: tuple[Actor, ...] = ()
    """One a person, in the order of their names."""
    faults: tuple[tuple[str, str, str], ...] = ()
    """Code, path and message of each vote that does not count."""
    votes: Mapping[str, str] = field(default_factory=dict)
    """Path of the vote that counts, by the person's name."""


def approval_id(approval: Approval) -> str:
    """Returns the name of an approval's file, made from what it says: two are never in each other's way."""
    return hashlib.sha256(encode_approval(approval)).hexdigest()[:_ID_LENGTH]


def encode_approval(approval: Approval) -> bytes:
    """Returns the bytes that the signature of an approval is made over."""
    return encode_statement(
        {
            **_terms(approval),
            "at": format_moment(approval.at) if approval.at else "",
            "reason": approval.reason,
        },
        Namespace.APPROVAL,
    )


def parse_approval(fields: Fields) -> Approval:
    """Returns what an approval file says.

    Raises:
        DataError: A key is missing, unknown or of the wrong type.
    """
    try:
        model = parse_model_name(fields.required_text("model"))
        stage = parse_stage_name(fields.required_text("stage"))
    except NamingError as error:
        key = "model" if "model" in error.details else "stage"
        raise fields.error(key, error.message, hint=error.hint) from error
    approval = Approval(
        model=model,
        version=read_version(fields, "version"),
        stage=stage,
        artifact=fields.text("artifact"),
        replaces=None if fields.value("replaces") in (None, NO_VERSION) else read_version(fields, "replaces"),
        by=fields.required_text("by"),
        at=fields.moment("at"),
        reason=fields.text("reason"),
        signature=fields.text("signature"),
    )
    fields.finish()
    return approval


def format_approval(approval: Approval) -> dict[str, Plain]:
    """Returns the document of an approval file, in the order of its keys."""
    document: dict[str, Plain] = {**_terms(approval)}
    if approval.at:
        document["at"] = format_moment(approval.at)
    if approval.reason:
        document["reason"] = approval.reason
    if approval.signature:
        document["signature"] = approval.signature
    return document


def _terms(approval: Approval) -> dict[str, str]:
    """Returns who agrees to what, in the order in which it is signed and written."""
    return {
        "model": approval.model,
        "version": str(approval.version),
        "stage": approval.stage,
        "artifact": approval.artifact,
        "replaces": str(approval.replaces or NO_VERSION),
        "by": approval.by,
    }


def count_votes(
    rule: ApprovalRule, signatures: Signatures, people: People, ballot: Ballot, votes: Iterable[Vote]
) -> Tally:
    """Returns who approved one promotion, and which approvals do not count for it."""
    approvers: dict[str, Actor] = {}
    paths: dict[str, str] = {}
    faults: list[tuple[str, str, str]] = []
    for vote in sorted(votes, key=lambda vote: vote.path):
        actor, fault = _weigh(rule, signatures, people, ballot, vote)
        if actor is None or fault[0]:
            faults.append((fault[0], vote.path, fault[1]))
        elif actor.name not in approvers or (actor.is_proven and not approvers[actor.name].is_proven):
            approvers[actor.name] = actor
            paths[actor.name] = vote.path
    return Tally(tuple(approvers[name] for name in sorted(approvers)), tuple(faults), paths)


def _weigh(
    rule: ApprovalRule, signatures: Signatures, people: People, ballot: Ballot, vote: Vote
) -> tuple[Actor | None, tuple[str, str]]:
    approval = vote.approval
    if approval is None:
        return None, ("approval-unreadable", vote.fault)
    misfit = _find_misfit(ballot, vote, approval)
    if misfit:
        return None, misfit
    actor = identify(people, approval.by, vote.proof)
    return actor, _find_impostor(rule, signatures, people, ballot, actor, vote.authors)


def _find_misfit(ballot: Ballot, vote: Vote, approval: Approval) -> tuple[str, str] | None:
    """Returns why an approval is not about this promotion."""
    what = f"{approval.model} {approval.version} in {approval.stage}"
    if vote.is_changed:
        return ("approval-changed", "it was changed after it was committed")
    if (approval.model, approval.version, approval.stage) != (ballot.model, ballot.version, ballot.stage):
        return ("approval-copied", f"it is about {what}")
    if approval.artifact != ballot.artifact:
        return ("approval-other-artifact", "it is about other bytes than those in the record")
    if not vote.is_fresh:
        return (
            "approval-replayed",
            f"it no longer counts: {ballot.stage} changed after it was given, or it was withdrawn",
        )
    if approval.replaces != ballot.replaces:
        was = approval.replaces or "nothing"
        return (
            "approval-stale",
            f"it was given for replacing {was}, but {ballot.stage} held {ballot.replaces or 'nothing'}",
        )
    return None


def _find_impostor(
    rule: ApprovalRule,
    signatures: Signatures,
    people: People,
    ballot: Ballot,
    actor: Actor,
    authors: Collection[str],
) -> tuple[str, str]:
    """Returns why an approval is not the vote of someone who may approve; two empty texts where it is."""
    fault = _find_forgery(signatures, ballot.stage, actor, authors)
    if fault:
        return fault
    if rule.by and not people.has_role(actor.person, rule.by):
        return ("approval-unlisted", f"{actor} is not in {' or '.join(rule.by)}")
    if rule.not_author and actor.name == ballot.author.name:
        return ("approval-self", f"{actor} proposes the promotion, so cannot approve it")
    return ("", "")


def _find_forgery(
    signatures: Signatures, stage: StageName, actor: Actor, authors: Collection[str]
) -> tuple[str, str] | None:
    """Returns why an approval is not by whom it names; ``None`` where it is, or may well be."""
    if actor.fault:
        return ("approval-forged", actor.fault)
    if actor.is_proven:
        return None
    if signatures is Signatures.REQUIRED and actor.stranger:
        return ("approval-unlisted", f"nobody in people: has the key {actor.stranger} that signed it")
    if signatures is Signatures.REQUIRED:
        return ("approval-unsigned", f"{actor.email} did not sign it, but {stage} requires signatures")
    own = {actor.email.casefold(), *(actor.person.emails if actor.person else ())}
    if own.isdisjoint(authors):
        who = ", ".join(sorted(authors)) or "somebody unknown"
        return ("approval-forged", f"it says that {actor.email} approves, but {who} committed it")
    return None
