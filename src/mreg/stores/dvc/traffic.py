"""Objects on their way between a cache and a remote: what is needed is moved, and what was moved is checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from mreg.errors import CorruptArtifactError, NotFoundError, StorageError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import Meter
from mreg.stores.disk import disk_errors
from mreg.stores.dvc.errors import Place
from mreg.stores.dvc.pool import Crew, run_all

__all__ = ["LIST_FROM", "Remote", "Traffic", "is_listing_worth"]

LIST_FROM = 200
"""So many objects are looked up by listing the remote, unless it holds very many more."""
_FOLDERS = 256
_WORTH = 20
"""Objects of a listing, whose pages hold 1000, that take as long as one look-up."""

_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"
"""The MD5 of no bytes."""


class Remote(Protocol):
    """Where objects are stored for everyone."""

    def find_stored(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Returns which objects are there, whole as far as the remote can tell."""
        ...

    def send(self, md5: str, cache: Cache, meter: Meter) -> None:
        """Stores one object of ``cache``, having checked its MD5, over one of that name."""
        ...

    def fetch(self, md5: str, temporary: str, meter: Meter) -> str | None:
        """Writes one object to a new file and returns the MD5 of its bytes, ``None`` where it is not there."""
        ...

    def delete(self, md5: str) -> None:
        """Takes one object away, if it is there."""
        ...

    def idle_s(self) -> float:
        """Returns the seconds since a connection last moved; infinite where nobody knows."""
        ...


def is_listing_worth(sampled: int, wanted: int) -> bool:
    """Returns whether listing all of a remote is sooner done than looking up what is wanted.

    Args:
        sampled: How many objects one of the remote's folders holds.
        wanted: How many would be looked up.
    """
    return sampled * _FOLDERS <= _WORTH * wanted


class Traffic(Struct, frozen=True):
    """One cache, one remote, and how fast to go."""

    cache: Cache
    remote: Remote
    place: Place
    jobs: int
    """Objects at a time."""
    stall_s: float
    """Seconds without a sign of life after which to give up."""

    def send(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Brings objects to the remote and returns which were missing there.

        Raises:
            CorruptArtifactError: An object in the cache has changed.
            StorageError: The remote refuses, does not answer, or does not hold what it was sent.
        """
        stored = self._find_stored(sizes)
        missing = sorted(sizes.keys() - stored)
        meter.add(sum(sizes[md5] for md5 in stored))
        self._send(missing, meter)
        lost = self._find_lost(sizes, missing)
        if lost:  # changed on the way, or by someone who was interrupted at the same moment
            self._send(lost, Meter(None, 0))
            lost = self._find_lost(sizes, lost)
        if lost:
            self._take_back(lost)
            raise StorageError(
                f"{self.place} does not hold what it was sent: object {lost[0]} is missing there, or has other bytes",
                hint="run the command again; if it fails again, ask the administrator of the storage",
                details={"remote": self.place.name, "objects": lost},
            )
        return set(missing)

    def fetch(self, md5s: Iterable[str], scratch: Path, meter: Meter) -> None:
        """Brings those objects into the cache that it lacks.

        Raises:
            NotFoundError: The remote has not got one.
            CorruptArtifactError: The bytes of one are not those that its name promises.
            StorageError: The remote refuses or does not answer, or the disk is full.
        """
        missing = []
        for md5 in sorted(set(md5s)):
            size = self.cache.size(md5)
            if size is None:
                missing.append(partial(self._fetch, md5, f"{scratch}/{md5}", meter))
            else:
                meter.add(size)
        run_all(missing, self.place, self._crew(self.jobs), meter)

    def ask(self, scratch: Path) -> None:
        """Asks for an object that may be there or not: what matters is that the remote answers.

        Raises:
            StorageError: It refuses, or does not answer.
        """
        quiet = Meter(None, 0)
        run_all([lambda: self._ask(scratch, quiet)], self.place, self._crew(1), quiet)

    def _ask(self, scratch: Path, meter: Meter) -> None:
        self._fetch_once(_EMPTY, f"{scratch}/{_EMPTY}", meter)

    def _crew(self, jobs: int) -> Crew:
        return Crew(jobs, self.stall_s, self.remote.idle_s)

    def _send(self, md5s: Iterable[str], meter: Meter) -> None:
        sending = [partial(self.remote.send, md5, self.cache, meter) for md5 in md5s]
        run_all(sending, self.place, self._crew(self.jobs), meter)

    def _find_lost(self, sizes: Mapping[str, int], sent: Iterable[str]) -> list[str]:
        return sorted(set(sent) - self._find_stored({md5: sizes[md5] for md5 in sent}))

    def _take_back(self, md5s: Iterable[str]) -> None:
        """Takes away what arrived with other bytes: DVC would serve it as it is."""
        deleting = [partial(self.remote.delete, md5) for md5 in md5s]
        with suppress(StorageError):  # what went wrong before is what matters
            run_all(deleting, self.place, self._crew(self.jobs), Meter(None, 0))

    def _find_stored(self, sizes: Mapping[str, int]) -> set[str]:
        found: set[str] = set()
        quiet = Meter(None, 0)
        tasks = [lambda: found.update(self.remote.find_stored(sizes, quiet))] if sizes else []
        run_all(tasks, self.place, self._crew(1), quiet)
        return found

    def _fetch(self, md5: str, temporary: str, meter: Meter) -> None:
        found = self._fetch_once(md5, temporary, meter)
        if found not in {None, md5.removesuffix(".dir")}:  # the way may be to blame, and not what is stored
            found = self._fetch_once(md5, temporary, Meter(None, 0))
        if found is None:
            raise NotFoundError(
                f"object {md5} is not in {self.place}",
                hint="mreg fsck --remote --repair   # in the clone that registered it",
                details={"remote": self.place.name, "md5": md5},
            )
        if found != md5.removesuffix(".dir"):
            raise CorruptArtifactError(
                f"object {md5} in {self.place} has changed: its bytes have the MD5 {found}",
                hint="mreg fsck --remote --read-data --repair   # in the clone that registered it",
                details={"remote": self.place.name, "md5": md5, "found": found},
            )
        with disk_errors("written", self.cache.root):
            self.cache.adopt(temporary, md5)

    def _fetch_once(self, md5: str, temporary: str, meter: Meter) -> str | None:
        if os.access(temporary, os.F_OK):  # asked, as it is there once in 10 000 times
            os.unlink(temporary)  # noqa: PTH108 - what the last try left may not be writable
        return self.remote.fetch(md5, temporary, meter)
