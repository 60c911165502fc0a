"""Tags from history: which ones a history calls for, which are missing, which are not what they should be.

No tag is moved, deleted or made a second time.  A tag that is there under a name that the history calls for must say
what mreg would write, signed or not, on a commit of its version; else the name is taken, and that is a finding.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.gto import GtoAction, GtoName, find_deregistered, parse_gto_name
from mreg.core.history.record import Record
from mreg.core.history.tags import DerivedTag, derive_tags, find_blockers, folders_of, parse_tag_name
from mreg.core.history.timeline import AdoptedTag, Appearance, Commit, Finding, Timeline, Transition
from mreg.core.layout import Layout
from mreg.core.names import ModelName
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import Key, is_seal, read_records, version_commits
from mreg.registry.writing.ahead import Ahead
from mreg.stores.git.objects import Identity, encode_tag
from mreg.stores.git.repository import GitRepository, TagRef, tag_patterns
from mreg.stores.git.writing.publishing import NewTag, Publisher, RefUpdate
from mreg.stores.gto import read_gto_tags

__all__ = ["TagPlan", "Tagger", "encode_derived", "explain_tags", "find_explained", "says_right"]

_PREFIX = "refs/tags/"


class TagPlan(Struct, frozen=True):
    """The tags that a history calls for, against those that are there."""

    missing: tuple[DerivedTag, ...]
    """Those that can be made, oldest first."""
    present: int
    """How many are there, and as they should be."""
    findings: tuple[Finding, ...]
    records: Mapping[Key, Record] = field(default_factory=dict)
    """Of the versions that ``missing`` is about."""
    commits: Mapping[Key, str] = field(default_factory=dict)
    """Where the tags of some of these versions are, which are as they should be: theirs go there too."""
    ahead: tuple[str, ...] = ()
    """Names of tags that are as they should be, of commits that are fetched and not merged."""

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The transitions whose tags are missing, oldest first."""
        return tuple(dict.fromkeys(tag.event for tag in self.missing if isinstance(tag.event, Transition)))


