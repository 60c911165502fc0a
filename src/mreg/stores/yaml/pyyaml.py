"""PyYAML: what takes a parser to read, where in a document something stands, and how documents are written.

``mreg.stores.yaml`` is the door, and imports this where the plain reader does not do: PyYAML takes a tenth of the start
of a command.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from textwrap import indent

import yaml
from msgspec import Struct

from mreg.errors import DataError
from mreg.stores.yaml.plain import MAX_BYTES, resolve_plain

__all__ = ["dump", "find_line", "iter_edits", "parse"]

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
"""Values in one document, an alias counted as all that it stands for."""

_PARSER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OTHER_THAN_TEXT = re.compile(r"[yn]|[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|0o[0-7]+", re.IGNORECASE)
"""What YAML 1.2, or a stricter reader of 1.1 than PyYAML, does not take for text."""
_BREAK = re.compile(r"[\n\x85\u2028\u2029]")
_NO_BLOCK = re.compile(r"\A\s|[^\S\n]$|\n\n\Z|[\x85\u2028\u2029]", re.MULTILINE)
"""What a ``|`` block may lose, or YAML 1.1 and 1.2 read differently there."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029])|.+")
_BLANK_OR_COMMENT = re.compile(r"([ \t]*)(?:#.*)?\s?\s?")


def parse(data: bytes, where: str, *, has_aliases: bool) -> object:
    """Returns what one document says; see ``mreg.stores.yaml``.

    Args:
        data: UTF-8.
        where: The file, for messages.
        has_aliases: Takes aliases and merge keys.

    Raises:
        DataError: It is not YAML, or YAML that could be read in two ways, or too large.
    """
    return _Builder(data, where, has_aliases=has_aliases).document()


def find_line(data: bytes, key_path: Sequence[str | int]) -> int | None:
    """Returns the line, from 1, of a key or list item, or else of the nearest one around it that is there."""
    node, line = _compose(data), None
    for part in key_path:
        found = _find(node, part)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def dump(data: Mapping[str, object]) -> str:
    """Returns a document in block style, keys in their order.

    Raises:
        DataError: A text holds half a surrogate pair, as Python makes of bytes that are not UTF-8.
    """
    # PyYAML's own emitter, not that of libyaml: the same bytes wherever it runs.
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def iter_edits(text: str, section: str, key: str, entries: Mapping[str, object]) -> Iterator[str]:
    """Gives the edits that set an entry of a section, or remove it, the smallest first; each may be wrong.

    Args:
        text: The document.
        section: A key of the document.
        key: The entry.
        entries: All that the section is to hold.
    """
    lines = _LINE.findall(text)
    top = _spans(_compose(text.encode()), lines, len(lines))
    column = top[0].column if top else 0
    outer = next((span for span in top if span.name == section), None)
    if outer is None:
        yield _splice(lines, len(lines), len(lines), _format_section(section, entries, column))
        return
    inner = _spans(outer.value, lines, outer.end)
    if inner and entries:
        block = indent(dump({key: entries[key]}), " " * inner[0].column) if key in entries else ""
        old = next((span for span in inner if span.name == key), None)
        before = [span.end for span in takewhile(lambda span: span.name < key, inner)]
        place = before[-1] if before else outer.first + 1
        yield _splice(lines, old.first, old.end, block) if old else _splice(lines, place, place, block)
    # Not before it is asked for: of 2 000 entries it takes a third of a second.
    yield _splice(lines, outer.first, outer.end, _format_section(section, entries, column))


def _format_section(section: str, entries: Mapping[str, object], column: int) -> str:
    return indent(dump({section: entries}), " " * column) if entries else ""


