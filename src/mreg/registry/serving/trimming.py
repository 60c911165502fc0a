"""The size of a machine's serving cache: what there is, and how it stays below its limit.

>>> import mreg
>>> mreg.cache(size="5 GB", delete=True).freed
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone

from msgspec import Struct

from mreg.core.storage.cached import CachedVersion, CacheReport
from mreg.core.storage.trimming import Held, Trim, parse_limit, plan_trim, usual_limit
from mreg.errors import UsageError
from mreg.stores.serving.cache import Pinned, ServingCache
from mreg.stores.serving.stock import Stock, delete_oldest, delete_stock, find_held, read_lists, read_stock
from mreg.stores.serving.uses import KNOWN_S

__all__ = ["cache", "is_due", "make_room", "stay_below"]

_DAY_NS = 86_400 * 10**9
_NOTES = ("stat", "watches", "claims")
_MOST_NOTES = 10_000
"""Files of some hundred bytes, one a path that something was put at."""
_LATEST_S = 253_402_300_799
"""The last second of the year 9999: what a clock that is wrong says may be later, and Python knows none."""


class _Limit(Struct, frozen=True):
    size: int | None
    source: str
    """What set it; empty where nobody did."""


def cache(*, size: str | None = None, delete: bool = False) -> CacheReport:
    """Returns what is in this machine's serving cache, and what goes where it is to be no larger than so many bytes.

    What was placed last for a stage stays, and so does what somebody uses; of the rest, what was used least recently
    goes first.

    Args:
        size: How large it may be: ``5 GB``, ``10%`` of the file system, ``unlimited``; by default as is configured.
        delete: Do it; without it, nothing changes.

    Raises:
        UsageError: That is no size.
        StorageError: The serving cache cannot be used.
    """
    found = ServingCache.find()
    limit = _find_limit(found, size)
    with found.uses.alone() as is_alone:
        stock = read_stock(found.root)
        trim = plan_trim(_find(found, stock, is_alone=is_alone, spares_foreign=False), limit.size)
        left = _delete(found, trim) if delete else 0
    versions = tuple(_describe(found, trim))
    named = {each.md5 for each in versions}
    known = {name: size for held in trim.held if held.md5 in named for name, size in held.objects.items()}
    notice = f"{left} of these objects could not be deleted: they are another user's, or on a disk that is read-only"
    return CacheReport(
        str(found.root),
        limit.size,
        limit.source,
        trim.size,
        trim.freed,
        len(trim.objects),
        versions,
        trim.size - sum(known.values()),
        dry_run=not delete,
        notices=(notice,) if left else (),
    )


def stay_below(found: ServingCache) -> tuple[str, ...]:
    """Deletes what goes beyond the limit that is configured; returns what somebody has to know.

    Raises:
        StorageError: The cache is not there any more.
    """
    asked_ns = time.time_ns()
    try:
        limit = _find_limit(found, None)
    except UsageError as error:
        return (f"nothing is deleted from the serving cache: {error.message}",)
    with found.uses.alone() as is_alone:
        started_ns = time.time_ns()
        if not asked_ns <= found.uses.swept_ns() <= started_ns:  # else somebody did it while this process waited
            stock = read_stock(found.root)
            if limit.size is not None and stock.size > limit.size:
                _delete(found, plan_trim(_find(found, stock, is_alone=is_alone), limit.size))
            for name in _NOTES:
                delete_oldest(found.root / name, _MOST_NOTES)
            found.uses.note_swept(started_ns)
    return ()


def make_room(found: ServingCache, size: int, needed_here: str = "") -> bool:
    """Deletes as many bytes that need not stay, or all of them; returns whether there were any.

    Args:
        found: The cache.
        size: How many bytes.
        needed_here: DVC's name of what they are for, which this process uses.
    """
    with found.uses.alone() as is_alone:
        stock = read_stock(found.root)
        held = _find(found, stock, is_alone=is_alone, needed_here=needed_here)
        trim = plan_trim(held, max(stock.size - size, 0))
        return _delete(found, trim) < len(trim.objects)


def is_due(found: ServingCache) -> bool:
    """True where nobody has looked through the cache for a day."""
    return time.time_ns() - found.uses.swept_ns() > _DAY_NS


def _find_limit(found: ServingCache, asked: str | None) -> _Limit:
    text, source = found.asked_size() if asked is None else (asked, "--size")
    if not source:
        return _Limit(usual_limit(found.disk_size), "")
    try:
        return _Limit(parse_limit(text, found.disk_size), source)
    except ValueError:
        message = f"{source} is {text!r}, which is not a size"
        raise UsageError(message, hint="write it as 20GB, 5% (of the file system), or unlimited") from None


def _find(
    found: ServingCache, stock: Stock, *, is_alone: bool, spares_foreign: bool = True, needed_here: str = ""
) -> list[Held]:
    read_lists(found.root, stock)
    named = {each.md5 for each in found.pinned()}
    return find_held(
        stock, found.uses, named, is_alone=is_alone, spares_foreign=spares_foreign, needed_here=needed_here
    )


def _delete(found: ServingCache, trim: Trim) -> int:
    left = delete_stock(found.root, trim.objects)
    stays = {each.md5 for each in trim.held if each.kept} - trim.objects.keys()
    found.uses.forget(stays)
    return left


def _describe(found: ServingCache, trim: Trim) -> Iterator[CachedVersion]:
    names: dict[str, list[Pinned]] = {}
    for pinned in found.pinned():
        names.setdefault(pinned.md5, []).append(pinned)
    slots: dict[tuple[str, str, str, str], list[str]] = {}
    for last, age_s in found.uses.read_lasts():
        slot = last.slot
        if age_s < KNOWN_S:
            key = (slot.repo, slot.model, last.version, last.md5)
            slots.setdefault(key, []).append(slot.stage or last.version)
    for held in trim.held:
        used = datetime.fromtimestamp(min(max(int(held.used_s), 0), _LATEST_S), timezone.utc)
        for name in names.get(held.md5, []):
            key = (name.repo, name.model, name.version, held.md5)
            stages = tuple(sorted(set(slots.get(key, ()))))
            size = sum(held.objects.values())
            yield CachedVersion(
                name.model, name.version, name.repo, held.md5, len(held.objects), size, used, held.kept, stages
            )
