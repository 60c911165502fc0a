"""Where the files of a registry are.

Rules:
    * ``<root>/<model>/versions/v3.0.0.yaml`` is a record, ``…/v3.0.0.files`` the file list of a directory artifact.
    * ``<root>/<model>/stages/<stage>.yaml`` is a manifest file; ``archived.yaml`` holds the archived versions.
    * ``<root>/<model>/approvals/v3.0.0/production/<id>.yaml`` is one approval.
    * ``<root>/<model>/artifact/<basename>.dvc`` is the DVC pointer of the newest version.
    * The names of these folders are reserved, so a path has one reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

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

__all__ = ["DVC_FILE", "SETTINGS_FILE", "Layout", "PathKind", "Place"]

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


@dataclass(frozen=True, slots=True)
class Place:
    """What a path says about its file."""

    kind: PathKind
    model: ModelName
    version: Version | None = None
    stage: StageName | None = None


@dataclass(frozen=True, slots=True)
class Layout:
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

    def is_stray(self, path: str) -> bool:
        """Returns whether a file in the registry's folder is none of a registry's.

        Git's own files, and what people write for people, may be anywhere beside the models' folders.
        """
        place = self.locate(path)
        if place is not None:
            return place.kind is PathKind.STRAY
        return path.startswith(f"{self.root}/") and not path.rpartition("/")[2].startswith((".", "README"))


@lru_cache(maxsize=4096)
def _locate(root: str, path: str) -> Place | None:
    if not path.startswith(root + "/"):
        return None
    parts = path[len(root) + 1 :].split("/")
    at = next((index for index, part in enumerate(parts) if index and part in _FOLDERS), None)
    if at is None:
        return None
    try:
        model = parse_model_name("/".join(parts[:at]))
    except NamingError:
        return None
    folder, rest = parts[at], "/".join(parts[at + 1 :])
    return _place(model, folder, rest) or Place(PathKind.STRAY, model)


def _place(model: ModelName, folder: str, rest: str) -> Place | None:
    stem, _, suffix = rest.rpartition(".")
    try:
        if folder == "versions" and suffix in {"yaml", "files"}:
            version = parse_version(stem)
            kind = PathKind.RECORD if suffix == "yaml" else PathKind.FILE_LIST
            return Place(kind, model, version=version) if str(version) == stem else None
        if folder == "stages" and suffix == "yaml":
            stage = ARCHIVED if stem == ARCHIVED else parse_stage_name(stem)
            return Place(PathKind.STAGE, model, stage=stage)
        if folder == "approvals" and suffix == "yaml":
            parts = stem.split("/")
            version, stage = parse_version(parts[0]), parse_stage_name("/".join(parts[1:-1]))
            is_canonical = str(version) == parts[0] and parts[-1] != ""
            return Place(PathKind.APPROVAL, model, version, stage) if is_canonical else None
    except NamingError:
        return None
    if folder == "artifact" and suffix == "dvc" and stem and "/" not in stem:
        return Place(PathKind.POINTER, model)
    return None
