"""Records that were parsed before, kept below ``.git/mreg/records`` because what a blob says never changes.

Reading the YAML of 10 000 records takes most of a second; reading them back from here takes a twentieth of that.

Rules:
    * A file has the records that one model had when it was written, each under the id of its blob.
    * A record is kept only if it comes back as it was: not one with a NaN in it, say.
    * It is never the source of truth: a file that is missing, of another form, or not as its checksum says is not
      there.  Nothing that proves reads it.
    * It is written to another name and renamed: a reader sees a whole one, and the last of several writers wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Raw
from msgspec.json import Decoder, Encoder

from mreg.core.history.record import Record
from mreg.core.names import ModelName
from mreg.errors import StorageError
from mreg.stores.checksummed import format_checksummed, load_checksummed

__all__ = ["RecordCache"]

_FORM = b"mreg-records-1"
"""With another number wherever ``parse_record`` reads more than before, or less, or otherwise."""
_encode = Encoder().encode
_decode = Decoder(Record).decode
_decode_all = Decoder(dict[str, Record]).decode


class RecordCache:
    """The remembered records of one repository, a file a model."""

    def __init__(self, folder: Path) -> None:
        """Names the folder, which need not exist."""
        self._folder = folder

    def load(self, model: ModelName) -> dict[str, Record]:
        """Returns what is known of a model's records, by the ids of their blobs; nothing where nothing is."""
        body = load_checksummed(self._folder / _name(model), _FORM)
        with suppress(ValueError):  # a hand that knew the checksum wrote it
            return {} if body is None else _decode_all(body)
        return {}

    def save(self, records: Mapping[ModelName, Mapping[str, Record]]) -> None:
        """Remembers the records of some models in place of what was known of them; a full disk is no error."""
        from mreg.stores.disk import scratch_folder  # noqa: PLC0415 - those who find all here do without

        with suppress(OSError, StorageError), scratch_folder(self._folder) as scratch:
            for model, found in records.items():
                body = _encode({oid: Raw(text) for oid, record in found.items() if (text := _encode_safely(record))})
                written = scratch / _name(model)
                written.write_bytes(format_checksummed(_FORM, body))
                written.replace(self._folder / _name(model))

    def forget_all_but(self, models: Mapping[ModelName, object]) -> None:
        """Deletes what is known of other models than these."""
        names = set(map(_name, models))
        with suppress(OSError):
            for path in self._folder.glob("*.json"):
                if path.name not in names:
                    path.unlink(missing_ok=True)


def _name(model: ModelName) -> str:
    return f"{hashlib.sha256(model.encode()).hexdigest()[:32]}.json"


def _encode_safely(record: Record) -> bytes:
    """Returns a record as JSON; nothing where it would not come back as the same."""
    try:
        text = _encode(record)
        again = _decode(text)
    except ValueError:  # half a surrogate pair, an offset of seconds
        return b""
    return text if again == record and _encode(again) == text else b""
