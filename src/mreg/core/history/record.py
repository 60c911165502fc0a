"""The record of a version: what is known of it, written once.

Rules:
    * Only ``schema``, ``model``, ``version`` and ``artifact`` are required.
    * Unknown keys are errors outside ``metadata``.
    * Metrics are finite numbers; parameters and metadata are plain data.
    * A record is never changed: two records with the same text are the same version.
    * ``parse_record(format_record(r)) == r``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import asdict

from mreg.core.fields import UPGRADE, Fields, Plain, format_moment
from mreg.core.history.manifest import Adopted, format_adopted, parse_adopted, read_version
from mreg.core.names import ModelName, Version, parse_model_name
from mreg.core.paths import find_name_fault
from mreg.errors import NamingError

__all__ = [
    "Artifact",
    "ArtifactFile",
    "Code",
    "Dataset",
    "Environment",
    "Record",
    "Run",
    "format_record",
    "parse_record",
    "show_metrics",
]

SCHEMA = 1
_SHOWN = 4
"""Metrics that a record shows of itself."""
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ArtifactFile(Struct, frozen=True):
    """One file of a directory artifact."""

    path: str
    """POSIX, relative to the directory."""
    size: int
    """Bytes."""
    sha256: str
    """64 hex digits."""
    md5: str = ""
    """32 hex digits, DVC's name of the file; empty where only mreg's own list was read."""


class Artifact(Struct, frozen=True, repr_omit_defaults=True):
    """A model's bytes: one file or one directory, by hash.

    For a directory ``sha256`` is the SHA-256 of the file list (``format_file_list``), ``md5`` is DVC's directory
    name and ends in ``.dir``, ``size`` is the sum of the files and ``files`` their number.
    """

    path: str
    """The base name that ``pull`` gives it."""
    size: int
    """Bytes."""
    md5: str
    sha256: str
    format: str = ""
    """As recognised from the bytes (``pickle``, ``onnx``, …) or named by hand; empty where unknown."""
    files: int | None = None
    """Number of files of a directory; ``None`` for a single file."""

    @property
    def is_directory(self) -> bool:
        """True for a directory artifact."""
        return self.files is not None


class Dataset(Struct, frozen=True, repr_omit_defaults=True):
    """What the version was trained on."""

    name: str = ""
    version: str = ""
    path: str = ""
    md5: str = ""


class Code(Struct, frozen=True, repr_omit_defaults=True):
    """The code that trained the version."""

    commit: str = ""
    dirty: bool = False
    repo: str = ""
    """URL without credentials."""
    entrypoint: str = ""


class Run(Struct, frozen=True, repr_omit_defaults=True):
    """The CI run or tracking run that trained the version."""

    tool: str = ""
    url: str = ""


class Environment(Struct, frozen=True, repr_omit_defaults=True):
    """The interpreter and the packages that a loader will want."""

    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


class Record(Struct, frozen=True):
    """All that is known of one version."""

    model: ModelName
    version: Version
    artifact: Artifact
    metrics: Mapping[str, int | float] = field(default_factory=dict)
    params: Mapping[str, Plain] = field(default_factory=dict)
    dataset: Dataset | None = None
    code: Code | None = None
    run: Run | None = None
    trained_at: datetime | None = None
    environment: Environment | None = None
    notes: str = ""
    metadata: Mapping[str, Plain] = field(default_factory=dict)
    adopted: Adopted | None = None
    """The tag of GTO that this version was read from; its bytes are where the tag's commit says."""

    def __repr__(self) -> str:
        """Returns which version it is of, and its first metrics."""
        return f"<Record {self.model} {self.version}{show_metrics(self)}>"


def show_metrics(record: Record | None) -> str:
    """Returns the first metrics of a record, to stand behind its name."""
    shown = [f"{name}={value}" for name, value in record.metrics.items()] if record else []
    return f": {', '.join(shown[:_SHOWN])}{', …' if len(shown) > _SHOWN else ''}" if shown else ""


