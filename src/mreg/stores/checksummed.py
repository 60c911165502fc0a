"""A file of a cache: a line with its form and a SHA-256 of the rest, then the rest.

One that is missing, of another form, or not as its checksum says is not there.  It is written to another name and
renamed: a reader sees a whole one, and the last of several writers wins.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from mreg.errors import StorageError

__all__ = ["format_checksummed", "load_checksummed", "save_checksummed"]


def format_checksummed(form: bytes, body: bytes) -> bytes:
    """Returns what such a file holds."""
    return _head(form, body) + body


def load_checksummed(path: Path, form: bytes) -> bytes | None:
    """Returns the rest of a file; ``None`` where it is not there."""
    with suppress(OSError):
        head, line_end, body = path.read_bytes().partition(b"\n")
        if head + line_end == _head(form, body):
            return body
    return None


def save_checksummed(path: Path, form: bytes, body: bytes) -> None:
    """Writes a file in place of the one that is there; a full disk is no error."""
    from mreg.stores.disk import scratch_folder  # noqa: PLC0415 - those who only read do without

    with suppress(OSError, StorageError), scratch_folder(path.parent) as scratch:
        written = scratch / path.name
        with written.open("wb") as file:  # a large body is not put together once more
            file.write(_head(form, body))
            file.write(body)
        written.replace(path)


def _head(form: bytes, body: bytes) -> bytes:
    return b"%s %s\n" % (form, hashlib.sha256(body).hexdigest().encode())
