"""What changes a registry: each a commit on the registry branch, or on another for a pull request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mreg.core.names import (
    ARCHIVED,
    ModelName,
    StageName,
    Version,
    parse_model_name,
    parse_selector,
    parse_stage_name,
)
from mreg.core.results import Receipt
from mreg.core.settings.policy import OnReplace
from mreg.core.text import check_text
from mreg.core.write_listener import WriteListener
from mreg.core.writing.plan import Plan
from mreg.core.writing.transitions import plan_archive, plan_clear, plan_hold, plan_promote, plan_rollback
from mreg.errors import NamingError
from mreg.registry.api.deliveries import Deliveries
from mreg.registry.arguments import as_approvers, as_choice, as_text, as_version
from mreg.registry.writing.landing import Landed, find_landed
from mreg.registry.writing.view import View
from mreg.registry.writing.writer import Writer

__all__ = ["Changes", "parse_target"]


class Changes(Deliveries):
    """The writers of stages, marks and approvals; each decides again where someone was faster."""

    def report_to(self, listener: WriteListener) -> None:
        """Has somebody told what the writers go through from now on."""
        self._repo.listener = listener

    def find_landed(self, branch: str, commit: str, remote: str) -> Landed:
        """Returns what became of a commit that was about to land, as a listener was told; nothing is fetched."""
        return find_landed(self._repo, branch, commit, remote)

    def promote(  # noqa: PLR0913 - every part of the statement
        self,
        selector: str,
        stage: str,
        *,
        reason: str,
        approved_by: str | Sequence[str] = (),
        on_replace: OnReplace | str | None = None,
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Puts a version into a stage: one commit, one tag.

        Args:
            selector: Which version.
            stage: A stage declared in ``registry.yaml``.
            reason: Why; the history records it.
            approved_by: Who approved it, as they shall be named.
            on_replace: Archive or keep the version replaced; by default as the stage's rule says.
            branch: Commit here instead of on the registry branch: the pull-request way.
            push: Land it on the remote first; by default as ``push:`` in ``registry.yaml`` says.
            dry_run: Decide only.

        Raises:
            RefusedError: A rule says no.
            NotFoundError: The version or the stage does not exist.
            UsageError: The reason is missing.
            ConflictError: The branch kept moving.
        """
        wanted, target = parse_selector(selector), parse_target(stage, selector)
        approvers = as_approvers(approved_by)
        text = check_text(reason, "reason")
        choice = as_choice(on_replace, OnReplace, "on_replace") if on_replace is not None else None

        def build(view: View) -> Plan:
            view.registered()
            version = view.registry.select(wanted)
            statement = view.statement(text, approvers)
            lane = view.lane(target)
            plan = plan_promote(view.policy, view.model, lane, version, target, statement, on_replace=choice)
            view.require_record(version)
            return plan

        return self._write(wanted.model, build, branch, push=push, dry_run=dry_run)

    def rollback(  # noqa: PLR0913 - every part of the statement
        self,
        model: str,
        stage: str,
        *,
        reason: str,
        to: str | Version | None = None,
        approved_by: str | Sequence[str] = (),
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Puts back the last good version of a stage, and holds it against automatic promotions.

        Args:
            model: The model.
            stage: The stage.
            reason: Why; the history records it.
            to: A version that once held the stage, instead of the last good one.
            approved_by: Who approved it.
            branch: Commit here instead of on the registry branch.
            push: Land it on the remote first; by default as ``push:`` in ``registry.yaml`` says.
            dry_run: Decide only.

        Raises:
            RefusedError: There is nothing to go back to, or ``to`` never held the stage.
            NotFoundError: The model, the version or the stage does not exist.
            UsageError: The reason is missing.
        """
        name, target = parse_model_name(model), parse_target(stage, model)
        version = as_version(to)
        approvers = as_approvers(approved_by)
        text = check_text(reason, "reason")

        def build(view: View) -> Plan:
            statement = view.statement(text, approvers)
            plan = plan_rollback(view.policy, view.registered(), view.lane(target), target, statement, to=version)
            view.require_record(plan.version, is_forward=False)
            return plan

        return self._write(name, build, branch, push=push, dry_run=dry_run)

    def clear(
        self,
        model: str,
        stage: str,
        *,
        reason: str = "",
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Empties a stage.

        Raises:
            NotFoundError: The model or the stage does not exist.
        """
        name, target, text = parse_model_name(model), parse_target(stage, model), check_text(reason, "reason")

        def build(view: View) -> Plan:
            return plan_clear(view.policy, view.registered(), target, view.statement(text))

        return self._write(name, build, branch, push=push, dry_run=dry_run)

    def approve(
        self,
        selector: str,
        stage: str,
        *,
        reason: str = "",
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Commits that whoever Git says commits here agrees to one promotion; makes no tag.

        It binds the version's bytes and what the stage holds now on the registry branch: it counts once, for that.

        Args:
            selector: Which version.
            stage: Where it may go.
            reason: What was looked at.
            branch: Commit here, such as on the branch of the promotion's pull request.
            push: Land it on the remote first; by default as ``push:`` in ``registry.yaml`` says.
            dry_run: Decide only.

        Raises:
            NotFoundError: The version or the stage does not exist.
            RefusedError: The stage holds the version already, or who approves may not.
            IdentityError: The stage asks for signatures, and Git is not configured to sign with an SSH key.
        """
        from mreg.registry.writing.approving import Approving  # noqa: PLC0415 - a promotion does without

        approving = Approving(parse_selector(selector), parse_target(stage, selector), check_text(reason, "reason"))
        return self._write(approving.selector.model, approving.build, branch, push=push, dry_run=dry_run)

    def hold(  # noqa: PLR0913 - what a writer takes
        self,
        model: str,
        stage: str,
        *,
        reason: str,
        off: bool = False,
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Stops automatic promotions of a stage, or with ``off`` lets them go on; makes no tag.

        Raises:
            NotFoundError: The model or the stage does not exist.
            RefusedError: Who asks may not change the stage.
            UsageError: The reason is missing.
        """
        name, target, text = parse_model_name(model), parse_target(stage, model), check_text(reason, "reason")

        def build(view: View) -> Plan:
            return plan_hold(view.rules, view.registered(), target, view.statement(text), on=not off)

        return self._write(name, build, branch, push=push, dry_run=dry_run)

    def archive(
        self,
        selector: str,
        *,
        reason: str = "",
        undo: bool = False,
        branch: str | None = None,
        push: bool | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Marks a version as obsolete, or with ``undo`` takes the mark away.

        Raises:
            RefusedError: A stage holds the version.
            NotFoundError: The version does not exist.
        """
        wanted, text = parse_selector(selector), check_text(reason, "reason")

        def build(view: View) -> Plan:
            view.registered()
            version = view.registry.select(wanted)
            return plan_archive(view.policy, view.model, version, view.statement(text), undo=undo)

        return self._write(wanted.model, build, branch, push=push, dry_run=dry_run)

    def _write(
        self, model: ModelName, build: Callable[[View], Plan], branch: str | None, *, push: bool | None, dry_run: bool
    ) -> Receipt:
        place = as_text(branch, "branch")
        return Writer(self._repo, scan=self._scan, push=push).write(model, build, branch=place, dry_run=dry_run)


def parse_target(stage: str, selector: str) -> StageName:
    """Returns a stage that a version of a selector is to enter or to leave.

    Raises:
        NamingError: It is none, but a mark.
    """
    if stage == ARCHIVED:
        raise NamingError(
            f"{stage!r} is not a stage, but a mark that many versions can bear",
            hint=f"mreg archive {parse_selector(selector)} --reason 'why'   # with --undo: takes it out again",
            details={"stage": stage},
        )
    return parse_stage_name(stage)
