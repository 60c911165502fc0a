"""What the registry says at one commit: the versions, the stages, the archived versions.

Rules:
    * It is read from the tree alone, and says nothing of how it came about (that is ``history``).
    * What cannot be read is a finding; everything else still reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.manifest import ArchivedMark, StageEntry
from mreg.core.history.timeline import Finding
from mreg.core.names import ModelName, Selector, StageName, Version
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
            known = [each for each, found in self.models.items() if found.records]
            raise NotFoundError(f"no model {name!r} is registered", hint=_nearest(name, known), details={"model": name})
        return state

    def below(self, folder: str) -> RegistryState:
        """Returns the models whose names begin with a folder: those below ``fraud`` are ``fraud/eu`` and the like.

        Raises:
            NotFoundError: There is none; the hint names the nearest folder that is.
        """
        models = {name: state for name, state in self.models.items() if name.startswith(f"{folder}/")}
        if not any(state.records for state in models.values()):
            folders = {str(each) for name in self.models for each in PurePosixPath(name).parents[:-1]}
            around = [str(each) for each in PurePosixPath(folder).parents if str(each) in folders]
            near = [*around, *get_close_matches(folder, sorted(folders), n=1)]
            hint = f"mreg list {near[0]}/" if near else "mreg list"
            raise NotFoundError(f"no model is below {folder}/", hint=hint, details={"folder": folder})
        return replace(self, models=models)

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


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?  mreg list shows all" if near else "mreg list"
