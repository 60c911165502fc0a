"""Arguments of the Python API: what people write in place of a type is converted to it, or refused."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import TypeVar

from msgspec import ValidationError, convert
from msgspec.structs import asdict

from mreg.core.history.record import Code, Dataset, Environment, Run
from mreg.core.names import Version, parse_version
from mreg.core.text import check_line
from mreg.errors import UsageError

__all__ = [
    "as_approvers",
    "as_choice",
    "as_count",
    "as_dataset",
    "as_directions",
    "as_location",
    "as_moment",
    "as_path",
    "as_section",
    "as_text",
    "as_texts",
    "as_version",
    "as_when",
]

EnumT = TypeVar("EnumT", bound=Enum)
SectionT = TypeVar("SectionT", Dataset, Code, Run, Environment)


def as_choice(value: EnumT | str, kind: type[EnumT], what: str) -> EnumT:
    """Returns the member of an enum, also where it was written as text.

    Raises:
        UsageError: There is no such member; the hint names all.
    """
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise UsageError(f"{what} cannot be {value!r}", hint=f"one of: {known}", details={what: str(value)}) from None


def as_text(value: str | None, what: str) -> str | None:
    """Returns what names a branch or a revision, where it is named.

    Raises:
        UsageError: It is something else than text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        hint = f"write it as text: {what}='main'"
        raise UsageError(f"{what}: text is expected here, not {value!r}", hint=hint, details={"what": what})
    return str.__str__(value)  # a member of an enum of texts is formatted by its name


def as_version(value: str | Version | None) -> Version | None:
    """Returns a version, where one is given, also as text.

    Raises:
        NamingError: It is none.
    """
    return parse_version(str(value) if isinstance(value, Version) else value) if value is not None else None


def as_count(value: int | None, what: str) -> int | None:
    """Returns a whole number, where one is given.

    Raises:
        UsageError: It is none.
    """
    try:
        return None if value is None else operator.index(value)
    except TypeError:
        hint = f"{what}=3"
        raise UsageError(f"{what} must be a whole number, not {value!r}", hint=hint, details={"what": what}) from None


def as_texts(values: object, what: str) -> tuple[str, ...]:
    """Returns several texts; one text by itself is one, and not its letters.

    Raises:
        UsageError: They are something else.
    """
    if values is None or isinstance(values, str):
        return (values,) if values else ()
    found: list[str] = []
    for value in values if isinstance(values, Iterable) else [values]:
        if not isinstance(value, str):
            hint = "one text, or a list of texts"
            raise UsageError(f"{what}: text is expected here, not {value!r}", hint=hint, details={"what": what})
        found.append(value)
    return tuple(found)


def as_approvers(values: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the names of approvers, each once.

    Raises:
        UsageError: One is not a line of text.
    """
    names = [check_line(name, "name of the approver") for name in as_texts(values, "approved_by")]
    once: dict[str, str] = {}
    for name in names:
        once.setdefault(name.casefold(), name)
    return tuple(once.values())


def as_directions(higher: str | Sequence[str], lower: str | Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns the metrics of which more, and of which less is better.

    Raises:
        UsageError: They are no texts.
    """
    return {"higher": as_texts(higher, "higher"), "lower": as_texts(lower, "lower")}


def as_moment(value: date | str | None, what: str) -> datetime | None:
    """Returns a time; one without a zone is that of this machine.

    Raises:
        UsageError: It is none.
    """
    if value is None:
        return None
    text = value.isoformat() if isinstance(value, date) else value  # so that one of pandas becomes a plain one
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.astimezone() if moment.tzinfo is None else moment
    except (AttributeError, TypeError, ValueError):
        hint = f"{what}='2026-11-20T09:12:00Z', or a datetime"
        raise UsageError(f"{what}: {value!r} is not a time", hint=hint, details={"what": what}) from None


def as_when(value: str | date | None) -> str | None:
    """Returns what names a moment of the registry as text: a day, a time, a revision.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, date):
        return value.isoformat()
    if value is not None and not isinstance(value, str):
        raise UsageError(f"at: {value!r} names no moment", hint="a date, a time, or a revision of Git: at='2026-11-20'")
    return value


def as_dataset(value: str | Dataset | None) -> Dataset | None:
    """Returns a dataset, also where it was written ``name@version``.

    Raises:
        UsageError: It is no line of text, holds what no record may, or lacks what stands on one side of the ``@``.
    """
    if not isinstance(value, str):
        return as_section(value, Dataset, "dataset")
    name, at, version = check_line(value, "dataset").rpartition("@")
    if not at:
        return Dataset(name=value)
    if not (name and version):  # such as of a script whose variable is not set
        raise UsageError(
            f"the dataset {value!r} has no {'version behind' if name else 'name before'} the @",
            hint="--dataset customers@2026-10, or --dataset customers where it has no version",
            details={"dataset": value},
        )
    return Dataset(name=name, version=version)


def as_section(value: SectionT | None, kind: type[SectionT], what: str) -> SectionT | None:
    """Returns a part of a record as the caller fills it in.

    Raises:
        UsageError: It is of another type, or holds what no record may.
    """
    if value is None:
        return None
    if not isinstance(value, kind):
        hint = f"mreg.{kind.__name__}({', '.join(f'{name}=…' for name in kind.__struct_fields__)})"
        raise UsageError(f"{what}: {value!r} is no {kind.__name__}", hint=hint, details={"what": what})
    try:
        convert(asdict(value), kind)
    except ValidationError as error:
        raise UsageError(f"{what}: {error}", hint="str(…)", details={"what": what}) from None
    for name, text in _texts_of(value):
        if text:
            check_line(text, f"{name} of the {what}")
    return value


def _texts_of(section: Dataset | Code | Run | Environment) -> Iterator[tuple[str, str]]:
    for name, held in asdict(section).items():
        texts = [*held, *held.values()] if isinstance(held, Mapping) else [held]
        yield from ((name, text) for text in texts if isinstance(text, str))


def as_path(value: str | PathLike[str], what: str) -> Path:
    """Returns a path.

    Raises:
        UsageError: It is none.
    """
    try:
        path = Path(value)
    except TypeError:
        # Not what it is made of: a model, say, shows all its layers.
        hint = "a text, or a pathlib.Path; what is in memory is saved to a file first"
        raise UsageError(f"{what}: a value of type {type(value).__name__} is not a path", hint=hint) from None
    if "://" in str(value):
        hint = "clone it, or fetch it first; mreg.pull(…, repo=URL) serves without a clone"
        raise UsageError(f"{what}: {str(value)!r} is a URL, and a path is needed", hint=hint, details={"what": what})
    if value == "":  # a variable that is not set, and not the folder that pathlib takes it for
        raise UsageError(f"{what}: the path is empty", hint="'.' is the folder where you are")
    return path


def as_location(value: object, what: str) -> str:
    """Returns a URL or a path as text.

    Raises:
        UsageError: It is neither.
    """
    text = os.fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(text, str):
        raise UsageError(f"{what}: {value!r} is neither a URL nor a path", hint="a text, or a pathlib.Path")
    return str.__str__(text)
