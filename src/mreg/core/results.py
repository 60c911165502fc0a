"""What the registry answers: frozen values that the API returns and ``render`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from mreg.core.history.manifest import ArchivedMark
from mreg.core.history.record import Record, show_metrics
from mreg.core.history.timeline import Finding, Transition
from mreg.core.names import ModelName, StageName, Version, parse_version
from mreg.core.packed import Packed

if TYPE_CHECKING:
    from pathlib import Path

    # Only a writer's receipt has them: no reader waits for the gates.
    from mreg.core.review.gates import GateFinding
    from mreg.core.writing.plan import Plan
else:
    Path = GateFinding = Plan = Any  # for `help`, which evaluates the types of fields

__all__ = [
    "Check",
    "Diagnosis",
    "History",
    "LinkMode",
    "ModelList",
    "ModelSummary",
    "Notification",
    "Pulled",
    "Receipt",
    "SyncReport",
    "VersionDetails",
    "VersionList",
    "VersionStream",
    "VersionSummary",
]


class ModelSummary(Struct, frozen=True):
    """One line of ``list``."""

    model: ModelName
    latest: Version | None
    versions: int
    """How many are registered, archived ones included."""
    stages: Mapping[StageName, Version | None]
    """Every declared stage in its order, then undeclared ones that hold a version."""
    archived: int
    holds: tuple[StageName, ...] = ()
    """Stages that no automatic promotion may change."""
    unreadable: tuple[StageName, ...] = ()
    """Stages of which nobody knows what they hold, ``archived`` among them: their files cannot be read."""

    def __repr__(self) -> str:
        """Returns how many versions there are, and what the stages hold."""
        held = "".join(f", {stage} {version}" for stage, version in self.stages.items() if version)
        return f"<ModelSummary {self.model}: {_count(self.versions, 'version')}{held}>"


class ModelList(Struct, frozen=True):
    """All models at one commit."""

    models: tuple[ModelSummary, ...]
    """Sorted by name."""
    commit: str | None
    findings: tuple[Finding, ...] = ()

    def __iter__(self) -> Iterator[ModelSummary]:
        """Yields the models."""
        return iter(self.models)

    def __len__(self) -> int:
        """Returns the number of models."""
        return len(self.models)

    def __contains__(self, item: object) -> bool:
        """Returns whether a model is there, also by its name."""
        return any(item in (each.model, each) for each in self.models)

    def __repr__(self) -> str:
        """Returns how many there are, and where that was read."""
        return f"<ModelList: {_count(len(self), 'model')}{_at(self.commit)}>"


class VersionSummary(Struct, frozen=True):
    """One line of ``list MODEL``, or of ``list --versions``."""

    model: ModelName
    version: Version
    stages: tuple[StageName, ...]
    archived: bool
    record: Record | None
    """``None`` where the record cannot be read."""

    def __repr__(self) -> str:
        """Returns where it is, and its first metrics."""
        return f"<VersionSummary {_name(self.model, self.version, self.stages)}{show_metrics(self.record)}>"


class VersionList(Struct, frozen=True):
    """All versions, of one model or of all, or those in one stage, at one commit."""

    model: ModelName | None
    """``None`` where no model was named."""
    versions: Sequence[VersionSummary]
    """By model, newest first."""
    commit: str | None
    findings: tuple[Finding, ...] = ()

    def __iter__(self) -> Iterator[VersionSummary]:
        """Yields the versions."""
        return iter(self.versions)

    def __len__(self) -> int:
        """Returns the number of versions."""
        return len(self.versions)

    def __contains__(self, item: object) -> bool:
        """Returns whether a version is there, also by its number, which may be text."""
        wanted = parse_version(item) if isinstance(item, str) else item
        return any(wanted in (each.version, each) for each in self.versions)

    def __repr__(self) -> str:
        """Returns how many there are, and where that was read."""
        of = f" of {self.model}" if self.model else ""
        return f"<VersionList{of}: {_count(len(self), 'version')}{_at(self.commit)}>"


class VersionStream(Struct, frozen=True):
    """The same, read as it is taken: the records of a large registry are never there as a whole."""

    model: ModelName | None
    versions: Iterator[VersionSummary]
    """By model, newest first."""
    commit: str | None
    findings: list[Finding]
    """Complete once all versions were taken."""

    def __iter__(self) -> Iterator[VersionSummary]:
        """Yields the versions that were not taken yet."""
        return self.versions

    def pack(self) -> VersionList:
        """Returns what is left of it, to be read as often as one likes: many versions are kept packed."""
        versions = Packed(self.versions)
        return VersionList(self.model, versions, self.commit, tuple(self.findings))


class VersionDetails(Struct, frozen=True):
    """All that is known of one version."""

    record: Record
    stages: tuple[StageName, ...]
    """The stages that hold it now, sorted."""
    archived: ArchivedMark | None
    commit: str | None
    """The commit on the registry branch that added the record; ``None`` where the clone lacks it."""
    tag: str | None
    """The version's tag where it exists in this clone."""
    registered_by: str
    """E-mail address of that commit's author; empty where the commit is unknown."""
    registered_at: datetime | None
    transitions: tuple[Transition, ...]
    """Every change of a stage to or from this version, newest first."""
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Returns where it is, and its first metrics."""
        name = _name(self.record.model, self.record.version, self.stages)
        return f"<VersionDetails {name}{show_metrics(self.record)}>"


class History(Struct, frozen=True):
    """Transitions, newest first."""

    transitions: tuple[Transition, ...]
    """Order is that of the first-parent history; times are UTC and not monotonic."""
    findings: tuple[Finding, ...] = ()
    """Commits whose stage files cannot be read: their transitions are missing here."""

    def __iter__(self) -> Iterator[Transition]:
        """Yields the transitions."""
        return iter(self.transitions)

    def __len__(self) -> int:
        """Returns the number of transitions."""
        return len(self.transitions)

    def __repr__(self) -> str:
        """Returns how many there are."""
        return f"<History: {_count(len(self), 'transition')}>"


class Receipt(Struct, frozen=True):
    """What a writer did, or with ``dry_run`` would do."""

    plan: Plan
    branch: str
    """Where the commit was made."""
    commit: str | None
    """``None`` where nothing was committed."""
    tags: tuple[str, ...] = ()
    """Names of the tags that were made."""
    dry_run: bool = False
    notices: tuple[str, ...] = ()
    record: Record | None = None
    """The new version's record, of ``register``."""
    adopted: int = 0
    """Versions and stage changes read from GTO's tags, of ``init``."""
    findings: tuple[GateFinding, ...] = ()
    """What the gates say; on another branch than the registry's also what would refuse it there."""
    remote: str = ""
    """Where it was pushed; empty where it was not."""

    @property
    def version(self) -> Version | None:
        """The version that this is about: of ``register`` the new one; ``None`` where it is about none."""
        return self.plan.version

    @property
    def changed(self) -> bool:
        """True where the registry changed, or would."""
        return self.plan.changed or self.adopted > 0

    def __repr__(self) -> str:
        """Returns what was done, or would be."""
        said = [self.plan.subject or "nothing to do", f"commit {self.commit[:12]}" if self.commit else "", *self.tags]
        return f"<Receipt: {', '.join([*filter(None, said), *(['dry run'] if self.dry_run else [])])}>"


