"""Where the files of a registry are.

Rules:
    * ``<root>/<model>/versions/v3.0.0.yaml`` is a record, ``…/v3.0.0.files`` the file list of a directory artifact.
    * ``<root>/<model>/stages/<stage>.yaml`` is a manifest file; ``archived.yaml`` holds the archived versions.
    * ``<root>/<model>/approvals/v3.0.0/production/<id>.yaml`` is one approval.
    * ``<root>/<model>/artifact/<basename>.dvc`` is the DVC pointer of the newest version.
    * The names of these folders are reserved, so a path has one reading.
"""

from __future__ import annotations

import shlex
from enum import Enum
from functools import lru_cache

from msgspec import Struct

from mreg.core.names import (
    ARCHIVED,
    ModelName,
    StageName,
    Version,
    parse_model_name,
    parse_stage_name,
    parse_version,
)
from mreg.errors import NamingError

__all__ = ["DVC_FILE", "SETTINGS_FILE", "Layout", "PathKind", "Place", "pathspec", "read_version_file"]

SETTINGS_FILE = "registry.yaml"
DVC_FILE = "dvc.yaml"
_FOLDERS = ("versions", "stages", "approvals", "artifact")


class PathKind(str, Enum):
    """What a file of the registry is."""

    RECORD = "record"
    FILE_LIST = "file list"
    STAGE = "stage file"
    POINTER = "pointer"
    APPROVAL = "approval"
    STRAY = "stray"


class Place(Struct, frozen=True):
    """What a path says about its file."""

    kind: PathKind
    model: ModelName
    version: Version | None = None
    stage: StageName | None = None


class Layout(Struct, frozen=True):
    """The paths of one registry, POSIX and relative to the repository root."""

    root: str = "registry"

    def model(self, model: ModelName) -> str:
        """Returns the folder of a model."""
        return f"{self.root}/{model}"

    def record(self, model: ModelName, version: Version) -> str:
        """Returns the path of a record."""
        return f"{self.root}/{model}/versions/{version}.yaml"

    def file_list(self, model: ModelName, version: Version) -> str:
        """Returns the path of the file list of a directory artifact."""
        return f"{self.root}/{model}/versions/{version}.files"

    def stage(self, model: ModelName, stage: StageName) -> str:
        """Returns the path of a manifest file."""
        return f"{self.root}/{model}/stages/{stage}.yaml"

    def approval(self, model: ModelName, version: Version, stage: StageName, name: str) -> str:
        """Returns the path of an approval; the name is that of its file, without the ending."""
        return f"{self.root}/{model}/approvals/{version}/{stage}/{name}.yaml"

    def artifact(self, model: ModelName, basename: str) -> str:
        """Returns where DVC thinks that the newest version's bytes are; the pointer is this and ``.dvc``."""
        return f"{self.root}/{model}/artifact/{basename}"

    def locate(self, path: str) -> Place | None:
        """Returns what the file at a path is; ``None`` outside the registry's folder."""
        return _locate(self.root, path)

    def model_of_versions(self, folder: str) -> ModelName | None:
        """Returns the model whose records and file lists are in a folder; ``None`` for any other folder."""
        found = _locate_folder(self.root, folder)
        return found[0] if found and found[1:] == ("versions", "") else None

    def is_stray(self, path: str) -> bool:
        """Returns whether a file in the registry's folder is not one of a registry's.

        Git's own files, and what people write for people, may be anywhere beside the models' folders.
        """
        place = self.locate(path)
        if place is not None:
            return place.kind is PathKind.STRAY
        return path.startswith(f"{self.root}/") and not path.rpartition("/")[2].startswith((".", "README"))


# Of a registry's files most are in few folders and have few names: what those say is worked out once.


@lru_cache(maxsize=8192)
def _locate(root: str, path: str) -> Place | None:
    folder, _, name = path.rpartition("/")
    found = _locate_folder(root, folder)
    if found is None:
        found = _locate_folder(root, path) if name in _FOLDERS else None
        return Place(PathKind.STRAY, found[0]) if found else None
    model, kind, below = found
    return _place(model, kind, below, name) or Place(PathKind.STRAY, model)


@lru_cache(maxsize=8192)
def _locate_folder(root: str, folder: str) -> tuple[ModelName, str, str] | None:
    """Returns the model of a folder, the name of the folder that is reserved, and the folders below that."""
    if not folder.startswith(root + "/"):
        return None
    parts = folder[len(root) + 1 :].split("/")
    at = next((index for index, part in enumerate(parts) if index and part in _FOLDERS), None)
    if at is None:
        return None
    try:
        model = parse_model_name("/".join(parts[:at]))
    except NamingError:
        return None
    return model, parts[at], "".join(f"{part}/" for part in parts[at + 1 :])


def _place(model: ModelName, kind: str, below: str, name: str) -> Place | None:
    if kind == "approvals":
        found = _read_approval_folder(below)
        stem, _, suffix = name.rpartition(".")
        return Place(PathKind.APPROVAL, model, *found) if found and stem and suffix == "yaml" else None
    if below:
        return None
    if kind == "versions":
        record = read_version_file(name)
        return Place(record[0], model, version=record[1]) if record else None
    if kind == "stages":
        stage = _read_stage_file(name)
        return Place(PathKind.STAGE, model, stage=stage) if stage else None
    stem, _, suffix = name.rpartition(".")
    return Place(PathKind.POINTER, model) if stem and suffix == "dvc" else None


@lru_cache(maxsize=32768)
def read_version_file(name: str) -> tuple[PathKind, Version] | None:
    """Returns whether a file beside records is a record or a file list, and of which version; ``None`` for another."""
    stem, _, suffix = name.rpartition(".")
    if suffix not in {"yaml", "files"}:
        return None
    version = _read_version(stem)
    return (PathKind.RECORD if suffix == "yaml" else PathKind.FILE_LIST, version) if version else None


@lru_cache(maxsize=1024)
def _read_stage_file(name: str) -> StageName | None:
    stem, _, suffix = name.rpartition(".")
    if suffix != "yaml":
        return None
    try:
        return ARCHIVED if stem == ARCHIVED else parse_stage_name(stem)
    except NamingError:
        return None


@lru_cache(maxsize=8192)
def _read_approval_folder(below: str) -> tuple[Version, StageName] | None:
    version, _, stage = below.removesuffix("/").partition("/")
    found = _read_version(version)
    try:
        return (found, parse_stage_name(stage)) if found else None
    except NamingError:
        return None


def _read_version(text: str) -> Version | None:
    """Returns a version that is written out in full."""
    try:
        version = parse_version(text)
    except NamingError:
        return None
    return version if str(version) == text else None


def pathspec(path: str) -> str:
    """Returns a path as a pasted command names it to Git: it means the same in every folder of the repository."""
    return shlex.quote(f":(top,literal){path}" if set(path) & set("*?[\\") else f":/{path}")
