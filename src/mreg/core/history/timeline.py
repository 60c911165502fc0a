"""What the first-parent history of the registry branch says: commits, versions, transitions.

``fold`` makes a ``Timeline`` of commits.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from msgspec import Struct, field

from mreg.core.history.manifest import Adopted, ArchivedMark, StageEntry
from mreg.core.names import ModelName, StageName, Version

__all__ = [
    "Action",
    "AdoptedTag",
    "Appearance",
    "ApprovalFile",
    "Commit",
    "Event",
    "FileChange",
    "Finding",
    "Lane",
    "Standing",
    "Stay",
    "Timeline",
    "Transition",
]


class Action(str, Enum):
    """What a transition did."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CLEAR = "clear"
    ARCHIVE = "archive"


class FileChange(Struct, frozen=True, array_like=True, gc=False):
    """One file that a commit changed against its first parent."""

    path: str
    old: str | None
    """Object id of the blob before; ``None`` where there was none."""
    new: str | None
    """Object id of the blob after; ``None`` where it was deleted."""


class Commit(Struct, frozen=True, array_like=True, gc=False):
    """One commit of the first-parent history, with what it changed in the registry."""

    oid: str
    author: str
    email: str
    """The author's e-mail address."""
    time: datetime
    """The committer's, as written; not monotonic."""
    subject: str
    changes: tuple[FileChange, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    """Key and value of each trailer in its message, as Git finds them; nothing is decided by them."""


class Finding(Struct, frozen=True):
    """Something that is wrong, and where."""

    code: str
    place: str
    message: str


class Appearance(Struct, frozen=True, gc=False):
    """A version's record as it came onto the registry branch."""

    model: ModelName
    version: Version
    commit: Commit
    record: str
    """Object id of the record's blob."""


class ApprovalFile(Struct, frozen=True):
    """One approval file that is there."""

    path: str
    oid: str
    """Object id of the blob as it was committed first."""
    commit: Commit
    """The first-parent commit that brought it."""
    position: int
    """Of that commit in the history that was folded."""
    is_changed: bool = False
    """True where a later commit changed it."""


class Transition(Struct, frozen=True, gc=False):
    """One change of one stage of one model."""

    model: ModelName
    stage: StageName
    action: Action
    source: Version | None
    """The version that the stage held before."""
    target: Version | None
    """The version that it holds since."""
    by: str
    """E-mail address."""
    at: datetime
    reason: str
    approved_by: tuple[str, ...]
    commit: str
    author: str
    """Name of the commit's author."""
    email: str
    """E-mail address of the commit's author."""
    adopted: str = ""
    """The tag of GTO that this change was read from; empty for all others."""
    still_assigned: tuple[Version, ...] = ()
    """What GTO would show one by one after that tag, were ``target`` taken back there."""
    statement: StageEntry | None = None
    """What the stage file says, where that was written for this change."""
    approvals: tuple[ApprovalFile, ...] = ()
    """The approvals of a promotion that were there and not spent; whether they count, gates tell."""

    def __repr__(self) -> str:
        """Returns what changed, by whom and why."""
        move = f"{self.source or 'nothing'} → {self.target or 'nothing'}"
        return f"<Transition {self.model} {self.stage}: {move} ({self.action.value}) by {self.by}: {self.reason!r}>"


class Stay(Struct, frozen=True, gc=False):
    """A time that a version spent in a stage."""

    stage: StageName
    entered: datetime
    left: datetime | None = None
    """``None`` where it is there still."""


class AdoptedTag(Struct, frozen=True):
    """A tag of GTO that a stage file names, and that changed no stage."""

    model: ModelName
    stage: StageName
    name: str
    at: datetime
    version: Version | None
    """The version that the stage holds."""
    still_assigned: tuple[Version, ...] = ()
    """What GTO would show one by one after that tag, were ``version`` taken back there."""


class Lane(Struct):
    """One stage of one model while its history is replayed."""

    stack: list[Version] = field(default_factory=list)
    current: Version | None = None
    entry: StageEntry | None = None
    seen: set[StageEntry] = field(default_factory=set)
    """All that the stage file ever said."""
    signed: set[bytes] = field(default_factory=set)
    """All that signatures in it were made over, but for the artifact."""
    held: dict[Version, Stay | None] = field(default_factory=dict)
    """Every version that the stage ever held, with the longest time that it spent here, of those that are over."""
    adopted: set[str] = field(default_factory=set)
    """Tags of GTO that the stage file has named."""
    position: int = -1
    """Of the commit that changed the stage last."""
    entered: datetime | None = None
    """When ``current`` came."""

    def hear(self, entry: StageEntry | None, signed: bytes | None) -> bool:
        """Takes what the stage file says from now on, and returns whether it never said that before.

        Args:
            entry: What it says.
            signed: What the signature in it was made over.  The rest, such as the hold, makes no statement new.
        """
        known = len(self.seen)
        self.entry = entry
        if entry:
            self.seen.add(entry)
        is_new = len(self.seen) > known and signed not in self.signed
        if signed:
            self.signed.add(signed)
        return is_new

    def adopt(self, tag: Adopted | None) -> Adopted | None:
        """Returns the tag of GTO that the stage file names, the first time that it does."""
        if tag is None or tag.tag in self.adopted:
            return None
        self.adopted.add(tag.tag)
        return tag

    def apply(self, target: Version | None) -> Action:
        """Moves the stage to ``target`` and says which action that is."""
        self.current = target
        if target is None:
            return Action.CLEAR
        # What was never here is not searched for: the stack of a stage may hold thousands.
        was_here = target in self.held
        self.held.setdefault(target, None)
        if was_here and target in self.stack:
            is_top = self.stack[-1] == target
            del self.stack[self.stack.index(target) + 1 :]
            # The version that a clear took out comes back: nothing is rolled back over.
            return Action.PROMOTE if is_top else Action.ROLLBACK
        self.stack.append(target)
        return Action.PROMOTE

    def leave(self, stage: StageName, at: datetime) -> None:
        """Ends the stay of ``current`` in this stage."""
        if self.current is None or self.entered is None:
            return
        longest = self.held.get(self.current)
        if longest is None or longest.left is None or at - self.entered > longest.left - longest.entered:
            self.held[self.current] = Stay(stage, self.entered, at)

    def would(self, target: Version | None) -> Action:
        """Returns which action a move to ``target`` would be; nothing moves."""
        return Lane(stack=list(self.stack), current=self.current, held=dict(self.held)).apply(target)

    def last_good(self, skip: Container[Version]) -> Version | None:
        """Returns what a rollback puts back: the entry below the top, or the top itself where the stage was cleared."""
        below = self.stack if self.current is None else self.stack[:-1]
        return next((version for version in reversed(below) if version not in skip), None)


Event: TypeAlias = Appearance | Transition | AdoptedTag
"""What a commit did: appearances and transitions, and tags that GTO made besides; what tags come from."""


class Standing(Struct):
    """What a history has come to: all that the commits after it need."""

    lanes: dict[tuple[ModelName, StageName], Lane] = field(default_factory=dict)
    archived: dict[ModelName, dict[Version, ArchivedMark]] = field(default_factory=dict)
    marks: set[tuple[ModelName, Version, ArchivedMark]] = field(default_factory=set)
    """Every mark that was ever there."""
    approvals: dict[tuple[ModelName, Version, StageName], dict[str, ApprovalFile]] = field(default_factory=dict)
    """The approval files that are there, by path, in the folder of what they are for."""
    withdrawn: dict[tuple[ModelName, Version, StageName], list[ApprovalFile]] = field(default_factory=dict)
    """The approval files that were deleted, oldest first."""
    records: dict[tuple[ModelName, Version], str] = field(default_factory=dict)
    """Object id of each record that is there, as it was registered."""
    gone: dict[tuple[ModelName, Version], str] = field(default_factory=dict)
    """The same of those that were deleted."""
    unseen: set[tuple[ModelName, Version]] = field(default_factory=set)
    """Versions whose record came before the first commit: what they were registered as, nobody here knows."""
    words: dict[str, str] = field(default_factory=dict)
    """Names and addresses of authors, each once in memory."""
    position: int = 0
    """How many commits were folded."""
    findings: list[Finding] = field(default_factory=list)

    def lane(self, model: ModelName, stage: StageName) -> Lane:
        """Returns the stage as it stands at the end; an empty one where it was never entered."""
        return self.lanes.get((model, stage), Lane())


class Timeline(Standing):
    """What the history says."""

    appearances: dict[tuple[ModelName, Version], Appearance] = field(default_factory=dict)
    """In order of appearance; only a version's first."""
    transitions: list[Transition] = field(default_factory=list)
    """Oldest first."""
    events: list[Event] = field(default_factory=list)
    """All that the commits did, oldest first."""
