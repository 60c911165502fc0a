"""Pushing what was made here without a push: bytes first, then commits and tags in one atomic push.

Rules:
    * What the remote has stands; what was made here goes on top of it, and is judged again by the rules there.
    * All or nothing: where anything stands against it, nothing moves, there or here.
    * Local tags whose commits were made again are made again too, unless others have seen them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.layout import Layout
from mreg.core.nearness import find_near
from mreg.core.review.gates import Scan
from mreg.core.review.reviewed import Fault
from mreg.core.sharing.joining import plan_join
from mreg.core.sharing.joints import Join, Local
from mreg.core.sharing.pushed import PushConflict, Pushed, PushedCommit, settle_all
from mreg.core.sharing.renumbering import Renamed, renumber
from mreg.core.sharing.settling import conflict_of, describe, refusal_of, tell_same
from mreg.errors import ConflictError, IncompleteHistoryError, NotFoundError, PushRefusedError, UsageError
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.sharing.joining import Builder, Built, StoredContents
from mreg.registry.sharing.rejudging import find_idle_approvals, judge_new
from mreg.registry.sharing.retagging import Retagging, retag
from mreg.registry.writing.attempts import attempts, given_up
from mreg.registry.writing.uploading import new_records, upload_new
from mreg.registry.writing.upstream import Upstream
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.git.branches import branch_names
from mreg.stores.git.remotes.divergence import find_lost, find_movers, lacking_commits
from mreg.stores.git.remotes.pushing import is_ancestor
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher, RefMovedError, RefUpdate

__all__ = ["Pushing"]

_UNSHALLOW = "git fetch --unshallow   # in GitHub Actions: actions/checkout with fetch-depth: 0"
_FEW_OID = 12


class _Ends(Struct, frozen=True):
    """What is here, and what is there."""

    settings: Settings
    upstream: Upstream
    """Of the branch that is pushed."""
    here: str
    """The commit that is pushed."""
    there: str | None
    """The commit that it goes on top of; ``None`` where the remote has nothing of it."""
    local: str | None
    """Where the branch is here; ``None`` where it is made."""
    locals: tuple[Local, ...]

    @property
    def is_registry(self) -> bool:
        return self.upstream.branch == self.settings.branch

    @property
    def name(self) -> str:
        return f"{self.upstream.remote}/{self.upstream.branch}"


class _Draft(Struct, frozen=True):
    """The new history, and what stands against it."""

    built: Built
    join: Join
    conflicts: tuple[PushConflict, ...] = ()
    complaints: tuple[Fault, ...] = ()
    settle: str = ""
    """The command that leaves out what something stands against."""
    notices: tuple[str, ...] = ()


class Pushing(Struct, frozen=True):
    """One push of what was made here, and how far it goes."""

    repo: GitRepository
    branch: str | None = None
    """A branch that is not the registry's; the registry branch where ``None``."""
    drop: Sequence[str] = ()
    """Commits whose changes of the registry are left out."""
    renumber: bool = False
    """Give versions whose number was taken the next one."""
    dry_run: bool = False
    scan: Callable[[Record], Scan | None] | None = None
    progress: Progress | None = None

    def run(self) -> Pushed:
        """Uploads, joins, judges, pushes; with ``dry_run`` says what would be done, and what stands against it.

        Raises:
            ConflictError: Both sides changed the same, or the remote's branch was taken back, or kept moving.
            RefusedError: The rules of the remote's branch say no.
            IncompleteHistoryError: The clone is shallow.
            PushRefusedError: The remote's own rules say no.
            OutsideError: There is no remote, or it does not answer.
        """
        if self.repo.is_shallow:
            message = "this clone is shallow and lacks the history that the push needs"
            raise IncompleteHistoryError(message, hint=_UNSHALLOW)
        if self.dry_run:
            publisher = Publisher(self.repo)
            ends = self._fetch()
            draft = self._draft(publisher, ends)
            tags = self._retag(publisher, ends, draft) if not (draft.conflicts or draft.complaints) else None
            return self._report(ends, draft, tags)
        kept = [each for each in self._fetch().locals if not self._is_dropped(each.oid)]
        size, notices = upload_new(self.repo, kept, self.progress)
        publisher = Publisher(self.repo)
        with publisher.locked():
            for _ in attempts():
                try:
                    report = self._land(Publisher(self.repo), self._fetch())
                    return replace(report, uploaded=size, notices=(*notices, *report.notices))
                except RefMovedError as error:
                    lost = error
        raise given_up("the branch kept moving on the remote while mreg was pushing", lost)

    # What is here, and what is there.

    def _fetch(self) -> _Ends:
        settings = Reader(self.repo).settings()
        other = self.branch if self.branch != settings.branch else None
        if other is not None:
            self.repo.check_branch_name(other)
        main, proposal = Upstream.fetch_both(self.repo, settings.branch, other)
        own = settings.tip if settings.is_local else None
        upstream, local = (proposal, self.repo.branch_tip(other)) if proposal and other else (main, own)
        here = local or own or main.tip
        if here is None:
            message = f"{settings.branch} is neither here nor on {main.remote}: there is nothing to push"
            raise NotFoundError(message, hint=f"git branch {shlex.quote(settings.branch)}")
        there = upstream.tip
        known = [tip for tip in (there, main.tip) if tip]
        if proposal and there is None:
            there = main.tip if local is None else None
        locals_ = tuple(lacking_commits(self.repo, here, known))
        if proposal and not (upstream.tip or local or locals_):
            raise _no_branch(self.repo, upstream)
        ends = _Ends(settings, upstream, here, there, local, self._mark_named(locals_, settings.policy.layout))
        self._check(ends)
        return ends

    def _mark_named(self, locals_: tuple[Local, ...], layout: Layout) -> tuple[Local, ...]:
        """Returns commits with a mark on those that a record of another names as its code."""
        found = Reader(self.repo).records(list(new_records(locals_, layout)))
        named = {each.code.commit for each in found if isinstance(each, Record) and each.code}
        return tuple(replace(each, is_named=True) if each.oid in named else each for each in locals_)

    def _check(self, ends: _Ends) -> None:
        """Refuses what cannot be joined at all."""
        there, remote, branch = ends.there, shlex.quote(ends.upstream.remote), ends.upstream.branch
        if there and ends.locals and ends.locals[0].parent is None:
            raise ConflictError(
                f"{branch} here and {ends.name} share no commit: they are two registries",
                hint=f"git log --oneline --graph {shlex.quote(branch)} {shlex.quote(ends.name)}",
                details={"branch": branch, "remote": ends.upstream.remote},
            )
        if there and ends.is_registry:
            lost = find_lost(self.repo, ends.upstream.remote, branch, here=ends.here, there=there)
            if lost is not None and not self._is_dropped(lost):
                spec = shlex.quote(f"{lost}:refs/heads/{branch}")
                hint = f"git push {remote} {spec}   # puts it back; to go along: {_follow(self.repo, ends)}"
                if not is_ancestor(self.repo, there, lost):
                    hint = f"{_follow(self.repo, ends)}   # goes along; then make again what is missing"
                raise ConflictError(
                    f"{ends.name} was taken back: it had {lost[:_FEW_OID]} once, which others may have seen",
                    hint=hint,
                    details={"branch": branch, "remote": ends.upstream.remote, "lost": lost, "there": there},
                )
        known = {each.oid for each in ends.locals}
        for text in self.drop:
            found = [oid for oid in known if len(text) >= 4 and oid.startswith(text.lower())]  # noqa: PLR2004
            if len(found) != 1:
                raise UsageError(
                    f"--drop {text} names no commit of {branch} that {ends.upstream.remote} lacks",
                    hint=settle_all((), _other(ends)) + " --dry-run   # shows them",
                    details={"commit": text},
                )

    def _is_dropped(self, oid: str) -> bool:
        return any(oid.startswith(text.lower()) for text in self.drop)

    # The new history.

    def _draft(self, publisher: Publisher, ends: _Ends) -> _Draft:
        reader = Reader(self.repo)
        policy = ends.settings.policy
        if ends.there and ends.is_registry and self._settings_at(ends.there):  # else the registry is new there
            policy = reader.policy_at(ends.there)
        layout = policy.layout
        base = ends.there or (ends.locals[0].parent if ends.locals else ends.here)
        contents = StoredContents(reader, layout, publisher)
        files = self.repo.files(base, [layout.root]) if base else []
        there = {file.path: file.oid for file in files} | self._settings_at(base)
        named = Renamed(ends.locals)
        if self.renumber:
            named = renumber(ends.locals, there, layout, contents)
        plan = partial(plan_join, named.locals_, base, there, layout=layout, contents=contents)
        drop = {each.oid for each in ends.locals if self._is_dropped(each.oid)}
        join = plan(drop=drop)
        built = Built(base or ends.here)
        if not join.clashes:
            who = self.repo.committer()
            builder = Builder(reader, publisher, contents, layout, who, self.dry_run, named.versions)
            built = builder.run(join, base or ends.here)
        clashes = join.clashes or built.clashes
        if clashes:
            movers = find_movers(self.repo, ends.there or ends.here, ends.here, sorted({each.path for each in clashes}))
            settle = self._settle(ends, drop.union(join.loose))
            tell = partial(describe, contents=contents, settle=settle, merge=_merge(ends), branch=_other(ends))
            conflicts = [tell(each, theirs=movers.get(each.path)) for each in clashes]
            return _Draft(built, join, conflicts=tuple(conflicts), settle=settle)
        same = self._tell_same(ends, join, contents)
        if not ends.is_registry:
            return _Draft(built, join, notices=same)
        settings = replace(ends.settings, policy=policy)
        complaints, wrong = judge_new(self.repo, settings, ends.locals, built, scan=self.scan)
        if complaints:
            drop |= {old for old, new in built.landed.items() if new in wrong}
            while loose := set(plan(drop=drop).loose) - drop:  # what builds on them cannot stay either
                drop |= loose
            return _Draft(built, join, complaints=complaints, settle=self._settle(ends, drop))
        notices = find_idle_approvals(self.repo, ends.locals, ends.there, built.tip, layout) if ends.there else ()
        renamed = (f"{model} {old} is {new} now" for model, each in named.versions.items() for old, new in each.items())
        return _Draft(built, join, notices=(*same, *notices, *renamed))

    def _tell_same(self, ends: _Ends, join: Join, contents: StoredContents) -> tuple[str, ...]:
        paths = sorted({each.path for each in join.same})
        movers = find_movers(self.repo, ends.there or ends.here, ends.here, paths) if paths else {}
        return tuple(tell_same(each, contents, movers.get(each.path), ends.name) for each in join.same)

    def _settle(self, ends: _Ends, drop: Collection[str]) -> str:
        return settle_all((each.oid for each in ends.locals if each.oid in drop), _other(ends), renumber=self.renumber)

    def _settings_at(self, base: str | None) -> dict[str, str]:
        (oid,) = self.repo.resolve([f"{base}:registry.yaml"]) if base else [None]
        return {"registry.yaml": oid} if oid else {}

    # Landing.

    def _retag(self, publisher: Publisher, ends: _Ends, draft: _Draft) -> Retagging | None:
        if not ends.is_registry:
            return None
        here, there = ends.here, draft.built.tip
        return retag(self.repo, publisher, ends.upstream, old=here, new=there, is_dry=self.dry_run)

    def _land(self, publisher: Publisher, ends: _Ends) -> Pushed:
        draft = self._draft(publisher, ends)
        if draft.conflicts:
            raise conflict_of(draft.conflicts, ends.upstream.branch, ends.upstream.remote)
        if draft.complaints:
            raise refusal_of(draft.complaints, ends.name, settle=draft.settle)
        tags = self._retag(publisher, ends, draft)
        branch, tip = ends.upstream.branch, draft.built.tip
        publisher.flush()
        updates = list(tags.here) if tags else []
        pushed = list(tags.there) if tags else []
        if tip != ends.local and (ends.local or not ends.is_registry):
            updates.insert(0, RefUpdate(f"refs/heads/{branch}", tip, ends.local))
        if tip != ends.upstream.tip and (ends.locals or ends.upstream.tip is None):
            pushed.insert(0, RefUpdate(f"refs/heads/{branch}", tip, ends.upstream.tip))
        if self.repo.listener and pushed:
            self.repo.listener.landing(branch, tip, ends.upstream.remote)
        push = partial(ends.upstream.push, pushed)
        try:
            if updates:
                paths = [change.path for change in self.repo.changes(ends.local, tip)] if ends.local != tip else []
                publisher.publish(updates, paths=paths, reason=f"mreg push: join {ends.name}", push=push)
            else:
                push()
        except PushRefusedError as error:
            raise _offer_branch(error, ends) from error
        return self._report(ends, draft, tags)

    def _report(self, ends: _Ends, draft: _Draft, tags: Retagging | None) -> Pushed:
        landed = draft.built.landed
        is_clear = not (draft.conflicts or draft.complaints)
        commits = [
            PushedCommit(each.commit, draft.join.ways[each.oid], landed.get(each.oid))
            for each in ends.locals
            if each.oid in draft.join.ways
        ]
        names = [update.ref.removeprefix("refs/tags/") for update in (tags.there if tags else ())]
        return Pushed(
            branch=ends.upstream.branch,
            remote=ends.upstream.remote,
            before=ends.upstream.tip,
            commit=draft.built.tip if is_clear else None,
            commits=tuple(commits),
            tags=tuple(names),
            replaced=tags.replaced if tags else (),
            conflicts=draft.conflicts,
            settle=draft.settle,
            complaints=draft.complaints,
            dry_run=self.dry_run,
            notices=(*draft.notices, *(tags.notices if tags else ())),
        )


