"""What Git prints, as values: pure, and indifferent to any byte in a name, a path or a message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from mreg.core.history.timeline import Commit, FileChange
from mreg.stores.git.objects import to_datetime

__all__ = [
    "ADDED",
    "LOG",
    "LOG_OF_SOME",
    "LOG_OF_TOP",
    "PAIRS",
    "TAG_FORMAT",
    "TagRef",
    "TreeFile",
    "authors_of",
    "find_added",
    "log_command",
    "parse_added",
    "parse_batch",
    "parse_changes",
    "parse_log",
    "parse_log_pieces",
    "parse_pairs",
    "parse_tag_ids",
    "parse_tag_ref",
    "parse_tree_files",
]

_LOG_FORMAT = "%H%x00%an%x00%ae%x00%ct%x00%(trailers:only,unfold)%x00%s"
_RAW = ("-z", "--raw", "--no-renames", "--no-abbrev", "--encoding=UTF-8", f"--format={_LOG_FORMAT}")
LOG = ("log", "--no-decorate", *_RAW)
"""The Git command that prints what ``parse_log`` reads; which commits, and of what, comes after it."""
LOG_OF_SOME = (
    *LOG,
    "--no-walk=unsorted",
    "--first-parent",
    "--sparse",  # else a merge goes that is as its second parent
    "--diff-merges=first-parent",
    "--stdin",
    "--",
)
"""The same of the commits that it reads, each against its first parent; files and folders come after it."""
LOG_OF_TOP = ("diff-tree", "--stdin", "--root", *_RAW)
"""The same of the commits that it reads, with folders, whose paths end in a slash, in place of what is in them.

With ``-r`` it prints what is in them.
"""
PAIRS = ("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-abbrev")
"""The Git command that prints what ``parse_pairs`` reads, of the pairs of trees that it reads."""
_ADDED_FORMAT = "%H%x00%ae%x00%(trailers:key=Co-authored-by,valueonly,separator=%x2C)"
ADDED = (
    "log",
    "-z",
    "--full-history",
    "--raw",
    "--diff-filter=A",
    "--no-renames",
    "--no-abbrev",
    "--no-decorate",
    "--encoding=UTF-8",
    f"--format={_ADDED_FORMAT}",
)
"""The Git command that prints what ``parse_added`` reads; which commits, and of what, comes after it."""
# `object`, not `*objectname`: that one reads the target too, and from Git 2.45 on peels all the way.
TAG_FORMAT = "%(refname)%00%(objectname)%00%(objecttype)%00%(object)"

_LOG_FIELDS = 6
_ADDED_FIELDS = 3
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
_FOLDER = "040000"
_ABSENT = ("missing", "ambiguous")


class TreeFile(Struct, frozen=True):
    """One file in a tree, or a submodule in its place."""

    path: str
    mode: str
    oid: str


class TagRef(Struct, frozen=True):
    """One ref under ``refs/tags/``."""

    name: str
    oid: str
    """The tag object; for a lightweight tag the commit itself."""
    kind: str
    """Git's object type: ``tag`` where it is annotated; empty where the object is missing."""
    target: str
    """What the tag object names, itself a tag where tags are nested; empty for a lightweight or a malformed tag."""


def log_command(tip: str, paths: Sequence[str], *, since: str | None, is_whole: bool = False) -> list[str]:
    """Returns the Git command that prints what ``parse_log`` reads, of the first-parent commits up to one."""
    return [
        *LOG,
        "--first-parent",
        "--diff-merges=first-parent",
        *(("--sparse",) if is_whole else ()),
        f"{since}..{tip}" if since else tip,
        "--",
        *paths,
    ]


def parse_batch(out: bytes, count: int) -> Iterator[tuple[str, str, bytes] | None]:
    """Yields id, kind and content from ``cat-file --batch``; ``None`` for a name without an object."""
    start = 0
    for _ in range(count):
        end = out.index(b"\n", start)
        header = out[start:end].decode("utf-8", "replace").split(" ")
        start = end + 1
        if header[-1] in _ABSENT:
            yield None
            continue
        oid, kind, size = header
        yield oid, kind, out[start : start + int(size)]
        start += int(size) + 1


def parse_log(out: bytes) -> Iterator[Commit]:
    """Yields the commits of ``log -z --raw`` with what ``LOG`` asks for, in its order."""
    return parse_log_pieces([out])


def parse_log_pieces(pieces: Iterable[bytes]) -> Iterator[Commit]:
    """Yields what ``parse_log`` does, of what Git prints cut anywhere."""
    tokens = _split(pieces)
    token = next(tokens, b"")
    while token:
        said = [token, *islice(tokens, _LOG_FIELDS - 1)]
        oid, author, email, stamp, trailers, subject = (each.decode("utf-8", "replace") for each in said)
        token = next(tokens, b"")
        changes = []
        # After a commit without changes comes the next one's id.
        while token.lstrip(b"\n").startswith(b":"):
            changes.append(_change(token, next(tokens)))
            token = next(tokens, b"")
        time = to_datetime(int(stamp) if stamp.isdigit() else 0)
        pairs = tuple(_parse_trailers(trailers)) if trailers else ()
        yield Commit(oid, author, email, time, subject, tuple(changes), pairs)


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        tokens = (rest + piece).split(b"\0")
        rest = tokens.pop()
        yield from tokens
    if rest:
        yield rest


