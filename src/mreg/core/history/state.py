"""What the registry says at one commit: the versions, the stages, the archived versions.

Rules:
    * It is read from the tree alone, and says nothing of how it came about (that is ``history``).
    * What cannot be read is a finding; everything else still reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.manifest import ArchivedMark, StageEntry
from mreg.core.history.timeline import Finding
from mreg.core.names import ModelName, Selector, StageName, Version
from mreg.core.nearness import find_near
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, NotFoundError

__all__ = ["ModelState", "RegistryState"]


class ModelState(Struct, frozen=True):
    """One model at one commit."""

    model: ModelName
    records: Mapping[Version, str] = field(default_factory=dict)
    """Object id of each version's record, versions ascending."""
    file_lists: Mapping[Version, str] = field(default_factory=dict)
    """Object id of the file list of each directory artifact."""
    pointers: tuple[str, ...] = ()
    """Paths of the model's DVC pointers; one, unless people left more."""
    entries: Mapping[StageName, StageEntry] = field(default_factory=dict)
    """The stage files, stages that were emptied included."""
    archived: Mapping[Version, ArchivedMark] = field(default_factory=dict)
    unreadable: Mapping[StageName, Finding] = field(default_factory=dict)
    """Stage files that cannot be read."""

    @property
    def versions(self) -> tuple[Version, ...]:
        """All versions, ascending."""
        return tuple(self.records)

    @property
    def latest(self) -> Version | None:
        """The newest version: the greatest release, or the greatest pre-release where there is no release."""
        return _newest(self.records) if self.records else None

    def holder(self, stage: StageName) -> Version | None:
        """Returns the version that a stage holds; ``None`` where it is empty.

        Raises:
            DataError: The stage file cannot be read.
        """
        self.require_readable(stage)
        entry = self.entries.get(stage)
        return entry.version if entry else None

    def require_readable(self, *stages: StageName) -> None:
        """Passes stages whose files can be read, or are not there; ``archived`` is one of them.

        Raises:
            DataError: One cannot.
        """
        for stage in stages:
            finding = self.unreadable.get(stage)
            if finding:
                raise DataError(finding.message, hint="mreg doctor", details={"file": finding.place})

    def stages_of(self, version: Version) -> tuple[StageName, ...]:
        """Returns the stages that hold a version, sorted."""
        return tuple(sorted(stage for stage, entry in self.entries.items() if entry.version == version))

    def require(self, version: Version) -> Version:
        """Returns the version if it is registered.

        Raises:
            NotFoundError: It is not.
        """
        if version not in self.records:
            newest = ", ".join(str(each) for each in self.versions[-3:][::-1]) or "none"
            raise NotFoundError(
                f"{self.model} has no version {version}",
                hint=f"mreg list {self.model}   # newest: {newest}",
                details={"model": self.model, "version": str(version)},
            )
        return version


class RegistryState(Struct, frozen=True):
    """The whole registry, or some models of it, at one commit."""

    commit: str | None
    """``None`` on a branch without commits."""
    policy: Policy
    models: Mapping[ModelName, ModelState] = field(default_factory=dict)
    """Sorted by name."""
    findings: tuple[Finding, ...] = ()

    def model(self, name: ModelName) -> ModelState:
        """Returns one model.

        Raises:
            NotFoundError: It is not registered; the hint names the nearest that is.
        """
        state = self.models.get(name)
        if state is None or not state.records:
            raise NotFoundError(f"no model {name!r} is registered", hint=self._hint(name), details={"model": name})
        return state

    def below(self, folder: str) -> RegistryState:
        """Returns the models whose names begin with a folder: those below ``fraud`` are ``fraud/eu`` and the like.

        Raises:
            NotFoundError: There is none; the hint names the model or the folder that was meant.
        """
        models = {name: state for name, state in self.models.items() if name.startswith(f"{folder}/")}
        if not any(state.records for state in models.values()):
            raise NotFoundError(f"no model is below {folder}/", hint=self._hint(folder), details={"folder": folder})
        return replace(self, models=models)

    def _hint(self, name: str) -> str:
        """Returns what shows the model, or the folder of models, that was meant by a name; else what shows all."""
        models = [str(each) for each, found in self.models.items() if found.records]
        folders = {str(folder) for model in models for folder in PurePosixPath(model).parents[:-1]}
        if name in self.policy.stages:
            return f"mreg list --stage {name}   # {name} is a stage, and a model comes first"
        around = (str(folder) for folder in PurePosixPath(name).parents)
        meant = name if name in {*models, *folders} else find_near(name, [*models, *folders])
        meant = meant or next((folder for folder in around if folder in folders), "")
        if meant in models:
            return f"mreg list {name}" if meant == name else f"did you mean {meant!r}?  mreg list shows all"
        return f"mreg list {meant}/" if meant else "mreg list"

    def select(self, selector: Selector) -> Version:
        """Returns the version that a selector names.

        Raises:
            NotFoundError: The model, the version or the stage is not there, or the stage is empty.
            DataError: The stage file cannot be read.
        """
        state = self.model(selector.model)
        if selector.version is not None:
            return state.require(selector.version)
        if selector.stage is None:
            return _newest(state.records)
        version = state.holder(selector.stage)
        if version is None:
            self.policy.stage(selector.stage)
            raise NotFoundError(
                f"{selector.model} has no version in {selector.stage}",
                hint=f"mreg promote {selector.model}@{state.latest} {selector.stage} --reason 'why'",
                details={"model": selector.model, "stage": selector.stage},
            )
        return state.require(version)


def _newest(versions: Iterable[Version]) -> Version:
    newest_first = list(versions)[::-1]
    return next((version for version in newest_first if not version.prerelease), newest_first[0])
