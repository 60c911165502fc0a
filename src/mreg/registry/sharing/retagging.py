"""Tags of a history that goes to a remote: those it lacks, and those here whose commits were made again.

A tag that others may have seen is never moved or deleted; one of this clone alone is, where its commit is replaced.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from msgspec import Struct

from mreg.core.history.tags import DerivedTag, derive_tags, find_blockers
from mreg.core.history.timeline import Timeline
from mreg.core.layout import Layout
from mreg.errors import ConflictError
from mreg.registry.reading.reader import Reader
from mreg.registry.writing.tagging import Tagger, says_right
from mreg.registry.writing.upstream import Upstream
from mreg.stores.git.remotes.pushing import fetch_object
from mreg.stores.git.repository import GitRepository, TagRef
from mreg.stores.git.writing.publishing import Publisher, RefUpdate

__all__ = ["Retagging", "retag"]

_TAGS = "refs/tags/"


class Retagging(Struct, frozen=True):
    """Which tags move where."""

    here: tuple[RefUpdate, ...]
    there: tuple[RefUpdate, ...]
    replaced: tuple[str, ...] = ()
    """Names of tags here that are made anew, or taken away."""
    notices: tuple[str, ...] = ()


def retag(
    repo: GitRepository, publisher: Publisher, upstream: Upstream, *, old: str, new: str, is_dry: bool = False
) -> Retagging:
    """Returns the tags that a new history calls for, here and on the remote.

    Args:
        repo: The repository.
        publisher: Takes new tag objects.
        upstream: The remote.
        old: Where the branch is here.
        new: Where it will be.
        is_dry: Fetch and sign no tags.

    Raises:
        ConflictError: The remote has the tag of a commit that is made again.
    """
    reader = Reader(repo)
    layout = reader.policy_at(new).layout
    timeline = reader.timeline(reader.commits(new, layout, remember=True), layout)
    wanted = {tag.name: tag for tag in derive_tags(timeline)}
    there = upstream.tags()
    stale = _find_stale(reader, layout, old, wanted) if old != new else {}
    published = sorted(name for name, ref in stale.items() if there.get(name) == ref.oid)
    if published:
        raise _published(published, upstream)
    if not is_dry:
        upstream.fetch_tags([name for name in wanted if name not in stale])
    return _Retagger(repo, publisher, upstream, reader, layout, timeline, wanted, there, stale, is_dry).run()


def _find_stale(reader: Reader, layout: Layout, old: str, wanted: Mapping[str, DerivedTag]) -> dict[str, TagRef]:
    """Returns the tags here that mreg made for commits which are made again."""
    before = reader.timeline(reader.commits(old, layout, remember=True), layout)
    changed = {tag.name: tag for tag in derive_tags(before) if wanted.get(tag.name) != tag}
    refs = [ref for ref in reader.repo.tags() if ref.name in changed] if changed else []
    contents = reader.repo.read([ref.oid for ref in refs])
    return {
        ref.name: ref
        for ref, content in zip(refs, contents, strict=True)
        if says_right(changed[ref.name], ref.target, content)
    }


class _Retagger(Struct):
    repo: GitRepository
    publisher: Publisher
    upstream: Upstream
    reader: Reader
    layout: Layout
    timeline: Timeline
    wanted: Mapping[str, DerivedTag]
    there: Mapping[str, str]
    stale: Mapping[str, TagRef]
    is_dry: bool

    def run(self) -> Retagging:
        tagger = Tagger(self.reader, self.publisher)
        plan = tagger.plan(self.timeline, self.layout, besides=self.stale)
        if self.is_dry:  # nobody is asked for a key
            built = [RefUpdate(_TAGS + tag.name, self.there.get(tag.name, ""), None) for tag in plan.missing]
        else:
            built = tagger.build(plan, self.timeline, self.layout)
        made = {update.ref.removeprefix(_TAGS): update for update in built}
        here: list[RefUpdate] = []
        notices = [f"{each.place}: {each.message}" for each in plan.findings]
        pushed: dict[str, RefUpdate] = {}
        for name, update in made.items():
            ref = self.stale.get(name)
            theirs = self.there.get(name)
            oid = update.new if theirs in (None, update.new) else self._take(name, str(theirs))
            if oid is None:
                notices.append(f"{_TAGS}{name}: {self.upstream.remote} has another tag of that name")
                continue
            here.append(RefUpdate(update.ref, oid, ref.oid if ref else None))
            if theirs is None:
                pushed[name] = update
        here += [
            RefUpdate(_TAGS + name, self.repo.zero_oid, ref.oid)
            for name, ref in self.stale.items()
            if name not in self.wanted
        ]
        wrong = {finding.place.removeprefix(_TAGS) for finding in plan.findings}
        right = [name for name in self.wanted if name not in wrong and name not in made]
        pushed |= {update.ref.removeprefix(_TAGS): update for update in self.upstream.missing_tags(right, self.there)}
        blockers = find_blockers(pushed, self.there)
        notices += [
            f"{_TAGS}{name}: {other} is in its way on {self.upstream.remote}" for name, other in blockers.items()
        ]
        order = {name: index for index, name in enumerate(self.wanted)}
        names = sorted((name for name in pushed if name not in blockers), key=lambda name: order[name])
        return Retagging(tuple(here), tuple(pushed[name] for name in names), tuple(self.stale), tuple(notices))

    def _take(self, name: str, theirs: str) -> str | None:
        """Returns the remote's tag where it says what is called for: one that is signed cannot be made again."""
        fetch_object(self.repo, self.upstream.remote, _TAGS + name)
        (found,) = self.repo.read_objects([theirs])
        target = found[2].partition(b"\n")[0].decode("ascii", "replace").removeprefix("object ") if found else ""
        return theirs if found and says_right(self.wanted[name], target, found[2]) else None


def _published(names: list[str], upstream: Upstream) -> ConflictError:
    refs = " ".join(shlex.quote(_TAGS + name) for name in names)
    remote = shlex.quote(upstream.remote)
    return ConflictError(
        f"{upstream.remote} has the tag {names[0]} of a commit that its {upstream.branch} lacks: "
        "others may have seen it",
        hint=f"git push {remote} --delete {refs} && mreg push   # where it was pushed without its branch by mistake",
        details={"remote": upstream.remote, "tags": names},
    )