class Tagger:
    """Makes the tags of one repository."""

    def __init__(self, reader: Reader, publisher: Publisher) -> None:
        """Keeps where to read and to write."""
        self._reader = reader
        self._publisher = publisher

    def reading(self, reader: Reader) -> Tagger:
        """Returns the same with another memory of what was read."""
        return Tagger(reader, self._publisher)

    def plan(
        self,
        timeline: Timeline,
        layout: Layout,
        models: Sequence[ModelName] = (),
        *,
        besides: Container[str] = (),
        refs: Iterable[TagRef] | None = None,
        ahead: Ahead | None = None,
    ) -> TagPlan:
        """Returns which tags are missing; a fixed small number of Git calls, whatever their number.

        Args:
            timeline: The history of the models, or of all where ``models`` is empty.
            layout: Where the registry's files are.
            models: Only these models' tags are read.
            besides: Names of tags that count as if they were not there.
            refs: The tags, where they are known.
            ahead: What is fetched of the branch and not merged; its tags are not wrong.
        """
        found = self._reader.repo.tags(tag_patterns(models) if models else [_PREFIX]) if refs is None else refs
        there = {ref.name: ref for ref in found if ref.name not in besides}
        return self._plan(timeline, layout, models, there, ahead)

    def _plan(
        self,
        timeline: Timeline,
        layout: Layout,
        models: Sequence[ModelName],
        refs: Mapping[str, TagRef],
        ahead: Ahead | None,
    ) -> TagPlan:
        derived = list(derive_tags(timeline))
        there = [tag for tag in derived if tag.name in refs]
        absent = [tag for tag in derived if tag.name not in refs]
        doubtful = self._find_doubtful(there, refs, timeline)
        records = read_records(self._reader, timeline, layout, map(_key, (*doubtful, *absent)))
        taken = [tag for tag, is_right in doubtful.items() if not _is_adopted(tag, refs, records, is_right=is_right)]
        readable = {key: record for key, record in records.items() if isinstance(record, Record)}
        explained = find_explained(self._reader.repo, refs.values(), timeline, readable)
        findings = list(_judge(refs.values(), explained.union(tag.name for tag in derived), timeline))
        findings += [_taken(tag) for tag in taken if refs[tag.name].kind == "tag"]
        blockers = self._find_blockers(absent, refs)
        findings += _blocking(sorted(refs.keys() - set(blockers.values())), timeline)
        missing: list[DerivedTag] = []
        for tag in absent:
            record = records.get(_key(tag))
            if not isinstance(record, Record):
                findings.append(_unreadable(tag, record, layout))
            elif record.adopted and isinstance(tag.event, Appearance):
                findings += [] if record.adopted.tag in refs else [_lost(record.adopted.tag)]
            elif tag.name in blockers:
                findings.append(_taken(tag, blockers[tag.name]))
            else:
                missing.append(tag)
        wanted = {key: readable[key] for key in map(_key, missing)}
        commits = {_key(tag): refs[tag.name].target for tag in there if _is_settled(tag, wanted, doubtful, refs)}
        plan = TagPlan(tuple(missing), len(there) - len(taken), tuple(dict.fromkeys(findings)), wanted, commits)
        return self._set_apart(plan, ahead, layout, models, blockers) if ahead and findings else plan

    def find_fetched(self, ahead: Ahead, layout: Layout, models: Sequence[ModelName] = ()) -> set[str]:
        """Returns the names of the tags that commits explain which are fetched and not merged."""
        timeline = self._reader.timeline(self._reader.commits(ahead.tip, layout, models, remember=True), layout)
        wrong = {finding.place.removeprefix(_PREFIX) for finding in self.plan(timeline, layout, models).findings}
        return {tag.name for tag in derive_tags(timeline)} - wrong

    def _set_apart(
        self,
        plan: TagPlan,
        ahead: Ahead,
        layout: Layout,
        models: Sequence[ModelName],
        blockers: Mapping[str, str],
    ) -> TagPlan:
        """Returns a plan that takes no tag of the fetched branch for a wrong one."""
        fetched = self.find_fetched(ahead, layout, models)
        findings: list[Finding] = []
        found: list[str] = []
        for finding in plan.findings:
            name = finding.place.removeprefix(_PREFIX)
            name = blockers.get(name, name)
            if name not in fetched:
                findings.append(finding)
                continue
            found.append(name)
            if finding.code == "taken-tag":
                message = f"{ahead.what}, which made the tag {name}: {ahead.command}"
                findings.append(replace(finding, code="fetched-tag", message=message))
        return replace(plan, findings=tuple(findings), ahead=tuple(dict.fromkeys(found)))

    def build(self, plan: TagPlan, timeline: Timeline, layout: Layout) -> list[RefUpdate]:
        """Builds the missing tags, and returns the refs to be made for them."""
        records = {key: record for key, record in plan.records.items() if key not in plan.commits}
        commits = {**plan.commits, **version_commits(self._reader, self._publisher, timeline, layout, records)}
        updates = []
        for tag in plan.missing:
            target = commits.get(_key(tag))
            if target is not None:
                oid = self._publisher.tag(NewTag(tag.name, target, _tagger(tag), tag.message))
                updates.append(RefUpdate(_PREFIX + tag.name, oid, None))
        return updates

    def _find_doubtful(
        self, tags: Sequence[DerivedTag], refs: Mapping[str, TagRef], timeline: Timeline
    ) -> dict[DerivedTag, bool]:
        """Returns the tags that say something else, or point elsewhere; true where what they say is right."""
        contents = self._reader.repo.read([refs[tag.name].oid for tag in tags])
        doubtful: dict[DerivedTag, bool] = {}
        for tag, content in zip(tags, contents, strict=True):
            is_right = says_right(tag, refs[tag.name].target, content)
            appearance = timeline.appearances.get(_key(tag))
            if not is_right or appearance is None or refs[tag.name].target != appearance.commit.oid:
                doubtful[tag] = is_right
        elsewhere = [tag for tag, is_right in doubtful.items() if is_right and _key(tag) in timeline.appearances]
        commits = self._reader.repo.read([refs[tag.name].target for tag in elsewhere])
        for tag, commit in zip(elsewhere, commits, strict=True):
            if is_seal(commit, timeline.appearances[_key(tag)]):
                del doubtful[tag]
        return doubtful

    def _find_blockers(self, tags: Sequence[DerivedTag], refs: Iterable[str]) -> dict[str, str]:
        """Returns the tags that cannot be beside another: ``fraud`` is a file, ``fraud/eu@v1.0.0`` is in a folder."""
        folders = {folder for tag in tags for folder in folders_of(tag.name)}
        found = self._reader.repo.resolve([_PREFIX + folder for folder in folders])
        files = {folder for folder, oid in zip(folders, found, strict=True) if oid}
        return find_blockers((tag.name for tag in tags), files.union(refs))


def _key(tag: DerivedTag) -> Key:
    return (tag.model, tag.version)


def _tagger(tag: DerivedTag) -> Identity:
    return Identity(tag.tagger, tag.email, tag.time)


def _is_adopted(
    tag: DerivedTag, refs: Mapping[str, TagRef], records: Mapping[Key, Record | DataError], *, is_right: bool
) -> bool:
    record, ref = records.get(_key(tag)), refs[tag.name]
    if not isinstance(record, Record) or record.adopted is None or ref.kind != "tag":
        return False
    is_gto = isinstance(tag.event, Appearance) and record.adopted.tag == tag.name
    return (is_gto or is_right) and ref.target == record.adopted.commit


def _is_settled(
    tag: DerivedTag, wanted: Container[Key], doubtful: Container[DerivedTag], refs: Mapping[str, TagRef]
) -> bool:
    """Returns whether a tag is that of a version on the commit that registered it, and no seal."""
    by = tag.event.commit
    is_own = isinstance(by, Commit) and refs[tag.name].target == by.oid
    return is_own and _key(tag) in wanted and tag not in doubtful


