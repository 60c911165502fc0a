"""Git objects as bytes: pure encoding, for SHA-1 and SHA-256 repositories.

A whole change (blobs, trees, a commit, its tags) goes to ``git unpack-objects`` as one pack, so that one process writes
it and nothing names it before a ref does.  The format: https://git-scm.com/docs/gitformat-pack.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from msgspec import Struct, field

__all__ = [
    "BLOB_MODE",
    "TREE_MODE",
    "Identity",
    "ObjectWriter",
    "TreeEntry",
    "empty_tree",
    "encode_commit",
    "encode_message",
    "encode_tag",
    "parse_tree",
    "to_datetime",
]

_PACK_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
BLOB_MODE = "100644"
TREE_MODE = "40000"

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
_IDENTITY = re.compile(r"(?P<name>[^<]*)<(?P<email>[^>]*)>(?: (?P<time>[0-9]{1,18}\b)(?: (?P<zone>[-+][0-9]{4}))?)?")


class Identity(Struct, frozen=True):
    """Who and when, as Git writes it."""

    name: str
    email: str
    time: int
    """Seconds since 1970-01-01T00:00:00Z."""
    zone: str = "+0000"

    def __str__(self) -> str:
        """Returns ``Name <email> seconds zone``."""
        return f"{self.name} <{self.email}> {self.time} {self.zone}"

    @property
    def when(self) -> datetime:
        """The time, in its own zone; UTC where that is none."""
        return to_datetime(self.time, self.zone)

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Returns the identity in ``Name <email> seconds zone``; what is missing is empty, or 0."""
        match = _IDENTITY.match(text)
        if match is None:
            return cls(text.strip(), "", 0)
        time, zone = match["time"] or "0", match["zone"] or "+0000"
        return cls(match["name"].rstrip(), match["email"], int(time), zone)


class TreeEntry(Struct, frozen=True):
    """One line of a tree."""

    mode: str
    oid: str


class ObjectWriter(Struct):
    """Collects new objects and gives them as one pack."""

    object_format: str
    _objects: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def add(self, kind: str, content: bytes) -> str:
        """Adds one object and returns its id."""
        oid = hashlib.new(self.object_format, b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()
        self._objects[oid] = (kind, content)
        return oid

    def add_tree(self, entries: Mapping[str, TreeEntry]) -> str:
        """Adds a tree and returns its id."""
        ordered = sorted(entries.items(), key=lambda item: _sort_key(item[0], item[1]))
        content = b"".join(
            f"{entry.mode} {name}".encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(entry.oid)
            for name, entry in ordered
        )
        return self.add("tree", content)

    def __bool__(self) -> bool:
        """True where an object was added."""
        return bool(self._objects)

    def pack(self) -> bytes:
        """Returns all objects as a pack, version 2, without deltas."""
        parts = [b"PACK" + struct.pack(">II", 2, len(self._objects))]
        for kind, content in self._objects.values():
            parts += (_pack_header(_PACK_TYPES[kind], len(content)), zlib.compress(content, 1))
        body = b"".join(parts)
        return body + hashlib.new(self.object_format, body).digest()


def parse_tree(content: bytes, id_bytes: int) -> Iterator[tuple[str, TreeEntry]]:
    """Yields the entries of a raw tree whose object ids have ``id_bytes`` bytes."""
    start = 0
    while start < len(content):
        end = content.index(b"\0", start)
        mode, _, name = content[start:end].partition(b" ")
        start = end + 1 + id_bytes
        yield name.decode("utf-8", "surrogateescape"), TreeEntry(mode.decode(), content[end + 1 : start].hex())


def encode_commit(*, tree: str, parents: tuple[str, ...], author: Identity, committer: Identity, message: str) -> bytes:
    """Returns the content of a commit object."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {author}", f"committer {committer}"]
    return _encode("\n".join(lines) + "\n\n") + encode_message(message)


def encode_tag(*, name: str, target: str, tagger: Identity, message: str) -> bytes:
    """Returns the content of an annotated tag object on a commit."""
    return _encode(f"object {target}\ntype commit\ntag {name}\ntagger {tagger}\n\n") + encode_message(message)


def encode_message(message: str) -> bytes:
    """Returns the message of a commit or tag as Git stores it: UTF-8 without a NUL, one newline at its end."""
    return _encode(message.replace("\0", "").rstrip("\n") + "\n")


def empty_tree(object_format: str) -> str:
    """Returns the id of the tree without entries, which every Git knows."""
    return hashlib.new(object_format, b"tree 0\0").hexdigest()


def to_datetime(seconds: int, zone: str = "+0000") -> datetime:
    """Returns a time of Git's in its zone (``+0130``); the nearest that Python knows where it lies beyond."""
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    offset = timedelta(minutes=-minutes if zone[0] == "-" else minutes)
    try:
        return datetime.fromtimestamp(seconds, timezone(offset))
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), timezone.utc)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _sort_key(name: str, entry: TreeEntry) -> bytes:
    # Git sorts a tree as if it ended in a slash.
    suffix = "/" if entry.mode == TREE_MODE else ""
    return (name + suffix).encode("utf-8", "surrogateescape")


def _pack_header(number: int, size: int) -> bytes:
    byte = (number << 4) | (size & 0x0F)
    size >>= 4
    out = bytearray()
    while size:
        out.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    out.append(byte)
    return bytes(out)
