"""What ``git log`` said of some folders up to a commit, kept below ``.git/mreg/history`` because it never changes.

In a large registry Git takes seconds to walk past the other models' commits; what came since is read in milliseconds.

Rules:
    * An entry is for folders and one commit, its tip.  It serves that commit, and commits whose first-parent history
      leads to it: those ask Git for the rest.
    * It is never the source of truth: one that is missing, of another form, or not as its checksum says is not there.
      Nothing that proves (``mreg verify``, ``mreg doctor``) reads it.
    * It is written to another name and renamed: a reader sees a whole one, and the last of several writers wins.
    * A short history has none, and neither has a shallow clone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from msgspec import Struct

from mreg.core.history import Commit, FileChange
from mreg.stores.git.objects import to_datetime
from mreg.stores.git.repository import GitRepository

__all__ = ["read_log"]

SLOW_S = 0.1
"""What Git must have taken before an entry is made."""
SHORT = 1000
"""Commits of an entry that is made anew whenever there is something new; a longer one is more work."""
BEHIND = 1000
"""New commits before such a one is made anew."""
_FOLDER = "history"
_HEAD = re.compile(rb"mreg-log-2 ([0-9a-f]{40,64}) ([0-9a-f]{64})")
"""Form, tip, checksum; the rest of the file is the commits, each a line of JSON."""


class _Entry(Struct, frozen=True):
    tip: str
    commits: list[Commit]
    """Oldest first."""


def read_log(repo: GitRepository, tip: str, folders: Sequence[str], *, keep: bool) -> list[Commit]:
    """Returns what ``repo.log`` returns, sooner.

    Args:
        repo: A clone that is not shallow.
        tip: The newest commit.
        folders: The changes are those below them.
        keep: Also write an entry, where that is worth it: not for a branch that may come to nothing.
    """
    path = _path(repo, folders)
    entry = _load(path)
    behind = _count_since(repo, entry.tip, tip) if entry else None
    began = time.monotonic()
    if entry is None or behind is None:
        commits = repo.log(tip, folders)
        is_slow = time.monotonic() - began >= SLOW_S
    else:
        commits = entry.commits + (repo.log(tip, folders, since=entry.tip) if behind else [])
        is_slow = behind >= BEHIND or (behind > 0 and len(commits) <= SHORT)
    if keep and is_slow:
        _save(path, _Entry(tip, commits))
    return commits


def _path(repo: GitRepository, folders: Sequence[str]) -> Path:
    name = hashlib.sha256("\0".join(folders).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return repo.state_dir / _FOLDER / f"{name}.json"


def _count_since(repo: GitRepository, old: str, tip: str) -> int | None:
    """Returns how many first-parent commits came after one; ``None`` where that history does not lead to it."""
    if old == tip:
        return 0
    done = repo.runner.complete("rev-list", "--first-parent", "--parents", f"{old}..{tip}")
    lines = done.stdout.decode("ascii", "replace").splitlines()
    if done.status != 0 or not lines:  # the old one is gone, or is no ancestor's but a descendant
        return None
    return len(lines) if lines[-1].split(" ")[1:2] == [old] else None


def _load(path: Path) -> _Entry | None:
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    said = _HEAD.fullmatch(head)
    if said is None or said[2].decode() != _checksum(said[1], body):
        return None
    share: _Share = {}
    with suppress(ValueError, TypeError):  # written by a hand that knew the checksum
        return _Entry(said[1].decode(), [_decode(share, *json.loads(line)) for line in BytesIO(body)])
    return None


def _save(path: Path, entry: _Entry) -> None:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    body = "".join(f"{encode(_encode(commit))}\n" for commit in entry.commits).encode("ascii")
    tip = entry.tip.encode("ascii")
    head = b"mreg-log-2 %s %s\n" % (tip, _checksum(tip, body).encode("ascii"))
    with suppress(OSError):  # a disk that is full or may not be written to; readers need not write
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(head + body)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _checksum(tip: bytes, body: bytes) -> str:
    return hashlib.sha256(tip + b"\0" + body).hexdigest()


_Share = dict[str, str]
"""Each text once: a long history says the same names, paths and ids of blobs again and again."""


def _encode(commit: Commit) -> tuple[object, ...]:
    changes = [(change.path, change.old, change.new) for change in commit.changes]
    stamp = int(commit.time.timestamp())
    return commit.oid, commit.author, commit.email, stamp, commit.subject, changes, commit.trailers


def _decode(  # noqa: PLR0913, PLR0917 - one line of the file
    share: _Share,
    oid: str,
    author: str,
    email: str,
    stamp: int,
    subject: str,
    changes: list[tuple[str, str | None, str | None]],
    trailers: list[tuple[str, str]],
) -> Commit:
    def one(text: str) -> str:
        return share.setdefault(text, text)

    files = [FileChange(one(path), old and one(old), new and one(new)) for path, old, new in changes]
    pairs = [(one(key), value) for key, value in trailers]
    return Commit(oid, one(author), one(email), to_datetime(stamp), subject, tuple(files), tuple(pairs))
