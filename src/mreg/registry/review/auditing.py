"""Auditing a repository: its first-parent history, its tags, and what hides one of them; nothing is changed."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.audit import Auditor
from mreg.core.audited import Audit, AuditFault, Report, Trusted
from mreg.core.gates import Scan
from mreg.core.history import Commit, Finding
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.manifest import Manifest
from mreg.core.names import ModelName, StageName
from mreg.core.policy import Policy
from mreg.core.record import Record
from mreg.errors import DataError, GitError, IncompleteHistoryError, NotARegistryError, UsageError
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader, Settings, parse_manifest, parse_settings
from mreg.registry.review.last_settings import attempt_settings, find_last_settings, settings_blobs
from mreg.registry.review.news import find_news, note_clean
from mreg.registry.review.remote_tags import compare_remote, remote_of
from mreg.registry.review.tag_audit import TagAudit, TagVerdict
from mreg.registry.writing.ahead import find_ahead
from mreg.stores.git.baseline import digest_tags
from mreg.stores.git.disguises import find_grafts, find_replacements
from mreg.stores.git.objects import to_datetime
from mreg.stores.git.repository import GitRepository, tag_patterns

__all__ = ["Auditing", "audit", "verify"]

_READ = {PathKind.RECORD, PathKind.STAGE, PathKind.APPROVAL}
_COMPLETE = "git fetch --refetch --no-filter origin"
_FETCH = "git fetch --unshallow --tags   # in GitHub Actions: actions/checkout with fetch-depth: 0"


class _Matter(Struct, frozen=True):
    """What is judged."""

    commits: Sequence[Commit]
    """The history, or that of some models; oldest first."""
    judged: Collection[str]
    """The ids of those that are judged; the others are only to be known."""
    branch: Callable[[], Container[str]]
    """Gives the ids of all commits of the history."""
    is_linear: bool
    models: Sequence[str] | None = None
    """Those whose tags are judged too; all where ``None``."""


class Auditing(Struct):
    """Audits one repository."""

    reader: Reader
    settings: Settings
    scan: Callable[[Record], Scan | None] | None = None
    """Scans a version's bytes, where a gate asks for it; by default nobody does."""
    _contents: dict[str, bytes] = field(default_factory=dict)
    _manifests: dict[tuple[str, str], Manifest | DataError] = field(default_factory=dict)

    @classmethod
    def of(cls, reader: Reader) -> Auditing:
        """Returns the auditing of the registry branch, also where its settings cannot be read any more.

        Raises:
            NotARegistryError: There never was a registry.
            IncompleteHistoryError: The clone is shallow.
        """
        try:
            return cls(reader, reader.settings())
        except (DataError, NotARegistryError):
            found = find_last_settings(reader)
            if found is None:
                raise
            return cls(reader, found)

    def verify(self, *, since: str | None, remote: bool) -> Audit:
        """Returns what is wrong.

        Args:
            since: Judge only what came after this revision.
            remote: Look at the tags of the remote too.

        Raises:
            IncompleteHistoryError: The clone is shallow, or what it lacks could not be fetched; or the remote has
                moved on.
            NotFoundError: There is no such revision, or no such remote.
        """
        repo = self.reader.repo
        start = repo.commit_of(since) if since is not None else None
        commits = self._log()
        gaps = self._load(commits)
        if gaps:
            return Audit(self.settings.tip, start, gaps=gaps)
        judged = {commit.oid for commit in commits}
        if start is not None:
            out = repo.runner.text("rev-list", "--first-parent", f"{start}..{self.settings.tip}")
            judged.intersection_update(out.split("\n"))
        digests = digest_tags(repo)
        is_linear = repo.is_linear(self.settings.tip)
        matter = _Matter(commits, judged, lambda: {each.oid for each in commits}, is_linear)
        audit, tags, verdict = self._judge(matter)
        if remote:
            name = remote_of(repo, self.settings.branch)
            faults = (*audit.faults, *compare_remote(repo, name, self.settings.branch, tags, commits))
            audit = replace(audit, faults=faults, remote=name)
        elif start is None and audit.ok:
            note_clean(repo, self._layout, commits, _without(digests, verdict.passed), is_linear=is_linear)
        return replace(audit, since=start)

    def verify_news(self) -> Audit:
        """Returns what is wrong with what came since this clone was last found clean; where nobody knows, with all.

        Raises:
            IncompleteHistoryError: The clone is shallow, or what it lacks could not be fetched.
        """
        repo = self.reader.repo
        digests = digest_tags(repo)
        news = "this clone is shallow" if repo.is_shallow else find_news(repo, self.settings, digests)
        if isinstance(news, str):
            return replace(self.verify(since=None, remote=False), fallback=news)
        trusted = Trusted(news.base, news.count, to_datetime(news.baseline.at), to_datetime(news.baseline.whole_at))
        commits = [*news.before, *news.commits]
        gaps = self._load(commits)
        if gaps:
            return Audit(self.settings.tip, news.base, gaps=gaps, trusted=trusted)
        judged = {commit.oid for commit in news.commits}
        matter = _Matter(commits, judged, news.branch, news.is_linear, sorted(news.models))
        audit, _, verdict = self._judge(matter)
        if audit.ok and (news.commits or news.models):
            clean = _without(digests, verdict.passed)
            note_clean(repo, self._layout, news.commits, clean, is_linear=news.is_linear, after=news.baseline)
        return replace(audit, since=news.base, trusted=trusted)

    def _judge(self, matter: _Matter) -> tuple[Audit, TagAudit, TagVerdict]:
        """Returns what is wrong with commits, with the tags of their models, and with what hides them."""
        repo, models = self.reader.repo, matter.models
        evidence = self._evidence(models, is_linear=matter.is_linear)
        with _uncollected():
            policy = self.settings.policy if models is not None else None
            auditor = self._audit(matter.commits, matter.judged, evidence, policy)
            auditor.finish()
            ahead = find_ahead(repo, self.settings.branch, self.settings.tip)
            tags = TagAudit(self.reader, auditor.timeline, self._layout, matter.branch, evidence, ahead)
            verdict = tags.judge(repo.tags() if models is None else repo.tags(tag_patterns(models)) if models else ())
        audit = Audit(
            tip=self.settings.tip,
            commits=len(matter.judged),
            transitions=len(auditor.judged),
            signed=sum(each.is_signed for each in auditor.judged),
            proven=sum(each.actor.is_proven for each in auditor.judged),
            tags=verdict.right,
            faults=(*auditor.faults, *verdict.faults, *self._disguises()),
            unproven=tuple(auditor.unproven),
        )
        return audit, tags, verdict

    def report(self, models: Sequence[ModelName], stage: StageName | None) -> Report:
        """Returns the transitions of some models, or of all, with the answers of their rules, newest first.

        Raises:
            IncompleteHistoryError: The clone is shallow, or lacks objects.
        """
        commits = self._load_whole(models)
        evidence = self._evidence(models, is_linear=self.reader.repo.is_linear(self.settings.tip))
        with _uncollected():
            auditor = self._audit(commits, {commit.oid for commit in commits}, evidence)
        rows = (row for row in reversed(auditor.judged) if stage in {None, row.transition.stage})
        return Report(tuple(rows), tuple(auditor.timeline.findings))

    def judge(self, new: Collection[str], models: Sequence[ModelName] = ()) -> list[AuditFault]:
        """Returns what is wrong with some commits of the history, each judged by the rules of its parent.

        Args:
            new: Their ids.
            models: The models that they touch; all where empty.

        Raises:
            IncompleteHistoryError: The clone is shallow, or lacks objects.
        """
        commits = self._load_whole(models)
        judged = {commit.oid for commit in commits if commit.oid in new}
        evidence = self._evidence(models, is_linear=self.reader.repo.is_linear(self.settings.tip))
        with _uncollected():
            return self._audit(commits, judged, evidence).faults

    def _load_whole(self, models: Sequence[ModelName]) -> list[Commit]:
        """Returns the history of some models, or of all; no gap is passed over."""
        commits = self._log(models)
        gaps = self._load(commits)
        if gaps:
            raise _gap(gaps)
        return commits

    @property
    def _layout(self) -> Layout:
        return self.settings.policy.layout

    def _log(self, models: Sequence[ModelName] = ()) -> list[Commit]:
        repo, tip = self.reader.repo, self.settings.tip
        if repo.is_shallow:
            raise IncompleteHistoryError("this clone is shallow: what it lacks cannot be proven", hint=_FETCH)
        try:
            if models:
                folders = [self._layout.model(model) for model in models]
                return repo.log(tip, [*folders, SETTINGS_FILE])
            # Where `root:` was another once, what happened there counts too.
            found = self._read_blobs([(SETTINGS_FILE, oid) for oid in settings_blobs(repo.log(tip, [SETTINGS_FILE]))])
            roots = {self._layout.root}
            for data in found.values():
                policy = attempt_settings(data)
                roots |= {policy.root} if policy else set()
            return repo.log(tip, [*sorted(roots), SETTINGS_FILE], is_whole=True)
        except GitError as error:
            raise self._incomplete(error) from error

    def _load(self, commits: Iterable[Commit]) -> tuple[Finding, ...]:
        """Reads all that is to be judged, in one Git call, and returns what is not there."""
        wanted: list[tuple[str, str]] = []
        for commit in commits:
            for change in commit.changes:
                place = self._layout.locate(change.path)
                is_read = change.path == SETTINGS_FILE or (place is not None and place.kind in _READ)
                if change.new and is_read:
                    wanted.append((change.path, change.new))
        self._contents = self._read_blobs(wanted)
        lost = {oid: path for path, oid in wanted if oid not in self._contents}
        return tuple(
            Finding("missing-object", path, f"object {oid} is not in this clone: {_COMPLETE}")
            for oid, path in sorted(lost.items(), key=lambda item: item[1])
        )

    def _read_blobs(self, blobs: Sequence[tuple[str, str]]) -> dict[str, bytes]:
        oids = list(dict.fromkeys(oid for _, oid in blobs))
        try:
            contents = self.reader.repo.read(oids)
        except GitError as error:
            raise self._incomplete(error) from error
        return {oid: content for oid, content in zip(oids, contents, strict=True) if content is not None}

    def _incomplete(self, error: GitError) -> GitError | IncompleteHistoryError:
        if not self.reader.repo.is_partial:
            return error
        message = f"this is a partial clone, and what it lacks could not be fetched: {error.message}"
        return IncompleteHistoryError(message, hint=_COMPLETE, details=error.details)

    def _evidence(self, models: Sequence[str] | None, *, is_linear: bool) -> StoredEvidence:
        folders = [self._layout.model(ModelName(model)) for model in models or ()]
        # Without merges, each commit of the history tells by itself who committed what it brings.
        tip = None if is_linear else self.settings.tip
        return StoredEvidence(self.reader, self._layout, tip, folders=folders, planned=self._contents, scan=self.scan)

    def _audit(
        self,
        commits: Iterable[Commit],
        judged: Collection[str],
        evidence: StoredEvidence,
        policy: Policy | None = None,
    ) -> Auditor:
        def read_policy(oid: str) -> Policy:
            return parse_settings(self._contents[oid])

        auditor = Auditor(self._layout, self._manifest, evidence, read_policy, policy=policy)
        for commit in commits:
            auditor.step(commit, is_judged=commit.oid in judged)
        return auditor

    def _manifest(self, path: str, oid: str) -> Manifest:
        return parse_manifest(path, self._contents[oid])

    def _disguises(self) -> Iterator[AuditFault]:
        for ref, oid in find_replacements(self.reader.repo):
            message = "Git shows another object in the place of this one, and mreg does not"
            yield AuditFault("replaced-history", ref, message, oid)
        for oid in find_grafts(self.reader.repo):
            message = "Git shows a commit with other parents than it has, and mreg does not"
            yield AuditFault("grafted-history", "info/grafts", message, oid)


