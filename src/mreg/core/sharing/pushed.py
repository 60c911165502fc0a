"""What ``push`` did, or would do: which commits landed and how, and what both sides changed."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from mreg.core.history.timeline import Commit
from mreg.core.names import ModelName, StageName, Version
from mreg.core.review.reviewed import Fault
from mreg.core.sharing.joints import Matter, Way

__all__ = ["PushConflict", "Pushed", "PushedCommit", "settle_all"]


class PushedCommit(Struct, frozen=True):
    """What became of one commit that was made here."""

    commit: Commit
    way: Way
    new: str | None = None
    """The commit that brings it to the branch; ``None`` where none does, or is made yet."""


class PushConflict(Struct, frozen=True):
    """One thing that both sides changed."""

    matter: Matter
    what: str
    """In words, such as ``churn production``."""
    path: str
    ours: Commit
    ours_says: str
    theirs: Commit | None
    """``None`` where nobody there is known to have changed it."""
    theirs_says: str
    settle: str
    """The command that leaves out what was made here."""
    again: str = ""
    """The command that makes it again afterwards, on top of what is there; empty where none can be given."""
    model: ModelName | None = None
    version: Version | None = None
    stage: StageName | None = None


class Pushed(Struct, frozen=True, repr_omit_defaults=True):
    """What ``push`` did, or with ``dry_run`` would do."""

    branch: str
    remote: str
    before: str | None
    """Where the branch was there; ``None`` where the remote lacked it."""
    commit: str | None
    """Where it is now, or would be; ``None`` where something stands against it."""
    commits: tuple[PushedCommit, ...] = ()
    """Those made here that the remote lacked, oldest first."""
    tags: tuple[str, ...] = ()
    """Names of the tags that the remote got."""
    replaced: tuple[str, ...] = ()
    """Tags of this clone alone that were made anew or taken away: their commits were made again."""
    uploaded: int = 0
    """Bytes that the DVC remote lacked."""
    conflicts: tuple[PushConflict, ...] = ()
    complaints: tuple[Fault, ...] = ()
    """What the rules of the remote's branch say no to."""
    settle: str = ""
    """The command that pushes all but what something stands against; empty where nothing does."""
    dry_run: bool = False
    notices: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """True where the remote got something, or would."""
        return bool(self.tags) or (self.commit is not None and self.commit != self.before)

    @property
    def ok(self) -> bool:
        """True where nothing stands against it."""
        return not self.conflicts and not self.complaints


def settle_all(loose: Iterable[str], branch: str = "", *, renumber: bool = False) -> str:
    """Returns the command that pushes all but some commits.

    Args:
        loose: The commits.
        branch: A branch that is not the registry's.
        renumber: Versions are to get other numbers where theirs are taken.
    """
    words = ["mreg push", *(["--renumber"] if renumber else []), *(f"--drop {oid[:12]}" for oid in loose)]
    return " ".join([*words, *([f"--branch {branch}"] if branch else [])])
