"""The user's checked-out files: mreg changes its own alone, and refuses where those have changes.

While a branch moves, each worktree that has it checked out is held by Git's own lock, ``index.lock``: here a symbolic
link to mreg's note, so that it is made in one step and says whose it is.  ``git read-tree`` merges the change into a
draft of the index and into the files, as ``git merge --ff-only`` would, or ``git apply`` does where the tree is large;
the draft becomes the index once the refs have moved.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mreg.core.history.timeline import FileChange
from mreg.errors import GitError
from mreg.stores.git.objects import empty_tree
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import GitRunner, failure
from mreg.stores.git.writing.dirty_files import changed_file, file_in_the_way
from mreg.stores.git.writing.index_search import has_entries
from mreg.stores.git.writing.locating import list_worktrees, name_git_dir
from mreg.stores.git.writing.patching import Patch

__all__ = ["Worktree", "find_held", "find_worktrees", "release_held", "reopen_worktrees"]

INDEX_LOCK_TIMEOUT_S = 3.0
_POLL_S = 0.05
LARGE_INDEX = 1 << 20
"""Bytes of the index of some 10 000 files: from here on it matters how it is brought to another commit."""
_DRAFT = "mreg-index"
_REFUSED = re.compile(
    r"^error: (?:Entry|Untracked working tree file|Updating) '(.+)' (?:not uptodate|would )", re.MULTILINE
)
_APPLY = ("apply", "--index", "--whitespace=nowarn")
_NOT_TAKEN = re.compile(r"^error: (.+): (?:does not (?:match|exist in) index|already exists in )", re.MULTILINE)
_UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "info/sparse-checkout")
"""Where one of these is, not all is plain: a merge is under way, or what is new need not be checked out."""


class Worktree:
    """One worktree that follows a branch."""

    def __init__(self, repo: GitRepository, folder: Path, git_dir: Path, note: Path) -> None:
        """Keeps where it is; nothing is read yet.

        Args:
            repo: The repository, as mreg was asked for it.
            folder: The root of the checked-out files.
            git_dir: The worktree's own Git directory.
            note: What the lock points to.
        """
        self.folder, self.git_dir = folder, git_dir
        self._repo = repo
        self._note = note
        self._lock, self._index, self._draft = (git_dir / name for name in ("index.lock", "index", _DRAFT))
        self._git = GitRunner(folder, options=[f"--git-dir={git_dir}", f"--work-tree={folder}"])
        self._git.keep_open = repo.runner.keep_open
        self._on_draft = {"GIT_INDEX_FILE": str(self._draft), "GIT_OPTIONAL_LOCKS": "1"}
        self._patch: Patch | None = None

    @property
    def name(self) -> str:
        """Its Git directory, as seen from the one that all worktrees share."""
        return name_git_dir(self._repo, self.git_dir)

    @property
    def is_held(self) -> bool:
        """True where mreg holds the index, in this process or in one that was killed."""
        return _is_ours(self._lock, self._note)

    @property
    def is_large(self) -> bool:
        """True where it is worth a patch to leave the other files alone."""
        if any((self.git_dir / name).exists() for name in _UNDER_WAY):
            return False
        parts = (*self.git_dir.glob("index"), *self.git_dir.glob("sharedindex.*"))  # the rest of a split one
        return any(part.stat().st_size >= LARGE_INDEX for part in parts)

    def hold(self) -> None:
        """Keeps Git from changing the index.

        Raises:
            GitError: Another Git command holds it.
        """
        deadline = time.monotonic() + INDEX_LOCK_TIMEOUT_S
        while not self.is_held:
            try:
                self._make_lock()
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise GitError(
                        f"{self._lock} exists: another git command is running in {self.folder}",
                        hint=f"try again; if none is running, one was killed: rm {shlex.quote(str(self._lock))}",
                    ) from None
                time.sleep(_POLL_S)

    def require_clean(self, paths: Sequence[str], patch: Patch | None = None, *, at_once: bool = False) -> None:
        """Refuses where a file that is about to change has changes of the user's, or where one is in the way.

        Args:
            paths: The files that are about to change.
            patch: How, where that is known; a large worktree follows by it.
            at_once: Nothing is done before they change: what Git looks at then need not be looked at now.

        Raises:
            DirtyFilesError: ``details`` names the files.
        """
        self._make_draft()
        for folder in sorted({folder for path in paths for folder in PurePosixPath(path).parents[:-1]}):
            place = self.folder / folder
            # Git would take an ignored one away, and a link may lead out of the repository.
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise file_in_the_way(self.folder, [str(folder)])
        if not paths or self._can_follow(patch, at_once=at_once):
            return
        lines = self._status(paths)
        # Of an ignored folder Git says no more than its name, whatever is in it.
        lines = [line for line in lines if not line.startswith("!!") or self._blocks(line[3:], paths)]
        if lines:
            dirty = [line[3:] for line in lines]
            if lines[0][:2] in {"??", "!!"}:
                raise file_in_the_way(self.folder, dirty)
            raise changed_file(self.folder, dirty, is_deleted="D" in lines[0][:2])

    def require_free(self, commit: str) -> None:
        """Refuses where a file that Git does not track is in the way of any file of a commit.

        Raises:
            DirtyFilesError: ``details`` names the files.
        """
        others = set(self._git.run("ls-files", "--others", "-z", env=self._on_draft).split(b"\0")[:-1])
        coming = self._git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split(b"\0")[:-1]
        blocked = [os.fsdecode(path) for path in coming if path in others]
        if blocked:
            raise file_in_the_way(self.folder, blocked)

    def advance(self, old: str | None, new: str) -> None:
        """Brings files and draft from one commit to another; what the user changed elsewhere stays.

        Raises:
            DirtyFilesError: A file has changes after all; nothing was changed.
            GitError: Git could not write; ``undo`` puts back what it had changed.
        """
        if self._patch:
            self._apply(self._patch)
            return
        base = old or empty_tree(self._repo.object_format)
        args = ("read-tree", "-m", "-u", "--no-recurse-submodules", base, new)
        done = self._git.complete(*args, env=self._on_draft)
        if done.status == 0:
            return
        if refused := _REFUSED.search(done.stderr):
            raise changed_file(self.folder, [refused[1]], is_deleted=False)
        raise failure(args, done, folder=self.folder)

    def finish(self, old: str | None, new: str) -> None:
        """Makes the draft the index, and lets it go: the refs have moved."""
        if self.is_held:
            with suppress(FileNotFoundError):  # done already, by a process that was killed right after
                self._draft.replace(self._index)
            self.release()
        elif self._draft.exists():
            # Someone took a killed process's lock away: their index counts, as far as it allows the merge.
            self._git.complete("read-tree", "-m", "-i", old or empty_tree(self._repo.object_format), new)
            self._drop_draft()

    def undo(self, changes: Sequence[FileChange]) -> None:
        """Brings files that are as mreg left them, half-written ones too, back to what the index says.

        Those that the index knows otherwise than before the change are no longer mreg's: someone took the lock of a
        killed process away, and staged them.

        Raises:
            GitError: Another Git command holds the index.
        """
        self.hold()
        ours = self._ours(changes)
        for change in ours:
            if change.old is None:  # first: on a full disk the others need the room
                self._remove(change.path)
        back = "".join(f"{change.path}\0" for change in ours if change.old).encode("utf-8", "surrogateescape")
        if back:
            done = self._git.complete("checkout-index", "--force", "-z", "--stdin", stdin=back)
            if done.status != 0 and "skip-worktree" not in done.stderr:  # never there in a sparse checkout
                raise failure(("checkout-index",), done, folder=self.folder)
        self.release()

    def release(self) -> None:
        """Lets Git change the index again."""
        self._drop_draft()
        if self.is_held:
            self._lock.unlink()

    def _ours(self, changes: Sequence[FileChange]) -> list[FileChange]:
        staged = self._staged()
        changes = [change for change in changes if staged.get(change.path) == change.old]
        present = [change for change in changes if _is_plain(self.folder, change.path)]
        names = "".join(f"{change.path}\n" for change in present).encode("utf-8", "surrogateescape")
        # Git hashes what it would store: line endings and other filters are accounted for.
        hashes = self._git.run("hash-object", "--stdin-paths", stdin=names).decode().split() if present else []
        known = {change.path: oid for change, oid in zip(present, hashes, strict=True)}
        missing = [change for change in changes if not os.path.lexists(self.folder / change.path)]
        unsure = [change for change in present if known[change.path] not in {change.old, change.new}]
        # What is as before needs no writing, and perhaps cannot be written: its folder may be read-only.
        ours = [change for change in present if known[change.path] == change.new]
        contents = self._repo.read([change.new or "" for change in unsure])
        halves = [
            change for change, content in zip(unsure, contents, strict=True) if self._is_half(change.path, content)
        ]
        return [*ours, *halves, *(change for change in missing if change.old)]

    def _staged(self) -> dict[str, str]:
        """Returns what the index has, less what is in conflict there."""
        lines = os.fsdecode(self._git.run("ls-files", "--stage", "-z")).split("\0")[:-1]
        entries = (line.partition("\t")[::2] for line in lines)
        return {path: entry.split(" ")[1] for entry, path in entries if entry.endswith(" 0")}

    def _is_half(self, path: str, content: bytes | None) -> bool:
        found = (self.folder / path).read_bytes().replace(b"\r\n", b"\n")
        return content is not None and content.startswith(found)

    def _can_follow(self, patch: Patch | None, *, at_once: bool) -> bool:
        """Returns whether files and index are as a patch says, which then is kept; one process where Git takes more."""
        if not patch or not self.is_large or any(os.path.lexists(self.folder / path) for path in patch.added):
            return False
        # `git apply` takes no file that was changed, but makes one anew that was deleted, and any mode is right to it.
        is_sure = at_once and all(_is_plain(self.folder, path) for path in patch.blobs)
        if not (is_sure and has_entries(self._draft, patch.blobs)):
            args = ("ls-files", "-v", "--stage", "--modified", "-z", "--", *sorted(patch.paths))
            lines = self._git.run(*args, env=self._on_draft).decode("utf-8", "surrogateescape").split("\0")[:-1]
            if sorted(lines) != patch.staged:
                return False
        self._patch = patch
        return True

    def _apply(self, patch: Patch) -> None:
        done = self._git.complete(*_APPLY, stdin=patch.content, env=self._on_draft)
        if _NOT_TAKEN.search(done.stderr):
            # Perhaps by its times alone, as in a copy: Git then looks into the file.
            self._status(sorted(patch.paths))
            done = self._git.complete(*_APPLY, stdin=patch.content, env=self._on_draft)
        if refused := _NOT_TAKEN.search(done.stderr):
            raise changed_file(self.folder, [refused[1]], is_deleted=False)
        if done.status != 0:
            raise failure(_APPLY, done, folder=self.folder)

    def _status(self, paths: Sequence[str]) -> list[str]:
        status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored=matching")
        out = self._git.run(*status, "--ignore-submodules=all", "--", *paths, env=self._on_draft)
        return out.decode("utf-8", "surrogateescape").split("\0")[:-1]

    def _remove(self, path: str) -> None:
        (self.folder / path).unlink(missing_ok=True)
        for folder in PurePosixPath(path).parents[:-1]:
            try:
                (self.folder / folder).rmdir()
            except OSError:  # something else is in it
                return

    def _blocks(self, ignored: str, paths: Sequence[str]) -> bool:
        is_folder = ignored.endswith("/")
        inside = [path for path in paths if path.startswith(ignored)] if is_folder else []
        return not inside or any(os.path.lexists(self.folder / path) for path in inside)

    def _make_lock(self) -> None:
        try:
            self._lock.symlink_to(self._note)
        except FileExistsError:
            raise
        except OSError:  # a file system without symbolic links
            with self._lock.open("x", encoding="utf-8", errors="surrogateescape") as file:
                file.write(str(self._note))

    def _make_draft(self) -> None:
        self._drop_draft()
        with suppress(FileNotFoundError):  # before the first `git add`
            # With its time, by which Git tells which files changed right after it was written.  A second name will do:
            # Git never writes into an index that is there.
            try:
                self._draft.hardlink_to(self._index)
            except FileNotFoundError:
                raise
            except OSError:  # a file system without such links
                shutil.copy2(self._index, self._draft)

    def _drop_draft(self) -> None:
        self._draft.unlink(missing_ok=True)
        self._draft.with_name(f"{self._draft.name}.lock").unlink(missing_ok=True)


def find_worktrees(repo: GitRepository, ref: str, note: Path) -> list[Worktree]:
    """Returns the worktrees that have a branch checked out, born or not."""
    found = list_worktrees(repo)
    return [Worktree(repo, folder, git_dir, note) for git_dir, (folder, branch) in found.items() if branch == ref]


def reopen_worktrees(repo: GitRepository, names: Collection[str], note: Path) -> list[Worktree]:
    """Returns the worktrees of a note where they are now, less those that are gone."""
    trees = [Worktree(repo, folder, git_dir, note) for git_dir, (folder, _) in list_worktrees(repo).items()]
    return [tree for tree in trees if tree.name in names]


def find_held(repo: GitRepository, note: Path) -> list[Path]:
    """Returns mreg's own locks of an index, in whichever worktree, one that is gone included."""
    locks = [place / "index.lock" for place in (repo.common_dir, *sorted(repo.common_dir.glob("worktrees/*")))]
    return [lock for lock in locks if _is_ours(lock, note)]


def release_held(repo: GitRepository, note: Path) -> None:
    """Takes mreg's own locks of every index away, for a caller who knows that nobody writes."""
    for lock in find_held(repo, note):
        lock.with_name(_DRAFT).unlink(missing_ok=True)
        lock.unlink(missing_ok=True)


def _is_ours(lock: Path, note: Path) -> bool:
    try:
        said = lock.readlink() if lock.is_symlink() else Path(os.fsdecode(lock.read_bytes()))
    except FileNotFoundError:
        return False
    # Not the whole path: the repository may have been moved, or be mounted elsewhere.
    return said.parts[-2:] == note.parts[-2:]


def _is_plain(folder: Path, path: str) -> bool:
    # A line break would be read as two names, and a leading quote as Git's own quoting.
    place = folder / path
    # Not `Path.is_file`, which raises where a name is too long to be one.
    is_file = os.path.isfile(place) and not os.path.islink(place)  # noqa: PTH113, PTH114
    return is_file and "\n" not in path and not path.startswith('"')
