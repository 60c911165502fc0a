"""Writing a registry: read, decide, publish, and again where someone else moved first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mreg.core.gates import Case, GateFinding, Judgement, Scan
from mreg.core.history import Commit, Lane, Timeline
from mreg.core.manifest import StageEntry
from mreg.core.names import ModelName, StageName, Version
from mreg.core.plan import Document, Plan, Statement, with_approvers
from mreg.core.policy import Policy
from mreg.core.record import Record
from mreg.core.refusals import refuse
from mreg.core.results import Receipt, SyncReport
from mreg.core.state import ModelState, RegistryState
from mreg.errors import ConflictError, DataError
from mreg.registry.judging import Bench, Signing
from mreg.registry.reader import Reader, Settings
from mreg.registry.tagging import Tagger
from mreg.stores import yaml
from mreg.stores.git.objects import Identity
from mreg.stores.git.publishing import Publisher, RefMovedError, RefUpdate
from mreg.stores.git.repository import GitRepository

__all__ = ["View", "Writer"]

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class View:
    """What a plan is made from: one model on the branch that the commit will go to."""

    reader: Reader
    policy: Policy
    registry: RegistryState
    """The model, and those in folders below its own, if any."""
    model: ModelState
    """Empty where the model is not registered."""
    timeline: Timeline
    author: Identity
    rules: Policy
    """In force for the commit: those of the registry branch, wherever it goes."""
    signing: Signing
    landed: str
    """Tip of the registry branch."""
    is_branch: bool = False
    """True where the commit goes to another branch."""

    def registered(self) -> ModelState:
        """Returns the model if it is registered.

        Raises:
            NotFoundError: It is not; the hint names the nearest that is.
        """
        if self.model.records:
            return self.model
        return self.reader.state(self.registry.commit, self.policy).model(self.model.model)

    def require_record(self, version: Version | None) -> None:
        """Passes a version whose record can be read: nobody could pull another.

        Raises:
            DataError: It cannot, or names another version.
        """
        if version is not None and version in self.model.records:
            self.reader.record(self.registry, self.model.model, version)

    def once(self) -> list[Version]:
        """Returns every version of the model that history knows, those whose record was deleted since included."""
        return [version for model, version in self.timeline.appearances if model == self.model.model]

    def neighbours(self) -> list[ModelName]:
        """Returns the other models in folders above and below this one's; one Git call."""
        name = self.model.model
        above = [ModelName(name[:at]) for at, char in enumerate(name) if char == "/"]
        folders = [f"{self.registry.commit}:{self.policy.layout.model(each)}/versions" for each in above]
        found = [each for each, oid in zip(above, self.reader.repo.resolve(folders), strict=True) if oid]
        return found + [each for each, state in self.registry.models.items() if each != name and state.records]

    def lane(self, stage: StageName) -> Lane:
        """Returns the replayed history of one stage of the model."""
        return self.timeline.lane(self.model.model, stage)

    def statement(self, reason: str, approved_by: Sequence[str] = ()) -> Statement:
        """Returns the statement of whoever commits now."""
        return Statement(reason.strip(), self.author.email, self.author.when, tuple(approved_by))


