"""Original records: a version is what was registered, whatever a later commit wrote in its place."""

from __future__ import annotations

from collections.abc import Iterable

from mreg.core.history.record import Record
from mreg.core.history.state import RegistryState
from mreg.core.history.tags import version_tag
from mreg.core.history.timeline import Commit
from mreg.core.layout import pathspec
from mreg.core.names import ModelName, Version
from mreg.errors import DataError, IncompleteHistoryError
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import read_records
from mreg.stores.git.history.covering import only_below

__all__ = ["find_original", "refuse_change"]


def find_original(
    reader: Reader, state: RegistryState, model: ModelName, version: Version
) -> tuple[Record, tuple[str, ...]]:
    """Returns the record of a version as it was registered, and notices where the commit says something else.

    A shallow clone does not know what was registered; there the version's tag tells, where the clone has it.

    Raises:
        DataError: The record cannot be read, or names another model or version than its path.
        IncompleteHistoryError: The clone is shallow, and the version's tag names another record.
    """
    key, layout, oid = (model, version), state.policy.layout, state.models[model].records[version]
    path = layout.record(model, version)
    if reader.repo.is_shallow:
        return reader.record(state, model, version), _compare_with_tag(reader, version_tag(model, version), path, oid)
    commits = list(only_below(reader.commits(str(state.commit), layout, [model], remember=True), [path]))
    timeline = reader.timeline(commits, layout)
    found = read_records(reader, timeline, layout, [key])[key]
    if isinstance(found, DataError):
        raise found
    is_changed = timeline.appearances[key].record != oid
    return found, (f"{_tell_change(path, commits)}; what was registered counts: mreg verify",) if is_changed else ()


def refuse_change(path: str, commits: Iterable[Commit]) -> DataError:
    """Returns the error for a version that nobody is to build on, since its record was changed.

    Args:
        path: The record.
        commits: The first-parent commits that touch it, and perhaps others, oldest first.
    """
    writers = [commit for commit in commits if path in {change.path for change in commit.changes}]
    restore = f"git restore --source={writers[0].oid[:12]} -- {pathspec(path)}"
    return DataError(
        _tell_change(path, writers),
        hint=f"{restore}   # and commit that; mreg verify shows what was changed",
        details={"file": path, "commit": writers[-1].oid},
    )


def _tell_change(path: str, commits: list[Commit]) -> str:
    return f"{path}: commit {commits[-1].oid[:12]} changed what {commits[0].oid[:12]} registered"


def _compare_with_tag(reader: Reader, tag: str, path: str, oid: str) -> tuple[str, ...]:
    (sealed,) = reader.repo.resolve([f"refs/tags/{tag}:{path}"])
    fetch = "git fetch --unshallow --tags"
    if sealed is None:
        return (f"this clone is shallow: nothing shows here whether {path} was changed since: {fetch}",)
    if sealed != oid:
        raise IncompleteHistoryError(
            f"{path} is not what the tag {tag} seals, and this clone is too shallow to tell which was changed",
            hint=f"{fetch} && mreg verify",
            details={"file": path, "tag": tag},
        )
    return ()
