"""Where the registry branch of a registry elsewhere is now, and by which rules.

It is found as in a clone: ``registry.yaml`` on ``main``, or else on the branch that the remote shows first, names it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping

from msgspec import Struct

from mreg.core.layout import SETTINGS_FILE
from mreg.core.settings.policy import DEFAULT_BRANCH, Policy
from mreg.errors import DataError, NotARegistryError, NotFoundError
from mreg.registry.reading.settings import parse_settings
from mreg.stores.git.remotes.shallow import BrokenCacheError, ShallowRepository
from mreg.stores.serving.cache import Memory

__all__ = ["CONFIG", "Tip", "TipFinder", "clone_command"]

CONFIG = ".dvc/config"
_HEAD = ""
"""Stands for the branch that the remote shows first, whose name nobody tells."""


def clone_command(url: str, question: str) -> str:
    """Returns the command that makes a clone, and asks mreg there what a look from elsewhere cannot tell."""
    return f"git clone {shlex.quote(url)} registry && mreg -C registry {question}"


class Tip(Struct, frozen=True):
    """Where the registry branch is, and by which rules."""

    branch: str
    commit: str
    policy: Policy


class TipFinder:
    """One look at the registry branch, and the connections that it takes."""

    def __init__(self, repo: ShallowRepository, memory: Memory) -> None:
        """Asks nothing yet."""
        self.repo = repo
        self._memory = memory
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
            hint=f"correct branch: in {SETTINGS_FILE}, and push; or say with --branch where the registry is",
            details=details,
        )

    def _policy(self, commit: str) -> Policy | None:
        files = self._prefetch(commit, self._memory.root)
        if SETTINGS_FILE not in files:
            return None
        (data,) = self.repo.read([files[SETTINGS_FILE]])
        if data is None:
            raise BrokenCacheError(f"{SETTINGS_FILE} was fetched, and cannot be read")
        return parse_settings(data)

    def _prefetch(self, commit: str, _root: str) -> Mapping[str, str]:
        """Fetches what the question needs, as far as the folders tell; returns the files by path."""
        files = self.repo.find_files(commit, [SETTINGS_FILE, CONFIG])
        self._files[commit] = files
        missing = self.repo.find_missing(list(files.values()))
        if missing:
            self.repo.fetch_objects(missing)
        return files

    def _no_registry(self, where: str) -> NotARegistryError:
        return NotARegistryError(
            f"{self._label} holds no registry: no {SETTINGS_FILE} {where}",
            hint="mreg init   # in a clone, and push; or say with --branch where the registry is",
            details={"repo": self._label},
        )
