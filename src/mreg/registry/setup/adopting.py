"""Adopting a repository that GTO has tagged: its versions become records, its stage tags transitions.

One commit brings all records; then each stage tag becomes one commit, in GTO's order, that names the tag it was read
from.  So ``history`` and ``rollback`` know what happened before mreg, and no tag of GTO's is written again.  A last
commit archives the versions whose registration was taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.gto import GtoAction, GtoStep, GtoTag, find_assigned, find_deprecated, find_deregistered, replay
from mreg.core.history.manifest import ArchivedMark, StageEntry, format_archived, format_stage
from mreg.core.history.record import Code, Record, format_record
from mreg.core.history.tags import transition_subject
from mreg.core.history.timeline import Lane
from mreg.core.layout import Layout
from mreg.core.names import ARCHIVED, ModelName, StageName, Version, find_folder_clash
from mreg.core.writing.plan import Document
from mreg.errors import IncompleteHistoryError
from mreg.registry.writing.view import encode_document
from mreg.stores.dvc_files.past import artifacts_at
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher
from mreg.stores.gto import Said, read_gto_tags

__all__ = ["Adoption", "plan_adoption"]


class Adoption(Struct, frozen=True):
    """What GTO's tags bring into the registry."""

    versions: Mapping[tuple[ModelName, Version], GtoTag]
    """The registration of each version, by name and number."""
    steps: tuple[GtoStep, ...]
    assigned: Mapping[tuple[ModelName, StageName], tuple[Version, ...]]
    """The versions that GTO has assigned to each stage at last; it shows one of them."""
    gone: Mapping[tuple[ModelName, Version], GtoTag]
    """The tags that took registrations back at last."""
    said: Mapping[str, Said]
    notices: tuple[str, ...]

    @property
    def models(self) -> int:
        """How many models there are."""
        return len({model for model, _ in self.versions})

    @property
    def stages(self) -> tuple[StageName, ...]:
        """The stages that were used, in the order of their first use."""
        return tuple(dict.fromkeys(step.stage for step in self.steps))

    @property
    def moves(self) -> int:
        """How many of the steps changed a stage."""
        return sum(step.source != step.target for step in self.steps)

    def commit(self, publisher: Publisher, repo: GitRepository, tip: str, layout: Layout) -> tuple[str, list[str]]:
        """Builds the commits on top of one, and returns the last and the files that they change."""
        author, committer = repo.author(), repo.committer()
        changed: dict[str, None] = {}
        for message, files in self._commits(repo, layout):
            # Each commit builds on the tree of the one before, which must be readable.
            publisher.flush()
            tip = publisher.commit(
                parent=tip,
                files={path: encode_document(document) for path, document in files.items()},
                author=author,
                committer=committer,
                message=f"{message}\n\nMreg-Action: adopt\n",
            )
            changed |= dict.fromkeys(files)
        return tip, list(changed)

    def _commits(self, repo: GitRepository, layout: Layout) -> Iterator[tuple[str, Mapping[str, Document]]]:
        yield f"Adopt {len(self.versions)} versions of {self.models} models from GTO", self._records(repo, layout)
        entries: dict[str, StageEntry] = {}
        lanes: dict[str, Lane] = {}
        last = {(step.model, step.stage): step for step in self.steps}
        for step in self.steps:
            path = layout.stage(step.model, step.stage)
            subject = f"Adopt {step.tag.name}"
            if step.source != step.target:
                action = lanes.setdefault(path, Lane()).apply(step.target)
                subject = transition_subject(action, step.model, step.stage, step.source, step.target)
                entries[path] = self._entry(step)
            adopted = self.said[step.tag.name].adopted
            entries[path] = replace(entries.get(path, StageEntry(None)), adopted=adopted)
            if step is last[step.model, step.stage]:
                others = (each for each in self.assigned[step.model, step.stage] if each != step.target)
                entries[path] = replace(entries[path], still_assigned=tuple(others))
            yield f"{subject}\n\nAdopted from GTO's tag {step.tag.name}", {path: format_stage(entries[path])}
        if self.gone:
            yield f"Archive {len(self.gone)} versions that GTO has deregistered", self._archives(layout)

    def _entry(self, step: GtoStep) -> StageEntry:
        said = self.said[step.tag.name]
        return StageEntry(
            version=step.target,
            replaces=step.source,
            has_replaces=True,
            reason=said.message,
            by=said.by,
            at=said.adopted.at,
        )

    def _records(self, repo: GitRepository, layout: Layout) -> dict[str, Document]:
        artifacts = artifacts_at(repo, [(tag.commit, model) for (model, _), tag in self.versions.items()])
        files: dict[str, Document] = {}
        for ((model, version), tag), artifact in zip(self.versions.items(), artifacts, strict=True):
            said = self.said[tag.name]
            code = Code(commit=tag.commit)
            record = Record(model, version, artifact, code=code, notes=said.message, adopted=said.adopted)
            files[layout.record(model, version)] = format_record(record)
        return files

    def _archives(self, layout: Layout) -> dict[str, Document]:
        marks: dict[ModelName, dict[Version, ArchivedMark]] = {}
        for (model, version), tag in self.gone.items():
            said = self.said[tag.name]
            mark = ArchivedMark(said.message or "deregistered in GTO", said.by, said.adopted.at)
            marks.setdefault(model, {})[version] = mark
        return {layout.stage(model, ARCHIVED): format_archived(found) for model, found in marks.items()}


def plan_adoption(repo: GitRepository, known: Collection[ModelName]) -> Adoption:
    """Returns what GTO's tags say of models that the registry does not know yet; few Git calls, whatever their number.

    Args:
        repo: The repository with the tags.
        known: Models that are registered; what is known of them stays.

    Raises:
        IncompleteHistoryError: The clone is shallow.
    """
    if repo.is_shallow:
        raise IncompleteHistoryError(
            "this clone is shallow and may lack what GTO has tagged", hint="git fetch --unshallow --tags"
        )
    found = read_gto_tags(repo)
    notices = [f"the tag {name} was left out: {why}" for name, why in found.left_out.items()]
    models, refused = _choose_models(found.tags, known)
    notices += refused
    tags = [tag for tag in found.tags if tag.says.model in models]
    versions: dict[tuple[ModelName, Version], GtoTag] = {}
    for tag in sorted(tags, key=lambda tag: (tag.time, tag.name)):
        if tag.says.action is GtoAction.REGISTER and tag.says.version:
            versions.setdefault((tag.says.model, tag.says.version), tag)
    versions = dict(sorted(versions.items()))
    gone = {key: tag for key, tag in find_deregistered(tags).items() if key in versions}
    notices += [f"GTO hides {model}, which is deprecated there; here it is listed" for model in find_deprecated(tags)]
    return Adoption(versions, tuple(replay(tags)), find_assigned(tags), gone, found.said, tuple(notices))


def _choose_models(tags: Collection[GtoTag], known: Collection[ModelName]) -> tuple[set[ModelName], list[str]]:
    registered = {tag.says.model for tag in tags if tag.says.action is GtoAction.REGISTER}
    others = sorted({tag.says.model for tag in tags} - registered - set(known))
    notices = [f"{model} was left out: GTO has no version of it" for model in others]
    chosen: list[ModelName] = []
    for model in sorted(registered - set(known)):
        clash = find_folder_clash(model, [*chosen, *known])
        if clash:
            notices.append(f"{model} was left out: beside {clash}, one would be a folder of the other")
        else:
            chosen.append(model)
    return set(chosen), notices
