"""No history that mreg itself can write violates its policy: random rules, people and verbs in real repositories."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mreg.core.settings.policy import OnReplace
from mreg.errors import MregError
from tests.registry.world import PEOPLE, World

VERBS = 14
WHO = (*PEOPLE, "eve")
STAGES = ("staging", "production")
VERSIONS = ("v1", "v2", "v3", "v4", "latest")


def draw_rules(chance: random.Random, stage: str) -> dict[str, object]:
    gates: list[dict[str, object]] = [
        {"metric": "auc", "min": chance.choice([0.4, 0.6, 0.93])},
        {"metric": "auc", "no_worse_than": chance.choice(STAGES), "tolerance": "5%"},
        {"require": ["metrics.auc"]},
        {"max_size": 100},
        {"pickle": "forbid"},
        {"was_in": "staging"},
    ]
    rules: dict[str, object] = {
        "gates": chance.sample(gates, chance.randrange(3)),
        "on_replace": chance.choice(["archive", "keep"]),
        "signatures": chance.choice(["optional", "required"]),
        "approvals": {"count": chance.randrange(3), "by": ["reviewers"], "not": chance.choice([[], ["author"]])},
    }
    if stage == "production" and chance.random() < 0.5:
        rules["from"] = "staging"
    if chance.random() < 0.5:
        rules["who"] = ["managers"]
    return rules


def draw_settings(chance: random.Random, world: World) -> str:
    people = {name: {"emails": [f"{name}@example.com"], "keys": [world.key(name)]} for name in PEOPLE}
    return json.dumps(
        {
            "schema": 1,
            "people": people,
            "roles": {"managers": ["ada", "bo"], "reviewers": ["bo", "cy"], "owners": ["ada"]},
            "owners": ["owners"],
            "metrics": {"auc": {"direction": "higher"}},
            "stages": {stage: draw_rules(chance, stage) for stage in STAGES},
        }
    )


def act(chance: random.Random, world: World, scratch: Path) -> str:
    """Does one thing, whoever does it, and returns its name."""
    registry, stage, version = world.registry, chance.choice(STAGES), f"churn@{chance.choice(VERSIONS)}"
    on_replace = chance.choice([None, *OnReplace])

    def register() -> None:
        scratch.write_bytes(chance.randbytes(20))
        metrics = {"auc": chance.choice([0.3, 0.7, 0.95])}
        registry.register("churn", scratch, metrics=metrics, stage=chance.choice([None, stage]))

    verbs: dict[str, tuple[int, Callable[[], object]]] = {
        "promote": (6, lambda: registry.promote(version, stage, reason="why", on_replace=on_replace)),
        "approve": (6, lambda: registry.approve(version, stage)),
        "register": (2, register),
        "rollback": (2, lambda: registry.rollback("churn", stage, reason="why")),
        "clear": (1, lambda: registry.clear("churn", stage, reason="why")),
        "hold": (1, lambda: registry.hold("churn", stage, reason="why", off=chance.random() < 0.5)),
        "archive": (2, lambda: registry.archive(version, undo=chance.random() < 0.5)),
    }
    name = chance.choices(list(verbs), [weight for weight, _ in verbs.values()])[0]
    verbs[name][1]()
    return name


def snapshot(world: World) -> tuple[str, str]:
    refs = world.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=world.repo)
    return refs, world.git("status", "--porcelain", cwd=world.repo)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_verify_of_any_history_that_mreg_writes_is_clean(world: World, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world.commit({"registry.yaml": draw_settings(chance, world)})
    done = 0
    for _ in range(VERBS):
        if chance.random() < 0.1:
            world.commit({"registry.yaml": draw_settings(chance, world)})
        world.become(chance.choice(WHO))
        world.git.clock.now += 60
        before = snapshot(world)
        try:
            act(chance, world, tmp_path / "model.bin")
            done += 1
        except MregError:
            assert snapshot(world) == before
    found = world.verify()
    assert (found.ok, found.faults) == (True, ())
    assert done
