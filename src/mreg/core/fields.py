"""A strict reader of one mapping that came out of a file.

Rules:
    * A key that nobody asked for is an error that names the nearest known one (``finish``).
    * A value of the wrong type is an error; nothing is converted behind the writer's back.
    * Every error names the file and the key path; ``stores.yaml`` adds the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, Union, overload

from mreg.core.nearness import ask_near
from mreg.errors import DataError

__all__ = ["UPGRADE", "Fields", "Plain", "Scalar", "format_moment"]

UPGRADE = "install a newer mreg from where you got this one"
"""What reads a schema that this mreg does not know: no package index, where the name may be another project's."""

Scalar = Union[str, int, float, bool, None]  # noqa: UP007 - a recursive alias is evaluated at run time
if TYPE_CHECKING:
    Plain = Union[Scalar, list["Plain"], dict[str, "Plain"]]  # noqa: UP007
else:
    Plain = Any  # msgspec cannot decode a recursive alias, and takes any for what is plain anyway

EnumT = TypeVar("EnumT", bound=Enum)

SHOWN_LENGTH = 40
"""Characters of a wrong value that a message repeats."""
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ]((?!24)\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d{1,9}))?(Z|[+-]\d\d:\d\d(?::\d\d)?)?)?",
    re.ASCII,
)
"""What every Python reads alike: 3.10 knows less of ISO 8601 than 3.11."""


