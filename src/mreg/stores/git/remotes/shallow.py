"""A bare repository that holds of a remote only what was looked at: one commit a look, and the files that were read.

Rules:
    * A look asks for refs by their full names, in protocol 2: the server does not list its tags.
    * Files come all together, in one connection, and never one by one behind Git's back: to what reads here, an object
      that was not fetched is missing.
    * The URL is in no file here and on no command line of Git's own: it may hold a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from mreg.errors import GitError
from mreg.stores.disk import scratch_folder
from mreg.stores.git.discovery import Place
from mreg.stores.git.remotes.network import ask, confirm_missing, unreachable
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, GitRunner
from mreg.stores.surroundings import strip_credentials

__all__ = ["BrokenCacheError", "Remote", "ShallowRepository"]

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MISSING = re.compile(r"couldn't find remote ref (\S+)$", re.MULTILINE)
_OTHER_FORMAT = re.compile(r"mismatched algorithms: client sha1; server sha256")
_AUTHOR = re.compile(r"^author [^\n]*<([^<>\n]*)> \d+ [+-]\d{4}$", re.MULTILINE)
_COMMITTED = re.compile(r"^committer .*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)
_NOT_ALLOWED = re.compile(r"unadvertised object|not our ref|did not send all necessary objects")
_ABOUT_REMOTE = re.compile(
    r"unable to access|unable to connect|could not resolve|could not read (?:from remote|username|password)"
    r"|does not appear to be a git repository|hung up|early eof|authentication failed|returned error"
    r"|connection (?:refused|reset|closed|timed out)|permission denied|repository \S+ not found|dumb http|transport '"
    r"|blocked",
    re.IGNORECASE,
)
_OPTIONS = ("-c", "protocol.version=2", "fetch", "--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head")
_MORE_OPTIONS = ("--no-recurse-submodules", "--no-write-commit-graph", "--no-show-forced-updates")
_NAME = "mreg-serving"
_LARGE_SIZE = 256 << 10
"""So much are the folders of some 8 000 versions."""
_DEPTHS = (64, 1024, 16_384)
"""How far behind its tip a branch is searched for a commit: a commit takes some 200 bytes, where the server filters."""


class BrokenCacheError(GitError):
    """What is on this disk is at fault, or does not fit the remote; a new repository may do."""


class Remote:
    """A repository elsewhere: its URL, and what may be said of it."""

    def __init__(self, url: str) -> None:
        """Takes a URL as Git does, or an absolute path."""
        self.url = url
        self.label = strip_credentials(url) or "the repository"
        """Without a secret."""

    def settings(self, kind: str) -> dict[str, str]:
        """Returns the variables that make it a remote of Git's; ``kind`` is Git's filter, or empty for none."""
        pairs = [(f"remote.{_NAME}.url", self.url)]
        if kind:
            # Not --filter, which would write it all to the configuration, and have readers fetch file by file.
            pairs += [(f"remote.{_NAME}.promisor", "true"), (f"remote.{_NAME}.partialCloneFilter", kind)]
        count = os.environ.get("GIT_CONFIG_COUNT", "")
        first = int(count) if count.isdecimal() else 0
        found = {"GIT_CONFIG_COUNT": str(first + len(pairs))}
        for index, (key, value) in enumerate(pairs, first):
            found |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        return found

    def hide(self, text: str) -> str:
        """Returns a text without the user, the password and the tokens of the URL."""
        if self.label == self.url:
            return text
        text = text.replace(self.url, self.label)
        user = self.url.partition("://")[2].rpartition("@")[0]
        if user:
            text = text.replace(f"{user}@", "")
        words = {word for part in (user, user.partition(":")[2]) for word in (part, unquote(part))}
        for word in sorted(words - {"", "git"}, key=len, reverse=True):
            text = text.replace(word, "…")
        return text


class ShallowRepository(GitRepository):
    """One remote, as far as it was looked at."""

    def __init__(self, folder: Path, remote: Remote, *, kind: str = "blob:none") -> None:
        """Opens what ``create`` made; nothing is started.

        Args:
            folder: The bare repository.
            remote: What it is a part of.
            kind: Which objects are left out, in Git's words; empty for none, where the server cannot do that.
        """
        try:
            text = (folder / "config").read_text(encoding="utf-8").lower()
        except (OSError, UnicodeDecodeError) as error:
            raise BrokenCacheError(f"{folder} cannot be read as a Git repository") from error
        form = "sha256" if "objectformat = sha256" in text else "sha1"
        place = Place(folder, folder, form, is_bare=True, worktree=None)
        super().__init__(folder, place)
        self.is_partial = True
        self.remote = remote
        self.asks = True
        """False where what is not here counts as lost, and nobody is asked for it."""
        self._here: set[str] = set()
        self._is_filtered = bool(kind)
        self._kind = kind
        self._link = GitRepository(folder, place)
        self._link.runner = GitRunner(folder, options=[f"--git-dir={folder}"], env=remote.settings(kind))

    @classmethod
    def create(cls, folder: Path, remote: Remote, *, kind: str = "blob:none", form: str = "sha1") -> ShallowRepository:
        """Makes an empty one; ``form`` is the object format.

        Raises:
            GitError: Git refuses.
        """
        folder.mkdir(parents=True)
        GitRunner(folder).run("init", "--quiet", "--bare", "--template=", f"--object-format={form}", ".")
        return cls(folder, remote, kind=kind)

    @property
    def packs(self) -> int:
        """How many times something was fetched."""
        return sum(1 for _ in (self.git_dir / "objects" / "pack").glob("*.pack"))

    def fetch_tip(self, ref: str, local: str) -> str | None:
        """Fetches the newest commit of a branch and its folders, in one connection; ``None`` where it is not there.

        Args:
            ref: ``HEAD``, or a full name.
            local: The full name that it gets here, so that the next look fetches only what is new.

        Raises:
            BrokenCacheError: This repository is at fault.
            OutsideError: The remote does not answer in time, or refuses.
        """
        done = self._fetch([f"+{ref}:{local}"], "--depth=1")
        if done is not None and _MISSING.search(done.stderr):
            confirm_missing(self._link, self.remote.label, ref, name=_NAME)
            return None
        self._require(done)
        return self.resolve([f"{local}^{{commit}}"])[0]

    def fetch_objects(self, oids: Sequence[str], tag: str = "") -> None:
        """Fetches files by their ids, and a tag if it is there, in one connection.

        In two where the tag is not there, or the folders of its commit would weigh more than a connection.

        Raises:
            BrokenCacheError: This repository is at fault, or the server gives no files by their ids.
            OutsideError: The remote does not answer in time, or refuses.
        """
        ref = f"refs/tags/{tag}"
        # What is to be fetched may be in a commit that is here: the server must not take it for known.
        noop = ("-c", "fetch.negotiationAlgorithm=noop")
        if tag and (not oids or self._has_large_folders()):
            # With a tag come the folders of its commit, and many of them are here.
            done = self._fetch([f"+{ref}:{ref}"], "--depth=1")
            if done is None or not _MISSING.search(done.stderr):
                self._require(done)
        elif tag:
            done = self._fetch([*oids, f"+{ref}:{ref}"], "--depth=1", settings=noop)
            if done is None or not _MISSING.search(done.stderr):
                self._require(done)
                self._here.update(oids)
                return
        if oids:
            self._require(self._fetch(oids, settings=noop))
            self._here.update(oids)

    def find_missing(self, oids: Sequence[str]) -> list[str]:
        """Returns those of some objects that were not fetched, in one Git call."""
        oids = [oid for oid in dict.fromkeys(oids) if oid not in self._here]
        found = self.resolve(oids)
        self._here.update(oid for oid in found if oid)
        return [oid for oid, there in zip(oids, found, strict=True) if there is None]

    def find_files(self, rev: str, paths: Sequence[str]) -> dict[str, str]:
        """Returns the ids of some files of a commit by their paths, in one Git call; the files need not be here."""
        out = self.runner.run("ls-tree", "-r", "-z", "--full-tree", rev, "--", *paths).decode(
            "utf-8", "surrogateescape"
        )
        lines = (line.partition("\t") for line in out.split("\0")[:-1])
        return {path: head.split(" ")[2] for head, _, path in lines if " blob " in head}

    def committed_at(self, commit: str) -> datetime | None:
        """Returns when a commit that was fetched says that it was made; ``None`` where it says nothing readable."""
        found = _COMMITTED.search(self._header(commit))
        try:
            return datetime.fromtimestamp(int(found[1]), timezone.utc) if found else None
        except (OverflowError, OSError, ValueError):  # a year that Python has not got
            return None

    def author_of(self, commit: str) -> str:
        """Returns the e-mail address of the author of a commit that was fetched; empty where it has none."""
        found = _AUTHOR.search(self._header(commit))
        return found[1] if found else ""

    def _header(self, commit: str) -> str:
        (content,) = self.read([commit])
        return (content or b"").partition(b"\n\n")[0].decode("utf-8", "replace")

    def comes_after(self, newer: str, older: str) -> bool:
        """Returns whether a commit of the remote is in the history of another, which was fetched.

        Mostly the newer one names it as its parent; else commits are fetched without their files, to be thrown away.

        Raises:
            OutsideError: The remote does not answer in time, or refuses.
        """
        parents = takewhile(lambda line: line.startswith("parent "), self._header(newer).split("\n")[1:])
        if newer == older or f"parent {older}" in parents:
            return True
        with scratch_folder(self.git_dir.parent) as scratch:
            kind = "tree:0" if self._kind else ""
            proof = ShallowRepository.create(scratch / "proof", self.remote, kind=kind, form=self.object_format)
            for depth in _DEPTHS:
                if depth == _DEPTHS[-1] and not proof._is_filtered:
                    return False  # all files of all these commits would come along
                proof._require(proof._fetch([newer], f"--depth={depth}"))
                if proof.runner.complete("merge-base", "--is-ancestor", older, newer).status == 0:
                    return True
                if not proof.is_shallow:  # that was all of it
                    return False
        return False

    def _has_large_folders(self) -> bool:
        packs = (self.git_dir / "objects" / "pack").glob("*.pack")
        return any(pack.stat().st_size > _LARGE_SIZE for pack in packs)

    def _fetch_at_once(self, names: Sequence[str]) -> None:
        missing = self.find_missing([name for name in names if _OID.fullmatch(name)])
        if missing:
            self.fetch_objects(missing)

    def _fetch(self, specs: Sequence[str], *options: str, settings: Sequence[str] = ()) -> Completed | None:
        """Returns how a fetch ended; ``None`` where it went well."""
        if not self.asks:
            raise BrokenCacheError(f"not all of {self.remote.label} that is asked for was fetched to this machine")
        args = (*settings, *_OPTIONS, *_MORE_OPTIONS, *options, "--stdin", _NAME)
        done = ask(self._link, self.remote.label, *args, stdin="".join(f"{spec}\n" for spec in specs).encode())
        self._is_filtered = self._is_filtered and "filtering not recognized" not in done.stderr
        return None if done.status == 0 else Completed(done.status, done.stdout, self.remote.hide(done.stderr))

    def _require(self, done: Completed | None) -> None:
        if done is None:
            return
        if _OTHER_FORMAT.search(done.stderr):
            raise BrokenCacheError("sha256", details={"form": "sha256"})
        if _NOT_ALLOWED.search(done.stderr):
            raise BrokenCacheError(done.stderr.strip(), details={"kind": ""})
        error = unreachable(self.remote.label, ("fetch",), done)
        if "No space left on device" in done.stderr:  # a new repository would not have any either
            raise error
        if _ABOUT_REMOTE.search(done.stderr) and os.fspath(self.git_dir) not in done.stderr:
            raise error
        raise BrokenCacheError(error.message, hint=error.hint, details=error.details)