def _parse_trailers(text: str) -> Iterator[tuple[str, str]]:
    # `splitlines` would break a value at U+2028 and the like, which Git does not.
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value.strip()


def parse_added(out: bytes, part: str) -> dict[tuple[str, str], frozenset[str]]:
    """Returns who added each file, from ``log -z --raw`` with what ``ADDED`` asks for.

    Args:
        out: What Git printed, in any order: whoever added the same content somewhere is one of those who did.
        part: What the path must hold.
    """
    tokens = out.split(b"\0")
    added: dict[tuple[str, str], frozenset[str]] = {}
    at = 0
    while at + _ADDED_FIELDS <= len(tokens) and tokens[at]:
        email, others = (token.decode("utf-8", "replace") for token in tokens[at + 1 : at + _ADDED_FIELDS])
        who = frozenset(each.casefold() for each in (email, *find_addresses(others)))
        first = at = at + _ADDED_FIELDS
        while at < len(tokens) and tokens[at].lstrip(b"\n").startswith(b":"):
            at += 2
        for change in _changes(tokens[first:at]):
            if part in change.path and change.new:
                key = (change.path, change.new)
                added[key] = who | added.get(key, frozenset())
    return added


def find_added(commits: Iterable[Commit], part: str) -> dict[tuple[str, str], frozenset[str]]:
    """Returns what ``parse_added`` does, from commits."""
    added: dict[tuple[str, str], frozenset[str]] = {}
    for commit in commits:
        for each in commit.changes:
            if each.old is None and each.new and part in each.path:
                key = (each.path, each.new)
                added[key] = authors_of(commit) | added.get(key, frozenset())
    return added


def authors_of(commit: Commit) -> frozenset[str]:
    """Returns the e-mail addresses of who made a commit, and of those who shared in it, in lower case."""
    shared = (value for key, value in commit.trailers if key.lower() == "co-authored-by")
    return frozenset(each.casefold() for each in (commit.email, *find_addresses(", ".join(shared))))


def find_addresses(text: str) -> list[str]:
    """Returns the e-mail addresses in ``Name <address>`` and the like."""
    found: list[str] = _ADDRESS.findall(text)
    return found


def parse_changes(out: bytes) -> list[FileChange]:
    """Returns the changes of ``diff-tree -r -z --raw``."""
    return list(_changes(out.split(b"\0")[:-1]))


def parse_pairs(out: bytes) -> Iterator[tuple[tuple[str, str], list[FileChange]]]:
    """Yields each pair of trees that ``PAIRS`` was asked for, and in which files they differ."""
    pair, changes = ("", ""), list[FileChange]()
    tokens = iter(out.split(b"\0"))
    for token in tokens:
        # Before the first difference of a pair, and after the last of all, is a line of its ids.
        *lines, head = token.split(b"\n")
        for line in lines:
            if changes:
                yield pair, changes
            old, new = line.decode("ascii").split(" ")
            pair, changes = (old, new), []
        if head:
            changes.append(_change(head, next(tokens)))
    if changes:
        yield pair, changes


def _changes(tokens: list[bytes]) -> Iterator[FileChange]:
    for head, path in zip(tokens[::2], tokens[1::2], strict=True):
        yield _change(head, path)


def _change(head: bytes, path: bytes) -> FileChange:
    *modes, old, new, status = head.decode().strip("\n:").split(" ")
    name = path.decode("utf-8", "surrogateescape")
    if _FOLDER in modes:
        name += "/"
    return FileChange(name, None if status == "A" else old, None if status == "D" else new)


def parse_tree_files(out: bytes) -> Iterator[TreeFile]:
    """Yields the files of ``ls-tree -r -z``, and the submodules in their places."""
    for line in out.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        head, _, path = line.partition("\t")
        mode, _, oid = head.split(" ")
        yield TreeFile(path, mode, oid)


def parse_tag_ids(pieces: Iterable[bytes]) -> dict[str, bytes]:
    """Returns object ids by name, from lines of ``for-each-ref`` that are cut anywhere."""
    ids: dict[str, bytes] = {}
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            name, _, oid = line.partition(b"\0")
            ids[name.decode("utf-8", "surrogateescape")] = bytes.fromhex(oid.decode())
    return ids


def parse_tag_ref(line: str, found: tuple[str, str, bytes] | None = None) -> TagRef:
    """Returns the tag in one line of ``for-each-ref``.

    Args:
        line: In ``TAG_FORMAT``, or name and object id alone.
        found: The object, where the line does not tell what it is.
    """
    ref, oid, *rest = line.split("\0")
    name = ref.removeprefix("refs/tags/")
    if rest:
        return TagRef(name, oid, *rest)
    if found is None:
        return TagRef(name, oid, "", "")
    _, kind, content = found
    first = content.partition(b"\n")[0].decode("utf-8", "replace")
    is_tag = kind == "tag" and first.startswith("object ")
    return TagRef(name, oid, kind, first.removeprefix("object ") if is_tag else "")