class Fields:
    """One mapping, its place, and which of its keys were asked for."""

    def __init__(self, data: object, *, where: str, path: tuple[str | int, ...] = ()) -> None:
        """Takes a mapping with text keys.

        Args:
            data: What the file holds at ``path``.
            where: The file, for messages.
            path: The keys that lead here.

        Raises:
            DataError: It is not such a mapping.
        """
        self._where = where
        self._path = path
        self._known: dict[str, None] = {}
        if not isinstance(data, Mapping):
            raise self._problem(path, f"a mapping is expected here, not {_describe(data)}")
        for key in data:
            if not isinstance(key, str):
                raise self._problem((*path, repr(key)), f"a key must be text; write '{key}' in quotes")
        self._data: Mapping[str, object] = data

    @property
    def names(self) -> tuple[str, ...]:
        """All keys, in the order of the file; they count as asked for."""
        self._known.update(dict.fromkeys(self._data))
        return tuple(self._data)

    def has(self, key: str) -> bool:
        """Returns whether the key is there, be its value null."""
        self._known[key] = None
        return key in self._data

    def value(self, key: str) -> object:
        """Returns the value as it is; ``None`` where the key is missing."""
        self._known[key] = None
        return self._data.get(key)

    def text(self, key: str, default: str = "", *, unit: str = "") -> str:
        """Returns a text, or the default where the key is missing or null; ``unit`` is what a mere number may lack."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, str):
            hint = f'write it in quotes: {key}: "{_spell(value)}"' if isinstance(value, int | float) else ""
            if unit and type(value) is int and value > 0:
                hint = f"{key}: {value}{unit}"
            raise self.error(key, f"text is expected here, not {_describe(value)}", hint=hint)
        return value

    def required_text(self, key: str) -> str:
        """Returns a text that is not empty."""
        text = self.text(key)
        if not text:
            raise self.error(key, "required, but missing")
        return text

    def integer(self, key: str) -> int | None:
        """Returns a whole number that is not negative, or ``None`` where the key is missing."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.error(key, f"a whole number, 0 or more, is expected here, not {_describe(value)}")
        return value

    def required_integer(self, key: str) -> int:
        """Returns a whole number that is not negative."""
        number = self.integer(key)
        if number is None:
            raise self.error(key, "required, but missing")
        return number

    def boolean(self, key: str) -> bool:
        """Returns true or false; false where the key is missing."""
        value = self.value(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.error(key, f"true or false is expected here, not {_describe(value)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Returns a list of texts; empty where the key is missing."""
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"a list of texts is expected here, not {_describe(value)}")
        return tuple(value)

    def numbers(self, key: str) -> dict[str, int | float]:
        """Returns a mapping of finite numbers; empty where the key is missing."""
        section = self.section(key)
        return {name: section.number(name) for name in section.names} if section else {}

    def number(self, key: str) -> int | float:
        """Returns a finite number."""
        value = self.value(key)
        is_finite = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite:
            raise self.error(key, f"a finite number is expected here, not {_describe(value)}")
        return value

    def moment(self, key: str) -> datetime | None:
        """Returns a time in UTC or with its offset; ``None`` where the key is missing."""
        text = self.text(key)
        if not text:
            return None
        hint = "write it as 2026-11-20T09:12:00Z"
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise self.error(key, f"{text!r} is not a time", hint=hint)
        day, clock, fraction, zone = match.groups()
        second = f".{fraction[:6]:0<6}" if fraction else ""
        try:
            return datetime.fromisoformat(f"{day}T{clock or '00:00'}{second}{(zone or 'Z').replace('Z', '+00:00')}")
        except ValueError as error:
            raise self.error(key, f"{text!r} is not a time", hint=hint) from error

    def section(self, key: str) -> Fields | None:
        """Returns the mapping below a key; ``None`` where the key is missing or null."""
        value = self.value(key)
        return None if value is None else Fields(value, where=self._where, path=(*self._path, key))

    def required_section(self, key: str) -> Fields:
        """Returns the mapping below a key."""
        section = self.section(key)
        if section is None:
            raise self.error(key, "required, but missing")
        return section

    def sections(self, key: str) -> tuple[tuple[str, Fields], ...]:
        """Returns the mappings in the mapping below a key; a null one counts as empty."""
        outer = self.section(key)
        if outer is None:
            return ()
        path = (*self._path, key)
        return tuple(
            (name, Fields({} if value is None else value, where=self._where, path=(*path, name)))
            for name, value in outer._data.items()
        )

    def list_of_sections(self, key: str) -> tuple[Fields, ...]:
        """Returns the mappings in the list below a key; empty where the key is missing."""
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.error(key, f"a list of mappings is expected here, not {_describe(value)}")
        path = (*self._path, key)
        return tuple(Fields(item, where=self._where, path=(*path, index)) for index, item in enumerate(value))

    def plain(self, key: str) -> dict[str, Plain]:
        """Returns a mapping of plain data as it is; empty where the key is missing."""
        value = self.value(key)
        if value is None:
            return {}
        plain = self._plain(value, (*self._path, key))
        if not isinstance(plain, dict):
            raise self.error(key, f"a mapping is expected here, not {_describe(value)}")
        return plain

    @overload
    def choice(self, key: str, kind: type[EnumT], default: EnumT) -> EnumT: ...

    @overload
    def choice(self, key: str, kind: type[EnumT], default: None) -> EnumT | None: ...

    def choice(self, key: str, kind: type[EnumT], default: EnumT | None) -> EnumT | None:
        """Returns the member of an enum that a text names, or the default where the key is missing."""
        text = self.text(key)
        if not text:
            return default
        try:
            return kind(text)
        except ValueError as error:
            known = [str(member.value) for member in kind]
            raise self.error(key, f"{text!r} is not one of {', '.join(known)}", hint=ask_near(text, known)) from error

    def finish(self) -> None:
        """Refuses keys that nobody asked for.

        Raises:
            DataError: There is one.
        """
        for key in self._data:
            if key not in self._known:
                known = "known here: " + (", ".join(sorted(self._known)) or "no key")
                raise self.error(key, "unknown key", hint=f"{ask_near(key, self._known)} {known}".lstrip())

    def error(self, key: str, message: str, *, hint: str = "") -> DataError:
        """Returns the error for one key, which may be a path joined by dots."""
        return self._problem((*self._path, *_split(self._data, key)), message, hint)

    def _problem(self, path: tuple[str | int, ...], message: str, hint: str = "") -> DataError:
        dotted = ".".join(str(part) for part in path)
        text = f"{self._where}: {dotted}: {message}" if dotted else f"{self._where}: {message}"
        return DataError(text, hint=hint, details={"file": self._where, "key": dotted, "path": list(path)})

    def _plain(self, value: object, path: tuple[str | int, ...]) -> Plain:
        if isinstance(value, Mapping):
            return {self._text_key(key, path): self._plain(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain(item, (*path, index)) for index, item in enumerate(value)]
        if value is None or isinstance(value, str | bool | int | float):
            return value
        raise self._problem(path, f"plain data is expected here, not {_describe(value)}")

    def _text_key(self, key: object, path: tuple[str | int, ...]) -> str:
        if not isinstance(key, str):
            raise self._problem(path, f"a key must be text; write '{key}' in quotes")
        return key


def format_moment(moment: datetime) -> str:
    """Returns a time as ``Fields.moment`` reads it: ISO 8601, with ``Z`` for UTC."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _split(data: object, key: str) -> tuple[str, ...]:
    # The data tells where a key ends: `versions.v3.0.0` has two parts.
    if isinstance(data, Mapping) and key not in data:
        for name in data:
            if isinstance(name, str) and key.startswith(f"{name}."):
                return (name, *_split(data[name], key.removeprefix(f"{name}.")))
    return (key,)


def _describe(value: object) -> str:
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return f"{names.get(type(value), type(value).__name__)}: {_spell(value)}"


def _spell(value: object) -> str:
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return shown if len(shown) <= SHOWN_LENGTH else f"{shown[:SHOWN_LENGTH]}…"