def parse_record(fields: Fields) -> Record:
    """Returns what a record file says.

    Raises:
        DataError: A key is missing, unknown or of the wrong type, or the schema is newer than this mreg.
    """
    _check_schema(fields)
    try:
        model = parse_model_name(fields.required_text("model"))
    except NamingError as error:
        raise fields.error("model", error.message) from error
    record = Record(
        model=model,
        version=read_version(fields, "version"),
        artifact=_parse_artifact(fields.required_section("artifact")),
        metrics=fields.numbers("metrics"),
        params=fields.plain("params"),
        dataset=_parse_dataset(fields.section("dataset")),
        code=_parse_code(fields.section("code")),
        run=_parse_run(fields.section("run")),
        trained_at=fields.moment("trained_at"),
        environment=_parse_environment(fields.section("environment")),
        notes=fields.text("notes"),
        metadata=fields.plain("metadata"),
        adopted=parse_adopted(fields.section("adopted")),
    )
    fields.finish()
    return record


def format_record(record: Record) -> dict[str, Plain]:
    """Returns the document of a record file, in the order of its keys; what is empty is left out."""
    document: dict[str, Plain] = {
        "schema": SCHEMA,
        "model": record.model,
        "version": str(record.version),
        "artifact": _present(record.artifact),
        "metrics": dict(record.metrics),
        "params": dict(record.params),
        "dataset": _present(record.dataset) if record.dataset else {},
        "code": _present(record.code) if record.code else {},
        "run": _present(record.run) if record.run else {},
        "trained_at": format_moment(record.trained_at) if record.trained_at else "",
        "environment": _present(record.environment) if record.environment else {},
        "notes": record.notes,
        "metadata": dict(record.metadata),
        "adopted": format_adopted(record.adopted) if record.adopted else {},
    }
    return {key: value for key, value in document.items() if value not in ({}, "")}


def _present(section: Artifact | Dataset | Code | Run | Environment) -> dict[str, Plain]:
    document: dict[str, Plain] = {}
    for name, value in asdict(section).items():
        if value not in ("", None, {}):
            document[name] = dict(value) if isinstance(value, Mapping) else value
    return document


def _check_schema(fields: Fields) -> None:
    schema = fields.required_integer("schema")
    if schema != SCHEMA:
        raise fields.error("schema", f"schema {schema} is not known to this mreg, which reads {SCHEMA}", hint=UPGRADE)


def _parse_artifact(fields: Fields) -> Artifact:
    artifact = Artifact(
        path=fields.required_text("path"),
        size=fields.required_integer("size"),
        md5=fields.text("md5"),
        sha256=fields.text("sha256"),
        format=fields.text("format"),
        files=fields.integer("files"),
    )
    if "/" in artifact.path or find_name_fault(artifact.path):
        raise fields.error("path", f"{artifact.path!r} is not a plain file name", hint="path: model.pkl")
    for key, value, pattern in (("md5", artifact.md5, _MD5), ("sha256", artifact.sha256, _SHA256)):
        if value and not pattern.fullmatch(value):
            raise fields.error(key, f"{value!r} is not such a hash in lower-case hexadecimal")
    fields.finish()
    return artifact


def _parse_dataset(fields: Fields | None) -> Dataset | None:
    if fields is None:
        return None
    dataset = Dataset(fields.text("name"), fields.text("version"), fields.text("path"), fields.text("md5"))
    fields.finish()
    return dataset


def _parse_code(fields: Fields | None) -> Code | None:
    if fields is None:
        return None
    code = Code(fields.text("commit"), fields.boolean("dirty"), fields.text("repo"), fields.text("entrypoint"))
    fields.finish()
    return code


def _parse_run(fields: Fields | None) -> Run | None:
    if fields is None:
        return None
    run = Run(fields.text("tool"), fields.text("url"))
    fields.finish()
    return run


def _parse_environment(fields: Fields | None) -> Environment | None:
    if fields is None:
        return None
    packages = fields.section("packages")
    versions = {name: packages.text(name) for name in packages.names} if packages else {}
    environment = Environment(fields.text("python"), versions)
    fields.finish()
    return environment
