"""The two small texts that DVC keeps of an artifact, byte for byte as ``dvc add`` writes them.

The pointer (``model.pkl.dvc``) is YAML, the list of a directory (the ``.dir`` object) JSON.  In the pointer of a name
that YAML must quote, or of more than 60 characters, the quotes and line breaks may differ from DVC's; what is read
back does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from operator import attrgetter

from mreg.core.history.filelist import find_path_fault
from mreg.core.history.record import Artifact, ArtifactFile
from mreg.errors import DataError

__all__ = ["format_directory", "format_pointer", "parse_directory"]

_PLAIN = re.compile(r"(?=.{1,60}$)[\w.+][\w.+-]*(?: [\w.+-]+)*")
_NOT_TEXT = re.compile(
    r"""null|Null|NULL|true|True|TRUE|false|False|FALSE
    |[+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+)|[+][0-9_]+|[0-9][0-9_]*
    |[+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?|[+]?\.[0-9_]+(?:[eE][+-][0-9]+)?|[+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN)|[0-9]{4}-[0-9]{2}-[0-9]{2}|\.\.\.(?:\ .*)?
    """,
    re.VERBOSE,
)
"""What YAML 1.2, as DVC's writer knows it, would take for a number, a date, a truth value or the end."""
_MD5 = re.compile(r"[0-9a-f]{32}")


def format_pointer(artifact: Artifact) -> str:
    """Returns the text of the ``.dvc`` file that stands beside the artifact."""
    count = f"  nfiles: {artifact.files}\n" if artifact.files is not None else ""
    path = _quote(artifact.path)
    return f"outs:\n- md5: {_quote(artifact.md5)}\n  size: {artifact.size}\n{count}  hash: md5\n  path: {path}\n"


def format_directory(files: Iterable[ArtifactFile]) -> bytes:
    """Returns DVC's list of a directory, whatever the order of ``files``."""
    entries = [{"md5": file.md5, "relpath": file.path} for file in sorted(files, key=attrgetter("path"))]
    return json.dumps(entries, sort_keys=True).encode()


def parse_directory(text: bytes, where: str) -> Mapping[str, str]:
    """Returns the MD5 of each relative path of a directory.

    Args:
        text: The ``.dir`` object.
        where: Its name, for the message.

    Raises:
        DataError: It is not such a list, or a path in it may not be.
    """
    try:
        entries = {entry["relpath"]: entry["md5"] for entry in json.loads(text)}
        is_sound = all(not find_path_fault(path) and _MD5.fullmatch(md5) for path, md5 in entries.items())
    except (ValueError, TypeError, KeyError, AttributeError):
        is_sound = False
    if not is_sound:
        raise DataError(f"object {where} is not the list of a directory as DVC writes it", details={"md5": where})
    return entries


def _quote(text: str) -> str:
    if _PLAIN.fullmatch(text) and not _NOT_TEXT.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"
