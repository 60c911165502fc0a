"""What DVC knows of an artifact, read from its files: no import of DVC, no bytes of data.

A ``.dvc`` file beside the artifact, or the ``dvc.lock`` of the pipeline that made it.  What is broken in those two is
an error where it concerns this artifact; anything else that cannot be read (another stage, a metrics file, a
``dvc.yaml``, a parameter that may not be in a record) is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain
from mreg.core.history.record import Dataset
from mreg.errors import DataError
from mreg.stores import yaml
from mreg.stores.disk import disk_errors
from mreg.stores.dvc_files.pipeline import (
    Pipeline,
    fits_template,
    is_template,
    join_params,
    read_metrics,
    read_pipeline,
)
from mreg.stores.surroundings import strip_credentials

__all__ = ["Tracked", "find_tracked"]

T = TypeVar("T")
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_UNQUOTED = re.compile(r"[A-Za-z0-9_.+-]+")
_CODE = frozenset({
    ".py", ".pyx", ".ipynb", ".sh", ".bash", ".r", ".rmd", ".jl", ".m", ".c", ".cc", ".cpp", ".h", ".hpp", ".cu",
    ".java", ".scala", ".go", ".rs", ".js", ".ts", ".sql", ".whl",
})  # fmt: skip
_SETTINGS = re.compile(
    r"requirements.*\.txt|Dockerfile.*|Makefile|\.env|.*\.(?:ya?ml|toml|cfg|ini|env|lock|conf)", re.IGNORECASE
)
_LOOK_AT = 1000
"""Files of a folder that are enough to tell code from data."""


class Tracked(Struct, frozen=True):
    """An artifact that DVC tracks, and where it came from."""

    path: Path
    """The artifact, absolute; it need not be there."""
    md5: str
    """The hash of its bytes; empty where DVC wrote none, or one of before DVC 3, which ignores line ends."""
    size: int | None
    """Bytes."""
    files: int | None
    """Number of files of a directory; ``None`` for a single file."""
    stage: str = ""
    """The pipeline's stage, ``train`` or ``train@0``; empty for a ``.dvc`` file."""
    params: Mapping[str, Plain] = field(default_factory=dict)
    metrics: Mapping[str, int | float] = field(default_factory=dict)
    dataset: Dataset | None = None
    """The one dependency that is data, not code or settings; ``None`` where there is none, or more than one."""


class _Place(Struct, frozen=True):
    """A folder of a repository, from which DVC's paths start."""

    root: Path
    folder: Path

    def at(self, path: str) -> Path:
        """Returns the path that a file of DVC names."""
        return Path(os.path.normpath(self.folder / path))

    def name(self, path: str) -> str:
        """Returns such a path relative to the repository, or the URL that it is."""
        return strip_credentials(path) if "://" in path else Path(os.path.relpath(self.at(path), self.root)).as_posix()

    def enter(self, wdir: str, out: str, artifact: Path) -> _Place | None:
        """Returns the working directory in which ``out`` is the artifact, or ``None``; ``wdir`` may be a template."""
        if not is_template(wdir):
            inner = _Place(self.root, self.at(wdir))
            return inner if inner.at(out) == artifact else None
        path, end = os.path.relpath(artifact, self.folder), f"/{os.path.normpath(out)}"
        wdir_now = path.removesuffix(end)
        fits = wdir_now != path and fits_template(os.path.normpath(wdir), wdir_now)
        return _Place(self.root, self.at(wdir_now)) if fits else None


def find_tracked(root: Path, path: Path) -> Tracked | None:
    """Returns what DVC knows of an artifact, or ``None`` where DVC does not track it.

    Args:
        root: The repository's root.
        path: The artifact, or its ``.dvc`` file.

    Raises:
        DataError: The ``.dvc`` file or the ``dvc.lock`` that names the artifact is malformed.
        StorageError: One of them cannot be read.
    """
    root = root.resolve()
    path = Path(os.path.normpath(path.absolute()))
    path = path.parent.resolve() / path.name  # the artifact itself may be a link into DVC's cache
    if root not in path.parents:
        return None
    if path.suffix == ".dvc" and path.is_file():
        return _read_pointer(root, path, None)
    found = _read_pointer(root, path.with_name(f"{path.name}.dvc"), path)
    if found:
        return found
    folders = (folder for folder in path.parents if folder == root or root in folder.parents)
    return next((found for folder in folders if (found := _search_lock(_Place(root, folder), path))), None)


def _read_pointer(root: Path, pointer: Path, artifact: Path | None) -> Tracked | None:
    def parse(fields: Fields) -> Tracked | None:
        place = _Place(root, pointer.parent / fields.text("wdir"))
        outs = {place.at(out.required_text("path")): out for out in fields.list_of_sections("outs")}
        path = artifact or (next(iter(outs)) if len(outs) == 1 else pointer.with_suffix(""))
        if path in outs:
            return _describe(place, fields, outs[path], path)
        if artifact is None:
            raise fields.error("outs", f"an entry for {path.name} is needed here")
        return None

    data = _read_bytes(pointer)
    return None if data is None else _parse(data, pointer.relative_to(root).as_posix(), parse)


