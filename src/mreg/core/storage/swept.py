"""What ``gc`` answers: the versions whose bytes go, and why the others stay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from mreg.core.history.manifest import Deletion
from mreg.core.names import ModelName, Version
from mreg.core.settings.retention import Retention

__all__ = ["Sweep", "Swept"]


class Swept(Struct, frozen=True):
    """One version whose bytes go."""

    model: ModelName
    version: Version
    registered: datetime
    objects: int
    """Of its objects, those that are there and that nothing else needs."""
    size: int
    """Bytes of these."""
    deletion: Deletion | None
    """Who gave the bytes up; ``None`` where nobody did so far, or where only this clone's copy goes."""


class Sweep(Struct, frozen=True, repr_omit_defaults=True):
    """What went, or with ``dry_run`` would."""

    place: str
    """The cache's folder, or the remote's URL."""
    remote: str
    """The remote's name; empty for the cache."""
    retention: Retention
    """What is kept."""
    versions: tuple[Swept, ...]
    """By model and number; those given up before of which nothing is left are not among them."""
    kept: Mapping[str, int]
    """How many versions are kept, by why; each once."""
    dry_run: bool
    branch: str = ""
    """Where the bytes were given up for a pull request; then nothing was deleted."""
    commits: tuple[str, ...] = ()
    """The commits that gave bytes up, one a model."""
    restored: int = 0
    """Objects that someone needed meanwhile, and that were brought back from the cache."""
    lost: tuple[str, ...] = field(default=())
    """Objects that someone needed meanwhile, and that this clone's cache has not got."""
    notices: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """What is kept, in words; empty where nothing is said."""
        return str(self.retention) if self.retention.is_set else ""

    @property
    def objects(self) -> int:
        """How many objects go."""
        return sum(each.objects for each in self.versions)

    @property
    def size(self) -> int:
        """Bytes of these."""
        return sum(each.size for each in self.versions)
