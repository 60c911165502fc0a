"""The one facade and public API: read, decide, publish.

>>> from mreg import Registry
>>> registry = Registry.open(".")
>>> registry.register("churn", "model.pkl", metrics={"auc": 0.913})
>>> registry.promote("churn@latest", "production", reason="AUC 0.913 against 0.902")
>>> registry.pull("churn@production", "model.pkl").path
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from os import PathLike
from typing import TYPE_CHECKING

from mreg.core.history.record import Code, Dataset, Environment, Run
from mreg.core.names import Bump, Version, parse_model_name
from mreg.core.results import Receipt, SyncReport
from mreg.core.sharing.pushed import Pushed
from mreg.core.text import check_line, check_text
from mreg.errors import UsageError
from mreg.registry.api.changes import parse_target
from mreg.registry.api.upkeep import Upkeep
from mreg.registry.arguments import (
    as_approvers,
    as_choice,
    as_dataset,
    as_location,
    as_moment,
    as_path,
    as_section,
    as_text,
    as_texts,
    as_version,
)

if TYPE_CHECKING:
    from mreg.stores.artifacts.hashing import Progress

__all__ = ["Registry"]


class Registry(Upkeep):
    """A model registry in a Git repository.

    Readers look at the tip of the registry branch; what is checked out, or changed and not committed, does not count.
    Writers commit there, or on the ``branch`` they are given, and leave the user's files alone.
    """

    @classmethod
    def init(
        cls,
        path: str | PathLike[str] = ".",
        *,
        remote: str | PathLike[str] | None = None,
        remote_options: Mapping[str, str] | None = None,
        adopt: bool = False,
        branch: str | None = None,
    ) -> Registry:
        """Makes a registry of a Git repository, and returns it; what is there already stays.

        Args:
            path: A directory in the repository.
            remote: URL or path of the DVC remote that artifacts go to.
            remote_options: Of that remote, by DVC's names, as ``{"endpointurl": "https://minio.example.com"}``; no
                secrets, as they are committed.
            adopt: Write records and stages for what GTO has tagged.
            branch: The registry branch; by default the one that is checked out.

        Raises:
            NotARegistryError: This is no Git repository.
            RefusedError: GTO has tagged models here, and ``adopt`` was not asked for.
            UsageError: The remote, or an option of it, must not be committed.
        """
        from mreg.registry.setup.initialising import initialise

        place = as_location(remote, "remote") if remote is not None else None
        name = as_text(branch, "branch")
        initialise(as_path(path, "path"), remote=place, remote_options=remote_options, adopting=adopt, branch=name)
        return cls.open(path)

    def register(  # noqa: PLR0913 - what is known of a version is said in one call
        self,
        model: str,
        path: str | PathLike[str],
        *,
        metrics: Mapping[str, object] | None = None,
        params: Mapping[str, object] | None = None,
        dataset: str | Dataset | None = None,
        notes: str = "",
        metadata: Mapping[str, object] | None = None,
        trained_at: date | str | None = None,
        code: Code | None = None,
        run: Run | None = None,
        environment: Environment | None = None,
        format: str = "",
        version: str | Version | None = None,
        bump: Bump | str = Bump.MAJOR,
        stage: str | None = None,
        reason: str = "",
        approved_by: str | Sequence[str] = (),
        force: bool = False,
        upload: bool = True,
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Receipt:
        """Stores an artifact and adds it as a new version: one commit, one tag.

        Args:
            model: The model; it need not exist yet.
            path: One file or one directory, in or outside the repository, or a ``.dvc`` file.
            metrics: Finite numbers; NumPy's and tensors of one element too.
            params: Plain data; arrays and sets as lists, paths and enums as what they hold.
            dataset: What it was trained on, ``name@version``.
            notes: Free text.
            metadata: Plain data of your own.
            trained_at: When it was trained; by default when the artifact was last written.
            code: What trained it; by default the commit of this repository.
            run: The job that trained it; by default the CI job that this process is part of.
            environment: What it was trained with; by default this Python and its packages.
            format: By default recognised from the bytes.
            version: By default the next one.
            bump: Which part of the newest version the next one raises.
            stage: Promote it there in the same commit.
            reason: Why it goes to ``stage``; by default what the notes say.
            approved_by: Who approved that.
            force: Register bytes that equal the newest version's, or a version older than the newest.
            upload: Copy the bytes to the DVC remote first, where one is set.
            branch: Commit here instead of on the registry branch; no tag is made.
            push: Land it on the remote first; by default as ``push:`` in ``registry.yaml`` says.
            dry_run: Decide only; nothing is hashed or stored.
            progress: Called with bytes done and bytes in all.

        Raises:
            UsageError: A name, metric, parameter or note cannot be recorded, or the artifact is empty.
            NotFoundError: The artifact or the stage does not exist.
            RefusedError: The version exists, the bytes are registered already, or the stage's rule says no.
            StorageError: The bytes could not be stored or uploaded.
        """
        from mreg.registry.storage.registering import Facts, Registering
        from mreg.stores.measures import as_metrics, as_params

        if stage is None and (reason or approved_by):
            raise UsageError(
                "a reason and approvers belong to a promotion, but no stage is named",
                hint="name it with --stage; what there is to say of the version itself goes to --notes",
            )
        facts = Facts(
            metrics=as_metrics(metrics or {}, "metrics"),
            params=as_params(params or {}, "params"),
            dataset=as_dataset(dataset),
            notes=check_text(notes, "notes"),
            metadata=as_params(metadata or {}, "metadata"),
            trained_at=as_moment(trained_at, "trained_at"),
            code=as_section(code, Code, "code"),
            run=as_section(run, Run, "run"),
            environment=as_section(environment, Environment, "environment"),
            format=check_line(format, "format") if format != "" else "",
        )
        registering = Registering(
            repo=self._repo,
            model=parse_model_name(model),
            source=as_path(path, "path"),
            facts=facts,
            version=as_version(version),
            bump=as_choice(bump, Bump, "bump"),
            stage=parse_target(stage, model) if stage is not None else None,
            reason=check_text(reason, "reason"),
            approved_by=as_approvers(approved_by),
            force=force,
            upload=upload,
            progress=progress,
            push=push,
        )
        return registering.run(branch=as_text(branch, "branch"), dry_run=dry_run)

    def sync(
        self,
        *,
        push: bool | None = None,
        auto: bool = True,
        environ: Mapping[str, str] | None = None,
        resend: str | None = None,
        dry_run: bool = False,
    ) -> SyncReport:
        """Makes the tags that merged commits call for, promotes what may go by itself, and tells the sinks.

        Args:
            push: Land it on the remote first, in one atomic push; by default as ``push:`` in ``registry.yaml`` says.
            auto: Promote into the stages that have ``auto: true``.
            environ: Holds the URLs of the sinks of ``notify:``; nobody is told where ``None``.
            resend: A commit or tag whose transitions the sinks are told of once more.
            dry_run: Decide only.

        Raises:
            IncompleteHistoryError: The clone is shallow.
            ConflictError: This clone and its remote have diverged.
            PushRefusedError: The remote's rules say no.
        """
        from mreg.registry.sharing.syncing import Syncing

        syncing = Syncing(
            self._repo,
            push=push,
            auto=auto,
            dry_run=dry_run,
            environ=environ,
            resend=as_text(resend, "resend"),
            scan=self._scan,
        )
        return syncing.run()

    def push(
        self,
        *,
        branch: str | None = None,
        drop: str | Sequence[str] = (),
        renumber: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pushed:
        """Brings what was made here without a push to the remote: bytes, then commits and tags in one atomic push.

        What the remote has meanwhile stands, and what was made here goes on top of it, judged again by the rules there.

        Args:
            branch: A branch of a pull request; where this clone lacks it, what is on the registry branch goes there.
            drop: Commits whose changes of the registry are left out: what settles a conflict.
            renumber: Give versions whose number others took the next one.
            dry_run: Fetch and say what would be done, and what stands against it.
            progress: Called with bytes done and bytes in all.

        Raises:
            ConflictError: Both sides changed the same; ``details`` has the commands that settle it.
            RefusedError: The rules of the remote's branch say no.
            IncompleteHistoryError: The clone is shallow.
            DirtyFilesError: A checked-out file that changes has uncommitted changes.
            PushRefusedError: The remote's own rules say no.
        """
        from mreg.registry.sharing.pushing import Pushing

        commits, choice = as_texts(drop, "drop"), (dry_run, self._scan, progress)
        pushing = Pushing(self._repo, as_text(branch, "branch"), commits, renumber, *choice)
        return pushing.run()
