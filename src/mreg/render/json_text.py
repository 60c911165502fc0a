"""JSON text, indented by two and ASCII alone: written by msgspec, and piece by piece."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from json.encoder import encode_basestring_ascii as quote

from msgspec.json import Encoder
from msgspec.json import format as indent

from mreg.render.text import format_moment

__all__ = ["json_pieces", "make_plain"]

_encode = Encoder().encode
_PLAIN = frozenset({str, int, bool, type(None)})
_NOT_ASCII = re.compile("[^\0-\x7e]")


def json_pieces(document: Mapping[str, object]) -> Iterator[str]:
    """Yields the text of a document, one item of its long lists at a time; what makes an item may be made that late.

    Args:
        document: Not empty.  Its values are plain, or what is written as text: a version, a path, a constraint.  A long
            list is an iterator, whose items ``make_plain`` would leave as they are.
    """
    comma = "{\n  "
    for key, value in document.items():
        yield f"{comma}{quote(key)}: "
        comma = ",\n  "
        if isinstance(value, Iterator):
            yield from _items(value)
        else:
            yield _text(make_plain(value), "\n  ")
    yield "\n}"


def make_plain(value: object) -> object:
    """Returns a value as JSON has it: versions, times and numbers that are not finite become text."""
    if type(value) in _PLAIN or isinstance(value, str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): make_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_plain(item) for item in value]
    return format_moment(value) if isinstance(value, datetime) else str(value)


def _items(values: Iterator[object]) -> Iterator[str]:
    comma = "[\n    "
    for value in values:
        yield comma + _text(value, "\n    ")
        comma = ",\n    "
    yield "[]" if comma[0] == "[" else "\n  ]"


def _text(value: object, line: str) -> str:
    """Returns the text of a plain value; ``line`` begins a line that is as deep as the value."""
    try:
        text = indent(_encode(value), indent=2).decode()
    except UnicodeEncodeError:  # half a surrogate pair, as Python makes of a name that is not UTF-8
        text = json.dumps(value, indent=2)
    if not text.isascii() or "\x7f" in text:
        text = _NOT_ASCII.sub(lambda match: quote(match[0])[1:-1], text)
    return text.replace("\n", line)
