"""Up to where a clone was found clean, kept below ``.git/mreg`` for ``mreg verify --incremental``.

Rules:
    * It is no proof: who can write it could write ``.git/config`` too.  A whole audit reads nothing of it.
    * It names the commits that an audit judged and which of them changed which model, not what they said: that is
      read from Git again.
    * One that is missing, of another form or of another mreg, or not as its checksum says, is not there.
    * It is written to another name and renamed: a reader sees a whole one, and the last of several writers wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from mreg.core.history.timeline import Commit
from mreg.stores.checksummed import load_checksummed, save_checksummed
from mreg.stores.git.parsing import LOG_OF_SOME, parse_log
from mreg.stores.git.repository import GitRepository

__all__ = ["Baseline", "digest_tags", "load_baseline", "model_of", "read_commits", "save_baseline"]

_Digest: TypeAlias = "hashlib._Hash"
_FORM = b"mreg-baseline-1"


class Baseline(Struct, frozen=True):
    """What an audit found clean."""

    mreg: str
    """Which one judged: another may find more."""
    commits: bytes
    """The ids of all commits that were judged, oldest first, one after the other."""
    touched: Mapping[str, Sequence[int]]
    """The commits that changed each model, by their place in ``commits``."""
    tags: dict[str, bytes]
    """A digest of the tags of each model."""
    is_linear: bool
    """True where none of the commits is a merge, nor was merged."""
    at: int
    """Seconds since 1970-01-01T00:00:00Z."""
    whole_at: int
    """When an audit last judged all of them."""


def load_baseline(repo: GitRepository) -> Baseline | None:
    """Returns what was noted last; ``None`` where that is nothing, or cannot be read."""
    body = load_checksummed(_path(repo), _FORM)
    with suppress(msgspec.MsgspecError):  # written by a hand that knew the checksum
        return None if body is None else msgspec.msgpack.decode(body, type=Baseline)
    return None


def save_baseline(repo: GitRepository, baseline: Baseline) -> None:
    """Notes what was found clean, if that can be written."""
    save_checksummed(_path(repo), _FORM, msgspec.msgpack.encode(baseline, enc_hook=list))  # places may be an array


def digest_tags(ids: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns a digest of the names and object ids of the tags of each model."""
    digests: dict[str, _Digest] = {}
    for name, oid in ids.items():  # sorted by name, as Git gives them
        model = model_of(name)
        if model != name:  # else it is the tag of no model
            if model not in digests:
                digests[model] = hashlib.sha256()
            digests[model].update(b"%s %s\n" % (name.encode("utf-8", "surrogateescape"), oid))
    return {model: digest.digest()[:16] for model, digest in digests.items()}


def model_of(tag: str) -> str:
    """Returns the model whose tag it is by its name; the whole name where it is that of none."""
    return tag.partition("@")[0].partition("#")[0]


def read_commits(repo: GitRepository, oids: Sequence[str], paths: Iterable[str]) -> list[Commit]:
    """Returns some commits in their order, with what each changed below some paths against its first parent."""
    if not oids:
        return []
    out = repo.runner.run(*LOG_OF_SOME, *paths, stdin="".join(f"{oid}\n" for oid in oids).encode("ascii"))
    return list(parse_log(out))


def _path(repo: GitRepository) -> Path:
    return repo.state_dir / "verified"
