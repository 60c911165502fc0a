"""Makes a registry of any size in mreg's real format, through ``git fast-import``.

    python benchmarks/generate.py DIRECTORY --versions 1000 --models 20

Each version is registered and promoted to staging, every third one to production: the commits are those that mreg
writes, and ``mreg sync`` makes the tags.  The bytes are real, and small; they are in
``DIRECTORY.store``, the DVC remote.

``--folders 100`` names the models ``team-00/model-0000``.  ``--bare`` leaves out the bytes, the tags and the files of
the worktree: a million versions, to look at what Git does with the history.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, cast

from mreg.core.fields import Plain
from mreg.core.history.manifest import StageEntry, format_stage
from mreg.core.history.record import Artifact, Code, Dataset, Record, format_record
from mreg.core.history.tags import transition_subject
from mreg.core.history.timeline import Action
from mreg.core.layout import Layout
from mreg.core.names import ModelName, StageName, Version
from mreg.stores import yaml
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import hash_bytes
from mreg.stores.dvc_files.pointer import format_pointer

LAYOUT = Layout()
ARTIFACT = "model.bin"
START = 1_700_000_000
WHO = "Bench <bench@example.com>"
STAGES = (StageName("staging"), StageName("production"))


def generate(
    folder: Path, *, versions: int, models: int, share: int | None = None, folders: int = 0, is_bare: bool = False
) -> None:
    """Makes the repository, with its tags, and beside it the DVC remote.

    Args:
        folder: Where; the store is beside it.
        versions: In all.
        models: How many they are spread over, one after the other.
        share: So many of them are the first model's, from the beginning to the end; else as many as any other's.
        folders: The models are in so many folders; in none if 0.
        is_bare: Only the branch, as ``git fast-import`` leaves it: no tags, bytes or worktree.
    """
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "config", "user.name", "Bench")
    _git(folder, "config", "user.email", "bench@example.com")
    made = list(_versions(versions, _names(models, folders), share or versions // models))
    _fast_import(folder, _commits(folder, made))
    if is_bare:
        _git(folder, "config", "core.bare", "true")
        return
    store = Cache(_store(folder))
    for model, version in made:
        _write_object(store, _content(model, version))
    _git(folder, "reset", "--quiet", "--hard", "main")
    subprocess.run([sys.executable, "-m", "mreg", "-C", folder, "sync"], check=True, stdout=subprocess.DEVNULL)
    _git(folder, "pack-refs", "--all")
    _git(folder, "repack", "-adq")


def _store(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.store")


def _names(models: int, folders: int) -> list[ModelName]:
    def folder(number: int) -> str:
        return f"team-{number % folders:02}/" if folders else ""

    return [ModelName(f"{folder(number)}model-{number:04}") for number in range(models)]


def _versions(versions: int, names: Sequence[ModelName], share: int) -> Iterator[tuple[ModelName, Version]]:
    models = len(names)
    made = [0] * models
    others = 0
    for index in range(versions):
        is_first = models == 1 or index * share // versions != (index - 1) * share // versions
        number = 0 if is_first else 1 + others % (models - 1)
        others += not is_first
        made[number] += 1
        yield names[number], Version(made[number])


def _fast_import(folder: Path, commits: Iterator[bytes]) -> None:
    command: list[str | Path] = ["git", "-C", folder, "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        with cast("IO[bytes]", process.stdin) as feed:
            feed.writelines(commits)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)


def _content(model: ModelName, version: Version) -> bytes:
    return f"{model} {version}\n".encode()


def _write_object(store: Cache, content: bytes) -> None:
    path = store.path(hash_bytes(content).md5)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _commits(folder: Path, made: Sequence[tuple[ModelName, Version]]) -> Iterator[bytes]:
    names = sorted({name for name, _ in made})
    entries = {name: {"path": LAYOUT.artifact(name, ARTIFACT), "type": "model"} for name in names}
    remote = f"remote = store\n['remote \"store\"']\n    url = ../../{_store(folder).name}\n"
    first = {
        "registry.yaml": b"schema: 1\n",
        ".dvc/config": f"[core]\n    analytics = false\n    {remote}".encode(),
        ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n",
        "dvc.yaml": yaml.dump({"artifacts": entries}).encode(),
    }
    clock = START
    yield _commit(clock, "Make this repository a model registry", first)
    held: dict[tuple[ModelName, StageName], Version] = {}
    for index, (model, version) in enumerate(made):
        clock += 60
        yield _commit(clock, f"Register {model} {version}", _registration(model, version, index, clock))
        for stage in STAGES if version.major % 3 == 1 else STAGES[:1]:
            clock += 60
            source = held.get((model, stage))
            subject = transition_subject(Action.PROMOTE, model, stage, source, version)
            document = format_stage(_entry(version, source, clock))
            yield _commit(clock, subject, {LAYOUT.stage(model, stage): _encode(document)})
            held[model, stage] = version


def _registration(model: ModelName, version: Version, index: int, clock: int) -> dict[str, bytes]:
    content = _content(model, version)
    digests = hash_bytes(content)
    record = Record(
        model=model,
        version=version,
        artifact=Artifact(ARTIFACT, len(content), digests.md5, digests.sha256),
        metrics={"auc": 0.8 + index % 1000 / 10_000, "latency_ms": 10 + index % 7},
        params={"max_depth": index % 12, "learning_rate": 0.1},
        dataset=Dataset(name="customers", version="2026-10"),
        code=Code(commit=digests.sha256[:40]),
        trained_at=datetime.fromtimestamp(clock, timezone.utc),
    )
    pointer = LAYOUT.artifact(model, ARTIFACT) + ".dvc"
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
    parser.add_argument("--share", type=int, help="versions of the first model")
    parser.add_argument("--folders", type=int, default=0, help="names are team-00/model-0000; none: model-0000")
    parser.add_argument("--bare", action="store_true", help="only the branch: no tags, bytes or worktree")
    arguments = parser.parse_args()
    generate(
        arguments.directory,
        versions=arguments.versions,
        models=arguments.models,
        share=arguments.share,
        folders=arguments.folders,
        is_bare=arguments.bare,
    )
