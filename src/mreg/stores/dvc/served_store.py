"""The bytes of a repository of which there is no clone: DVC's committed settings, and a cache of mreg's own."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mreg.errors import StorageError
from mreg.stores.artifacts.hashing import Meter, Progress
from mreg.stores.dvc.config import Sections, find_relative_remote
from mreg.stores.dvc.store import DvcStore
from mreg.stores.dvc.traffic import Traffic
from mreg.stores.serving.single_flight import claim

__all__ = ["ServedStore"]


class ServedStore(DvcStore):
    """Objects of one repository in a cache that many processes fill; each is downloaded once."""

    def __init__(
        self, cache: Path, root: Path | None, config_text: str, label: str, *, stall_s: float | Callable[[], float]
    ) -> None:
        """Reads nothing yet.

        Args:
            cache: The root of the cache.
            root: The repository's root, where it is on this machine: a relative URL counts from there.
            config_text: The committed ``.dvc/config``.
            label: The repository, for messages.
            stall_s: As that of every store.
        """
        super().__init__(cache / "dvc", root or cache, config_text=config_text, stall_s=stall_s)
        self._served = cache
        self._relative = None if root else config_text
        self._label = label
        self.has_grown = False
        """True once something was downloaded."""

    def download(self, md5: str, *, size: int = 0, progress: Progress | None = None) -> None:
        """Brings an artifact from the default remote into the cache, as every store does."""
        self.has_grown = True
        super().download(md5, size=size, progress=progress)

    def _sections(self) -> Sections:
        return {**super()._sections(), "cache": {"dir": str(self._served)}}

    @contextmanager
    def _traffic(self, *, is_written: bool, jobs: int | None = None) -> Iterator[Traffic | None]:
        found = find_relative_remote(self._relative) if self._relative else None
        if found:
            raise StorageError(
                f"remote {found[0]!r} of {self._label} is {found[1]!r}, a folder beside that repository, "
                "and not on this machine",
                hint=f"dvc remote modify {shlex.quote(found[0])} url s3://bucket/path   # in a clone, and commit that",
                details={"remote": found[0], "url": found[1]},
            )
        with super()._traffic(is_written=is_written, jobs=jobs) as traffic:
            if traffic is None:
                yield None
                return
            claims = self._served / "claims"
            yield _Shared(traffic.cache, traffic.remote, traffic.place, traffic.jobs, traffic.stall_s, claims)


class _Shared(Traffic, frozen=True):
    """Traffic of one process among many that want the same."""

    claims: Path
    """Holds a file for each object that is on its way."""

    def _fetch(self, md5: str, temporary: str, meter: Meter) -> None:
        is_there = lambda: self.cache.size(md5) is not None  # noqa: E731
        with claim(self.claims / md5, is_there, wait=lambda: meter.add(0)) as is_ours:
            if is_ours:
                Traffic._fetch(self, md5, temporary, meter)
            else:
                meter.add(self.cache.size(md5) or 0)
