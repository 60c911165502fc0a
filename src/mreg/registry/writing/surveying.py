"""Looking at all tags of a long history: what is plainly as it should be passes by, and is not kept.

A tag whose id is that of what the history calls for needs no reading, and of a registry with nothing to do that is all
of them.  The models of the others are looked at again, in full, by ``Tagger.plan``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.tags import DerivedTag, tags_of
from mreg.core.history.timeline import AdoptedTag, Appearance, Event, Standing, Timeline
from mreg.core.layout import Layout
from mreg.core.names import ModelName, parse_model_name
from mreg.errors import NamingError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import Key
from mreg.registry.writing.ahead import Ahead
from mreg.registry.writing.tagging import Tagger, TagPlan, encode_derived, says_right
from mreg.stores.git.repository import GitRepository, tag_patterns

__all__ = ["Survey", "survey"]

_FEW = 20
"""Models that are looked at alone; more are as quick to be looked at together with all others."""
_AT_ONCE = 2048
_MARK = re.compile("[@#]")


class Survey(Struct, frozen=True):
    """What a history calls for, against the tags that are there."""

    plan: TagPlan
    timeline: Timeline
    """Of the models that something is to be done about, or to be said of."""
    standing: Standing
    """What the whole history has come to."""
    commits: Mapping[Key, str]
    """The commit that registered each version."""


def survey(reader: Reader, tagger: Tagger, tip: str, layout: Layout, *, ahead: Ahead | None = None) -> Survey:
    """Returns which tags are missing or wrong in the whole registry.

    What an earlier command has read of the history counts, for it never changes.

    Args:
        reader: Reads the history.
        tagger: Judges what is not plainly right.
        tip: The newest commit.
        layout: Where the registry's files are.
        ahead: As for ``Tagger.plan``.
    """
    look = _Look(reader.repo, reader.repo.tag_ids())
    tags = tags_of(look.watch(reader.replay(look.standing, tip, layout)))
    while some := list(islice(tags, _AT_ONCE)):
        look.pass_over(some)
    others = {name: oid.hex() for name, oid in look.ids.items() if _MARK.search(name)}
    models = sorted({*look.doubtful, *filter(None, map(_find_model, others))})
    if len(models) > _FEW:
        timeline = reader.timeline(reader.commits(tip, layout, remember=True), layout)
        return Survey(tagger.plan(timeline, layout, ahead=ahead), timeline, look.standing, look.commits)
    right = sum(count for model, count in look.right.items() if model not in models)
    timeline, refs = Timeline(), reader.repo.describe_tags(others)
    if models:
        timeline = reader.timeline(reader.commits(tip, layout, models, remember=True), layout)
        refs += [ref for ref in reader.repo.tags(tag_patterns(models)) if ref.name not in others]
    refs.sort(key=lambda ref: ref.name)
    plan = tagger.plan(timeline, layout, models, refs=refs, ahead=ahead)
    return Survey(replace(plan, present=plan.present + right), timeline, look.standing, look.commits)


class _Look(Struct):
    repo: GitRepository
    ids: dict[str, bytes]
    """Object ids of the tags that were not passed over, by name."""
    standing: Standing = field(default_factory=Standing)
    commits: dict[Key, str] = field(default_factory=dict)
    right: dict[ModelName, int] = field(default_factory=dict)
    """How many tags of each model were passed over."""
    doubtful: set[ModelName] = field(default_factory=set)
    """Models with others, or with tags of GTO's."""

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Appearance):
                self.commits[event.model, event.version] = event.commit.oid
            elif isinstance(event, AdoptedTag) or event.adopted:
                self.doubtful.add(event.model)
            yield event

    def pass_over(self, tags: Iterable[DerivedTag]) -> None:
        alike: list[DerivedTag] = []
        unlike: list[tuple[DerivedTag, str]] = []
        for tag in tags:
            oid, target = self.ids.get(tag.name), self.commits.get((tag.model, tag.version))
            if oid is None or target is None:
                self.doubtful.add(tag.model)
                continue
            content = encode_derived(tag, target)
            if hashlib.new(self.repo.object_format, b"tag %d\0%s" % (len(content), content)).digest() == oid:
                alike.append(tag)
            else:
                unlike.append((tag, target))
        # A ref can name an object that is lost.
        for tag, there in zip(alike, self.repo.resolve([self.ids[tag.name].hex() for tag in alike]), strict=True):
            if there:
                self._pass(tag)
            else:
                self.doubtful.add(tag.model)
        found = self.repo.read_objects([self.ids[tag.name].hex() for tag, _ in unlike])
        for (tag, target), each in zip(unlike, found, strict=True):
            if each and each[1] == "tag" and says_right(tag, target, each[2]):  # it is signed
                self._pass(tag)
            else:
                self.doubtful.add(tag.model)

    def _pass(self, tag: DerivedTag) -> None:
        del self.ids[tag.name]
        self.right[tag.model] = self.right.get(tag.model, 0) + 1


def _find_model(tag: str) -> ModelName | None:
    try:
        return parse_model_name(_MARK.split(tag)[0])
    except NamingError:
        return None
