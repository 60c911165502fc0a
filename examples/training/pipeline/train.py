"""Trains one classifier as params.yaml says; of the registry it knows nothing."""

import json
from pathlib import Path

import joblib
import numpy as np
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]
seed = params.pop("seed")
table = np.loadtxt("data.csv", delimiter=",")
train, test = train_test_split(table, stratify=table[:, -1], random_state=seed)

classifier = RandomForestClassifier(**params, random_state=seed).fit(train[:, :-1], train[:, -1])
chances = classifier.predict_proba(test[:, :-1])[:, 1]
metrics = {"auc": roc_auc_score(test[:, -1], chances), "log_loss": log_loss(test[:, -1], chances)}

joblib.dump(classifier, "model.joblib")
Path("metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
