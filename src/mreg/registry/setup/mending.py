"""What mends a finding: a command that a shell takes as it is, or the word that nothing does.

What a commit did is in the history for good; what is wrong now can be put right by another commit.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from mreg.core.history.state import RegistryState
from mreg.core.history.timeline import Finding, Standing
from mreg.core.layout import Layout, PathKind, pathspec
from mreg.registry.reading.seals import Key
from mreg.stores.git.under_way import UnderWay

__all__ = ["mend_file", "mend_history", "mend_tag", "mend_under_way"]

_TAGS = "refs/tags/"
_PAST = "nothing: it is right again, and the history cannot be changed"


def mend_file(finding: Finding, branch: str) -> str:
    """Returns what mends a file of the registry branch, while that is checked out."""
    path = pathspec(finding.place)
    if finding.code == "stray-file":
        return f"git rm --quiet -- {path} && git commit --quiet -m 'Remove a stray file' -- {path}"
    last = f"git log -1 --format=%H {shlex.quote(branch)} -- {path}"
    return f'git revert --no-edit "$({last})"   # or correct the file, and commit'


def mend_history(
    finding: Finding, standing: Standing, commits: Mapping[Key, str], state: RegistryState, branch: str
) -> str:
    """Returns what mends the present of something that a commit of the past did.

    Args:
        finding: What it did.
        standing: What the history has come to.
        commits: The commit that registered each version.
        state: The present.
        branch: The registry branch.
    """
    layout: Layout = state.policy.layout
    place = layout.locate(finding.place)
    if place and place.kind is PathKind.RECORD and place.version:
        key = (place.model, place.version)
        model = state.models.get(place.model)
        if model and model.records.get(place.version) == (standing.records.get(key) or standing.gone[key]):
            return _PAST
        path = pathspec(finding.place)
        restore = f"git restore --source={commits[key][:12]} --staged --worktree -- {path}"
        return f"{restore} && git commit --quiet -m 'Put back what was registered' -- {path}"
    if place and place.kind is PathKind.APPROVAL:
        return f"nothing: it does not count; who approved may do so again: mreg approve {place.model}@{place.version} …"
    if finding.place in {each.place for each in state.findings}:
        return mend_file(finding, branch)
    return _PAST


def mend_tag(finding: Finding, name: str, *, remote: str) -> str:
    """Returns what mends a tag.

    Args:
        finding: What is wrong with it.
        name: The tag that is there, and should not be.
        remote: Where it may be too; empty where there is no such remote.
    """
    ref = shlex.quote(f"{_TAGS}{name}")
    if finding.code == "missing-tag":
        return "git fetch --tags"
    delete = f"git tag -d {shlex.quote(name)}"
    if remote:
        delete += f" && git push {remote} {shlex.quote(f':{_TAGS}{name}')}"
    if finding.code == "taken-tag":
        return f"{delete} && mreg sync   # only if nobody needs it: git show {ref}"
    return f"{delete}   # only if nobody needs it: git show {ref}"


def mend_under_way(found: UnderWay) -> str:
    """Returns what ends something that Git has begun; what a shell takes first throws nothing away."""
    shown = "git status   # shows them; resolve each, then:  "
    if found.command == "bisect":
        return "git bisect reset   # ends it"
    if not found.command:
        return f"{shown}git add FILE" if found.conflicts else ""
    on, off = f"git {found.command} --continue", f"or give it up: git {found.command} --abort"
    return f"{shown}{on}; {off}" if found.conflicts else f"{on}   # {off}"
