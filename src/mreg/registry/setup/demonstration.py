"""What ``mreg demo`` needs: a scratch repository, and a model that is really trained, with the standard library."""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from mreg.errors import UsageError
from mreg.stores.git.runner import GitRunner

__all__ = ["Scratch", "prepare", "train"]

_CUSTOMERS = 1500
_FEATURES = ("tenure", "charges", "calls", "age")
_TRUE_WEIGHTS = (-1.4, 0.9, 1.7, 0.1)

Row = tuple[tuple[float, ...], int]


class Scratch(Struct, frozen=True):
    """Where a demonstration takes place."""

    repository: Path
    remote: Path


def prepare(directory: Path | None) -> Scratch:
    """Makes an empty Git repository and a directory for the DVC remote.

    Raises:
        UsageError: The directory is there already and not empty.
    """
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="mreg-demo-"))
    elif directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty", hint="mreg demo   # makes a new temporary directory")
    scratch = Scratch(directory.resolve() / "registry", directory.resolve() / "dvc-remote")
    scratch.repository.mkdir(parents=True)
    scratch.remote.mkdir()
    git = GitRunner(scratch.repository)
    git.run("init", "--quiet", "--initial-branch=main")
    for key, value in (("user.name", "Mreg Demo"), ("user.email", "demo@example.com")):
        git.run("config", key, value)
    return scratch


def train(scratch: Scratch, *, epochs: float, rate: float) -> tuple[str, str]:
    """Trains a logistic regression on made-up customers, and writes it and its metrics as JSON.

    Returns:
        The names of the metrics file and of the model file in the repository.
    """
    train_rows, test_rows = _customers()
    weights = [0.0] * (len(_FEATURES) + 1)
    for _ in range(int(epochs)):
        gradient = [0.0] * len(weights)
        for features, label in train_rows:
            error = _predict(weights, features) - label
            for index, value in enumerate((1.0, *features)):
                gradient[index] += error * value
        weights = [weight - rate * slope / len(train_rows) for weight, slope in zip(weights, gradient, strict=True)]
    scores = [(_predict(weights, features), label) for features, label in test_rows]
    metrics = {"auc": round(_auc(scores), 4), "log_loss": round(_log_loss(scores), 4)}
    names = ("metrics.json", "model.json")
    (scratch.repository / names[0]).write_text(json.dumps(metrics) + "\n")
    model = {"features": list(_FEATURES), "intercept": weights[0], "weights": weights[1:]}
    (scratch.repository / names[1]).write_text(json.dumps(model, indent=1) + "\n")
    return names


@lru_cache(maxsize=1)
def _customers() -> tuple[Sequence[Row], Sequence[Row]]:
    chance = random.Random(2026)  # noqa: S311 - made-up data, the same each time
    rows: list[Row] = []
    for _ in range(_CUSTOMERS):
        features = tuple(chance.gauss(0, 1) for _ in _FEATURES)
        logit = sum(weight * value for weight, value in zip(_TRUE_WEIGHTS, features, strict=True)) - 0.3
        rows.append((features, int(chance.random() < _sigmoid(logit))))
    split = _CUSTOMERS * 2 // 3
    return rows[:split], rows[split:]


def _predict(weights: Sequence[float], features: Sequence[float]) -> float:
    return _sigmoid(weights[0] + sum(weight * value for weight, value in zip(weights[1:], features, strict=True)))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _auc(scores: Sequence[tuple[float, int]]) -> float:
    positives = [score for score, label in scores if label]
    negatives = [score for score, label in scores if not label]
    wins = sum((high > low) + (high == low) / 2 for high in positives for low in negatives)
    return wins / (len(positives) * len(negatives))


def _log_loss(scores: Sequence[tuple[float, int]]) -> float:
    return -sum(math.log(score if label else 1 - score) for score, label in scores) / len(scores)
