"""One look at a registry elsewhere, through what was fetched of it: branch, settings, one model, one record.

Rules:
    * The registry branch is found as in a clone: ``registry.yaml`` on ``main``, or else on the branch that the remote
      shows first, names it.
    * The files of one question are fetched together, before they are read.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping

from msgspec import Struct

from mreg.core.history.state import ModelState, RegistryState
from mreg.core.history.tags import version_tag
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.names import ModelName, Selector, Version
from mreg.core.nearness import ask_near
from mreg.core.settings.policy import DEFAULT_BRANCH, Policy
from mreg.errors import DataError, NotARegistryError, NotFoundError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.settings import parse_settings
from mreg.stores.git.remotes.shallow import ShallowRepository
from mreg.stores.serving.cache import Memory

__all__ = ["CONFIG", "Glance", "Tip"]

CONFIG = ".dvc/config"
_HEAD = ""
"""Stands for the branch that the remote shows first, whose name nobody tells."""


class Tip(Struct, frozen=True):
    """Where the registry branch is, and by which rules."""

    branch: str
    commit: str
    policy: Policy


class Glance:
    """One question about one model, and the connections that it takes."""

    def __init__(self, repo: ShallowRepository, selector: Selector, memory: Memory) -> None:
        """Asks nothing yet."""
        self.repo = repo
        self.reader = Reader(repo)
        self.selector = selector
        self._memory = memory
        self._asked_tags: set[str] = set()
        self._files: dict[str, Mapping[str, str]] = {}
        self._label = repo.remote.label

    def find(self, asked: str) -> Tip:
        """Returns where the registry branch is now.

        Args:
            asked: Its name; empty for what ``registry.yaml`` says.

        Raises:
            NotFoundError: There is no such branch.
            NotARegistryError: There is no ``registry.yaml``.
            DataError: It cannot be read, or names a branch that is none, or says otherwise.
            OutsideError: The remote does not answer.
        """
        if asked:
            commit = self._fetch(asked)
            if commit is None:
                hint = f"git ls-remote --heads {shlex.quote(self._label)}"
                raise NotFoundError(f"{self._label} has no branch {asked!r}", hint=hint, details={"branch": asked})
            return self._require(asked, commit)
        for branch in dict.fromkeys((self._memory.branch or DEFAULT_BRANCH, DEFAULT_BRANCH, _HEAD)):
            commit = self._fetch(branch)
            policy = self._policy(commit) if commit else None
            if commit and policy:
                return Tip(branch, commit, policy) if policy.branch == branch else self._follow(policy.branch)
        raise self._no_registry(f"neither on {DEFAULT_BRANCH} nor on the branch that it shows first")

    def recall(self, asked: str, commit: str = "") -> Tip:
        """Returns where the registry branch was when it was last looked at; asks nobody.

        Args:
            asked: Its name; empty for what ``registry.yaml`` says.
            commit: Where it was at another time, if that is what is wanted.

        Raises:
            NotFoundError: It never was.
        """
        branch = asked or self._memory.branch
        commit = commit or self._memory.tips.get(branch, "")
        if not commit:
            raise NotFoundError(f"nothing of {self._label} is known on this machine yet")
        return self._require(branch, commit)

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

    def config(self, tip: Tip) -> str:
        """Returns the committed ``.dvc/config``; empty where there is none."""
        found = self._files.get(tip.commit, {}).get(CONFIG)
        (data,) = self.repo.read([found]) if found else [None]
        return (data or b"").decode("utf-8", "replace")

    def _fetch(self, branch: str) -> str | None:
        name = hashlib.sha256(branch.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return self.repo.fetch_tip(f"refs/heads/{branch}" if branch else "HEAD", f"refs/mreg/{name}")

    def _require(self, branch: str, commit: str) -> Tip:
        policy = self._policy(commit)
        if policy is None:
            raise self._no_registry(f"on {branch}")
        return Tip(branch, commit, policy)

    def _follow(self, branch: str) -> Tip:
        details = {"file": SETTINGS_FILE, "key": "branch"}
        commit = self._fetch(branch)
        policy = self._policy(commit) if commit else None
        if commit and policy and policy.branch == branch:
            return Tip(branch, commit, policy)
        why = "whose own names another" if policy else "on which there is none" if commit else "which is not there"
        raise DataError(
            f"{SETTINGS_FILE} of {self._label} names the branch {branch} as the registry, {why}",
            hint=f"correct branch: in {SETTINGS_FILE}, and push; or tell by --branch where the registry is",
            details=details,
        )

    def _policy(self, commit: str) -> Policy | None:
        files = self._prefetch(commit, self._memory.root)
        (data,) = self.repo.read([files[SETTINGS_FILE]]) if SETTINGS_FILE in files else [None]
        return parse_settings(data) if data is not None else None

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

    def _no_registry(self, where: str) -> NotARegistryError:
        return NotARegistryError(
            f"{self._label} holds no registry: no {SETTINGS_FILE} {where}",
            hint="mreg init   # in a clone, and push; or tell by --branch where the registry is",
            details={"repo": self._label},
        )
