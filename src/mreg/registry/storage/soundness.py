"""Looking whether the bytes of versions are where they should be, and putting right what can be.

Rules:
    * A store is looked at with one listing where there is much; every file of a directory is looked up.
    * What a store says of bytes without reading them is a suspicion: the object is read before it counts as changed.
    * An object is put right from a copy whose every byte was read and is as the record says; nothing else is sent.
    * What is not in a cache is no fault where a remote is set: it can be had.
    * What others gave up is no fault, and nothing sends it back: the Git remote is asked before the DVC remote is, and
      where it does not answer, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Artifact, Record
from mreg.core.history.state import RegistryState
from mreg.core.names import Selector, Version, parse_model_name, parse_selector
from mreg.core.storage.objects import FaultKind, Found, StoredObject, VersionBytes, find_fault
from mreg.core.storage.retention import Key
from mreg.core.storage.soundness import ByteFault, Depth, Soundness, VersionFault
from mreg.errors import DataError, NotFoundError, OutsideError
from mreg.registry.reading.artifacts import open_store
from mreg.registry.reading.reader import Reader
from mreg.registry.storage.objects import describe, find_lists, read_file_lists
from mreg.registry.storage.registered import find_registered, read_artifacts
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.dvc import DvcStore
from mreg.stores.dvc.holdings import Shelf
from mreg.stores.git.remotes.pushing import fetch, find_remote
from mreg.stores.git.repository import GitRepository

__all__ = ["Checking"]


class _Subject(Struct, frozen=True):
    """What is looked at."""

    artifacts: Mapping[Key, Artifact]
    bytes: Mapping[Key, VersionBytes]
    deleted: int
    untracked: int
    notices: tuple[str, ...]

    @property
    def items(self) -> dict[str, StoredObject]:
        """The objects by name, each once."""
        return {item.md5: item for each in self.bytes.values() for item in each.objects}


class Checking(Struct, frozen=True):
    """One look at the bytes of some versions: where, how closely, and whether it mends."""

    repo: GitRepository
    wanted: Sequence[str] = ()
    """Models and selectors; all where empty."""
    remote: bool = False
    read_data: bool = False
    repair: bool = False
    progress: Progress | None = None

    def run(self) -> Soundness:
        """Looks, and with ``repair`` mends.

        Raises:
            NotFoundError: What is asked for is not registered, or there is no remote.
            DataError: A record or a file list cannot be read.
            OutsideError: The DVC remote or the disk failed; or, with ``repair``, the Git remote does not answer.
        """
        store = open_store(self.repo)
        shelf = store.remote_shelf() if self.remote else store.cache_shelf()
        if shelf is None:
            raise NotFoundError("no default DVC remote is set", hint="mreg init --remote s3://bucket/path")
        other = store.cache_shelf() if self.remote else store.remote_shelf()
        shelves = [each for each in (store.cache_shelf(), other if not self.remote else shelf) if each]
        subject = self._subject(shelves)
        items = subject.items
        found = self._look(shelf, items)
        bad = {md5: kind for md5, item in items.items() if (kind := find_fault(item, found.get(md5)))}
        unlisted = {key for key, each in subject.bytes.items() if not each.is_listed}
        absent: set[Key] = set()
        if not self.remote and other is not None:
            absent = {key for key, each in subject.bytes.items() if _lacks(each, bad)}
            bad = {md5: kind for md5, kind in bad.items() if kind is not FaultKind.MISSING}
        copies = self._find_copies(other, items, bad)
        repaired: set[str] = set()
        if self.repair and copies:
            repaired = self._mend(store, shelf, items, {md5: bad[md5] for md5 in copies})
            bad = {md5: kind for md5, kind in bad.items() if md5 not in repaired}
        doubtful = unlisted - absent
        judged = (self._fault(subject, key, bad, copies, doubtful) for key in sorted(subject.bytes))
        return Soundness(
            place=shelf.place.url,
            remote=shelf.place.name if self.remote else "",
            depth=Depth.READ if self.read_data else Depth.LISTED,
            versions=len(subject.bytes),
            objects=len(items),
            size=sum(each.size for each in found.values()),
            faults=tuple(filter(None, judged)),
            repaired=len(repaired),
            deleted=subject.deleted,
            absent=len(absent),
            untracked=subject.untracked,
            notices=subject.notices,
            wanted=tuple(self.wanted),
        )

    def _subject(self, shelves: Sequence[Shelf]) -> _Subject:
        reader = Reader(self.repo)
        settings = reader.settings()
        layout = settings.policy.layout
        state = reader.state(settings.tip, settings.policy)
        keys = self._choose(state)
        asked, notices = self._ask(settings.branch)
        # What was given up stays so: a clone that is behind calls nothing missing for that, and sends nothing back.
        tips = {asked, self.repo.tracked_tip(settings.branch)} - {None, settings.tip}
        known = [state, *(reader.state(there, settings.policy) for there in tips if there)]
        given_up = {key for key in keys if any(_is_given_up(each, key) for each in known)}
        kept = [key for key in keys if key not in given_up]
        oids = {key: oid for key in kept if (oid := state.models[key[0]].file_lists.get(key[1]))}
        if self.repo.is_shallow:
            artifacts = dict(_artifacts(kept, reader.records_of(state, kept)))
            notices += ("this clone is shallow: nothing shows here whether a record was changed since",)
        else:
            first = find_registered(self.repo, settings.tip, layout)
            artifacts = read_artifacts(
                reader, layout, {key: first.records[key] for key in kept if key in first.records}
            )
            oids |= {key: oid for key, oid in first.file_lists.items() if key in oids}
        files = read_file_lists(self.repo, layout, artifacts, oids)
        lists = find_lists((each.md5 for each in artifacts.values() if each.md5.endswith(".dir")), shelves)
        described = describe(artifacts, files, lists)
        return _Subject(artifacts, described, len(given_up), len(artifacts) - len(described), notices)

    def _ask(self, branch: str) -> tuple[str | None, tuple[str, ...]]:
        """Returns where the Git remote has the registry branch, and what to know where it does not answer.

        Raises:
            OutsideError: It does not, and what would be sent may have been given up there.
        """
        if not self.remote or not self.repo.runner.text("remote"):
            return None, ()
        try:
            return fetch(self.repo, find_remote(self.repo, branch), [branch])[0], ()
        except OutsideError as error:
            if not self.repair:
                return None, (f"what others gave up since the last git fetch may be called missing: {error.message}",)
            raise OutsideError(
                f"nothing is repaired, since nobody knows here which bytes others gave up: {error.message}",
                hint=error.hint,
                details=error.details,
            ) from error

    def _choose(self, state: RegistryState) -> list[Key]:
        chosen: dict[Key, None] = {}
        for text in self.wanted or [name for name, model in state.models.items() if model.records]:
            for key in _select(state, text):
                chosen[key] = None
        return list(chosen)

    def _look(self, shelf: Shelf, items: Mapping[str, StoredObject]) -> dict[str, Found]:
        found = dict(shelf.look(items))
        if self.read_data:
            wanted = [md5 for md5, each in found.items() if find_fault(items[md5], replace(each, md5="")) is None]
        else:
            wanted = [md5 for md5, each in found.items() if find_fault(items[md5], each) is FaultKind.CHANGED]
        size = sum(found[md5].size for md5 in wanted)
        return found | shelf.hash_objects(wanted, size, self.progress)

    def _find_copies(
        self, other: Shelf | None, items: Mapping[str, StoredObject], bad: Collection[str]
    ) -> frozenset[str]:
        """Returns those of the faulty objects of which the other side has a good copy: each byte of it is read."""
        if other is None or not bad:
            return frozenset()
        there = other.look(bad)
        likely = [md5 for md5, each in there.items() if find_fault(items[md5], replace(each, md5="")) is None]
        if not self.repair and self.remote is False:
            return frozenset(likely)  # which would be downloaded only to be told of
        read = other.hash_objects(likely, sum(there[md5].size for md5 in likely), self.progress)
        return frozenset(md5 for md5, each in read.items() if find_fault(items[md5], each) is None)

    def _mend(
        self, store: DvcStore, shelf: Shelf, items: Mapping[str, StoredObject], bad: Mapping[str, FaultKind]
    ) -> set[str]:
        """Puts objects right from the other side, and returns those that are right now."""
        shelf.delete([md5 for md5, kind in bad.items() if kind is not FaultKind.MISSING])
        if self.remote:
            store.send(bad, progress=self.progress)
        else:
            store.fetch(bad, size=sum(items[md5].size or 0 for md5 in bad), progress=self.progress)
        found = shelf.look(bad)
        return {md5 for md5 in bad if find_fault(items[md5], found.get(md5)) is None}

    def _fault(
        self,
        subject: _Subject,
        key: Key,
        bad: Mapping[str, FaultKind],
        copies: Collection[str],
        unlisted: Collection[Key],
    ) -> VersionFault | None:
        each, artifact = subject.bytes[key], subject.artifacts[key]
        faults = [
            ByteFault(bad[item.md5], item.md5, item.path or artifact.path, item.md5 in copies)
            for item in each.objects
            if item.md5 in bad
        ]
        if key in unlisted:
            faults.append(ByteFault(FaultKind.MISSING, "", artifact.path, has_copy=False))
        return VersionFault(*key, len(each.objects), artifact.size, tuple(faults)) if faults else None


def _artifacts(keys: Iterable[Key], found: Iterable[Record | DataError]) -> Iterator[tuple[Key, Artifact]]:
    for key, record in zip(keys, found, strict=True):
        if isinstance(record, DataError):
            raise record
        yield key, record.artifact


def _is_given_up(state: RegistryState, key: Key) -> bool:
    model = state.models.get(key[0])
    mark = model.archived.get(key[1]) if model else None
    return bool(mark and mark.deletion)


def _lacks(each: VersionBytes, bad: Mapping[str, FaultKind]) -> bool:
    return not each.is_listed or any(bad.get(item.md5) is FaultKind.MISSING for item in each.objects)


def _select(state: RegistryState, text: str) -> Iterable[Key]:
    if "@" not in text and "#" not in text:
        name = parse_model_name(text)
        versions: Iterable[Version] = state.model(name).versions
        return [(name, version) for version in versions]
    selector: Selector = parse_selector(text)
    return [(selector.model, state.select(selector))]
