"""What ``cache`` answers: the versions in a machine's serving cache, and which of them go."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from mreg.core.storage.trimming import Kept

__all__ = ["CacheReport", "CachedVersion"]


class CachedVersion(Struct, frozen=True):
    """One version of a registry whose bytes are here."""

    model: str
    version: str
    repo: str
    """The registry's URL, without a secret."""
    md5: str
    """DVC's name of the artifact; versions with the same bytes have the same."""
    objects: int
    size: int
    """Bytes of these."""
    used: datetime
    """When it was last put in place, or replaced there."""
    kept: Kept | None
    """Why it stays; ``None`` where it goes."""
    last_for: tuple[str, ...]
    """The stages for which it was placed last; ``latest`` and the model's name for what was asked for so."""


class CacheReport(Struct, frozen=True):
    """What is there, and what of it went, or with ``dry_run`` would."""

    place: str
    """The cache's folder."""
    limit: int | None
    """Bytes that may stay; ``None`` for all."""
    limit_from: str
    """What set it."""
    size: int
    """Bytes that were there, each once."""
    freed: int
    """Bytes that go."""
    objects: int
    """How many objects go."""
    versions: tuple[CachedVersion, ...]
    """Last used first."""
    others: int
    """Bytes that belong to no version that is known here."""
    dry_run: bool
    notices: tuple[str, ...] = ()
