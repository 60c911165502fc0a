"""What lies in the serving cache: objects, the artifacts that they make up, and how they are taken away.

Rules:
    * An object that is the same file as one elsewhere (``--link hardlink``) takes no room here and stays; a copy that
      shares blocks with one elsewhere counts as if it did not.
    * The files of a directory go before its list: who is killed between two leaves nothing that looks whole.
    * What this user may not delete stays, and is counted.
    * What nobody pulled here may be another program's: DVC's, where both have one cache.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from mreg.core.storage.trimming import Held, Kept
from mreg.errors import DataError, MregError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import hash_bytes
from mreg.stores.dvc_files.pointer import parse_directory
from mreg.stores.serving.uses import KNOWN_S, LOCKLESS_S, Use, Uses

__all__ = ["Stock", "delete_oldest", "delete_stock", "find_held", "read_lists", "read_stock"]

_FOLDER = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{30}(?:\.dir)?")
_CORRUPT = "mreg-corrupt"


class Stock(Struct, frozen=True):
    """The objects of a cache."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes by MD5; what was found to be corrupt has its folder before it."""
    times: dict[str, float] = field(default_factory=dict)
    """When each was written."""
    linked: set[str] = field(default_factory=set)
    """Those that are the same file as one elsewhere."""
    lists: dict[str, frozenset[str]] = field(default_factory=dict)
    """The objects of each directory whose list is here, once they were read."""

    @property
    def size(self) -> int:
        """Bytes that this cache takes."""
        return sum(self.sizes.values()) - sum(self.sizes[name] for name in self.linked)


def read_stock(root: Path) -> Stock:
    """Returns the objects of a cache, without their lists."""
    stock, folder = Stock(), root / "files" / "md5"
    for entry in _entries(folder):
        if _FOLDER.fullmatch(entry.name):
            for file in _entries(Path(entry.path)):
                if _REST.fullmatch(file.name):
                    _add(stock, entry.name + file.name, file)
    for file in _entries(root / _CORRUPT):
        _add(stock, f"{_CORRUPT}/{file.name}", file)
    return stock


def read_lists(root: Path, stock: Stock) -> None:
    """Reads the lists of directories; one that was changed counts as none."""
    cache = Cache(root)
    for md5 in stock.sizes:
        if md5.endswith(".dir") and not md5.startswith(_CORRUPT):
            with suppress(MregError, OSError):
                stock.lists[md5] = frozenset(parse_directory(_read_list(cache, md5), md5).values())


def find_held(
    stock: Stock, uses: Uses, named: Iterable[str], *, is_alone: bool, spares_foreign: bool, needed_here: str = ""
) -> list[Held]:
    """Returns every artifact, and every object that is part of none.

    Args:
        stock: What is there, with the lists.
        uses: Who uses it.
        named: DVC's names of the artifacts that were pulled here.
        is_alone: That nobody can begin to use something meanwhile.
        spares_foreign: What nobody pulled here stays.
        needed_here: What this process itself uses, and would fetch again.
    """
    known = uses.read_uses(is_alone=is_alone)
    members = {name for names in stock.lists.values() for name in names}
    pulled = {*known, *named} & stock.sizes.keys()
    found = {*pulled, *stock.lists} | (stock.sizes.keys() - members)
    foreign = {md5 for md5 in found - pulled if not md5.startswith(_CORRUPT)} if spares_foreign else set()
    in_use = {md5 for md5, use in known.items() if use.is_going_on}
    if any(_is_on_its_way(md5, stock, known[md5]) for md5 in in_use - {needed_here}):
        in_use |= found  # which of these a directory needs, its list will tell
    elif not is_alone:
        in_use |= _find_young(stock)
    lasts = {last.md5 for last, age_s in uses.read_lasts() if age_s < KNOWN_S}
    reasons = ((lasts, Kept.LAST), (uses.read_links(), Kept.LINKED), (in_use, Kept.USED), (foreign, Kept.FOREIGN))
    return [_hold(md5, stock, known, (why for names, why in reasons if md5 in names)) for md5 in found]


def delete_stock(root: Path, objects: Iterable[str]) -> int:
    """Deletes objects, in their order, and returns how many could not be."""
    cache, left = Cache(root), 0
    for name in objects:
        path = root / name if name.startswith(_CORRUPT) else cache.path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError:  # another user's, or a file system that may only be read
            left += 1
    return left


def delete_oldest(folder: Path, keep: int) -> None:
    """Deletes the files of a folder but those that were written last."""
    times = {}
    for entry in _entries(folder):
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False):
                times[entry.path] = entry.stat(follow_symlinks=False).st_mtime_ns
    for path in sorted(times, key=times.__getitem__)[: max(len(times) - keep, 0)]:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - a path as text


def _hold(md5: str, stock: Stock, known: Mapping[str, Use], reasons: Iterator[Kept]) -> Held:
    names = {md5, *stock.lists.get(md5, ())} & stock.sizes.keys()
    objects = {name: stock.sizes[name] for name in sorted(names - stock.linked)}
    used_s = known[md5].time_s if md5 in known else stock.times[md5]
    return Held(md5, objects, used_s, next(reasons, None if objects else Kept.LINKED))


def _is_on_its_way(md5: str, stock: Stock, use: Use) -> bool:
    """True for a directory whose list is still to come; a pull that was stopped a day ago may begin anew."""
    return md5.endswith(".dir") and md5 not in stock.lists and time.time() - use.time_s < LOCKLESS_S


def _find_young(stock: Stock) -> set[str]:
    now_s = time.time()
    return {md5 for md5, time_s in stock.times.items() if now_s - time_s < LOCKLESS_S}


def _add(stock: Stock, name: str, file: os.DirEntry[str]) -> None:
    with suppress(OSError):  # gone meanwhile
        found = file.stat(follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            return
        stock.sizes[name], stock.times[name] = found.st_size, found.st_mtime
        if found.st_nlink > 1:
            stock.linked.add(name)


def _read_list(cache: Cache, md5: str) -> bytes:
    with cache.open(md5) as file:
        content = os.pread(file, os.fstat(file).st_size, 0)
    if hash_bytes(content).md5 != md5.removesuffix(".dir"):
        raise DataError(f"object {md5} was changed")
    return content


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
