"""The plainest YAML, read line by line: what mreg writes itself, many times as fast as by a YAML parser.

It takes less than YAML and means the same, which ``tests/stores/test_plain_yaml.py`` holds against the parser: block
mappings indented with spaces, one key a line; lists of scalars; scalars that are plain, or quoted without an escape, or
``{}`` and ``[]``, or a ``|`` block such as a signature; printable ASCII; and comments, as in the settings that people
write, where there is no block.  Whatever else a document holds, mistakes included, is for ``pyyaml`` to read or to
refuse: this reader never says that something is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

__all__ = ["MAX_BYTES", "NOT_PLAIN", "load_plain", "resolve_plain"]

NOT_PLAIN = object()
"""The answer for a document that takes a parser."""
MAX_BYTES = 4 * 1024 * 1024
"""Of a document, whoever reads it."""

_QUOTED = r"'[ -&(-~]*'|\"[ !#-\[\]-~]*\""
# Begins with no sign of YAML's own.  What else it may not hold, `_has_odd_signs` sees for all lines at once.
_PLAIN = r"(?:[A-Za-z0-9_/.(+]|-[A-Za-z0-9.])[ -~]*"
_BLOCK = r"\|\n((?:\1  [!-~][ -~]*\n)*\1  [!-~][ -~]*)"
"""Indented by two spaces more than its key, and no line of it by more."""
_LINE = re.compile(
    rf"^( *)(?:([A-Za-z_][A-Za-z0-9_.-]{{0,99}}):|-)(?: (?:({_PLAIN})|({_QUOTED})|(\{{\}}|\[\])|{_BLOCK}))?\n",
    re.MULTILINE,
)
_COMMENT = r"(?m)^ *(?:#[ -~]*)?\n|(?<! ) +#[ -~]*$"
"""With its line, where it has one of its own; of a text in quotes, what is left has no end, and takes a parser."""
_CONSTANTS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAX_DEPTH = 16


class _OddError(Exception):
    """The document takes a parser."""


def load_plain(data: bytes) -> object:
    """Returns what a document says, or ``NOT_PLAIN`` where it takes a parser to tell."""
    if len(data) > MAX_BYTES:
        return NOT_PLAIN
    text = data.decode("ascii", "replace")  # what is not ASCII matches nothing
    if "#" in text and "|" not in text:  # a block may hold what looks like a comment
        text = re.sub(_COMMENT, "", text)
    lines = _LINE.findall(text)
    if not lines or _has_odd_signs(text, lines):
        return NOT_PLAIN
    reader = _Reader()
    try:
        for spaces, key, plain, quoted, empty, block in lines:
            value: object = None
            if plain:
                value = resolve_plain(plain)
            elif quoted:
                value = quoted[1:-1]
            elif empty:
                value = [] if empty == "[]" else {}
            elif block:
                value = block.replace(f"\n{spaces}  ", "\n")[len(spaces) + 2 :] + "\n"
            is_open = not (plain or quoted or empty or block)
            if not key:
                reader.add_item(len(spaces), value, is_open=is_open)
            elif key in _CONSTANTS:  # it is no text
                return NOT_PLAIN
            else:
                reader.add_key(len(spaces), key, value, is_open=is_open)
    except (_OddError, ValueError):
        return NOT_PLAIN
    return reader.root


def _has_odd_signs(text: str, lines: Sequence[tuple[str, ...]]) -> bool:
    """Returns whether a line was not taken, or a scalar may be more than a scalar: ``a: b: c``, ``a: b # c``."""
    taken = len(lines) + sum(1 + line[5].count("\n") for line in lines if line[5])
    if taken != text.count("\n") or not text.endswith("\n") or " #" in text or " \n" in text:
        return True
    keys = sum(1 for line in lines if line[1])
    return text.count(": ") + text.count(":\n") != keys


def resolve_plain(text: str) -> object:
    """Returns the value of a plain scalar.

    Raises:
        ValueError: It is a number of too many digits.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Reader:
    """The mappings that are open, by indent, and what the line before left open."""

    __slots__ = ("_items", "_items_indent", "_maps", "_waiting", "root")

    def __init__(self) -> None:
        self.root: dict[str, object] = {}
        self._maps = [(0, self.root)]
        self._items: list[object] | None = None
        """The list that the line before belongs to."""
        self._items_indent = 0
        self._waiting = ""
        """The key of the line before, where its value may come below."""

    def add_key(self, indent: int, key: str, value: object, *, is_open: bool) -> None:
        """Adds one line of a mapping."""
        at, here = self._maps[-1]
        if indent > at:
            if not self._waiting or len(self._maps) == _MAX_DEPTH:
                raise _OddError
            inner: dict[str, object] = {}
            here[self._waiting] = inner
            self._maps.append((indent, inner))
            here = inner
        while indent < self._maps[-1][0]:
            self._maps.pop()
            at, here = self._maps[-1]
            if indent > at:
                raise _OddError
        if key in here:
            raise _OddError
        here[key] = value
        self._waiting = key if is_open else ""
        self._items = None

    def add_item(self, indent: int, value: object, *, is_open: bool) -> None:
        """Adds one line of a list."""
        at, here = self._maps[-1]
        if self._waiting and indent >= at:
            self._items = []
            self._items_indent = indent
            here[self._waiting] = self._items
            self._waiting = ""
        if self._items is None or indent != self._items_indent or is_open:
            raise _OddError
        self._items.append(value)
