"""Watching a registry elsewhere: a version in place, and each that follows it.

>>> import mreg
>>> for pulled in mreg.watch("churn@production", repo="https://git.example.com/registry.git", output="model.pkl"):
...     serve(pulled.path)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from threading import Event
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.following import News, Pace
from mreg.core.names import Selector, parse_selector, parse_version
from mreg.core.results import LinkMode, Pulled
from mreg.errors import MregError, UsageError
from mreg.registry.arguments import as_choice, as_path
from mreg.registry.reading.reader import Reader
from mreg.registry.serving.following import Following
from mreg.registry.serving.hooks import as_command, make_hook
from mreg.registry.serving.remote_pulling import Resolved, Serving, locate_repo
from mreg.stores.git.remotes.pushing import find_remote
from mreg.stores.git.repository import GitRepository
from mreg.stores.serving.cache import ServingCache
from mreg.stores.serving.marks import Mark, Marks
from mreg.stores.serving.uses import Last

__all__ = ["EVERY_S", "HOOK_TIMEOUT_S", "find_repo", "watch"]

EVERY_S = 30.0
HOOK_TIMEOUT_S = 60.0


def watch(  # noqa: PLR0913 - what one watch is told
    selector: str,
    *,
    repo: str | PathLike[str],
    output: str | PathLike[str],
    branch: str | None = None,
    allow_older: bool = False,
    every: float = EVERY_S,
    link: LinkMode | str = LinkMode.AUTO,
    force: bool = False,
    command: str | Sequence[str] = (),
    command_timeout: float = HOOK_TIMEOUT_S,
    stop: Event | None = None,
    on_news: Callable[[News], None] | None = None,
) -> Iterator[Pulled]:
    """Yields the version that is in place at the start, and each one that follows it.

    Between two versions it waits, so give it a thread; while the caller has one in hand, nothing is moved.  A registry
    or storage that fails later leaves the last good version in place, is told to ``on_news``, and tried again.

    Args:
        selector: Which version: mostly what a stage holds.
        repo: URL or path of the registry's Git repository.
        output: Where to: the path of the file or directory itself.
        branch: The registry branch; by default what ``registry.yaml`` says.
        allow_older: Follow a registry that goes back, too.
        every: Seconds between two looks, about: they vary, and become more after failures.
        link: Copy the bytes out of the serving cache, or link to them.
        force: Replace what is there, be it not a version of this model.
        command: Is run after each version, told of it by ``MREG_…`` variables; again at the next look where it fails.
        command_timeout: Seconds after which the command is ended.
        stop: Ends the watch when it is set, in the middle of a download too.
        on_news: Is told when something begins to fail, and when that is over; in the caller's thread.

    Raises:
        UsageError: An argument makes no sense, or there is no such program.
        MregError: At the start alone: there is nothing in place to stay with, and waiting does not mend it.
    """
    chosen, ended = parse_selector(selector), _as_event(stop)
    place = Path(os.path.abspath(as_path(output, "output")))  # noqa: PTH100 - links stay; the process may move on
    every_s, timeout_s = _as_seconds(every, "every"), _as_seconds(command_timeout, "command_timeout")
    serving = Serving(repo, branch=branch, allow_older=allow_older)
    marks = Marks(ServingCache.find().root, serving.remote.label, branch or "", str(chosen), str(place))
    how = as_choice(link, LinkMode, "link")
    source = _Source(serving, chosen, place, how, force, ended, marks)
    is_stopped = ended.is_set
    is_asked = bool(command) or isinstance(command, str)  # an empty text is a slip: a variable that is not set
    hook = make_hook(as_command(command), chosen, timeout_s=timeout_s, is_stopped=is_stopped) if is_asked else None
    return Following(source, Pace(every_s), ended, on_news or _ignore, hook).run()


def find_repo(directory: Path) -> str:
    """Returns what to watch for a clone: the URL of its remote, or its own path where it has none.

    Raises:
        NotARegistryError: There is no Git repository, or no registry in it.
        OutsideError: Nothing tells which of its remotes.
    """
    repo = GitRepository(directory)
    here = repo.worktree or repo.git_dir
    if not repo.runner.text("remote").strip():
        return os.fspath(here)
    remote = find_remote(repo, Reader(repo).settings().branch)
    return locate_repo(repo.runner.text("remote", "get-url", remote), here)


class _StoppedError(MregError):
    """The caller wants no more of it."""


class _Source(Struct, frozen=True):
    """Where a watch looks, and how it gets what it finds."""

    serving: Serving
    selector: Selector
    output: Path
    link: LinkMode
    force: bool
    stop: Event
    marks: Marks

    def resolve(self) -> Resolved:
        """Asks the registry what the selector names now."""
        return self.serving.resolve(str(self.selector))

    def place(self, resolved: Resolved) -> Pulled:
        """Puts the bytes in place, and remembers which."""
        pulled = self.serving.place(
            resolved, self.output, link=self.link, force=self.force, progress=self._end_when_stopped
        )
        self.marks.save(Mark(str(pulled.version), pulled.commit))
        return pulled

    def recall(self) -> Iterator[Resolved]:
        """Yields what this machine knew last, what was in place here last, or elsewhere on it; asks nobody."""
        known = self.serving.recall(str(self.selector))
        if known:
            yield known
        for then in (self.marks.load(), self.serving.last(str(self.selector))):
            found = self._recall(then) if then else None
            if found:
                yield found

    def _recall(self, then: Mark | Last) -> Resolved | None:
        found = self.serving.recall(str(self.selector), commit=then.commit)
        if found is None:  # that commit was dropped from the cache; the record may have stayed as it was
            with suppress(MregError):
                exact = Selector(self.selector.model, parse_version(then.version))
                now = self.serving.recall(str(exact))
                return replace(now, selector=self.selector, commit=then.commit, committed_at=None) if now else None
        return found

    def _end_when_stopped(self, done: int, total: int) -> None:
        if self.stop.is_set():
            raise _StoppedError("the watch was ended")


def _as_seconds(value: object, what: str) -> float:
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"{what} must be a number of seconds, not {value!r}", hint=f"{what}=30")
    return float(value)


def _as_event(value: object) -> Event:
    if value is None:
        return Event()
    if not (isinstance(value, Event) or hasattr(value, "is_set")):
        raise UsageError(f"stop must be an event, not {value!r}", hint="stop=threading.Event()")
    return cast("Event", value)


def _ignore(_: News) -> None:
    pass
