"""A registry elsewhere as one machine sees it, look by look: what was seen once, the registry cannot take back.

Rules:
    * A look takes two or three connections where nothing is here yet, and one where nothing changed.
    * What was seen once is not undone: a commit that does not come after the newest one seen is refused, and so is a
      record that names other bytes than when its version was first pulled here, or than its tag seals.
    * A repository on this disk that cannot be read is made anew.  What was seen is kept beside it.
    * Who waited for another process's look takes its answer, or its failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.state import RegistryState
from mreg.core.names import Selector, StageName, Version
from mreg.errors import GitError, MregError, OlderStateError, OutsideError, StorageError
from mreg.registry.reading.artifacts import read_stall
from mreg.registry.serving.glance import Glance, Seal
from mreg.registry.serving.record_check import check_record
from mreg.registry.serving.tip import Tip, TipFinder
from mreg.registry.serving.wanted import Known, Wanted, check_bytes_named, find_deletion, hashes_of, read_files
from mreg.stores.dvc import STALL_S
from mreg.stores.git.remotes.shallow import BrokenCacheError, Remote, ShallowRepository
from mreg.stores.serving.cache import Failure, Memory, RemoteCache

__all__ = ["RemoteView", "Resolved", "Sighting"]

T = TypeVar("T")

See: TypeAlias = Callable[[ShallowRepository, Memory], T]
"""Looks with a repository, and remembers what it saw."""
_ATTEMPTS = 4
"""With a repository that is broken, in the other object format, or of a server that gives no files by their ids."""
_MAX_PACKS = 200
"""Each look at something new adds a pack or two, and Git reads through all of them."""


class Resolved(Struct, frozen=True):
    """What a selector names at one commit of a registry elsewhere."""

    selector: Selector
    commit: str
    """The registry commit."""
    branch: str
    """The registry branch."""
    wanted: Wanted
    stages: tuple[StageName, ...]
    """The stages that hold the version there, sorted."""
    config: str
    """The committed ``.dvc/config``."""
    committed_at: datetime | None = None
    """When that commit says that it was made."""

    @property
    def version(self) -> Version:
        """The version."""
        return self.wanted.record.version


class Sighting(Struct, frozen=True):
    """A version at the newest commit of a registry elsewhere."""

    state: RegistryState
    """All of its model there."""
    record: Record
    notices: tuple[str, ...]
    seal: Seal | None
    """The commit of its tag; ``None`` where that does not seal this record."""


class RemoteView:
    """One registry elsewhere."""

    def __init__(self, cache: RemoteCache, remote: Remote, *, branch: str = "", allow_older: bool = False) -> None:
        """Looks at nothing yet.

        Args:
            cache: What was seen before.
            remote: Where the registry is.
            branch: The registry branch; empty for what ``registry.yaml`` says.
            allow_older: Take what is there now, whatever was seen before.
        """
        self._cache = cache
        self._remote = remote
        self._branch = branch
        self._allow_older = allow_older
        self._kept: dict[Selector, Resolved] = {}

    def look(self, selector: Selector) -> Resolved:
        """Asks the remote what a selector names now.

        Raises:
            NotFoundError: The selector names nothing there, or there is no registry.
            ConflictError: The remote went back, or a record is not what its tag seals.
            DataError: A file there cannot be read, or a record was changed.
            OutsideError: The remote does not answer.
        """
        before = self._cache.load().begun
        with self._cache.locked():
            memory = self._cache.load()
            if memory.failure and memory.failure.number > before:
                raise memory.failure.error
            if memory.looks.get(self._branch, 0) > before:  # begun by another process after this one was asked
                try:
                    resolved, learned = self._recall(self._cache.open(memory), memory, selector)
                except GitError:
                    pass  # what that one left is broken already
                else:
                    self._cache.save(learned)
                    return resolved
            return self._ask(memory, partial(self._see, selector))

    def answer(self, question: Callable[[ShallowRepository, Tip], T]) -> T:
        """Asks the remote where the registry is now, and then something of what is there.

        Args:
            question: May read whatever it wants: what is not here is fetched.

        Raises:
            MregError: As ``look``.
        """
        return self._ask_alone(partial(self._answer, question))

    def inspect(self, selectors: Sequence[Selector]) -> list[Sighting]:
        """Asks the remote for the records of some versions, whether their bytes are known or not.

        Raises:
            MregError: As ``look``.
        """
        return self._ask_alone(partial(self._inspect, selectors))

    def recall(self, selector: Selector, commit: str = "") -> Resolved | None:
        """Returns what a selector named when this machine last looked; asks nobody.

        Args:
            selector: The selector.
            commit: Which of the commits that were seen; by default the newest.

        Returns:
            ``None`` where that is not known, or no longer.
        """
        try:
            with self._cache.locked():
                memory = self._cache.load()
                repo = self._cache.open(memory)
                repo.asks = False
                return self._recall(repo, memory, selector, commit)[0]
        except MregError:
            return None

    def read_stall(self) -> float:
        """Returns the seconds that storage may be silent, as Git's configuration says, in a repository of the cache.

        Raises:
            UsageError: It is not a number of seconds.
        """
        try:
            return read_stall(self._cache.open(self._cache.load()))
        except BrokenCacheError:  # somebody deleted it meanwhile
            return STALL_S

    def _recall(
        self, repo: ShallowRepository, memory: Memory, selector: Selector, commit: str = ""
    ) -> tuple[Resolved, Memory]:
        glance = Glance(repo, selector, memory)
        return self._read(glance, glance.recall(self._branch, commit), memory)

    def _ask_alone(self, see: See[T]) -> T:
        before = self._cache.load().begun
        with self._cache.locked():
            memory = self._cache.load()
            if memory.failure and memory.failure.number > before:
                raise memory.failure.error
            return self._ask(memory, see)

    def _ask(self, memory: Memory, see: See[T]) -> T:
        memory = replace(memory, begun=memory.begun + 1, failure=None)
        self._cache.save(memory)
        try:
            return self._try(memory, see)
        except (GitError, StorageError):
            raise
        except OutsideError as error:
            self._cache.save(replace(memory, failure=Failure(memory.begun, error.message, error.hint)))
            raise

    def _try(self, memory: Memory, see: See[T]) -> T:
        """Looks with the repository that is there, and where that does not do, with new ones."""
        number, kind, form, left = memory.repository, memory.kind, "sha1", _ATTEMPTS
        while True:
            try:
                repo = self._open(memory) if number == memory.repository else self._cache.create(number, kind, form)
                form = repo.object_format
                return see(repo, replace(memory, repository=number, kind=kind))
            except GitError as error:
                left -= 1
                if not left:
                    raise
                number += 1
                form, kind = str(error.details.get("form", form)), str(error.details.get("kind", kind))

    def _open(self, memory: Memory) -> ShallowRepository:
        repo = self._cache.open(memory)
        if repo.packs > _MAX_PACKS:
            raise BrokenCacheError("it has grown too large", details={"form": repo.object_format})
        return repo

    def _answer(self, question: Callable[[ShallowRepository, Tip], T], repo: ShallowRepository, memory: Memory) -> T:
        tip, memory = self._find(TipFinder(repo, memory), memory)
        self._remember(memory)
        return question(repo, tip)

    def _inspect(self, selectors: Sequence[Selector], repo: ShallowRepository, memory: Memory) -> list[Sighting]:
        first = Glance(repo, selectors[0], memory)
        tip, memory = self._find(first, memory)
        self._remember(memory)
        found = []
        for selector in selectors:
            glance = first if selector == first.selector else Glance(repo, selector, memory)
            sighting, memory = self._sight(glance, tip, memory)
            found.append(sighting)
        self._remember(memory)
        return found

    def _find(self, finder: TipFinder, memory: Memory, known: str = "") -> tuple[Tip, Memory]:
        """Returns where the registry is, and the memory of that; ``known`` is a commit that was not older before."""
        tip = finder.find(self._branch)
        if tip.commit != known:
            self._refuse_older(finder, tip, memory)
        memory = replace(memory, tips={**memory.tips, tip.branch: tip.commit})
        return tip, memory if self._branch else replace(memory, branch=tip.branch, root=tip.policy.root)

    def _see(self, selector: Selector, repo: ShallowRepository, memory: Memory) -> Resolved:
        glance, kept = Glance(repo, selector, memory), self._kept.get(selector)
        tip, memory = self._find(glance, memory, kept.commit if kept else "")
        is_kept = kept is not None and kept.commit == tip.commit
        try:
            resolved, memory = (kept, memory) if kept and is_kept else self._read(glance, tip, memory)
            memory = replace(memory, looks={**memory.looks, self._branch: memory.begun})
        except GitError:
            raise
        except MregError:
            self._remember(memory)  # whatever is wrong with this version, the registry was there already
            raise
        self._remember(memory)
        self._kept[selector] = resolved
        return resolved

    def _remember(self, memory: Memory) -> None:
        self._cache.save(memory)
        self._cache.tidy(memory.repository)

    def _refuse_older(self, finder: TipFinder, tip: Tip, memory: Memory) -> None:
        seen, label = memory.tips.get(tip.branch), self._remote.label
        if seen and not self._allow_older and not finder.repo.comes_after(tip.commit, seen):
            raise OlderStateError(
                f"{tip.branch} of {label} is at {tip.commit[:12]}, which does not come after {seen[:12]}: "
                "the newest commit that this machine has seen of it",
                hint="find out who moved it back; if it was on purpose, add --allow-older",
                details={"repo": label, "branch": tip.branch, "commit": tip.commit, "seen": seen},
            )

    def _read(self, glance: Glance, tip: Tip, memory: Memory) -> tuple[Resolved, Memory]:
        state, record = self._read_record(glance, tip)
        check_bytes_named(state, record)
        notices, memory = check_record(glance, state, record, memory, allow_older=self._allow_older)
        known = Known(lambda: hashes_of(glance.reader, state, record.model))
        files = read_files(glance.reader, state, record)
        deletion = find_deletion(state, record.model, record.version)
        wanted = Wanted(record, files, known, notices, deletion, self._remote.label)
        stages = state.models[record.model].stages_of(record.version)
        when = glance.repo.committed_at(tip.commit)
        return Resolved(glance.selector, tip.commit, tip.branch, wanted, stages, glance.config(tip), when), memory

    def _sight(self, glance: Glance, tip: Tip, memory: Memory) -> tuple[Sighting, Memory]:
        state, record = self._read_record(glance, tip)
        notices, memory = check_record(glance, state, record, memory, allow_older=self._allow_older)
        path = state.policy.layout.record(record.model, record.version)
        seal = glance.seal(record.version, path, state.models[record.model].records[record.version])
        return Sighting(state, record, notices, seal), memory

    def _read_record(self, glance: Glance, tip: Tip) -> tuple[RegistryState, Record]:
        state = glance.state(tip)
        version = glance.select(state)
        return state, glance.reader.record(state, glance.selector.model, version)
