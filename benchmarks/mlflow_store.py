"""MLflow's registry on SQLite with the same content: run by the Python of ``benchmarks.peers``, with nothing of mreg's.

    python mlflow_store.py fill|list|versions|list-model|show|promote DATABASE [VERSIONS MODELS]

Rows are written by MLflow's own table classes: through its client 10 000 versions would take minutes.  Each other verb
is what a program does with MLflow's client, as close to mreg's command of that name as there is.
"""

import itertools
import sys

from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

START_MS = 1_700_000_000_000
MODEL = "model-0000"
PAGE = 1000


def main() -> None:
    """Does what the arguments say."""
    verb, database, *rest = sys.argv[1:]
    uri = f"sqlite:///{database}"
    if verb == "fill":
        fill(uri, *map(int, rest))
        return
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if verb == "list":
        models = pages(lambda token: client.search_registered_models(max_results=PAGE, page_token=token))
        print(sum(len(model.aliases) for model in models))
    elif verb == "versions":
        found = pages(lambda token: client.search_model_versions("", max_results=PAGE, page_token=token))
        print(sum(float(version.tags["auc"]) for version in found))
    elif verb == "list-model":
        query = f"name='{MODEL}'"
        print(len(list(pages(lambda token: client.search_model_versions(query, max_results=PAGE, page_token=token)))))
    elif verb == "show":
        print(client.get_model_version_by_alias(MODEL, "production").tags)
    elif verb == "promote":
        newest = max(int(each.version) for each in client.search_model_versions(f"name='{MODEL}'"))
        client.set_registered_model_alias(MODEL, "production", str(newest))


def pages(search):  # noqa: ANN001, ANN201 - runs without mreg's checks
    """Yields what all pages hold."""
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def fill(uri: str, versions: int, models: int) -> None:
    """Writes the models, their versions with metrics as tags, and an alias for each stage."""
    store = SqlAlchemyStore(uri)
    names = [f"model-{number:04}" for number in range(models)]
    with store.ManagedSessionMaker() as session:
        session.bulk_save_objects(SqlRegisteredModel(name=name, creation_time=START_MS) for name in names)
        rows = (
            SqlModelVersion(
                name=names[index % models],
                version=index // models + 1,
                creation_time=START_MS + index,
                last_updated_time=START_MS + index,
                source=f"s3://models/{index}",
                status="READY",
            )
            for index in range(versions)
        )
        tags = (
            SqlModelVersionTag(name=names[index % models], version=index // models + 1, key=key, value=value)
            for index in range(versions)
            for key, value in (("auc", str(0.8 + index % 1000 / 10_000)), ("latency_ms", str(10 + index % 7)))
        )
        for batch in itertools.chain(batches(rows), batches(tags)):
            session.bulk_save_objects(batch)
        newest = versions // models
        session.bulk_save_objects(
            SqlRegisteredModelAlias(name=name, alias=alias, version=max(1, newest - back))
            for name in names
            for alias, back in (("staging", 0), ("production", 1))
        )


def batches(rows):  # noqa: ANN001, ANN201
    """Yields lists of 5000."""
    while batch := list(itertools.islice(rows, 5000)):
        yield batch


if __name__ == "__main__":
    main()
