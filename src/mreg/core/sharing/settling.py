"""Settling: what both sides say, in words, and the commands that end a conflict.

What the remote has stands, since others have seen it; so there are two ways: to leave out what was made here, or to
leave it out and make it again on top.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mreg.core.fields import format_moment
from mreg.core.history.manifest import StageEntry
from mreg.core.history.timeline import Commit
from mreg.core.layout import pathspec
from mreg.core.review.reviewed import Fault
from mreg.core.sharing.joints import Clash, Contents, Matter
from mreg.core.sharing.pushed import PushConflict
from mreg.errors import ConflictError, RefusedError

__all__ = ["conflict_of", "describe", "refusal_of", "tell", "tell_same"]

_REASON = "why"


def describe(
    clash: Clash, contents: Contents, theirs: Commit | None, *, settle: str, merge: str, branch: str = ""
) -> PushConflict:
    """Returns a conflict with what both sides say, and with the commands that settle it.

    Args:
        clash: What both sides changed.
        contents: Reads blobs.
        theirs: The commit there that changed it.
        settle: The command that leaves out what was made here.
        merge: The command by which Git shows a conflict in other files.
        branch: The branch that is pushed, where it is not the registry's.
    """
    ours_says, theirs_says = _sides(clash, contents)
    again = _again(clash, contents)
    return PushConflict(
        matter=clash.matter,
        what=_what(clash),
        path=clash.path,
        ours=clash.ours,
        ours_says=ours_says,
        theirs=theirs,
        theirs_says=theirs_says,
        settle=merge if clash.matter is Matter.CODE else settle,
        again=again + (f" --branch {branch}" if branch and again.startswith("mreg ") else ""),
        model=clash.model,
        version=clash.version,
        stage=clash.stage,
    )


def tell_same(clash: Clash, contents: Contents, theirs: Commit | None, name: str) -> str:
    """Returns in one line what both sides did alike, and what was said of it here.

    Args:
        clash: What both sides did.
        contents: Reads blobs.
        theirs: The commit there that did it.
        name: The remote's branch.
    """
    _, says = _sides(clash, contents)
    entry = contents.entry(clash.path, clash.new)
    reason = f", and left out what was said here: {entry.reason}" if entry and entry.reason else ""
    return f"{_what(clash)}: {name} has {says} already{_who(theirs)}; it was not made again{reason}"


def _what(clash: Clash) -> str:
    if clash.matter is Matter.SETTINGS:
        return "the settings"
    if clash.matter in {Matter.STAGE, Matter.LEFT_OUT} and clash.stage and clash.model:
        return f"{clash.model} {clash.stage}"
    if clash.matter is Matter.ARCHIVED:
        return f"{clash.model} {clash.version or 'archived'}"
    if clash.matter is Matter.VERSION:
        return f"{clash.model} {clash.version}"
    return clash.path


def _sides(clash: Clash, contents: Contents) -> tuple[str, str]:
    """Returns what was done here, and what there."""
    if clash.matter is Matter.LEFT_OUT:
        return "builds on what is left out", "does not have that"
    if clash.matter is Matter.STAGE:
        before, after, there = (contents.entry(clash.path, oid) for oid in (clash.old, clash.new, clash.there))
        return _says(before, after), _says(before, there)
    if clash.matter is Matter.ARCHIVED and clash.version:
        marks = [contents.marks(clash.path, oid) or {} for oid in (clash.new, clash.there)]
        ours, theirs = ("archived" if clash.version in each else "not archived" for each in marks)
        return ours, "archived for another reason" if ours == theirs else theirs
    if clash.matter is Matter.CODE:
        return "changed", "changed"
    if clash.is_same:
        return "registered", "registered, with the same bytes"
    verb = "registered" if clash.matter is Matter.VERSION else "added"
    return _done(clash.old, clash.new, verb), _done(clash.old, clash.there, verb)


def _says(before: StageEntry | None, after: StageEntry | None) -> str:
    was, now = (each.version if each else None for each in (before, after))
    if was != now:
        return f"{was or 'nothing'} → {now or 'nothing'}"
    if (before is not None and before.hold) != (after is not None and after.hold):
        return "held" if after and after.hold else "released"
    return "changed"


def _done(old: str | None, new: str | None, verb: str) -> str:
    if new is None:
        return "deleted" if old else "not there"
    return "changed" if old else verb


def _again(clash: Clash, contents: Contents) -> str:
    """Returns the command that makes a change again on top of what is there."""
    if clash.matter is Matter.STAGE:
        return _stage_again(clash, contents.entry(clash.path, clash.old), contents.entry(clash.path, clash.new))
    if clash.matter is Matter.ARCHIVED and clash.version:
        mark = (contents.marks(clash.path, clash.new) or {}).get(clash.version)
        undo = "" if mark else " --undo"
        reason = _quote((mark.reason if mark else "") or clash.ours.subject)
        return f"mreg archive {clash.model}@{clash.version}{undo} --reason {reason} --push"
    if clash.matter is Matter.VERSION and not clash.is_same:
        return "mreg push --renumber"
    if clash.matter is Matter.SETTINGS or clash.matter is Matter.FILE:
        return f"git show {clash.ours.oid[:12]} -- {pathspec(clash.path)}"
    return ""


def _stage_again(clash: Clash, before: StageEntry | None, after: StageEntry | None) -> str:
    reason = _quote((after.reason if after else "") or clash.ours.subject)
    rest = f"--reason {reason} --push"
    place = f"{clash.model} {clash.stage}"
    version = after.version if after else None
    if (before.version if before else None) == version:
        return f"mreg hold {place}{'' if after and after.hold else ' --off'} {rest}"
    if version is None:
        return f"mreg clear {place} {rest}"
    if (after and after.hold) or _is_rollback(clash.ours):  # of a stage that was cleared, the tree alone tells
        return f"mreg rollback {place} --to {version} {rest}"
    return f"mreg promote {clash.model}@{version} {clash.stage} {rest}"


def _quote(reason: str) -> str:
    """Returns a reason as a shell takes it, in one line."""
    return shlex.quote(" ".join(reason.split()) or _REASON)


def _is_rollback(commit: Commit) -> bool:
    return ("Mreg-Action", "rollback") in commit.trailers


def tell(each: PushConflict) -> str:
    """Returns a conflict in one line: what, and of both sides what they say, who, when and in which commit."""
    there = f"there {each.theirs_says}{_who(each.theirs)}"
    return f"{each.what}: here {each.ours_says}{_who(each.ours)}, {there} ({each.path})"


def _who(commit: Commit | None) -> str:
    return f" by {commit.email} at {format_moment(commit.time)} in {commit.oid[:12]}" if commit else ""


def conflict_of(conflicts: Sequence[PushConflict], branch: str, remote: str) -> ConflictError:
    """Returns the error of what both sides changed, with the commands that settle it."""
    told = [tell(each) for each in conflicts]
    count = f"{len(told)} things" if len(told) > 1 else told[0]
    settle = conflicts[0].settle
    again = " && ".join(dict.fromkeys(each.again for each in conflicts if each.again))
    hint = settle
    if conflicts[0].matter is not Matter.CODE:
        hint += "   # leaves out what was made here"
        hint += f"; to make it again on top: {settle} && {again}" if again else ""
    renumber = next((each.again for each in conflicts if each.matter is Matter.VERSION and each.again), "")
    if renumber:
        hint = f"{renumber}   # registers it under the next number; to leave it out: {settle}"
    documents = [
        {
            "matter": each.matter.value,
            "what": each.what,
            "path": each.path,
            "ours": each.ours.oid,
            "theirs": each.theirs.oid if each.theirs else None,
            "settle": each.settle,
            "again": each.again or None,
        }
        for each in conflicts
    ]
    details = {"branch": branch, "remote": remote, "conflicts": documents, "told": told}
    return ConflictError(f"{branch} here and {remote}/{branch} both changed {count}", hint=hint, details=details)


def refusal_of(complaints: Sequence[Fault], name: str, *, settle: str) -> RefusedError:
    """Returns the error of what the rules of the remote's branch say no to.

    A later commit mends no earlier one, so what is refused is left out, and made again as it should be.
    """
    told = [f"{each.place}: {each.message}" for each in complaints]
    why = f": {told[0]}" if len(told) == 1 else f", for {len(told)} reasons"
    documents = [
        {"code": each.code, "place": each.place, "message": each.message, "line": each.line, "fix": each.fix or None}
        for each in complaints
    ]
    # What mends a file is no use where the commit is left out; what satisfies a rule is.
    fix = complaints[0].fix if complaints[0].code.startswith("rule-") else ""
    hint = f"{settle}   # leaves out what is refused{f'; then: {fix}' if fix else ''}"
    amend = next((each.fix for each in complaints if each.code == "approval-forged" and each.fix), "")
    if amend:
        hint = f"{amend}; then: mreg push"
    details = {"complaints": documents, "settle": settle, "told": told}
    return RefusedError(f"what was made here may not land on {name}{why}", hint=hint, details=details)
