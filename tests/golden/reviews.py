"""The reviews whose Markdown is kept in ``review/``; ``python -m tests.golden.reviews`` writes it anew, to be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mreg.core.names import ModelName, Version
from mreg.core.review.reviewed import Review
from mreg.core.settings.rules import FormatGate, MetricGate, PickleGate, PickleMode, RequireGate
from mreg.render.formats.review import render_review
from tests.core.reviews import CY, EVE, Branch, make_policy, make_record, settings
from tests.core.simulator import ADA, CHURN, HAND, PRODUCTION, V1, V2, V3, V4
from tests.render.samples import HOSTILE

FOLDER = Path(__file__).parent / "review"
STAGE_FILE = "registry/churn/stages/production.yaml"
GATES = (MetricGate("auc", min=0.9, no_worse_than=PRODUCTION, tolerance=0.005), FormatGate(("onnx", "safetensors")))
POLICY = make_policy(*GATES, approvals=2, who=("managers",), owners=("managers",))
VERSIONS = {
    V1: {"auc": 0.902, "latency_ms": 11.0, "loss": 0.31},
    V2: {"auc": 0.913, "latency_ms": 12.5, "loss": 0.31},
    V3: {"auc": 0.85, "latency_ms": 7.0},
}


def landed() -> Branch:
    """Returns a registry whose production holds v1."""
    branch = Branch.of(POLICY, VERSIONS)
    branch.promote(V1, reason="the first one")
    branch.begin()
    return branch


def promotion() -> Review:
    branch = landed()
    branch.promote(V2, reason="AUC 0.913 against 0.902 on holdout 2026-10")
    branch.approve(V2, V1)
    branch.approve(V2, V1, by=CY)
    return branch.review()


def approvals_partly_there() -> Review:
    branch = landed()
    branch.promote(V2, reason="AUC 0.913 against 0.902 on holdout 2026-10")
    branch.approve(V2, V1)
    branch.approve(V2, V1, by=ADA)
    branch.approve(V2, V1, by=CY, email=EVE)
    return branch.review()


def rollback() -> Review:
    branch = landed()
    branch.promote(V2)
    branch.begin()
    branch.rollback()
    return branch.review()


def hand_edit() -> Review:
    branch = landed()
    branch.registry.edit_version(V2)
    return branch.review()


def refused_promotion() -> Review:
    branch = landed()
    branch.registry.facts[CHURN, V3] = make_record(V3, VERSIONS[V3], format="sklearn-pickle")
    branch.promote(V3, email=EVE, reason="it is smaller")
    return branch.review()


def policy_change() -> Review:
    branch = landed()
    branch.edit_settings(email=HAND)
    branch.promote(V2, reason="the new rules would allow it")
    old: dict[str, Any] = {"count": 2, "by": ["managers"], "not": ["author"]}
    gates: list[Any] = [{"metric": "auc", "min": 0.9, "no_worse_than": "production", "tolerance": 0.005}]
    return branch.review(
        settings=settings(
            {"stages": {"staging": {}, "production": {"gates": [*gates], "approvals": old}}, "roles": {"managers": []}},
            {"stages": {"staging": {}, "production": {"auto": True}}, "roles": {"managers": ["eve"]}, "push": True},
        )
    )


def registration() -> Review:
    branch = landed()
    branch.registry.facts[CHURN, V4] = make_record(V4, {"auc": 0.921, "latency_ms": 9.0}, notes="retrained on October")
    branch.registry.register(V4)
    return branch.review()


def faults() -> Review:
    branch = landed()
    registry = branch.registry
    registry.commit({"registry/churn/versions/v1.0.0.yaml": "other", "registry/churn/versions/v2.0.0.yaml": None})
    registry.commit({"registry/churn/notes.txt": "x"})
    registry.edit({**json.loads(registry.tree[STAGE_FILE]), "hold": True})
    return branch.review(conflicts=("registry/churn/stages/staging.yaml",))


def hundred_transitions() -> Review:
    policy = make_policy(*GATES, RequireGate(("dataset.version", "metrics.auc")), PickleGate(PickleMode.FORBID))
    branch = Branch.of(policy, {})
    registry = branch.registry
    models = [ModelName(f"model-{number:03}") for number in range(100)]
    for model in models:
        for version in (V1, V2):
            auc = {V1: 0.91, V2: 0.85 if model in models[10:13] else 0.92}[version]
            registry.facts[model, version] = make_record(version, {"auc": auc, "latency_ms": 10.0, "loss": 0.5})
            registry.register(version, model=model)
        _stage(branch, model, V1, None)
    branch.begin()
    for model in models:
        _stage(branch, model, V2, V1)
    return branch.review()


def _stage(branch: Branch, model: ModelName, version: Version, replaces: Version | None) -> None:
    document = {"version": str(version), "replaces": str(replaces or "none"), "by": ADA, "reason": f"nightly {version}"}
    path = branch.registry.layout.stage(model, PRODUCTION)
    branch.registry.commit({path: json.dumps(document)}, subject="Nightly")


def hostile() -> Review:
    branch = landed()
    for version in (V2, V4):
        record = make_record(version, {"auc": 0.95, HOSTILE: 1.0}, format=HOSTILE, notes=HOSTILE * 4)
        branch.registry.facts[CHURN, version] = record
    branch.registry.register(V4)
    branch.promote(V2, reason=HOSTILE)
    branch.approve(V2, V1, reason=HOSTILE)
    branch.registry.commit({f"registry/churn/{HOSTILE.replace('/', '')}": "x"}, email=f"<{HOSTILE}>", subject=HOSTILE)
    branch.edit_settings(email=HOSTILE)
    return branch.review(
        settings=settings({HOSTILE: HOSTILE}, {HOSTILE: [HOSTILE, "x"], "push": True}),
        base_name=HOSTILE,
        conflicts=(f"registry/{HOSTILE}",),
    )


REVIEWS: dict[str, Callable[[], Review]] = {
    "promotion": promotion,
    "approvals-partly-there": approvals_partly_there,
    "rollback": rollback,
    "hand-edit": hand_edit,
    "refused-promotion": refused_promotion,
    "policy-change": policy_change,
    "registration": registration,
    "faults": faults,
    "hundred-transitions": hundred_transitions,
    "hostile": hostile,
}


if __name__ == "__main__":
    for name, make in REVIEWS.items():
        (FOLDER / f"{name}.md").write_text(render_review(make()) + "\n", encoding="utf-8")
