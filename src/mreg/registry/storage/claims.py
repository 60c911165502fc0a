"""What branches and tags name: bytes that must stay, whatever the retention of the registry branch says.

Rules:
    * Every branch of the clone and of its remote, and every tag that mreg did not make, claims what DVC's files say at
      its commit: each ``.dvc`` file and each ``dvc.lock``, wherever it is.
    * A branch that has commits of its own claims also the versions that it alone registers, and those that its stage
      files and approvals name: someone proposes them.
    * A tag of a version or of a stage claims that version and nothing else: its commit has the pointers of all models.
    * So does what is checked out and not committed yet.
    * What cannot be read claims whatever it may name: hashes are taken from the text, not from its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from msgspec import Struct, field

from mreg.core.history.tags import derive_tags
from mreg.core.history.timeline import AdoptedTag, Timeline
from mreg.core.layout import Layout, PathKind, Place
from mreg.core.storage.retention import Key
from mreg.errors import DataError, NotFoundError
from mreg.registry.reading.reader import Reader
from mreg.stores.disk import disk_errors
from mreg.stores.git.history.walking import find_files
from mreg.stores.git.repository import GitRepository

__all__ = ["Claims", "Refs", "find_claims"]

_HASH = re.compile(rb"\b[0-9a-f]{32}(?:\.dir)?\b")
_SHA256 = re.compile(rb"\b[0-9a-f]{64}\b")

Refs = Mapping[str, str]
"""Full name and object id of each."""


class Claims(Struct):
    """What refs name."""

    md5s: dict[str, str] = field(default_factory=dict)
    """DVC's names of objects, each with where it is named; of directories the lists."""
    sha256s: set[str] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)
    """Objects that a record of another branch names, with the hashes of all their files in ``sha256s``."""
    versions: dict[Key, str] = field(default_factory=dict)
    """Versions of the registry branch that are named elsewhere, and how."""

    @property
    def lists(self) -> dict[str, str]:
        """The directories of which only the name is known, each with where it is named."""
        lists = {md5 for md5 in self.md5s if md5.endswith(".dir")} - self.recorded
        return {md5: self.md5s[md5] for md5 in sorted(lists)}


def find_claims(reader: Reader, tip: str, refs: Refs, timeline: Timeline, layout: Layout) -> Claims:
    """Returns what all refs name; a few Git calls, whatever the number of refs.

    Args:
        reader: Reads the repository, which has all commits.
        tip: The newest commit of the registry branch.
        refs: Those of the clone and of its remote.
        timeline: The history up to ``tip``.
        layout: Where the registry's files are.

    Raises:
        IncompleteHistoryError: A commit or a tree is not in this clone.
    """
    return _Survey(reader, tip, timeline, layout).find(refs)


