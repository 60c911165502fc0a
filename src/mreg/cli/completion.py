"""What the shell offers behind Tab: names out of the registry, read without DVC; nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mreg.errors import MregError

if TYPE_CHECKING:
    from mreg.core.results import ModelList
    from mreg.registry.queries import Queries

__all__ = ["models", "selectors", "stages"]


def models(incomplete: str) -> list[str]:
    """Returns the models that begin with what was typed."""
    return _matching(lambda registry: [each.model for each in registry.list().models], incomplete)


def stages(incomplete: str) -> list[str]:
    """Returns the stages that begin with what was typed."""
    return _matching(lambda registry: list(registry.policy.stages), incomplete)


def selectors(incomplete: str) -> list[str]:
    """Returns models, and behind an ``@`` the versions and the stages that hold one."""
    name, at, _ = incomplete.partition("@")
    if not at:
        return models(incomplete)
    return _matching(lambda registry: [f"{name}@{ending}" for ending in _endings(registry, name)], incomplete)


def _endings(registry: Queries, name: str) -> list[str]:
    stages_in_use = _stages_of(registry.list(), name)
    return [*stages_in_use, *(str(each.version) for each in registry.versions(name).versions)]


def _stages_of(models_found: ModelList, name: str) -> list[str]:
    return [stage for each in models_found.models if each.model == name for stage, held in each.stages.items() if held]


def _matching(find: Callable[[Queries], list[str]], incomplete: str) -> list[str]:
    from mreg.registry.queries import Queries

    try:
        return [name for name in find(Queries.open()) if name.startswith(incomplete)]
    except MregError:
        return []
