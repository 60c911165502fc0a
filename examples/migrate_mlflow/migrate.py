"""Moves the models of an MLflow registry into mreg: versions in their order, then what is in which stage.

    python migrate.py --tracking-uri http://mlflow.example.com:5000 --registry path/to/clone --dry-run

It may be run again at any time: only what is new goes in.  README.md says what is kept, and what is not.
"""
# ruff: noqa: T201, TC002 - a script talks to whoever runs it, and imports MLflow anyway

from __future__ import annotations

import argparse
import ast
import math
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from mreg import Code, Dataset, Environment, Receipt, Registry, Run, Version
from mreg.errors import MregError, UsageError

ENVIRONMENT = {"python_env.yaml": r"^python: (\S+)", "requirements.txt": r"^([\w.-]+)==([^\s;]+)"}
ORIGIN = "MLflow:"  # begins the reason of every promotion that this script makes


def main() -> int:
    """Migrates the models that were asked for, and returns 1 where one could not be."""
    parser = argparse.ArgumentParser(description="Move the models of an MLflow registry into mreg.")
    parser.add_argument("--tracking-uri", required=True, help="where MLflow keeps runs and models: a URL, sqlite:///…")
    parser.add_argument("--registry", default=".", help="a clone of the mreg registry (default: here)")
    parser.add_argument("--model", action="append", help="only this model of MLflow; may be repeated")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="a model's name in mreg")
    parser.add_argument("--alias", action="append", default=[], metavar="ALIAS=STAGE", help="the stage of an alias")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    options = parser.parse_args()
    mlflow.set_tracking_uri(options.tracking_uri)
    registry, failed = Registry.open(options.registry), False
    renames, aliases = (dict(each.split("=", 1) for each in pairs) for pairs in (options.rename, options.alias))
    for model in pages(mlflow.MlflowClient().search_registered_models):
        name = renames.get(model.name) or re.sub(r"[^a-z0-9/]+", "-", model.name.lower()).strip("-")
        try:
            if not options.model or model.name in options.model:
                migrate(registry, model, name, aliases, dry_run=options.dry_run)
        except MregError as error:  # what comes after it in this model would be out of order; other models are not
            print(f"error: {model.name}: {error}\n hint: {error.hint}", file=sys.stderr)
            failed = True
    return int(failed)


def migrate(registry: Registry, model: RegisteredModel, name: str, aliases: dict[str, str], *, dry_run: bool) -> None:
    """Registers the versions of one model that are new, then promotes and archives what MLflow does."""
    is_known, wanted = any(each.model == name for each in registry.list()), {}
    there = {each.version: each.record for each in registry.versions(name)} if is_known else {}
    found = pages(mlflow.MlflowClient().search_model_versions, filter_string=f"name='{model.name}'")
    for each in sorted((each for each in found if each.status == "READY"), key=lambda each: int(each.version)):
        version = Version(int(each.version))
        if (record := there.get(version)) and record.metadata.get("mlflow.model") != model.name:
            raise UsageError(f"{name} {version} did not come from {model.name}", hint=f"--rename '{model.name}=NEW'")
        if version not in there:
            print(f"register {name}@{version}: version {each.version} of {model.name}")
            if not dry_run:
                register(registry, name, version, each)
                if each.current_stage == "Archived":
                    registry.archive(f"{name}@{version}", reason=f"{ORIGIN} {each.current_stage}")
        if each.current_stage in ("Staging", "Production"):  # of several in one stage, the newest
            wanted[each.current_stage.lower()] = (version, each.current_stage)
    wanted |= {aliases[alias]: (Version(int(at)), alias) for alias, at in model.aliases.items() if alias in aliases}
    for stage, (version, why) in wanted.items():
        moves = registry.history(name, stage).transitions if is_known or not dry_run else ()
        if moves and not moves[0].reason.startswith(ORIGIN):
            print(f"  {name} {stage} stays as {moves[0].by} left it in mreg: {moves[0].reason}")
        elif not moves or moves[0].target != version:
            print(f"promote {name}@{version} to {stage}")
            if not dry_run:
                registry.promote(f"{name}@{version}", stage, reason=f"{ORIGIN} {why}")


def register(registry: Registry, name: str, version: Version, found: ModelVersion) -> Receipt:
    """Registers one version, without the values that no record may hold, such as passwords."""
    client = mlflow.MlflowClient()
    facts = tell(found, client.get_run(found.run_id) if found.run_id else None)
    with tempfile.TemporaryDirectory() as folder:
        uri = client.get_model_version_download_uri(found.name, str(found.version))
        path = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        told = [file.read_text() for name in ENVIRONMENT if (file := path / name).is_file()]
        python, packages = (re.findall(each, "\n".join(told), re.MULTILINE) for each in ENVIRONMENT.values())
        facts["environment"] = Environment("".join(python), dict(packages))
        while True:
            try:
                return registry.register(name, path, version=version, force=True, **facts)
            except UsageError as error:
                where, key = (str(error.details.get(each)) for each in ("where", "key"))
                if key not in facts.get(where, {}):
                    raise
                print(f"  left out: {error}")
                del facts[where][key]


def tell(found: ModelVersion, run: MlflowRun | None) -> dict[str, Any]:
    """Returns what MLflow tells of a version, and of the run that trained it."""
    origin = {"model": found.name, "version": int(found.version), "run_id": found.run_id, "source": found.source}
    tags = {**(run.data.tags if run else {}), **found.tags}
    origin |= {f"tag.{clean(key)}": value for key, value in tags.items() if not key.startswith("mlflow.")}
    origin["created"] = datetime.fromtimestamp(found.creation_timestamp // 1000, timezone.utc)
    metadata = {f"mlflow.{key}": value for key, value in origin.items() if value}
    facts = {"notes": found.description or "", "metadata": metadata, "code": Code()}
    if run is None:
        return facts
    host = re.sub(r"//[^/@]*@", "//", mlflow.get_tracking_uri()).rstrip("/")
    page = f"{host}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" if host.startswith("http") else ""
    return facts | {
        "metrics": {clean(name): value for name, value in run.data.metrics.items() if math.isfinite(value)},
        "params": {clean(name): as_value(text) for name, text in run.data.params.items()},
        "dataset": next((Dataset(each.dataset.name, each.dataset.digest) for each in run.inputs.dataset_inputs), None),
        "trained_at": datetime.fromtimestamp((run.info.end_time or run.info.start_time) // 1000, timezone.utc),
        "code": Code(tags.get("mlflow.source.git.commit", ""), entrypoint=tags.get("mlflow.source.name", "")),
        "run": Run("mlflow", page),
    }


def as_value(text: str) -> object:
    """Returns the number, or true, false or nothing, that ``str`` made this text of; any other text as it is."""
    with suppress(SyntaxError, ValueError):
        if str(value := ast.literal_eval(text)) == text and (value is None or isinstance(value, int | float)):
            return value
    return text


def clean(name: str) -> str:
    """Returns a name that a record may hold."""
    return re.sub(r"[^\w\-./@% ]", "_", name)[:80].strip()


def pages(search: Callable[..., Any], **asked: str) -> Iterator[Any]:
    """Yields all that a search of MLflow's finds."""
    yield from (page := search(**asked))
    if page.token:
        yield from pages(search, **{**asked, "page_token": page.token})


if __name__ == "__main__":
    sys.exit(main())
