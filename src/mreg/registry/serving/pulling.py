"""Pulling: verified bytes of one version, put in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from mreg.core.history.record import Artifact
from mreg.core.names import Selector
from mreg.core.results import LinkMode, Pulled
from mreg.errors import CorruptArtifactError, NotFoundError, RefusedError
from mreg.registry.reading.artifacts import open_stats, open_store
from mreg.registry.serving.wanted import Wanted
from mreg.stores.artifacts.destination import Destination
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.artifacts.ingesting import Ingested, ingest_cached
from mreg.stores.artifacts.placing import Placed, Placing, place
from mreg.stores.artifacts.stat_cache import StatCache
from mreg.stores.dvc import DvcStore
from mreg.stores.git.repository import GitRepository

__all__ = ["Pulling", "Source"]

T = TypeVar("T")


class Source(Struct, frozen=True):
    """Where bytes come from, and what nobody means to replace by them."""

    store: DvcStore
    stats: StatCache
    kept: tuple[Path, ...]
    """Neither these folders are replaced, nor what they are in."""
    inside: tuple[tuple[Path, str], ...] = ()
    """Folders in which nothing is, and whose they are."""

    @classmethod
    def of(cls, repo: GitRepository) -> Source:
        """Returns the source of a clone's bytes."""
        kept = tuple(place for place in (repo.worktree, repo.common_dir, repo.git_dir) if place)
        inside = () if repo.is_bare else ((repo.common_dir, "it belongs to Git"),)
        return cls(open_store(repo), open_stats(repo), kept, inside)


class Pulling(Struct, frozen=True):
    """One pull: which version, where from, and how."""

    selector: Selector
    wanted: Wanted
    source: Source
    link: LinkMode
    force: bool
    progress: Progress | None

    def run(self, output: Path | None, into: Path) -> Pulled:
        """Puts the bytes in place, from the cache or else from the DVC remote.

        Args:
            output: Where; ``None`` for the artifact's own name in ``into``.
            into: A directory.

        Raises:
            NotFoundError: No remote has the bytes.
            CorruptArtifactError: The bytes found are not those of the record.
            RefusedError: The destination is not a version of this model.
        """
        record = self.wanted.record
        target = output or into / record.artifact.path
        if target.is_dir() and not record.artifact.is_directory and not self._is_placed(target):
            target /= record.artifact.path  # as cp does, save that one version replaces another
        self._refuse_to_replace(target)
        content = self._content()
        placed = self._fetching(lambda: self._place(content, target), record.artifact)
        return Pulled(
            record.model,
            record.version,
            placed.path,
            placed.changed,
            content.artifact.sha256,
            content.artifact.size,
            self.wanted.notices,
            record=record,
        )

    def _refuse_to_replace(self, target: Path) -> None:
        # Whatever --force says: nobody means these, and what was there would be gone.
        resolved = target.resolve()
        why = ""
        if target.exists() and not (target.is_file() or target.is_dir()):
            why = "it is neither a file nor a directory"
        elif any(place.resolve().is_relative_to(resolved) for place in self.source.kept) or (target / ".git").exists():
            why = "a Git repository is in it"
        else:
            where = target.parent.resolve()  # a link is replaced itself, be it to the cache
            whose = (why for place, why in self.source.inside if where.is_relative_to(place.resolve()))
            why = next(whose, "")
        if why:
            hint = f"mreg pull {self.selector} --output model   # or another path"
            raise RefusedError(f"{str(target)!r} is never replaced: {why}", hint=hint, details={"path": str(target)})

    def _place(self, content: Ingested, target: Path) -> Placed:
        how = Placing(self.link, self.force, self.wanted.known)
        source = self.source
        return place(content, source.store.cache(), target, how=how, stats=source.stats, progress=self.progress)

    def _is_placed(self, folder: Path) -> bool:
        source = self.source
        return Destination(folder.absolute(), source.store.cache().root, source.stats).is_placed_directory()

    def _fetching(self, look: Callable[[], T], artifact: Artifact) -> T:
        """Looks in the cache; where the bytes are not there, or not themselves, fetches them and looks once more."""
        try:
            return look()
        except (NotFoundError, CorruptArtifactError):
            try:
                self.source.store.download(artifact.md5, size=artifact.size, progress=self.progress)
            except NotFoundError:
                self.wanted.refuse_deleted()
                raise
            return look()

    def _content(self) -> Ingested:
        artifact = self.wanted.record.artifact
        if artifact.sha256:
            return Ingested(artifact, self.wanted.files)
        # Adopted from GTO, whose MD5 is all that is known; what is placed equals what carries that name.
        cache, stats = self.source.store.cache(), self.source.stats
        return self._fetching(lambda: ingest_cached(artifact.path, artifact.md5, cache, stats=stats), artifact)
