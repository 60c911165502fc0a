"""The models at the tip of the registry branch: of a large registry they are cached, and only what changed is read."""

from __future__ import annotations

from mreg.core.layout import Layout
from mreg.core.names import ModelName
from mreg.core.results import ModelList
from mreg.core.settings.policy import Policy
from mreg.registry.reading.answers import list_models
from mreg.registry.reading.reader import Reader
from mreg.stores.caches.models import KeptModels, find_changes, load_models, save_models

__all__ = ["list_landed"]

LARGE = 5000
"""Versions of a registry that is remembered: a smaller one is read as soon."""
FEW = 200
"""Models that are read anew for what changed; from more on, all are."""


def list_landed(reader: Reader, tip: str, policy: Policy) -> ModelList:
    """Returns one summary a model at the tip of the registry branch, as ``list_models`` does of its state."""
    kept = load_models(reader.repo)
    if kept and kept.stages == tuple(policy.stages):
        found = _catch_up(reader, kept, tip, policy)
        if found:
            return found
    result = list_models(reader, reader.state(tip, policy))
    if sum(each.versions for each in result.models) >= LARGE and not result.findings:
        (tree,) = reader.repo.resolve([f"{tip}:{policy.root}"])
        if tree:
            save_models(reader.repo, KeptModels(tree, tuple(policy.stages), result.models))
    return result


def _catch_up(reader: Reader, kept: KeptModels, tip: str, policy: Policy) -> ModelList | None:
    """Returns the models by what is kept of another tree; ``None`` where all must be read."""
    (tree,) = reader.repo.resolve([f"{tip}:{policy.root}"])
    if tree == kept.tree:
        return ModelList(kept.models, tip)
    paths = find_changes(reader.repo, kept.tree, tree) if tree else None
    changed = _find_models(paths, policy.layout) if paths is not None else None
    if tree is None or changed is None or len(changed) > FEW:
        return None
    models = {each.model: each for each in kept.models if each.model not in changed}
    if changed:
        fresh = list_models(reader, reader.state(tip, policy, sorted(changed)))
        if fresh.findings:
            return None
        models |= {each.model: each for each in fresh.models}
    result = ModelList(tuple(models[name] for name in sorted(models)), tip)
    save_models(reader.repo, KeptModels(tree, kept.stages, result.models))
    return result


def _find_models(paths: list[str], layout: Layout) -> set[ModelName] | None:
    """Returns the models whose files these are, below the registry's folder; ``None`` where one is a stray."""
    models: set[ModelName] = set()
    for path in (f"{layout.root}/{each}" for each in paths):
        place = layout.locate(path)
        if layout.is_stray(path):
            return None
        if place:
            models.add(place.model)
    return models
