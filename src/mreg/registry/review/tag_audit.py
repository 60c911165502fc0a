"""The audit of tags: each one against what the history calls for, to the byte.

A tag is wrong in one way, the first that is found.  Its signature, if it has one, is no part of what the history calls
for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from mreg.core.audited import AuditFault
from mreg.core.history import AdoptedTag, Appearance, Commit, Timeline
from mreg.core.layout import Layout
from mreg.core.record import Record
from mreg.core.tags import DerivedTag, derive_tags
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import Key, version_commits
from mreg.registry.writing.ahead import Ahead
from mreg.registry.writing.tagging import Tagger, encode_derived, explain_tags, find_explained, says_right
from mreg.stores.git.publishing import Publisher
from mreg.stores.git.repository import TagRef

__all__ = ["TagAudit", "TagVerdict"]

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


class TagAudit:
    """Judges the tags of a repository, and those of its remote, by one history."""

    def __init__(
        self,
        reader: Reader,
        timeline: Timeline,
        layout: Layout,
        branch: Callable[[], Container[str]],
        evidence: StoredEvidence,
        ahead: Ahead | None = None,
    ) -> None:
        """Keeps the history; nothing is read yet.

        Args:
            reader: The repository.
            timeline: The fold of the history of all models whose tags are judged.
            layout: Where the registry's files are.
            branch: Gives the ids of all commits of the history.
            evidence: Gives the records.
            ahead: What is fetched of the branch and not merged; its tags are not wrong.
        """
        self._reader = reader
        self._timeline = timeline
        self._layout = layout
        self._find_branch = branch
        self._evidence = evidence
        self._ahead = ahead

    def judge(self, refs: Sequence[TagRef], *, until: Collection[str] | None = None, code: str = "tag") -> TagVerdict:
        """Returns what is wrong with some tags, and which are missing.

        Args:
            refs: All tags; one whose object this clone lacks has the id of its object, and what it points at.
            until: Only the tags that these commits call for may be missed; all where ``None``.
            code: How the codes of the faults begin.
        """
        explained = find_explained(self._reader.repo, refs, self._timeline, self._records)
        judged = list(explain_tags(refs, explained.union(self._wanted), self._timeline))
        contents = self._reader.repo.read([ref.oid for ref, _ in judged])
        faults, right, passed = [], 0, set()
        for (ref, is_explained), content in zip(judged, contents, strict=True):
            wanted = self._wanted.get(ref.name)
            slug, message = self._find_fault(ref, content, wanted, is_explained=is_explained)
            if slug and self._ahead and ref.name in self._fetched:
                if wanted is None:
                    passed.add(ref.name)
                    continue
                slug, message = "fetched", f"{self._ahead.what}, which made this tag: {self._ahead.command}"
            if slug:
                commit = wanted.commit if wanted else ref.target or ref.oid
                faults.append(AuditFault(f"{code}-{slug}", _PREFIX + ref.name, message, commit))
            elif wanted:
                right += 1
        missing = self._wanted.keys() - {ref.name for ref in refs}
        for name, wanted in self._wanted.items():
            if name in missing and wanted.is_required and (until is None or wanted.commit in until):
                message = "the history calls for it, and it is not there"
                faults.append(AuditFault(f"{code}-missing", _PREFIX + name, message, wanted.commit))
        return TagVerdict(right, tuple(sorted(faults, key=lambda fault: (fault.place, fault.code))), frozenset(passed))

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
            message = "the history of the registry branch does not call for it, and GTO and DVC go by it"
            return ("", "") if is_explained else ("unexplained", message)
        if wanted.target is not None and ref.target != wanted.target:
            where = f"it points at {ref.target[:12]}, and not at {wanted.target[:12]}"
            if ref.target in self._branch or ref.target in self._targets.values():
                return ("moved", where)
            return ("off-branch", f"{where}; that is no commit of this history")
        if wanted.derived and not self._is_right(wanted.derived, ref, content):
            if content is None:
                return ("unknown", "this clone lacks its object, which is another than the history calls for")
            return ("forged", "its tagger, time or message is not what the history calls for")
        return ("", "")

    def _is_right(self, tag: DerivedTag, ref: TagRef, content: bytes | None) -> bool:
        if content is not None:
            return says_right(tag, ref.target, content)
        expected = encode_derived(tag, ref.target)
        head = b"tag %d\0" % len(expected)
        return hashlib.new(self._reader.repo.object_format, head + expected).hexdigest() == ref.oid

    @cached_property
    def _branch(self) -> Container[str]:
        return self._find_branch()

    @cached_property
    def _wanted(self) -> Mapping[str, _Wanted]:
        return dict(self._want())

    def _want(self) -> Iterator[tuple[str, _Wanted]]:
        for tag in derive_tags(self._timeline):
            key, by = (tag.model, tag.version), tag.event.commit
            record, target = self._records.get(key), self._targets.get(key)
            commit = by.oid if isinstance(by, Commit) else by
            if isinstance(tag.event, Appearance) and record and record.adopted:
                yield record.adopted.tag, _Wanted(commit, record.adopted.commit or None)
            else:
                yield tag.name, _Wanted(commit, target, tag, is_required=target is not None)
        for event in self._timeline.events:
            if isinstance(event, AdoptedTag):
                yield event.name, _Wanted("", None)
            elif not isinstance(event, Appearance) and event.adopted:
                adopted = event.statement.adopted if event.statement else None
                yield event.adopted, _Wanted(event.commit, (adopted.commit if adopted else "") or None)

    @cached_property
    def _fetched(self) -> set[str]:
        tagger = Tagger(self._reader, Publisher(self._reader.repo))
        return tagger.find_fetched(self._ahead, self._layout) if self._ahead else set()

    @cached_property
    def _records(self) -> Mapping[Key, Record]:
        found = {key: self._evidence.record(*key, each.record) for key, each in self._timeline.appearances.items()}
        return {key: record for key, record in found.items() if record}

    @cached_property
    def _targets(self) -> Mapping[Key, str]:
        # What is built for seals is never written.
        publisher = Publisher(self._reader.repo)
        return version_commits(self._reader, publisher, self._timeline, self._layout, self._records)


def _name_inside(content: bytes) -> str:
    head = content.partition(b"\n\n")[0]
    return head.partition(_NAME)[2].partition(b"\n")[0].decode("utf-8", "surrogateescape")
