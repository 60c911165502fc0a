"""The audit of tags: each one against what the history calls for, to the byte.

A tag is wrong in one way, the first that is found.  Its signature, if it has one, is no part of what the history calls
for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from msgspec import Struct

from mreg.core.history.record import Record
from mreg.core.history.tags import DerivedTag
from mreg.core.history.timeline import AdoptedTag, Appearance, Event, Standing, Timeline, Transition
from mreg.core.layout import Layout
from mreg.core.names import ModelName, Version
from mreg.core.review.audited import AuditFault
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import Key, version_commits
from mreg.registry.writing.ahead import Ahead
from mreg.registry.writing.tagging import Tagger, encode_derived, explain_tags, find_explained, says_right
from mreg.stores.git.parsing import TagRef, parse_tag_ref
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher

__all__ = ["GivenTags", "TagAudit", "TagVerdict"]

_PREFIX = "refs/tags/"
_NAME = b"\ntag "


class TagVerdict(Struct, frozen=True):
    """What an audit says of the tags of one repository."""

    right: int
    """How many are there, and as they should be."""
    faults: tuple[AuditFault, ...]
    passed: frozenset[str] = frozenset()
    """Names of those that are no fault because commits explain them which are fetched and not merged."""


class _Wanted(Struct, frozen=True):
    commit: str
    """The commit that calls for the tag."""
    target: str | None
    """The commit that it must point at; ``None`` where nobody can tell."""
    derived: DerivedTag | None = None
    """What it must say; ``None`` for a tag of GTO's, which says what it says."""
    is_required: bool = True
    """False where mreg itself cannot make it."""


class _Found(Struct, frozen=True):
    """What is wrong with one tag, as far as is known before the end of the history."""

    name: str
    slug: str
    message: str
    commit: str
    wanted: _Wanted | None
    target: str = ""
    is_there: bool = False


Known: TypeAlias = Mapping[str, bytes] | Mapping[str, TagRef]
"""Object ids of tags by name; or, where these do not tell all, what is known of each."""


class GivenTags:
    """The tags to be judged: each is read when its turn comes, and let go of."""

    def __init__(self, repo: GitRepository, find: Callable[[], Known], known: Known | None = None) -> None:
        """Keeps what is not judged yet.

        Args:
            repo: Where their objects are.
            find: Gives all of them.
            known: The same, where it was asked for before.
        """
        self._repo = repo
        self._find = find
        self.left: dict[str, bytes | TagRef] = dict(find() if known is None else known)
        self._room = len(self.left)

    def take(self, names: Iterable[str]) -> list[tuple[TagRef, bytes | None]]:
        """Returns those that are there with the contents of their objects, in one Git call."""
        taken = {name: self.left.pop(name) for name in list(names) if name in self.left}
        if len(self.left) < self._room / 2:  # a dictionary that loses what is in it stays as large as it was
            self.left, self._room = dict(self.left), len(self.left)
        oids = [each.oid if isinstance(each, TagRef) else each.hex() for each in taken.values()]
        objects = self._repo.read_objects(oids)
        return [
            (
                each if isinstance(each, TagRef) else parse_tag_ref(f"{_PREFIX}{name}\0{oid}", found),
                found[2] if found else None,
            )
            for (name, each), oid, found in zip(taken.items(), oids, objects, strict=True)
        ]

    def put_back(self, names: Iterable[str]) -> set[str]:
        """Brings back what was taken of some tags, and returns their names."""
        known, names = self._find(), set(names)
        self.left |= {name: each for name, each in known.items() if name in names}
        return names & known.keys()