@dataclass(frozen=True, slots=True)
class _Base:
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

    def __init__(self, repo: GitRepository, *, scan: Callable[[Record], Scan | None] | None = None) -> None:
        """Keeps the repository; nothing is read yet.

        Args:
            repo: The repository.
            scan: Scans a version's bytes, where a gate asks for it; by default nobody does.
        """
        self._repo = repo
        self._scan = scan

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
            ConflictError: The branch kept moving.
            MregError: Whatever ``build`` raises; nothing was written.
        """
        if dry_run:
            base = self._base(branch)
            view, commits = self._view(model, base, dry_run=True)
            plan, findings = self._judge(base, view, commits, build(view))
            return Receipt(plan, base.branch, None, dry_run=True, findings=findings)
        publisher = Publisher(self._repo)
        with publisher.locked():
            for _ in range(_ATTEMPTS):
                base = self._base(branch)
                view, commits = self._view(model, base)
                plan, findings = self._judge(base, view, commits, build(view))
                if not plan.changed:
                    return Receipt(plan, base.branch, None)
                try:
                    receipt = self._land(Publisher(self._repo), base, view, commits, plan)
                    return replace(receipt, findings=findings)
                except RefMovedError:
                    continue
        raise ConflictError(f"{base.branch} moved {_ATTEMPTS} times while mreg was writing", hint="try again")

    def recover(self) -> None:
        """Completes or undoes what a killed command had begun.

        Raises:
            ConflictError: Another process kept writing.
            StorageError: The repository cannot be written to.
        """
        with Publisher(self._repo).locked():
            pass

    def sync(self, *, dry_run: bool = False) -> SyncReport:
        """Makes the tags that the registry branch calls for and this clone lacks.

        Raises:
            ConflictError: Tags kept appearing while they were made.
        """
        publisher = Publisher(self._repo)
        if dry_run:
            return self._sync(publisher, dry_run=True)
        with publisher.locked():
            for _ in range(_ATTEMPTS):
                try:
                    return self._sync(Publisher(self._repo), dry_run=False)
                except RefMovedError:
                    continue
        raise ConflictError(f"tags moved {_ATTEMPTS} times while mreg was writing", hint="try again")

    def _sync(self, publisher: Publisher, *, dry_run: bool) -> SyncReport:
        reader = Reader(self._repo)
        settings = reader.settings()
        layout = settings.policy.layout
        timeline = reader.timeline(reader.commits(settings.tip, layout), layout)
        tagger = Tagger(reader, publisher)
        plan = tagger.plan(timeline, layout)
        created = tuple(tag.name for tag in plan.missing)
        if plan.missing and not dry_run:
            updates = tagger.build(plan, timeline, layout)
            publisher.publish(updates, reason="mreg sync")
            created = tuple(update.ref.removeprefix("refs/tags/") for update in updates)
        return SyncReport(
            created=created,
            present=plan.present,
            transitions=plan.transitions,
            findings=(*timeline.findings, *plan.findings),
            dry_run=dry_run,
        )

    def _base(self, branch: str | None) -> _Base:
        settings = Reader(self._repo).settings()
        if branch is None or branch == settings.branch:
            return _Base(settings, settings.branch, settings.tip, settings.tip if settings.is_local else None)
        self._repo.check_branch_name(branch)
        local = self._repo.branch_tip(branch)
        return _Base(settings, branch, local or settings.tip, local)

    def _view(self, model: ModelName, base: _Base, *, dry_run: bool = False) -> tuple[View, list[Commit]]:
        reader = Reader(self._repo)
        policy = base.settings.policy if base.is_registry else reader.policy_at(base.tip)
        registry = reader.state(base.tip, policy, [model])
        commits = reader.commits(base.tip, policy.layout, [model])
        timeline = reader.timeline(commits, policy.layout)
        state = registry.models.get(model, ModelState(model))
        rules = base.settings.policy
        signing = Signing(reader, rules, dry_run=dry_run)
        view = View(
            reader=reader,
            policy=policy,
            registry=registry,
            model=state,
            timeline=timeline,
            author=self._repo.author(),
            rules=rules,
            signing=signing,
            landed=base.settings.tip,
            is_branch=not base.is_registry,
        )
        return view, commits

    def _judge(
        self, base: _Base, view: View, commits: list[Commit], plan: Plan
    ) -> tuple[Plan, tuple[GateFinding, ...]]:
        """Returns a plan as it lands, signed and with its approvers, and what the gates say of it.

        On another branch than the registry's, a gate that says no stops nothing: there the review decides.

        Raises:
            RefusedError: A gate says no.
        """
        if not plan.changed:
            return plan, ()
        bench = Bench(view.reader, view.rules, base.tip, view.signing, scan=self._scan)
        who, layout = (view.author, self._repo.committer()), view.policy.layout
        # Judged before it is signed: nobody is asked for a key for what is then refused.
        is_dry, view.signing.dry_run = view.signing.dry_run, True
        draft = _sign(view, plan)
        judged = bench.judge(view.timeline, draft, encode_files(draft), who)
        if base.is_registry:
            _refuse(judged)
        view.signing.dry_run = is_dry
        named = plan
        for case, judgement in judged:
            named = with_approvers(named, layout, case.stage, [actor.email for actor in judgement.tally.approvers])
        signed = _sign(view, named)
        if base.is_registry and not is_dry and signed != draft:
            judged = bench.judge(view.reader.timeline(commits, layout), signed, encode_files(signed), who)
            _refuse(judged)
        return signed, tuple(finding for _, judgement in judged for finding in judgement.findings)

    def _land(self, publisher: Publisher, base: _Base, view: View, commits: list[Commit], plan: Plan) -> Receipt:
        files = encode_files(plan)
        commit = publisher.commit(
            parent=base.tip, files=files, author=view.author, committer=self._repo.committer(), message=plan.message
        )
        updates = [RefUpdate(f"refs/heads/{base.branch}", commit, base.local)]
        notices: tuple[str, ...] = ()
        if base.is_registry:
            # The fold reads the new commit as everyone else will: from the objects, before any ref names them.
            publisher.flush()
            layout = view.policy.layout
            new = view.reader.commits(commit, layout, [view.model.model], since=base.tip)
            timeline = view.reader.timeline([*commits, *new], layout)
            tagger = Tagger(view.reader, publisher)
            tags = tagger.plan(timeline, layout, [view.model.model])
            updates += tagger.build(tags, timeline, layout)
            notices = tuple(f"{finding.place}: {finding.message}" for finding in tags.findings)
        publisher.publish(updates, paths=tuple(files), reason=f"mreg: {plan.subject}")
        names = tuple(update.ref.removeprefix("refs/tags/") for update in updates[1:])
        return Receipt(plan, base.branch, commit, names, notices=notices)


def _sign(view: View, plan: Plan) -> Plan:
    def find_record(entry: StageEntry) -> Record | None:
        if plan.record and plan.record.version == entry.version:
            return plan.record
        if entry.version is None or entry.version not in view.model.records:
            return None
        try:
            return view.reader.record(view.registry, view.model.model, entry.version)
        except DataError:
            return None

    return view.signing.sign_plan(plan, view.policy, find_record)


def _refuse(judged: Iterable[tuple[Case, Judgement]]) -> None:
    for case, judgement in judged:
        refuse(case, judgement)


def encode_files(plan: Plan) -> dict[str, bytes | None]:
    """Returns the files that a plan writes, as bytes; ``None`` deletes."""
    return {path: encode_document(document) for path, document in plan.documents.items()}


def encode_document(document: Document) -> bytes | None:
    """Returns a document as the bytes of its file."""
    if document is None or isinstance(document, bytes):
        return document
    return yaml.dump(document).encode()
