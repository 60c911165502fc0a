"""Writing a registry: read, decide, publish, and again where someone else moved first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.state import ModelState
from mreg.core.names import ModelName
from mreg.core.results import Receipt
from mreg.core.review.gates import GateFinding, Scan
from mreg.core.writing.plan import Plan
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.writing.ahead import find_ahead
from mreg.registry.writing.attempts import TELLING, attempts, given_up
from mreg.registry.writing.judging import Bench, judge_plan
from mreg.registry.writing.signing import Signing
from mreg.registry.writing.tagging import Tagger
from mreg.registry.writing.upstream import Upstream
from mreg.registry.writing.view import View, encode_files
from mreg.stores.git.remotes.divergence import lacking_commits
from mreg.stores.git.remotes.pushing import is_ancestor
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher, RefMovedError, RefUpdate

__all__ = ["Writer"]


class _Base(Struct, frozen=True):
    settings: Settings
    branch: str
    tip: str
    local: str | None
    """The branch's own commit; ``None`` where the branch is made by this change."""

    @property
    def is_registry(self) -> bool:
        return self.branch == self.settings.branch


class Writer:
    """Lands plans as commits, with the tags that they call for."""

    def __init__(
        self,
        repo: GitRepository,
        *,
        scan: Callable[[Record], Scan | None] | None = None,
        push: bool | None = None,
    ) -> None:
        """Keeps the repository; nothing is read yet.

        Args:
            repo: The repository.
            scan: Scans a version's bytes, where a gate asks for it; by default nobody does.
            push: Decide on what the remote has, and land there first; by default as ``push:`` in the settings says.
        """
        self._repo = repo
        self._scan = scan
        self._push = push

    def write(
        self,
        model: ModelName,
        build: Callable[[View], Plan],
        *,
        branch: str | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Commits what ``build`` plans, and makes the tags.

        Args:
            model: The one model that the plan is about.
            build: Decides; it is called again on what someone else committed in between.
            branch: Commit here instead of on the registry branch; no tag is made.
            dry_run: Decide only.

        Raises:
            ConflictError: The branch kept moving, or this clone and its remote have diverged.
            PushRefusedError: The remote's rules say no.
            MregError: Whatever ``build`` raises; nothing was written.
        """
        if dry_run:
            base = self._base(branch)
            view = self._view(model, base, dry_run=True)
            plan, findings = self._judge(base, view, build(view))
            return Receipt(plan, base.branch, None, dry_run=True, findings=findings)
        publisher = Publisher(self._repo)
        with publisher.locked():
            for number in attempts():
                if number == TELLING and self._repo.listener:
                    self._repo.listener.outrun(base.branch)
                settings = Reader(self._repo).settings()
                upstream = self._follow(publisher, settings, model, branch, is_first=number == 1)
                base = self._base(branch, upstream, settings=None if upstream else settings)
                view = self._view(model, base)
                plan, findings = self._judge(base, view, build(view))
                if not plan.changed:
                    notices = upstream.tell_unpushed(base.local) if upstream else ()
                    return Receipt(plan, base.branch, None, notices=notices)
                try:
                    receipt = self._land(Publisher(self._repo), base, view, plan, upstream)
                    return replace(receipt, findings=findings)
                except RefMovedError as error:
                    lost = error
        raise given_up(f"{base.branch} kept moving while mreg was writing", lost)

    def recover(self) -> None:
        """Completes or undoes what a killed command had begun.

        Raises:
            ConflictError: Another process kept writing.
            StorageError: The repository cannot be written to.
        """
        with Publisher(self._repo).locked():
            pass

    def _follow(
        self, publisher: Publisher, settings: Settings, model: ModelName, branch: str | None, *, is_first: bool
    ) -> Upstream | None:
        """Brings the branches up to what the remote has; ``None`` where nothing is pushed, and nothing moves."""
        if not (settings.policy.push if self._push is None else self._push):
            return None
        other = branch if branch != settings.branch else None
        if other is not None:
            self._repo.check_branch_name(other)
        upstream, proposal = Upstream.fetch_both(self._repo, settings.branch, other, [model], is_first=is_first)
        upstream.follow(publisher)
        if proposal:
            proposal.follow(publisher)
        return proposal or upstream

    def _base(self, branch: str | None, upstream: Upstream | None = None, *, settings: Settings | None = None) -> _Base:
        settings = settings or Reader(self._repo).settings()
        if branch is None or branch == settings.branch:
            return _Base(settings, settings.branch, settings.tip, settings.tip if settings.is_local else None)
        self._repo.check_branch_name(branch)
        local = self._repo.branch_tip(branch)
        return _Base(settings, branch, local or self._begin(settings, branch, upstream), local)

    def _begin(self, settings: Settings, branch: str, upstream: Upstream | None) -> str:
        """Returns the commit that a branch begins on that this clone lacks: the remote may have it."""
        there = upstream.tip if upstream else self._repo.tracked_tip(branch)
        # One that was merged has nothing of its own any more.
        return settings.tip if there is None or is_ancestor(self._repo, there, settings.tip) else there

    def _view(self, model: ModelName, base: _Base, *, dry_run: bool = False) -> View:
        reader, rules = Reader(self._repo, base.settings), base.settings.policy
        policy = rules if base.is_registry else reader.policy_at(base.tip)
        registry = reader.state(base.tip, policy, [model])
        commits = reader.commits(base.tip, policy.layout, [model], remember=True)
        return View(
            reader=reader,
            policy=policy,
            registry=registry,
            model=registry.models.get(model, ModelState(model)),
            timeline=reader.timeline(commits, policy.layout),
            author=self._repo.author(),
            committer=self._repo.committer(),
            rules=rules,
            signing=Signing(reader, rules, dry_run=dry_run),
            landed=base.settings.tip,
            is_branch=not base.is_registry,
            commits=tuple(commits),
        )

    def _judge(self, base: _Base, view: View, plan: Plan) -> tuple[Plan, tuple[GateFinding, ...]]:
        bench = Bench(view.reader, view.rules, base.tip, view.signing, scan=self._scan)
        return judge_plan(bench, view, plan)

    def _land(self, publisher: Publisher, base: _Base, view: View, plan: Plan, upstream: Upstream | None) -> Receipt:
        files = encode_files(plan)
        commit = publisher.commit(
            parent=base.tip, files=files, author=view.author, committer=view.committer, message=plan.message
        )
        updates = [RefUpdate(f"refs/heads/{base.branch}", commit, base.local)]
        notices: tuple[str, ...] = ()
        if base.is_registry:
            # The fold reads the new commit as everyone else will: from the objects, before any ref names them.
            publisher.flush()
            layout = view.policy.layout
            new = view.reader.commits(commit, layout, [view.model.model], since=base.tip)
            timeline = view.reader.timeline([*view.commits, *new], layout)
            tagger = Tagger(view.reader, publisher)
            ahead = find_ahead(self._repo, base.branch, commit)
            tags = tagger.plan(timeline, layout, [view.model.model], ahead=ahead)
            updates += tagger.build(tags, timeline, layout)
            notices = tuple(f"{finding.place}: {finding.message}" for finding in tags.findings)
        push = None
        if upstream is not None:
            self._upload(base, upstream)
            push = partial(upstream.push, [*updates, *self._unpushed(base, view, upstream)])
        if self._repo.listener:
            self._repo.listener.landing(base.branch, commit, upstream.remote if upstream else "")
        publisher.publish(updates, paths=tuple(files), reason=f"mreg: {plan.subject}", push=push)
        names = tuple(update.ref.removeprefix("refs/tags/") for update in updates[1:])
        remote = upstream.remote if upstream else ""
        return Receipt(plan, base.branch, commit, names, notices=notices, remote=remote)

    def _upload(self, base: _Base, upstream: Upstream) -> None:
        """Uploads the bytes of versions that were registered here before, and land with this commit."""
        if upstream.tip != base.tip:
            # The registry branch was fetched too: what it has there is uploaded already.
            landed = self._repo.resolve([f"refs/remotes/{upstream.remote}/{base.settings.branch}"])[0]
            known = [oid for oid in (upstream.tip, landed) if oid]
            from mreg.registry.writing.uploading import upload_new  # noqa: PLC0415 - brings DVC's part

            upload_new(self._repo, lacking_commits(self._repo, base.tip, known))

    def _unpushed(self, base: _Base, view: View, upstream: Upstream) -> list[RefUpdate]:
        """Returns the tags of what was made here before without a push, and lands with this one."""
        if not base.is_registry or upstream.tip == base.tip:
            return []
        layout = view.policy.layout
        timeline = view.reader.timeline(view.reader.commits(base.tip, layout, remember=True), layout)
        found = Tagger(view.reader, Publisher(self._repo)).plan(timeline, layout).findings
        wrong = {finding.place.removeprefix("refs/tags/") for finding in found}
        return upstream.unpushed_tags(timeline, base.tip, besides=wrong)
