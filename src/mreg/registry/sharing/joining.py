"""Building the history that ``push`` lands: commits on top of what the remote has, out of those that were made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.manifest import ArchivedMark, Manifest, StageEntry, format_archived, format_stage
from mreg.core.history.record import Record, format_record
from mreg.core.layout import DVC_FILE, Layout, PathKind
from mreg.core.names import ModelName, Version
from mreg.core.sharing.joining import is_of_registry
from mreg.core.sharing.joints import Clash, Join, Joint, Matter, Way
from mreg.core.sharing.renumbering import rename_in
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import dvc_entry, pointer_path
from mreg.stores import yaml
from mreg.stores.dvc_files.dvc_yaml import set_artifact
from mreg.stores.dvc_files.pointer import format_pointer
from mreg.stores.git.objects import Identity, TreeEntry
from mreg.stores.git.remotes.divergence import join_files, read_signature, registry_entry
from mreg.stores.git.writing.publishing import Publisher
from mreg.stores.git.writing.trees import build_tree

__all__ = ["Builder", "Built", "StoredContents"]


class StoredContents:
    """The ``core.joining.Contents`` of one repository; new blobs go where the new commits go."""

    def __init__(self, reader: Reader, layout: Layout, publisher: Publisher) -> None:
        """Keeps where to read and to write."""
        self._reader = reader
        self._layout = layout
        self._publisher = publisher
        self._new: dict[str, bytes] = {}
        self._marks: dict[str, Mapping[Version, ArchivedMark]] = {}
        self._entries: dict[str, StageEntry] = {}
        self._records: dict[str, Record] = {}

    def entry(self, path: str, oid: str | None) -> StageEntry | None:
        """Returns what a stage file says; ``None`` where there is none, or it cannot be read."""
        if oid in self._entries:
            return self._entries[oid]
        manifest = self._manifest(path, oid) if oid else None
        return manifest.entry if manifest else None

    def marks(self, path: str, oid: str | None) -> Mapping[Version, ArchivedMark] | None:
        """Returns the archived versions; none for no file, ``None`` where it cannot be read."""
        if oid is None:
            return {}
        if oid in self._marks:
            return self._marks[oid]
        manifest = self._manifest(path, oid)
        return manifest.archived if manifest else None

    def store_marks(self, marks: Mapping[Version, ArchivedMark]) -> str:
        """Returns the blob of an ``archived.yaml``."""
        oid = self._store(yaml.dump(format_archived(marks)).encode())
        self._marks[oid] = marks
        return oid

    def pointer(self, path: str, record: str) -> tuple[str, str] | None:
        """Returns path and blob of the pointer that a record calls for; ``None`` where it calls for none."""
        found = self.record(path, record)
        if found is None or found.adopted:
            return None
        return pointer_path(self._layout, found), self._store(format_pointer(found.artifact).encode())

    def entered(self, dvc_yaml: str | None, path: str, record: str) -> str | None:
        """Returns the blob of a ``dvc.yaml`` with the entry of a record; ``None`` where it cannot be."""
        found = self.record(path, record)
        if found is None or found.adopted:
            return dvc_yaml
        try:
            data = set_artifact(self._read(dvc_yaml), found.model, dvc_entry(self._layout, found))
        except DataError:
            return None
        return self._store(data)

    def renumbered(self, path: str, oid: str, names: Mapping[Version, Version]) -> str | None:
        """Returns the blob of a record or a stage file with other numbers; ``None`` where it must stay as it is."""
        place = self._layout.locate(path)
        if place and place.kind is PathKind.RECORD:
            record = self.record(path, oid)
            if record is None or record.adopted or record.version not in names:
                return None
            named = replace(record, version=names[record.version])
            new = self._store(yaml.dump(format_record(named)).encode())
            self._records[new] = named
            return new
        entry = self.entry(path, oid)
        if entry is None or entry.signature or entry.adopted:
            return None
        version, replaces = (names.get(each, each) if each else None for each in (entry.version, entry.replaces))
        named_entry = replace(entry, version=version, replaces=replaces)
        new = self._store(yaml.dump(format_stage(named_entry)).encode())
        self._entries[new] = named_entry
        return new

    def same_bytes(self, path: str, one: str, other: str) -> bool:
        """Returns whether two records are of the same artifact."""
        ours, theirs = self.record(path, one), self.record(path, other)
        return bool(ours and theirs and ours.artifact.sha256 and ours.artifact.sha256 == theirs.artifact.sha256)

    def record(self, path: str, oid: str) -> Record | None:
        """Returns the record in a blob; ``None`` where it cannot be read."""
        if oid in self._records:
            return self._records[oid]
        (found,) = self._reader.records([(path, oid)])
        return found if isinstance(found, Record) else None

    def _manifest(self, path: str, oid: str) -> Manifest | None:
        try:
            return self._reader.manifest(path, oid)
        except DataError:
            return None

    def _store(self, data: bytes) -> str:
        oid = self._publisher.objects.add("blob", data)
        self._new[oid] = data
        return oid

    def _read(self, oid: str | None) -> bytes | None:
        if oid is None or oid in self._new:
            return self._new.get(oid or "")
        return self._reader.repo.read([oid])[0]


class Built(Struct, frozen=True):
    """The new history."""

    tip: str
    landed: Mapping[str, str] = field(default_factory=dict)
    """For each commit made here the one that brings it to the branch."""
    new: tuple[str, ...] = ()
    """The first-parent commits on top of the base, oldest first."""
    clashes: tuple[Clash, ...] = ()


class Builder(Struct):
    """Writes the commits of a join; nothing names them yet."""

    reader: Reader
    publisher: Publisher
    contents: StoredContents
    layout: Layout
    committer: Identity
    is_draft: bool
    """Sign nothing."""
    names: Mapping[ModelName, Mapping[Version, Version]] = field(default_factory=dict)
    """New numbers of versions, by model."""
    clashes: list[Clash] = field(default_factory=list)

    def run(self, join: Join, base: str) -> Built:
        """Returns the history of a join on top of a base."""
        tip, landed, new = base, {}, []
        for joint in join.joints:
            tip = joint.local.oid if joint.way is Way.KEPT else self.add(tip, joint)
            new.append(tip)
            landed.update(dict.fromkeys((each.oid for each in joint.covers), tip))
            if self.clashes:
                break
        return Built(tip, landed, tuple(new), tuple(self.clashes))

    def add(self, tip: str, joint: Joint) -> str:
        """Returns the commit of a joint on top of another."""
        repo, publisher = self.reader.repo, self.publisher
        tree = tip
        if joint.content:
            takes = self._takes(joint)
            tree, conflicts = join_files(publisher, repo, ours=tip, content=joint.content, is_taken=takes)
            self.clashes += [Clash(Matter.CODE, path, joint.local.commit) for path in conflicts]
            publisher.flush()
        entries: dict[str, TreeEntry | None] = {path: registry_entry(oid) for path, oid in joint.files.items()}
        data = repo.resolve([f"{tree}:{DVC_FILE}"])[0] if joint.records else None
        for path, record in joint.records:
            data = self.contents.entered(data, path, record) or data
            entries[DVC_FILE] = registry_entry(data)
        tree = build_tree(repo, publisher.objects, tree, entries)
        says = read_signature(repo, joint.local.oid)
        message = self._rename(joint, says.message) if joint.files or joint.local.others else _merge_message(joint)
        oid = publisher.join(
            (tip, *joint.parents),
            tree,
            author=says.author,
            committer=self.committer,
            message=message,
            is_draft=self.is_draft,
        )
        publisher.flush()
        return oid

    def _rename(self, joint: Joint, message: str) -> str:
        """Returns a message with the new numbers of the model that it is about."""
        places = [self.layout.locate(path) for path in joint.files]
        for model in {place.model for place in places if place} & self.names.keys():
            message = rename_in(message, self.names[model])
        return message

    def _takes(self, joint: Joint) -> Callable[[str], bool]:
        def is_taken(path: str) -> bool:
            return joint.is_dvc_yaml_edited if path == DVC_FILE else not is_of_registry(path, self.layout)

        return is_taken


def _merge_message(joint: Joint) -> str:
    """Returns the message of a merge that changes nothing of the registry."""
    subjects = [f"{each.oid[:12]} {each.commit.subject}" for each in joint.covers]
    if len(subjects) == 1:
        return f"Merge {subjects[0]}"
    return f"Merge {len(subjects)} commits up to {subjects[-1]}\n\n" + "\n".join(f"- {each}" for each in subjects)
