"""The migration from MLflow, run as a user would: against real MLflow, with its data in SQLite and in a folder.

``pip install mlflow-skinny sqlalchemy alembic`` makes it run.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mreg import Dataset, Registry, Run
from mreg.core.names import StageName
from tests.conftest import Git

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when it is imported
mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
pytest.importorskip("sqlalchemy", reason="MLflow's local store wants sqlalchemy")
pytest.importorskip("alembic", reason="MLflow's local store wants alembic")

FOLDER = Path(__file__).parents[1] / "examples" / "migrate_mlflow"
SCRIPT = FOLDER / "migrate.py"

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # MLflow's own warnings


class Store:
    """A real MLflow store, filled by its client as training scripts fill it."""

    def __init__(self, database: Path, folder: Path) -> None:
        self.uri, self.folder = f"sqlite:///{database}", folder
        self.client: Any = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        known = self.client.get_experiment_by_name("risk")
        self.experiment = (
            known.experiment_id if known else self.client.create_experiment("risk", f"file://{folder}/runs")
        )

    def train(self, model: str, stage: str = "", metrics: dict[str, float] | None = None, **params: object) -> None:
        """Adds a version with a run of its own."""
        tags = {"mlflow.source.git.commit": "4f1c", "team": "risk"}
        run_id = self.client.create_run(self.experiment, tags=tags).info.run_id
        for name, value in (metrics or {}).items():
            self.client.log_metric(run_id, name, value)
        for name, param in params.items():
            self.client.log_param(run_id, name, param)
        trained = self.folder / "trained"
        trained.mkdir(exist_ok=True)
        (trained / "MLmodel").write_text(f"run_id: {run_id}\n", encoding="utf-8")
        (trained / "python_env.yaml").write_text(
            "python: 3.11.7\ndependencies:\n- -r requirements.txt\n", encoding="utf-8"
        )
        (trained / "requirements.txt").write_text("mlflow==3.17.2\nscikit-learn==1.7.2\npandas\n", encoding="utf-8")
        self.client.log_artifacts(run_id, str(trained), "model")
        self.client.set_terminated(run_id)
        source = f"{self.client.get_run(run_id).info.artifact_uri}/model"
        described: Any = {"description": "October", "tags": {"api_token": "hunter2"}}
        found = self.client.create_model_version(model, source, run_id, **described)
        if stage:
            self.move(model, int(found.version), stage)

    def move(self, model: str, version: int, stage: str) -> None:
        """Puts a version into a stage."""
        self.client.transition_model_version_stage(model, str(version), stage)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models; version 2 of the first was deleted."""
    folder = tmp_path_factory.mktemp("mlflow")
    store = Store(folder / "mlflow.db", folder)
    store.client.create_registered_model("Churn Model")
    store.train("Churn Model", "Archived", {"auc": 0.8})
    store.train("Churn Model")
    store.client.delete_model_version("Churn Model", "2")
    store.train("Churn Model", "Production", {"auc": 0.9, "loss": float("nan"), "top k": 3}, depth=3, rate="1.10")
    store.train("Churn Model", "Staging", {"auc": 0.91}, boot=True, weights=None, api_key="abc", kind="gbm")
    store.client.set_registered_model_alias("Churn Model", "champion", "4")
    store.client.create_registered_model("fraud")
    store.train("fraud", "Production")
    return folder


