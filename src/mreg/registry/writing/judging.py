"""Judging and signing a plan before it lands: the commit that it would be, read as everyone will read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from mreg.core.history.manifest import Manifest, StageEntry
from mreg.core.history.record import Record
from mreg.core.history.statements import Namespace
from mreg.core.history.timeline import Commit, FileChange, Timeline
from mreg.core.names import ModelName
from mreg.core.review.cases import open_cases
from mreg.core.review.gates import Case, GateFinding, Judgement, Scan, judge
from mreg.core.review.refusals import refuse
from mreg.core.settings.people import Proof
from mreg.core.settings.policy import Policy
from mreg.core.writing.plan import Plan, with_approvers
from mreg.errors import DataError, RefusedError
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.stage_files import parse_manifest
from mreg.registry.writing.signing import Signing
from mreg.registry.writing.view import View, encode_files
from mreg.stores.git.objects import Identity, to_datetime

__all__ = ["Bench", "judge_plan"]


class Bench(Struct):
    """Judges the one commit that a plan would make."""

    reader: Reader
    rules: Policy
    """In force: those of the registry branch."""
    tip: str
    signing: Signing
    scan: Callable[[Record], Scan | None] | None = None

    def judge(
        self, timeline: Timeline, plan: Plan, files: Mapping[str, bytes | None], who: tuple[Identity, Identity]
    ) -> list[tuple[Case, Judgement]]:
        """Returns the answers of all gates to what a plan would do.

        Args:
            timeline: The history that the commit builds on; it is changed.
            plan: What is to be committed.
            files: Its files as bytes.
            who: Author and committer.
        """
        author, committer = who
        written = {f"planned {path}": data for path, data in files.items() if data is not None}
        # The old ids do not matter: what is new to the fold are records and approvals, which are written once.
        changes = [FileChange(path, None, None if data is None else f"planned {path}") for path, data in files.items()]
        moment = to_datetime(committer.time)
        commit = Commit("planned", author.name, author.email, moment, plan.subject, tuple(changes))
        evidence = _PlannedEvidence(self, written, plan.model)

        def read(path: str, oid: str) -> Manifest:
            return parse_manifest(path, written[oid]) if oid in written else self.reader.manifest(path, oid)

        targets = [(plan.model, change.target) for change in plan.changes if plan.model and change.target]
        evidence.prefetch_blobs(timeline.records[key] for key in targets if key in timeline.records)
        found = open_cases(timeline, commit, self.rules.layout, read, policy=self.rules, evidence=evidence)
        return [(case, judge(case)) for _, case in found]


class _PlannedEvidence(StoredEvidence):
    def __init__(self, bench: Bench, written: Mapping[str, bytes], model: ModelName | None) -> None:
        layout = bench.rules.layout
        folders = [layout.model(model)] if model else []
        super().__init__(bench.reader, layout, bench.tip, folders=folders, planned=written, scan=bench.scan)
        self._signing = bench.signing

    def proof(self, statement: bytes, kind: Namespace, signature: str) -> Proof:
        return self._signing.proof(signature) or super().proof(statement, kind, signature)


def judge_plan(bench: Bench, view: View, plan: Plan) -> tuple[Plan, tuple[GateFinding, ...]]:
    """Returns a plan as it lands, signed and with its approvers, and what the gates say of it.

    On another branch than the registry's, a gate that says no stops nothing: there the review decides.

    Args:
        bench: Judges.
        view: What the plan was made from; its timeline is changed.
        plan: What is to be committed.

    Raises:
        RefusedError: A gate says no.
        IdentityError: The stage asks for a signature, and Git is not configured to sign with an SSH key.
    """
    if not plan.changed:
        return plan, ()
    who, layout = (view.author, view.committer), view.policy.layout
    # Judged before it is signed: nobody is asked for a key for what is then refused.
    is_dry, view.signing.dry_run = view.signing.dry_run, True
    draft = _sign(view, plan)
    judged = bench.judge(view.timeline, draft, encode_files(draft), who)
    if not view.is_branch:
        _refuse(judged, plan.caveat)
    view.signing.dry_run = is_dry
    named = plan
    for case, judgement in judged:
        named = with_approvers(named, layout, case.stage, [actor.email for actor in judgement.tally.approvers])
    signed = _sign(view, named)
    if not (view.is_branch or is_dry) and signed != draft:
        judged = bench.judge(view.reader.timeline(view.commits, layout), signed, encode_files(signed), who)
        _refuse(judged, plan.caveat)
    return signed, tuple(finding for _, judgement in judged for finding in judgement.findings)


def _sign(view: View, plan: Plan) -> Plan:
    def find_record(entry: StageEntry) -> Record | None:
        if plan.record and plan.record.version == entry.version:
            return plan.record
        if entry.version is None or entry.version not in view.model.records:
            return None
        try:
            return view.record(entry.version)
        except DataError:
            return None

    return view.signing.sign_plan(plan, view.policy, find_record)


def _refuse(judged: Iterable[tuple[Case, Judgement]], caveat: str) -> None:
    for case, judgement in judged:
        try:
            refuse(case, judgement)
        except RefusedError as error:
            error.message = "; ".join(filter(None, (error.message, caveat)))
            error.args = (error.message,)
            raise
