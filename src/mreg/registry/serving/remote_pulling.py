"""Serving without a clone: from the URL of a registry to verified bytes in place.

>>> import mreg
>>> mreg.pull("churn@production", repo="https://git.example.com/registry.git", output="model.pkl").path
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from mreg.core.names import LATEST, Selector, is_branch_name, parse_selector
from mreg.core.results import LinkMode, Pulled
from mreg.errors import StorageError, UsageError
from mreg.registry.arguments import as_choice, as_location, as_path, as_text
from mreg.registry.serving.pulling import Pulling, Source
from mreg.registry.serving.remote_view import RemoteView, Resolved
from mreg.registry.serving.trimming import is_due, make_room, stay_below
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.dvc import ServedStore
from mreg.stores.git.remotes.shallow import Remote
from mreg.stores.serving.cache import ServingCache
from mreg.stores.serving.uses import Last, Slot

__all__ = ["Resolved", "Serving", "locate_repo", "pull"]

T = TypeVar("T")

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LOOK_SIZE = 16 << 20
"""More than a look fetches."""


def pull(  # noqa: PLR0913 - what one pull is told
    selector: str,
    *,
    repo: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    into: str | PathLike[str] = ".",
    branch: str | None = None,
    allow_older: bool = False,
    link: LinkMode | str = LinkMode.AUTO,
    force: bool = False,
    progress: Progress | None = None,
) -> Pulled:
    """Puts the verified bytes of a version in place, on a machine without a clone of its registry.

    Args:
        selector: Which version.
        repo: URL or path of the registry's Git repository.
        output: Where to; by default the artifact's own name in ``into``.
        into: A directory.
        branch: The registry branch; by default what ``registry.yaml`` says.
        allow_older: Take what is there now, even where this machine has seen a newer state.
        link: Copy the bytes out of the serving cache, or link to them.
        force: Replace what is there, be it not a version of this model.
        progress: Called with bytes done and bytes in all.

    Raises:
        NotFoundError: The selector names nothing, there is no registry, or no remote has the bytes.
        OlderStateError: The registry went back behind what this machine has seen of it.
        CorruptArtifactError: The bytes found are not those of the record; the destination is as it was.
        RefusedError: The destination is not a version of this model.
        OutsideError: The registry, its storage or the disk failed.
    """
    serving = Serving(repo, branch=branch, allow_older=allow_older)
    resolved = serving.resolve(selector)
    return serving.place(resolved, output, into=into, link=link, force=force, progress=progress)


class Serving:
    """A registry elsewhere, for one that asks it again and again."""

    def __init__(self, repo: str | PathLike[str], *, branch: str | None = None, allow_older: bool = False) -> None:
        """Makes the serving cache where it is not there; asks nobody yet.

        Raises:
            UsageError: ``repo`` is empty, or ``branch`` is no name of a branch.
            StorageError: The serving cache cannot be used.
        """
        text, branch = as_location(repo, "repo"), as_text(branch, "branch")
        if not text.strip():
            raise UsageError("the URL of the registry may not be empty", hint="--repo URL")
        if branch is not None and not is_branch_name(branch):
            raise UsageError(f"{branch!r} is not a branch name", hint="--branch main", details={"branch": branch})
        path = _find_path(text, Path())  # not its name: the working directory may be gone
        self.remote = Remote(os.fspath(path) if path else text)
        self._root = _find_root(path) if path else None
        self._cache = ServingCache.find()
        cache = self._cache.of(self.remote)
        self._branch = branch or ""
        self.view = RemoteView(cache, self.remote, branch=self._branch, allow_older=allow_older)

    def resolve(self, selector: str) -> Resolved:
        """Asks the registry what a selector names now; one connection where nothing changed.

        Raises:
            NotFoundError: The selector names nothing, or there is no registry.
            OlderStateError: The registry went back behind what this machine has seen of it.
            DataError: A file there cannot be read, or a record was changed.
            OutsideError: The registry does not answer.
        """
        chosen = parse_selector(selector)
        self._cache.uses.touch(self._slot(chosen))
        return self._with_room(lambda: self.view.look(chosen), _LOOK_SIZE)

    def recall(self, selector: str, *, commit: str = "") -> Resolved | None:
        """Returns what a selector named when this machine last asked; ``None`` where that is not known.

        Args:
            selector: Which version.
            commit: Which of the registry commits that were seen; by default the newest.
        """
        return self.view.recall(parse_selector(selector), commit)

    def last(self, selector: str) -> Last | None:
        """Returns what was last put in place on this machine for a selector, whatever the path; if that is known."""
        return self._cache.uses.last(self._slot(parse_selector(selector)))

    def place(
        self,
        resolved: Resolved,
        output: str | PathLike[str] | None = None,
        *,
        into: str | PathLike[str] = ".",
        link: LinkMode | str = LinkMode.AUTO,
        force: bool = False,
        progress: Progress | None = None,
    ) -> Pulled:
        """Puts the bytes in place, from the serving cache or else from the DVC remote; as ``pull``."""
        how = as_choice(link, LinkMode, "link")
        target = as_path(output, "output") if output else None
        cache, label = self._cache.root, self.remote.label
        store = ServedStore(cache, self._root, resolved.config, label, stall_s=self.view.read_stall)
        inside = ((cache, "it belongs to mreg's serving cache"),)
        source = Source(store, self._cache.stats, (cache, *([self._root] if self._root else [])), inside)
        pulling = Pulling(resolved.selector, resolved.wanted, source, how, force, progress)
        folder, artifact = as_path(into, "into"), resolved.wanted.record.artifact
        with self._cache.uses.using(artifact.md5):
            # Once for the cache, and once for where it goes, which may be the same disk.
            pulled = self._with_room(lambda: pulling.run(target, folder), 2 * artifact.size, artifact.md5)
            self._note(resolved, pulled)
        notices = stay_below(self._cache) if store.has_grown or is_due(self._cache) else ()
        return replace(
            pulled,
            notices=(*pulled.notices, *notices),
            commit=resolved.commit,
            committed_at=resolved.committed_at,
            branch=resolved.branch,
            repo=label,
            stages=resolved.stages,
        )

    def _note(self, resolved: Resolved, pulled: Pulled) -> None:
        """Keeps what was put in place from being taken out of the cache."""
        md5, uses = resolved.wanted.record.artifact.md5, self._cache.uses
        uses.note(Last(self._slot(resolved.selector), str(resolved.version), resolved.commit, md5))
        files = resolved.wanted.files
        link = pulled.path / files[0].path if files else pulled.path
        if not files and resolved.wanted.record.artifact.is_directory:  # adopted: its files stand in no record
            link = next((path for path in pulled.path.rglob("*") if path.is_symlink()), link)
        uses.note_link(link, md5)

    def _slot(self, selector: Selector) -> Slot:
        stage = LATEST if selector.is_latest else selector.stage or ""
        return Slot(self.remote.label, self._branch, selector.model, stage)

    def _with_room(self, action: Callable[[], T], size: int, md5: str = "") -> T:
        """Does something; where the disk is full, once more when the cache has deleted what need not stay."""
        try:
            return action()
        except StorageError as error:
            if error.details.get("errno") not in _FULL or not make_room(self._cache, size, md5):
                raise
        return action()


def locate_repo(repo: str, directory: Path) -> str:
    """Returns what names a repository from anywhere: a path counts from ``directory``, a URL stays as it is."""
    path = _find_path(repo, directory) if repo.strip() else None
    return os.fspath(path) if path else repo


def _find_path(text: str, directory: Path) -> Path | None:
    """Returns where a repository on this machine is; ``None`` for one elsewhere."""
    if text.lower().startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    head = text.partition("/")[0]
    if "://" in text or "::" in head or (":" in head and not (directory / text).exists()):
        return None
    return Path(os.path.abspath(directory / Path(text).expanduser()))  # noqa: PTH100 - links stay


def _find_root(path: Path) -> Path:
    """Returns what relative paths in ``.dvc/config`` count from, less that folder: as in a clone that is there."""
    return path.parent if path.name == ".git" else path
