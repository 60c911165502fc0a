"""Plans: what a writer would commit.  Deciding is pure; storing and publishing are the registry's.

Rules:
    * A plan is complete: every file that the commit changes, its message, what it does to the stages.
    * A plan without files means that it is so already.
    * A version's number is used once, also where its record was deleted: its tag stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain
from mreg.core.history.manifest import format_stage, parse_stage
from mreg.core.history.record import Record
from mreg.core.history.state import ModelState
from mreg.core.history.timeline import Action
from mreg.core.layout import Layout
from mreg.core.messages import format_message
from mreg.core.names import Bump, ModelName, StageName, Version
from mreg.errors import NamingError, RefusedError

__all__ = ["Document", "Plan", "PlannedChange", "Statement", "choose_version", "tell_next", "with_approvers"]

Document = Mapping[str, Plain] | bytes | None
"""A file's new content: a YAML document, plain bytes, or ``None`` to delete it."""


class Statement(Struct, frozen=True):
    """Who wants a change, when and why."""

    reason: str
    by: str
    """E-mail address."""
    at: datetime
    approved_by: tuple[str, ...] = ()


class PlannedChange(Struct, frozen=True):
    """One change of one stage that a plan makes."""

    stage: StageName
    action: Action
    source: Version | None
    target: Version | None


class Plan(Struct, frozen=True):
    """What one commit would do."""

    model: ModelName | None
    """``None`` where the plan is about the whole registry."""
    version: Version | None = None
    stage: StageName | None = None
    subject: str = ""
    body: str = ""
    trailers: tuple[tuple[str, str], ...] = ()
    documents: Mapping[str, Document] = field(default_factory=dict)
    changes: tuple[PlannedChange, ...] = ()
    notices: tuple[str, ...] = ()
    """What a person should know, such as why a version was not archived."""
    caveat: str = ""
    """What a person should know too where the gates say no."""
    record: Record | None = None
    """Of the version that the plan registers."""
    keeps_statement: bool = False
    """True where the stage file goes on to say who put its version there: only a hold is set or released."""

    def __repr__(self) -> str:
        """Returns what would be committed."""
        return f"<Plan: {self.subject or 'nothing to do'}>"

    @property
    def changed(self) -> bool:
        """True where there is something to commit."""
        return bool(self.documents)

    @property
    def message(self) -> str:
        """The commit message: subject, body, trailers."""
        return format_message(self.subject, self.body, self.trailers)


def with_approvers(plan: Plan, layout: Layout, stage: StageName, approvers: Sequence[str]) -> Plan:
    """Returns a plan whose statement names those who approved it, besides those that it names already.

    Args:
        plan: A promotion.
        layout: Where the stage file is.
        stage: The stage.
        approvers: E-mail addresses.
    """
    path = layout.stage(plan.model, stage) if plan.model else ""
    document = plan.documents.get(path)
    if not approvers or not isinstance(document, Mapping):
        return plan
    entry = parse_stage(Fields(document, where=path))
    missing = [each for each in approvers if each not in entry.approved_by]
    if not missing:
        return plan
    named = format_stage(replace(entry, approved_by=(*entry.approved_by, *missing)))
    trailers = (*plan.trailers, *(("Approved-by", who) for who in missing))
    return replace(plan, documents={**plan.documents, path: named}, trailers=trailers)


def choose_version(
    state: ModelState, asked: Version | None, bump: Bump, *, force: bool, once: Iterable[Version] = ()
) -> Version:
    """Returns the number of a new version.

    Args:
        state: The model.
        asked: The number that was asked for; the next one where ``None``.
        bump: Which part of the newest version the next one raises.
        force: Take a number older than the newest.
        once: Every version that ever was there, those whose record was deleted since included.

    Raises:
        RefusedError: The version exists or once did, or is older than the newest and that was not forced.
        NamingError: There is no next number.
    """
    taken = {*state.records, *once}
    newest = max(taken, default=None)
    if newest is None:
        return asked or Version(1)
    if asked is None:
        following = _bump(newest, bump)
        if following is None:
            raise NamingError(
                f"no version can come after {newest}: a number has at most 9 digits",
                hint="--bump raises a smaller part, or --version names one before it, with --force",
                details={"newest": str(newest)},
            )
        return following
    # Upper and lower case name one file on many disks, and so one tag.
    same = next((version for version in taken if str(version).lower() == str(asked).lower()), None)
    if same is not None:
        how = "exists" if same in state.records else "existed once"
        raise RefusedError(
            f"{state.model} {same} {how}, and a version is written once",
            hint=f"leave --version out: the next one is {tell_next(newest, bump)}",
            details={"model": state.model, "version": str(asked)},
        )
    if asked < newest and not force:
        raise RefusedError(
            f"{state.model} {asked} is older than the newest version {newest}",
            hint=f"--version {tell_next(newest, bump)}, or --force if an older line is meant to go on",
            details={"model": state.model, "version": str(asked), "newest": str(newest)},
        )
    return asked


def tell_next(newest: Version, bump: Bump) -> str:
    """Returns a version after the newest, for a hint; where the part cannot be raised, by another part."""
    found = (_bump(newest, part) for part in (bump, Bump.MINOR, Bump.PATCH))
    return str(next(filter(None, found), newest))


def _bump(newest: Version, bump: Bump) -> Version | None:
    try:
        return newest.bumped(bump)
    except NamingError:  # the number would have too many digits
        return None