def find_explained(
    repo: GitRepository, refs: Iterable[TagRef], timeline: Timeline, records: Mapping[Key, Record]
) -> set[str]:
    """Returns the tags of GTO about registrations that the registry agrees with, though its history names them not.

    Args:
        repo: The repository with the tags.
        refs: The tags.
        timeline: The history that says which versions are archived.
        records: Those of the adopted versions; others do no harm.
    """
    adopted = {key: record.adopted.commit for key, record in records.items() if record.adopted}
    places = set(adopted.values())
    about: dict[TagRef, GtoName] = {}
    for ref in refs:
        says = parse_gto_name(ref.name) if ref.target in places else None
        if says and says.version and ref.target == adopted.get((says.model, says.version)):
            about[ref] = says
    names = {ref.name for ref in about}
    if not any(_takes_back(says, timeline) for says in about.values()):
        return names
    # Taken back and made again; names do not tell which came last.
    gone = find_deregistered(read_gto_tags(repo, about).tags)
    return names - {tag.name for tag in gone.values()}


def _takes_back(says: GtoName, timeline: Timeline) -> bool:
    """Returns whether a tag takes a registration back that the registry goes by."""
    return says.action is GtoAction.DEREGISTER and says.version not in timeline.archived.get(says.model, {})


def explain_tags(refs: Iterable[TagRef], derived: Container[str], timeline: Timeline) -> Iterator[tuple[TagRef, bool]]:
    """Yields the tags that GTO takes for those of a model, each with whether the history explains it."""
    adopted = _adopted_tags(timeline)
    adopted_up_to: dict[ModelName, int] = {}
    for name in filter(None, map(parse_gto_name, adopted)):
        adopted_up_to[name.model] = max(adopted_up_to.get(name.model, 0), name.number)
    models = {model for model, _ in timeline.appearances}
    for ref in refs:
        says = parse_gto_name(ref.name)
        if says is None or (says.stage is None and says.model not in models):
            continue  # a monorepo has tags such as parser@v1.0.0 that are no model's
        is_archived = says.action is GtoAction.DEREGISTER and not _takes_back(says, timeline)
        # Where the adoption was squashed, the history names the last tag of each stage alone.
        is_earlier = says.stage is not None and says.number <= adopted_up_to.get(says.model, -1)
        is_known = ref.name in derived or ref.name in adopted or says.action is GtoAction.DEPRECATE
        yield ref, is_known or is_archived or is_earlier


def _adopted_tags(timeline: Timeline) -> set[str]:
    """Returns the names of GTO's tags that stage files name."""
    adopted = {each.adopted for each in timeline.transitions if each.adopted}
    return adopted | {each.name for each in timeline.events if isinstance(each, AdoptedTag)}


def encode_derived(tag: DerivedTag, target: str) -> bytes:
    """Returns the tag object that the history calls for, on a commit, without a signature."""
    return encode_tag(name=tag.name, target=target, tagger=_tagger(tag), message=tag.message)


def says_right(tag: DerivedTag, target: str, content: bytes | None) -> bool:
    """Returns whether a tag object on a commit is what the history calls for, signed or not."""
    expected = encode_derived(tag, target)
    rest = (content or b"")[len(expected) :]
    return content is not None and content.startswith(expected) and (not rest or rest.startswith(b"-----BEGIN "))


def _judge(refs: Collection[TagRef], derived: set[str], timeline: Timeline) -> Iterator[Finding]:
    for ref, is_explained in explain_tags(refs, derived, timeline):
        if ref.kind != "tag":
            yield Finding("lightweight-tag", _PREFIX + ref.name, "it is not annotated, so GTO and DVC do not see it")
        elif not is_explained:
            message = "the history of the registry branch does not call for it, but GTO and DVC follow it"
            yield Finding("unexplained-tag", _PREFIX + ref.name, message)
    yield from map(_lost, sorted(_adopted_tags(timeline) - {ref.name for ref in refs}))


def _blocking(names: Iterable[str], timeline: Timeline) -> Iterator[Finding]:
    """Yields the tags below the name of one that mreg may have to make: Git cannot keep both."""
    models = {model for model, _ in timeline.appearances}
    for name in names:
        for folder in folders_of(name):
            says = parse_tag_name(folder)
            if says and says.model in models:
                message = f"mreg could not make the tag {folder} beside it: delete it"
                yield Finding("blocking-tag", _PREFIX + name, message)


def _taken(tag: DerivedTag, blocker: str = "another tag") -> Finding:
    subject = tag.message.partition("\n")[0]
    message = f"{blocker} is in the way of {subject!r}: delete it and run mreg sync"
    return Finding("taken-tag", _PREFIX + tag.name, message)


def _lost(name: str) -> Finding:
    message = "this clone lacks the tag of GTO that the registry was adopted from: git fetch --tags"
    return Finding("missing-tag", _PREFIX + name, message)


def _unreadable(tag: DerivedTag, error: DataError | None, layout: Layout) -> Finding:
    if error is not None:
        return Finding(error.code, layout.record(tag.model, tag.version), error.message)
    stage = tag.event.stage if isinstance(tag.event, Transition) else None
    place = layout.stage(tag.model, stage) if stage else layout.record(tag.model, tag.version)
    return Finding("unknown-version", place, f"{tag.model} {tag.version} is not registered, so {tag.name} was not made")
