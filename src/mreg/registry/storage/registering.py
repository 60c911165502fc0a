"""Registering: what is known is gathered, the bytes are stored, then one commit names them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.fields import Plain
from mreg.core.history.filelist import format_file_list
from mreg.core.history.record import Artifact, Code, Dataset, Environment, Record, Run
from mreg.core.history.timeline import Lane
from mreg.core.layout import DVC_FILE
from mreg.core.names import Bump, ModelName, StageName, Version
from mreg.core.results import Receipt
from mreg.core.versions.formats import unsafe_reason
from mreg.core.writing.plan import Plan, choose_version
from mreg.core.writing.registration import Content, check_new_model, plan_register, refuse_unchanged
from mreg.errors import DataError, NotFoundError, StorageError, UnchangedArtifactError, UsageError
from mreg.registry.reading.artifacts import open_stats, open_store
from mreg.registry.reading.seals import dvc_entry, pointer_path
from mreg.registry.storage.provenance import Provenance, gather
from mreg.registry.storage.resending import resend
from mreg.registry.storage.taken_tags import refuse_foreign_tag
from mreg.registry.writing.view import View
from mreg.registry.writing.writer import Writer
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.artifacts.ingesting import Ingested, ingest_cached, ingest_surveyed
from mreg.stores.artifacts.survey import Survey, survey_artifact
from mreg.stores.dvc_files.dvc_yaml import set_artifact
from mreg.stores.dvc_files.lineage import Tracked, find_tracked
from mreg.stores.dvc_files.pointer import format_pointer
from mreg.stores.git.repository import GitRepository

__all__ = ["Facts", "Registering"]

OriginT = TypeVar("OriginT", Code, Run, Environment)

_NAME_BYTES = 251
"""What a file system takes as a name, less the ``.dvc`` of its pointer."""


class Facts(Struct, frozen=True):
    """What the caller says of a new version; what is empty is filled in from the surroundings."""

    metrics: Mapping[str, int | float] = field(default_factory=dict)
    params: Mapping[str, Plain] = field(default_factory=dict)
    dataset: Dataset | None = None
    notes: str = ""
    metadata: Mapping[str, Plain] = field(default_factory=dict)
    trained_at: datetime | None = None
    format: str = ""
    code: Code | None = None
    run: Run | None = None
    environment: Environment | None = None


class Registering(Struct, frozen=True):
    """One registration: which model, which file, and how."""

    repo: GitRepository
    model: ModelName
    source: Path
    facts: Facts
    version: Version | None = None
    bump: Bump = Bump.MAJOR
    stage: StageName | None = None
    reason: str = ""
    approved_by: Sequence[str] = ()
    force: bool = False
    upload: bool = True
    progress: Progress | None = None
    push: bool | None = None

    def run(self, *, branch: str | None, dry_run: bool) -> Receipt:
        """Stores the bytes and commits the version.

        With ``dry_run`` nothing is hashed or stored: the record shown lacks the hashes.

        Raises:
            RefusedError: The version exists, the bytes are the newest version's, or the stage's rule says no.
            NotFoundError: The artifact or the stage does not exist.
            StorageError: The bytes could not be stored or uploaded.
        """
        writer = Writer(self.repo, push=self.push)
        if not dry_run:
            writer.recover()  # before anything is refused
        tracked = find_tracked(self.repo.worktree, self.source) if self.repo.worktree else None
        source = tracked.path if tracked else self.source
        # What can be refused without reading a gigabyte is refused before.
        found = self._look(source, tracked)
        plans = _Plans(self, _expect(found), tracked, found if isinstance(found, Survey) else None)
        receipt = writer.write(self.model, plans.build, branch=branch, dry_run=True)
        if dry_run:
            return replace(receipt, record=plans.record)
        content = self._ingest(found, tracked)
        fits = tracked is not None and tracked.md5 == content.artifact.md5
        plans.content, plans.tracked = content, tracked if fits else None
        try:
            writer.write(self.model, plans.build, branch=branch, dry_run=True)
        except UnchangedArtifactError as refusal:
            if self.upload:
                resend(self.repo, refusal, self.progress)
            raise
        notices = [*self._upload(content), *_warnings(content, tracked, source)]
        receipt = writer.write(self.model, plans.build, branch=branch)
        if plans.is_contested and receipt.commit:
            notices += self._upload_again(content)
        return replace(receipt, record=plans.record, notices=(*receipt.notices, *notices))

    def _look(self, source: Path, tracked: Tracked | None) -> Survey | Tracked:
        """Returns what there is to read; what DVC knows of it, where that is not checked out."""
        if tracked and not source.exists():
            if not tracked.md5:
                raise NotFoundError(
                    f"{source} is not here, and DVC 2 named its bytes in a way that DVC 3 does not read",
                    hint=f"dvc pull {source} && dvc commit -f {source}",
                    details={"path": str(source)},
                )
            return tracked
        return survey_artifact(source, open_store(self.repo).cache().root)

    def _ingest(self, found: Survey | Tracked, tracked: Tracked | None) -> Ingested:
        store, stats = open_store(self.repo), open_stats(self.repo)
        cache = store.cache()
        if isinstance(found, Survey):
            known = tracked.md5 if tracked else ""
            return ingest_surveyed(found, cache, tracked=known, stats=stats, progress=self.progress)
        # Its bytes are in the cache, or else on the remote.
        try:
            return ingest_cached(found.path.name, found.md5, cache, stats=stats, progress=self.progress)
        except NotFoundError:
            store.download(found.md5, size=found.size or 0, progress=self.progress)
            return ingest_cached(found.path.name, found.md5, cache, stats=stats, progress=self.progress)

    def _upload(self, content: Ingested) -> Sequence[str]:
        if not self.upload:
            return ("the bytes were not uploaded: they are only in this clone's DVC cache",)
        if not open_store(self.repo).upload(content.artifact.md5, progress=self.progress).remote:
            return ("no DVC remote is set, so the bytes are only in this clone's cache: mreg init --remote URL",)
        return ()

    def _upload_again(self, content: Ingested) -> Sequence[str]:
        """Sends what went meanwhile, if anything did.

        A collection deletes what was given up; bytes that were among those, and that nobody named before this commit,
        may have been there when it was looked, and gone when it landed.
        """
        try:
            if self.upload:
                self._upload(content)
        except StorageError as error:  # the version is registered, and its bytes are most likely there
            return (f"it is unknown whether the bytes are still on the remote: {error.message}; mreg fsck --remote",)
        return ()


class _Plans(Struct):
    """Builds the plan of one registration, as often as the branch moves."""

    asked: Registering
    content: Ingested
    tracked: Tracked | None
    survey: Survey | None
    record: Record | None = None
    is_contested: bool = False
    """True where bytes of the model were given up: a collection may be under way."""
    _provenance: Provenance | None = None
    _listed: tuple[bytes | None, Mapping[str, str], bytes] | None = None
    """A ``dvc.yaml``, the entry to be set in it, and what it then is: the same each time, unless the branch moves."""

    def build(self, view: View) -> Plan:
        asked, layout = self.asked, view.policy.layout
        self.is_contested = any(mark.deletion for mark in view.model.archived.values())
        _refuse_long_name(self.content.artifact.path)
        if not view.model.records:
            check_new_model(view.policy, asked.model, view.neighbours())
        version = choose_version(view.model, asked.version, asked.bump, force=asked.force, once=view.once())
        is_pushed = view.rules.push if asked.push is None else asked.push
        refuse_foreign_tag(view, version, is_pushed=is_pushed)
        record = self.record = self._describe(view, version)
        if record.artifact.sha256:
            refuse_unchanged(view.model, _newest(view), record, stage=asked.stage, force=asked.force)
        (dvc_yaml,) = asked.repo.read([f"{view.registry.commit}:{DVC_FILE}"])
        files = self.content.files
        content = Content(
            pointer_path=pointer_path(layout, record),
            pointer=format_pointer(record.artifact).encode(),
            dvc_yaml=self._list(dvc_yaml, dvc_entry(layout, record)),
            file_list=format_file_list(files) if files else None,
        )
        lane = view.lane(asked.stage) if asked.stage else Lane()
        statement = view.statement(asked.reason, asked.approved_by)
        return plan_register(view.policy, view.model, lane, record, content, statement, stage=asked.stage)

    def _list(self, dvc_yaml: bytes | None, entry: Mapping[str, str]) -> bytes:
        if self._listed is None or self._listed[:2] != (dvc_yaml, entry):
            self._listed = (dvc_yaml, entry, set_artifact(dvc_yaml, self.asked.model, entry))
        return self._listed[2]

    def _describe(self, view: View, version: Version) -> Record:
        facts, tracked = self.asked.facts, self.tracked
        if self._provenance is None:
            self._provenance = gather(self.asked.repo, view.policy.root, self.survey)
        known = self._provenance
        return Record(
            model=self.asked.model,
            version=version,
            artifact=replace(self.content.artifact, format=_choose_format(facts.format, self.content.artifact)),
            metrics={**(tracked.metrics if tracked else {}), **facts.metrics},
            params={**(tracked.params if tracked else {}), **facts.params},
            dataset=facts.dataset or (tracked.dataset if tracked else None),
            code=_prefer(facts.code, known.code),
            run=_prefer(facts.run, known.run),
            trained_at=facts.trained_at or known.trained_at,
            environment=_prefer(facts.environment, known.environment),
            notes=facts.notes,
            metadata=facts.metadata,
        )


def _prefer(said: OriginT | None, known: OriginT | None) -> OriginT | None:
    """Returns what the caller says, nothing where that is empty, and what is known where he says nothing."""
    return known if said is None else said if said != type(said)() else None


def _expect(found: Survey | Tracked) -> Ingested:
    """Returns what is known of the artifact before it is read."""
    if isinstance(found, Survey):
        files = len(found.files) if found.is_directory else None
        return Ingested(Artifact(found.name, found.size, "", "", files=files))
    return Ingested(Artifact(found.path.name, found.size or 0, found.md5, "", files=found.files))


def _choose_format(named: str, artifact: Artifact) -> str:
    danger = unsafe_reason(artifact.format)
    if named and danger and not unsafe_reason(named):
        raise UsageError(
            f"{artifact.path} is not {named}: its bytes are {artifact.format}, and {danger}",
            hint=f"leave --model-format out, or name what is in it: --model-format {named}-{artifact.format}",
            details={"named": named, "format": artifact.format},
        )
    return named or artifact.format


def _refuse_long_name(name: str) -> None:
    length = len(os.fsencode(name))
    if length > _NAME_BYTES:
        raise UsageError(
            f"the artifact's name is {length} bytes long, and {_NAME_BYTES} are the most: {name}",
            hint="register it under a shorter name: cp -r, or ln -s",
            details={"name": name, "bytes": length},
        )


def _newest(view: View) -> Record | None:
    newest = max(view.model.records, default=None)
    try:
        return view.reader.record(view.registry, view.model.model, newest) if newest else None
    except DataError:
        return None  # a record that cannot be read hinders no new one


def _warnings(content: Ingested, tracked: Tracked | None, source: Path) -> list[str]:
    found = []
    reason = unsafe_reason(content.artifact.format)
    if reason:
        found.append(f"{content.artifact.path}: {reason}; load it only from people you trust")
    if source.is_file() and source.stat().st_mode & stat.S_IXUSR:
        found.append(f"{content.artifact.path} is executable here, and will not be where it is pulled: chmod +x there")
    if tracked and tracked.md5 != content.artifact.md5:
        why = "has changed since DVC tracked it" if tracked.md5 else "was tracked by DVC 2 (dvc commit renews that)"
        found.append(f"{content.artifact.path} {why}, so its lineage was left out")
    return found
