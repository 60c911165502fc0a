"""Faults that only the contents of files show: DVC's pointers, file lists, names beside each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from mreg.core.history.filelist import parse_file_list
from mreg.core.history.record import Record
from mreg.core.history.timeline import Timeline
from mreg.core.layout import DVC_FILE, Layout, PathKind
from mreg.core.names import ModelName, avoid_folder_clash, find_folder_clash
from mreg.core.review.cases import Evidence
from mreg.core.review.difference import Difference
from mreg.core.review.reviewed import Fault
from mreg.errors import DataError
from mreg.registry.reading.seals import dvc_entry, pointer_path
from mreg.stores.dvc_files.dvc_yaml import find_artifact
from mreg.stores.dvc_files.pointer import format_pointer
from mreg.stores.git.repository import GitRepository

__all__ = ["find_content_faults"]

_FIX = "let mreg register write them: mreg register MODEL PATH --branch NAME"


def find_content_faults(
    repo: GitRepository, difference: Difference, timeline: Timeline, layout: Layout, evidence: Evidence
) -> list[Fault]:
    """Returns what is wrong with the files of registrations; a few Git calls, and none where nothing is registered.

    Args:
        repo: Where the files are.
        difference: What comes.
        timeline: The history up to the base.
        layout: Where the registry's files are.
        evidence: Reads records.
    """
    return list(_Contents(repo, difference, timeline, layout, evidence).find())


class _Contents(Struct):
    repo: GitRepository
    difference: Difference
    timeline: Timeline
    layout: Layout
    evidence: Evidence

    def find(self) -> Iterator[Fault]:
        new = dict(self._registered())
        touched = {
            place.model for change, place in self.difference.of_kind(self.layout, PathKind.POINTER) if change.new
        }
        by_model: dict[ModelName, list[Record]] = {}
        for model in sorted({*touched, *(record.model for record in new.values())}):
            found = [record for record in new.values() if record.model == model]
            by_model[model] = [*found, *self._newest(model, found)]
        yield from self._find_lists(new)
        yield from self._find_pointers({model: records for model, records in by_model.items() if records})
        yield from self._find_clashes()

    def _registered(self) -> Iterator[tuple[str, Record]]:
        for change, place in self.difference.of_kind(self.layout, PathKind.RECORD):
            if change.old is None and change.new and place.version:
                record = self.evidence.record(place.model, place.version, change.new)
                if record and not record.adopted:
                    yield change.path, record

    def _newest(self, model: ModelName, new: Iterable[Record]) -> Iterator[Record]:
        known = {version: oid for (name, version), oid in self.timeline.records.items() if name == model}
        newest = max(known, default=None)
        if newest is not None and all(newest > record.version for record in new):
            record = self.evidence.record(model, newest, known[newest])
            if record and not record.adopted:
                yield record

    def _find_lists(self, new: Mapping[str, Record]) -> Iterator[Fault]:
        oids = {change.path: change.new for change, _ in self.difference.of_kind(self.layout, PathKind.FILE_LIST)}
        wanted = {path: self.layout.file_list(record.model, record.version) for path, record in new.items()}
        there = [path for path in wanted.values() if oids.get(path)]
        contents = dict(zip(there, self.repo.read([oids[path] or "" for path in there]), strict=True))
        for place, record in new.items():
            path, is_directory = wanted[place], record.artifact.files is not None
            data = contents.get(path)
            if is_directory and data is None:
                message = f"{record.model} {record.version} is a directory, and the list of its files is not there"
                yield Fault("file-list-missing", place, message, fix=_FIX)
            elif data is not None and not _is_list_of(data, path, record):
                message = f"it is not the list that the record of {record.model} {record.version} names by its hash"
                yield Fault("file-list-differs", path, message, fix=_FIX)

    def _find_pointers(self, by_model: Mapping[ModelName, list[Record]]) -> Iterator[Fault]:
        if not by_model:
            return
        head = self.difference.landing.oid
        places = [pointer_path(self.layout, record) for records in by_model.values() for record in records]
        dvc_yaml, *found = self.repo.read([f"{head}:{path}" for path in (DVC_FILE, *places)])
        pointers = dict(zip(places, found, strict=True))
        for model, records in by_model.items():
            path = pointer_path(self.layout, records[0])
            if path in self.difference.conflicts:
                continue
            fits = [
                each
                for each in records
                if pointers[pointer_path(self.layout, each)] == format_pointer(each.artifact).encode()
            ]
            if not fits:
                message = f"it is not the pointer of {model} {records[0].version}: DVC and GTO would see other bytes"
                yield Fault("pointer-differs", path, message, fix=_FIX)
            elif find_artifact(dvc_yaml, model).get("path") not in {
                dvc_entry(self.layout, each)["path"] for each in fits
            }:
                entry = dvc_entry(self.layout, fits[0])["path"]
                message = f"artifacts: {model}: path: is not {entry}: DVC and GTO would not find {model}"
                yield Fault("pointer-differs", DVC_FILE, message, fix=_FIX)

    def _find_clashes(self) -> Iterator[Fault]:
        known = {model for model, _ in self.timeline.records}
        added = {
            place.model: change.path
            for change, place in self.difference.of_kind(self.layout, PathKind.RECORD)
            if change.old is None and change.new and place.model not in known
        }
        others = self._neighbours(list(added)) if added else set()
        for model, path in added.items():
            clash = find_folder_clash(model, sorted({*others, *added} - {model}))
            if clash:
                message = f"{model} cannot be a model beside {clash}: one would be a folder of the other"
                near = avoid_folder_clash(model, {*others, *added} - {model})
                yield Fault("bad-name", path, message, fix=f"choose another name{f': {near}' if near else ''}")

    def _neighbours(self, models: Iterable[ModelName]) -> set[str]:
        """Returns the models of the base in folders above and below some."""
        base, models = self.difference.base, list(models)
        above = {name[:at] for name in models for at, char in enumerate(name) if char == "/"}
        folders = [f"{base}:{self.layout.root}/{name}/versions" for name in sorted(above)]
        found = {name for name, oid in zip(sorted(above), self.repo.resolve(folders), strict=True) if oid}
        for file in self.repo.files(base, [self.layout.model(model) for model in models]):
            place = self.layout.locate(file.path)
            if place and place.kind is PathKind.RECORD:
                found.add(place.model)
        return found


def _is_list_of(data: bytes, path: str, record: Record) -> bool:
    try:
        parse_file_list(data, path)
    except DataError:
        return False
    return not record.artifact.sha256 or hashlib.sha256(data).hexdigest() == record.artifact.sha256
