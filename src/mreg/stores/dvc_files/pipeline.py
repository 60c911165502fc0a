"""What a ``dvc.yaml`` declares of a stage, and the numbers that its files of metrics and parameters hold.

All of it is an extra: what cannot be read, is not there, or may not be in a record is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice, product
from pathlib import Path, PurePosixPath
from typing import TypeVar

from msgspec import Struct, field

from mreg.core.fields import Plain
from mreg.errors import MregError, UsageError
from mreg.stores import yaml
from mreg.stores.disk import disk_errors
from mreg.stores.measures import MAX_BYTES, MAX_VALUES, as_metrics, as_params, flatten, read_measures

__all__ = ["Pipeline", "fits_template", "is_template", "join_params", "read_metrics", "read_pipeline"]

T = TypeVar("T")
_TEMPLATE = re.compile(r"\$\{([^}]*)\}")


class Pipeline(Struct, frozen=True):
    """A ``dvc.yaml`` as it is written, its templates not filled in."""

    stages: Mapping[str, object] = field(default_factory=dict)
    metrics: object = None

    def wdir(self, stage: str) -> str:
        """Returns the working directory of a stage, relative to the file's; it may be a template still."""
        wdir = self._definition(stage).get("wdir")
        return self._fill(wdir, stage) if isinstance(wdir, str) else "."

    def stage_metrics(self, stage: str, outs: Sequence[str]) -> tuple[str, ...]:
        """Returns the metrics files of a stage, relative to its working directory.

        Args:
            stage: Its name in the ``dvc.lock``.
            outs: Its outs there; what is a template still stands for those that fit it.
        """
        paths = [self._fill(path, stage) for path in _paths(self._definition(stage).get("metrics"))]
        known = [out for path in paths if is_template(path) for out in outs if fits_template(path, out)]
        return (*(path for path in paths if not is_template(path)), *known)

    def project_metrics(self) -> tuple[str, ...]:
        """Returns the metrics files of the whole pipeline, relative to the file's folder."""
        return tuple(path for path in _paths(self.metrics) if not is_template(path))

    def _definition(self, stage: str) -> Mapping[str, object]:
        definition = self._group(stage)
        return _mapping(definition.get("do")) or definition

    def _group(self, stage: str) -> Mapping[str, object]:
        # All of `train@0`, `train@1`, … are what `foreach` or `matrix` makes of `train`.
        return _mapping(self.stages.get(stage) or self.stages.get(stage.partition("@")[0]))

    def _fill(self, template: str, stage: str) -> str:
        """Returns a template with what the stage's key tells in place; the rest, as from ``vars``, is left."""
        _, sign, key = stage.partition("@")
        if not sign or not is_template(template):
            return template
        values = {"key": key, **_flatten({"item": _find_item(self._group(stage), key)})}

        def fill(match: re.Match[str]) -> str:
            value = values.get(match[1].strip())
            return match[0] if value is None or isinstance(value, list) else _spell(value)

        return _TEMPLATE.sub(fill, template)


def read_pipeline(path: Path) -> Pipeline:
    """Returns what a ``dvc.yaml`` declares; nothing where it is not there or cannot be read."""
    with suppress(MregError), disk_errors("read", path):
        document = _mapping(yaml.load_foreign(path.read_bytes(), path.name))
        return Pipeline(_mapping(document.get("stages")), document.get("metrics"))
    return Pipeline()


def read_metrics(root: Path, files: Mapping[Path, str]) -> dict[str, int | float]:
    """Returns the numbers in metrics files, flattened; a name that several files have is preceded by the file's.

    Args:
        root: The repository's root; what is outside is not read.
        files: Absolute paths, each with the MD5 that the file must have, or an empty text: numbers of another run
            are left out.
    """
    inside = {
        file.relative_to(root).as_posix(): _load(file, md5) for file, md5 in files.items() if root in file.parents
    }
    return _keep(as_metrics, _join(inside))


def join_params(groups: object) -> dict[str, Plain]:
    """Returns the parameters of a ``dvc.lock``, a mapping by file, flattened and joined like metrics."""
    return _keep(as_params, _join(_mapping(groups)))


def is_template(text: str) -> bool:
    """Returns whether DVC fills in something: ``models/${item}``."""
    return _TEMPLATE.search(text) is not None


def fits_template(template: str, text: str) -> bool:
    """Returns whether a text can be what DVC made of a template."""
    literals = _TEMPLATE.split(template)[::2]
    return re.fullmatch(".+".join(map(re.escape, literals)), text) is not None


def _find_item(group: Mapping[str, object], key: str) -> object:
    """Returns ``item`` of one of the stages that ``foreach`` or ``matrix`` makes; ``None`` where that takes DVC."""
    items, axes = group.get("foreach"), _mapping(group.get("matrix"))
    if isinstance(items, list):
        is_deep = any(isinstance(item, dict | list) for item in items)
        return next(
            (item for index, item in enumerate(items) if key == (str(index) if is_deep else _spell(item))), None
        )
    lists = [values for values in axes.values() if isinstance(values, list)]
    if axes and len(lists) == len(axes):
        rows = (dict(zip(axes, row, strict=True)) for row in islice(product(*lists), MAX_VALUES))
        return next((row for row in rows if key == "-".join(map(_spell, row.values()))), None)
    return next((item for name, item in _mapping(items).items() if key == _spell(name)), None)


def _spell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _paths(entries: object) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else ():
        path = next(iter(entry), None) if isinstance(entry, dict) else entry
        if isinstance(path, str):
            yield path


def _load(path: Path, md5: str) -> object:
    suffix = path.suffix.lower()
    with suppress(MregError, ValueError, RecursionError), disk_errors("read", path):
        data = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else b""
        if md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
            return None
        if suffix == ".toml":
            return read_measures(path, "metrics")
        return json.loads(data) if suffix == ".json" else yaml.load_foreign(data, path.name)
    return None


def _join(files: Mapping[str, object]) -> dict[str, object]:
    groups = {PurePosixPath(file): _flatten(values) for file, values in files.items()}
    times = Counter(name for values in groups.values() for name in values)
    stems = Counter(file.stem for file in groups)
    joined: dict[str, object] = {}
    for file, values in groups.items():
        prefix = file.stem if stems[file.stem] == 1 else str(file.with_suffix(""))
        joined |= {name if times[name] == 1 else f"{prefix}.{name}": value for name, value in values.items()}
    return joined


def _flatten(values: object) -> dict[str, object]:
    try:
        return flatten(_mapping(values))
    except UsageError:
        return {}


def _keep(check: Callable[[Mapping[str, object], str], dict[str, T]], values: Mapping[str, object]) -> dict[str, T]:
    kept: dict[str, T] = {}
    for name, value in values.items():
        with suppress(UsageError):
            kept |= check({name: value}, "DVC")
    return kept


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
