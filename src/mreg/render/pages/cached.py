"""The page and the document of ``cache``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mreg.core.settings.policy import Policy
from mreg.core.storage.cached import CachedVersion, CacheReport
from mreg.core.storage.trimming import UNLIMITED, Kept
from mreg.render.page import Cell, Facts, Grid, Line, Page, Tone
from mreg.render.text import format_bytes, format_moment

__all__ = ["cache_document", "format_cache", "view_cache"]

_WHY = {Kept.USED: "in use", Kept.LINKED: "a link leads to it", Kept.FITS: "yes"}


def view_cache(result: CacheReport, _policy: Policy) -> Page:
    """Returns what is there, what goes, and why the rest stays."""
    rows = tuple(
        (
            Cell(f"{each.model}@{each.version}"),
            Cell(format_bytes(each.size)),
            Cell(format_moment(each.used)),
            _tell_fate(each, result),
            Cell(each.repo),
        )
        for each in result.versions
    )
    return (
        Line(Cell(format_cache(result), Tone.STRONG)),
        Facts("", tuple(_facts(result))),
        Grid("versions", ("version", "size", "last used", "stays", "registry"), rows),
    )


def format_cache(result: CacheReport) -> str:
    """Returns what is there and what goes in one line."""
    if not result.objects:
        return f"{format_bytes(result.size)}: nothing to delete"
    verb = "would delete" if result.dry_run else "deleted"
    objects = f"{result.objects} object{'' if result.objects == 1 else 's'}"
    return f"{verb} {objects}, {format_bytes(result.freed)} of {format_bytes(result.size)}"


def _facts(result: CacheReport) -> Iterator[tuple[str, Cell]]:
    yield "cache", Cell.code(result.place)
    limit = UNLIMITED if result.limit is None else format_bytes(result.limit)
    source = result.limit_from or "a tenth of the file system, at most 50 GB"
    yield "limit", Cell(f"{limit} ({source})")
    if result.others:
        yield "of no known version", Cell(format_bytes(result.others))
    if result.dry_run and result.objects:
        size = ("--size", str(result.limit)) if result.limit_from == "--size" else ()
        yield "next", Cell.command(shlex.join(("mreg", "cache", *size, "--delete")))


def _tell_fate(each: CachedVersion, result: CacheReport) -> Cell:
    if each.kept is None:
        return Cell("no" if result.dry_run else "deleted", Tone.BAD)
    if each.kept is Kept.LAST:
        return Cell(f"placed last for {', '.join(each.last_for)}" if each.last_for else "placed last")
    return Cell(_WHY[each.kept])


def cache_document(result: CacheReport) -> dict[str, object]:
    """Returns the JSON document of ``cache``."""
    return {
        "dry_run": result.dry_run,
        "place": result.place,
        "limit": result.limit,
        "limit_from": result.limit_from or None,
        "size": result.size,
        "objects": result.objects,
        "freed": result.freed,
        "versions": [
            {
                "model": each.model,
                "version": each.version,
                "repo": each.repo,
                "md5": each.md5,
                "objects": each.objects,
                "size": each.size,
                "used": format_moment(each.used),
                "kept": each.kept.value if each.kept else None,
                "last_for": each.last_for,
            }
            for each in result.versions
        ],
        "others": result.others,
        "notices": result.notices,
    }
