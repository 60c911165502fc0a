"""Makes a registry of any size in mreg's real format, through ``git fast-import``.

    python benchmarks/generate.py DIRECTORY --versions 1000 --models 20

Each version is registered and promoted to staging, every third one to production: the commits are those that mreg
writes, and ``mreg sync`` makes the tags.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

from mreg.core.fields import Plain
from mreg.core.history import Action
from mreg.core.layout import Layout
from mreg.core.manifest import StageEntry, format_stage
from mreg.core.names import ModelName, StageName, Version
from mreg.core.record import Artifact, Code, Dataset, Record, format_record
from mreg.core.tags import transition_subject
from mreg.stores import yaml
from mreg.stores.pointer import format_pointer

LAYOUT = Layout()
START = 1_700_000_000
WHO = "Bench <bench@example.com>"
STAGES = (StageName("staging"), StageName("production"))


def generate(folder: Path, *, versions: int, models: int) -> None:
    """Makes the repository, with its tags."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "config", "user.name", "Bench")
    _git(folder, "config", "user.email", "bench@example.com")
    feed = b"".join(_commits(versions, models))
    _git(folder, "fast-import", "--quiet", stdin=feed)
    _git(folder, "reset", "--quiet", "--hard", "main")
    subprocess.run([sys.executable, "-m", "mreg", "-C", folder, "sync"], check=True, stdout=subprocess.DEVNULL)
    _git(folder, "pack-refs", "--all")
    _git(folder, "repack", "-adq")


def _commits(versions: int, models: int) -> Iterator[bytes]:
    names = [ModelName(f"model-{number:04}") for number in range(models)]
    entries = {name: {"path": LAYOUT.artifact(name, "model.bin"), "type": "model"} for name in names}
    first = {
        "registry.yaml": b"schema: 1\n",
        ".dvc/config": b"[core]\n    analytics = false\n",
        "dvc.yaml": yaml.dump({"artifacts": entries}).encode(),
    }
    clock = START
    yield _commit(clock, "Make this repository a model registry", first)
    held: dict[tuple[ModelName, StageName], Version] = {}
    for index in range(versions):
        model, version = names[index % models], Version(index // models + 1)
        clock += 60
        yield _commit(clock, f"Register {model} {version}", _registration(model, version, index, clock))
        for stage in STAGES if index // models % 3 == 0 else STAGES[:1]:
            clock += 60
            source = held.get((model, stage))
            subject = transition_subject(Action.PROMOTE, model, stage, source, version)
            document = format_stage(_entry(version, source, clock))
            yield _commit(clock, subject, {LAYOUT.stage(model, stage): _encode(document)})
            held[model, stage] = version


def _registration(model: ModelName, version: Version, index: int, clock: int) -> dict[str, bytes]:
    digest = hashlib.sha256(f"{model} {version}".encode()).hexdigest()
    record = Record(
        model=model,
        version=version,
        artifact=Artifact("model.bin", 48_213, digest[:32], digest, "safetensors"),
        metrics={"auc": 0.8 + index % 1000 / 10_000, "latency_ms": 10 + index % 7},
        params={"max_depth": index % 12, "learning_rate": 0.1},
        dataset=Dataset(name="customers", version="2026-10"),
        code=Code(commit=digest[:40]),
        trained_at=datetime.fromtimestamp(clock, timezone.utc),
    )
    pointer = LAYOUT.artifact(model, "model.bin") + ".dvc"
    return {
        LAYOUT.record(model, version): _encode(format_record(record)),
        pointer: format_pointer(record.artifact).encode(),
    }


def _entry(version: Version, source: Version | None, clock: int) -> StageEntry:
    return StageEntry(
        version,
        replaces=source,
        has_replaces=True,
        reason="better on the holdout set",
        by="bench@example.com",
        at=datetime.fromtimestamp(clock, timezone.utc),
    )


def _encode(document: Mapping[str, Plain]) -> bytes:
    return yaml.dump(document).encode()


def _commit(clock: int, message: str, files: Mapping[str, bytes]) -> bytes:
    text = message.encode()
    parts = [b"commit refs/heads/main\n", f"committer {WHO} {clock} +0000\n".encode()]
    parts.append(b"data %d\n%s\n" % (len(text), text))
    for path, content in files.items():
        parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
    return b"".join(parts)


def _git(folder: Path, *args: str, stdin: bytes | None = None) -> None:
    subprocess.run(["git", "-C", folder, *args], check=True, input=stdin)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--models", type=int, default=20)
    arguments = parser.parse_args()
    generate(arguments.directory, versions=arguments.versions, models=arguments.models)
