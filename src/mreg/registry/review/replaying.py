"""Replaying a history for an auditor: what it needs is read for some thousand commits at a time, and then let go."""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from mreg.core.history.manifest import Manifest
from mreg.core.history.record import Record
from mreg.core.history.timeline import Commit, Event, Finding
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.names import ModelName, Version
from mreg.core.review.audit import Auditor
from mreg.core.review.audited import Judged
from mreg.core.review.gates import Scan
from mreg.core.settings.policy import Policy
from mreg.errors import DataError, GitError, IncompleteHistoryError
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader, Settings, parse_settings
from mreg.registry.reading.stage_files import parse_manifest
from mreg.stores.git.repository import GitRepository

__all__ = ["COMPLETE", "Replay", "explain_lack", "uncollected"]

COMPLETE = "git fetch --refetch --no-filter origin"
MOST_RECORDS = 4096
"""Parsed records that are kept for later commits."""
_READ = {PathKind.RECORD, PathKind.STAGE, PathKind.APPROVAL}


class Replay:
    """Goes through a history once, with an auditor."""

    def __init__(  # noqa: PLR0913 - what decides how it is judged
        self,
        reader: Reader,
        settings: Settings,
        *,
        models: Sequence[str] | None,
        is_linear: bool,
        policy: Policy | None = None,
        scan: Callable[[Record], Scan | None] | None = None,
        tell: Callable[[Judged], None] | None = None,
    ) -> None:
        """Starts before the first commit.

        Args:
            reader: The repository.
            settings: Where the registry's files are.
            models: The models that the commits are about; all where ``None``.
            is_linear: True where no commit is a merge: each then tells by itself who committed what it brings.
            policy: What is in force where the history of the settings is left out.
            scan: Scans a version's bytes, where a gate asks for it.
            tell: Is told of each transition that is judged.
        """
        self._repo = reader.repo
        self._layout: Layout = settings.policy.layout
        folders = [self._layout.model(ModelName(model)) for model in models or ()]
        tip = None if is_linear else settings.tip
        self.evidence = StoredEvidence(reader, self._layout, tip, folders=folders, scan=scan)
        self.auditor = Auditor(self._layout, self._manifest, self.evidence, self._settings, policy=policy, tell=tell)
        self.judged = 0
        """How many commits were judged."""
        self._contents: dict[str, bytes] = {}
        self._manifests: dict[str, Manifest | DataError] = {}
        self._lost: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    @property
    def gaps(self) -> tuple[Finding, ...]:
        """What is not in this clone: then nothing after it was judged."""
        return tuple(
            Finding("missing-object", path, f"object {oid} is not in this clone: {COMPLETE}")
            for oid, path in sorted(self._lost.items(), key=lambda item: item[1])
        )

    def run(
        self, stretches: Iterable[Sequence[Commit]], judged: Container[str] | None, *, is_to_the_end: bool = True
    ) -> Iterator[Event]:
        """Yields what the commits did, oldest first.

        Args:
            stretches: Commits that follow each other.
            judged: The ids of those that are judged, and not only to be known; all where ``None``.
            is_to_the_end: Also weigh the approvals that wait at the end.

        Raises:
            IncompleteHistoryError: What a partial clone lacks could not be fetched.
        """
        for commits in stretches:
            self._load(commits)
            if self._lost:  # the others are only looked for
                continue
            self.evidence.supply(self._contents)
            self.evidence.prefetch_blobs(self._find_older(commits))
            for commit in commits:
                is_judged = judged is None or commit.oid in judged
                self.judged += is_judged
                yield from self.auditor.step(commit, is_judged=is_judged)
            self.evidence.forget(most=MOST_RECORDS)
            self._manifests.clear()
        if is_to_the_end and not self._lost:
            self.auditor.finish()

    def _load(self, commits: Iterable[Commit]) -> None:
        """Reads what commits bring, in one Git call."""
        wanted: dict[str, str] = {}
        for commit in commits:
            for change in commit.changes:
                place = self._layout.locate(change.path)
                is_read = change.path == SETTINGS_FILE or (place is not None and place.kind in _READ)
                if change.new and is_read:
                    wanted.setdefault(change.new, change.path)
        try:
            found = zip(wanted, self._repo.read(list(wanted)), strict=True)
        except GitError as error:
            raise explain_lack(self._repo, error) from error
        self._contents = {oid: content for oid, content in found if content is not None}
        self._lost.update((oid, path) for oid, path in wanted.items() if oid not in self._contents)

    def _find_older(self, commits: Iterable[Commit]) -> Iterator[str]:
        """Yields the object ids of records that came before some commits and decide about them."""
        standing = self.auditor.standing
        for commit in commits:
            for change in commit.changes:
                place = self._layout.locate(change.path)
                if place is None or place.kind is not PathKind.STAGE or not change.new:
                    continue
                versions: set[Version | None] = {
                    lane.current
                    for stage in self.auditor.policy.stages
                    if (lane := standing.lanes.get((place.model, stage)))
                }
                try:
                    manifest = self._manifest(change.path, change.new)
                except DataError:
                    continue
                versions.add(manifest.entry.version if manifest.entry else None)
                versions |= manifest.archived.keys() - standing.archived.get(place.model, {}).keys()
                for version in versions:
                    oid = standing.records.get((place.model, version)) if version else None
                    if oid:
                        yield oid

    def _manifest(self, path: str, oid: str) -> Manifest:
        if oid not in self._manifests:
            try:
                self._manifests[oid] = self._share(parse_manifest(path, self._contents[oid]))
            except DataError as error:
                self._manifests[oid] = error
        found = self._manifests[oid]
        if isinstance(found, DataError):
            raise found
        return found

    def _share(self, manifest: Manifest) -> Manifest:
        """Returns a stage file whose texts are there once: a long history says the same names and reasons again."""
        entry = manifest.entry
        if entry is None:
            return manifest
        reason, by = (self._texts.setdefault(text, text) for text in (entry.reason, entry.by))
        return Manifest(replace(entry, reason=reason, by=by))

    def _settings(self, oid: str) -> Policy:
        return parse_settings(self._contents[oid])


def explain_lack(repo: GitRepository, error: GitError) -> GitError | IncompleteHistoryError:
    """Returns what to raise where Git could not read what is to be judged."""
    if not repo.is_partial:
        return error
    message = f"this is a partial clone, and what it lacks could not be fetched: {error.message}"
    return IncompleteHistoryError(message, hint=COMPLETE, details=error.details)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keeps Python from looking for garbage in cycles: there is none, and looking takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
