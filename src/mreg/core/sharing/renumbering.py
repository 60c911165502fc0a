"""Renumbering: versions registered here whose number others have taken get the next one, before anything is joined.

Rules:
    * A version is renumbered with all that names it here: its file list, stages, marks, messages.
    * What somebody signed, and an approval, stays as it is; so its version keeps its number, and is a conflict.
    * Bytes that others registered under the same number are no new version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.timeline import FileChange
from mreg.core.layout import Layout, PathKind, Place
from mreg.core.names import ARCHIVED, ModelName, Version
from mreg.core.sharing.joints import Contents, Local

__all__ = ["Renamed", "rename_in", "renumber"]

Names = Mapping[Version, Version]


class Renamed(Struct, frozen=True):
    """Commits with other numbers in them."""

    locals_: tuple[Local, ...]
    versions: Mapping[ModelName, Names] = field(default_factory=dict)
    """The new number of each version, by model."""


def renumber(locals_: Sequence[Local], there: Mapping[str, str], layout: Layout, contents: Contents) -> Renamed:
    """Returns commits in which no version has a number that the base has taken, as far as that can be.

    Args:
        locals_: The commits, oldest first.
        there: The blobs of the registry's files in the base, by path.
        layout: Where the registry's files are.
        contents: Reads and makes blobs.
    """
    wanted = dict(_find_taken(locals_, there, layout, contents))
    while wanted:
        names = _choose(wanted, locals_, there, layout)
        renamer = _Renamer(layout, contents, names)
        found = tuple(replace(each, commit=replace(each.commit, changes=renamer.run(each))) for each in locals_)
        if not renamer.stuck:
            return Renamed(found, names)
        wanted = {key: path for key, path in wanted.items() if key not in renamer.stuck}
    return Renamed(tuple(locals_))


def rename_in(text: str, names: Names) -> str:
    """Returns a message with the new numbers."""
    for old, new in names.items():
        text = re.sub(rf"(?<![\w.+-]){re.escape(str(old))}(?![\w+-]|\.\w)", str(new), text)
    return text


def _find_taken(
    locals_: Sequence[Local], there: Mapping[str, str], layout: Layout, contents: Contents
) -> Iterator[tuple[tuple[ModelName, Version], str]]:
    for place, change in _places(locals_, layout):
        taken = there.get(change.path)
        is_new = place.kind is PathKind.RECORD and change.old is None and change.new is not None
        if not (is_new and place.version and change.new) or taken in (None, change.new):
            continue
        if not contents.same_bytes(change.path, change.new, taken):
            yield (place.model, place.version), change.path


def _choose(
    wanted: Mapping[tuple[ModelName, Version], str],
    locals_: Sequence[Local],
    there: Mapping[str, str],
    layout: Layout,
) -> dict[ModelName, dict[Version, Version]]:
    found = [layout.locate(path) for path in there] + [place for place, _ in _places(locals_, layout)]
    known: dict[ModelName, Version] = {}
    for place in found:
        if place and place.kind is PathKind.RECORD and place.version:
            known[place.model] = max(known.get(place.model, place.version), place.version)
    names: dict[ModelName, dict[Version, Version]] = {}
    for model, version in sorted(wanted):
        known[model] = names.setdefault(model, {})[version] = Version(known[model].major + 1)
    return names


def _places(locals_: Sequence[Local], layout: Layout) -> Iterator[tuple[Place, FileChange]]:
    for local in locals_:
        for change in local.commit.changes:
            place = layout.locate(change.path)
            if place:
                yield place, change


class _Renamer(Struct):
    layout: Layout
    contents: Contents
    names: Mapping[ModelName, Names]
    stuck: set[tuple[ModelName, Version]] = field(default_factory=set)
    """Versions that something names which cannot be written anew."""

    def run(self, local: Local) -> tuple[FileChange, ...]:
        """Returns the changes of a commit with the new numbers in them."""
        return tuple(self._rename(change) for change in local.commit.changes)

    def _rename(self, change: FileChange) -> FileChange:
        place = self.layout.locate(change.path)
        names = self.names.get(place.model) if place else None
        if place is None or not names:
            return change
        if place.kind is PathKind.STAGE:
            old, new = (self._manifest(change.path, place, oid, names) for oid in (change.old, change.new))
            return replace(change, old=old, new=new)
        version = place.version
        if version is None or version not in names:
            return change
        if place.kind is PathKind.FILE_LIST:
            return replace(change, path=self.layout.file_list(place.model, names[version]))
        if place.kind is PathKind.RECORD and change.new and change.old is None:
            path = self.layout.record(place.model, names[version])
            oid = self.contents.renumbered(change.path, change.new, names)
            if oid is not None:
                return replace(change, path=path, new=oid)
        self.stuck.add((place.model, version))
        return change

    def _manifest(self, path: str, place: Place, oid: str | None, names: Names) -> str | None:
        if oid is None:
            return None
        if place.stage == ARCHIVED:
            marks = self.contents.marks(path, oid) or {}
            if not marks.keys() & names.keys():
                return oid
            return self.contents.store_marks({names.get(version, version): mark for version, mark in marks.items()})
        entry = self.contents.entry(path, oid)
        named = {entry.version, entry.replaces} & names.keys() if entry else set()
        if not named:
            return oid
        found = self.contents.renumbered(path, oid, names)
        if found is None:
            self.stuck.update((place.model, version) for version in named if version)
        return found or oid
