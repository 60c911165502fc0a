"""The training examples, run as a user would: in a fresh registry, then served from another clone.

The jobs of a CI are run by ``tests/actions/test_training.py``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from mreg import Registry
from mreg.core.results import Check
from mreg.registry.setup import hosting
from mreg.registry.setup.workflows import examine_workflows
from tests.conftest import Git, Mreg

EXAMPLES = Path(__file__).parents[1] / "examples"
TRAINING = EXAMPLES / "training"
SCRIPT = TRAINING / "train.py"
MODEL = "breast-cancer"

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(repo: Path, tmp_path: Path, mreg_here: Mreg, git: Git) -> Path:
    """The registry that the example has filled."""
    mreg_here("init", "--remote", str(tmp_path / "remote"), check=0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run_example(repo, cwd=elsewhere)
    assert list(elsewhere.iterdir()) == []
    assert git("status", "--porcelain", cwd=repo) == ""
    return repo


def run_example(registry: Path, *, cwd: Path) -> None:
    subprocess.run([sys.executable, str(SCRIPT), "--registry", str(registry)], cwd=cwd, check=True)


def test_example_training_registers_each_run_and_promotes_the_best(trained: Path, mreg_here: Mreg, git: Git) -> None:
    registry = Registry.open(trained)
    versions = registry.versions(MODEL).versions
    records = [each.record for each in reversed(versions) if each.record]
    assert [str(record.version) for record in records] == ["v1.0.0", "v2.0.0", "v3.0.0"]
    assert len({tuple(record.params.items()) for record in records}) == 3
    assert all(record.artifact.format == "joblib" for record in records)
    assert all(set(record.params) == {"n_estimators", "max_depth"} for record in records)
    best = max(records, key=lambda record: record.metrics["auc"])
    assert best not in (records[0], records[-1])  # neither the first nor the newest would do
    assert all(0.9 < record.metrics["auc"] <= 1 and 0 < record.metrics["log_loss"] < 1 for record in records)

    listed = json.loads(mreg_here("list", "--format", "json", check=0).out)
    assert listed["models"] == [
        {
            "model": MODEL,
            "latest": "v3.0.0",
            "versions": 3,
            "stages": {"staging": str(best.version), "production": str(best.version)},
            "archived": 0,
            "holds": [],
            "unreadable": [],
        }
    ]
    moves = registry.history(MODEL).transitions
    assert [(move.stage, move.target) for move in moves] == [("production", best.version), ("staging", best.version)]
    assert all(f"{best.metrics['auc']:.6g}" in move.reason for move in moves)
    assert len(git("tag", "--list").splitlines()) == 5

    # Once more: three new versions, as good as the first three, so the one in production stays.
    run_example(trained, cwd=trained)
    assert registry.list().models[0].versions == 6
    assert registry.show(f"{MODEL}@production").record.version == best.version


def test_example_training_another_clone_serves_the_same_predictions(
    trained: Path, tmp_path: Path, mreg_here: Mreg, git: Git
) -> None:
    git("clone", "--quiet", str(trained), str(tmp_path / "clone"))
    pulled = tmp_path / "served.joblib"
    mreg_here("pull", f"{MODEL}@production", "-o", str(pulled), cwd=tmp_path / "clone", check=0)
    features, labels = load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(features, labels, stratify=labels, random_state=0)
    record = Registry.open(trained).show(f"{MODEL}@production").record
    trained_here = RandomForestClassifier(**record.params, random_state=0).fit(train_x, train_y)
    served = joblib.load(pulled)
    assert (served.predict_proba(test_x) == trained_here.predict_proba(test_x)).all()
    assert served.score(test_x, test_y) > 0.9


def test_example_pipeline_registers_by_a_stage_of_its_own_as_the_readme_says(
    repo: Path, tmp_path: Path, mreg_here: Mreg, git: Git
) -> None:
    [stage] = re.findall(r"```yaml\n(  register:\n.*?)```", (EXAMPLES / "README.md").read_text(), re.DOTALL)
    for file in (TRAINING / "pipeline").iterdir():
        shutil.copy(file, repo)
    pipeline = Path("dvc.yaml")
    pipeline.write_text(pipeline.read_text() + stage)
    git("add", "--all")
    git("commit", "--quiet", "--message=Add the pipeline")
    mreg_here("init", "--remote", str(tmp_path / "remote"), check=0)
    start = git("rev-parse", "HEAD")
    subprocess.run(["dvc", "repro", "--quiet"], check=True)

    record = Registry.open(repo).show(MODEL).record
    assert record.code is not None
    assert record.code.commit == start
    assert "dvc.lock" not in git("ls-tree", "--name-only", start).split()  # what the README has against it
    assert record.dataset is not None
    assert record.dataset.path == "data.csv"
    assert set(record.metrics) == {"auc", "log_loss"}
    assert dict(record.params) == {"train.n_estimators": 20, "train.max_depth": 4, "train.seed": 0}
    assert git("status", "--porcelain").split() == ["??", ".gitignore", "??", "dvc.lock", "??", "metrics.json"]
    again = subprocess.run(
        ["dvc", "repro", "--force", "--single-item", "register"], capture_output=True, encoding="utf-8", check=False
    )
    assert again.returncode != 0
    assert "nothing was registered" in again.stderr
    assert Registry.open(repo).list().models[0].versions == 1


def test_example_jobs_pass_the_schemas_and_zizmor() -> None:
    workflow, jobs = TRAINING / "github" / "train.yml", TRAINING / "gitlab" / "train.gitlab-ci.yml"
    for command in (
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow),
        ("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", jobs),
        ("zizmor", "--offline", "--no-progress", "--quiet", workflow),
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stdout
    text = workflow.read_text(encoding="utf-8")
    [checkout] = re.findall(r"actions/checkout@.*", text)
    assert checkout == hosting._CHECKOUT  # as pinned in what `mreg init --github` writes
    assert all(check.ok for check in examine(workflow))


def examine(workflow: Path) -> tuple[Check, ...]:
    """What ``mreg doctor --ci`` says of a workflow."""
    folder = Path.cwd() / "ci"
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    (folder / ".github" / "workflows").mkdir(parents=True)
    shutil.copy(workflow, folder / ".github" / "workflows")
    return examine_workflows(folder).checks
