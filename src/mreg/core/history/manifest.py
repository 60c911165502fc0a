"""The manifest: which version each stage of a model holds, and why; one file a stage.

Rules:
    * ``version`` is all that a person must write; ``none`` empties the stage.
    * The other keys are the statement: it counts for the change that it was written for (``StageEntry.speaks_for``).
    * ``archived.yaml`` maps each archived version to who archived it and why, and whether its bytes were given up.
    * ``parse_stage(format_stage(entry)) == entry``, and the same for the archived versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain, format_moment
from mreg.core.names import StageName, Version, parse_stage_name, parse_version
from mreg.errors import NamingError

__all__ = [
    "NO_VERSION",
    "Adopted",
    "ArchivedMark",
    "Deletion",
    "Manifest",
    "StageEntry",
    "format_archived",
    "format_stage",
    "parse_archived",
    "parse_stage",
    "read_version",
    "tell_deletion",
]

NO_VERSION = "none"
"""What a stage file says instead of a version where the stage is empty."""


class Adopted(Struct, frozen=True, array_like=True, gc=False):
    """Where a record or a stage came from in a repository that GTO had tagged before."""

    tag: str
    at: datetime | None = None
    """The tagger's time."""
    commit: str = ""
    """The commit that the tag points at."""


class StageEntry(Struct, frozen=True, array_like=True, gc=False):
    """What one stage file says."""

    version: Version | None
    """``None`` where the stage was emptied."""
    replaces: Version | None = None
    has_replaces: bool = False
    """True where the file says what it replaces, be it nothing."""
    reason: str = ""
    by: str = ""
    """E-mail address."""
    at: datetime | None = None
    """When the statement was made; nothing is ordered by it."""
    approved_by: tuple[str, ...] = ()
    hold: bool = False
    signature: str = ""
    """Of the statement."""
    adopted: Adopted | None = None
    still_assigned: tuple[Version, ...] = ()
    """What GTO would show one by one, were ``version`` taken back there; of the time when the stage was adopted."""

    def speaks_for(self, source: Version | None, before: StageEntry | None) -> bool:
        """Returns whether the statement was written for the change away from ``source``.

        A hand edit of ``version`` alone leaves the statement of the change before it, and ``git revert`` brings an
        older one back; neither tells who made this change, nor why.
        """
        if self.has_replaces or self.signature:  # which is made over what it replaces, said or not
            return self.replaces == source
        return before is None or self._statement != before._statement

    @property
    def _statement(self) -> tuple[str, str, datetime | None, tuple[str, ...]]:
        return (self.reason, self.by, self.at, self.approved_by)


class Deletion(Struct, frozen=True):
    """Who gave a version's bytes up for deletion, and why; the record stays."""

    reason: str = ""
    by: str = ""
    """E-mail address."""
    at: datetime | None = None


class ArchivedMark(Struct, frozen=True):
    """Who marked a version as obsolete, and why."""

    reason: str = ""
    by: str = ""
    at: datetime | None = None
    replaced_in: StageName | None = None
    """The stage that archived it by taking another version; ``None`` where a person did."""
    deletion: Deletion | None = None
    """``None`` where the version's bytes are kept."""

    def is_of_same_move(self, other: ArchivedMark) -> bool:
        """Returns whether a stage made both marks by taking the same version, whoever saw to it, and when."""
        return self.replaced_in is not None and self == replace(other, by=self.by, at=self.at)


class Manifest(Struct, frozen=True):
    """One parsed file of ``stages/``: either a stage's entry or the archived versions."""

    entry: StageEntry | None = None
    archived: Mapping[Version, ArchivedMark] = field(default_factory=dict)


