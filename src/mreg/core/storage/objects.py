"""The objects that versions' bytes are made of, and what can be wrong with one.

Rules:
    * A size or a SHA-256 that the record does not say is not asked for.
    * What a store says of an object's MD5 without reading it is a suspicion, not a fault: encryption can make it
      something else.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from mreg.core.names import ModelName, Version

__all__ = ["FaultKind", "Found", "StoredObject", "VersionBytes", "find_fault"]


class FaultKind(str, Enum):
    """What is wrong with an object."""

    MISSING = "missing"
    SIZE = "size"
    """It has another size than the record says."""
    CHANGED = "changed"
    """Its bytes are not those of the record."""


class Found(Struct, frozen=True):
    """What a store says of one object."""

    size: int
    md5: str = ""
    """Of its bytes, where the store tells or they were read."""
    sha256: str = ""
    """Where the bytes were read."""


class StoredObject(Struct, frozen=True):
    """One object of DVC's."""

    md5: str
    """DVC's name of it; ends in ``.dir`` for the list of a directory."""
    size: int | None
    """Bytes; ``None`` where the record does not say, as of a list."""
    sha256: str = ""
    """Empty where the record does not say."""
    path: str = ""
    """Of the file in its directory; empty for an artifact that is one file, and for a list."""

    @property
    def is_list(self) -> bool:
        """True for the list of a directory."""
        return self.md5.endswith(".dir")


class VersionBytes(Struct, frozen=True):
    """What one version's bytes are made of."""

    model: ModelName
    version: Version
    objects: tuple[StoredObject, ...]
    is_listed: bool = True
    """False where the list of the directory is nowhere: which objects its files are is then not known."""

    @property
    def key(self) -> tuple[ModelName, Version]:
        """Names the version."""
        return self.model, self.version


def find_fault(item: StoredObject, found: Found | None) -> FaultKind | None:
    """Returns what is wrong with an object, as far as is known of it."""
    if found is None:
        return FaultKind.MISSING
    if item.size is not None and found.size != item.size:
        return FaultKind.SIZE
    name = item.md5.removesuffix(".dir")
    is_other = (found.md5 and found.md5 != name) or (
        found.sha256 and item.sha256 and not item.is_list and found.sha256 != item.sha256
    )
    return FaultKind.CHANGED if is_other else None
