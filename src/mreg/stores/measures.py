"""Metrics and parameters from outside: flags, files, and what the Python API is given.

Rules:
    * Names are 1 to 100 letters, digits, ``_ - . / @ %`` and inner spaces; nested names are joined by dots.
    * A metric is a finite number; a parameter is plain data, in which a number that is not finite is text.
    * Scalars and arrays of libraries count as what they hold, see ``boxes``.
    * Nothing is dropped or guessed: what does not fit is an error that names it.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from mreg.core.fields import Plain, Scalar
from mreg.core.text import check_text, check_value
from mreg.errors import DataError, UsageError
from mreg.stores import yaml
from mreg.stores.boxes import as_items, as_only, as_scalar, count_items
from mreg.stores.disk import disk_errors

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

__all__ = ["as_metrics", "as_params", "flatten", "parse_assignments", "read_measures"]

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000
"""Values in all; a few kilobytes of YAML with aliases can hold billions."""
_NAME = re.compile(r"(?! )[\w\-./@% ]{1,100}(?<! )")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_KINDS = {bool: "true or false", str: "text", list: "a list", dict: "a mapping"}
_MEND = "fix the file by hand"
_NO_MAPPING = "a mapping of names to values is needed, and this is {}"
_FEWER = "give the few values that matter, by name"
_CONSTANTS: Mapping[str, Scalar] = {"true": True, "false": False, "null": None}


def parse_assignments(pairs: Sequence[str], what: str) -> dict[str, Scalar]:
    """Returns what ``key=value`` flags say, in their order.

    A value is a decimal number, ``true``, ``false`` or ``null``, else text: ``007``, ``nan`` and ``1_000`` are text.

    Args:
        pairs: The flags' values.
        what: Which flag it is, for messages: ``metric``, ``param``.

    Raises:
        UsageError: One has no ``=``, a wrong name, one that came before, or text that ``check_text`` refuses.
    """
    where = f"--{what}"
    values: dict[str, Scalar] = {}
    for pair in pairs:
        name, sign, text = (part.strip() for part in pair.partition("="))
        if not sign:
            raise _refusal(where, f"{pair!r} has no '='", f"write it as {where} name=value", key=pair)
        if name in values:
            raise _refusal(where, f"{name!r} is given twice", "give it once", key=name)
        _check_name(name, where)
        values[name] = _parse_scalar(text)
        check_text(text, f"value of {name!r} in {where}")
    return values


def read_measures(path: Path, what: str) -> dict[str, Plain]:
    """Returns what a JSON, YAML or TOML file holds, its nested names joined by dots; lists stay lists.

    Args:
        path: The file; its suffix says how to read it.
        what: What it should hold, for messages: ``metrics``, ``params``.

    Raises:
        NotFoundError: It is not there.
        StorageError: It cannot be read.
        UsageError: It is empty, too long, of another kind or malformed, or holds what may not be in a record.
    """
    where = str(path)
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise _refusal(where, f"no {what} can be read from a file of this kind", "give a .json, .yaml or .toml file")
    document = parse(_read_text(path, where), where)
    if not isinstance(document, dict):
        raise _refusal(where, _NO_MAPPING.format(_describe(document)), "write name: value, one a line")
    if not document:
        raise _refusal(where, f"it holds no {what}", "write name: value, one a line")
    return _as_plains(flatten(document, where), where)


def flatten(values: Mapping[str, object], where: str = "") -> dict[str, object]:
    """Returns nested mappings as one, names joined by dots; lists and empty mappings stay values.

    Raises:
        UsageError: It is no mapping, a name is no text, two are the same once joined, or there are more than 32 levels
            or 10 000 values.
    """
    if not isinstance(values, Mapping):  # the Python API takes what it is given
        raise _refusal(where, _NO_MAPPING.format(_describe(values)), "{'name': value}, dict(…) or vars(…)")
    flat: dict[str, object] = {}
    _flatten_into(flat, values, (), where)
    return flat


def as_metrics(values: Mapping[str, object], where: str) -> dict[str, int | float]:
    """Returns metrics as a record holds them; nested ones are flattened.

    Args:
        values: What was given; a number may be NumPy's, or the only one of an array.
        where: Where it came from, for messages: ``--metric``, a file.

    Raises:
        UsageError: A name lies outside the grammar, or a value is not a finite number.
    """
    return {name: _as_number(value, where, name) for name, value in flatten(values, where).items()}


def as_params(values: Mapping[str, object], where: str) -> dict[str, Plain]:
    """Returns parameters as a record holds them; nested ones are flattened, sequences, sets and arrays become lists.

    Raises:
        UsageError: A name lies outside the grammar, or a value is not plain, finite and fit for a record.
    """
    return _as_plains(flatten(values, where), where)


def _parse_scalar(text: str) -> Scalar:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
    except ValueError:  # more digits than Python reads
        pass
    return text


def _read_text(path: Path, where: str) -> str:
    with disk_errors("read", path):
        if path.exists() and not path.is_file():
            raise _refusal(where, "this is not a file", "name the file itself")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _refusal(where, f"this has more than {MAX_BYTES // 2**20} MiB", "keep the few values that matter")
    if not data.strip():
        raise _refusal(where, "the file is empty", "write name: value, one a line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    raise _refusal(where, "this is not text", "save it as UTF-8 text")


def _parse_json(text: str, where: str) -> object:
    def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, value in pairs:
            if name in found:
                raise _refusal(where, f"key {name!r} appears twice", _MEND)
            found[name] = value
        return found

    try:
        return cast("object", json.loads(text, object_pairs_hook=mapping))
    except json.JSONDecodeError as error:
        raise _refusal(f"{where}:{error.lineno}", error.msg, _MEND, file=where, line=error.lineno) from None
    except ValueError:
        raise _refusal(where, "a number in it has too many digits", _MEND) from None
    except RecursionError:
        raise _refusal(where, f"more than {MAX_DEPTH} levels", _FEWER) from None


def _parse_yaml(text: str, where: str) -> object:
    try:
        return yaml.load(text.encode(), where)
    except DataError as error:
        raise UsageError(error.message, hint=error.hint or _MEND, details=error.details) from None


def _parse_toml(text: str, where: str) -> object:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise _refusal(where, str(error), _MEND) from None
    except RecursionError:
        raise _refusal(where, f"more than {MAX_DEPTH} levels", _FEWER) from None


_PARSERS: Mapping[str, Callable[[str, str], object]] = {
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".toml": _parse_toml,
}


def _flatten_into(flat: dict[str, object], values: Mapping[str, object], path: tuple[str, ...], where: str) -> None:
    if len(path) >= MAX_DEPTH:
        raise _refusal(where, f"more than {MAX_DEPTH} levels", _FEWER)
    for key, value in values.items():
        inner = (*path, _key_text(key, where))
        name = ".".join(inner)
        if isinstance(value, Mapping) and value:
            _flatten_into(flat, value, inner, where)
            continue
        if name in flat:
            raise _refusal(where, f"{name!r} appears twice", "give it once", key=name)
        if len(flat) == MAX_VALUES:
            raise _refusal(where, f"more than {MAX_VALUES} values", _FEWER)
        flat[name] = value


def _key_text(key: object, where: str) -> str:
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    if not isinstance(key, str):
        raise _refusal(where, f"the name {key!r} is not text", f"write it in quotes: '{key}'")
    return str.__str__(key)


def _as_number(value: object, where: str, name: str) -> int | float:
    _check_name(name, where)
    found = as_only(value)
    place = f"params={{'{name}': …}}" if where == "metrics" else f"--param '{name}=…'"
    hint = f"leave it out, or keep it among the parameters: {place}"
    if isinstance(found, str) and (_NOT_FINITE.fullmatch(found) or _is_too_large(found)):
        raise _refusal(where, f"metric {name!r} is {found}, which is not a finite number", hint, key=name)
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise _refusal(where, f"metric {name!r} is {_describe(found)}, but a metric is a number", hint, key=name)
    if not _is_finite(found):
        raise _refusal(where, f"metric {name!r} is not a finite number", hint, key=name)
    return found


def _as_plains(values: Mapping[str, object], where: str) -> dict[str, Plain]:
    room = iter(range(MAX_VALUES))
    for name in values:
        _check_name(name, where)
    return {name: _as_plain(value, where, name, room) for name, value in values.items()}


def _as_plain(value: object, where: str, name: str, room: Iterator[int], depth: int = 0) -> Plain:
    found = as_scalar(value)
    if next(room, None) is None or (count_items(found) or 0) > MAX_VALUES:
        raise _refusal(where, f"{name!r} brings it to more than {MAX_VALUES} values", _FEWER, key=name)
    if isinstance(found, float) and not math.isfinite(found):
        return str(found)  # such as the `missing` of XGBoost: text, as where it is typed
    if isinstance(found, str):
        check_value(name, found, where)
    elif isinstance(found, int) and not _is_finite(found):
        raise _refusal(where, f"{name!r} has too many digits", "write it as text, in quotes", key=name)
    if found is None or isinstance(found, str | int | float):
        return found
    if depth == MAX_DEPTH:
        raise _refusal(where, f"{name!r} has more than {MAX_DEPTH} levels", _FEWER, key=name)
    if isinstance(found, Mapping):
        inner = {_key_text(key, where): item for key, item in found.items()}
        check_text("\n".join(inner), f"name in {where}")
        return {key: _as_plain(item, where, f"{name}.{key}", room, depth + 1) for key, item in inner.items()}
    items = as_items(found)
    if items is not None:
        return [_as_plain(item, where, name, room, depth + 1) for item in items]
    hint = "leave it out, or give what tells it as text: str(value)"
    raise _refusal(where, f"{name!r} is {_describe(found)}, which YAML does not hold", hint, key=name)


def _is_too_large(text: str) -> bool:
    return _FLOAT.fullmatch(text) is not None and math.isinf(float(text))


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the range of floats
        return False


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        hint = "names are 1 to 100 letters, digits, _ - . / @ % and inner spaces"
        raise _refusal(where, f"{name[:100]!r} cannot be a name", hint, key=name)
    check_text(name, f"name in {where}")


def _describe(value: object) -> str:
    shown = repr(value)
    short = shown if len(shown) <= 40 else shown[:40] + "…"  # noqa: PLR2004 - what fits a line
    return "empty" if value is None else f"{_KINDS.get(type(value), type(value).__name__)}: {short}"


def _refusal(where: str, message: str, hint: str, **details: object) -> UsageError:
    return UsageError(f"{where}: {message}" if where else message, hint=hint, details={"where": where, **details})