class _Survey(Struct):
    reader: Reader
    tip: str
    timeline: Timeline
    layout: Layout
    claims: Claims = field(default_factory=Claims)

    def find(self, refs: Refs) -> Claims:
        repo = self.reader.repo
        by_commit: dict[str, list[str]] = {}
        oids = repo.resolve([f"{oid}^{{commit}}" for oid in refs.values()])
        # A branch says more than that it is checked out.
        for ref, commit in sorted(zip(refs, oids, strict=True), key=lambda pair: (pair[0] == "HEAD", pair[0])):
            if commit is not None:  # else the tag of a file
                by_commit.setdefault(commit, []).append(ref)
        beside = _commits_beside(repo, self.tip, [*by_commit])
        ours = self._our_tags()
        claiming = {self.tip: "the registry branch"}
        for commit, names in by_commit.items():
            # A seal is a child of a commit of the registry branch, with nothing of its own but a pointer.
            is_seal = beside.get(commit, frozenset()).isdisjoint(beside)
            if not (is_seal and ours.issuperset(names)):
                claiming.setdefault(commit, _short(next((name for name in names if name not in ours), names[0])))
        self._claim_pointers(claiming)
        self._claim_worktree()
        self._claim_versions({commit: ref for commit, ref in claiming.items() if commit in beside})
        return self.claims

    def _our_tags(self) -> set[str]:
        names = {tag.name for tag in derive_tags(self.timeline)}
        names |= {each.adopted for each in self.timeline.transitions if each.adopted}
        names |= {each.name for each in self.timeline.events if isinstance(each, AdoptedTag)}
        return {f"refs/tags/{name}" for name in names}

    def _claim_pointers(self, claiming: Mapping[str, str]) -> None:
        found = find_files(self.reader.repo, claiming, _is_pointer, lambda _: True)
        for (path, commit), content in self._read(found):
            for md5 in _HASH.findall(content):
                self.claims.md5s.setdefault(md5.decode(), f"{path} on {claiming[commit]}")

    def _claim_worktree(self) -> None:
        """Takes what is not committed yet for a branch of its own."""
        repo = self.reader.repo
        if repo.worktree is None:
            return
        listed = repo.runner.run("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name")
        for name in listed.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            if _is_pointer(name):
                with suppress(NotFoundError), disk_errors("read", name):
                    for md5 in _HASH.findall((repo.worktree / name).read_bytes()):
                        self.claims.md5s.setdefault(md5.decode(), f"{name} here, not committed")

    def _claim_versions(self, claiming: Mapping[str, str]) -> None:
        if not claiming:
            return
        root = self.layout.root
        # What the registry branch has too, no other branch proposes.
        landed = {(file.path, file.oid) for file in self.reader.repo.files(self.tip, [root])}
        found = find_files(
            self.reader.repo,
            claiming,
            lambda path: self.layout.locate(path) is not None,
            lambda path: f"{path}/".startswith(f"{root}/") or root.startswith(f"{path}/"),
        )
        new = {key: commit for key, commit in found.items() if key not in landed}
        for ((path, commit), content), (_, oid) in zip(self._read(new), new, strict=True):
            self._claim_file(path, oid, content, claiming[commit])

    def _read(self, found: Mapping[tuple[str, str], str]) -> Iterator[tuple[tuple[str, str], bytes]]:
        """Yields path, commit and content of files."""
        contents = self.reader.repo.read([oid for _, oid in found])
        for ((path, oid), commit), content in zip(found.items(), contents, strict=True):
            if content is None:
                message = f"{path}: object {oid} is missing from this clone"
                raise DataError(message, hint="git fsck", details={"file": path, "commit": commit})
            yield (path, commit), content

    def _claim_file(self, path: str, oid: str, content: bytes, ref: str) -> None:
        place = self.layout.locate(path)
        if place is None:
            return
        if place.kind in {PathKind.RECORD, PathKind.FILE_LIST}:
            names = [md5.decode() for md5 in _HASH.findall(content)]
            if b"sha256: " in content:  # then the list of its files is in Git too
                self.claims.recorded.update(names)
            self.claims.md5s.update(dict.fromkeys(names, f"{path} on {ref}"))
            self.claims.sha256s.update(sha256.decode() for sha256 in _SHA256.findall(content))
        elif place.kind is PathKind.APPROVAL and place.version:
            self.claims.versions[place.model, place.version] = f"approved on {ref}"
        elif place.kind is PathKind.STAGE:
            self._claim_stage(path, oid, place, ref)

    def _claim_stage(self, path: str, oid: str, place: Place, ref: str) -> None:
        try:
            entry = self.reader.manifest(path, oid).entry
        except DataError:
            doubtful = [key for key in self.timeline.appearances if key[0] == place.model]
            self.claims.versions = {
                **dict.fromkeys(doubtful, f"{path} on {ref} cannot be read"),
                **self.claims.versions,
            }
            return
        if entry and entry.version:
            self.claims.versions[place.model, entry.version] = f"{ref} puts it into {place.stage}"


def _commits_beside(repo: GitRepository, tip: str, commits: Collection[str]) -> dict[str, frozenset[str]]:
    """Returns the commits up to some that the registry branch lacks, each with its parents."""
    if not commits:
        return {}
    names = "".join(f"{oid}\n" for oid in (*commits, f"^{tip}"))
    out = repo.runner.run("rev-list", "--parents", "--stdin", stdin=names.encode())
    lines = (line.split(" ") for line in out.decode().splitlines())
    return {oid: frozenset(parents) for oid, *parents in lines}


def _is_pointer(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == "dvc.lock" or (name.endswith(".dvc") and name != ".dvc")


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/remotes/").removeprefix("refs/")
