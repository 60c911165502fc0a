"""Pages and documents of ``fsck`` and ``gc``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mreg.core.settings.policy import Policy
from mreg.core.settings.retention import Retention
from mreg.core.settings.rules import format_duration
from mreg.core.storage.objects import FaultKind
from mreg.core.storage.soundness import Depth, Soundness, VersionFault
from mreg.core.storage.swept import Sweep
from mreg.render.page import Cell, Facts, Grid, Line, Page, Tone
from mreg.render.text import format_bytes, format_moment, short_oid

__all__ = [
    "format_soundness",
    "format_sweep",
    "mend_command",
    "soundness_document",
    "sweep_document",
    "tell_fault",
    "view_soundness",
    "view_sweep",
]

_WHAT = {
    FaultKind.MISSING: "missing",
    FaultKind.SIZE: "of another size",
    FaultKind.CHANGED: "changed",
}
_SHOWN = 3
"""Files of one version that are named; more are counted."""


def view_soundness(result: Soundness, _policy: Policy) -> Page:
    """Returns the verdict, what was looked at, and each version that is not whole with what mends it."""
    rows = tuple(
        (
            Cell(f"{each.model}@{each.version}"),
            Cell(tell_fault(each), Tone.BAD),
            Cell(format_bytes(each.size)),
            Cell.command(mend_command(result, each)),
        )
        for each in result.faults
    )
    return (
        Line(Cell(format_soundness(result), Tone.GOOD if result.ok else Tone.BAD)),
        Facts("", tuple(_soundness_facts(result))),
        Grid("faults", ("version", "what", "size", "fix"), rows),
    )


def format_soundness(result: Soundness) -> str:
    """Returns the verdict in one line."""
    if result.faults:
        return f"not ok: the bytes of {_count(len(result.faults), 'version')} are missing or changed"
    how = "every byte was read" if result.depth is Depth.READ else "as far as can be told without reading the bytes"
    return f"ok: {how}" if result.versions else "ok: nothing to check"


def _soundness_facts(result: Soundness) -> Iterator[tuple[str, Cell]]:
    yield ("remote" if result.remote else "cache"), Cell.code(result.place)
    yield (
        "checked",
        Cell(f"{_count(result.versions, 'version')}, {_count(result.objects, 'object')}, {format_bytes(result.size)}"),
    )
    if result.repaired:
        yield "repaired", Cell(_count(result.repaired, "object"))
    if result.absent:
        yield "not here", Cell(f"{_count(result.absent, 'version')}, available from the remote")
    if result.deleted:
        yield "deleted", Cell(f"{_count(result.deleted, 'version')}, on purpose: mreg gc")
    if result.untracked:
        yield (
            "untracked",
            Cell(f"{_count(result.untracked, 'version')} adopted from GTO, whose bytes DVC never tracked"),
        )
    if result.ok and result.depth is Depth.LISTED and result.versions:
        where = ("--remote",) if result.remote else ()
        command = shlex.join(("mreg", "fsck", *result.wanted, *where, "--read-data"))
        yield "next", Cell.command(f"{command}   # reads every byte")


def tell_fault(each: VersionFault) -> str:
    """Returns what is wrong with one version."""
    shown = [f"{fault.path} is {_WHAT[fault.kind]}" for fault in each.faults[:_SHOWN]]
    more = len(each.faults) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])


def mend_command(result: Soundness, each: VersionFault) -> str:
    """Returns the command that mends it, and where it has to be given."""
    where = " --remote" if result.remote else ""
    repair = f"mreg fsck {shlex.quote(f'{each.model}@{each.version}')}{where} --repair"
    if each.is_mendable:
        return repair
    if result.remote:
        return f"{repair}   # in a clone whose cache has it"
    return f"mreg register {each.model} PATH --force   # where someone still has the bytes"


def soundness_document(result: Soundness) -> dict[str, object]:
    """Returns the JSON document of ``fsck``."""
    return {
        "ok": result.ok,
        "place": result.place,
        "remote": result.remote or None,
        "depth": result.depth.value,
        "versions": result.versions,
        "objects": result.objects,
        "size": result.size,
        "repaired": result.repaired,
        "absent": result.absent,
        "deleted": result.deleted,
        "untracked": result.untracked,
        "faults": [
            {
                "model": each.model,
                "version": each.version,
                "objects": each.objects,
                "size": each.size,
                "mendable": each.is_mendable,
                "command": mend_command(result, each),
                "faults": [
                    {
                        "kind": fault.kind.value,
                        "path": fault.path,
                        "md5": fault.md5 or None,
                        "copy": fault.has_copy,
                    }
                    for fault in each.faults
                ],
            }
            for each in result.faults
        ],
        "notices": result.notices,
    }


def view_sweep(result: Sweep, _policy: Policy) -> Page:
    """Returns what went, or would, and why the others stay."""
    rows = tuple(
        (
            Cell(f"{each.model}@{each.version}"),
            Cell(format_moment(each.registered)),
            Cell(str(each.objects)),
            Cell(format_bytes(each.size)),
        )
        for each in result.versions
    )
    kept = tuple((str(count), Cell(why)) for why, count in result.kept.items())
    return (
        Line(Cell(format_sweep(result), Tone.BAD if result.lost else Tone.STRONG)),
        Facts("", tuple(_sweep_facts(result))),
        Grid("versions", ("version", "registered", "objects", "size"), rows),
        Facts("kept", kept),
        Facts("lost", tuple(("object", Cell.code(md5)) for md5 in result.lost)),
    )


def format_sweep(result: Sweep) -> str:
    """Returns what went, or would, in one line."""
    if result.lost:
        return f"deleted {_count(len(result.lost), 'object')} that somebody needs and this cache lacks"
    if not result.versions:
        return "nothing to delete"
    size = (
        f"{_count(result.objects, 'object')}, {format_bytes(result.size)}, of {_count(len(result.versions), 'version')}"
    )
    if result.branch:
        return f"given up on {result.branch}: {size}"
    return f"would delete {size}" if result.dry_run else f"deleted {size}"


def _sweep_facts(result: Sweep) -> Iterator[tuple[str, Cell]]:
    yield ("remote" if result.remote else "cache"), Cell.code(result.place)
    if result.policy:
        yield "keeps", Cell(f"{result.policy}, and what is or was in a stage")
    for commit in result.commits:
        yield "commit", Cell.code(short_oid(commit))
    if result.restored:
        yield "brought back", Cell(f"{_count(result.restored, 'object')} that somebody came to need meanwhile")
    if result.lost:
        yield "next", Cell.command("mreg fsck --remote --repair   # in the clone that registered it meanwhile")
    elif result.branch:
        yield "next", Cell.command(f"mreg gc --remote --delete   # once {result.branch} is merged")
    elif result.dry_run and result.versions:
        where = ("--remote",) if result.remote else ()
        yield "next", Cell.command(shlex.join(("mreg", "gc", *where, *_keeping(result.retention), "--delete")))


def _keeping(retention: Retention) -> Iterator[str]:
    if retention.newest is not None:
        yield from ("--keep-newest", str(retention.newest))
    if retention.within_s is not None:
        yield from ("--keep-within", format_duration(retention.within_s))


def sweep_document(result: Sweep) -> dict[str, object]:
    """Returns the JSON document of ``gc``."""
    return {
        "dry_run": result.dry_run,
        "place": result.place,
        "remote": result.remote or None,
        "policy": result.policy or None,
        "objects": result.objects,
        "size": result.size,
        "versions": [
            {
                "model": each.model,
                "version": each.version,
                "registered": each.registered,
                "objects": each.objects,
                "size": each.size,
                "deletion": {"reason": each.deletion.reason, "by": each.deletion.by, "at": each.deletion.at}
                if each.deletion
                else None,
            }
            for each in result.versions
        ],
        "kept": result.kept,
        "branch": result.branch or None,
        "commits": result.commits,
        "restored": result.restored,
        "lost": result.lost,
        "notices": result.notices,
    }


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
