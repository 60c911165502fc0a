"""One look at one model of a registry elsewhere, through what was fetched of it: branch, settings, stages, one record.

The files of one question are fetched together, before they are read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from mreg.core.history.state import ModelState, RegistryState
from mreg.core.history.tags import version_tag
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.names import ModelName, Selector, Version
from mreg.core.nearness import ask_near
from mreg.errors import NotFoundError
from mreg.registry.reading.reader import Reader
from mreg.registry.serving.tip import CONFIG, Tip, TipFinder
from mreg.stores.git.remotes.shallow import ShallowRepository
from mreg.stores.serving.cache import Memory

__all__ = ["Glance", "Seal"]


class Seal(Struct, frozen=True):
    """The commit of a version's tag, which added its record."""

    commit: str
    by: str
    """E-mail address of its author."""
    at: datetime | None


class Glance(TipFinder):
    """One question about one model, and the connections that it takes."""

    def __init__(self, repo: ShallowRepository, selector: Selector, memory: Memory) -> None:
        """Asks nothing yet."""
        super().__init__(repo, memory)
        self.reader = Reader(repo)
        self.selector = selector
        self._asked_tags: set[str] = set()

    def state(self, tip: Tip) -> RegistryState:
        """Returns what the registry says of the model.

        Raises:
            NotFoundError: It is not registered; the hint names the nearest that is.
        """
        policy, model = tip.policy, self.selector.model
        if policy.root != self._memory.root:
            self._prefetch(tip.commit, policy.root)
        state = self.reader.state(tip.commit, policy, [model])
        if model not in state.models or not state.models[model].records:
            raise self._no_model(self._names(tip))
        return state

    def select(self, state: RegistryState) -> Version:
        """Returns the version that the selector names, its record and its tag fetched.

        Raises:
            NotFoundError: It names none.
            DataError: The stage file cannot be read.
        """
        selector, model = self.selector, state.models[self.selector.model]
        try:
            version = state.select(selector)
        except NotFoundError as error:
            pull = f"mreg pull {model.model}@{model.latest} --repo {shlex.quote(self._label)}"
            hint = f"{pull}   # the newest" if selector.version or error.hint.startswith("mreg ") else error.hint
            raise NotFoundError(error.message, hint=hint, details=error.details) from error
        files = [oid for oid in (model.records[version], model.file_lists.get(version)) if oid]
        self._fetch_files(files, version)
        return version

    def sealed(self, version: Version, path: str) -> str | None:
        """Returns the object id of a record in the commit of the version's tag; ``None`` where nothing tells."""
        ref = f"refs/tags/{version_tag(self.selector.model, version)}"
        (tree,) = self.repo.resolve([f"{ref}^{{tree}}"])
        return self.repo.find_files(tree, [path]).get(path) if tree else None

    def seal(self, version: Version, path: str, oid: str) -> Seal | None:
        """Returns the commit of a version's tag; ``None`` where there is no tag, or it has another record."""
        tag = version_tag(self.selector.model, version)
        sealed = self.sealed(version, path)
        if sealed is None and tag not in self._asked_tags:
            self._asked_tags.add(tag)
            self.repo.fetch_objects([], tag)
            sealed = self.sealed(version, path)
        (commit,) = self.repo.resolve([f"refs/tags/{tag}^{{commit}}"]) if sealed == oid else [None]
        return Seal(commit, self.repo.author_of(commit), self.repo.committed_at(commit)) if commit else None

    def _prefetch(self, commit: str, root: str) -> Mapping[str, str]:
        """Fetches what the question needs, as far as the folders tell; returns the files by path."""
        selector, layout = self.selector, Layout(root)
        folder = layout.model(selector.model)
        files = self.repo.find_files(commit, [SETTINGS_FILE, CONFIG, f"{folder}/stages/", f"{folder}/versions/"])
        self._files[commit] = files
        places = {path: layout.locate(path) for path in files}
        records = [
            place.version for place in places.values() if place and place.version and place.kind is PathKind.RECORD
        ]
        version = selector.version
        if selector.is_latest and records:
            version = ModelState(selector.model, dict.fromkeys(records, "")).latest
        wanted = [
            oid
            for path, oid in files.items()
            if (place := places[path]) is None or place.kind is PathKind.STAGE or (version and place.version == version)
        ]
        self._fetch_files(wanted, version if version in records else None)
        return files

    def _fetch_files(self, oids: Iterable[str], version: Version | None) -> None:
        missing = self.repo.find_missing(list(oids))
        tag = version_tag(self.selector.model, version) if version else ""
        if tag in {*self._memory.pins, *self._asked_tags}:
            tag = ""
        if missing or tag:
            self._asked_tags.add(tag)
            self.repo.fetch_objects(missing, tag)

    def _names(self, tip: Tip) -> list[ModelName]:
        layout = tip.policy.layout
        places = [layout.locate(file.path) for file in self.repo.files(tip.commit, [layout.root])]
        return sorted({place.model for place in places if place and place.kind is PathKind.RECORD})

    def _no_model(self, names: list[ModelName]) -> NotFoundError:
        model = self.selector.model
        some = f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}"  # noqa: PLR2004 - a line's worth
        hint = ask_near(model, names) or f"it has {some or 'no model yet'}"
        return NotFoundError(f"no model {model!r} is registered in {self._label}", hint=hint, details={"model": model})