def _gap(gaps: Sequence[Finding]) -> IncompleteHistoryError:
    message = f"{gaps[0].place}: {gaps[0].message}"
    return IncompleteHistoryError(message, hint=_COMPLETE, details={"missing": [gap.place for gap in gaps]})


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keeps Python from looking for garbage: all that is read is kept, and looking takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _without(digests: Mapping[str, bytes], names: Iterable[str]) -> dict[str, bytes]:
    """Returns the digests of the tags of models but those that some tags are of."""
    models = {re.split("[@#]", name, maxsplit=1)[0] for name in names}
    return {model: digest for model, digest in digests.items() if model not in models}


def audit(path: Path, *, since: str | None = None, remote: bool = False, incremental: bool = False) -> Audit:
    """Returns what is wrong with the registry around a directory, also where its settings cannot be read any more.

    Args:
        path: A directory in the repository.
        since: Judge only what came after this revision.
        remote: Look at the tags of the remote too.
        incremental: Judge only what came since this clone was last found clean.

    Raises:
        MregError: As ``Registry.verify``.
    """
    return verify(Reader(GitRepository(path)), since=since, remote=remote, incremental=incremental)


def verify(reader: Reader, *, since: str | None, remote: bool, incremental: bool) -> Audit:
    """Returns what is wrong; as ``Registry.verify``."""
    if incremental and (remote or since is not None):
        other = "--since" if since is not None else "--remote"
        message = f"--incremental and {other} do not go together: it begins where this clone was found clean"
        raise UsageError(message, hint="mreg verify --incremental; or, for all of it: mreg verify --remote")
    auditing = Auditing.of(reader)
    return auditing.verify_news() if incremental else auditing.verify(since=since, remote=remote)
