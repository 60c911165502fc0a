"""Which branch is the registry, where it stands, and by which rules."""

from __future__ import annotations

import shlex

from msgspec import Struct

from mreg.core.layout import SETTINGS_FILE, pathspec
from mreg.core.settings.policy import DEFAULT_BRANCH, Policy, parse_policy
from mreg.errors import DataError, NotARegistryError
from mreg.stores import yaml
from mreg.stores.git.repository import GitRepository

__all__ = ["Settings", "parse_settings", "read_settings", "with_hint"]


class Settings(Struct, frozen=True):
    """Which branch is the registry, where it stands, and by which rules."""

    policy: Policy
    branch: str
    tip: str
    """Commit of the registry branch, or of its remote-tracking branch where the clone has no local one."""
    is_local: bool
    """True where the local branch exists."""


def read_settings(repo: GitRepository) -> Settings:
    """Returns the settings at the tip of the registry branch; two Git calls where that is not ``main``.

    Raises:
        NotARegistryError: There is none.
        DataError: It cannot be read, or names a branch that is none, or says otherwise.
    """
    branch = DEFAULT_BRANCH
    for _ in range(2):
        found = _find(repo, branch)
        if found.branch == branch:
            return found
        branch = found.branch
    raise DataError(
        f"{SETTINGS_FILE}: branch: {branch} names a branch whose own {SETTINGS_FILE} names another",
        hint=f"set the same branch: in {SETTINGS_FILE} on both branches",
        details={"file": SETTINGS_FILE, "key": "branch"},
    )


def parse_settings(data: bytes) -> Policy:
    """Returns what ``registry.yaml`` says, or raises DataError."""
    try:
        return yaml.read(data, SETTINGS_FILE, parse_policy)
    except DataError as error:
        raise with_hint(error, SETTINGS_FILE) from error


def with_hint(error: DataError, path: str) -> DataError:
    """Returns an error about a file with a hint: its own, or else where to look."""
    hint = error.hint or f"git log -p -- {pathspec(path)}   # mreg reads what is committed"
    return DataError(error.message, hint=hint, details=error.details)


def _find(repo: GitRepository, branch: str) -> Settings:
    places = [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", "HEAD", "refs/remotes/origin/HEAD"]
    found = repo.read_named([name for place in places for name in (f"{place}^{{commit}}", f"{place}:{SETTINGS_FILE}")])
    commits, files = found[::2], found[1::2]
    is_there = any(commit is not None for commit in commits[:2])
    bringing = ""
    for place, commit, settings in zip(places, commits, files, strict=True):
        if commit is None or settings is None:
            continue
        policy = parse_settings(settings[1])
        head = repo.head_branch() if place == "HEAD" and policy.branch == branch else None
        if head not in {None, branch}:
            # A feature branch that brings the first registry.yaml: there is no registry before it lands.
            bringing = head or ""
            continue
        return Settings(policy, policy.branch, commit[0], is_local=place.startswith("refs/heads/"))
    if not is_there and (bringing or branch != DEFAULT_BRANCH):
        raise _lost_branch(branch, bringing)
    hint = "mreg init   # or mreg init --adopt, where GTO has tagged models"
    if bringing:
        hint = f"merge {bringing} into {branch}: its {SETTINGS_FILE} names that branch"
    elif repo.worktree and (repo.worktree / SETTINGS_FILE).is_file():
        path = pathspec(SETTINGS_FILE)
        hint = f"git add -- {path} && git commit -- {path}   # what is committed counts"
    raise NotARegistryError(
        f"{repo.worktree or repo.git_dir} holds no registry: no {SETTINGS_FILE} on {_places(repo, branch)}",
        hint=hint,
        details={"path": str(repo.worktree or repo.git_dir)},
    )


def _places(repo: GitRepository, branch: str) -> str:
    head = repo.head_branch()
    return branch if head in {None, branch} else f"{branch} or {head}"


def _lost_branch(branch: str, head: str) -> DataError:
    details = {"file": SETTINGS_FILE, "key": "branch"}
    if head:
        return DataError(
            f"{SETTINGS_FILE} on {head} names the branch {branch} as the registry, and there is no such branch here",
            hint=f"set branch: {head} in {SETTINGS_FILE} and commit, where it was renamed; "
            f"else git fetch origin {shlex.quote(branch)}",
            details=details,
        )
    return DataError(
        f"{SETTINGS_FILE}: branch: the registry branch is {branch}, and there is no such branch",
        hint=f"git branch {shlex.quote(branch)}   # or correct branch: in {SETTINGS_FILE}, and commit",
        details=details,
    )
