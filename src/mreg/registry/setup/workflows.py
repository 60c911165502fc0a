"""What is wrong with the workflows of a repository, and what mends it: ``mreg doctor --ci``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mreg.core.results import Check, Diagnosis
from mreg.core.setup.workflows import examine_workflow
from mreg.errors import DataError
from mreg.stores import yaml
from mreg.stores.disk import disk_errors
from mreg.stores.git.repository import GitRepository

__all__ = ["examine_workflows"]

_FOLDER = ".github/workflows"
_SUFFIXES = (".yml", ".yaml")


def examine_workflows(path: Path) -> Diagnosis:
    """Returns the known mistakes in the workflows around a directory, each with its file and line.

    The files are those of the working tree, or of the checked-out commit where there is none.
    """
    checks = [check for name, data in _read(GitRepository(path)) for check in _examine(name, data)]
    if not checks:
        message = f"there is no workflow in {_FOLDER}"
        checks.append(Check("workflows", ok=True, message=message, fix="mreg init --github"))
    return Diagnosis(tuple(checks))


def _read(repo: GitRepository) -> Iterator[tuple[str, bytes]]:
    if repo.worktree is None:
        files = repo.files("HEAD", [_FOLDER]) if repo.head() else []
        chosen = [file.path for file in files if file.path.endswith(_SUFFIXES)]
        found = repo.read([f"HEAD:{name}" for name in chosen])
        yield from ((name, data) for name, data in zip(chosen, found, strict=True) if data is not None)
        return
    folder = repo.worktree / _FOLDER
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        if file.suffix in _SUFFIXES and file.is_file():
            with disk_errors("read", file):
                yield f"{_FOLDER}/{file.name}", file.read_bytes()


def _examine(name: str, data: bytes) -> Iterator[Check]:
    try:
        flaws = examine_workflow(yaml.load_foreign(data, name))
    except DataError as error:
        yield Check("workflow", ok=False, message=error.message, fix=error.hint)
        return
    for flaw in flaws:
        message = f"{name}:{yaml.line_of(data, flaw.path) or 1}: {flaw.message}"
        yield Check(flaw.rule, ok=flaw.is_note, message=message, fix=flaw.fix)
    if all(flaw.is_note for flaw in flaws):
        yield Check("workflow", ok=True, message=f"{name}: no known mistake")