def read_version(fields: Fields, key: str) -> Version:
    """Returns a version that a person may have typed as ``v3.0.0``, ``v3`` or ``3``.

    Raises:
        DataError: It is missing, or not a version; ``1.10`` without quotes is a number that lost its zero.
    """
    value = fields.value(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None:
        raise fields.error(key, "a version is needed, and there is none", hint="write it as: version: v3.0.0")
    if not isinstance(value, str):
        raise fields.error(key, f"{value!r} is not a version", hint="write all three numbers: v1.10.0")
    try:
        return parse_version(value)
    except NamingError as error:
        raise fields.error(key, error.message, hint=error.hint) from error


def parse_stage(fields: Fields) -> StageEntry:
    """Returns what a stage file says.

    Raises:
        DataError: A key is missing, unknown or of the wrong type.
    """
    entry = StageEntry(
        version=_version_or_none(fields, "version"),
        replaces=_version_or_none(fields, "replaces") if fields.has("replaces") else None,
        has_replaces=fields.has("replaces"),
        reason=fields.text("reason"),
        by=fields.text("by"),
        at=fields.moment("at"),
        approved_by=fields.texts("approved_by"),
        hold=fields.boolean("hold"),
        signature=fields.text("signature"),
        adopted=parse_adopted(fields.section("adopted")),
        still_assigned=_versions(fields, "still_assigned"),
    )
    fields.finish()
    return entry


def format_stage(entry: StageEntry) -> dict[str, Plain]:
    """Returns the document of a stage file, in the order of its keys."""
    document: dict[str, Plain] = {"version": str(entry.version or NO_VERSION)}
    if entry.has_replaces:
        document["replaces"] = str(entry.replaces or NO_VERSION)
    document |= _statement(entry.reason, entry.by, entry.at)
    if entry.approved_by:
        document["approved_by"] = list(entry.approved_by)
    if entry.hold:
        document["hold"] = True
    if entry.signature:
        document["signature"] = entry.signature
    if entry.adopted:
        document["adopted"] = format_adopted(entry.adopted)
    if entry.still_assigned:
        document["still_assigned"] = list(map(str, entry.still_assigned))
    return document


def parse_archived(fields: Fields) -> dict[Version, ArchivedMark]:
    """Returns the archived versions, in the order of the file.

    Raises:
        DataError: A version or a key cannot be read.
    """
    marks: dict[Version, ArchivedMark] = {}
    for name, mark in fields.sections("versions"):
        try:
            version = parse_version(name)
        except NamingError as error:
            raise fields.error(f"versions.{name}", error.message, hint=error.hint) from error
        if version in marks:
            raise fields.error(f"versions.{name}", f"{version} appears twice", hint="keep one of the two")
        marks[version] = _parse_mark(mark)
    fields.finish()
    return marks


def _parse_mark(fields: Fields) -> ArchivedMark:
    replaced_in = fields.text("replaced_in")
    try:
        stage = parse_stage_name(replaced_in) if replaced_in else None
    except NamingError as error:
        raise fields.error("replaced_in", error.message, hint=error.hint) from error
    deletion = _parse_deletion(fields.section("deletion"))
    mark = ArchivedMark(fields.text("reason"), fields.text("by"), fields.moment("at"), stage, deletion)
    fields.finish()
    return mark


def _parse_deletion(fields: Fields | None) -> Deletion | None:
    if fields is None:
        return None
    deletion = Deletion(fields.text("reason"), fields.text("by"), fields.moment("at"))
    fields.finish()
    return deletion


def format_archived(marks: Mapping[Version, ArchivedMark]) -> dict[str, Plain]:
    """Returns the document of ``archived.yaml``, versions in ascending order."""
    versions: dict[str, Plain] = {}
    for version, mark in sorted(marks.items()):
        document = _statement(mark.reason, mark.by, mark.at)
        if mark.replaced_in:
            document["replaced_in"] = mark.replaced_in
        if mark.deletion:
            document["deletion"] = _statement(mark.deletion.reason, mark.deletion.by, mark.deletion.at)
        versions[str(version)] = document
    return {"versions": versions}


def tell_deletion(deletion: Deletion) -> str:
    """Returns who gave bytes up, when and why: ``on purpose by ann@example.com on 2026-11-25 (why)``."""
    by = f"by {deletion.by}" if deletion.by else ""
    on = f"on {deletion.at.date().isoformat()}" if deletion.at else ""
    return " ".join(filter(None, ("on purpose", by, on, f"({deletion.reason})" if deletion.reason else "")))


def parse_adopted(fields: Fields | None) -> Adopted | None:
    """Returns the ``adopted:`` section, where there is one."""
    if fields is None:
        return None
    adopted = Adopted(fields.required_text("tag"), at=fields.moment("at"), commit=fields.text("commit"))
    fields.finish()
    return adopted


def format_adopted(adopted: Adopted) -> dict[str, Plain]:
    """Returns the document of an ``adopted:`` section."""
    document: dict[str, Plain] = {"tag": adopted.tag}
    if adopted.at:
        document["at"] = format_moment(adopted.at)
    if adopted.commit:
        document["commit"] = adopted.commit
    return document


def _version_or_none(fields: Fields, key: str) -> Version | None:
    return None if fields.value(key) == NO_VERSION else read_version(fields, key)


def _versions(fields: Fields, key: str) -> tuple[Version, ...]:
    try:
        return tuple(map(parse_version, fields.texts(key)))
    except NamingError as error:
        raise fields.error(key, error.message, hint=error.hint) from error


def _statement(reason: str, by: str, at: datetime | None) -> dict[str, Plain]:
    document: dict[str, Plain] = {}
    if reason:
        document["reason"] = reason
    if by:
        document["by"] = by
    if at:
        document["at"] = format_moment(at)
    return document
