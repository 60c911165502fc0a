"""Files below ``.git/mreg/history``: commits of one history up to a tip, and what their stage files say.

Rules:
    * A file is read as a stream, in stretches of commits, once all of it was found to be as its checksum says.
    * It is written to another name and renamed: a reader sees a whole one, and the last of several writers wins.
    * A file that cannot be written is none: readers need not write.
    * What is of another form goes when a new one is written, and the oldest where there are very many.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from sys import intern
from typing import IO

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import force_setattr, replace

from mreg.core.history.manifest import StageEntry
from mreg.core.history.timeline import Commit
from mreg.core.names import Version

__all__ = ["LogFile", "LogWriter", "Stretch", "decode_stretch", "encode_stretch", "open_log"]

SUFFIX = ".log3"
"""Other where the form of what is kept is another, or how stage files are read."""
MOST_FILES = 4096
_FOLDED_S = 3600
"""Age of a file that some writer left half written."""
_HEAD = re.compile(rb"mreg-log-3 ([0-9a-f]{40,64}) ([0-9]{12}) ([0-9a-f]{64})\n")
"""Form, tip, number of commits, checksum; then the stretches, each behind its length."""
_PIECE = 1 << 20
_LENGTH = 4


class Stretch(Struct, frozen=True, array_like=True):
    """Some commits that follow each other, oldest first."""

    commits: list[Commit]
    entries: dict[str, StageEntry]
    """What stage files say that they brought, by object id; a file that is not here is to be read."""
    is_latin: bool = False
    """True where bytes stand for the characters of paths, for not all of them are UTF-8; as it is kept only."""


_encode = Encoder().encode
_decode = Decoder(Stretch).decode


def encode_stretch(stretch: Stretch) -> bytes:
    """Returns a stretch as it is kept."""
    try:
        return _encode(stretch)
    except UnicodeEncodeError:
        commits = [_respell(commit, _to_latin) for commit in stretch.commits]
        return _encode(Stretch(commits, stretch.entries, is_latin=True))


def decode_stretch(data: bytes) -> Stretch:
    """Returns what ``encode_stretch`` was given.

    Raises:
        DecodeError: It was not.
    """
    stretch = _decode(data)
    if not stretch.is_latin:
        return stretch
    return Stretch([_respell(commit, _from_latin) for commit in stretch.commits], stretch.entries)


def _respell(commit: Commit, spell: Callable[[str], str]) -> Commit:
    return replace(commit, changes=tuple(replace(each, path=spell(each.path)) for each in commit.changes))


def _to_latin(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


def _from_latin(path: str) -> str:
    return path.encode("latin-1").decode("utf-8", "surrogateescape")


class LogFile(Struct, frozen=True):
    """A file that was found whole."""

    tip: str
    """The commit that it serves."""
    count: int
    """Of its commits."""
    _file: BufferedReader

    def __iter__(self) -> Iterator[Stretch]:
        """Yields the stretches, once.

        Raises:
            DecodeError: Someone wrote it who knew the checksum, and not the form.
        """
        versions: dict[Version | None, Version | None] = {}
        with self._file as file:
            while length := file.read(_LENGTH):
                stretch = decode_stretch(file.read(int.from_bytes(length, "big")))
                for entry in stretch.entries.values():
                    # Once in memory: stage files say the same few again and again, and a fold keeps what they say.
                    force_setattr(entry, "by", intern(entry.by))
                    force_setattr(entry, "version", versions.setdefault(entry.version, entry.version))
                    force_setattr(entry, "replaces", versions.setdefault(entry.replaces, entry.replaces))
                yield stretch

    def close(self) -> None:
        """Closes a file that is not read."""
        self._file.close()


def open_log(path: Path) -> LogFile | None:
    """Returns a file, or ``None`` where it is missing, of another form, or not as its checksum says."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    try:
        said = _HEAD.fullmatch(file.readline(256))
        start = file.tell()
        if said and _checksum(said[1], said[2], iter(lambda: file.read(_PIECE), b"")) == said[3].decode():
            file.seek(start)
            return LogFile(said[1].decode(), int(said[2]), file)
    except OSError:
        pass
    file.close()
    return None


class LogWriter:
    """Writes one file beside the one that is there."""

    def __init__(self, path: Path, tip: str) -> None:
        """Begins it.

        Args:
            path: Where it will be.
            tip: The commit that it serves.
        """
        self._path, self._tip = path, tip
        self._count = 0
        self._file: IO[bytes] | None = None
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False)  # noqa: SIM115 - `close`
            self._file.write(self._head("0" * 64))

    def add(self, stretch: Stretch) -> None:
        """Adds what follows."""
        self._count += len(stretch.commits)
        body = encode_stretch(stretch)
        self._attempt(lambda file: file.write(len(body).to_bytes(_LENGTH, "big") + body))

    def finish(self) -> None:
        """Puts it in its place."""
        self._attempt(self._land)
        _tidy(self._path.parent)

    def close(self) -> None:
        """Deletes what was not finished."""
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)
            self._file = None

    def _land(self, file: IO[bytes]) -> None:
        head = self._head("0" * 64)
        file.flush()
        with Path(file.name).open("rb") as written:
            written.seek(len(head))
            _, tip, count, _ = head.split(b" ")
            checksum = _checksum(tip, count, iter(lambda: written.read(_PIECE), b""))
        file.seek(0)
        file.write(self._head(checksum))
        file.close()
        Path(file.name).replace(self._path)
        self._file = None

    def _attempt(self, write: Callable[[IO[bytes]], object]) -> None:
        """Writes, and gives up where the disk is full or may not be written to."""
        if self._file is not None:
            try:
                write(self._file)
            except OSError:
                with suppress(OSError):
                    self.close()
                self._file = None

    def _head(self, checksum: str) -> bytes:
        return b"mreg-log-3 %s %012d %s\n" % (self._tip.encode(), self._count, checksum.encode())


def _checksum(tip: bytes, count: bytes, pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256(b"%s %s\n" % (tip, count))
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _tidy(folder: Path) -> None:
    """Deletes what nobody reads any more."""
    with suppress(OSError):
        there = list(folder.iterdir())
        kept = [each for each in there if each.suffix == SUFFIX]
        for each in set(there).difference(kept):
            # Another may be writing it just now.
            if not each.name.startswith(".") or each.stat().st_mtime < time.time() - _FOLDED_S:
                each.unlink()
        if len(kept) > MOST_FILES:
            for each in sorted(kept, key=lambda path: path.stat().st_mtime)[: len(kept) // 2]:
                each.unlink()