class LinkMode(str, Enum):
    """How the bytes come from the cache to the destination."""

    AUTO = "auto"
    """A copy that shares its blocks with the cache where the file system can (reflink), else a plain copy."""
    COPY = "copy"
    HARDLINK = "hardlink"
    """The cache's own file: no space, read-only, and what changes it changes the cache."""
    SYMLINK = "symlink"


class Pulled(Struct, frozen=True):
    """Where ``pull`` put a version's bytes."""

    model: ModelName
    version: Version
    path: Path
    changed: bool
    """False where the right bytes were there already."""
    sha256: str
    size: int
    """Bytes."""
    notices: tuple[str, ...] = ()
    commit: str = ""
    """The registry commit that said so."""
    branch: str = ""
    """The registry branch."""
    repo: str = ""
    """URL of the registry, without a secret; empty where a clone was asked."""
    stages: tuple[StageName, ...] = ()
    """The stages that hold the version there, sorted."""
    record: Record | None = None
    """All that was registered of the version."""
    committed_at: datetime | None = None
    """When the registry commit says that it was made; ``None`` where a clone was asked."""

    def __repr__(self) -> str:
        """Returns what is where."""
        return f"<Pulled {_name(self.model, self.version, self.stages)}: {str(self.path)!r}>"


class Notification(Struct, frozen=True, repr_omit_defaults=True):
    """One sink that was told of one transition, or could not be."""

    sink: str
    transition: Transition
    error: str = ""
    """Why it could not be told; empty where it was."""
    hint: str = ""
    """What mends it, and tells it once more."""

    @property
    def ok(self) -> bool:
        """True where the sink took it."""
        return not self.error


class SyncReport(Struct, frozen=True, repr_omit_defaults=True):
    """The tags that the history calls for and this clone lacked."""

    created: tuple[str, ...]
    """Oldest first; with ``dry_run`` those that would be made."""
    present: int
    """Tags that were there already."""
    transitions: tuple[Transition, ...]
    """The transitions whose tags were made, oldest first; in a job of CI that pushes, those that none had before."""
    findings: tuple[Finding, ...]
    """Tags that are not what the history says, files that cannot be read, what kept a stage from a version."""
    dry_run: bool = False
    promotions: tuple[Receipt, ...] = ()
    """Automatic ones; their tags and transitions are among those above."""
    notifications: tuple[Notification, ...] = ()
    remote: str = ""
    """Where it was pushed; empty where it was not."""
    commit: str | None = None
    """Tip of the registry branch afterwards."""
    notices: tuple[str, ...] = ()


class Check(Struct, frozen=True):
    """One thing that ``doctor`` looked at."""

    name: str
    ok: bool
    message: str
    fix: str = ""
    """The command that mends it."""


class Diagnosis(Struct, frozen=True, repr_omit_defaults=True):
    """All that ``doctor`` looked at."""

    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """True where nothing is wrong."""
        return all(check.ok for check in self.checks)


def _name(model: ModelName, version: Version, stages: tuple[StageName, ...]) -> str:
    return f"{model} {version}{' in ' + ', '.join(stages) if stages else ''}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _at(commit: str | None) -> str:
    return f" at {commit[:12]}" if commit else ""
