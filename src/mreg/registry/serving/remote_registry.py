"""Reading a registry elsewhere, without a clone: what it says now, and nothing of how it came to that.

>>> import mreg
>>> mreg.RemoteRegistry("https://git.example.com/registry.git").list()
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, TypeVar

from mreg.core.fields import format_moment
from mreg.core.history.manifest import StageEntry
from mreg.core.history.state import RegistryState
from mreg.core.history.tags import version_tag
from mreg.core.names import ARCHIVED, ModelName, StageName, parse_model_name, parse_selector, parse_stage_name
from mreg.core.results import ModelList, VersionDetails, VersionList
from mreg.core.settings.policy import Policy
from mreg.errors import NotFoundError, UsageError
from mreg.registry.arguments import as_directions
from mreg.registry.reading import answers
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.serving.remote_pulling import Serving
from mreg.registry.serving.tip import Tip, clone_command
from mreg.stores.git.remotes.shallow import ShallowRepository

if TYPE_CHECKING:
    from mreg.core.versions.compare import Comparison

__all__ = ["RemoteRegistry"]

T = TypeVar("T")


class RemoteRegistry:
    """A registry of which there is no clone here; each question asks its server anew."""

    def __init__(self, repo: str | PathLike[str], *, branch: str | None = None, allow_older: bool = False) -> None:
        """Names it; asks nobody yet.

        Args:
            repo: URL or path of its Git repository.
            branch: The registry branch; by default what ``registry.yaml`` says.
            allow_older: Take what is there now, even where this machine has seen a newer state.

        Raises:
            UsageError: ``repo`` is empty, or ``branch`` is no name of a branch.
            StorageError: The serving cache cannot be used.
        """
        self._serving = Serving(repo, branch=branch, allow_older=allow_older)
        self._policy = Policy()

    def __repr__(self) -> str:
        """Returns where it is."""
        return f"<RemoteRegistry {self.url!r}>"

    @property
    def url(self) -> str:
        """Its URL, without a secret."""
        return self._serving.remote.label

    @property
    def policy(self) -> Policy:
        """The settings that were in force when it was last asked; the default ones before."""
        return self._policy

    def list(self, folder: str | None = None) -> ModelList:
        """Returns every model with its stages.

        Args:
            folder: Only the models below it: with ``fraud``, ``fraud/eu`` and the like.

        Raises:
            NotFoundError: There is no registry, or no model below the folder.
            OlderStateError: The registry went back behind what this machine has seen of it.
            OutsideError: The registry does not answer.
        """
        name = parse_model_name(folder) if folder is not None else None
        return self._ask(name, is_folder=True, read=answers.list_models)

    def versions(self, model: str | None = None, *, folder: str | None = None, stage: str | None = None) -> VersionList:
        """Returns every version with its record, newest first, of one model or by model of all.

        Their records are not compared with tags, as ``show`` and ``pull`` do.

        Args:
            model: Only this model.
            folder: Only the models below it, as in ``list``.
            stage: Only what this stage holds, or with ``archived`` what is archived.

        Raises:
            NotFoundError: The model is not registered, there is none below the folder, or the stage is neither declared
                nor used.
            UsageError: Both a model and a folder are named.
            OlderStateError: As ``list``.
            OutsideError: As ``list``.
        """
        if model is not None and folder is not None:
            raise UsageError("a model and a folder do not go together", hint="name one of them")
        wanted = stage if stage is None else ARCHIVED if stage == ARCHIVED else parse_stage_name(stage)

        name = parse_model_name(model) if model is not None else None
        below = parse_model_name(folder) if folder is not None else None

        def read(reader: Reader, state: RegistryState) -> VersionList:
            return answers.stream_versions(reader, state, name, wanted, is_whole=below is None).pack()

        return self._ask(name or below, is_folder=below is not None, read=read)

    def show(self, selector: str) -> VersionDetails:
        """Returns what is known of one version without the history: no transitions.

        How it got into its stages is in the notices, as the stage files claim it.

        Raises:
            NotFoundError: The selector names nothing, or there is no registry.
            DataError: The record or the stage file cannot be read, or the record was changed.
            OlderStateError: As ``list``.
            OutsideError: As ``list``.
        """
        [found] = self._serving.view.inspect([parse_selector(selector)])
        self._policy = found.state.policy
        record = found.record
        model = found.state.models[record.model]
        clone = clone_command(self.url, f"show {record.model}@{record.version}")
        stages = model.stages_of(record.version)
        notice = f"what else became of it only the history tells, which needs a clone: {clone}"
        return VersionDetails(
            record=record,
            stages=stages,
            archived=model.archived.get(record.version),
            commit=found.seal.commit if found.seal else None,
            tag=version_tag(record.model, record.version) if found.seal else None,
            registered_by=found.seal.by if found.seal else "",
            registered_at=found.seal.at if found.seal else None,
            transitions=(),
            notices=(
                *found.notices,
                *(each.message for each in model.unreadable.values()),
                *(_tell_entry(stage, model.entries[stage]) for stage in stages),
                notice,
            ),
        )

    def compare(self, *selectors: str, higher: str | Sequence[str] = (), lower: str | Sequence[str] = ()) -> Comparison:
        """Returns versions side by side; the first is what the others are measured against.

        Args:
            selectors: Two or more.
            higher: Metrics of which more is better, on top of what ``registry.yaml`` says.
            lower: Metrics of which less is better.

        Raises:
            UsageError: Fewer than two selectors.
            NotFoundError: A selector names nothing, or there is no registry.
            DataError: A record or a stage file cannot be read, or a record was changed.
            OlderStateError: As ``list``.
            OutsideError: As ``list``.
        """
        from mreg.core.versions.compare import Subject, compare  # noqa: PLC0415 - the other answers do without

        ways = as_directions(higher, lower)
        wanted = [parse_selector(selector) for selector in selectors]
        if len(wanted) < 2:  # noqa: PLR2004 - a comparison's worth; nobody need be asked
            return compare([], {}, **ways)
        found = self._serving.view.inspect(wanted)
        self._policy = found[0].state.policy
        subjects = []
        for each in found:
            model, version = each.state.models[each.record.model], each.record.version
            subjects.append(Subject(each.record, model.stages_of(version), archived=version in model.archived))
        return compare(subjects, self._policy.metrics, **ways)

    def _ask(self, name: ModelName | None, *, is_folder: bool, read: Callable[[Reader, RegistryState], T]) -> T:
        """Asks where the registry is now, and reads what is there of all models, of one, or of those below a folder."""

        def answer(repo: ShallowRepository, tip: Tip) -> T:
            self._policy = tip.policy
            reader = Reader(repo, Settings(tip.policy, tip.branch, tip.commit, is_local=False))
            return read(reader, _read_state(reader, tip, name, is_folder=is_folder))

        try:
            return self._serving.view.answer(answer)
        except NotFoundError as error:
            here = f"mreg list --repo {shlex.quote(self.url)}"
            hint = error.hint.replace("mreg list", here)
            raise type(error)(error.message, hint=hint, details=error.details) from error


def _tell_entry(stage: StageName, entry: StageEntry) -> str:
    """Returns what a stage file claims of how its version got there."""
    who = f" by {entry.by}" if entry.by else ""
    when = f" at {format_moment(entry.at)}" if entry.at else ""
    approved = f", approved by {', '.join(entry.approved_by)}" if entry.approved_by else ""
    why = f": {entry.reason}" if entry.reason else ""
    return f"put into {stage}{who}{when}{approved}{why}"


def _read_state(reader: Reader, tip: Tip, name: ModelName | None, *, is_folder: bool) -> RegistryState:
    state = reader.state(tip.commit, tip.policy, [name] if name else ())
    if name is None:
        return state
    is_there = any(found.records for each, found in state.models.items() if (each != name) == is_folder)
    if not is_there:
        state = reader.state(tip.commit, tip.policy)  # what is not there is told by what is
    return state.below(name) if is_folder else state
