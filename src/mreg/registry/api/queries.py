"""What a registry can be asked; nothing here changes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from os import PathLike
from typing import TYPE_CHECKING, TypeVar

from mreg.core.history.record import Record
from mreg.core.history.state import RegistryState
from mreg.core.history.timeline import Standing, Transition
from mreg.core.names import ARCHIVED, ModelName, StageName, parse_model_name, parse_selector, parse_stage_name
from mreg.core.results import History, ModelList, VersionDetails, VersionList, VersionStream
from mreg.core.settings.policy import Policy
from mreg.core.versions.metrics import check_metric, override_directions
from mreg.errors import UsageError
from mreg.registry.arguments import as_directions, as_path, as_text, as_texts, as_when
from mreg.registry.reading import answers
from mreg.registry.reading.models import list_landed
from mreg.registry.reading.reader import Reader, Settings
from mreg.stores.git.repository import GitRepository

if TYPE_CHECKING:
    from mreg.core.review.audited import Audit, Report
    from mreg.core.review.gates import Scan
    from mreg.core.review.reviewed import Review
    from mreg.core.versions.best import Choice
    from mreg.core.versions.compare import Comparison

__all__ = ["Queries"]

QueriesT = TypeVar("QueriesT", bound="Queries")


class Queries:
    """The readers of a registry: they look at the tip of the registry branch, or at what ``at`` names."""

    def __init__(self, repo: object = None, *, is_snapshot: bool = False) -> None:
        """Keeps the repository; a path is refused, as ``Registry.open`` takes it."""
        if not isinstance(repo, GitRepository):
            hint = f"Registry.open({str(repo or '.')!r}), or Registry.init(…)"
            raise UsageError("a registry is opened, and not made by Registry(…)", hint=hint)
        self._repo = repo
        self._kept = Reader(repo) if is_snapshot else None

    @classmethod
    def open(cls: type[QueriesT], path: str | PathLike[str] = ".") -> QueriesT:
        """Returns the registry of the Git repository around a directory.

        Raises:
            NotARegistryError: There is no Git repository, or no registry in it.
            DataError: ``registry.yaml`` cannot be read.
            GitError: Git is missing or refuses the repository.
        """
        queries = cls(GitRepository(as_path(path, "path")))
        queries.settings()
        return queries

    @classmethod
    def snapshot(cls: type[QueriesT], path: str | PathLike[str] = ".") -> QueriesT:
        """Returns the registry as ``open`` does, for several questions about one moment.

        What was read is not read again, and the tip stays where it was however the branch moves.
        """
        queries = cls(GitRepository(as_path(path, "path")), is_snapshot=True)
        queries.settings()
        return queries

    def __repr__(self) -> str:
        """Returns where the registry is."""
        return f"<{type(self).__name__} in {os.fspath(self._repo.worktree or self._repo.git_dir)!r}>"

    def settings(self) -> Settings:
        """Returns the registry branch, its tip and the policy there."""
        return self._reader().settings()

    @property
    def policy(self) -> Policy:
        """The settings in force: those at the tip of the registry branch."""
        return self.settings().policy

    def list(self, folder: str | None = None, *, at: str | date | None = None) -> ModelList:
        """Returns every model with its stages.

        Args:
            folder: Only the models below it: with ``fraud``, ``fraud/eu`` and the like.
            at: A date (the end of that day, UTC), a time (UTC where it says no zone), or a Git revision: what was there
                then.

        Raises:
            NotFoundError: ``at`` names nothing, or there is no model below the folder.
        """
        if at is None and folder is None:
            reader = self._reader()
            settings = reader.settings()
            return list_landed(reader, settings.tip, settings.policy)
        reader, state, _ = self._state(folder=folder, at=at)
        return answers.list_models(reader, state)

    def versions(
        self,
        model: str | None = None,
        *,
        folder: str | None = None,
        stage: str | None = None,
        at: str | date | None = None,
    ) -> VersionList:
        """Returns every version with its record, newest first, of one model or by model of all.

        Args:
            model: Only this model.
            folder: Only the models below it, as in ``list``.
            stage: Only what this stage holds, or with ``archived`` what is archived.
            at: As in ``list``.

        Raises:
            NotFoundError: The model is not registered, there is none below the folder, or the stage is neither declared
                nor used.
            UsageError: Both a model and a folder are named.
        """
        return answers.list_versions(self.stream_versions(model, folder=folder, stage=stage, at=at))

    def stream_versions(
        self,
        model: str | None = None,
        *,
        folder: str | None = None,
        stage: str | None = None,
        at: str | date | None = None,
    ) -> VersionStream:
        """Returns the same, to be taken once: what was read of one version is not kept for the next.

        Raises:
            NotFoundError: As ``versions``.
            UsageError: Both a model and a folder are named.
        """
        if model is not None and folder is not None:
            raise UsageError("a model and a folder do not go together", hint="name one of them")
        name = parse_model_name(model) if model is not None else None
        wanted = _parse_stage(stage) if stage is not None else None
        reader, state, _ = self._state([name] if name else (), folder=folder, at=at)
        return answers.stream_versions(reader, state, name, wanted, is_whole=folder is None)

    def show(self, selector: str, *, at: str | date | None = None) -> VersionDetails:
        """Returns all that is known of one version.

        Args:
            selector: ``churn``, ``churn@v3`` or ``churn@production``.
            at: As in ``list``.

        Raises:
            NotFoundError: The selector names nothing.
            DataError: The record or the stage file cannot be read.
        """
        wanted = parse_selector(selector)
        reader, state, _ = self._state([wanted.model], at=at)
        version = state.select(wanted)
        return answers.show_version(reader, state, str(state.commit), wanted.model, version)

    def history(self, model: str | None = None, stage: str | None = None) -> History:
        """Returns every transition, newest first, of one model or stage if named.

        Order is that of the first-parent history; times are UTC and not monotonic.

        Returns:
            Empty where nothing was ever promoted.

        Raises:
            NotFoundError: The model is not registered, or the stage is neither declared nor ever used.
            IncompleteHistoryError: The clone is shallow.
        """
        models = [] if model is None else [parse_model_name(model)]
        reader = self._reader()
        settings = reader.settings()
        if models:
            reader, state, settings = self._state(models)
            state.model(models[0])
        wanted = _parse_stage(stage) if stage is not None else None
        standing = Standing()
        events = reader.replay(standing, settings.tip, settings.policy.layout, models)
        moves = [each for each in events if isinstance(each, Transition) and wanted in {None, each.stage}]
        if wanted and not moves and wanted != ARCHIVED:
            settings.policy.stage(wanted)
        return History(answers.name_approvers(reader, reversed(moves)), tuple(standing.findings))

    def report(self, model: str | None = None, stage: str | None = None) -> Report:
        """Returns the auditor's report: every transition with the answers of its rules, newest first.

        Args:
            model: Only this model.
            stage: Only this stage.

        Raises:
            NotFoundError: The model is not registered, or the stage is neither declared nor ever used.
            IncompleteHistoryError: The clone is shallow, or lacks objects.
        """
        from mreg.registry.review.auditing import Auditing  # noqa: PLC0415 - other readers do without what it needs

        name = parse_model_name(model) if model is not None else None
        reader, state, settings = self._state([name] if name else ())
        if name is not None:
            state.model(name)
        wanted = _parse_stage(stage) if stage is not None else None
        found = Auditing(reader, settings).report([name] if name else [], wanted)
        if wanted and not found.rows and wanted != ARCHIVED:
            settings.policy.stage(wanted)
        return found

    def verify(self, *, since: str | None = None, remote: bool = False, incremental: bool = False) -> Audit:
        """Proves the whole first-parent history again: rules, signatures, approvals, records, tags.

        Args:
            since: Judge only what came after this revision.
            remote: Look at the tags of the remote too.
            incremental: Judge only what came since this clone was last found clean, which ``trusted`` then tells; all
                where nobody knows, and ``fallback`` tells why.

        Raises:
            UsageError: ``incremental`` together with one of the others.
            IncompleteHistoryError: The clone is shallow, or lacks objects that could not be fetched; or the remote has
                moved on.
            NotFoundError: There is no such revision, or no such remote.
            OutsideError: The remote could not be asked.
        """
        from mreg.registry.review.auditing import verify  # noqa: PLC0415 - other readers do without what it needs

        return verify(self._reader(), since=as_text(since, "since"), remote=remote, incremental=incremental)

    def compare(self, *selectors: str, higher: str | Sequence[str] = (), lower: str | Sequence[str] = ()) -> Comparison:
        """Returns versions side by side; the first is what the others are measured against.

        Args:
            selectors: Two or more.
            higher: Metrics of which more is better, on top of what ``registry.yaml`` says.
            lower: Metrics of which less is better.

        Raises:
            UsageError: Fewer than two selectors.
            NotFoundError: A selector names nothing.
        """
        from mreg.core.versions.compare import compare  # noqa: PLC0415 - readers do without

        wanted = [parse_selector(selector) for selector in selectors]
        reader, state, settings = self._state([each.model for each in wanted])
        subjects, ways = answers.pick_versions(reader, state, wanted), as_directions(higher, lower)
        return compare(subjects, settings.policy.metrics, **ways)

    def best(
        self,
        model: str,
        *,
        by: str | Sequence[str],
        where: str | Sequence[str] = (),
        stage: str | None = None,
        higher: str | Sequence[str] = (),
        lower: str | Sequence[str] = (),
    ) -> Choice:
        """Returns which version should go to a stage, and why.

        Args:
            model: The model.
            by: Metrics, the weightiest first; the next decides where one ties.
            where: Constraints such as ``latency_ms<=50``.
            stage: Compare with what this stage holds.
            higher: Metrics of which more is better, on top of what ``registry.yaml`` says.
            lower: Metrics of which less is better.

        Raises:
            RefusedError: No version is left; ``details`` say why each fell out.
            NotFoundError: The model, the stage, or a metric that no version has.
        """
        from mreg.core.versions.best import choose_best  # noqa: PLC0415 - readers do without
        from mreg.core.versions.constraint import parse_constraint  # noqa: PLC0415 - readers do without

        name = parse_model_name(model)
        reader, state, settings = self._state([name])
        target = parse_stage_name(stage) if stage is not None else None
        if target and state.model(name).holder(target) is None:
            settings.policy.stage(target)
        found = answers.list_versions(answers.stream_versions(reader, state, name))
        metrics = {metric for record in answers.readable_records(found).values() for metric in record.metrics}
        ways = as_directions(higher, lower)
        for metric in (*ways["higher"], *ways["lower"]):
            check_metric(metric, metrics, f"no version of {name}")
        rules = override_directions(settings.policy.metrics, **ways)
        limits = [parse_constraint(text) for text in as_texts(where, "where")]
        return choose_best(name, found.versions, as_texts(by, "by"), rules, limits, stage=target)

    def plan(self, *, base: str | None = None, head: str | None = None, staged: bool = False) -> Review:
        """Returns what the difference between two commits would do to the registry, and whether it may land.

        It counts as one commit on top of ``base``, and is judged by the rules and keys of that.

        Args:
            base: A revision; by default the registry branch, as the remote has it if there is a remote.
            head: A revision; by default what is checked out.
            staged: Look at the index against what is checked out, instead of at two commits.

        Raises:
            UsageError: ``staged`` together with a revision.
            NotFoundError: A revision names no commit, or the registry branch is not there.
            IncompleteHistoryError: The clone is shallow.
            RefusedError: The two share no commit.
            ConflictError: The index holds conflicts that are not settled.
        """
        from mreg.registry.review.reviewing import review_difference, review_index  # noqa: PLC0415 - readers do without

        if not staged:
            return review_difference(self._reader(), as_text(base, "base"), as_text(head, "head"), scan=self._scan)
        if base is not None or head is not None:
            raise UsageError("what is staged is compared with what is checked out", hint="mreg check --staged")
        return review_index(self._reader(), scan=self._scan)

    def check(self, *, base: str | None = None, head: str | None = None, staged: bool = False) -> Review:
        """Returns what ``plan`` returns, for those who ask whether it may land: ``ok`` says so."""
        return self.plan(base=base, head=head, staged=staged)

    def _reader(self) -> Reader:
        return self._kept or Reader(self._repo)

    def _scan(self, record: Record) -> Scan:
        from mreg.registry.review.scanning import scan_artifact  # noqa: PLC0415 - it needs DVC

        return scan_artifact(self._repo, record)

    def _state(
        self, models: Sequence[ModelName] = (), *, folder: str | None = None, at: str | date | None = None
    ) -> tuple[Reader, RegistryState, Settings]:
        when = as_when(at)
        reader = self._reader()
        settings = reader.settings()
        commit = settings.tip if when is None else reader.commit_at(settings.tip, when)
        policy = settings.policy if when is None else reader.policy_at(commit)
        if folder is not None:
            name = parse_model_name(folder)
            state = reader.state(commit, policy, [name])
            # As below: what is not there is told by what is.
            has_any = any(found.records for each, found in state.models.items() if each != name)
            return reader, (state if has_any else reader.state(commit, policy)).below(name), settings
        state = reader.state(commit, policy, models)
        if not state.models.keys() >= set(models):
            # Only an unknown name pays for reading them all: the error then names the nearest.
            state = reader.state(commit, policy)
        return reader, state, settings


def _parse_stage(text: str) -> StageName:
    return ARCHIVED if text == ARCHIVED else parse_stage_name(text)
