"""Syncing: the tags that merged commits call for, automatic promotions, and who is told of them.

Rules:
    * It is idempotent: run again, it finds nothing to do.
    * With a push, the remote takes a change whole before it counts here.
    * A transition is told once, whoever syncs: the marker of what was told moves first, compared and set.  The same
      goes for what a job of CI hands on to be deployed.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.tags import find_blockers, tags_of
from mreg.core.history.timeline import Finding, Standing, Timeline
from mreg.core.names import ModelName, StageName, Version
from mreg.core.results import Receipt, SyncReport
from mreg.core.review.gates import Scan
from mreg.core.writing.auto import auto_stages, find_candidates
from mreg.core.writing.plan import Plan
from mreg.core.writing.transitions import plan_promote
from mreg.errors import DataError, IdentityError, PushRefusedError, RefusedError, UsageError
from mreg.registry.reading.answers import name_approvers
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.sharing.notifying import Notifying
from mreg.registry.writing.ahead import find_ahead
from mreg.registry.writing.attempts import attempts, given_up
from mreg.registry.writing.surveying import survey
from mreg.registry.writing.tagging import Tagger
from mreg.registry.writing.upstream import Upstream
from mreg.registry.writing.view import View
from mreg.registry.writing.writer import Writer
from mreg.stores.git.remotes.divergence import lacking_commits
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher, RefMovedError, RefUpdate

__all__ = ["Syncing"]

_TAGS = "refs/tags/"


class Syncing(Struct, frozen=True):
    """One sync, and how far it goes."""

    repo: GitRepository
    push: bool | None = None
    """By default as ``push:`` in ``registry.yaml`` says."""
    auto: bool = True
    """Promote into the stages that ask for it."""
    dry_run: bool = False
    environ: Mapping[str, str] | None = None
    """Holds the URLs of the sinks; nobody is told where ``None``."""
    resend: str | None = None
    """A tag or a commit whose transitions are told once more."""
    scan: Callable[[Record], Scan | None] | None = None

    def run(self) -> SyncReport:
        """Makes the tags, promotes, pushes, tells.

        Raises:
            ConflictError: Tags kept appearing, or this clone and its remote have diverged.
            PushRefusedError: The remote's rules say no.
            NotFoundError: ``resend`` names no transition.
            UsageError: ``resend`` is asked for, and that nobody is told.
        """
        if self.resend is not None and self.environ is None:
            raise UsageError(
                "resending and telling nobody exclude each other",
                hint=f"mreg sync --resend {shlex.quote(self.resend)}   # without --no-notify",
            )
        report = self._run()
        return replace(report, transitions=name_approvers(Reader(self.repo), report.transitions))

    def _run(self) -> SyncReport:
        if self.dry_run:
            report = self._tag(Publisher(self.repo), None)
            promotions, _ = self._promote(report)
            return replace(report, promotions=promotions)
        report = self._tag_until_landed()
        promotions, faults = self._promote(report)
        if promotions:
            later = self._tag_until_landed()
            commits = {each.commit for each in promotions}
            moves = (each for each in self._read(later).transitions if each.commit in commits)
            tags = (*report.created, *(tag for each in promotions for tag in each.tags), *later.created)
            transitions = (*report.transitions, *moves, *later.transitions)
            report = replace(later, created=tags, transitions=tuple(dict.fromkeys(transitions)), promotions=promotions)
        report = replace(report, findings=(*report.findings, *faults))
        if self.environ is None:
            return report
        notifying = Notifying(self.repo, self.environ, cache(partial(self._read, report)), report.remote)
        again = notifying.find(self.resend) if self.resend is not None else ()
        told = notifying.run(report.transitions, again)
        return replace(report, transitions=notifying.hand_on(report.transitions), notifications=told)

    def _read(self, report: SyncReport) -> Timeline:
        """Returns the whole history up to where a report was made: most syncs do without."""
        reader = Reader(self.repo)
        layout = reader.settings().policy.layout
        return reader.timeline(reader.commits(str(report.commit), layout, remember=True), layout)

    def _tag_until_landed(self) -> SyncReport:
        publisher = Publisher(self.repo)
        with publisher.locked():
            for _ in attempts():
                try:
                    return self._tag(Publisher(self.repo), self._follow(publisher))
                except RefMovedError as error:
                    lost = error
        raise given_up("tags kept moving while mreg was writing", lost)

    def _follow(self, publisher: Publisher) -> Upstream | None:
        settings = Reader(self.repo).settings()
        if not (settings.policy.push if self.push is None else self.push):
            return None
        upstream = Upstream.fetch(self.repo, settings.branch)
        upstream.follow(publisher)
        return upstream

    def _tag(self, publisher: Publisher, upstream: Upstream | None) -> SyncReport:
        reader = Reader(self.repo)
        settings = reader.settings()
        layout = settings.policy.layout
        names: list[str] = []
        if upstream:
            names += (tag.name for tag in tags_of(reader.replay(Standing(), settings.tip, layout)))
            upstream.fetch_tags(names)
        tagger = Tagger(reader, publisher)
        ahead = find_ahead(self.repo, settings.branch, settings.tip)
        found = survey(reader, tagger, settings.tip, layout, ahead=ahead, build=not self.dry_run)
        plan = found.plan
        created = tuple(tag.name for tag in plan.missing)
        blocked: tuple[Finding, ...] = ()
        if not self.dry_run:
            created = tuple(update.ref.removeprefix(_TAGS) for update in found.updates)
            # What is wrong here does not go where nobody can take it back.
            wrong = {finding.place.removeprefix(_TAGS) for finding in plan.findings}
            right = [name for name in names if name not in wrong]
            blocked = self._publish(publisher, settings, found.updates, right, upstream)
        return SyncReport(
            created=created,
            present=plan.present,
            transitions=plan.transitions,
            findings=(*found.standing.findings, *plan.findings, *blocked),
            dry_run=self.dry_run,
            remote=upstream.remote if upstream else "",
            commit=settings.tip,
        )

    def _publish(
        self,
        publisher: Publisher,
        settings: Settings,
        updates: Sequence[RefUpdate],
        names: list[str],
        upstream: Upstream | None,
    ) -> tuple[Finding, ...]:
        """Lands tags, and returns those that the remote cannot have beside others that are there."""
        if upstream is None:
            publisher.publish(updates, reason="mreg sync")
            return ()
        there = upstream.tags()
        wanted = {update.ref.removeprefix(_TAGS): update for update in [*upstream.missing_tags(names, there), *updates]}
        blockers = find_blockers(wanted, there)
        pushed = [update for name, update in wanted.items() if name not in blockers]
        if upstream.tip != settings.tip:
            from mreg.registry.writing.uploading import upload_new  # noqa: PLC0415 - brings DVC's part

            upload_new(self.repo, lacking_commits(self.repo, settings.tip, [upstream.tip] if upstream.tip else []))
            pushed.insert(0, RefUpdate(f"refs/heads/{settings.branch}", settings.tip, upstream.tip))
        try:
            if updates:
                publisher.publish(updates, reason="mreg sync", push=partial(upstream.push, pushed))
            else:
                upstream.push(pushed)
        except PushRefusedError as error:
            if upstream.tip == settings.tip:
                raise
            hint = "mreg push --branch NAME   # what was committed here goes by a pull request"
            raise PushRefusedError(error.message, hint=hint, details=error.details) from error
        return tuple(_blocked(name, blocker, upstream.remote) for name, blocker in blockers.items())

    def _promote(self, report: SyncReport) -> tuple[tuple[Receipt, ...], tuple[Finding, ...]]:
        """Promotes what may go by itself, and returns what kept it from going on, if anything did."""
        settings = Reader(self.repo).settings()
        stages = auto_stages(settings.policy) if self.auto else ()
        if not stages:
            return (), ()
        writer = Writer(self.repo, scan=_remember(self.scan), push=bool(report.remote))
        reader = Reader(self.repo)
        layout = settings.policy.layout
        standing = Standing()
        deque(reader.replay(standing, settings.tip, layout), maxlen=0)
        promotions: list[Receipt] = []
        for model, state in reader.state(settings.tip, settings.policy).models.items():
            for stage in stages:
                candidates = find_candidates(state, standing.lane(model, stage), stage)
                try:
                    receipt = self._try(writer, model, stage, candidates)
                except (PushRefusedError, IdentityError) as error:
                    # The tags have landed, and whoever waits for them is told; the others would end the same way.
                    message = f"nothing was promoted to {stage}: {error.message}; {error.hint}"
                    return tuple(promotions), (Finding(error.code, layout.stage(model, stage), message),)
                if receipt and receipt.changed:
                    promotions.append(receipt)
        return tuple(promotions), ()

    def _try(
        self, writer: Writer, model: ModelName, stage: StageName, candidates: tuple[Version, ...]
    ) -> Receipt | None:
        for version in candidates:
            build = partial(_plan, version=version, stage=stage)
            try:
                receipt = writer.write(model, build, dry_run=True)  # what is refused asks no server
                return receipt if self.dry_run else writer.write(model, build)
            except (RefusedError, DataError):
                continue  # its gates, or its record; an older version may pass
        return None


def _remember(scan: Callable[[Record], Scan | None] | None) -> Callable[[Record], Scan | None] | None:
    """Returns a scanner that looks at each version once."""
    if scan is None:
        return None
    known: dict[tuple[ModelName, Version], Scan | None] = {}

    def find(record: Record) -> Scan | None:
        key = (record.model, record.version)
        if key not in known:
            known[key] = scan(record)
        return known[key]

    return find


def _blocked(name: str, blocker: str, remote: str) -> Finding:
    delete = f"git push {shlex.quote(remote)} --delete {shlex.quote(_TAGS + blocker)}"
    return Finding("taken-tag", _TAGS + name, f"{blocker} is in its way on {remote}: {delete}")


def _plan(view: View, *, version: Version, stage: StageName) -> Plan:
    lane = view.lane(stage)
    if version not in find_candidates(view.model, lane, stage):  # someone promoted or held meanwhile
        return Plan(view.model.model, version, stage)
    view.require_record(version)
    statement = view.statement(f"every gate of {stage} allows it")
    return plan_promote(view.policy, view.model, lane, version, stage, statement)
