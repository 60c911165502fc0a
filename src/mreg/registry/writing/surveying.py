"""Looking at all tags of a long history: those that are plainly right are passed over, and not kept.

A tag whose id is that of what the history calls for needs no reading, and of a registry with nothing to do that is all
of them.  The models of the others are looked at again, in full, by ``Tagger.plan``: some at a time, where there are
very many versions.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct, field

from mreg.core.history.tags import DerivedTag, tags_of
from mreg.core.history.timeline import AdoptedTag, Appearance, Event, Finding, Standing, Timeline
from mreg.core.layout import Layout
from mreg.core.names import ModelName, parse_model_name
from mreg.errors import NamingError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import Key
from mreg.registry.writing.ahead import Ahead
from mreg.registry.writing.tagging import Tagger, TagPlan, encode_derived, says_right
from mreg.stores.git.repository import GitRepository, tag_patterns
from mreg.stores.git.writing.publishing import RefUpdate

__all__ = ["Survey", "survey"]

_FEW = 20
"""Models that are looked at alone; more are as quick to be looked at together with all others, where these are few."""
_MANY = 10_000
"""Versions that are looked at together."""
_AT_ONCE = 2048
_MARK = re.compile("[@#]")


class Survey(Struct, frozen=True):
    """What a history calls for, against the tags that are there."""

    plan: TagPlan
    standing: Standing
    """What the whole history has come to."""
    commits: Mapping[Key, str]
    """The commit that registered each version."""
    updates: tuple[RefUpdate, ...] = ()
    """The refs to be made for the missing tags, where these were to be built."""


def survey(
    reader: Reader, tagger: Tagger, tip: str, layout: Layout, *, ahead: Ahead | None = None, build: bool = False
) -> Survey:
    """Returns which tags are missing or wrong in the whole registry.

    What an earlier command has read of the history counts, for it never changes.

    Args:
        reader: Reads the history.
        tagger: Judges what is not plainly right.
        tip: The newest commit.
        layout: Where the registry's files are.
        ahead: As for ``Tagger.plan``.
        build: Also build the missing tags.
    """
    look = _Look(reader.repo, reader.repo.tag_ids())
    tags = tags_of(look.watch(reader.replay(look.standing, tip, layout)))
    while some := list(islice(tags, _AT_ONCE)):
        look.pass_over(some)
    found = _Found(look.places)
    for part in _look_closer(reader, tagger, look, tip, layout, ahead):
        found.add(part, part.tagger.build(part.plan, part.timeline, layout) if build else [])
    return found.tell(look)


class _Part(Struct, frozen=True):
    """What is to be done about some models, or to be said of them."""

    models: Sequence[ModelName]
    plan: TagPlan
    timeline: Timeline
    tagger: Tagger


def _look_closer(
    reader: Reader, tagger: Tagger, look: _Look, tip: str, layout: Layout, ahead: Ahead | None
) -> Iterator[_Part]:
    others = look.others()
    models = sorted({*look.doubtful, *filter(None, others)})
    if len(models) > _FEW and len(look.commits) <= _MANY:
        timeline = reader.timeline(reader.commits(tip, layout, remember=True), layout)
        yield _Part([*look.right], tagger.plan(timeline, layout, ahead=ahead), timeline, tagger)
        return
    for number, group in enumerate(_group(models, look.commits)):
        anew = Reader(reader.repo, reader.settings())  # what was read for one group is not kept for the next
        judge = tagger.reading(anew)
        names = {name: oid for model in group for name, oid in others.get(model, {}).items()}
        if number == 0:
            names |= others.get(None, {})
        timeline, refs = Timeline(), reader.repo.describe_tags(names)
        if group:
            timeline = anew.timeline(anew.commits(tip, layout, group, remember=True), layout)
            refs += [ref for ref in reader.repo.tags(tag_patterns(group)) if ref.name not in names]
        refs.sort(key=lambda ref: ref.name)
        yield _Part(group, judge.plan(timeline, layout, group, refs=refs, ahead=ahead), timeline, judge)


def _group(models: Sequence[ModelName], versions: Iterable[Key]) -> Iterator[list[ModelName]]:
    """Yields some models at a time, at least once."""
    sizes = Counter(model for model, _ in versions)
    group: list[ModelName] = []
    room = _MANY
    for model in models:
        room -= sizes[model]
        if group and room < 0:
            yield group
            group, room = [], _MANY - sizes[model]
        group.append(model)
    yield group


class _Found(Struct):
    """What the parts say, in one."""

    places: Mapping[str, int]
    models: set[ModelName] = field(default_factory=set)
    missing: list[DerivedTag] = field(default_factory=list)
    present: int = 0
    findings: list[Finding] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    updates: list[RefUpdate] = field(default_factory=list)

    def add(self, part: _Part, updates: Iterable[RefUpdate]) -> None:
        self.models.update(part.models)
        self.missing += part.plan.missing
        self.present += part.plan.present
        self.findings += part.plan.findings
        self.ahead += part.plan.ahead
        self.updates += updates

    def tell(self, look: _Look) -> Survey:
        self.missing.sort(key=lambda tag: self._place(tag.name))
        self.updates.sort(key=lambda update: self._place(update.ref.removeprefix("refs/tags/")))
        present = self.present + sum(count for model, count in look.right.items() if model not in self.models)
        findings, ahead = dict.fromkeys(self.findings), dict.fromkeys(self.ahead)
        plan = TagPlan(tuple(self.missing), present, tuple(findings), ahead=tuple(ahead))
        return Survey(plan, look.standing, look.commits, tuple(self.updates))

    def _place(self, name: str) -> int:
        return self.places.get(name, len(self.places))  # at the end, what went while others were looked at


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
    places: dict[str, int] = field(default_factory=dict)
    """The tags that are not there, in the order in which the history calls for them."""

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Appearance):
                self.commits[event.model, event.version] = event.commit.oid
            elif isinstance(event, AdoptedTag) or event.adopted:
                self.doubtful.add(event.model)
            yield event

    def others(self) -> dict[ModelName | None, dict[str, str]]:
        """Returns the object ids of tags that were not passed over, by the model that each is of, and by name."""
        found: dict[ModelName | None, dict[str, str]] = {}
        for name, oid in self.ids.items():
            if _MARK.search(name):
                found.setdefault(_find_model(name), {})[name] = oid.hex()
        return found

    def pass_over(self, tags: Iterable[DerivedTag]) -> None:
        alike: list[DerivedTag] = []
        unlike: list[tuple[DerivedTag, str]] = []
        for tag in tags:
            oid, target = self.ids.get(tag.name), self.commits.get((tag.model, tag.version))
            if oid is None or target is None:
                self.places[tag.name] = len(self.places)
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
