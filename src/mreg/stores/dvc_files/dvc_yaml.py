"""One entry of a ``dvc.yaml`` that people and DVC write too: everything else in the file stays byte for byte."""

from __future__ import annotations

from collections.abc import Mapping

from mreg.core.layout import DVC_FILE
from mreg.errors import DataError
from mreg.stores import yaml

__all__ = ["find_artifact", "find_artifacts", "set_artifact"]

_SECTION = "artifacts"


def find_artifact(data: bytes | None, name: str) -> Mapping[str, object]:
    """Returns the entry of one artifact; empty where there is none, or the file cannot be read."""
    return find_artifacts(data).get(name, {})


def find_artifacts(data: bytes | None) -> dict[str, Mapping[str, object]]:
    """Returns the entry of every artifact, by name; empty where there is none, or the file cannot be read."""
    try:
        document = yaml.load_foreign(data or b"", DVC_FILE)
    except DataError:
        return {}
    artifacts = document.get(_SECTION) if isinstance(document, dict) else None
    entries = artifacts.items() if isinstance(artifacts, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}


def set_artifact(data: bytes | None, name: str, entry: Mapping[str, str]) -> bytes:
    """Returns the file with one artifact's entry set; other keys of that entry, such as ``desc``, stay.

    A new entry takes its place by name.  An ``artifacts:`` in flow style is rewritten in block style.

    Raises:
        DataError: The file cannot be read, or is written in a form that mreg does not edit.
    """
    old = data or b""
    document = yaml.load_foreign(old, DVC_FILE)
    text = old.decode()
    found = find_artifact(old, name)
    if found.items() >= entry.items():
        return old
    result = yaml.set_in_document(text, _SECTION, name, {**found, **entry}, where=DVC_FILE)
    if not _keeps_the_rest(text, result, document):
        raise DataError(
            f"{DVC_FILE}: it is written in a form that mreg does not edit",
            hint=f"write it in block style, one indented entry a model below {_SECTION}:, and commit {DVC_FILE}",
            details={"file": DVC_FILE, "key": _SECTION},
        )
    return result.encode()


def _keeps_the_rest(text: str, result: str, document: object) -> bool:
    """True where all before and after ``artifacts:`` is as it was, comments included."""
    keys = document if isinstance(document, dict) else {}
    starts = {key: yaml.line_of(text.encode(), [key]) or 0 for key in map(str, keys)}
    if _SECTION not in starts:
        return result.startswith(text)
    first = starts.pop(_SECTION)
    lines = text.splitlines(keepends=True)
    end = min((line for line in starts.values() if line >= first), default=len(lines) + 1)
    head, tail = "".join(lines[: first - 1]), "".join(lines[end - 1 :])
    return end > first and result.startswith(head) and result.endswith(tail)
