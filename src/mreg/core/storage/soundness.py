"""What ``fsck`` answers: the versions whose bytes are missing or changed, and what mends them."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from mreg.core.names import ModelName, Version
from mreg.core.storage.objects import FaultKind

__all__ = ["ByteFault", "Depth", "Soundness", "VersionFault"]


class Depth(str, Enum):
    """How much was looked at."""

    LISTED = "listed"
    """That objects are there, their sizes, and what the store says of their bytes."""
    READ = "read"
    """Every byte was read, and its SHA-256 compared with the record."""


class ByteFault(Struct, frozen=True):
    """One object that is not as it should be."""

    kind: FaultKind
    md5: str
    """DVC's name of the object; empty where the list of the directory is nowhere, and so its files have no name."""
    path: str
    """Of the file in its directory; the artifact's name where that is one file, or where the list is meant."""
    has_copy: bool
    """True where a good copy is on the other side: in the cache for the remote, on the remote for the cache."""


class VersionFault(Struct, frozen=True):
    """One version that cannot be pulled from there."""

    model: ModelName
    version: Version
    objects: int
    """How many it is made of, as far as is known."""
    size: int
    """Bytes of the artifact."""
    faults: tuple[ByteFault, ...]

    @property
    def is_mendable(self) -> bool:
        """True where a good copy of all that is wrong is on the other side."""
        return all(fault.has_copy for fault in self.faults)


class Soundness(Struct, frozen=True, repr_omit_defaults=True):
    """Whether the bytes of versions are where they should be."""

    place: str
    """The cache's folder, or the remote's URL."""
    remote: str
    """The remote's name; empty for the cache."""
    depth: Depth
    versions: int
    """How many were looked at."""
    objects: int
    """How many objects they are made of, each once."""
    size: int
    """Bytes of these."""
    faults: tuple[VersionFault, ...] = ()
    """What is wrong still, by model and number."""
    repaired: int = 0
    """Objects that were put right."""
    deleted: int = 0
    """Versions whose bytes were given up: not looked at."""
    absent: int = 0
    """Versions that are not in this cache, or not whole, and that the remote is there for: no faults."""
    untracked: int = 0
    """Versions adopted from GTO of whose bytes DVC knew nothing: no faults."""
    notices: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    """The models and selectors that were asked for; none where all were."""

    @property
    def ok(self) -> bool:
        """True where nothing is wrong any more."""
        return not self.faults
