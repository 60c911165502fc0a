"""Slips of the hand: a command line that means something else than it says, and what it means."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from typer.main import get_command

from mreg.core.names import LATEST, parse_model_name, parse_stage_name, parse_version
from mreg.errors import NamingError

__all__ = ["find_slip"]

_DIRECTORY = ("-C", "--directory")


class _Typed(Struct, frozen=True):
    """A command line, its arguments apart from its options."""

    before: tuple[str, ...]
    """Options that stand before the command, such as ``-C``."""
    command: str
    arguments: tuple[str, ...]
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(("mreg", *self.before, self.command, *self.arguments, *self.options))

    @property
    def folder(self) -> Path:
        pairs = zip(self.before, self.before[1:], strict=False)
        return Path(next((after for word, after in pairs if word in _DIRECTORY), "."))


def find_slip(words: Sequence[str]) -> str | None:
    """Returns the command line that was meant; ``None`` where nobody can tell.

    Args:
        words: What was typed, and was refused.
    """
    typed = _take_apart(words)
    mend = _MENDS.get(typed.command) if typed else None
    meant = mend(typed) if typed and mend else None
    return str(meant) if meant else None


def _take_apart(words: Sequence[str]) -> _Typed | None:
    from mreg.cli.app import COMMANDS, build

    at = next((index for index, word in enumerate(words) if word in COMMANDS), None)
    if at is None:
        return None
    group = get_command(build(words))
    params = group.commands[words[at]].params  # type: ignore[attr-defined]
    with_value = {name for param in params if not getattr(param, "is_flag", True) for name in param.opts}
    arguments: list[str] = []
    options: list[str] = []
    is_value = False
    for word in words[at + 1 :]:
        is_option = word.startswith("-") and len(word) > 1
        (options if is_option or is_value else arguments).append(word)
        is_value = is_option and not is_value and word in with_value
    return _Typed(tuple(words[:at]), words[at], tuple(arguments), tuple(options))


def _join_selector(count: int) -> Callable[[_Typed], _Typed | None]:
    """Mends ``churn v3`` where one selector is meant; ``count`` arguments there should be."""

    def mend(typed: _Typed) -> _Typed | None:
        if len(typed.arguments) != count + 1:
            return None
        model, what, *rest = typed.arguments
        if not _is_model(model) or not (_is_version(what) or _is_stage(what) or what == LATEST):
            return None
        if _is_stage(what) and len(rest) == 1 and _is_version(rest[0]):  # the other way round
            what, rest = rest[0], [what]
        return replace(typed, arguments=(f"{model}@{what}", *rest))

    return mend


def _join_all(typed: _Typed) -> _Typed | None:
    model = typed.arguments[0].partition("@")[0] if typed.arguments else ""
    versions = [word for word in typed.arguments if _is_version(word)]
    if not versions or not _is_model(model):
        return None
    found = [f"{model}@{word}" if word in versions else word for word in typed.arguments]
    return replace(typed, arguments=tuple(word for word in found if word != model))


def _split(typed: _Typed) -> _Typed | None:
    """Mends ``churn@v2 production`` and ``churn@production`` where a model and a stage are meant."""
    model, at, what = typed.arguments[0].partition("@") if typed.arguments else ("", "", "")
    if not at or not _is_model(model):
        return None
    stages = typed.arguments[1:] or ((what,) if _is_stage(what) else ())
    options = ("--to", what) if typed.command == "rollback" and _is_version(what) else ()
    return replace(typed, arguments=(model, *stages), options=(*options, *typed.options))


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
    "promote": _join_selector(2),
    "approve": _join_selector(2),
    "compare": _join_all,
    "rollback": _split,
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
