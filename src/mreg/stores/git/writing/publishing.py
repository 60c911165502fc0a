"""Writing to a Git repository: one change lands whole, or leaves no trace.

The order is: the note of what is under way, objects, the checked-out files, the refs, the index, the note taken away.
A process that is killed between leaves a note that ``Publisher.recover`` finishes where the branch has moved, and
undoes where it has not; objects that nothing names are Git's to collect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from mreg.errors import ConflictError, GitError, MregError
from mreg.stores.git import signing
from mreg.stores.git.objects import Identity, ObjectWriter, encode_commit, encode_tag
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, failure
from mreg.stores.git.writing.locating import name_git_dir
from mreg.stores.git.writing.patching import FEW, Patch, encode_patch
from mreg.stores.git.writing.pending import (
    LOCK_TIMEOUT_S,
    Journal,
    Pending,
    RefUpdate,
    disk_errors,
    remove_stale_locks,
    write_lock,
)
from mreg.stores.git.writing.rebasing import refuse_rebased
from mreg.stores.git.writing.trees import build_tree
from mreg.stores.git.writing.worktrees import Worktree, find_worktrees, release_held, reopen_worktrees

__all__ = ["NewTag", "Publisher", "RefMovedError", "RefUpdate"]


class RefMovedError(ConflictError):
    """A ref was not where it had been read: read again, and rebuild."""

    code = "ref-moved"


class NewTag(Struct, frozen=True):
    """An annotated tag to be made."""

    name: str
    target: str
    tagger: Identity
    message: str


class Publisher:
    """Builds objects and moves refs in one repository, under a lock that all its worktrees share."""

    def __init__(self, repo: GitRepository) -> None:
        """Keeps the repository; nothing is read or written yet."""
        self._repo = repo
        self._journal = Journal(repo.state_dir / "pending.json")
        self.objects = ObjectWriter(repo.object_format)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other mreg processes from writing, and completes what a killed one left.

        Raises:
            ConflictError: Another process held the lock for a minute.
            StorageError: The repository cannot be written to.
        """
        listener = self._repo.listener
        on_wait = listener.waiting if listener else None
        with write_lock(self._repo.state_dir / "lock", timeout_s=LOCK_TIMEOUT_S, on_wait=on_wait) as descriptor:
            self._repo.runner.keep_open = (descriptor,)
            try:
                self.recover()
                yield
            finally:
                self._repo.runner.keep_open = ()

    def commit(
        self,
        *,
        parent: str | None,
        files: Mapping[str, bytes | None],
        author: Identity,
        committer: Identity,
        message: str,
    ) -> str:
        """Builds a commit that changes some files of its parent, and returns its id.

        Args:
            parent: The commit to build on; ``None`` for the first of a repository.
            files: New content by path; ``None`` deletes.
            author: Who made the change.
            committer: Who commits it.
            message: Subject, body and trailers.
        """
        tree = build_tree(self._repo, self.objects, parent, files)
        return self.join((parent,) if parent else (), tree, author=author, committer=committer, message=message)

    def join(
        self,
        parents: tuple[str, ...],
        tree: str,
        *,
        author: Identity,
        committer: Identity,
        message: str,
        is_draft: bool = False,
    ) -> str:
        """Builds a commit of a tree, and returns its id.

        Args:
            parents: What it builds on.
            tree: All its files.
            author: Who made the change.
            committer: Who commits it.
            message: Subject, body and trailers.
            is_draft: Sign it in no case: nobody will ever see it.
        """
        if signing.is_signing(self._settings, "commit") and not is_draft:
            self.flush()
            return signing.sign_commit(
                self._repo, tree=tree, parents=parents, author=author, committer=committer, message=message
            )
        content = encode_commit(tree=tree, parents=parents, author=author, committer=committer, message=message)
        return self.objects.add("commit", content)

    def unsigned_commit(self, *, parent: str, files: Mapping[str, bytes | None], who: Identity, message: str) -> str:
        """Builds a commit that depends on its arguments alone, and returns its id."""
        tree = build_tree(self._repo, self.objects, parent, files)
        content = encode_commit(tree=tree, parents=(parent,), author=who, committer=who, message=message)
        return self.objects.add("commit", content)

    def tag(self, tag: NewTag) -> str:
        """Builds an annotated tag, signed where Git is configured to sign tags, and returns its id."""
        if signing.is_signing(self._settings, "tag"):
            self.flush()
            return signing.sign_tag(
                self._repo, self._settings, name=tag.name, target=tag.target, tagger=tag.tagger, message=tag.message
            )
        content = encode_tag(name=tag.name, target=tag.target, tagger=tag.tagger, message=tag.message)
        return self.objects.add("tag", content)

    def flush(self) -> None:
        """Writes the objects built so far; nothing names them yet."""
        if self.objects:
            self._repo.runner.run("unpack-objects", "-q", stdin=self.objects.pack())
            self.objects = ObjectWriter(self._repo.object_format)

    def publish(
        self,
        updates: Sequence[RefUpdate],
        *,
        paths: Sequence[str] = (),
        reason: str,
        push: Callable[[], None] | None = None,
    ) -> None:
        """Writes the objects and moves the refs, all of them or none.

        Args:
            updates: The first may be a branch; its checked-out worktrees then follow.
            paths: The files that differ between the branch's old and new commit.
            reason: For the reflog.
            push: Moves a remote's refs, once the objects are there and nothing here is in the way; where it fails,
                nothing moves here.

        Raises:
            RefMovedError: A ref was no longer at its ``old``.
            DirtyFilesError: A checked-out file of ``paths`` has uncommitted changes.
            GitError: Git could not write, or is rebasing the branch.
        """
        if not updates:
            return
        branch = updates[0] if updates[0].ref.startswith("refs/heads/") else None
        if branch:
            refuse_rebased(self._repo, branch.ref)
        trees = find_worktrees(self._repo, branch.ref, self._journal.path) if branch else []
        here = name_git_dir(self._repo, self._repo.git_dir)
        pending = Pending(tuple(updates), here, tuple(tree.name for tree in trees))
        with disk_errors():
            try:
                self._journal.save(pending)
                self._hold(trees, updates[0], paths, at_once=push is None)
                if push:
                    push()
                if trees:
                    pending = replace(pending, begun=True)
                    self._journal.save(pending)
                for tree in trees:
                    tree.advance(updates[0].old, updates[0].new)
                self._move(updates, reason)
                self._settle(pending, trees, landed=True)
            except BaseException:
                # Where this fails too, the note stays, and the next command tries again.
                with suppress(MregError, OSError):
                    self._settle(pending, trees)
                raise

    def _hold(self, trees: Sequence[Worktree], branch: RefUpdate, paths: Sequence[str], *, at_once: bool) -> None:
        for tree in trees:
            tree.hold()
        patch = self._patch(branch, paths) if any(tree.is_large for tree in trees) else None
        for tree in trees:
            tree.require_clean(paths, patch, at_once=at_once and tree is trees[0])
        self.flush()
        for tree in trees if branch.old is None else ():
            # A branch that begins at another commit brings all its files.
            tree.require_free(branch.new)

    def _patch(self, branch: RefUpdate, paths: Sequence[str]) -> Patch | None:
        if branch.old is None or len(paths) > FEW:
            return None
        self.flush()
        patch = encode_patch(self._repo.raw_changes(branch.old, branch.new))
        return patch if patch and patch.paths.issubset(paths) else None

    def recover(self) -> None:
        """Finishes or undoes what a killed process had begun.

        Raises:
            GitError: Another Git command holds the index of a worktree that must be put right.
            StorageError: The repository cannot be written to.
        """
        with disk_errors():
            pending = self._journal.load()
            if pending:
                names = pending.worktrees
                self._settle(pending, reopen_worktrees(self._repo, names, self._journal.path) if names else [])
            else:
                self._journal.clear()
                # Of a worktree that could not be found when the note was settled, or of a note that someone took away.
                release_held(self._repo, self._journal.path)

    def _settle(self, pending: Pending, trees: Sequence[Worktree], *, landed: bool = False) -> None:
        if not landed:
            remove_stale_locks(self._repo.common_dir, pending, since=self._journal.written_at)
        if trees and pending.begun:
            self._settle_files(pending.updates[0], trees, landed=landed)
        for tree in trees:
            tree.release()
        if not landed:
            self._complete(pending.updates)
        self._journal.clear()

    def _complete(self, updates: Sequence[RefUpdate]) -> None:
        """Makes what is missing beside a branch that has moved: Git renames refs one by one, branches first."""
        refs, zero = [update.ref for update in updates], self._repo.zero_oid
        found = self._repo.resolve([*refs, *(update.new for update in updates)])
        now, news = found[: len(refs)], found[len(refs) :]
        missing = [
            update
            for update, oid, new in zip(updates, now, news, strict=True)
            if oid == update.old and (new or update.new == zero)
        ]
        if missing and refs[0].startswith("refs/heads/") and now[0] == updates[0].new:
            with suppress(RefMovedError):  # someone has made it meanwhile
                self._move(missing, "mreg: complete what was begun")

    def _settle_files(self, branch: RefUpdate, trees: Sequence[Worktree], *, landed: bool) -> None:
        tip: str | None = None
        if not landed:
            tip, *ends = self._repo.resolve([branch.ref, branch.new, branch.old or branch.new])
            landed = tip == branch.new
            if None in ends:  # Git has collected them since: what their files were is not known any more
                return
        changes = [] if landed else self._repo.changes(branch.old, branch.new)
        for tree in trees:
            if landed:
                tree.finish(branch.old, branch.new)
            elif tree.is_held or tip == branch.old:
                tree.undo(changes)
            # Else someone took a killed process's lock away, and went on from there: what is in the files is theirs.

    def _move(self, updates: Sequence[RefUpdate], reason: str) -> None:
        zero = self._repo.zero_oid
        lines = (f"update {update.ref}\0{update.new}\0{update.old or zero}\0" for update in updates)
        # Without the last word, Git moves nothing: half of what is sent counts for nothing.
        stdin = "".join(("start\0", *lines, "prepare\0", "commit\0")).encode()
        done = self._repo.runner.complete("update-ref", "-m", reason, "--stdin", "-z", stdin=stdin)
        if done.status != 0:
            raise self._refusal(updates, done)

    def _refusal(self, updates: Sequence[RefUpdate], done: Completed) -> MregError:
        now = list(zip(updates, self._repo.resolve([update.ref for update in updates]), strict=True))
        missing = [update.ref for update, oid in now if oid == update.old]
        elsewhere = [update.ref for update, oid in now if oid not in {update.old, update.new}]
        if elsewhere:
            details = {"refs": elsewhere}
            return RefMovedError(f"{elsewhere[0]} moved while mreg was writing", hint="try again", details=details)
        if len(missing) < len(updates):
            return GitError(
                f"git moved {updates[0].ref} and then failed to make {missing[0] if missing else 'the rest'}",
                hint="mreg sync",
                details={"refs": missing, "stderr": done.stderr[-2000:]},
            )
        return failure(("update-ref",), done)

    @cached_property
    def _settings(self) -> dict[str, str]:
        return self._repo.settings()
