"""Reading a registry: its settings, its state at a commit, its history; a fixed small number of Git calls each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time, timezone
from functools import partial

from mreg.core.history.fold import fold, step
from mreg.core.history.manifest import Manifest
from mreg.core.history.record import Record, parse_record
from mreg.core.history.state import RegistryState
from mreg.core.history.timeline import Commit, Event, Standing, Timeline
from mreg.core.layout import SETTINGS_FILE, Layout
from mreg.core.names import ModelName, Version
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, IncompleteHistoryError, NotFoundError
from mreg.registry.reading.settings import Settings, parse_settings, read_settings, with_hint
from mreg.registry.reading.stage_files import StageFiles, required, stage_blobs
from mreg.registry.reading.states import read_state
from mreg.stores import yaml
from mreg.stores.git.history.log_cache import read_log
from mreg.stores.git.history.log_file import Stretch
from mreg.stores.git.repository import GitRepository

__all__ = ["Reader", "Settings", "parse_settings"]

_UNSHALLOW = "git fetch --unshallow   # in GitHub Actions: actions/checkout with fetch-depth: 0"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")


class Reader:
    """Reads one repository; what it has read once it does not read again."""

    def __init__(self, repo: GitRepository, settings: Settings | None = None) -> None:
        """Keeps the repository, and its settings where they are known; nothing is read yet."""
        self.repo = repo
        self._stage_files = StageFiles(repo)
        self._records: dict[tuple[str, str], Record | DataError] = {}
        self._settings = settings

    def settings(self) -> Settings:
        """Returns the settings at the tip of the registry branch.

        The first ``registry.yaml`` found on ``main``, the checked-out commit or the remote's branches names the
        registry branch; the settings are then those of that branch.

        Raises:
            NotARegistryError: There is none.
            DataError: It cannot be read.
        """
        self._settings = self._settings or read_settings(self.repo)
        return self._settings

    def policy_at(self, commit: str) -> Policy:
        """Returns the settings of one commit; the default ones where it has none.

        Raises:
            DataError: They cannot be read.
        """
        (data,) = self.repo.read([f"{commit}:{SETTINGS_FILE}"])
        return Policy() if data is None else parse_settings(data)

    def state(self, commit: str | None, policy: Policy, models: Sequence[ModelName] = ()) -> RegistryState:
        """Returns what the registry says at a commit; two Git calls.

        Args:
            commit: ``None`` for a branch without commits.
            policy: The settings that name the folder and the stages.
            models: Only these; all where empty.
        """
        if commit is None:
            return RegistryState(None, policy)
        return read_state(self.repo, commit, policy, models, self._stage_files.read)

    def commits(
        self,
        tip: str,
        layout: Layout,
        models: Sequence[ModelName] = (),
        *,
        since: str | None = None,
        remember: bool = False,
    ) -> list[Commit]:
        """Returns the first-parent commits that touch some models, oldest first.

        Args:
            tip: The newest commit.
            layout: Where the registry's files are.
            models: All where empty.
            since: Only what came after this commit.
            remember: Take what an earlier command has read, and keep it for the next; not where something is proven.

        Raises:
            IncompleteHistoryError: The clone is shallow.
        """
        if remember and since is None:
            commits: list[Commit] = []
            for stretch in self._stretches(tip, layout, models):
                self._stage_files.entries |= stretch.entries
                commits += stretch.commits
            return commits
        if since is None:
            self._require_all()
        return self.repo.log(tip, _folders(layout, models), since=since)

    def replay(self, standing: Standing, tip: str, layout: Layout, models: Sequence[ModelName] = ()) -> Iterator[Event]:
        """Yields what the first-parent commits up to one did, oldest first; a long history is never there as a whole.

        Takes what an earlier command has read, and keeps it for the next: not where something is proven.

        Args:
            standing: A new one; at the end what the history has come to.
            tip: The newest commit.
            layout: Where the registry's files are.
            models: All where empty.

        Raises:
            IncompleteHistoryError: The clone is shallow.
        """
        for stretch in self._stretches(tip, layout, models):
            self._stage_files.entries = stretch.entries
            self._stage_files.prefetch(stage_blobs(stretch.commits, layout, besides=stretch.entries))
            for commit in stretch.commits:
                yield from step(standing, commit, layout, self.manifest)
            self._stage_files.forget()

    def _stretches(self, tip: str, layout: Layout, models: Sequence[ModelName]) -> Iterator[Stretch]:
        self._require_all()
        keep = len(models) <= 1 and self.is_landed(tip)
        folders, root = _folders(layout, models), _folders(layout, ())
        read_entries = partial(self._stage_files.read_entries, layout)
        within = root if models else ()
        return read_log(self.repo, tip, folders, keep=keep, read_entries=read_entries, within=within)

    def _require_all(self) -> None:
        if self.repo.is_shallow:
            raise IncompleteHistoryError("this clone is shallow and lacks the history that this needs", hint=_UNSHALLOW)

    def is_landed(self, commit: str | None) -> bool:
        """Returns whether a commit is the tip of the registry branch, and not one that may come to nothing."""
        return self._settings is not None and self._settings.tip == commit

    def timeline(self, commits: Iterable[Commit], layout: Layout) -> Timeline:
        """Returns the fold of commits; one Git call for all their manifest files."""
        commits = list(commits)
        self._stage_files.prefetch(stage_blobs(commits, layout))
        return fold(commits, layout, self.manifest)

    def manifest(self, path: str, oid: str) -> Manifest:
        """Returns a parsed manifest file.

        Raises:
            DataError: It cannot be read; ``details`` names key and line.
        """
        return self._stage_files.manifest(path, oid)

    def records(self, blobs: Sequence[tuple[str, str]]) -> list[Record | DataError]:
        """Returns the records in some blobs (path, object id), or why one cannot be read; one Git call."""
        missing = [key for key in dict.fromkeys(blobs) if key not in self._records]
        self._records |= zip(missing, self.parse_records(missing), strict=True)
        return [self._records[key] for key in blobs]

    def parse_records(self, blobs: Sequence[tuple[str, str]]) -> Iterator[Record | DataError]:
        """Yields the same, and keeps none of them."""
        for (path, oid), data in zip(blobs, self.repo.read([oid for _, oid in blobs]), strict=True):
            try:
                yield yaml.read(required(data, path, oid), path, parse_record)
            except DataError as error:
                yield with_hint(error, path)

    def record(self, state: RegistryState, model: ModelName, version: Version) -> Record:
        """Returns one record.

        Raises:
            DataError: It cannot be read, or names another model or version than its path.
        """
        (found,) = self.records_of(state, [(model, version)])
        if isinstance(found, DataError):
            raise found
        return found

    def records_of(
        self,
        state: RegistryState,
        wanted: Sequence[tuple[ModelName, Version]],
        known: dict[str, Record] | None = None,
    ) -> list[Record | DataError]:
        """Returns the records of some versions, or why one cannot be read; one Git call where there is one to read.

        A record that names another model or version than its path counts as one that cannot be read.

        Args:
            state: What names their blobs.
            wanted: The versions.
            known: What some blobs hold, by their ids: these are not read, and the others not kept.
        """
        blobs = [(state.policy.layout.record(*key), state.models[key[0]].records[key[1]]) for key in wanted]
        if known is None:
            found = self.records(blobs)
        else:
            others = self.parse_records([blob for blob in blobs if blob[1] not in known])
            found = [known[oid] if oid in known else next(others) for _, oid in blobs]
        return [
            record
            if isinstance(record, DataError) or (record.model, record.version) == key
            else _misplaced(record, path)
            for record, (path, _), key in zip(found, blobs, wanted, strict=True)
        ]

    def commit_at(self, tip: str, text: str) -> str:
        """Returns the commit that a date (the end of that day, UTC), a time or a revision names.

        Raises:
            NotFoundError: The registry branch is younger, or Git knows no such revision.
            IncompleteHistoryError: The clone is shallow, and a time was asked for.
        """
        moment = _parse_moment(text)
        if moment is None:
            try:
                return self.repo.commit_of(text)
            except NotFoundError as error:
                hint = "write a date as 2026-11-20, a time as 2026-11-20T09:12:00Z, a commit as Git names it"
                raise NotFoundError(
                    f"{text!r} is neither a date nor a commit", hint=hint, details=error.details
                ) from None
        self._require_all()
        commit = self.repo.commit_at(tip, moment)
        if commit is None:
            raise NotFoundError(f"the registry branch has no commit as old as {text}", hint="mreg history")
        return commit


def _folders(layout: Layout, models: Sequence[ModelName]) -> list[str]:
    parts = ("versions", "stages", "approvals")
    return [f"{layout.model(model)}/{part}" for model in models for part in parts] or [layout.root]


def _misplaced(record: Record, path: str) -> DataError:
    message, details = f"{path} is the record of {record.model} {record.version}", {"file": path, "key": "version"}
    hint = "mreg doctor   # has the way back: folder and file of a record keep their names"
    return DataError(message, hint=hint, details=details)


def _parse_moment(text: str) -> datetime | None:
    if not _DAY.match(text):  # Python 3.11 takes more for a date than 3.10, abbreviated commits among it
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if len(text) == len("2026-11-20"):
        moment = datetime.combine(moment.date(), time(23, 59, 59))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
