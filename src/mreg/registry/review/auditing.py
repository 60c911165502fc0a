"""Auditing a repository: its first-parent history, its tags, and what hides one of them; nothing is changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.tags import DerivedTag, tags_of
from mreg.core.history.timeline import Commit, Event, Finding
from mreg.core.layout import SETTINGS_FILE, Layout
from mreg.core.names import ModelName, StageName
from mreg.core.packed import Packed
from mreg.core.review.audited import Audit, AuditFault, Judged, Report, Trusted
from mreg.core.review.gates import Scan
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, GitError, IncompleteHistoryError, NotARegistryError, UsageError
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.review.past_settings import attempt_settings, find_last_settings, settings_blobs
from mreg.registry.review.remote_tags import find_remote_tags, remote_of
from mreg.registry.review.replaying import COMPLETE, Replay, explain_lack, uncollected
from mreg.registry.review.squashed import explain_squashes
from mreg.registry.review.tag_audit import GivenTags, TagAudit
from mreg.registry.review.unverified import Noting, find_unverified
from mreg.registry.writing.ahead import find_ahead
from mreg.stores.git.disguises import find_grafts, find_replacements
from mreg.stores.git.history.baseline import digest_tags, model_of
from mreg.stores.git.history.stretches import read_stretches
from mreg.stores.git.objects import to_datetime
from mreg.stores.git.repository import GitRepository

__all__ = ["Auditing", "audit", "verify"]

_FETCH = "git fetch --unshallow --tags   # in GitHub Actions: actions/checkout with fetch-depth: 0"


BATCH = 2048
"""Tags that are read at once."""


class Auditing(Struct):
    """Audits one repository."""

    reader: Reader
    settings: Settings
    scan: Callable[[Record], Scan | None] | None = None
    """Scans a version's bytes, where a gate asks for it; by default nobody does."""

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
        repo, tip = self.reader.repo, self.settings.tip
        start = repo.commit_of(since) if since is not None else None
        judged = None
        if start is not None:
            judged = set(repo.runner.text("rev-list", "--first-parent", f"{start}..{tip}").split("\n"))
        stretches, is_linear = self._log(), repo.is_linear(tip)
        name = remote_of(repo, self.settings.branch) if remote else None
        there = find_remote_tags(repo, name, self.settings.branch, tip) if name else None
        ids, noting = repo.tag_ids(), Noting(repo, self._layout)
        digests = digest_tags(ids)
        replay = self._replay(None, is_linear=is_linear)
        audits = [TagAudit(self.reader, self._layout, replay.evidence, GivenTags(repo, repo.tag_ids, ids))]
        del ids
        if there:
            tags, until = there.tags, there.until
            audits.append(TagAudit(self.reader, self._layout, replay.evidence, tags, until=until, code="remote-tag"))
        noted = (noting.take(commits) for commits in stretches)
        found, passed = self._judge(replay, replay.run(noted, judged), audits, self._branch)
        if remote and there is None and not found.gaps:
            lack = AuditFault(
                "remote-branch-missing", f"refs/heads/{self.settings.branch}", f"{name} has no such branch"
            )
            found = replace(found, faults=(*found.faults, lack))
        if found.ok and start is None and not remote:
            noting.save(_without(digests, passed), is_linear=is_linear)
        return replace(found, since=start, remote=name)

    def verify_incrementally(self) -> Audit:
        """Returns what is wrong with what came since this clone was last found clean; where nobody knows, with all.

        Raises:
            IncompleteHistoryError: The clone is shallow, or what it lacks could not be fetched.
        """
        repo = self.reader.repo
        ids = repo.tag_ids()
        digests = digest_tags(ids)
        new = "this clone is shallow" if repo.is_shallow else find_unverified(repo, self.settings, digests)
        if isinstance(new, str):
            return replace(self.verify(since=None, remote=False), fallback=new)
        trusted = Trusted(new.base, new.count, to_datetime(new.baseline.at), to_datetime(new.baseline.whole_at))
        replay = self._replay(sorted(new.models), is_linear=new.is_linear, policy=self.settings.policy)
        known = {name: oid for name, oid in ids.items() if model_of(name) in new.models}
        tags = GivenTags(repo, lambda: known, known)
        audits = [TagAudit(self.reader, self._layout, replay.evidence, tags)]
        events = replay.run([[*new.before, *new.commits]], {commit.oid for commit in new.commits})
        found, passed = self._judge(replay, events, audits, new.branch)
        if found.ok and (new.commits or new.models):
            noting = Noting(repo, self._layout, new.baseline)
            noting.take(new.commits)
            noting.save(_without(digests, passed), is_linear=new.is_linear)
        return replace(found, since=new.base, trusted=trusted)

    def _judge(
        self,
        replay: Replay,
        events: Iterable[Event],
        audits: Sequence[TagAudit],
        branch: Callable[[], Iterable[str]],
    ) -> tuple[Audit, frozenset[str]]:
        """Returns what is wrong with commits, tags and what hides them, and tags that no fault is for now."""
        tip, auditor = self.settings.tip, replay.auditor
        with uncollected():
            for batch in _batches(tags_of(_tell(events, audits))):
                for audit in audits:
                    audit.add(batch)
            if replay.gaps:
                return Audit(tip, gaps=replay.gaps), frozenset()
            ahead = find_ahead(self.reader.repo, self.settings.branch, tip)
            local, *others = [audit.finish(auditor.standing, branch, ahead) for audit in audits]
        history = explain_squashes(self.reader.repo, self.settings.policy.people, tip, auditor.faults)
        found = Audit(
            tip=tip,
            commits=replay.judged,
            transitions=auditor.transitions,
            signed=auditor.signed,
            proven=auditor.proven,
            tags=local.right,
            faults=(
                *history,
                *local.faults,
                *self._disguises(),
                *chain(*(each.faults for each in others)),
            ),
            unproven=tuple(auditor.unproven),
        )
        return found, local.passed

    def report(self, models: Sequence[ModelName], stage: StageName | None) -> Report:
        """Returns the transitions of some models, or of all, with the answers of their rules, newest first.

        Raises:
            IncompleteHistoryError: The clone is shallow, or lacks objects.
        """
        told: list[Judged] = []
        is_linear = self.reader.repo.is_linear(self.settings.tip)
        replay = self._replay(models or None, is_linear=is_linear, tell=told.append)

        def judged() -> Iterator[Judged]:
            for _ in self._run(replay, models, None):
                yield from (each for each in told if stage in {None, each.transition.stage})
                told.clear()

        rows = Packed(judged(), is_backwards=True)
        return Report(rows, tuple(replay.auditor.standing.findings))

    def judge(self, new: Container[str], models: Sequence[ModelName] = ()) -> list[AuditFault]:
        """Returns what is wrong with some commits of the history, each judged by the rules of its parent.

        Args:
            new: Their ids.
            models: The models that they touch; all where empty.

        Raises:
            IncompleteHistoryError: The clone is shallow, or lacks objects.
        """
        replay = self._replay(models or None, is_linear=self.reader.repo.is_linear(self.settings.tip))
        deque(self._run(replay, models, new), maxlen=0)
        return replay.auditor.faults

    def _run(self, replay: Replay, models: Sequence[ModelName], judged: Container[str] | None) -> Iterator[Event]:
        """Replays the history of some models, or of all; no gap is passed over."""
        with uncollected():
            yield from replay.run(self._log(models), judged, is_to_the_end=False)
        if replay.gaps:
            raise _gap(replay.gaps)

    def _replay(
        self,
        models: Sequence[str] | None,
        *,
        is_linear: bool,
        policy: Policy | None = None,
        tell: Callable[[Judged], None] | None = None,
    ) -> Replay:
        return Replay(
            self.reader, self.settings, models=models, is_linear=is_linear, policy=policy, scan=self.scan, tell=tell
        )

    def _branch(self) -> list[str]:
        return self.reader.repo.runner.text("rev-list", "--first-parent", self.settings.tip).split("\n")

    @property
    def _layout(self) -> Layout:
        return self.settings.policy.layout

    def _log(self, models: Sequence[ModelName] = ()) -> Iterator[Sequence[Commit]]:
        """Returns the history of some models, or of all, oldest first and in stretches."""
        repo, tip = self.reader.repo, self.settings.tip
        if repo.is_shallow:
            raise IncompleteHistoryError(
                "this clone is shallow: the history that it lacks cannot be verified", hint=_FETCH
            )
        if models:
            return self._read_log([*map(self._layout.model, models), SETTINGS_FILE])
        try:
            # Where `root:` was another once, what happened there counts too.
            settings = repo.read(settings_blobs(repo.log(tip, [SETTINGS_FILE])))
        except GitError as error:
            raise explain_lack(repo, error) from error
        policies = [attempt_settings(data) for data in dict.fromkeys(settings) if data is not None]
        roots = {self._layout.root, *(policy.root for policy in policies if policy)}
        return self._read_log([*sorted(roots), SETTINGS_FILE], is_whole=True)

    def _read_log(self, paths: Sequence[str], *, is_whole: bool = False) -> Iterator[Sequence[Commit]]:
        try:
            yield from read_stretches(self.reader.repo, self.settings.tip, paths, is_whole=is_whole)
        except GitError as error:
            raise explain_lack(self.reader.repo, error) from error

    def _disguises(self) -> Iterator[AuditFault]:
        for ref, oid in find_replacements(self.reader.repo):
            message = "Git shows another object in the place of this one, and mreg does not"
            yield AuditFault("replaced-history", ref, message, oid)
        for oid in find_grafts(self.reader.repo):
            message = "Git shows a commit with other parents than it has, and mreg does not"
            yield AuditFault("grafted-history", "info/grafts", message, oid)


def _gap(gaps: Sequence[Finding]) -> IncompleteHistoryError:
    message = f"{gaps[0].place}: {gaps[0].message}"
    return IncompleteHistoryError(message, hint=COMPLETE, details={"missing": [gap.place for gap in gaps]})


def _tell(events: Iterable[Event], audits: Sequence[TagAudit]) -> Iterator[Event]:
    for event in events:
        for audit in audits:
            audit.note(event)
        yield event


def _batches(tags: Iterable[DerivedTag]) -> Iterator[list[DerivedTag]]:
    """Yields some tags at a time; those of one commit together, for one of them may be why another points elsewhere."""
    batch: list[DerivedTag] = []
    for tag in tags:
        if len(batch) >= BATCH and tag.commit != batch[-1].commit:
            yield batch
            batch = []
        batch.append(tag)
    if batch:
        yield batch


def _without(digests: Mapping[str, bytes], names: Iterable[str]) -> dict[str, bytes]:
    """Returns the digests of the tags of models but those that some tags are of."""
    models = {model_of(name) for name in names}
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
    return auditing.verify_incrementally() if incremental else auditing.verify(since=since, remote=remote)
