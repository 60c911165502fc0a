"""The state of a registry at a commit, out of the listing of its files and what its stage files say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from msgspec import Struct

from mreg.core.history.manifest import ArchivedMark, Manifest, StageEntry
from mreg.core.history.state import ModelState, RegistryState
from mreg.core.history.timeline import Finding
from mreg.core.layout import Layout, PathKind, read_version_file
from mreg.core.names import ModelName, StageName, Version
from mreg.core.settings.policy import Policy
from mreg.errors import DataError
from mreg.stores.git.listing import SUBMODULE, list_folders
from mreg.stores.git.repository import GitRepository

__all__ = ["ReadManifests", "read_state"]

ReadManifests = Callable[[Sequence[tuple[str, str]]], Iterable["Manifest | DataError"]]
"""Gives what stage files say (path, object id), or why one cannot be read."""


def read_state(
    repo: GitRepository, commit: str, policy: Policy, models: Sequence[ModelName], read_manifests: ReadManifests
) -> RegistryState:
    """Returns what the registry says at a commit; one Git call, and those of ``read_manifests``.

    Args:
        repo: Has the commit.
        commit: What to look at.
        policy: The settings that name the folder and the stages.
        models: Only these; all where empty.
        read_manifests: Is asked once, for all stage files.
    """
    layout = policy.layout
    files = _Files(layout)
    for folder, found in list_folders(repo, commit, [layout.model(model) for model in models] or [layout.root]):
        files.add(folder, found)
    stages = [each for each in files.unsettled if isinstance(each, _StageFile) and not each.is_submodule]
    said = iter(read_manifests([(each.path, each.oid) for each in stages]))
    findings: list[Finding] = []
    for each in files.unsettled:
        if isinstance(each, Finding):
            findings.append(each)
            continue
        broken = DataError(f"{each.path} is a submodule, and no file", details={"file": each.path})
        fault = each.model.add_stage(each, broken if each.is_submodule else next(said))
        if fault:
            findings.append(fault)
    states = {model: files.models[model].build() for model in sorted(files.models)}
    return RegistryState(commit, policy, states, tuple(findings))


class _StageFile(Struct, frozen=True):
    model: _Model
    stage: StageName
    path: str
    oid: str
    is_submodule: bool


class _Files:
    """What the paths of files say of the models."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.models: dict[ModelName, _Model] = {}
        self.unsettled: list[Finding | _StageFile] = []
        """What is wrong, and what is still to be read, by path."""

    def add(self, folder: str, files: Iterable[tuple[str, str, str, str]]) -> None:
        """Takes the files of one folder."""
        name = self._layout.model_of_versions(folder)
        if name is None:
            for mode, oid, _, file in files:
                self._add_file(f"{folder}/{file}" if folder else file, mode, oid)
            return
        for _, oid, _, file in files:
            found = read_version_file(file)
            if found is None:
                self._add_stray(f"{folder}/{file}")
                continue
            model = self._model(name)
            (model.records if found[0] is PathKind.RECORD else model.file_lists)[found[1]] = oid

    def _add_file(self, path: str, mode: str, oid: str) -> None:
        place = self._layout.locate(path)
        if place is None or place.kind is PathKind.STRAY:
            self._add_stray(path)
        elif place.kind is PathKind.POINTER:
            self._model(place.model).pointers.append(path)
        elif place.kind is PathKind.STAGE and place.stage:
            model = self._model(place.model)
            self.unsettled.append(_StageFile(model, place.stage, path, oid, mode == SUBMODULE))
        else:  # an approval: that there is one makes a model of its folder
            self._model(place.model)

    def _add_stray(self, path: str) -> None:
        if self._layout.is_stray(path):
            self.unsettled.append(Finding("stray-file", path, "this is not a registry file"))

    def _model(self, name: ModelName) -> _Model:
        model = self.models.get(name)
        if model is None:
            model = self.models[name] = _Model(name)
        return model


class _Model:
    def __init__(self, name: ModelName) -> None:
        self.name = name
        self.records: dict[Version, str] = {}
        self.file_lists: dict[Version, str] = {}
        self.pointers: list[str] = []
        self.entries: dict[StageName, StageEntry] = {}
        self.archived: dict[Version, ArchivedMark] = {}
        self.unreadable: dict[StageName, Finding] = {}

    def add_stage(self, file: _StageFile, said: Manifest | DataError) -> Finding | None:
        """Takes what a stage file says, or returns what is wrong with it."""
        if isinstance(said, DataError):
            finding = Finding(said.code, file.path, said.message)
            self.unreadable[file.stage] = finding
            return finding
        self.archived |= said.archived
        if said.entry:
            self.entries[file.stage] = said.entry
        return None

    def build(self) -> ModelState:
        return ModelState(
            model=self.name,
            records={version: self.records[version] for version in sorted(self.records, key=_precedence)},
            file_lists=self.file_lists,
            pointers=tuple(self.pointers),
            entries=self.entries,
            archived=self.archived,
            unreadable=self.unreadable,
        )


_precedence = attrgetter("precedence")
