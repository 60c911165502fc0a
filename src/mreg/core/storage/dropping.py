"""Giving up the bytes of versions: what is committed, and which objects nothing else needs.

Rules:
    * A version whose bytes are given up is archived, and its mark says who gave them up, when and why; the record, the
      tag and the history stay.
    * An object goes only where a version that was given up names it, and nothing that is kept has the same MD5 or the
      same SHA-256: objects that no version names are never touched.
    * The list of a directory goes after its files: whoever is stopped between finds in it what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.manifest import ArchivedMark, Deletion, format_archived
from mreg.core.history.state import ModelState
from mreg.core.history.timeline import Action
from mreg.core.layout import Layout
from mreg.core.names import ARCHIVED, Version
from mreg.core.storage.objects import StoredObject, VersionBytes
from mreg.core.storage.retention import Key
from mreg.core.writing.plan import Plan, PlannedChange, Statement

__all__ = ["Needs", "find_garbage", "plan_drop"]

_NAMED = 3
"""Versions that the subject of a commit names; more are counted."""


class Needs(Struct, frozen=True):
    """What is needed by something that is kept: in either hash, since a record may know only one."""

    md5s: Collection[str] = frozenset()
    sha256s: Collection[str] = frozenset()

    def have(self, item: StoredObject) -> bool:
        """Returns whether an object is needed."""
        return item.md5 in self.md5s or (item.sha256 != "" and item.sha256 in self.sha256s)

    def cover(self, version: VersionBytes) -> bool:
        """Returns whether all objects of a version are needed."""
        return all(map(self.have, version.objects))


def find_garbage(dropped: Iterable[VersionBytes], needs: Needs) -> dict[Key, tuple[StoredObject, ...]]:
    """Returns the objects that may go, each with the first version that names it, lists after files."""
    taken: set[str] = set()
    found: dict[Key, tuple[StoredObject, ...]] = {}
    for each in dropped:
        items = []
        for item in sorted(each.objects, key=lambda item: item.is_list):
            if item.md5 not in taken and not needs.have(item):
                taken.add(item.md5)
                items.append(item)
        found[each.key] = tuple(items)
    return found


def plan_drop(layout: Layout, state: ModelState, versions: Collection[Version], statement: Statement) -> Plan:
    """Returns the plan that gives up the bytes of some versions of a model.

    Raises:
        DataError: The archive or a stage file cannot be read.
    """
    state.require_readable(*state.unreadable)
    marks = dict(state.archived)
    deletion = Deletion(statement.reason, statement.by, statement.at)
    changes = []
    for version in sorted(versions):
        mark = marks.get(version)
        if mark is None:
            changes.append(PlannedChange(ARCHIVED, Action.ARCHIVE, None, version))
        marks[version] = replace(mark or ArchivedMark(statement.reason, statement.by, statement.at), deletion=deletion)
    if marks == state.archived:
        return Plan(state.model)
    named = ", ".join(map(str, sorted(versions))) if len(versions) <= _NAMED else f"{len(versions)} versions"
    trailers = [("Mreg-Action", "gc"), ("Mreg-Model", str(state.model))]
    return Plan(
        model=state.model,
        stage=ARCHIVED,
        subject=f"Give up the bytes of {state.model} {named}",
        body="\n".join(filter(None, (statement.reason, "" if len(versions) <= _NAMED else _list(versions)))),
        trailers=tuple(trailers),
        documents={layout.stage(state.model, ARCHIVED): format_archived(marks)},
        changes=tuple(changes),
    )


def _list(versions: Iterable[Version]) -> str:
    return "\n".join(("", *map(str, sorted(versions))))