class TagAudit:
    """Judges tags by one history, while that is replayed; of what was judged it keeps names and faults alone."""

    def __init__(
        self,
        reader: Reader,
        layout: Layout,
        evidence: StoredEvidence,
        tags: GivenTags,
        *,
        until: Container[str] | None = None,
        code: str = "tag",
    ) -> None:
        """Starts before the first commit.

        Args:
            reader: The repository.
            layout: Where the registry's files are.
            evidence: Gives the records.
            tags: The tags.
            until: Only the tags that these commits call for may be missed; all where ``None``.
            code: How the codes of the faults begin.
        """
        self._reader = reader
        self._layout = layout
        self._evidence = evidence
        self._tags = tags
        self._until = until
        self._code = code
        self._targets: dict[ModelName, dict[Version, bytes]] = {}
        """The ids of the commits that the tags of versions point at."""
        self._models: dict[ModelName, Appearance] = {}
        """Of each model one version."""
        self._adopted: dict[Key, Record] = {}
        self._registered: dict[str, _Wanted] = {}
        self._moved: dict[str, _Wanted] = {}
        """The tags of GTO's that the registry was made from: judged at the end, when all is known."""
        self._events: list[Event] = []
        """Those that have such tags."""
        self._right = 0
        self._found: list[_Found] = []

    def note(self, event: Event) -> None:
        """Takes what a commit did, for the end."""
        if isinstance(event, AdoptedTag):
            self._moved[event.name] = _Wanted("", None)
            self._events.append(event)
        elif isinstance(event, Transition) and event.adopted:
            adopted = event.statement.adopted if event.statement else None
            self._moved[event.adopted] = _Wanted(event.commit, (adopted.commit if adopted else "") or None)
            self._events.append(event)

    def add(self, derived: Sequence[DerivedTag]) -> None:
        """Judges the next tags that the history calls for, in a few Git calls; those of versions come first."""
        self._follow([tag.event for tag in derived if isinstance(tag.event, Appearance)])
        wanted: dict[str, _Wanted] = {}
        for tag in derived:
            key = (tag.model, tag.version)
            adopted = self._adopted[key].adopted if isinstance(tag.event, Appearance) and key in self._adopted else None
            if adopted:
                self._registered[adopted.tag] = _Wanted(tag.commit, adopted.commit or None)
            else:
                oid = self._targets.get(tag.model, {}).get(tag.version)
                target = oid.hex() if oid else None
                wanted[tag.name] = _Wanted(tag.commit, target, tag, is_required=target is not None)
        for name, each in wanted.items():
            if name not in self._tags.left:
                self._miss(name, each)
        for ref, content in self._tags.take(wanted):
            self._judge(ref, content, wanted[ref.name], is_explained=True)

    def finish(self, standing: Standing, branch: Callable[[], Iterable[str]], ahead: Ahead | None) -> TagVerdict:
        """Judges the rest, and returns what is wrong, and which tags are missing.

        Args:
            standing: What the history has come to.
            branch: Gives the ids of all commits of the history.
            ahead: What is fetched of the branch and not merged; its tags are not wrong.
        """
        self._judge_rest(standing, self._registered | self._moved)
        faults, passed = [], set()
        known: frozenset[str] | None = None
        fetched = self._find_fetched(ahead) if ahead and any(each.is_there for each in self._found) else set()
        for found in self._found:
            slug, message = found.slug, found.message
            if ahead and found.is_there and found.name in fetched:
                if found.wanted is None:
                    passed.add(found.name)
                    continue
                slug, message = "fetched", f"{ahead.what}, which made this tag: {ahead.command}"
            elif slug == "moved":
                seals = (oid.hex() for targets in self._targets.values() for oid in targets.values())
                known = known or frozenset(chain(branch(), seals))
                if found.target not in known:
                    slug, message = "off-branch", f"{message}; that is no commit of this history"
            faults.append(AuditFault(f"{self._code}-{slug}", _PREFIX + found.name, message, found.commit))
        faults.sort(key=lambda fault: (fault.place, fault.code))
        return TagVerdict(self._right, tuple(faults), frozenset(passed))

    def _follow(self, born: Sequence[Appearance]) -> None:
        """Finds the commits of new versions."""
        records: dict[Key, Record] = {}
        for event in born:
            self._models.setdefault(event.model, event)
            record = self._evidence.record(event.model, event.version, event.record)
            if record:
                records[event.model, event.version] = record
                if record.adopted:
                    self._adopted[event.model, event.version] = record
        timeline = Timeline(appearances={(event.model, event.version): event for event in born})
        # What is built for seals is never written.
        publisher = Publisher(self._reader.repo)
        commits = version_commits(self._reader, publisher, timeline, self._layout, records)
        for (model, version), oid in commits.items():
            self._targets.setdefault(model, {})[version] = bytes.fromhex(oid)

    def _judge_rest(self, standing: Standing, late: Mapping[str, _Wanted]) -> None:
        """Judges the tags that no commit calls for, and those of GTO's."""
        if late:  # what the history called for too, before or after it named the tag as one of GTO's
            taken = self._tags.put_back(name for name in late if name not in self._tags.left)
            self._right -= len(taken - {each.name for each in self._found})
            self._found = [each for each in self._found if each.name not in late]
        for name, wanted in late.items():
            if name not in self._tags.left:
                self._miss(name, wanted)
        judged = self._tags.take(self._tags.left)
        refs = [ref for ref, _ in judged]
        timeline = Timeline(
            appearances={(model, event.version): event for model, event in self._models.items()},
            transitions=[event for event in self._events if isinstance(event, Transition)],
            events=self._events,
            archived=standing.archived,
        )
        explained = find_explained(self._reader.repo, refs, timeline, self._adopted)
        contents = {ref.name: content for ref, content in judged}
        for ref, is_explained in explain_tags(refs, explained.union(late), timeline):
            self._judge(ref, contents[ref.name], late.get(ref.name), is_explained=is_explained)

    def _judge(self, ref: TagRef, content: bytes | None, wanted: _Wanted | None, *, is_explained: bool) -> None:
        slug, message = self._find_fault(ref, content, wanted, is_explained=is_explained)
        if slug:
            commit = wanted.commit if wanted else ref.target or ref.oid
            self._found.append(_Found(ref.name, slug, message, commit, wanted, ref.target, is_there=True))
        elif wanted:
            self._right += 1

    def _miss(self, name: str, wanted: _Wanted) -> None:
        if wanted.is_required and (self._until is None or wanted.commit in self._until):
            message = "the history calls for it, but it is missing"
            self._found.append(_Found(name, "missing", message, wanted.commit, wanted))

    def _find_fetched(self, ahead: Ahead) -> set[str]:
        return Tagger(self._reader, Publisher(self._reader.repo)).find_fetched(ahead, self._layout)

    def _find_fault(  # noqa: PLR0911 - one a way to be wrong
        self, ref: TagRef, content: bytes | None, wanted: _Wanted | None, *, is_explained: bool
    ) -> tuple[str, str]:
        """Returns slug and message of what is wrong with a tag; two empty texts where that is nothing."""
        if ref.kind != "tag" and ref.kind:
            return ("lightweight", "it is not annotated, so GTO and DVC do not see it")
        if not ref.kind or not ref.target:
            return ("unreadable", "its object is missing or damaged: git fsck")
        name = _name_inside(content) if content is not None else ref.name
        if name != ref.name:
            return ("renamed", f"the tag object is that of {name}")
        if wanted is None:
            message = "the history of the registry branch does not call for it, but GTO and DVC follow it"
            return ("", "") if is_explained else ("unexplained", message)
        if wanted.target is not None and ref.target != wanted.target:
            return ("moved", f"it points at {ref.target[:12]}, not at {wanted.target[:12]}")
        if wanted.derived and not self._is_right(wanted.derived, ref, content):
            if content is None:
                return ("unknown", "this clone lacks its object, which is not the one that the history calls for")
            return ("forged", "its tagger, time or message is not what the history calls for")
        return ("", "")

    def _is_right(self, tag: DerivedTag, ref: TagRef, content: bytes | None) -> bool:
        if content is not None:
            return says_right(tag, ref.target, content)
        expected = encode_derived(tag, ref.target)
        head = b"tag %d\0" % len(expected)
        return hashlib.new(self._reader.repo.object_format, head + expected).hexdigest() == ref.oid


def _name_inside(content: bytes) -> str:
    head = content.partition(b"\n\n")[0]
    return head.partition(_NAME)[2].partition(b"\n")[0].decode("utf-8", "surrogateescape")
