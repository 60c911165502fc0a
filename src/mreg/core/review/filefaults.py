"""Faults of files: what may not land, whatever the rules of the stages say.

Rules:
    * Records and file lists are written once; an approval can be withdrawn, and is never changed.
    * What lands can be read, and lies where its kind belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mreg.core.history.fold import ManifestReader
from mreg.core.history.timeline import FileChange, Timeline
from mreg.core.layout import PathKind, Place, pathspec
from mreg.core.review.cases import Evidence
from mreg.core.review.difference import PLAIN, Difference
from mreg.core.review.reviewed import Fault
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, NamingError

__all__ = ["FileEvidence", "find_faults", "line_in"]


class FileEvidence(Evidence, Protocol):
    """Evidence that also tells why a file cannot be read."""

    def fault(self, path: str, oid: str) -> DataError | None:
        """Returns why the record in a blob cannot be read, or is another's; ``None`` where it can."""


def find_faults(
    difference: Difference, timeline: Timeline, policy: Policy, read: ManifestReader, evidence: FileEvidence
) -> Iterator[Fault]:
    """Yields the faults of the files that differ.

    Args:
        difference: The files.
        timeline: The history up to the base.
        policy: The settings of the base.
        read: Gives the parsed manifest file of a blob.
        evidence: Tells why a record cannot be read.
    """
    layout = policy.layout
    for change in sorted(difference.landing.changes, key=lambda change: change.path):
        place = layout.locate(change.path)
        if change.new and layout.is_stray(change.path):
            message = f"this is not a registry file, and {layout.root}/ holds nothing else"
            yield Fault("stray-file", change.path, message, fix=f"keep it outside of {layout.root}/")
        if place is None:
            continue
        restore = (
            f"git checkout {difference.base[:12]} -- {pathspec(change.path)}" if PLAIN.fullmatch(change.path) else ""
        )
        if place.kind in _FIXED:
            yield from _find_rewrite(change, place, timeline, restore)
        if change.new is None:
            continue
        if place.kind is PathKind.STAGE:
            yield from _find_unreadable("stage", change.path, _attempt(read, change.path, change.new), restore)
        elif place.kind is PathKind.RECORD:
            yield from _find_unreadable("record", change.path, evidence.fault(change.path, change.new), "")
            yield from _find_bad_name(change.path, place, timeline, policy)


def line_in(error: DataError) -> int | None:
    """Returns the line that an error names, if any."""
    line = error.details.get("line")
    return line if isinstance(line, int) else None


_FIXED = {PathKind.RECORD: "a record", PathKind.FILE_LIST: "a file list", PathKind.APPROVAL: "an approval"}


def _find_rewrite(change: FileChange, place: Place, timeline: Timeline, restore: str) -> Iterator[Fault]:
    what, slug = _FIXED[place.kind], place.kind.value.replace(" ", "-")
    if change.old is not None and change.new is not None:
        message = f"{what} is written once, but this changes an existing one"
        yield Fault(f"{slug}-changed", change.path, message, fix=restore)
    elif change.new is None and place.kind is not PathKind.APPROVAL:
        code = "record-deleted" if place.kind is PathKind.RECORD else "file-list-changed"
        yield Fault(code, change.path, f"{what} is kept for ever, but this deletes one", fix=restore)
    elif change.new is not None and place.version is not None:
        key = (place.model, place.version)
        if place.kind is PathKind.RECORD and key in timeline.appearances:
            message = f"{place.model} {place.version} existed once, and a version number is never used again"
            yield Fault("record-changed", change.path, message, fix="register it under the next number")
        elif place.kind is PathKind.FILE_LIST and key in timeline.records:
            message = f"a file list comes with its record, but {place.model} {place.version} was registered without one"
            yield Fault("file-list-changed", change.path, message, fix=f"git rm -- {pathspec(change.path)}")


def _find_unreadable(kind: str, path: str, error: DataError | None, restore: str) -> Iterator[Fault]:
    if error is not None:
        yield Fault(f"unreadable-{kind}", path, error.message, line_in(error), error.hint or restore)


def _find_bad_name(path: str, place: Place, timeline: Timeline, policy: Policy) -> Iterator[Fault]:
    if any(model == place.model for model, _ in timeline.records):
        return  # rules for names came later than the model
    try:
        policy.check_name(place.model)
    except NamingError as error:
        yield Fault(error.code, path, error.message, fix=error.hint)


def _attempt(read: ManifestReader, path: str, oid: str) -> DataError | None:
    try:
        read(path, oid)
    except DataError as error:
        return error
    return None
