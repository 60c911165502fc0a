"""The remote of a branch: what it says before a decision is made, and what it takes after.

Rules:
    * A decision with a push is made on what the remote has: the local branch follows it first, as ``git pull
      --ff-only`` would.
    * What is pushed lands there whole before anything moves here; where it does not land, nothing does.
    * Histories that have diverged are joined by ``push`` alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from mreg.core.history.tags import derive_tags, find_blockers
from mreg.core.history.timeline import Appearance, Timeline, Transition
from mreg.core.names import ModelName
from mreg.errors import ConflictError
from mreg.stores.git.remotes.divergence import is_on_top
from mreg.stores.git.remotes.pushing import fetch, find_remote, is_ancestor, push, remote_tags
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher, RefMovedError, RefUpdate

__all__ = ["Upstream"]

_TAGS = "refs/tags/"


class Upstream(Struct, frozen=True):
    """The registry branch, or that of a pull request, as one remote has it."""

    repo: GitRepository
    remote: str
    branch: str
    tip: str | None = None
    """Where the branch is there, as last fetched; ``None`` where the remote lacks it."""
    is_registry: bool = True
    """False for the branch of a pull request."""

    @classmethod
    def fetch(cls, repo: GitRepository, branch: str) -> Upstream:
        """Fetches the registry branch.

        Raises:
            OutsideError: There is no remote, or it does not answer.
        """
        upstream, _ = cls.fetch_both(repo, branch, None)
        return upstream

    @classmethod
    def fetch_both(
        cls,
        repo: GitRepository,
        branch: str,
        other: str | None,
        models: Iterable[ModelName] = (),
        *,
        is_first: bool = False,
    ) -> tuple[Upstream, Upstream | None]:
        """Fetches the registry branch, another one if asked for, and the tags of some models.

        Args:
            repo: The repository.
            branch: The registry branch.
            other: Another branch.
            models: Whose tags.
            is_first: Where nothing has moved, tags may wait until the push meets one that is not known here.

        Raises:
            OutsideError: There is no remote, or it does not answer.
        """
        remote = find_remote(repo, branch)
        patterns = [f"{model}{mark}*" for model in models for mark in "@#"]
        tip, *tips = fetch(repo, remote, [branch, *([other] if other else [])], patterns, is_first=is_first)
        upstream = cls(repo, remote, branch, tip)
        return upstream, cls(repo, remote, other, tips[0], is_registry=False) if other else None

    def follow(self, publisher: Publisher) -> None:
        """Moves the local branch to where the remote's is, if that is ahead; the publisher must be locked.

        Raises:
            ConflictError: Each has commits that the other lacks.
            DirtyFilesError: A checked-out file that changes has uncommitted changes.
        """
        local = self.repo.branch_tip(self.branch)
        if local is None or self.tip is None or self.tip == local:
            return
        if is_ancestor(self.repo, self.tip, local):
            # A merge made here puts the commits here first, and those that others have seen beside the history.
            if self.is_registry and not is_on_top(self.repo, local, self.tip):
                raise ConflictError(
                    f"a merge on {self.branch} puts commits of this clone before those of {self.remote}/{self.branch}",
                    hint=f"{self._command()}   # puts them on top; then run this again",
                    details={"branch": self.branch, "remote": self.remote, "local": local, "there": self.tip},
                )
            return
        if not is_ancestor(self.repo, local, self.tip):
            raise ConflictError(
                f"{self.branch} and {self.remote}/{self.branch} have diverged: each has commits that the other lacks",
                hint=f"{self._command()}   # joins them; then run this again",
                details={"branch": self.branch, "remote": self.remote, "local": local, "there": self.tip},
            )
        paths = [change.path for change in self.repo.changes(local, self.tip)]
        update = RefUpdate(f"refs/heads/{self.branch}", self.tip, local)
        publisher.publish([update], paths=paths, reason=f"mreg: follow {self.remote}/{self.branch}")

    def tell_unpushed(self, local: str | None) -> tuple[str, ...]:
        """Returns what to know where nothing is left to do, and the remote lacks what made it so."""
        if local is None or local == self.tip:
            return ()
        return (f"{self.remote} does not have this yet, as it lacks commits of {self.branch} here: {self._command()}",)

    def _command(self) -> str:
        return "mreg push" if self.is_registry else f"mreg push --branch {shlex.quote(self.branch)}"

    def fetch_tags(self, names: Iterable[str]) -> None:
        """Fetches those of some tags that the remote has and this clone lacks: a signed one cannot be made again."""
        absent = [name for name, update in self._find(names).items() if update is None]
        there = self.tags() if absent else {}
        wanted = [name for name in absent if name in there]
        if wanted:
            fetch(self.repo, self.remote, [], wanted)

    def push(self, updates: Sequence[RefUpdate]) -> None:
        """Lands what moves, and makes the remote-tracking branch say so.

        A tag that cannot be there beside one that is does not keep the others from landing.

        Raises:
            RefMovedError: Someone else moved first.
            PushRefusedError: The server's rules say no.
            OutsideError: The remote does not answer.
        """
        try:
            push(self.repo, self.remote, updates)
        except RefMovedError:
            blocked = find_blockers((update.ref for update in updates), {_TAGS + name for name in self.tags()})
            if not blocked:
                raise
            push(self.repo, self.remote, [update for update in updates if update.ref not in blocked])

    def unpushed_tags(self, timeline: Timeline, tip: str, *, besides: Collection[str] = ()) -> list[RefUpdate]:
        """Returns the tags that this clone has of commits that the remote lacks.

        Args:
            timeline: The whole history.
            tip: The local commit.
            besides: Names of tags that nobody else shall get.
        """
        if self.tip == tip:
            return []
        commits = set(self.repo.runner.text("rev-list", "--first-parent", *self._range(tip)).split("\n"))
        names = [tag.name for tag in derive_tags(timeline) if _commit_of(tag.event) in commits]
        return self._updates(name for name in names if name not in besides)

    def tags(self) -> Mapping[str, str]:
        """Returns the object id of every tag that the remote has, by name."""
        return remote_tags(self.repo, self.remote)

    def missing_tags(self, names: Iterable[str], there: Collection[str]) -> list[RefUpdate]:
        """Returns those of some tags that this clone has and the remote lacks."""
        return self._updates(name for name in names if name not in there)

    def _updates(self, names: Iterable[str]) -> list[RefUpdate]:
        return [update for update in self._find(names).values() if update]

    def _find(self, names: Iterable[str]) -> dict[str, RefUpdate | None]:
        names = list(names)
        oids = self.repo.resolve([_TAGS + name for name in names])
        return {
            name: RefUpdate(_TAGS + name, oid, None) if oid else None for name, oid in zip(names, oids, strict=True)
        }

    def _range(self, tip: str) -> tuple[str, ...]:
        return (tip, f"^{self.tip}") if self.tip else (tip,)


def _commit_of(event: Appearance | Transition) -> str:
    return event.commit.oid if isinstance(event, Appearance) else event.commit
