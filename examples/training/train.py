"""Trains a classifier with several settings, registers each run, and puts the best version into production.

    python examples/training/train.py --registry path/to/repository

The repository must be a model registry (``mreg init``) with the stages ``staging`` and ``production``.
"""
# ruff: noqa: T201 - a script talks to whoever runs it

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import joblib
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

from mreg import Registry

RUNS = (
    {"n_estimators": 5, "max_depth": 1},
    {"n_estimators": 50, "max_depth": 4},
    {"n_estimators": 20, "max_depth": 2},
)


def main() -> None:
    """Runs the whole of it."""
    parser = argparse.ArgumentParser(description="Train, register each run, promote the best.")
    parser.add_argument("--registry", default=".", help="a directory of the registry's repository (default: here)")
    parser.add_argument("--model", default="breast-cancer", help="the model's name (default: %(default)s)")
    options = parser.parse_args()

    registry = Registry.open(options.registry)
    features, labels = load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(features, labels, stratify=labels, random_state=0)

    selectors = []
    for params in RUNS:
        classifier = RandomForestClassifier(**params, random_state=0).fit(train_x, train_y)
        chances = classifier.predict_proba(test_x)[:, 1]
        metrics = {"auc": roc_auc_score(test_y, chances), "log_loss": log_loss(test_y, chances)}
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.joblib"
            joblib.dump(classifier, path)
            receipt = registry.register(
                options.model,
                path,
                metrics=metrics,
                params=params,
                dataset=f"breast-cancer@scikit-learn-{sklearn.__version__}",
                notes="random forest",
            )
        selectors.append(f"{options.model}@{receipt.version}")
        print(f"registered {selectors[-1]}: AUC {metrics['auc']:.4f}, log loss {metrics['log_loss']:.4f}")

    comparison = registry.compare(*selectors, higher=["auc"], lower=["log_loss"])
    for name, metric in comparison.metrics.items():
        print(f"best {name} of these runs: {metric.best}")

    # Of all versions, those of earlier runs too; where the best ones tie, the one in production stays.
    choice = registry.best(options.model, by=["auc:higher", "log_loss:lower"], stage="production")
    reason = choice.reasons[0]
    for stage in ("staging", "production"):
        registry.promote(f"{options.model}@{choice.version}", stage, reason=reason)
    print(f"{options.model} {choice.version} is in production: {reason}")


if __name__ == "__main__":
    main()
