"""YAML: read strictly and quickly, written so that every reader understands it the same way.

Scalars are those of YAML 1.2's core schema without its other bases: ``on``, ``yes``, ``012``, ``1:30``, ``0x1f`` and
dates are text.  What could be read in two ways (a duplicate key, a tag, an alias, a second document) is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from mreg.core.fields import Fields
from mreg.errors import DataError
from mreg.stores.yaml.plain import NOT_PLAIN, load_plain

__all__ = ["dump", "line_of", "load", "load_foreign", "read", "set_in_document"]

T = TypeVar("T")


def load(data: bytes, where: str) -> object:
    """Returns what one document says, as plain values; an empty one is an empty mapping.

    Args:
        data: UTF-8.
        where: The file, for messages.

    Raises:
        DataError: It is not YAML, or YAML that could be read in two ways; ``details`` names file and line.
    """
    return _load(data, where, has_aliases=False)


def load_foreign(data: bytes, where: str) -> object:
    """Returns what another program's document says: like ``load``, but with aliases and merge keys.

    Raises:
        DataError: It cannot be read, or unfolds into more than a million values.
    """
    return _load(data, where, has_aliases=True)


def read(data: bytes, where: str, parse: Callable[[Fields], T]) -> T:
    """Returns what ``parse`` makes of a document.

    Raises:
        DataError: As ``load``, or as ``parse`` with the line added.
    """
    document = load(data, where)
    try:
        return parse(Fields(document, where=where))
    except DataError as error:
        path = error.details.get("path")
        line = line_of(data, path) if isinstance(path, list) and "line" not in error.details else None
        if line is None:
            raise
        message = f"{where}:{line}{error.message.removeprefix(where)}"
        raise DataError(message, hint=error.hint, details={**error.details, "line": line}) from error


def line_of(data: bytes, key_path: Sequence[str | int]) -> int | None:
    """Returns the line, from 1, of a key or list item, or else of the nearest one around it that is there."""
    from mreg.stores.yaml import pyyaml

    return pyyaml.find_line(data, key_path)


def dump(data: Mapping[str, object]) -> str:
    """Returns a document in block style, keys in their order; ``load`` reads the same values back.

    Raises:
        DataError: A text holds half a surrogate pair, as Python makes of bytes that are not UTF-8.
    """
    from mreg.stores.yaml import pyyaml

    return pyyaml.dump(data)


def set_in_document(
    text: str, section: str, key: str, value: Mapping[str, object] | None, *, where: str = "dvc.yaml"
) -> str:
    """Returns a user's document with the entry ``section: {key: value}`` set, or removed for ``None``.

    All else stays byte for byte: comments, order, line ends.  A new entry takes its place by name; an empty section
    goes.  A section in flow style is rewritten as a whole, and where even that cannot be done (all is in flow style,
    or an alias needs what was replaced) the document is, which loses its comments.

    Raises:
        DataError: The document cannot be read, or it or the section is not a mapping.
    """
    from mreg.stores.yaml import pyyaml

    fields = Fields(load_foreign(text.encode(), where), where=where)
    document = {name: fields.value(name) for name in fields.names}
    inner = fields.section(section)
    entries = {name: inner.value(name) for name in inner.names} if inner else {}
    wanted = (
        {name: entry for name, entry in entries.items() if name != key} if value is None else {**entries, key: value}
    )
    if wanted == entries:
        return text
    document[section] = wanted
    if not wanted:
        del document[section]
    for edited in pyyaml.iter_edits(text, section, key, wanted):
        with suppress(DataError):
            if load_foreign(edited.encode(), where) == document:
                return edited
    return dump(document)


def _load(data: bytes, where: str, *, has_aliases: bool) -> object:
    found = load_plain(data)
    if found is not NOT_PLAIN:
        return found
    from mreg.stores.yaml import pyyaml

    return pyyaml.parse(data, where, has_aliases=has_aliases)
