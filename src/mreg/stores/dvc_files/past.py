"""What DVC knew of models' bytes at commits of the past: from ``dvc.yaml``, ``dvc.lock`` and pointers."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

from mreg.core.history.record import Artifact
from mreg.core.layout import DVC_FILE
from mreg.core.names import ModelName
from mreg.core.paths import find_path_fault
from mreg.errors import DataError
from mreg.stores import yaml
from mreg.stores.dvc_files.dvc_yaml import find_artifact
from mreg.stores.git.repository import GitRepository

__all__ = ["artifacts_at"]

_LOCK_FILE = "dvc.lock"
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")


def artifacts_at(repo: GitRepository, places: Sequence[tuple[str, ModelName]]) -> list[Artifact]:
    """Returns what DVC knew of models' bytes at commits; a bare name where it knew nothing.  Two Git calls."""
    files = repo.read([f"{commit}:{DVC_FILE}" for commit, _ in places])
    paths = [_path_of(data, model) for data, (_, model) in zip(files, places, strict=True)]
    names = [
        f"{commit}:{name}"
        for (commit, _), path in zip(places, paths, strict=True)
        for name in (f"{path}.dvc", _LOCK_FILE)
    ]
    found = repo.read(names)
    return [_artifact(path, *found[2 * index : 2 * index + 2]) for index, path in enumerate(paths)]


def _path_of(dvc_yaml: bytes | None, model: ModelName) -> str:
    path = find_artifact(dvc_yaml, model).get("path")
    return posixpath.normpath(path) if isinstance(path, str) and path else "model"


def _artifact(path: str, pointer: bytes | None, lock: bytes | None) -> Artifact:
    name = posixpath.basename(path)
    out = _find_out(pointer, name) or _find_out(lock, path)
    md5, size, count = (out.get(key) for key in ("md5", "size", "nfiles"))
    md5 = md5 if isinstance(md5, str) and _MD5.fullmatch(md5) else ""
    files = (count if isinstance(count, int) else 0) if md5.endswith(".dir") else None
    return Artifact(
        path="model" if find_path_fault(name) else name,
        size=size if isinstance(size, int) else 0,
        md5=md5,
        sha256="",
        files=files,
    )


def _find_out(data: bytes | None, path: str) -> dict[str, object]:
    document = _load(data) if data else {}
    stages = document.get("stages")
    holders = [document, *(stages.values() if isinstance(stages, dict) else ())]
    for holder in holders:
        outs = holder.get("outs") if isinstance(holder, dict) else None
        for out in outs if isinstance(outs, list) else ():
            if isinstance(out, dict) and isinstance(out.get("path"), str) and posixpath.normpath(out["path"]) == path:
                return out
    return {}


@lru_cache(maxsize=64)
def _load(data: bytes) -> dict[str, object]:
    try:
        document = yaml.load_foreign(data, DVC_FILE)
    except DataError:
        return {}
    return document if isinstance(document, dict) else {}
