"""Auditing a repository: its whole first-parent history, its tags, and what hides one of them; nothing is changed."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field

from mreg.core.audit import Auditor
from mreg.core.audited import Audit, AuditFault, Report
from mreg.core.gates import Scan
from mreg.core.history import Commit, Finding
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.manifest import Manifest
from mreg.core.names import ModelName, StageName
from mreg.core.policy import DEFAULT_BRANCH, Policy
from mreg.core.record import Record
from mreg.errors import DataError, GitError, IncompleteHistoryError, NotARegistryError, OutsideError
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader, Settings, parse_manifest, parse_settings
from mreg.registry.review.tag_audit import TagAudit
from mreg.registry.writing.ahead import find_ahead
from mreg.stores.git.disguises import find_grafts, find_replacements
from mreg.stores.git.pushing import find_remote
from mreg.stores.git.remotes import describe_tags, list_remote
from mreg.stores.git.repository import GitRepository

__all__ = ["Auditing", "audit"]

_READ = {PathKind.RECORD, PathKind.STAGE, PathKind.APPROVAL}
_COMPLETE = "git fetch --refetch --no-filter origin"
_FETCH = "git fetch --unshallow --tags   # in GitHub Actions: actions/checkout with fetch-depth: 0"


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
            found = _find_last_settings(reader)
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
        start = self.reader.repo.commit_of(since) if since is not None else None
        commits = self._log()
        gaps = self._load(commits)
        if gaps:
            return Audit(self.settings.tip, start, gaps=gaps)
        judged = {commit.oid for commit in commits}
        if start is not None:
            out = self.reader.repo.runner.text("rev-list", "--first-parent", f"{start}..{self.settings.tip}")
            judged.intersection_update(out.split("\n"))
        evidence = self._evidence()
        with _uncollected():
            auditor = self._audit(commits, judged, evidence)
            auditor.finish()
            ahead = find_ahead(self.reader.repo, self.settings.branch, self.settings.tip)
            tags = TagAudit(self.reader, auditor.timeline, self._layout, commits, evidence, ahead)
            verdict = tags.judge(self.reader.repo.tags())
        faults = [*auditor.faults, *verdict.faults, *self._disguises()]
        if remote:
            faults += self._compare(tags, commits)
        return Audit(
            tip=self.settings.tip,
            since=start,
            commits=len(judged),
            transitions=len(auditor.judged),
            signed=sum(each.is_signed for each in auditor.judged),
            proven=sum(each.actor.is_proven for each in auditor.judged),
            tags=verdict.right,
            faults=tuple(faults),
            unproven=tuple(auditor.unproven),
            remote=self._remote() if remote else None,
        )

    def report(self, models: Sequence[ModelName], stage: StageName | None) -> Report:
        """Returns the transitions of some models, or of all, with the answers of their rules, newest first.

        Raises:
            IncompleteHistoryError: The clone is shallow, or lacks objects.
        """
        commits = self._load_whole(models)
        with _uncollected():
            auditor = self._audit(commits, {commit.oid for commit in commits}, self._evidence(models))
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
        with _uncollected():
            return self._audit(commits, judged, self._evidence(models)).faults

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
            found = self._read_blobs([(SETTINGS_FILE, oid) for oid in _settings_blobs(repo.log(tip, [SETTINGS_FILE]))])
            roots = {self._layout.root}
            for data in found.values():
                policy = _attempt_settings(data)
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

    def _evidence(self, models: Sequence[ModelName] = ()) -> StoredEvidence:
        folders = [self._layout.model(model) for model in models]
        # Without merges, each commit of the history tells by itself who committed what it brings.
        tip = None if self.reader.repo.is_linear(self.settings.tip) else self.settings.tip
        return StoredEvidence(self.reader, self._layout, tip, folders=folders, planned=self._contents, scan=self.scan)

    def _audit(self, commits: Iterable[Commit], judged: set[str], evidence: StoredEvidence) -> Auditor:
        auditor = Auditor(self._layout, self._manifest, evidence, lambda oid: parse_settings(self._contents[oid]))
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

    def _remote(self) -> str:
        """Returns the remote that the registry branch goes to; ``origin`` where nothing tells."""
        try:
            return find_remote(self.reader.repo, self.settings.branch)
        except OutsideError:
            return "origin"

    def _compare(self, tags: TagAudit, commits: Sequence[Commit]) -> Iterator[AuditFault]:
        branch, remote = self.settings.branch, self._remote()
        there = list_remote(self.reader.repo, remote, branch)
        if there.branch is None:
            yield AuditFault("remote-branch-missing", f"refs/heads/{branch}", f"{remote} has no such branch")
            return
        order = [commit.oid for commit in commits]
        if there.branch not in order:
            raise IncompleteHistoryError(
                f"{branch} of {remote} is at {there.branch[:12]}, which is not in the history here",
                hint=f"git pull --ff-only {shlex.quote(remote)} {shlex.quote(branch)} && git fetch --tags",
                details={"remote": remote, "commit": there.branch},
            )
        until = frozenset(order[: order.index(there.branch) + 1])
        refs = describe_tags(self.reader.repo, there)
        yield from tags.judge(refs, until=until, code="remote-tag").faults


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


def _settings_blobs(commits: Iterable[Commit]) -> list[str]:
    return [change.new for commit in commits for change in commit.changes if change.new]


def _attempt_settings(data: bytes) -> Policy | None:
    try:
        return parse_settings(data)
    except DataError:
        return None


def _find_last_settings(reader: Reader) -> Settings | None:
    """Returns the newest settings that can be read, and the branch that they name."""
    names = [f"refs/heads/{DEFAULT_BRANCH}", f"refs/remotes/origin/{DEFAULT_BRANCH}", "HEAD"]
    for tip in reader.repo.resolve(names):
        oids = _settings_blobs(reader.repo.log(tip, [SETTINGS_FILE])) if tip else []
        found = zip(reversed(oids), reader.repo.read(oids[::-1]), strict=True)
        policy = next((policy for _, data in found if data is not None and (policy := _attempt_settings(data))), None)
        if policy and tip:
            own = reader.repo.branch_tip(policy.branch)
            return Settings(policy, policy.branch, own or tip, is_local=own is not None)
    return None


def audit(path: Path, *, since: str | None = None, remote: bool = False) -> Audit:
    """Returns what is wrong with the registry around a directory, also where its settings cannot be read any more.

    Args:
        path: A directory in the repository.
        since: Judge only what came after this revision.
        remote: Look at the tags of the remote too.

    Raises:
        MregError: As ``Registry.verify``.
    """
    return Auditing.of(Reader(GitRepository(path))).verify(since=since, remote=remote)