class _Builder:
    """Makes values of the parser's events, in half the time of PyYAML's way through nodes."""

    def __init__(self, data: bytes, where: str, *, has_aliases: bool) -> None:
        self._data = data
        self._where = where
        self._has_aliases = has_aliases
        self._anchors: dict[str, tuple[object, int]] = {}
        self._count = 0
        self._events: Iterator[yaml.Event] = iter(())

    def document(self) -> object:
        if len(self._data) > MAX_BYTES:
            raise self._error(None, f"it has {len(self._data)} bytes; at most {MAX_BYTES} are allowed")
        try:
            self._events = yaml.parse(self._data.decode(), Loader=_PARSER)
            next(self._events)
            if isinstance(next(self._events), yaml.StreamEndEvent):
                return {}
            value = self._value(next(self._events), 0)
            next(self._events)
            end = next(self._events)
        except UnicodeDecodeError as error:
            raise self._error(self._data.count(b"\n", 0, error.start), "it is not UTF-8") from error
        except yaml.YAMLError as error:
            raise self._syntax_error(error) from error
        if not isinstance(end, yaml.StreamEndEvent):
            raise self._error(end, "a second document begins here")
        return {} if value is None else value

    def _value(self, event: yaml.Event, depth: int) -> object:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before, anchor, tag = self._count, getattr(event, "anchor", None), getattr(event, "tag", None)
        self._count += 1
        if tag is not None:
            raise self._error(event, f"tags ({tag}) are not read here", "quote a text that begins with !")
        if anchor is not None and not self._has_aliases:
            raise self._error(event, f"anchors (&{anchor}) are not read here", "write it out, or quote it")
        value: object
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif depth == MAX_DEPTH:
            raise self._error(event, f"it is nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(depth + 1)
        else:
            items = takewhile(lambda event: not isinstance(event, yaml.SequenceEndEvent), self._events)
            value = [self._value(item, depth + 1) for item in items]
        if anchor is not None:
            self._anchors[anchor] = (value, self._count - before)
        return value

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        try:
            return resolve_plain(text)
        except ValueError as error:
            raise self._error(event, "this number has too many digits") from error

    def _mapping(self, depth: int) -> dict[object, object]:
        result: dict[object, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "a key must be plain text")
            key = self._value(event, depth)
            if key in result:
                raise self._error(event, f"key {key!r} appears twice", "remove one of the two")
            result[key] = self._value(next(self._events), depth)
        if self._has_aliases and "<<" in result:
            return self._merge(result.pop("<<"), result, event)
        return result

    def _alias(self, event: yaml.AliasEvent) -> object:
        if not self._has_aliases:
            raise self._error(event, f"aliases (*{event.anchor}) are not read here", "write it out, or quote it")
        if event.anchor not in self._anchors:
            raise self._error(event, f"nothing before it is marked &{event.anchor}")
        value, count = self._anchors[event.anchor]
        self._count += count
        if self._count > MAX_VALUES:
            raise self._error(event, f"it unfolds into more than {MAX_VALUES} values")
        return value

    def _merge(self, merged: object, own: Mapping[object, object], end: yaml.Event) -> dict[object, object]:
        result: dict[object, object] = {}
        for source in reversed(merged if isinstance(merged, list) else [merged]):
            if not isinstance(source, dict):
                raise self._error(end, "<< above takes a mapping or a list of mappings")
            result.update(source)
        return {**result, **own}

    def _syntax_error(self, error: yaml.YAMLError) -> DataError:
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            position = getattr(error, "position", 0)
            return self._error(self._data.count(b"\n", 0, position), "control characters are not allowed")
        conflict = re.search(rb"^<{7} ", self._data, re.MULTILINE)
        if conflict:
            line = self._data.count(b"\n", 0, conflict.start())
            return self._error(line, "a merge conflict begins here", "resolve it by hand; git diff shows it")
        hint = "indent with spaces; quote a text with ': ' or ' #' in it, or a sign before it"
        return self._error(error.problem_mark.line, str(error.problem), hint)

    def _error(self, place: yaml.Event | int | None, message: str, hint: str = "") -> DataError:
        if isinstance(place, yaml.Event):
            place = place.start_mark.line if place.start_mark else None
        if place is None:
            return DataError(f"{self._where}: {message}", hint=hint, details={"file": self._where})
        details = {"file": self._where, "line": place + 1}
        return DataError(f"{self._where}:{place + 1}: {message}", hint=hint, details=details)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if _SURROGATE.search(text):
        raise DataError(f"{text!r} is not text that can be stored as UTF-8")
    style = None
    if _BREAK.search(text):
        style = '"' if _NO_BLOCK.search(text) else "|"
    elif _OTHER_THAN_TEXT.fullmatch(text):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class _Span(Struct, frozen=True):
    """The lines of one entry of a block mapping, without the comments and blank lines after it."""

    name: str
    column: int
    first: int
    end: int
    value: yaml.Node


def _spans(node: yaml.Node | None, lines: Sequence[str], end: int) -> list[_Span]:
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return []
    starts = [key.start_mark.line for key, _ in node.value]
    spans = []
    for (key, value), first, limit in zip(node.value, starts, [*starts[1:], end], strict=True):
        column, last = key.start_mark.column, limit
        while last > first + 1 and (blank := _BLANK_OR_COMMENT.fullmatch(lines[last - 1])) and len(blank[1]) <= column:
            last -= 1
        spans.append(_Span(str(key.value), column, first, last, value))
    return spans


def _splice(lines: Sequence[str], first: int, end: int, block: str) -> str:
    line_end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    head = "".join(lines[:first])
    if block and head and not head.endswith("\n"):
        head += line_end
    return head + block.replace("\n", line_end) + "".join(lines[end:])


def _compose(data: bytes) -> yaml.Node | None:
    try:
        return yaml.compose(data, Loader=_PARSER)
    except yaml.YAMLError:  # also of an anchor that is used twice, which is YAML and no fault
        return None


def _find(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
