"""What an audit finds: faults, transitions with the answers of their rules, and the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from mreg.core.history.timeline import Finding, Transition
from mreg.core.review.gates import Judgement
from mreg.core.settings.people import Actor

__all__ = ["Audit", "AuditFault", "Judged", "Report", "Trusted"]


class AuditFault(Struct, frozen=True):
    """Something that is wrong, where, and since which commit."""

    code: str
    """A stable slug."""
    place: str
    """Path of a file, or full name of a ref."""
    message: str
    commit: str = ""
    """Empty where no commit brought it."""
    fix: str = ""
    """A command that mends it, or may; may be empty."""


class Judged(Struct, frozen=True):
    """One transition, and what the rules of its parent say to it."""

    transition: Transition
    actor: Actor
    """Who made it, and whether a signature proves that."""
    judgement: Judgement
    wanted: int = 0
    """How many approvals its stage asks for."""

    @property
    def is_signed(self) -> bool:
        """True where the statement bears a signature, be it a good one."""
        return self.transition.statement is not None and self.transition.statement.signature != ""


class Trusted(Struct, frozen=True):
    """What this clone was found clean up to, and an audit did not look at again."""

    commit: str
    commits: int
    """How many lead up to it, itself among them."""
    at: datetime
    """When it was found clean."""
    whole_at: datetime
    """When all of the history was last judged."""


class Audit(Struct, frozen=True, repr_omit_defaults=True):
    """What an audit found."""

    tip: str
    """The newest commit."""
    since: str | None = None
    """Only what came after this commit was judged; ``None`` where all was."""
    commits: int = 0
    """How many were judged."""
    transitions: int = 0
    """How many of them there are in those commits."""
    signed: int = 0
    """Transitions that bear a signature."""
    proven: int = 0
    """Transitions whose signature shows who made them."""
    tags: int = 0
    """Tags that are there, and as they should be."""
    faults: tuple[AuditFault, ...] = ()
    """Those of the history, oldest first; then those of tags and of the repository."""
    unproven: tuple[AuditFault, ...] = ()
    """What was answered then, and cannot be now: no faults."""
    gaps: tuple[Finding, ...] = ()
    """What this clone lacks: then nothing was judged."""
    remote: str | None = None
    """The remote whose tags were compared; ``None`` where none was asked."""
    trusted: Trusted | None = None
    """What was taken for clean because an earlier audit of this clone said so; then ``tags`` are those that are new."""
    fallback: str = ""
    """Why all was judged, where only what is new was to be."""

    @property
    def complete(self) -> bool:
        """True where all that had to be read could be."""
        return not self.gaps

    @property
    def ok(self) -> bool:
        """True where nothing is wrong, and nothing is missing."""
        return self.complete and not self.faults

    @property
    def claimed(self) -> int:
        """Transitions of which nothing proves who made them."""
        return self.transitions - self.proven


class Report(Struct, frozen=True):
    """The auditor's report: transitions with the answers of their rules, newest first."""

    rows: Sequence[Judged]
    findings: tuple[Finding, ...] = ()
    """Files that cannot be read: their transitions are missing here."""

    def __iter__(self) -> Iterator[Judged]:
        """Yields the transitions."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Returns the number of transitions."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Returns how many there are."""
        return f"<Report: {len(self)} transition{'' if len(self) == 1 else 's'}>"
