"""Approving: what a promotion would replace is asked of the registry branch, wherever the approval is committed."""

from __future__ import annotations

from dataclasses import dataclass

from mreg.core.approvals import Approval, encode_approval
from mreg.core.approving import plan_approve
from mreg.core.cases import find_votes
from mreg.core.names import Selector, StageName, Version
from mreg.core.plan import Plan
from mreg.core.state import ModelState
from mreg.core.statements import Namespace
from mreg.errors import NotFoundError
from mreg.registry.evidence import StoredEvidence
from mreg.registry.view import View

__all__ = ["Approving"]


@dataclass(frozen=True, slots=True)
class Approving:
    """One approval that is asked for."""

    selector: Selector
    stage: StageName
    reason: str

    def build(self, view: View) -> Plan:
        """Returns the plan of the approval.

        Raises:
            NotFoundError: The version or the stage does not exist.
            RefusedError: There is nothing to approve, or who approves may not.
        """
        view.registered()
        version = view.registry.select(self.selector)
        view.require_record(version)
        record = view.record(version)
        return plan_approve(
            view.rules,
            _landed(view),
            record,
            self.stage,
            view.statement(self.reason),
            given=self._given(view, version),
            sign=lambda each: view.signing.sign(self.stage, encode_approval(each), Namespace.APPROVAL),
        )

    def _given(self, view: View, version: Version) -> list[Approval]:
        timeline, key = view.timeline, (self.selector.model, version, self.stage)
        evidence = StoredEvidence(view.reader, view.rules.layout, None)
        since = timeline.lane(self.selector.model, self.stage).position
        votes = find_votes(timeline, key, -1 if view.is_branch else since, evidence)
        return [vote.approval for vote in votes if vote.approval and vote.is_fresh and not vote.is_changed]


def _landed(view: View) -> ModelState:
    """Returns the model as the registry branch has it: the promotion under review is not landed yet."""
    if not view.is_branch:
        return view.model
    state = view.reader.state(view.landed, view.rules, [view.model.model])
    try:
        return state.model(view.model.model)
    except NotFoundError:  # registered by the same pull request
        return ModelState(view.model.model)
