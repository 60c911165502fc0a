"""What ``git log`` said of some folders up to a commit, kept below ``.git/mreg/history`` because it never changes.

In a large registry Git takes a minute to read all history, and seconds to walk past the other models' commits; what
came since is read in milliseconds.

Rules:
    * An entry is for folders and one commit, its tip.  It serves that commit, and commits whose first-parent history
      leads to it: those ask Git for the rest.
    * One of wider folders serves where there is no own one.
    * It is never the source of truth: one that is missing, of another form, or not as its checksum says is not there.
      Nothing that proves (``mreg verify``, ``mreg check``) reads it.
    * A short history has none, and neither has a shallow clone.
    * It is a stream, and nobody holds all of it: not mreg, and not Git.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from itertools import chain, islice
from pathlib import Path

from msgspec import MsgspecError, Struct

from mreg.core.history.manifest import StageEntry
from mreg.core.history.timeline import Commit
from mreg.stores.git.branches import count_since
from mreg.stores.git.history.covering import only_below
from mreg.stores.git.history.log_file import (
    SUFFIX,
    LogFile,
    LogWriter,
    Stretch,
    open_log,
)
from mreg.stores.git.history.stretches import read_stretches
from mreg.stores.git.repository import GitRepository

__all__ = ["ReadEntries", "read_log"]

SLOW_S = 0.1
"""What Git must have taken before an entry is made."""
SHORT = 1000
"""Commits of an entry that is made anew whenever there is something new; a longer one is more work."""
BEHIND = 1000
"""New commits before such a one is made anew."""
_FOLDER = "history"

ReadEntries = Callable[[Sequence[Commit]], dict[str, StageEntry]]
"""Gives what the stage files say that some commits brought, by object id; one that cannot be read is left out."""


def read_log(
    repo: GitRepository,
    tip: str,
    folders: Sequence[str],
    *,
    keep: bool,
    read_entries: ReadEntries,
    within: Sequence[str] = (),
) -> Iterator[Stretch]:
    """Yields what ``repo.log`` returns, sooner, and what the stage files say.

    Args:
        repo: A clone that is not shallow.
        tip: The newest commit.
        folders: The changes are those below them.
        keep: Also write an entry, where that is worth it: not for a branch that may come to nothing.
        read_entries: Reads what no entry holds.
        within: Folders that hold the others, whose entry serves too.
    """
    path = _path(repo, folders)
    with ExitStack() as files:
        own = _find(files, repo, path, tip)
        wider = _find(files, repo, _path(repo, within), tip) if within and own is None else None
        found = own or wider
        began = time.monotonic()
        new: Iterable[Stretch] = ()
        if found is None or found.behind:
            new = _ask_git(repo, tip, folders, found.file.tip if found else None, read_entries)
        if own:
            is_worth_it = own.behind >= BEHIND or (own.behind > 0 and own.file.count <= SHORT)
        else:
            is_worth_it = wider is not None or time.monotonic() - began >= SLOW_S
        old: Iterable[Stretch] = own.file if own else _below(wider.file, folders) if wider else ()
        told: Iterable[Stretch] = chain(old, new)
        if keep and is_worth_it:
            told = _keep(told, LogWriter(path, tip))
        count = 0
        try:
            for stretch in told:
                yield stretch
                count += len(stretch.commits)
        except MsgspecError:  # written by a hand that knew the checksum: Git tells the rest
            whole = chain.from_iterable(each.commits for each in _ask_git(repo, tip, folders, None, read_entries))
            yield Stretch(list(islice(whole, count, None)), {})


class _Found(Struct, frozen=True):
    """An entry that serves a commit."""

    file: LogFile
    behind: int
    """First-parent commits that came since."""


def _path(repo: GitRepository, folders: Sequence[str]) -> Path:
    name = hashlib.sha256("\0".join(folders).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return repo.state_dir / _FOLDER / f"{name}{SUFFIX}"


def _find(files: ExitStack, repo: GitRepository, path: Path, tip: str) -> _Found | None:
    file = open_log(path)
    if file is None:
        return None
    files.enter_context(closing(file))
    behind = count_since(repo, file.tip, tip)
    return None if behind is None else _Found(file, behind)


def _below(stretches: Iterable[Stretch], folders: Sequence[str]) -> Iterator[Stretch]:
    """Yields what wider folders hold of some; the rest is what Git would leave out too."""
    for stretch in stretches:
        commits = list(only_below(stretch.commits, folders))
        oids = {each.new for commit in commits for each in commit.changes}
        yield Stretch(commits, {oid: entry for oid, entry in stretch.entries.items() if oid in oids})


def _ask_git(
    repo: GitRepository, tip: str, folders: Sequence[str], since: str | None, read_entries: ReadEntries
) -> Iterator[Stretch]:
    """Returns what Git says; it has said it all by then."""
    return (Stretch(commits, read_entries(commits)) for commits in read_stretches(repo, tip, folders, since=since))


def _keep(stretches: Iterable[Stretch], writer: LogWriter) -> Iterator[Stretch]:
    try:
        for stretch in stretches:
            writer.add(stretch)
            yield stretch
        writer.finish()
    finally:
        with suppress(OSError):
            writer.close()
