"""What is wrong between a clone and its remote, and the command that mends it; nothing is fetched or pushed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mreg.core.history.tags import tags_of
from mreg.core.history.timeline import Standing
from mreg.core.results import Check
from mreg.errors import MregError
from mreg.registry.reading.reader import Reader, Settings
from mreg.stores.git.remotes.pushing import find_remote, is_ancestor, may_push
from mreg.stores.git.remotes.refs import RemoteRefs, list_remote
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import RefMovedError, RefUpdate

__all__ = ["count_there", "examine_remote"]

_TAGS = "refs/tags/"


def examine_remote(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    """Yields whether the remote answers, what it lacks or has besides, and whether it would take a push."""
    try:
        remote = find_remote(repo, settings.branch)
        there = list_remote(repo, remote, settings.branch)
    except MregError as error:
        yield Check("remote", ok=False, message=error.message, fix=error.hint)
        return
    yield Check("remote", ok=True, message=f"{remote} answers, and has {_amount(len(there.tags), 'tag')}")
    yield _branch(repo, settings, remote, there.branch)
    if there.branch is not None and is_ancestor(repo, there.branch, settings.tip):
        yield _tags(repo, settings, remote, there)
    yield _rights(repo, settings, remote, there.branch)


def _branch(repo: GitRepository, settings: Settings, remote: str, there: str | None) -> Check:
    name, branch, where = "remote branch", settings.branch, shlex.quote(remote)
    if there is None:
        return Check(name, ok=False, message=f"{remote} has no branch {branch}", fix="mreg push")
    if there == settings.tip:
        return Check(name, ok=True, message=f"{branch} of {remote} is at {there[:12]}, as here")
    if is_ancestor(repo, there, settings.tip):
        count = _amount(int(repo.runner.text("rev-list", "--count", f"{there}..{settings.tip}")), "commit")
        return Check(name, ok=True, message=f"{branch} has {count} that {remote} lacks", fix="mreg push")
    if is_ancestor(repo, settings.tip, there):
        spec = shlex.quote(branch if repo.head_branch() == branch else f"{branch}:{branch}")
        fix = f"git {'pull --ff-only' if repo.head_branch() == branch else 'fetch'} {where} {spec}"
        return Check(name, ok=False, message=f"{branch} of {remote} is ahead, at {there[:12]}", fix=fix)
    message = f"{branch} of {remote} is at {there[:12]}, which is not in the history here"
    return Check(name, ok=False, message=message, fix=f"git fetch {where}   # then mreg doctor says how they differ")


def _tags(repo: GitRepository, settings: Settings, remote: str, there: RemoteRefs) -> Check:
    name, reader, layout = "remote tags", Reader(repo), settings.policy.layout
    names = [tag.name for tag in tags_of(reader.replay(Standing(), str(there.branch), layout))]
    here = dict(zip(names, repo.resolve([_TAGS + each for each in names]), strict=True))
    missing = [each for each in names if each not in there.tags]
    other = [each for each in names if here[each] not in {None, there.tags.get(each, here[each])}]
    if missing:
        message = f"{remote} lacks {_amount(len(missing), 'tag')}, first {missing[0]}"
        return Check(name, ok=False, message=message, fix="mreg sync --push")
    if other:
        message = f"{other[0]} of {remote} is not the one that is here"
        return Check(name, ok=False, message=message, fix="mreg verify --remote   # shows which of them is right")
    return Check(name, ok=True, message=count_there(len(names)))


def count_there(number: int) -> str:
    """Returns in words that as many things are there as should be."""
    if number == 1:
        return "the only one is there"
    return f"all {number} are there" if number else "there are none yet"


def _rights(repo: GitRepository, settings: Settings, remote: str, there: str | None) -> Check:
    name = "push"
    goes_ahead = there is None or is_ancestor(repo, there, settings.tip)
    update = RefUpdate(f"refs/heads/{settings.branch}", settings.tip if goes_ahead else str(there), there)
    try:
        may_push(repo, remote, update)
    except RefMovedError:
        pass
    except MregError as error:
        return Check(name, ok=False, message=error.message, fix=error.hint)
    return Check(name, ok=True, message=f"{remote} accepts a trial push; its hooks and rules only show in a real one")


def _amount(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