@pytest.fixture
def store(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of its own: making the tables takes seconds."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    shutil.copy(filled / "mlflow.db", tmp_path)
    return Store(tmp_path / "mlflow.db", filled)


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    return Registry.init(repo, remote=tmp_path / "remote")


def migrate(store: Store, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--tracking-uri", store.uri, *options]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def actions(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if not line.startswith(" ")]


def test_migrate_brings_versions_stages_and_what_runs_tell(store: Store, registry: Registry, git: Git) -> None:
    dry = migrate(store, "--dry-run")
    assert git("rev-list", "--count", "HEAD") == "2"
    done = migrate(store)
    assert actions(done) == actions(dry)
    assert "  left out: metadata: 'mlflow.tag.api_token' is named like a secret" in done.stdout
    assert "  left out: params: 'api_key' is named like a secret" in done.stdout

    held = {model.model: {stage: str(version) for stage, version in model.stages.items()} for model in registry.list()}
    assert held == {
        "churn-model": {"staging": "v4.0.0", "production": "v3.0.0"},
        "fraud": {"staging": "None", "production": "v1.0.0"},
    }
    assert [str(each.version) for each in registry.versions("churn-model")] == ["v4.0.0", "v3.0.0", "v1.0.0"]
    assert registry.show("churn-model@v1").archived is not None
    record = registry.show("churn-model@production").record
    assert (dict(record.metrics), dict(record.params)) == ({"auc": 0.9, "top k": 3.0}, {"depth": 3, "rate": "1.10"})
    assert dict(registry.show("churn-model@v4").record.params) == {"boot": True, "weights": None, "kind": "gbm"}
    assert record.environment is not None
    assert (record.environment.python, dict(record.environment.packages)["scikit-learn"]) == ("3.11.7", "1.7.2")
    assert record.code is not None
    assert (record.code.commit, record.run, record.notes) == ("4f1c", Run("mlflow"), "October")
    origin = store.client.get_model_version("Churn Model", "3")
    created = datetime.fromtimestamp(origin.creation_timestamp // 1000, timezone.utc)
    assert dict(record.metadata) == {
        "mlflow.model": "Churn Model",
        "mlflow.version": 3,
        "mlflow.run_id": origin.run_id,
        "mlflow.source": origin.source,
        "mlflow.tag.team": "risk",
        "mlflow.created": created.isoformat(),
    }
    pulled = registry.pull("churn-model@production", "served").path
    assert (pulled / "MLmodel").read_text() == f"run_id: {origin.run_id}\n"
    assert registry.verify().ok


def test_migrate_again_brings_only_what_is_new(store: Store, registry: Registry, git: Git) -> None:
    migrate(store)
    tip = git("rev-parse", "HEAD")
    assert migrate(store).stdout == ""
    assert git("rev-parse", "HEAD") == tip
    store.train("fraud", stage="Production", metrics={"auc": 0.7})
    store.move("Churn Model", 3, "Staging")
    store.move("Churn Model", 4, "Production")
    assert actions(migrate(store)) == [
        "promote churn-model@v3.0.0 to staging",
        "promote churn-model@v4.0.0 to production",
        "register fraud@v2.0.0: version 2 of fraud",
        "promote fraud@v2.0.0 to production",
    ]
    registry.rollback("fraud", "production", reason="it was worse")
    assert migrate(store).stdout == "  fraud production stays as ada@example.com left it in mreg: it was worse\n"
    assert str(registry.show("fraud@production").record.version) == "v1.0.0"


def test_migrate_names_and_aliases_are_chosen(store: Store, registry: Registry) -> None:
    migrate(store, "--model", "Churn Model", "--rename", "Churn Model=churn", "--alias", "champion=production")
    (found,) = registry.list()
    assert (found.model, str(found.stages[StageName("production")])) == ("churn", "v4.0.0")


def test_migrate_model_that_cannot_go_in_hinders_no_other(store: Store, registry: Registry, model_file: Path) -> None:
    registry.register("churn-model", model_file)
    done = migrate(store, code=1)
    assert "error: Churn Model: churn-model v1.0.0 did not come from Churn Model" in done.stderr
    assert "hint: --rename 'Churn Model=NEW'" in done.stderr
    assert str(registry.show("fraud@production").record.version) == "v1.0.0"


def test_migrate_is_a_short_script() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 150


def test_migrate_readme_names_every_option() -> None:
    options = set(re.findall(r'add_argument\("(--[a-z-]+)"', SCRIPT.read_text(encoding="utf-8")))
    assert options <= set(re.findall(r"--[a-z-]+", (FOLDER / "README.md").read_text(encoding="utf-8")))


def test_migrate_dataset_of_a_run_is_that_of_the_version(store: Store, registry: Registry) -> None:
    entities = importlib.import_module("mlflow.entities")
    run_id = store.client.get_model_version("fraud", "1").run_id
    logged = entities.Dataset("customers", "a1b2c3", "local", "data/train.parquet")
    store.client.log_inputs(run_id, [entities.DatasetInput(logged, [])])
    migrate(store, "--model", "fraud")
    assert registry.show("fraud").record.dataset == Dataset("customers", "a1b2c3")
