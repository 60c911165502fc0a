"""Reading a Git repository: where it is, what its refs name, its history, its tags."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath

from mreg.core.history.timeline import Commit, FileChange
from mreg.core.write_listener import WriteListener
from mreg.errors import IdentityError, MregError, NotFoundError, UsageError
from mreg.stores.git.discovery import ID_BYTES, Place, discover, quarantine
from mreg.stores.git.history.covering import cover, only_below
from mreg.stores.git.history.tree_looks import Looks
from mreg.stores.git.objects import Identity, empty_tree
from mreg.stores.git.parsing import (
    ADDED,
    TAG_FORMAT,
    TagRef,
    TreeFile,
    find_added,
    log_command,
    parse_added,
    parse_batch,
    parse_changes,
    parse_log_pieces,
    parse_tag_ids,
    parse_tag_ref,
    parse_tree_files,
)
from mreg.stores.git.runner import GitRunner, failure

__all__ = ["GitRepository", "TagRef", "TreeFile", "tag_patterns"]

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PART_BYTES = 250
"""What a file system takes as a name, less Git's ``.lock``."""
_UNKNOWN_IDENTITY = re.compile(r"auto-detect|tell me who you are|empty ident|disallowed characters")


class GitRepository:
    """One repository as seen from one directory: a worktree, a subdirectory of it, or a bare repository."""

    def __init__(self, directory: Path, place: Place | None = None) -> None:
        """Finds the repository around a directory, in one Git call where ``place`` does not tell.

        Raises:
            NotFoundError: The directory does not exist.
            NotARegistryError: No Git repository is here or above.
            GitError: Git is missing, too old, or refuses the repository.
        """
        place = place or discover(directory)
        self.git_dir, self.common_dir, self.worktree = place.git_dir, place.common_dir, place.worktree
        self.object_format, self.is_bare = place.object_format, place.is_bare
        options = [f"--git-dir={self.git_dir}"] + ([f"--work-tree={self.worktree}"] if self.worktree else [])
        self.runner = GitRunner(self.worktree or self.git_dir, options=options, env=quarantine(self.common_dir))
        self._looks = Looks(self.runner, self.common_dir)
        self.listener: WriteListener | None = None
        """Is told what writers go through."""

    @property
    def id_bytes(self) -> int:
        """Length of an object id, in bytes."""
        return ID_BYTES[self.object_format]

    @property
    def zero_oid(self) -> str:
        """The id that stands for no object."""
        return "0" * (2 * self.id_bytes)

    @property
    def is_shallow(self) -> bool:
        """True where the clone has only part of the history."""
        return (self.common_dir / "shallow").exists()

    @cached_property
    def is_partial(self) -> bool:
        """True where the clone has only part of the objects, and fetches the others when they are asked for."""
        return any((self.common_dir / "objects" / "pack").glob("*.promisor"))

    @property
    def state_dir(self) -> Path:
        """mreg's own folder in the repository, shared by all worktrees; nothing there is the source of truth."""
        return self.common_dir / "mreg"

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """Returns the contents of objects, in one Git call.

        Args:
            names: What ``git cat-file --batch`` takes: ids, or ``<rev>:<path>``.

        Returns:
            One entry a name; ``None`` where Git knows no such object.
        """
        return [found[2] if found else None for found in self.read_objects(names)]

    def read_named(self, names: Sequence[str]) -> list[tuple[str, bytes] | None]:
        """Returns id and content of objects, in one Git call; otherwise like ``read``."""
        return [(found[0], found[2]) if found else None for found in self.read_objects(names)]

    def read_objects(self, names: Sequence[str]) -> list[tuple[str, str, bytes] | None]:
        """Returns id, kind and content of objects, in one Git call; otherwise like ``read``."""
        if not names:
            return []
        if self.is_partial:
            self._fetch_at_once(names)
        out = self.runner.run("cat-file", "--batch", "--buffer", stdin=_lines(names))
        return list(parse_batch(out, len(names)))

    def _fetch_at_once(self, names: Sequence[str]) -> None:
        # cat-file fetches what a partial clone lacks one by one, a connection each; pack-objects all together.
        oids = [name for name in names if _OID.fullmatch(name)]
        if len(oids) > 1:
            self.runner.run("pack-objects", "--stdout", "--quiet", "--window=0", stdin=_lines(oids))

    def resolve(self, names: Sequence[str]) -> list[str | None]:
        """Returns the object ids of names, in one Git call; ``None`` where there is no such object."""
        if not names:
            return []
        out = self.runner.run("cat-file", "--batch-check=%(objectname)", "--buffer", stdin=_lines(names))
        found = out.decode("utf-8", "replace").split("\n")[:-1]
        return [oid if _OID.fullmatch(oid) else None for oid in found]

    def branch_tip(self, branch: str) -> str | None:
        """Returns the commit of a local branch, or ``None``."""
        # Not `resolve`: where the branch is missing, it would find a tag that is named refs/heads/….
        ref = f"refs/heads/{branch}"
        refs = dict(line.split(" ") for line in self._refs("%(refname) %(objectname)", [ref]))
        return refs.get(ref)

    def tracked_tip(self, branch: str) -> str | None:
        """Returns where a remote had a branch when it was last fetched, ``origin`` first; or ``None``."""
        found = dict(line.split(" ") for line in self._refs("%(refname:lstrip=2) %(objectname)", ["refs/remotes/"]))
        others = sorted(ref for ref in found if ref.partition("/")[2] == branch)
        return next((found[ref] for ref in (f"origin/{branch}", *others) if ref in found), None)

    def commit_of(self, rev: str) -> str:
        """Returns the commit that any revision names.

        Raises:
            NotFoundError: It names none.
        """
        done = self.runner.complete("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
        oid = done.stdout.decode("utf-8", "replace").strip()
        if not _OID.fullmatch(oid):  # ^HEAD is answered too
            raise NotFoundError(f"{rev!r} names no commit", hint="git log --oneline -5", details={"rev": rev})
        return oid

    def commit_at(self, tip: str, moment: datetime) -> str | None:
        """Returns the newest first-parent commit not younger than a time, or ``None`` where all are younger."""
        seconds = int(moment.timestamp())
        if seconds < 0:  # no commit is that old, and Git would read another date
            return None
        return self.runner.text("rev-list", "--first-parent", "-1", f"--before=@{seconds} +0000", tip) or None

    def files(self, rev: str, folders: Sequence[str]) -> list[TreeFile]:
        """Returns every file below some folders of a commit, sorted by path, in one Git call."""
        out = self.runner.run("ls-tree", "-r", "-z", "--full-tree", rev, "--", *(f"{folder}/" for folder in folders))
        return list(parse_tree_files(out))

    def log(self, tip: str, paths: Sequence[str], *, since: str | None = None, is_whole: bool = False) -> list[Commit]:
        """Returns the first-parent commits that changed some paths, oldest first, in one Git call.

        Each has the changes against its first parent alone; a rename is a deletion and an addition.

        Args:
            tip: The newest commit.
            paths: Files and folders; the changes are those below them.
            since: Only what came after this commit.
            is_whole: Also the commits that changed none of them.
        """
        return list(self.iter_log(tip, paths, since=since, is_whole=is_whole))[::-1]

    def iter_log(
        self, tip: str, paths: Sequence[str], *, since: str | None = None, is_whole: bool = False
    ) -> Iterator[Commit]:
        """Yields what ``log`` returns, newest first, while Git is still at it: neither holds all of them."""
        told = None if since else self._looks.log(tip, paths, is_whole=is_whole)
        if told is None:
            asked = paths if is_whole else cover(paths)
            log = parse_log_pieces(self.runner.stream(*log_command(tip, asked, since=since, is_whole=is_whole)))
            told = log if is_whole or not paths else only_below(log, paths)
        yield from told

    def authors_of(self, tip: str, folders: Sequence[str], *, under: str) -> dict[tuple[str, str], frozenset[str]]:
        """Returns who added files below some folders, by path and object id, in one Git call.

        Both parents of merges are followed.  A squash names those who shared in it as ``Co-authored-by``.

        Args:
            tip: The newest commit.
            folders: Where to look.
            under: Only files that have a folder of this name in their path.

        Returns:
            E-mail addresses in lower case.
        """
        told = self._looks.log_all(tip, folders, is_first_parent=False)
        if told is not None:
            return find_added(told, f"/{under}/")
        changed = self._looks.find(tip, folders, is_first_parent=False)
        if changed == []:  # Git would look at HEAD
            return {}
        asked = [tip] if changed is None else ["--no-walk=unsorted", "--stdin"]
        out = self.runner.run(*ADDED, *asked, "--", *folders, stdin=_lines(changed or ()))
        return parse_added(out, f"/{under}/")

    def is_linear(self, tip: str) -> bool:
        """Returns whether no commit up to one is a merge, in one Git call."""
        return not self.runner.text("rev-list", "--min-parents=2", "--max-count=1", tip)

    def changes(self, old: str | None, new: str) -> list[FileChange]:
        """Returns the files that differ between two commits, in one Git call; ``None`` is a commit without files."""
        return parse_changes(self.raw_changes(old, new))

    def raw_changes(self, old: str | None, new: str) -> bytes:
        """Returns the same as Git says it: modes and ids of each file, and its path."""
        base = old or empty_tree(self.object_format)
        args = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, new)
        # Git would read the whole index first, and not need it.
        return self.runner.run(*args, env={"GIT_INDEX_FILE": str(self.state_dir / "no-index")})

    def tags(self, patterns: Sequence[str] = ("refs/tags/",)) -> list[TagRef]:
        """Returns the tags below some ref patterns, in one Git call; in two where one of them is malformed."""
        try:
            return [parse_tag_ref(line) for line in self._refs(TAG_FORMAT, patterns)]
        except MregError:
            # One tag that cannot be parsed, or whose object is missing, ends for-each-ref; the rest still reads.
            lines = self._refs("%(refname:lstrip=2)%00%(objectname)", patterns)
            return self.describe_tags(dict(line.split("\0") for line in lines))

    def tag_ids(self) -> dict[str, bytes]:
        """Returns the object id of every tag by its name, in one Git call that reads no object."""
        form = "%(refname:lstrip=2)%00%(objectname)"
        return parse_tag_ids(self.runner.stream("for-each-ref", f"--format={form}", "refs/tags/"))

    def describe_tags(self, ids: Mapping[str, str]) -> list[TagRef]:
        """Returns tags whose object ids are known, in one Git call."""
        found = zip(ids.items(), self.read_objects(list(ids.values())), strict=True)
        return [parse_tag_ref(f"refs/tags/{name}\0{oid}", each) for (name, oid), each in found]

    def _refs(self, form: str, patterns: Sequence[str]) -> list[str]:
        out = self.runner.run("for-each-ref", f"--format={form}", *patterns)
        return out.decode("utf-8", "surrogateescape").split("\n")[:-1]

    def author(self) -> Identity:
        """Returns who is the author of a commit made now.

        Raises:
            IdentityError: Git does not know.
        """
        return self._identity("GIT_AUTHOR_IDENT")

    def committer(self) -> Identity:
        """Returns who is the committer of a commit made now.

        Raises:
            IdentityError: Git does not know.
        """
        return self._identity("GIT_COMMITTER_IDENT")

    def settings(self) -> dict[str, str]:
        """Returns all of Git's settings, the last value of each, in one Git call.

        Section and key are in lower case, the part between them is as it was written.
        """
        out = self.runner.run("config", "-z", "--list").decode("utf-8", "surrogateescape")
        pairs = (item.partition("\n") for item in out.split("\0")[:-1])
        return {key: value if equals else "true" for key, equals, value in pairs}

    def config(self, *keys: str) -> list[str | None]:
        """Returns some of Git's settings, in one Git call."""
        settings = self.settings()
        return [settings.get(_setting(key)) for key in keys]

    def head(self) -> str | None:
        """Returns the commit that is checked out, or ``None`` before the first."""
        return self.resolve(["HEAD"])[0]

    def head_branch(self) -> str | None:
        """Returns the branch that is checked out, born or not, or ``None`` for a detached HEAD."""
        # Not --short, which says heads/main where there is a tag of that name too.
        done = self.runner.complete("symbolic-ref", "--quiet", "HEAD")
        return done.stdout.decode("utf-8", "surrogateescape").strip().removeprefix("refs/heads/") or None

    def check_branch_name(self, branch: str) -> None:
        """Refuses what Git does not take as the name of a branch, or not beside those that are there.

        Raises:
            UsageError: It is none, its file would have too long a name, or one would be a folder of the other.
        """
        details = {"branch": branch}
        done = self.runner.complete("check-ref-format", f"refs/heads/{branch}")
        if done.status != 0 or branch.startswith("-") or branch == "HEAD":
            raise UsageError(f"{branch!r} is not a branch name", hint="--branch promote-churn", details=details)
        if any(len(os.fsencode(part)) > _PART_BYTES for part in branch.split("/")):
            message = f"{branch!r} is too long for a branch: {_PART_BYTES} bytes are the most between two slashes"
            raise UsageError(message, hint="--branch promote-churn", details=details)
        folders = [str(folder) for folder in PurePosixPath(branch).parents[:-1]]
        there = set(self._refs("%(refname:lstrip=2)", [f"refs/heads/{name}" for name in (branch, *folders)]))
        other = next((name for name in sorted(there) if name in folders or name.startswith(f"{branch}/")), None)
        if other is not None:
            raise UsageError(
                f"{branch!r} cannot be a branch beside {other!r}: one would be a folder of the other",
                hint=f"--branch {shlex.quote(branch.replace('/', '-') if '/' in branch else f'{branch}-2')}",
                details={**details, "other": other},
            )

    def is_dirty(self, *, besides: str) -> bool:
        """Returns whether a tracked file outside a folder has uncommitted changes."""
        if self.worktree is None:
            return False
        out = self.runner.run(
            "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=untracked"
        )
        lines = out.decode("utf-8", "surrogateescape").split("\0")[:-1]
        return any(not line[3:].startswith(f"{besides}/") for line in lines)

    def _identity(self, variable: str) -> Identity:
        done = self.runner.complete("var", variable)
        if done.status == 0:
            return Identity.parse(done.stdout.decode("utf-8", "replace").strip())
        if not _UNKNOWN_IDENTITY.search(done.stderr):
            raise failure(("var",), done)
        raise IdentityError(
            "git does not know who you are: user.name and user.email are not both set",
            hint='git config --global user.name "Your Name" && git config --global user.email you@example.com',
            details={"stderr": done.stderr.strip()},
        )


def tag_patterns(models: Iterable[str]) -> list[str]:
    """Returns the ref patterns of all tags of some models, and of those in folders that are named like one."""
    # A star of Git's does not reach over a slash.
    return [f"refs/tags/{model}{mark}{rest}" for model in models for mark in "@#" for rest in ("*", "*/**")]


def _lines(names: Iterable[str]) -> bytes:
    # One name a line: a name with a line break in it names nothing, and neither does an empty line.
    return "".join("\n" if "\n" in name else f"{name}\n" for name in names).encode("utf-8", "surrogateescape")


def _setting(key: str) -> str:
    section, *between, name = key.split(".")
    return ".".join([section.lower(), *between, name.lower()])
