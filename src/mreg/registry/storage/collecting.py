"""Collecting garbage: bytes that no kept version needs go, from this clone's cache or from the remote that all share.

Rules of the remote:
    * Everything is decided on what the Git remote has: it is fetched whole first, and asked again before each thousand
      objects go; where anything moved, all is decided again.  What only shows what would go makes do with what this
      clone knows, where the Git remote does not answer, and says so.
    * The versions are given up by a commit that lands there before the first object goes, so a registration of the same
      bytes that lands later has seen it.
    * Only objects of versions that were given up there go; a run that was stopped is finished by the next one.
    * Afterwards the Git remote is asked once more: what somebody came to need meanwhile comes back from the cache.

The cache may lose whatever the remote holds: those bytes can be had again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.layout import SETTINGS_FILE
from mreg.core.names import ModelName, Version
from mreg.core.settings.retention import Retention
from mreg.core.storage.dropping import plan_drop
from mreg.core.storage.objects import Found
from mreg.core.storage.retention import judge_versions
from mreg.core.storage.swept import Sweep, Swept
from mreg.core.writing.plan import Plan
from mreg.errors import ConflictError, DirtyFilesError, NotFoundError, OutsideError, UsageError
from mreg.registry.reading.artifacts import open_store
from mreg.registry.reading.reader import Reader
from mreg.registry.storage.claims import Refs
from mreg.registry.storage.outlook import Outlook, look_out, time_now
from mreg.registry.writing.upstream import Upstream
from mreg.registry.writing.view import View
from mreg.registry.writing.writer import Writer
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.dvc.holdings import Shelf
from mreg.stores.git.remotes.pushing import fetch, fetch_object, find_remote, remote_refs
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher

__all__ = ["Collecting"]

_BATCH = 1000
_DEFAULT_REASON = "retention: {policy}"


class Collecting(Struct, frozen=True):
    """One collection: where, by which rule, and how far it goes."""

    repo: GitRepository
    remote: bool = False
    """The DVC remote, for everyone; else this clone's cache."""
    retention: Retention | None = None
    """By default as ``retention:`` in ``registry.yaml`` says."""
    delete: bool = False
    branch: str | None = None
    """Only give the bytes up, on this branch, for a pull request."""
    push: bool | None = None
    """Of ``branch``."""
    reason: str = ""
    strict: bool = True
    progress: Progress | None = None

    def run(self) -> Sweep:
        """Decides, and with ``delete`` deletes.

        Raises:
            UsageError: Nothing says what to keep.
            IncompleteHistoryError: The clone is shallow.
            ConflictError: The remote kept moving.
            DataError: What has to be read for the decision cannot be.
            OutsideError: The Git remote, the storage or the disk failed.
        """
        if self.branch is not None and not self.remote:
            raise UsageError(
                "--branch needs --remote: it is about bytes on the remote",
                hint="mreg gc --remote --branch NAME --delete",
            )
        return self._collect_remote() if self.remote else self._collect_cache()

    # The cache.

    def _collect_cache(self) -> Sweep:
        store, settings = open_store(self.repo), Reader(self.repo).settings()
        cache, remote = store.cache_shelf(), store.remote_shelf()
        outlook = self._look_out(settings.tip, self._local_refs(), [cache, *([remote] if remote else [])], strict=False)
        items = {item.md5: item for items in outlook.garbage.values() for item in items}
        found = dict(cache.look(items))
        kept, notices = self._keep_only_copies(found, outlook, remote)
        gone = {md5: each for md5, each in found.items() if md5 not in kept}
        if self.delete:
            cache.delete([md5 for md5 in items if md5 in gone])
        return self._report(cache, outlook, gone, remote="", notices=notices)

    def _keep_only_copies(
        self, found: Mapping[str, Found], outlook: Outlook, remote: Shelf | None
    ) -> tuple[Collection[str], list[str]]:
        """Returns what of the cache the remote lacks, less what was given up, and a notice about it."""
        doubtful = found.keys() - outlook.deletable().keys()
        there = remote.look(doubtful) if remote else {}
        kept = {md5 for md5 in doubtful if md5 not in there or there[md5].size != found[md5].size}
        if not kept:
            return kept, []
        what, them = ("1 object stays", "it") if len(kept) == 1 else (f"{len(kept)} objects stay", "them")
        where = f"{remote.place} lacks {them}" if remote else "no DVC remote is set"
        return kept, [f"{what}: {where}, so this cache may be the only place that has {them}"]

    # The remote.

    def _collect_remote(self) -> Sweep:
        shelf = self._remote_shelf()
        shelves = [open_store(self.repo).cache_shelf(), shelf]
        tip, refs, told = self._ask()
        outlook = self._look_out(tip, refs, shelves)
        found = shelf.look(item.md5 for items in outlook.garbage.values() for item in items)
        report = self._report(shelf, outlook, found, remote=shelf.place.name, notices=told)
        if not self.delete or not outlook.dropped:
            return report
        if self.branch is None:
            shelf.probe()  # whoever may not delete there gives nothing up
        commits = self._give_up(outlook)
        if self.branch is not None:
            is_proposed = any(verdict.deletion is None for verdict in outlook.dropped)
            # Where all was given up before, there is no such branch, and nothing was deleted either.
            return replace(report, branch=self.branch if is_proposed else "", commits=commits, dry_run=not is_proposed)
        notices = () if commits else self._follow(tip)
        after, gone = self._delete(shelf, shelves, found)
        restored, lost = self._restore(shelves, gone)
        report = self._report(shelf, outlook, gone, remote=shelf.place.name)
        marks = {each.key: each.deletion for each in after.verdicts}
        rows = tuple(replace(row, deletion=marks.get((row.model, row.version))) for row in report.versions)
        return replace(report, versions=rows, commits=commits, restored=restored, lost=tuple(lost), notices=notices)

    def _remote_shelf(self) -> Shelf:
        shelf = open_store(self.repo).remote_shelf()
        if shelf is None:
            raise NotFoundError("no default DVC remote is set", hint="mreg init --remote s3://bucket/path")
        return shelf

    def _ask(self) -> tuple[str, Refs, tuple[str, ...]]:
        """Returns what ``_fetch`` does; for a preview at worst what this clone knows, with a notice."""
        try:
            return (*self._fetch(), ())
        except (OutsideError, NotFoundError) as error:
            if self.delete:
                raise
            notice = f"as far as this clone knows, for the Git remote was not asked: {error.message}"
            settings, refs = Reader(self.repo).settings(), self._local_refs()
            there = ""
            with suppress(OutsideError):
                there = f"refs/remotes/{find_remote(self.repo, settings.branch)}/{settings.branch}"
            return refs.get(there, settings.tip), refs, (notice,)

    def _fetch(self) -> tuple[str, Refs]:
        """Fetches all branches and tags, and returns the registry branch there, and what names anything."""
        branch = Reader(self.repo).settings().branch
        remote = find_remote(self.repo, branch)
        fetch(self.repo, remote, ["*"], ["*"])
        there = remote_refs(self.repo, remote)
        names = [f"{oid}^{{}}" for oid in there.values()]
        for (ref, oid), known in zip(there.items(), self.repo.resolve(names), strict=True):
            if known is None:
                fetch_object(self.repo, remote, ref)
                if self.repo.resolve([f"{oid}^{{}}"])[0] is None:
                    raise ConflictError(f"{ref} moved on {remote} while mreg was reading", hint="try again")
        tip = there.get(f"refs/heads/{branch}")
        if tip is None:
            hint = f"git push {remote} {branch}"
            raise NotFoundError(f"{remote} has no branch {branch}: nobody would see what is deleted", hint=hint)
        refs = self._local_refs()
        for ref, oid in there.items():
            refs.setdefault(ref, oid)
            if refs[ref] != oid:
                refs[f"{ref} of {remote}"] = oid
        return tip, refs

    def _local_refs(self) -> dict[str, str]:
        out = self.repo.runner.text("for-each-ref", "--format=%(refname) %(objectname)", *_NAMESPACES)
        refs = {ref: oid for ref, _, oid in (line.partition(" ") for line in out.splitlines())}
        head = self.repo.head()
        return {**refs, "HEAD": head} if head else refs

    def _give_up(self, outlook: Outlook) -> tuple[str, ...]:
        wanted: dict[ModelName, set[Version]] = {}
        for verdict in outlook.dropped:
            if verdict.deletion is None:
                wanted.setdefault(verdict.model, set()).add(verdict.version)
        writer = Writer(self.repo, push=True if self.branch is None else self.push)
        commits = []
        for model, versions in wanted.items():
            receipt = writer.write(model, self._planner(outlook, versions), branch=self.branch)
            commits += [receipt.commit] if receipt.commit else []
        return tuple(commits)

    def _follow(self, tip: str) -> tuple[str, ...]:
        """Moves this clone on to where the bytes were given up, as a run that was killed there had yet to.

        What keeps it from that keeps no bytes from going.
        """
        branch, publisher = Reader(self.repo).settings().branch, Publisher(self.repo)
        try:
            with publisher.locked():
                Upstream(self.repo, find_remote(self.repo, branch), branch, tip).follow(publisher)
        except (ConflictError, DirtyFilesError) as error:
            return (f"{branch} stays where it is: {error.message}",)
        return ()

    def _planner(self, outlook: Outlook, versions: Collection[Version]) -> Callable[[View], Plan]:
        reason = self.reason or _DEFAULT_REASON.format(policy=outlook.retention)

        def build(view: View) -> Plan:
            now, layout = time_now(self.repo), view.policy.layout
            shielded = outlook.claims.versions
            # Somebody may have promoted one since, or registered a newer one.  Time goes on by all that is committed.
            tip = view.registry.commit
            commits = view.reader.commits(tip, layout) if tip else view.commits
            verdicts = judge_versions(view.timeline, commits, layout, outlook.retention, now=now, shielded=shielded)
            dropped = {each.version for each in verdicts if not each.is_kept and each.deletion is None}
            return plan_drop(layout, view.model, dropped.intersection(versions), view.statement(reason))

        return build

    def _delete(
        self, shelf: Shelf, shelves: Sequence[Shelf], found: Mapping[str, Found]
    ) -> tuple[Outlook, dict[str, Found]]:
        """Deletes what was given up, and returns the last outlook and what went."""
        seen = self._fetch()
        outlook = self._look_out(*seen, shelves)
        queue = [md5 for md5 in outlook.deletable() if md5 in found]
        gone: dict[str, Found] = {}
        total = sum(found[md5].size for md5 in queue)
        while queue:
            now = self._fetch()
            if now != seen:
                seen, outlook = now, self._look_out(*now, shelves)
                still = outlook.deletable()
                queue = [md5 for md5 in queue if md5 in still]
            batch, queue = queue[:_BATCH], queue[_BATCH:]
            shelf.delete(batch)
            gone |= {md5: found[md5] for md5 in batch}
            if self.progress:
                self.progress(sum(each.size for each in gone.values()), total)
        return outlook, gone

    def _restore(self, shelves: Sequence[Shelf], gone: Mapping[str, Found]) -> tuple[int, list[str]]:
        """Brings back what somebody came to need meanwhile, and returns how much that was, and what is lost."""
        if not gone:
            return 0, []
        needed = gone.keys() - self._look_out(*self._fetch(), shelves).deletable().keys()
        cache = shelves[0].look(needed)
        back = sorted(md5 for md5 in needed if md5 in cache)
        if back:
            open_store(self.repo).send(back)
        return len(back), sorted(needed - set(back))

    # Both.

    def _look_out(self, tip: str, refs: Refs, shelves: Sequence[Shelf], *, strict: bool | None = None) -> Outlook:
        is_strict = self.strict if strict is None else strict
        outlook = look_out(self.repo, tip, refs, shelves, self.retention, strict=is_strict)
        if not outlook.retention.is_set and not outlook.dropped:
            command = f"mreg gc{' --remote' if self.remote else ''} --keep-newest 5"
            hint = f"{command}   # or --keep-within 90d, or retention: in {SETTINGS_FILE}"
            raise UsageError("nothing says which versions to keep", hint=hint)
        return outlook

    def _report(
        self, shelf: Shelf, outlook: Outlook, found: Mapping[str, Found], *, remote: str, notices: Sequence[str] = ()
    ) -> Sweep:
        rows = []
        for each in outlook.dropped:
            items = [found[item.md5] for item in outlook.garbage.get(each.key, ()) if item.md5 in found]
            if items or (remote and each.deletion is None):
                size = sum(item.size for item in items)
                rows.append(Swept(each.model, each.version, each.registered, len(items), size, each.deletion))
        return Sweep(
            place=shelf.place.url,
            remote=remote,
            retention=outlook.retention,
            versions=tuple(rows),
            kept=dict(sorted(Counter(each.why for each in outlook.verdicts if each.is_kept).items())),
            dry_run=not self.delete,
            notices=tuple(notices),
        )


_NAMESPACES = ("refs/heads/", "refs/remotes/", "refs/tags/", "refs/exps/")
"""The last are experiments of DVC's."""
