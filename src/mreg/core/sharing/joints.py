"""What a join is made of: the commits here, what becomes of each, and what both sides changed.

``joining`` plans one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct, field

from mreg.core.history.manifest import ArchivedMark, StageEntry
from mreg.core.history.timeline import Commit, FileChange
from mreg.core.layout import SETTINGS_FILE, PathKind, Place
from mreg.core.names import ARCHIVED, ModelName, StageName, Version

__all__ = [
    "Clash",
    "Contents",
    "Join",
    "Joint",
    "Local",
    "Matter",
    "Way",
    "find_lone_marks",
    "is_same_move",
    "matter_of",
    "put_blob",
    "without_lists",
]


class Contents(Protocol):
    """What blobs say, and new blobs."""

    def entry(self, path: str, oid: str | None) -> StageEntry | None:
        """Returns what a stage file says; ``None`` where there is none, or it cannot be read."""

    def marks(self, path: str, oid: str | None) -> Mapping[Version, ArchivedMark] | None:
        """Returns the archived versions; none for no file, ``None`` where it cannot be read."""

    def store_marks(self, marks: Mapping[Version, ArchivedMark]) -> str:
        """Returns the blob of an ``archived.yaml``."""

    def pointer(self, path: str, record: str) -> tuple[str, str] | None:
        """Returns path and blob of the pointer that a record at a path calls for; ``None`` where it calls for none."""

    def entered(self, dvc_yaml: str | None, path: str, record: str) -> str | None:
        """Returns the blob of a ``dvc.yaml`` with the entry that a record calls for; ``None`` where it cannot be."""

    def renumbered(self, path: str, oid: str, names: Mapping[Version, Version]) -> str | None:
        """Returns the blob of a record or a stage file with other numbers; ``None`` where it must stay as it is."""

    def same_bytes(self, path: str, one: str, other: str) -> bool:
        """Returns whether two records are of the same artifact."""


class Local(Struct, frozen=True):
    """One commit of the first-parent history here that the remote lacks."""

    commit: Commit
    """With its changes of all files against its first parent; of a pull, less what the remote's side has so."""
    parent: str | None
    """``None`` for the first commit of a repository."""
    others: tuple[str, ...] = ()
    """Its other parents, less those that the remote has."""
    pulled: str | None = None
    """The other parent that the remote has, where this is a merge of that."""
    is_named: bool = False
    """True where a record names it as its code."""

    @property
    def oid(self) -> str:
        """The commit's id."""
        return self.commit.oid


class Way(str, Enum):
    """What becomes of a commit."""

    KEPT = "kept"
    """It lands as it is."""
    REMADE = "remade"
    """The same change in a commit of its own."""
    MERGED = "merged"
    """It keeps its id, and a merge brings it."""
    LANDED = "landed"
    """The remote says so already."""
    DROPPED = "dropped"
    """It is left out, as was asked for."""
    CONFLICT = "conflict"
    """It cannot land: both sides changed something, or it builds on what cannot."""


class Matter(str, Enum):
    """What both sides changed."""

    STAGE = "stage"
    VERSION = "version"
    ARCHIVED = "archived"
    SETTINGS = "settings"
    FILE = "file"
    """Another file of the registry."""
    CODE = "code"
    """A file that is none of the registry's."""
    LEFT_OUT = "left-out"
    """Here alone; it builds on a change that is left out."""


class Clash(Struct, frozen=True):
    """One thing that both sides changed."""

    matter: Matter
    path: str
    ours: Commit
    model: ModelName | None = None
    version: Version | None = None
    stage: StageName | None = None
    old: str | None = None
    """Blob of the file before the change here; ``None`` where there was none."""
    new: str | None = None
    """Blob of the file after it."""
    there: str | None = None
    """Blob that the remote has."""
    is_same: bool = False
    """True where both registered the same bytes."""


class Joint(Struct, frozen=True):
    """One commit of the new history."""

    local: Local
    way: Way
    files: Mapping[str, str | None] = field(default_factory=dict)
    """Files of the registry with their new blobs; ``None`` deletes."""
    records: tuple[tuple[str, str], ...] = ()
    """Path and blob of the records whose entries ``dvc.yaml`` is to have."""
    parents: tuple[str, ...] = ()
    """Besides the base."""
    content: tuple[str | None, str] | None = None
    """Between which two commits the other files changed; ``None`` where they do not."""
    is_dvc_yaml_edited: bool = False
    """True where ``dvc.yaml`` is one of the other files."""
    covers: tuple[Local, ...] = ()
    """The commits that a merge brings, this one included."""


class Join(Struct, frozen=True):
    """The new history on top of the base, and what stands against it."""

    joints: tuple[Joint, ...]
    """Those that land, oldest first."""
    ways: Mapping[str, Way]
    """What becomes of each local commit."""
    clashes: tuple[Clash, ...] = ()
    loose: tuple[str, ...] = ()
    """The commits that are to be left out, so that the others can land."""
    same: tuple[Clash, ...] = ()
    """What both sides did alike, and was not done again."""


def is_same_move(change: FileChange, there: str | None, contents: Contents) -> bool:
    """Returns whether a change here took a stage from one version to another, and the remote did just that.

    Args:
        change: What was done here.
        there: Blob that the remote has.
        contents: Reads blobs.
    """
    before, ours, theirs = (contents.entry(change.path, oid) for oid in (change.old, change.new, there))
    if ours is None or theirs is None or (change.old and before is None):
        return False
    source = before.version if before else None
    says_same = (ours.version, ours.hold, source) == (theirs.version, theirs.hold, theirs.replaces)
    return says_same and ours.version != source and theirs.has_replaces


def find_lone_marks(change: FileChange, there: str | None, stage: StageName, contents: Contents) -> list[Version]:
    """Returns the versions that a change archives since a stage replaced them, and the remote does not.

    Args:
        change: What was done to ``archived.yaml`` here.
        there: Blob that the remote has.
        stage: The stage.
        contents: Reads blobs.
    """
    before, after, now = (contents.marks(change.path, oid) or {} for oid in (change.old, change.new, there))
    return sorted(each for each in after.keys() - before.keys() - now.keys() if after[each].replaced_in == stage)


def matter_of(path: str, place: Place | None) -> Matter:
    """Returns what a file of the registry is, where both sides changed it."""
    if path == SETTINGS_FILE:
        return Matter.SETTINGS
    if place and place.kind is PathKind.STAGE:
        return Matter.ARCHIVED if place.stage == ARCHIVED else Matter.STAGE
    return Matter.VERSION if place and place.kind is PathKind.RECORD else Matter.FILE


def without_lists(clashes: Sequence[Clash]) -> list[Clash]:
    """Returns clashes less those of files that come with a record that clashes too."""
    versions = {(each.model, each.version) for each in clashes if each.matter is Matter.VERSION}
    return [each for each in clashes if each.matter is not Matter.FILE or (each.model, each.version) not in versions]


def put_blob(tree: dict[str, str], path: str, oid: str | None) -> None:
    """Writes a file to a tree, or deletes it where there is no blob."""
    if oid is None:
        tree.pop(path, None)
    else:
        tree[path] = oid
