"""What the shell offers behind Tab: names out of the registry, read without DVC; nothing where there is none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING

import typer

from mreg.cli.place import directory_of
from mreg.core.names import ARCHIVED
from mreg.errors import MregError
from mreg.render.text import order_stages

if TYPE_CHECKING:
    from mreg.registry.api.queries import Queries

__all__ = [
    "COMPLETING",
    "mend_bash_words",
    "metrics",
    "models",
    "selectors",
    "stages",
    "stages_and_archive",
    "versions",
    "words_before",
]

COMPLETING = "_MREG_COMPLETE"
"""The variable by which a shell asks for completions."""
_TYPED_BEFORE = "_MREG_TYPED_BEFORE"
"""What of the word under the cursor stands before that which bash completes."""


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the models that begin with what was typed."""
    return _matching(context, lambda registry: [each.model for each in registry.list().models], incomplete)


def stages(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the stages that begin with what was typed."""
    return _matching(context, lambda registry: list(registry.policy.stages), incomplete)


def stages_and_archive(context: typer.Context, incomplete: str) -> list[str]:
    """Returns what ``history`` takes for a stage."""
    return _matching(context, lambda registry: [*registry.policy.stages, ARCHIVED], incomplete)


def selectors(context: typer.Context, incomplete: str) -> list[str]:
    """Returns models, and behind an ``@`` the stages that hold a version, and the versions."""
    before = os.environ.get(_TYPED_BEFORE, "")
    name, at, _ = (before + incomplete).partition("@")
    if not at:
        return models(context, incomplete)
    found = _matching(context, lambda registry: [f"{name}@{end}" for end in _endings(registry, name)], before)
    return [selector.removeprefix(before) for selector in found if selector.startswith(before + incomplete)]


def versions(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the versions of the model that was typed before, newest first."""
    return _matching(context, lambda registry: _versions(registry, _model(context)), incomplete)


def metrics(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the metrics of the model that was typed before, also behind a comma."""
    before, comma, _ = incomplete.rpartition(",")
    return _matching(
        context, lambda registry: [f"{before}{comma}{each}" for each in _metrics(registry, _model(context))], incomplete
    )


def words_before(environ: Mapping[str, str]) -> list[str]:
    """Returns the words that were typed before the one that a shell completes, without the program's name."""
    if environ.get(COMPLETING, "").endswith("bash"):
        cursor = environ.get("COMP_CWORD", "")
        return environ.get("COMP_WORDS", "").split("\n")[1 : int(cursor) if cursor.isdecimal() else 1]
    # Others split at white space: what stands behind the last is the word that is completed, and may be empty.
    return re.split(r"\s+", environ.get("_TYPER_COMPLETE_ARGS", ""))[1:-1]


def mend_bash_words(environ: MutableMapping[str, str]) -> None:
    """Joins what bash has split: to it, ``churn@v3`` is three words, and it completes the last of them alone."""
    words = environ.get("COMP_WORDS", "").split("\n")
    cursor = environ.get("COMP_CWORD", "")
    if environ.get(COMPLETING) != "complete_bash" or not cursor.isdecimal() or "@" not in words:
        return
    typed = words[: int(cursor) + 1]
    joined: list[str] = []
    for before, word in zip(["", *typed], typed, strict=False):
        if joined and "@" in {before, word}:
            joined[-1] += word
        else:
            joined.append(word)
    if "@" in typed[-2:]:
        incomplete = "" if typed[-1] == "@" else typed[-1]
        environ[_TYPED_BEFORE] = joined[-1].removesuffix(incomplete)
        joined[-1] = incomplete
    environ["COMP_WORDS"] = "\n".join(joined)
    environ["COMP_CWORD"] = str(len(joined) - 1)


def _endings(registry: Queries, model: str) -> list[str]:
    versions = registry.versions(model).versions
    held = order_stages((stage for each in versions for stage in each.stages), registry.policy)
    return [*held, *(str(each.version) for each in versions)]


def _model(context: typer.Context) -> str:
    # Behind an option that waits for its value, the arguments are not parsed yet.
    return str(context.params.get("model") or next(iter(context.args), ""))


def _versions(registry: Queries, model: str) -> list[str]:
    return [str(each.version) for each in registry.versions(model).versions]


def _metrics(registry: Queries, model: str) -> list[str]:
    records = [each.record for each in registry.versions(model).versions]
    return sorted({metric for record in records if record for metric in record.metrics})


def _matching(context: typer.Context, find: Callable[[Queries], list[str]], incomplete: str) -> list[str]:
    from mreg.registry.api.queries import Queries

    try:
        return [name for name in find(Queries.snapshot(directory_of(context))) if name.startswith(incomplete)]
    except (MregError, OSError):
        return []
