"""The upkeep of bytes: whether they are where they should be, and which may go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from mreg.core.settings.retention import Retention
from mreg.core.settings.rules import parse_duration
from mreg.core.text import check_line, check_text
from mreg.errors import UsageError
from mreg.registry.api.changes import Changes
from mreg.registry.arguments import as_count, as_text, as_texts

if TYPE_CHECKING:
    from mreg.core.storage.soundness import Soundness
    from mreg.core.storage.swept import Sweep
    from mreg.stores.artifacts.hashing import Progress

__all__ = ["Upkeep"]


class Upkeep(Changes):
    """Looks after what versions are made of, in this clone's cache and on the remote that all share."""

    def fsck(
        self,
        wanted: str | Sequence[str] = (),
        *,
        remote: bool = False,
        read_data: bool = False,
        repair: bool = False,
        progress: Progress | None = None,
    ) -> Soundness:
        """Returns the versions whose bytes are missing or changed.

        Args:
            wanted: Models (all their versions) and selectors; everything where empty.
            remote: Look at the default DVC remote instead of this clone's cache.
            read_data: Read every byte and compare its SHA-256, instead of presence, size and what the store tells.
            repair: Put the remote right from the cache, or the cache from the remote, where there is a good copy.
            progress: Called with bytes done and bytes in all.

        Raises:
            NotFoundError: What is asked for is not registered, or there is no remote.
            DataError: A record or a file list cannot be read.
            OutsideError: The DVC remote or the disk failed; or, with ``remote`` and ``repair``, the Git remote.
        """
        from mreg.registry.storage.soundness import Checking  # noqa: PLC0415 - writers do without

        names = as_texts(wanted, "wanted")
        return Checking(self._repo, names, remote, read_data, repair, progress).run()

    def gc(  # noqa: PLR0913 - each of these decides
        self,
        *,
        remote: bool = False,
        keep_newest: int | None = None,
        keep_within: str | timedelta | None = None,
        delete: bool = False,
        branch: str | None = None,
        push: bool | None = None,
        reason: str = "",
        ignore_unlisted: bool = False,
        progress: Progress | None = None,
    ) -> Sweep:
        """Deletes bytes that no kept version needs; what is or ever was in a stage is always kept.

        Args:
            remote: From the default DVC remote, for everyone: a commit says so first.  Else from this clone's cache,
                what the remote still holds.
            keep_newest: Keep so many versions of each model; by default as ``retention:`` says.
            keep_within: Keep what was registered in this time, ``90d``; by default as ``retention:`` says.
            delete: Do it; without it, nothing changes.
            branch: With ``remote``: give the bytes up on this branch, for a pull request, and delete nothing yet.
            push: Push that branch.
            reason: Why; by default the retention.
            ignore_unlisted: Go on where the list of a directory that DVC tracks is nowhere; its files are not kept.
            progress: Called with bytes done and bytes in all.

        Raises:
            UsageError: Nothing says what to keep.
            IncompleteHistoryError: The clone is shallow.
            DataError: A record, a file list or a pointer cannot be read.
            OutsideError: The Git remote, the storage or the disk failed.
        """
        from mreg.registry.storage.collecting import Collecting  # noqa: PLC0415 - writers do without

        collecting = Collecting(
            self._repo,
            remote=remote,
            retention=_as_retention(self.policy.retention, keep_newest, keep_within),
            delete=delete,
            branch=as_text(branch, "branch"),
            push=push,
            reason=check_text(reason, "reason"),
            strict=not ignore_unlisted,
            progress=progress,
        )
        return collecting.run()


def _as_retention(configured: Retention, newest: int | None, within: str | timedelta | None) -> Retention | None:
    """Returns what the arguments say, and of what they leave out what is configured; ``None`` where they say nothing.

    Raises:
        UsageError: One cannot be.
    """
    newest = as_count(newest, "keep_newest")
    if newest is None and within is None:
        return None
    if newest is not None and newest < 1:
        raise UsageError(f"keep_newest is {newest!r}: the newest version is always kept", hint="--keep-newest 1")
    within_s = configured.within_s
    if isinstance(within, timedelta):
        within_s = int(within.total_seconds())
        if within_s <= 0:
            raise UsageError(f"keep_within is {within!r}, which is not a time", hint="keep_within=timedelta(days=90)")
    elif within is not None:
        within_s = parse_duration(check_line(within, "keep_within")) if within else None
        if within_s is None:
            raise UsageError(f"{within!r} is not a duration", hint="--keep-within 90d, or --keep-within 12h")
    return Retention(configured.newest if newest is None else newest, within_s)
