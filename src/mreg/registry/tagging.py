"""Tags from history: which ones a history calls for, which are missing, which are not what they should be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mreg.core.history import Finding, Timeline, Transition
from mreg.core.layout import Layout
from mreg.core.names import ModelName
from mreg.core.tags import DerivedTag, derive_tags, parse_tag_name
from mreg.registry.reader import Reader
from mreg.registry.seals import version_commits
from mreg.stores.git.objects import Identity
from mreg.stores.git.publishing import NewTag, Publisher, RefUpdate
from mreg.stores.git.repository import TagRef, tag_patterns

__all__ = ["TagPlan", "Tagger"]


@dataclass(frozen=True, slots=True)
class TagPlan:
    """The tags that a history calls for, against those that are there."""

    missing: tuple[DerivedTag, ...]
    """Oldest first."""
    present: int
    findings: tuple[Finding, ...]

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The transitions whose tags are missing, oldest first."""
        return tuple(tag.event for tag in self.missing if isinstance(tag.event, Transition))


class Tagger:
    """Makes the tags of one repository."""

    def __init__(self, reader: Reader, publisher: Publisher) -> None:
        """Keeps where to read and to write."""
        self._reader = reader
        self._publisher = publisher

    def plan(self, timeline: Timeline, models: Sequence[ModelName] = ()) -> TagPlan:
        """Returns which tags are missing; one Git call, whatever their number.

        Args:
            timeline: The history of the models, or of all where ``models`` is empty.
            models: Only these models' tags are read.
        """
        refs = {ref.name: ref for ref in self._reader.repo.tags(tag_patterns(models) if models else ["refs/tags/"])}
        derived = list(derive_tags(timeline))
        missing = tuple(tag for tag in derived if tag.name not in refs)
        names = {tag.name for tag in derived} | {each.adopted for each in timeline.transitions if each.adopted}
        findings = tuple(_judge(refs.values(), names, set(models)))
        return TagPlan(missing, len(derived) - len(missing), findings)

    def build(self, tags: Sequence[DerivedTag], timeline: Timeline, layout: Layout) -> list[RefUpdate]:
        """Builds tag objects, and returns the refs to be made for them."""
        wanted = [(tag.model, tag.version) for tag in tags]
        commits = version_commits(self._reader, self._publisher, timeline, layout, wanted)
        updates = []
        for tag in tags:
            target = commits.get((tag.model, tag.version))
            if target is not None:
                tagger = Identity(tag.tagger, tag.email, tag.time)
                oid = self._publisher.tag(NewTag(tag.name, target, tagger, tag.message))
                updates.append(RefUpdate(f"refs/tags/{tag.name}", oid, None))
        return updates


def _judge(refs: Iterable[TagRef], derived: set[str], models: set[ModelName]) -> Iterable[Finding]:
    for ref in refs:
        name = parse_tag_name(ref.name)
        if name is None or (models and name.model not in models):
            continue
        place = f"refs/tags/{ref.name}"
        if ref.kind != "tag":
            yield Finding("lightweight-tag", place, "it is not an annotated tag, so GTO and DVC do not see it")
        elif ref.name not in derived and name.stage is not None:
            yield Finding("unexplained-tag", place, "the history of the registry branch does not call for it")
