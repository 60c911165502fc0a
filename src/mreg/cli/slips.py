"""Slips of the hand: a command line that means something else than it says, and what it means."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from typer.main import get_command

from mreg.cli.place import DIRECTORY
from mreg.core.names import LATEST, parse_model_name, parse_stage_name, parse_version
from mreg.core.nearness import find_near
from mreg.errors import NamingError

__all__ = ["find_slip"]

_NAMES_ARGUMENT = ("--model", "--version", "--stage", "--to")
"""Options that name what is an argument, in commands that have no such option."""
_OF_OTHERS = {"--message": "--reason"}
"""Options of other programs, and what they are here."""
_VERBS_OF_OTHERS = {
    "add": "register",
    "diff": "compare",
    "download": "pull",
    "get": "pull",
    "log": "history",
    "ls": "list",
    "revert": "rollback",
    "status": "list",
    "undo": "rollback",
}
"""Commands of other programs, likewise."""
_SEPARATED = re.compile(r"([^@:=]+?)[:=/ ]+([^@:=/ ]+)")
"""A selector as others write it: ``churn:v3``, ``churn==3``, ``churn/v3``."""


class _Typed(Struct, frozen=True):
    """A command line, its arguments apart from its options."""

    before: tuple[str, ...]
    """Options that stand before the command, such as ``-C``."""
    command: str
    arguments: tuple[str, ...]
    options: tuple[str, ...] = ()
    is_mended: bool = False
    """True where an option was not one, and the rest may be what was meant."""

    def __str__(self) -> str:
        return shlex.join(("mreg", *self.before, self.command, *self.arguments, *self.options))

    @property
    def folder(self) -> Path:
        return Path(next((after for word, after in _pairs(self.before) if word in DIRECTORY), "."))


def find_slip(words: Sequence[str]) -> str | None:
    """Returns the command line that was meant; ``None`` where nobody can tell.

    Args:
        words: What was typed, and was refused.
    """
    called = (at for at, (before, word) in enumerate(_pairs(words)) if word[:1] != "-" and before not in DIRECTORY)
    at = next(called, None)
    verb = _find_verb(words[at]) if at is not None else None
    if at is not None and verb:
        return _translate(words, at, verb)
    if "init" in words and "--push" in words:
        rest = _take_apart([word for word in words if word != "--push"])
        return f"{rest} && mreg push" if rest and _can_be_read(rest) else None
    typed = _take_apart(words)
    if typed is None:
        return None
    mend = _MENDS.get(typed.command)
    meant = (mend(typed) if mend else None) or (typed if typed.is_mended else None)
    return str(meant) if meant and _can_be_read(meant) else None


def _find_verb(word: str) -> str | None:
    """Returns the command that is meant by a word that is none; ``None`` where it is one, or nobody can tell."""
    from mreg.cli.app import COMMANDS

    return None if word in COMMANDS else _VERBS_OF_OTHERS.get(word) or find_near(word, COMMANDS)


def _translate(words: Sequence[str], at: int, meant: str) -> str:
    """Returns a command line with another command in the place of its word ``at``, or the help of that."""
    rest = _take_apart([*words[:at], meant, *words[at + 1 :]])
    return str(rest) if rest and not rest.is_mended and _can_be_read(rest) else f"mreg {meant} --help"


def _take_apart(words: Sequence[str]) -> _Typed | None:
    from mreg.cli.app import COMMANDS

    at = next((index for index, word in enumerate(words) if word in COMMANDS), None)
    if at is None:
        return None
    named = {name: param for param in _find_command(words[at]).params for name in param.opts}
    with_value = {name for name, param in named.items() if not getattr(param, "is_flag", True)}
    arguments: list[str] = []
    options: list[str] = []
    before = [word for last, word in _pairs(words[:at]) if {last, word.partition("=")[0]}.intersection(DIRECTORY)]
    misplaced = [word for last, word in _pairs(words[:at]) if word not in before]  # of the command, and before it
    is_value, is_mended = False, bool(misplaced)
    for typed in [*words[at + 1 :], *misplaced]:
        name, equals, value = typed.partition("=")
        word = typed
        is_option = typed.startswith("-") and len(typed) > 1 and not is_value
        if is_option and name not in named and typed[:2] not in named:
            is_mended = True
            if name in _NAMES_ARGUMENT and words[at] != "compare" and (arguments or words[at] != "history"):
                arguments += [value] if equals else []
                continue
            if _OF_OTHERS.get(name) not in named:
                return None
            word = _OF_OTHERS[name] + equals + value
        (options if is_option or is_value else arguments).append(word)
        is_value = is_option and word in with_value
    return _Typed(tuple(before), words[at], tuple(arguments), tuple(options), is_mended=is_mended)


def _find_command(name: str) -> Any:  # noqa: ANN401 - Typer's own Click is not public
    from mreg.cli.app import build

    return get_command(build([name])).commands[name]  # type: ignore[attr-defined]


def _can_be_read(meant: _Typed) -> bool:
    try:
        _find_command(meant.command).make_context(meant.command, [*meant.arguments, *meant.options])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is no hint
        return False
    return True


def _join_selector(count: int) -> Callable[[_Typed], _Typed | None]:
    """Mends ``churn v3`` and ``churn:v3`` where one selector is meant; ``count`` arguments there should be."""

    def mend(typed: _Typed) -> _Typed | None:
        if len(typed.arguments) == count:
            first, *rest = typed.arguments
            return replace(typed, arguments=(_spell(first), *rest)) if _spell(first) != first else None
        if len(typed.arguments) != count + 1:
            return None
        model, what, *rest = typed.arguments
        if not _is_model(model) or not (_is_version(what) or _is_stage(what) or what == LATEST):
            return None
        if _is_stage(what) and len(rest) == 1 and _is_version(rest[0]):  # the other way round
            what, rest = rest[0], [what]
        return replace(typed, arguments=(f"{model}@{what}", *rest))

    return mend


def _place(typed: _Typed) -> _Typed | None:
    """Mends what puts a version into a stage: also ``production churn@v3``, and a reason without its option."""
    joined = _join_selector(2)(typed)
    if joined or len(typed.arguments) < 2:  # noqa: PLR2004 - a selector and a stage
        return joined
    first, second, *rest = typed.arguments
    if not rest and "@" in second and _is_stage(first):
        return replace(typed, arguments=(second, first))
    is_told = any(word.startswith(("--reason", "-m")) for word in typed.options)
    if len(rest) == 1 and not is_told and not _is_stage(rest[0]):
        return replace(typed, arguments=(first, second), options=("--reason", rest[0], *typed.options))
    return None


def _spell(selector: str) -> str:
    found = _SEPARATED.fullmatch(selector)
    model, what = found.groups() if found else ("", "")
    is_meant = found and _is_model(model) and (_is_version(what) or (":" in selector and _is_stage(what)))
    return f"{model}@{what}" if is_meant else selector


def _join_all(typed: _Typed) -> _Typed | None:
    spelled = tuple(map(_spell, typed.arguments))
    if spelled != typed.arguments:
        return replace(typed, arguments=spelled)
    model = typed.arguments[0].partition("@")[0] if typed.arguments else ""
    versions = [word for word in typed.arguments if _is_version(word)]
    if not versions or not _is_model(model):
        return None
    found = [f"{model}@{word}" if word in versions else word for word in typed.arguments]
    meant = tuple(word for word in found if word != model)
    return replace(typed, arguments=meant) if meant[1:] else None  # one alone is compared with nothing


def _split(typed: _Typed) -> _Typed | None:
    """Mends ``churn@v2 production`` and ``churn@production`` where a model and a stage are meant."""
    model, at, what = typed.arguments[0].partition("@") if typed.arguments else ("", "", "")
    if not at or not _is_model(model):
        return None
    stages = typed.arguments[1:] or ((what,) if _is_stage(what) else ())
    return replace(typed, arguments=(model, *stages))


def _rollback(typed: _Typed) -> _Typed | None:
    """Mends the same, and where the version is not named with ``--to``, or as a selector there."""
    options = tuple(word.rpartition("@")[2] if before == "--to" else word for before, word in _pairs(typed.options))
    _, _, what = typed.arguments[0].partition("@") if typed.arguments else ("", "", "")
    split = _split(typed)
    if split:
        return replace(split, options=("--to", what, *options) if _is_version(what) else options)
    *rest, last = typed.arguments or ("",)
    if len(rest) == 2 and _is_version(last):  # noqa: PLR2004 - a model and a stage
        return replace(typed, arguments=tuple(rest), options=("--to", last, *options))
    return replace(typed, options=options) if options != typed.options else None


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(("", *words), words, strict=False)


def _show(typed: _Typed) -> _Typed | None:
    model, at, what = typed.arguments[0].partition("@") if typed.arguments else ("", "", "")
    if not at or not _is_model(model):
        return None
    if typed.command == "history" and _is_stage(what):
        return replace(typed, arguments=(model, what))
    return replace(typed, command="show", arguments=(typed.arguments[0],))


def _best(typed: _Typed) -> _Typed | None:
    model, at, _ = typed.arguments[0].partition("@") if typed.arguments else ("", "", "")
    return replace(typed, arguments=(model,)) if at and _is_model(model) else None


def _register(typed: _Typed) -> _Typed | None:
    if len(typed.arguments) != 2:  # noqa: PLR2004 - a model and a path
        return None
    first, second = typed.arguments
    model, at, version = first.partition("@")
    if at and _is_model(model) and _is_version(version):
        return replace(typed, arguments=(model, second), options=("--version", version, *typed.options))
    if _is_model(second) and not _is_model(first) and (typed.folder / first).exists():
        return replace(typed, arguments=(second, first))
    return None


_MENDS: dict[str, Callable[[_Typed], _Typed | None]] = {
    "show": _join_selector(1),
    "pull": _join_selector(1),
    "archive": _join_selector(1),
    "promote": _place,
    "approve": _place,
    "compare": _join_all,
    "rollback": _rollback,
    "clear": _split,
    "hold": _split,
    "list": _show,
    "history": _show,
    "best": _best,
    "register": _register,
}


def _is_model(text: str) -> bool:
    return _fits(parse_model_name, text)


def _is_version(text: str) -> bool:
    return _fits(parse_version, text)


def _is_stage(text: str) -> bool:
    return _fits(parse_stage_name, text)


def _fits(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except NamingError:
        return False
    return True
