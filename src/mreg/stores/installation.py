"""Where the running mreg was installed from, as pip has written it down."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

__all__ = ["Origin", "find_origin", "name_build", "parse_origin"]


class Origin(Struct, frozen=True):
    """A commit of a repository, or a folder on this machine."""

    url: str = ""
    commit: str = ""
    folder: Path | None = None
    version: str = ""
    """Of mreg."""


def find_origin() -> Origin | None:
    """Returns where pip took mreg from; ``None`` where it was an index, or where nothing is known."""
    try:
        installed = distribution("mreg")
        text = installed.read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    return parse_origin(text, installed.version) if text else None


def name_build() -> str:
    """Returns which mreg runs, as ``0.1.0`` or ``0.1.0 of 4f1c…``; empty where nobody has written it down."""
    try:
        version = distribution("mreg").version
    except PackageNotFoundError:
        return ""
    origin = find_origin()
    return f"{version} of {origin.commit}" if origin and origin.commit else version


def parse_origin(text: str, version: str = "") -> Origin | None:
    """Returns what a ``direct_url.json`` says; ``None`` for an archive, and for what is no such file."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    url = found.get("url") if isinstance(found, dict) else None
    if not isinstance(url, str):
        return None
    git = found.get("vcs_info")
    if isinstance(git, dict) and git.get("vcs") == "git" and isinstance(git.get("commit_id"), str):
        return Origin(url, git["commit_id"], version=version)
    parts = urlsplit(url)
    if parts.scheme != "file" or "dir_info" not in found:
        return None
    return Origin(folder=Path(unquote(parts.path)), version=version)
