"""Pulling: verified bytes of one version, put in place."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mreg.core.filelist import hash_file_list, parse_file_list
from mreg.core.names import Selector
from mreg.core.record import Artifact, ArtifactFile, Record
from mreg.core.results import LinkMode, Pulled
from mreg.core.state import RegistryState
from mreg.errors import CorruptArtifactError, DataError, NotFoundError, RefusedError
from mreg.registry.artifacts import open_stats, open_store
from mreg.registry.originals import find_original
from mreg.registry.reader import Reader
from mreg.stores.artifact import Ingested, ingest_cached
from mreg.stores.destination import Destination
from mreg.stores.dvc import DvcStore
from mreg.stores.hashing import Progress
from mreg.stores.placing import Placed, Placing, place
from mreg.stores.statcache import StatCache

__all__ = ["Pulling"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pulling:
    """One pull: which version, where to, and how."""

    reader: Reader
    state: RegistryState
    selector: Selector
    link: LinkMode
    force: bool
    progress: Progress | None

    def run(self, output: Path | None, into: Path) -> Pulled:
        """Puts the bytes in place, from the cache or else from the DVC remote.

        Args:
            output: Where; ``None`` for the artifact's own name in ``into``.
            into: A directory.

        Raises:
            NotFoundError: The selector names nothing, or no remote has the bytes.
            CorruptArtifactError: The bytes found are not those of the record.
            RefusedError: The destination is not a version of this model.
        """
        version = self.state.select(self.selector)
        record, notices = find_original(self.reader, self.state, self.selector.model, version)
        target = output or into / record.artifact.path
        if target.is_dir() and not record.artifact.is_directory and not self._is_placed(target):
            target /= record.artifact.path  # as cp does, save that one version replaces another
        self._refuse_to_replace(target)
        content = self._content(record)
        known = self._known() if target.exists() and not self.force else ()
        placed = self._fetching(lambda: self._place(content, target, known), record.artifact)
        artifact = content.artifact
        return Pulled(record.model, version, placed.path, placed.changed, artifact.sha256, artifact.size, notices)

    def _refuse_to_replace(self, target: Path) -> None:
        # Whatever --force says: nobody means these, and what was there would be gone.
        repo = self.reader.repo
        kept = [place.resolve() for place in (repo.worktree, repo.common_dir, repo.git_dir) if place]
        why = ""
        if target.exists() and not (target.is_file() or target.is_dir()):
            why = "it is neither a file nor a directory"
        elif any(place.is_relative_to(target.resolve()) for place in kept) or (target / ".git").exists():
            why = "a Git repository is in it"
        elif target.resolve().is_relative_to(repo.common_dir.resolve()) and not repo.is_bare:
            why = "it belongs to Git"
        if why:
            hint = f"mreg pull {self.selector} --output model   # or another path"
            raise RefusedError(f"{str(target)!r} is never replaced: {why}", hint=hint, details={"path": str(target)})

    def _place(self, content: Ingested, target: Path, known: Collection[str]) -> Placed:
        how = Placing(self.link, self.force, known)
        return place(content, self._store.cache(), target, how=how, stats=self._stats, progress=self.progress)

    def _is_placed(self, folder: Path) -> bool:
        return Destination(folder.absolute(), self._store.cache().root, self._stats).is_placed_directory()

    def _fetching(self, look: Callable[[], T], artifact: Artifact) -> T:
        """Looks in the cache; where the bytes are not there, or not themselves, fetches them and looks once more."""
        try:
            return look()
        except (NotFoundError, CorruptArtifactError):
            self._store.download(artifact.md5, size=artifact.size, progress=self.progress)
            return look()

    def _content(self, record: Record) -> Ingested:
        artifact = record.artifact
        if not artifact.md5:
            raise NotFoundError(
                f"the record of {record.model} {record.version} names no bytes: DVC did not track them",
                hint=f"mreg show {record.model}@{record.version}",
                details={"model": record.model, "version": str(record.version)},
            )
        if not artifact.sha256 and record.adopted is None:
            path = self.state.policy.layout.record(record.model, record.version)
            raise DataError(
                f"{path}: artifact.sha256 is missing, so nothing proves what the bytes of {record.version} are",
                hint=f"git log -p -- {path}",
                details={"file": path, "key": "artifact.sha256"},
            )
        if not artifact.sha256:
            # Adopted from GTO, whose MD5 is all that is known; what is placed equals what carries that name.
            cached = lambda: ingest_cached(artifact.path, artifact.md5, self._store.cache(), stats=self._stats)  # noqa: E731
            return self._fetching(cached, artifact)
        return Ingested(artifact, self._files(record))

    def _files(self, record: Record) -> tuple[ArtifactFile, ...]:
        if not record.artifact.is_directory:
            return ()
        path = self.state.policy.layout.file_list(record.model, record.version)
        blob = self.state.models[record.model].file_lists.get(record.version)
        (data,) = self.reader.repo.read([blob]) if blob else [None]
        files = parse_file_list(data or b"", path)
        if hash_file_list(files) != record.artifact.sha256:
            raise DataError(
                f"{path} is not the file list that the record of {record.version} names",
                hint=f"git log -p -- {path}",
                details={"file": path},
            )
        return files

    def _known(self) -> set[str]:
        model = self.state.models[self.selector.model]
        records = self.reader.records_of(self.state, [(model.model, version) for version in model.versions])
        return {each.artifact.sha256 for each in records if not isinstance(each, DataError)}

    @property
    def _store(self) -> DvcStore:
        return open_store(self.reader.repo)

    @property
    def _stats(self) -> StatCache:
        return open_stats(self.reader.repo)