def _search_lock(place: _Place, artifact: Path) -> Tracked | None:
    def parse(fields: Fields) -> Tracked | None:
        stages = fields.section("stages") or fields  # DVC 1.0 had the stages at top level
        pipeline = read_pipeline(place.folder / "dvc.yaml")
        found = {name: _find_out(place, stages, name, pipeline.wdir(name), artifact) for name in stages.names}
        sure = [(name, out) for name, out in found.items() if out]
        if len(sure) != 1:  # none, or working directories that only DVC can tell apart
            return None
        name, (inner, out) = sure[0]
        tracked = _describe(inner, stages.required_section(name), out, artifact)
        metrics = read_metrics(place.root, _metric_files(place, stages, pipeline, tracked))
        return replace(tracked, stage=name, metrics=metrics)

    lock = place.folder / "dvc.lock"
    data = _read_bytes(lock)
    # Most artifacts of a large pipeline's repository are in no lock: then there is nothing to parse.
    if data is None or (_UNQUOTED.fullmatch(artifact.name) and artifact.name.encode() not in data):
        return None
    return _parse(data, lock.relative_to(place.root).as_posix(), parse)


def _find_out(place: _Place, stages: Fields, name: str, wdir: str, artifact: Path) -> tuple[_Place, Fields] | None:
    """Returns the working directory and the entry of the artifact among the outs of a stage."""
    outs = _section(stages, name).get("outs")
    inners = [place.enter(wdir, path, artifact) for path, _ in _rows(outs)]
    if any(inners) or artifact.name in repr(outs):
        for inner, out in zip(inners, stages.required_section(name).list_of_sections("outs"), strict=False):
            out.required_text("path")
            if inner:
                return inner, out
    return None


def _metric_files(place: _Place, stages: Fields, pipeline: Pipeline, tracked: Tracked) -> dict[Path, str]:
    """Returns the metrics files of the stages that made or read the artifact, with the MD5 that they must have.

    Those that ``dvc.yaml`` declares for the whole pipeline count unless another stage made them.
    """
    declared: dict[Path, str] = {}
    others: set[Path] = set()
    for name in stages.names:
        wdir, stage = pipeline.wdir(name), _section(stages, name)
        outs = _rows(stage.get("outs"))
        same = [path for path, md5 in (*outs, *_rows(stage.get("deps"))) if not tracked.md5 or md5 == tracked.md5]
        inner = next(filter(None, (place.enter(wdir, path, tracked.path) for path in same)), None)
        if inner:
            hashes = {inner.at(path): md5 if tracked.md5 else "" for path, md5 in outs}
            files = map(inner.at, pipeline.stage_metrics(name, tuple(path for path, _ in outs)))
            declared |= {file: hashes.get(file, "") for file in files}
        elif not is_template(wdir):
            others |= {place.at(f"{wdir}/{path}") for path, _ in outs}
    for file in map(place.at, pipeline.project_metrics()):
        if others.isdisjoint({file, *file.parents}):
            declared.setdefault(file, "")
    declared.pop(tracked.path, None)
    return declared


def _describe(place: _Place, stage: Fields, out: Fields, artifact: Path) -> Tracked:
    md5 = "" if out.value("md5") is None else str(out.value("md5"))
    if md5 and not _MD5.fullmatch(md5):
        raise out.error("md5", f"{md5!r} is not an MD5 in lower-case hexadecimal")
    return Tracked(
        path=artifact,
        md5=md5 if out.value("hash") == "md5" else "",
        size=out.integer("size"),
        files=out.integer("nfiles"),
        params=join_params(stage.value("params")),
        dataset=_find_dataset(place, _rows(stage.value("deps"))) if stage.value("cmd") else None,
    )


def _section(stages: Fields, name: str) -> Mapping[str, object]:
    section = stages.value(name)
    return section if isinstance(section, dict) else {}


def _rows(entries: object) -> list[tuple[str, str]]:
    """Returns the path and the MD5, where there is one, of each sound entry of a stage's list."""
    rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found = [(row.get("path"), str(row.get("md5") or "")) for row in rows]
    return [(path, md5 if _MD5.fullmatch(md5) else "") for path, md5 in found if isinstance(path, str)]


def _find_dataset(place: _Place, dependencies: Sequence[tuple[str, str]]) -> Dataset | None:
    named = [(place.name(path), md5) for path, md5 in dependencies]
    data = [(path, md5) for path, md5 in named if not _is_code(place.root / path)]
    if len(data) != 1:
        return None
    [(path, md5)] = data
    return Dataset(name=PurePosixPath(path).stem, path=path, md5=md5)


def _is_code(path: Path) -> bool:
    if path.suffix.lower() in _CODE or _SETTINGS.fullmatch(path.name):
        return True
    try:
        with os.scandir(path) as entries:
            return any(Path(entry.name).suffix.lower() in _CODE for entry in islice(entries, _LOOK_AT))
    except OSError:
        return False


def _parse(data: bytes, where: str, parse: Callable[[Fields], T]) -> T:
    try:
        return parse(Fields(yaml.load_foreign(data, where), where=where))
    except DataError as error:
        path = error.details.get("path")
        line = yaml.line_of(data, path) if isinstance(path, list) else None
        if line is None:
            raise
        message = f"{where}:{line}{error.message.removeprefix(where)}"
        hint = error.hint or f"write it anew: dvc add, or dvc repro; git log -p -- {where}"
        raise DataError(message, hint=hint, details={**error.details, "line": line}) from None


def _read_bytes(path: Path) -> bytes | None:
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a folder may not be entered
        return None
    with disk_errors("read", path):
        return path.read_bytes()
