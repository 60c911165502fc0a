"""Joining: what was committed here goes on top of what the remote has meanwhile.

Rules:
    * A change of the registry is made again where each file that it changes says there what it said here before it;
      where the file says something else, both sides changed it, and that is a conflict.
    * Records, statements and approvals keep their bytes, and so their signatures.  ``archived.yaml`` joins by version;
      DVC's pointer and its entry in ``dvc.yaml`` follow the newest version.
    * A commit that changes other files too, or that a record names as its code, keeps its id: a merge brings it, whose
      first parent is the base.
    * What the base says already is not said again: a squash merge of the same brought it.  So with a stage that both
      sides took from one version to the same other: what was said there of it stands, and whoever pushes is told.  What
      was made on it here is a conflict, since it was not made on what was said there; so is a mark that is here alone.
    * Nobody's change is given up by itself.  What builds on a change that is left out does not stay without it: a
      version's number may mean other bytes there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product

from msgspec import Struct, field

from mreg.core.history.timeline import Commit, FileChange
from mreg.core.layout import DVC_FILE, SETTINGS_FILE, Layout, PathKind, Place
from mreg.core.names import ARCHIVED, ModelName, Version
from mreg.core.sharing.joints import (
    Clash,
    Contents,
    Join,
    Joint,
    Local,
    Matter,
    Way,
    find_lone_marks,
    is_same_move,
    matter_of,
    put_blob,
    without_lists,
)

__all__ = ["is_of_registry", "plan_join"]


def is_of_registry(path: str, layout: Layout) -> bool:
    """Returns whether a file is the registry's own; ``dvc.yaml`` is its user's too."""
    return path == SETTINGS_FILE or path.startswith(f"{layout.root}/")


def plan_join(
    locals_: Sequence[Local],
    tip: str | None,
    there: Mapping[str, str],
    *,
    layout: Layout,
    contents: Contents,
    drop: Collection[str] = (),
) -> Join:
    """Returns how local commits go on top of a base.

    Args:
        locals_: The commits, oldest first.
        tip: The base; ``None`` where the remote has nothing yet.
        there: The blobs of the registry's files in the base, by path.
        layout: Where the registry's files are.
        contents: Reads and makes blobs.
        drop: Commits whose changes of the registry are to be left out.
    """
    return _Joiner(tip, dict(there), layout, contents, frozenset(drop)).run(locals_)


class _Joiner(Struct):
    tip: str | None
    """``None`` once the new history has commits of its own."""
    tree: dict[str, str]
    layout: Layout
    contents: Contents
    drop: frozenset[str]
    joints: list[Joint] = field(default_factory=list)
    ways: dict[str, Way] = field(default_factory=dict)
    clashes: list[Clash] = field(default_factory=list)
    same: list[Clash] = field(default_factory=list)
    loose: dict[str, None] = field(default_factory=dict)
    is_new: bool = False
    run_: list[Local] = field(default_factory=list)
    """Commits of other files alone that wait for their merge."""
    lost: dict[str, str] = field(default_factory=dict)
    """Files that a commit left out has changed, each with that commit."""
    gone: dict[tuple[ModelName, Version], str] = field(default_factory=dict)
    """Versions that a commit left out has registered, each with that commit."""

    def run(self, locals_: Sequence[Local]) -> Join:
        last_pull = max((index for index, each in enumerate(locals_) if each.pulled), default=-1)
        for index, local in enumerate(locals_):
            if not self.is_new and local.parent == self.tip and local.oid not in self.drop:
                self._keep(local)
            elif index < last_pull:
                self._remake(local, is_covered=True)
            elif index == last_pull:
                self._settle(local, locals_[: index + 1])
            else:
                self._remake(local)
        self._flush()
        self.ways.update(dict.fromkeys(self.loose, Way.CONFLICT))
        return Join(tuple(self.joints), self.ways, tuple(self.clashes), tuple(self.loose), tuple(self.same))

    def _keep(self, local: Local) -> None:
        for change in local.commit.changes:
            put_blob(self.tree, change.path, change.new)
        self.tip = local.oid
        self._land(Joint(local, Way.KEPT, covers=(local,)))

    def _remake(self, local: Local, *, is_covered: bool = False) -> None:
        self.is_new = True
        ours, others = self._part(local.commit)
        is_merge = bool(others or local.is_named) and not is_covered
        if is_merge and not ours:
            self.run_.append(local)
            return
        files = self._apply(local, ours)
        records = self._newest_of(local, files)
        if is_merge:
            covers = (*self.run_, local)
            self.run_.clear()
            self._land(self._merge(local, covers, files, records))
        elif files and local.oid not in self.drop:
            self._flush()
            if local.others:
                self._land(self._merge(local, (local,), files, records, is_covered=is_covered))
            else:
                self._land(Joint(local, Way.REMADE, files, records, covers=(local,)))
        else:
            self.ways[local.oid] = Way.DROPPED if local.oid in self.drop else Way.LANDED

    def _merge(
        self,
        local: Local,
        covers: tuple[Local, ...],
        files: Mapping[str, str | None],
        records: tuple[tuple[str, str], ...],
        *,
        is_covered: bool = False,
    ) -> Joint:
        """Returns the merge of a commit, or of the others that a merge made here brings."""
        parents = local.others if covers == (local,) and local.others and not local.is_named else (local.oid,)
        edited = {change.path for each in covers for change in self._part(each.commit)[1]}
        content = (covers[0].parent, local.oid) if edited and not is_covered else None
        return Joint(local, Way.MERGED, files, records, parents, content, DVC_FILE in edited, covers)

    def _settle(self, pull: Local, covered: Sequence[Local]) -> None:
        """Brings a merge that its user made of what the remote has: it says how other files join."""
        self.is_new = True
        files = self._apply(pull, self._part(pull.commit)[0])
        records = self._newest_of(pull, files)
        edited = {change.path for each in covered for change in self._part(each.commit)[1]}
        if edited or any(each.is_named for each in covered):
            whole = [each for each in covered if self.ways.get(each.oid) is Way.LANDED and self._part(each.commit)[1]]
            content = (pull.pulled, pull.oid)
            covers = (*whole, pull)
            self._land(Joint(pull, Way.MERGED, files, records, (pull.oid,), content, DVC_FILE in edited, covers))
        elif files:
            self._land(Joint(pull, Way.REMADE, files, records, pull.others, covers=(pull,)))
        else:
            self.ways[pull.oid] = Way.LANDED

    def _flush(self) -> None:
        if not self.run_:
            return
        covers = tuple(self.run_)
        self.run_.clear()
        self._land(self._merge(covers[-1], covers, {}, ()))

    def _land(self, joint: Joint) -> None:
        self.joints.append(joint)
        self.ways.update(dict.fromkeys((each.oid for each in joint.covers), joint.way))

    def _part(self, commit: Commit) -> tuple[list[FileChange], list[FileChange]]:
        """Returns a commit's changes of the registry, and its other ones; what follows from a record is neither."""
        new = list(self._registered(commit))
        ours, others = [], []
        for change in sorted(commit.changes, key=lambda change: change.path):
            place = self.layout.locate(change.path)
            if place and place.kind is PathKind.POINTER and place.model in {model for model, _, _ in new}:
                continue
            if is_of_registry(change.path, self.layout):
                ours.append(change)
            elif change.path != DVC_FILE or not self._follows(change, new):
                others.append(change)
        return ours, others

    def _registered(self, commit: Commit) -> Iterator[tuple[ModelName, Version, FileChange]]:
        for change in commit.changes:
            place = self.layout.locate(change.path)
            if place and place.kind is PathKind.RECORD and place.version and change.old is None and change.new:
                yield place.model, place.version, change

    def _follows(self, change: FileChange, new: Sequence[tuple[ModelName, Version, FileChange]]) -> bool:
        """Returns whether a change of ``dvc.yaml`` is what the new records call for, and nothing else."""
        oid = change.old
        for _, _, record in new:
            oid = self.contents.entered(oid, record.path, record.new or "")
        return bool(new) and oid == change.new

    def _apply(self, local: Local, ours: Sequence[FileChange]) -> dict[str, str | None]:
        """Returns what a commit changes on top of what is there now, and keeps what stands against it."""
        if local.oid in self.drop:
            self._leave_out(local, ours)
            return {}
        for change in ours:
            cause = self._find_lost(change)
            if cause is None:
                continue
            if cause in self.drop:  # else it is told already why
                self.clashes.append(self._clash(local, change, matter=Matter.LEFT_OUT))
            self._leave_out(local, ours)
            self.loose[local.oid] = None
            return {}
        files: dict[str, str | None] = {}
        clashes: list[Clash] = []
        same: list[Clash] = []
        for change in ours:
            now = self.tree.get(change.path)
            if now == change.new:
                continue
            place = self.layout.locate(change.path)
            if place and place.kind is PathKind.STAGE and place.stage == ARCHIVED and now != change.old:
                clashes += self._join_marks(local, change, files)
            elif now == change.old:
                files[change.path] = change.new
            else:
                is_same = matter_of(change.path, place) is Matter.STAGE and is_same_move(change, now, self.contents)
                (same if is_same else clashes).append(self._clash(local, change))
        clashes += self._find_lone_marks(local, ours, same)
        if clashes:
            self.clashes += without_lists(clashes)
            self.loose[local.oid] = None
            self._leave_out(local, ours)
            return {}
        self.same += same
        for path, oid in files.items():
            put_blob(self.tree, path, oid)
        return files | self._follow_newest(local.commit, files)

    def _leave_out(self, local: Local, ours: Sequence[FileChange]) -> None:
        self.lost.update(dict.fromkeys((change.path for change in ours), local.oid))
        for model, version, change in self._registered(local.commit):
            there = self.tree.get(change.path)
            if there is None or change.new is None or not self.contents.same_bytes(change.path, change.new, there):
                self.gone[model, version] = local.oid

    def _find_lost(self, change: FileChange) -> str | None:
        """Returns the commit left out that a change builds on; ``None`` where there is none."""
        place = self.layout.locate(change.path)
        if place and place.kind is PathKind.STAGE and place.stage == ARCHIVED:
            before, after = (self.contents.marks(change.path, oid) or {} for oid in (change.old, change.new))
            added = sorted(after.keys() - before.keys())
            return next((self.gone[place.model, each] for each in added if (place.model, each) in self.gone), None)
        if change.path in self.lost or place is None:
            return self.lost.get(change.path)
        version = place.version
        if place.kind is PathKind.STAGE:
            entry = self.contents.entry(change.path, change.new)
            version = entry.version if entry else None
        return self.gone.get((place.model, version)) if version else None

    def _join_marks(self, local: Local, change: FileChange, files: dict[str, str | None]) -> Iterator[Clash]:
        before, after, now = (
            self.contents.marks(change.path, oid) for oid in (change.old, change.new, self.tree.get(change.path))
        )
        if before is None or after is None or now is None:
            yield self._clash(local, change)
            return
        joined = dict(now)
        for version in sorted({*before, *after}):
            was, wanted, there = before.get(version), after.get(version), now.get(version)
            if wanted in (was, there) or (wanted and there and wanted.is_of_same_move(there)):
                continue
            if there != was:
                yield self._clash(local, change, version=version)
            elif wanted is None:
                del joined[version]
            else:
                joined[version] = wanted
        if joined != now:
            files[change.path] = self.contents.store_marks(joined)

    def _find_lone_marks(self, local: Local, ours: Sequence[FileChange], same: Sequence[Clash]) -> Iterator[Clash]:
        """Yields the marks of what a stage replaced, where the remote replaced it likewise and did not archive it."""
        for each, change in product(same, ours):
            if each.model and each.stage and change.path == self.layout.stage(each.model, ARCHIVED):
                for version in find_lone_marks(change, self.tree.get(change.path), each.stage, self.contents):
                    yield self._clash(local, change, version=version)

    def _follow_newest(self, commit: Commit, new: Mapping[str, str | None]) -> dict[str, str | None]:
        """Returns the pointers that follow from new records."""
        files: dict[str, str | None] = {}
        for model, version, change in self._registered(commit):
            record = new.get(change.path)
            found = self.contents.pointer(change.path, record) if record else None
            if found is None or version != max(self._versions(model), default=version):
                continue  # a newer one is there
            path, oid = found
            wanted = {**dict.fromkeys(each for each in self._pointers(model) if each != path), path: oid}
            for each, blob in wanted.items():
                if self.tree.get(each) != blob:
                    files[each] = blob
                    put_blob(self.tree, each, blob)
        return files

    def _newest_of(self, local: Local, files: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
        """Returns the records among new files that are now their models' newest."""
        return tuple(
            (change.path, change.new)
            for model, version, change in self._registered(local.commit)
            if change.new and files.get(change.path) and version == max(self._versions(model))
        )

    def _versions(self, model: ModelName) -> Iterator[Version]:
        for _, place in self._places(model):
            if place.kind is PathKind.RECORD and place.version:
                yield place.version

    def _pointers(self, model: ModelName) -> list[str]:
        return [path for path, place in self._places(model) if place.kind is PathKind.POINTER]

    def _places(self, model: ModelName) -> Iterator[tuple[str, Place]]:
        folder = f"{self.layout.model(model)}/"
        for path in self.tree:
            place = self.layout.locate(path) if path.startswith(folder) else None
            if place and place.model == model:
                yield path, place

    def _clash(
        self, local: Local, change: FileChange, *, matter: Matter | None = None, version: Version | None = None
    ) -> Clash:
        place, there = self.layout.locate(change.path), self.tree.get(change.path)
        found = matter or matter_of(change.path, place)
        is_record = found is Matter.VERSION and change.new is not None and there is not None
        return Clash(
            matter=found,
            path=change.path,
            ours=local.commit,
            model=place.model if place else None,
            version=version or (place.version if place else None),
            stage=place.stage if place else None,
            old=change.old,
            new=change.new,
            there=there,
            is_same=is_record and self.contents.same_bytes(change.path, change.new or "", there or ""),
        )
