"""What ``push`` did, or would do: its page, and its JSON document."""

from __future__ import annotations

from collections.abc import Iterator

from mreg.core.history.timeline import Commit
from mreg.core.settings.policy import Policy
from mreg.core.sharing.joints import Matter, Way
from mreg.core.sharing.pushed import PushConflict, Pushed
from mreg.render.documents import Document
from mreg.render.page import Cell, Facts, Grid, Line, Page, Tone
from mreg.render.text import NOTHING, format_bytes, format_moment, short_oid

__all__ = ["pushed_document", "view_pushed"]

_TONES = {Way.LANDED: Tone.PLAIN, Way.DROPPED: Tone.BAD}


def view_pushed(result: Pushed, _policy: Policy) -> Page:
    """Returns what landed and how, or what both sides changed, and the commands that settle it."""
    rows = tuple(
        (
            Cell.code(short_oid(each.commit.oid)),
            Cell(each.way.value, _TONES.get(each.way, Tone.GOOD)),
            Cell.code(short_oid(each.new)),
            Cell(each.commit.subject),
        )
        for each in result.commits
    )
    refused = tuple(
        (Cell.code(each.place), Cell(each.message), Cell(each.fix or NOTHING, is_command=bool(each.fix)))
        for each in result.complaints
    )
    return (
        Line(Cell(_head(result), Tone.STRONG)),
        Facts("", tuple(_facts(result))),
        Grid("commits", ("here", "way", "there", "subject"), rows),
        Grid("changed on both sides", ("what", "here", "there", "file"), tuple(map(_conflict, result.conflicts))),
        Grid("refused", ("file", "why", "fix"), refused),
    )


def _head(result: Pushed) -> str:
    name, count = f"{result.remote}/{result.branch}", len(result.commits)
    what = f"{count} {'commit' if count == 1 else 'commits'}"
    if not result.ok:
        stuck = sum(each.way is Way.CONFLICT for each in result.commits)
        if 0 < stuck < count:
            return f"{stuck} of {what} of {result.branch} cannot land on {name}, so none of them does"
        return f"{what} of {result.branch} cannot land on {name} as {'it is' if count == 1 else 'they are'}"
    if not result.changed:
        return f"nothing to push: {name} has everything"
    tags = f" and {len(result.tags)} {'tag' if len(result.tags) == 1 else 'tags'}" if result.tags else ""
    return f"{'would push' if result.dry_run else 'pushed'} {what}{tags} to {name}"


def _facts(result: Pushed) -> Iterator[tuple[str, Cell]]:
    if result.commit:
        yield "commit", Cell.code(short_oid(result.commit))
    for tag in result.tags:
        yield "tag", Cell.code(tag)
    for tag in result.replaced:
        yield "remade", Cell.code(tag)
    if result.uploaded:
        yield "uploaded", Cell(format_bytes(result.uploaded))
    for notice in result.notices:
        yield "note", Cell(notice)
    ways = list(_ways(result))
    for index, way in enumerate(ways):
        yield "or" if index else "either" if ways[1:] else "next", Cell.command(way)


def _ways(result: Pushed) -> Iterator[str]:
    """Yields the commands that go on from what stands against it; any one of them does."""
    if result.settle:
        yield result.settle
    again = {each.again: each.matter is Matter.VERSION for each in result.conflicts if each.again}
    rest = [command for command, is_renumbering in again.items() if not is_renumbering]
    if rest:
        yield " && ".join([*filter(None, [result.settle]), *rest])
    # What was left out has no number any more that could be another.
    yield from (command for command, is_renumbering in again.items() if is_renumbering)


def _conflict(each: PushConflict) -> tuple[Cell, ...]:
    ours, theirs = _side(each.ours_says, each.ours), _side(each.theirs_says, each.theirs)
    return Cell(each.what), Cell(ours), Cell(theirs), Cell.code(each.path)


def _side(says: str, commit: Commit | None) -> str:
    if commit is None:
        return says
    return f"{says} ({commit.email}, {format_moment(commit.time)}, {short_oid(commit.oid)})"


def pushed_document(result: Pushed) -> Document:
    """Returns the JSON document."""
    return {
        "ok": result.ok,
        "changed": result.changed,
        "dry_run": result.dry_run,
        "branch": result.branch,
        "remote": result.remote,
        "before": result.before,
        "commit": result.commit,
        "tags": result.tags,
        "replaced": result.replaced,
        "uploaded": result.uploaded,
        "commits": [
            {"commit": each.commit.oid, "way": each.way.value, "new": each.new, "subject": each.commit.subject}
            for each in result.commits
        ],
        "conflicts": [
            {
                "matter": each.matter.value,
                "what": each.what,
                "path": each.path,
                "model": each.model,
                "version": each.version,
                "stage": each.stage,
                "ours": _side_document(each.ours_says, each.ours),
                "theirs": _side_document(each.theirs_says, each.theirs),
                "settle": each.settle,
                "again": each.again or None,
            }
            for each in result.conflicts
        ],
        "complaints": [
            {
                "code": each.code,
                "place": each.place,
                "line": each.line,
                "message": each.message,
                "fix": each.fix or None,
            }
            for each in result.complaints
        ],
        "settle": result.settle or None,
        "notices": result.notices,
    }


def _side_document(says: str, commit: Commit | None) -> Document:
    return {
        "says": says,
        "commit": commit.oid if commit else None,
        "by": commit.email if commit else None,
        "at": commit.time if commit else None,
        "subject": commit.subject if commit else None,
    }
