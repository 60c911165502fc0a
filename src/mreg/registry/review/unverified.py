"""What came since a clone was last found clean, and the history of the models that it is about."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from io import BytesIO

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.timeline import Commit
from mreg.core.layout import SETTINGS_FILE, Layout
from mreg.registry.reading.reader import Settings
from mreg.stores.git.branches import count_since, now
from mreg.stores.git.history.baseline import Baseline, load_baseline, read_commits, save_baseline
from mreg.stores.git.repository import GitRepository
from mreg.stores.installation import name_build

__all__ = ["Noting", "Unverified", "find_unverified"]


class Unverified(Struct, frozen=True):
    """What is to be judged, and what must be known for that."""

    baseline: Baseline
    base: str
    """The last commit that was found clean."""
    commits: tuple[Commit, ...]
    """Those that came after it, oldest first, with all that they changed."""
    models: frozenset[str]
    """Those that the commits are about, and those whose tags are others than they were."""
    before: tuple[Commit, ...]
    """The older commits of these models, with what they changed of them."""
    is_linear: bool

    @property
    def count(self) -> int:
        """How many commits were found clean."""
        return len(self.baseline.commits) // (len(self.base) // 2)

    def branch(self) -> set[str]:
        """Returns the ids of all commits of the history."""
        size = len(self.base) // 2
        known = self.baseline.commits
        old = (known[at : at + size].hex() for at in range(0, len(known), size))
        return {*old, *(commit.oid for commit in self.commits)}


def find_unverified(repo: GitRepository, settings: Settings, tags: Mapping[str, bytes]) -> Unverified | str:
    """Returns what is new since this clone was last found clean, or why all must be judged.

    Args:
        repo: The repository.
        settings: Those at the tip of the registry branch.
        tags: A digest of the tags of each model as they are now.
    """
    baseline = load_baseline(repo)
    size = repo.id_bytes
    if baseline is None or not baseline.commits:
        return "this clone was not found clean before"
    build = name_build()
    if baseline.mreg != build:
        return f"it was found clean by mreg {baseline.mreg}, and this is mreg {build or 'of unknown version'}"
    base, tip, layout = baseline.commits[-size:].hex(), settings.tip, settings.policy.layout
    if count_since(repo, base, tip) is None:
        return f"commit {base[:12]}, up to which it was found clean, is not in the history any more"
    commits = repo.log(tip, [layout.root, SETTINGS_FILE], since=base, is_whole=True)
    if any(change.path == SETTINGS_FILE for commit in commits for change in commit.changes):
        return f"{SETTINGS_FILE} has changed since"
    changed = {name for name in {*tags, *baseline.tags} if tags.get(name) != baseline.tags.get(name)}
    models = changed.union(*(_models_of(commit, layout) for commit in commits))
    places = sorted({at for model in models for at in baseline.touched.get(model, ())})
    oids = [baseline.commits[at * size : (at + 1) * size].hex() for at in places]
    before = (_narrow(commit, layout, models) for commit in read_commits(repo, oids, [layout.root]))
    is_linear = baseline.is_linear and repo.is_linear(f"{base}..{tip}")
    return Unverified(baseline, base, tuple(commits), frozenset(models), tuple(before), is_linear)


class Noting:
    """Collects what a baseline is made of, while commits are judged."""

    def __init__(self, repo: GitRepository, layout: Layout, after: Baseline | None = None) -> None:
        """Begins after what was found clean before, or with the first commit."""
        self._repo, self._layout, self._after = repo, layout, after
        self._commits = BytesIO()  # gives its bytes without a copy
        self._commits.write(after.commits if after else b"")
        touched = after.touched.items() if after else ()
        self._touched = {model: array("Q", places) for model, places in touched}

    def take(self, commits: Sequence[Commit]) -> Sequence[Commit]:
        """Takes the next commits, and gives them back."""
        for at, commit in enumerate(commits, self._commits.tell() // self._repo.id_bytes):
            self._commits.write(bytes.fromhex(commit.oid))
            for model in _models_of(commit, self._layout):
                self._touched.setdefault(model, array("Q")).append(at)
        return commits

    def save(self, tags: Mapping[str, bytes], *, is_linear: bool) -> None:
        """Notes that all of it was found clean.

        Args:
            tags: A digest of the tags of each model, from before they were judged.
            is_linear: True where no commit up to the newest is a merge.
        """
        build = name_build()
        if build:
            at = int(now(self._repo).timestamp())
            whole_at = self._after.whole_at if self._after else at
            made = Baseline(build, self._commits.getvalue(), self._touched, dict(tags), is_linear, at, whole_at)
            save_baseline(self._repo, made)


def _models_of(commit: Commit, layout: Layout) -> set[str]:
    return {place.model for change in commit.changes if (place := layout.locate(change.path))}


def _narrow(commit: Commit, layout: Layout, models: Collection[str]) -> Commit:
    """Returns a commit with what it changed of some models."""
    located = ((change, layout.locate(change.path)) for change in commit.changes)
    return replace(commit, changes=tuple(change for change, place in located if place and place.model in models))
