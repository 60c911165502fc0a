"""Approving: what a promotion would replace is asked of the registry branch, wherever the approval is committed."""

from __future__ import annotations

from msgspec import Struct

from mreg.core.history.record import Record
from mreg.core.history.state import ModelState
from mreg.core.history.statements import Namespace, artifact_name
from mreg.core.names import Selector, StageName, Version
from mreg.core.review.approvals import Approval, Ballot, Vote, approval_id, count_votes, encode_approval
from mreg.core.review.cases import Evidence, find_votes
from mreg.core.settings.people import Actor
from mreg.core.writing.approving import plan_approve
from mreg.core.writing.plan import Plan
from mreg.errors import NotFoundError
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.writing.view import View

__all__ = ["Approving"]


class Approving(Struct, frozen=True):
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
        record, state = view.record(version), _landed(view)
        return plan_approve(
            view.rules,
            state,
            record,
            self.stage,
            view.statement(self.reason),
            given=self._given(view, record, state),
            sign=lambda each: view.signing.sign(self.stage, encode_approval(each), Namespace.APPROVAL),
            known=self._known(view, version),
        )

    def _known(self, view: View, version: Version) -> set[str]:
        timeline, key = view.timeline, (self.selector.model, version, self.stage)
        files = [*timeline.approvals.get(key, {}).values(), *timeline.withdrawn.get(key, ())]
        evidence = StoredEvidence(view.reader, view.rules.layout, None)
        return {approval_id(approval) for file in files if (approval := evidence.vote(file).approval)}

    def _given(self, view: View, record: Record, state: ModelState) -> list[Approval]:
        """Returns the approvals that count: one that does not, be it forged, stands in nobody's way."""
        rule, model = view.rules.stage(self.stage), self.selector.model
        folder = view.rules.layout.model(model)
        evidence = StoredEvidence(view.reader, view.rules.layout, view.registry.commit, folders=[folder])
        votes = {vote.path: vote for vote in self._votes(view, record.version, evidence)}
        artifact, source = artifact_name(record.artifact), state.holder(self.stage)
        ballot = Ballot(model, record.version, self.stage, artifact, source, author=Actor(""))
        tally = count_votes(rule.approvals, rule.signatures, view.rules.people, ballot, votes.values())
        return [approval for path in tally.votes.values() if (approval := votes[path].approval)]

    def _votes(self, view: View, version: Version, evidence: Evidence) -> list[Vote]:
        landed, key = view.timeline, (self.selector.model, version, self.stage)
        if view.is_branch:  # the promotion under review has spent nothing yet
            layout = view.rules.layout
            landed = view.reader.timeline(view.reader.commits(view.landed, layout, [self.selector.model]), layout)
        since = landed.lane(self.selector.model, self.stage).position
        spent = {vote.path for vote in find_votes(landed, key, since, evidence) if not vote.is_fresh}
        return [vote for vote in find_votes(view.timeline, key, -1, evidence) if vote.path not in spent]


def _landed(view: View) -> ModelState:
    """Returns the model as the registry branch has it: the promotion under review is not landed yet."""
    if not view.is_branch:
        return view.model
    state = view.reader.state(view.landed, view.rules, [view.model.model])
    try:
        return state.model(view.model.model)
    except NotFoundError:  # registered by the same pull request
        return ModelState(view.model.model)
