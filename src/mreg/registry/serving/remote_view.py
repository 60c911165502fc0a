"""A registry elsewhere as one machine sees it, look by look: what was seen once, the registry cannot take back.

Rules:
    * A look takes two or three connections where nothing is here yet, and one where nothing changed.
    * What was seen once is not undone: a commit that does not come after the newest one seen is refused, and so is a
      record that names other bytes than when its version was first pulled here, or than its tag seals.
    * A repository on this disk that cannot be read is made anew.  What was seen is kept beside it.
    * Who waited for another process's look takes its answer, or its failure.
"""

from __future__ import annotations

import shlex
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.state import RegistryState
from mreg.core.history.tags import version_tag
from mreg.core.names import Selector, StageName, Version
from mreg.errors import (
    DataError,
    GitError,
    IncompleteHistoryError,
    MregError,
    OlderStateError,
    OutsideError,
    StorageError,
)
from mreg.registry.reading.artifacts import read_stall
from mreg.registry.serving.glance import Glance, Tip
from mreg.registry.serving.wanted import Known, Wanted, check_bytes_named, find_deletion, hashes_of, read_files
from mreg.stores.dvc import STALL_S
from mreg.stores.git.remotes.shallow import BrokenCacheError, Remote, ShallowRepository
from mreg.stores.serving.cache import Failure, Memory, Pin, RemoteCache

__all__ = ["RemoteView", "Resolved"]

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
            return self._ask(memory, selector)

    def recall(self, selector: Selector, commit: str = "") -> Resolved | None:
        """Returns what a selector named when this machine last looked; asks nobody.

        Args:
            selector: The selector.
            commit: Which of the commits that were seen; by default the newest.

        Returns:
            ``None`` where that is not known, or no longer.
        """
        with self._cache.locked():
            memory = self._cache.load()
            try:
                repo = self._cache.open(memory)
                repo.asks = False
                return self._recall(repo, memory, selector, commit)[0]
            except MregError:
                return None

    def read_stall(self) -> float:
        """Returns the seconds that storage may be silent, as Git's configuration says, in a repository of the cache.

        Raises:
            UsageError: It is no number of seconds.
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

    def _ask(self, memory: Memory, selector: Selector) -> Resolved:
        memory = replace(memory, begun=memory.begun + 1, failure=None)
        self._cache.save(memory)
        try:
            return self._try(memory, selector)
        except (GitError, StorageError):
            raise
        except OutsideError as error:
            self._cache.save(replace(memory, failure=Failure(memory.begun, error.message, error.hint)))
            raise

    def _try(self, memory: Memory, selector: Selector) -> Resolved:
        """Looks with the repository that is there, and where that does not do, with new ones."""
        number, kind, form, left = memory.repository, memory.kind, "sha1", _ATTEMPTS
        while True:
            try:
                repo = self._open(memory) if number == memory.repository else self._cache.create(number, kind, form)
                form = repo.object_format
                return self._see(repo, replace(memory, repository=number, kind=kind), selector)
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

    def _see(self, repo: ShallowRepository, memory: Memory, selector: Selector) -> Resolved:
        glance = Glance(repo, selector, memory)
        tip = glance.find(self._branch)
        kept = self._kept.get(selector)
        is_kept = kept is not None and kept.commit == tip.commit
        if not is_kept:
            self._refuse_older(glance, tip, memory)
        memory = replace(memory, tips={**memory.tips, tip.branch: tip.commit})
        if not self._branch:
            memory = replace(memory, branch=tip.branch, root=tip.policy.root)
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

    def _refuse_older(self, glance: Glance, tip: Tip, memory: Memory) -> None:
        seen, label = memory.tips.get(tip.branch), self._remote.label
        if seen and not self._allow_older and not glance.repo.comes_after(tip.commit, seen):
            raise OlderStateError(
                f"{tip.branch} of {label} is at {tip.commit[:12]}, which does not come after {seen[:12]}: "
                "that is the newest that this machine has seen of it",
                hint="find out who moved it back; where it was on purpose: the same command with --allow-older",
                details={"repo": label, "branch": tip.branch, "commit": tip.commit, "seen": seen},
            )

    def _read(self, glance: Glance, tip: Tip, memory: Memory) -> tuple[Resolved, Memory]:
        state = glance.state(tip)
        version = glance.select(state)
        model = state.models[glance.selector.model]
        record = glance.reader.record(state, model.model, version)
        check_bytes_named(state, record)
        notices, memory = self._check(glance, state, record, memory)
        known = Known(lambda: hashes_of(glance.reader, state, model.model))
        files = read_files(glance.reader, state, record)
        deletion = find_deletion(state, record.model, version)
        wanted = Wanted(record, files, known, notices, deletion, self._remote.label)
        stages = model.stages_of(version)
        when = glance.repo.committed_at(tip.commit)
        return Resolved(glance.selector, tip.commit, tip.branch, wanted, stages, glance.config(tip), when), memory

    def _check(
        self, glance: Glance, state: RegistryState, record: Record, memory: Memory
    ) -> tuple[tuple[str, ...], Memory]:
        """Returns notices, and the memory with what the version is, once it is sure that it was always that."""
        name = version_tag(record.model, record.version)
        path = state.policy.layout.record(record.model, record.version)
        oid = state.models[record.model].records[record.version]
        pin, now = memory.pins.get(name), Pin(oid, record.artifact.md5, record.artifact.sha256)
        if pin == now:
            return (), memory
        if pin and (pin.md5, pin.sha256) == (now.md5, now.sha256):
            return (f"{path} was changed since it was first pulled here; its bytes are the same",), memory
        if pin and not self._allow_older:
            raise DataError(
                f"{path} in {self._remote.label} names other bytes than when {name} was first pulled on this machine",
                hint=f"{self._clone()}   # shows who changed it",
                details={"file": path, "first": pin.sha256 or pin.md5, "now": now.sha256 or now.md5},
            )
        notices = self._compare_with_tag(glance.sealed(record.version, path), oid, path, name)
        return notices, replace(memory, pins={**memory.pins, name: now})

    def _compare_with_tag(self, sealed: str | None, oid: str, path: str, tag: str) -> tuple[str, ...]:
        label = self._remote.label
        if sealed is None:
            return (f"no tag {tag} in {label} shows that {path} is what was registered: mreg sync --push makes it",)
        if sealed != oid:
            raise IncompleteHistoryError(
                f"{path} in {label} is not what the tag {tag} seals: one of the two was changed",
                hint=f"{self._clone()}   # shows which",
                details={"file": path, "tag": tag},
            )
        return ()

    def _clone(self) -> str:
        return f"git clone {shlex.quote(self._remote.label)} registry && mreg -C registry verify"