def _no_branch(repo: GitRepository, upstream: Upstream) -> NotFoundError:
    near = find_near(upstream.branch, branch_names(repo, upstream.remote))
    return NotFoundError(
        f"branch {upstream.branch} is neither here nor on {upstream.remote}, and nothing was made here to push to it",
        hint=f"mreg push --branch {shlex.quote(near)}   # if that was meant" if near else "git branch --all",
        details={"branch": upstream.branch, "remote": upstream.remote},
    )


def _merge(ends: _Ends) -> str:
    return f"git merge {shlex.quote(ends.name)}   # resolve the conflicts, commit, then: mreg push"


def _other(ends: _Ends) -> str:
    return "" if ends.is_registry else shlex.quote(ends.upstream.branch)


def _follow(repo: GitRepository, ends: _Ends) -> str:
    here, there = (shlex.quote(name) for name in (ends.upstream.branch, ends.name))
    if repo.head_branch() == ends.upstream.branch:
        return f"git reset --keep {there}"
    return f"git branch --force {here} {there}"


def _offer_branch(error: PushRefusedError, ends: _Ends) -> PushRefusedError:
    refs = error.details.get("refs")
    if not isinstance(refs, dict) or f"refs/heads/{ends.upstream.branch}" not in refs or not ends.is_registry:
        return error
    hint = "mreg push --branch NAME   # a protected branch is changed by a pull request"
    return PushRefusedError(error.message, hint=hint, details=error.details)
