"""Refusals: the error that says no, with every finding and the command that goes on from there."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from mreg.core.history.timeline import Action
from mreg.core.review.gates import Case, GateFinding, Judgement
from mreg.errors import RefusedError

__all__ = ["advise", "format_finding", "refuse"]


def refuse(case: Case, judgement: Judgement) -> None:
    """Passes a transition that every gate allows.

    Raises:
        RefusedError: A gate says no; ``details`` has all findings, those that pass too.
    """
    refusals = judgement.refusals
    if not refusals:
        return
    verbs = {Action.PROMOTE: "may not enter", Action.ROLLBACK: "may not go back into", Action.CLEAR: "may not leave"}
    what = f"{case.model} {case.target or case.source} {verbs.get(case.action, 'may not change')} {case.stage}"
    if len(judgement.findings) == 1:
        message = f"{what}: {format_finding(refusals[0])}"
    else:
        verb = "blocks" if len(refusals) == 1 else "block"
        message = f"{what}: {len(refusals)} of {len(judgement.findings)} gates {verb} it"
    details: dict[str, Any] = {
        "model": case.model,
        "version": str(case.target or case.source),
        "stage": case.stage,
        "findings": [_plain(finding) for finding in judgement.findings],
    }
    error = RefusedError(message, hint=advise(case, refusals[0]), details=details)
    if len(judgement.findings) > 1:
        error.__notes__[:0] = map(format_finding, refusals)
    raise error


def format_finding(finding: GateFinding) -> str:
    """Returns a finding in one line: what is asked, what was found, why."""
    return f"{finding.gate}: {finding.measured}" + (f" ({finding.why})" if finding.why else "")


def _plain(finding: GateFinding) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(finding).items()} | {"outcome": finding.outcome.value}


def _way(case: Case) -> list[str]:
    """Returns the stage that a version can enter next, with the reason that is asked for, and those after that."""
    way = [case.stage]
    while True:
        needed = case.policy.stages[way[0]].origin
        if not needed or case.origins.intersection(needed) or needed[0] in way:
            break
        way.insert(0, needed[0])
    after = f"   # then {', then '.join(way[1:])}" if len(way) > 1 else ""
    return [way[0], f"--reason 'why'{after}"]


def advise(case: Case, first: GateFinding) -> str:
    """Returns the command that goes on from a refusal."""
    name = f"{case.model}@{case.target or case.source}"
    branch = f"{case.action.value}-{case.model.replace('/', '-')}"
    others = {
        Action.ROLLBACK: f"rollback {case.model} {case.stage} --to {case.target}",
        Action.CLEAR: f"clear {case.model} {case.stage}",
    }
    again = others.get(case.action, f"promote {name} {case.stage}")
    hints = {
        "from": f"mreg promote {name} {' '.join(_way(case))}",
        "deleted": f"mreg register {case.model} PATH   # where someone still has them: as a new version",
        "archived": f"mreg archive {name} --undo --reason 'why'",
        "approvals": f"mreg approve {name} {case.stage}   # by each approver; then promote again",
        "signature": "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub",
        "who": f"mreg {again} --reason 'why' --branch {branch}   # and ask one of them",
        "metric": f"mreg compare {case.model}@{case.stage} {name}" if case.source else f"mreg show {name}",
    }
    return hints.get(first.rule, f"mreg show {name}")
