from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest

from mreg.core.fields import Plain
from mreg.core.history.record import Artifact, Code, Dataset, Environment, Record, Run
from mreg.core.names import ModelName, StageName, Version
from mreg.core.settings.policy import Direction, MetricRule
from mreg.core.versions.compare import Subject, compare
from mreg.core.versions.metrics import Delta, Number, Verdict
from mreg.errors import NotFoundError, UsageError

RULES = {"auc": MetricRule(Direction.HIGHER, format=".3f"), "ms": MetricRule(Direction.LOWER, unit="ms")}
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def make(
    number: int,
    metrics: Mapping[str, Number] | None = None,
    params: Mapping[str, Plain] | None = None,
    *,
    model: str = "churn",
    sha256: str = "",
) -> Subject:
    artifact = Artifact("model.pkl", 10, md5="0" * 32, sha256=sha256 or f"{number}" * 64)
    return Subject(Record(ModelName(model), Version(number), artifact, metrics or {}, params or {}))


def test_compare_measures_all_against_the_first() -> None:
    result = compare([make(1, {"auc": 0.902}), make(2, {"auc": 0.913}), make(3, {"auc": 0.902})], RULES)
    auc = result.metrics["auc"]
    assert result.baseline == "v1.0.0"
    assert auc.values == {"v1.0.0": 0.902, "v2.0.0": 0.913, "v3.0.0": 0.902}
    assert (auc.best, auc.tied, auc.missing) == ("v2.0.0", (), ())
    assert list(auc.deltas) == ["v2.0.0", "v3.0.0"]
    assert auc.deltas["v2.0.0"].absolute == 0.011
    assert auc.deltas["v2.0.0"].verdict is Verdict.BETTER
    assert auc.deltas["v3.0.0"] == Delta(0.0, 0.0, Verdict.EQUAL)
    assert auc.rule == RULES["auc"]


def test_compare_lower_is_better_where_the_policy_says_so() -> None:
    ms = compare([make(1, {"ms": 14}), make(2, {"ms": 11})], RULES).metrics["ms"]
    assert (ms.best, ms.deltas["v2.0.0"].verdict) == ("v2.0.0", Verdict.BETTER)


def test_compare_asked_direction_beats_the_policys() -> None:
    subjects = [make(1, {"auc": 0.9, "f1": 1}), make(2, {"auc": 0.8, "f1": 2})]
    metrics = compare(subjects, RULES, higher=["f1"], lower=["auc"]).metrics
    assert (metrics["auc"].best, metrics["f1"].best) == ("v2.0.0", "v2.0.0")
    assert metrics["auc"].rule == MetricRule(Direction.LOWER, format=".3f")


def test_compare_tie_has_no_best_version() -> None:
    auc = compare([make(1, {"auc": 0.9}), make(2, {"auc": 0.9}), make(3, {"auc": 0.1})], RULES).metrics["auc"]
    assert (auc.best, auc.tied) == (None, ("v1.0.0", "v2.0.0"))


def test_compare_missing_metric_is_said_and_not_zero() -> None:
    ms = compare([make(1), make(2, {"ms": 11}), make(3, {"ms": 9})], RULES).metrics["ms"]
    assert ms.values == {"v1.0.0": None, "v2.0.0": 11, "v3.0.0": 9}
    assert (ms.best, ms.missing) == ("v3.0.0", ("v1.0.0",))
    assert ms.deltas["v2.0.0"] == Delta(None, None, Verdict.UNKNOWN)


def test_compare_metric_without_direction_has_no_best_version() -> None:
    loss = compare([make(1, {"loss": 1}), make(2, {"loss": 2})], {}).metrics["loss"]
    assert (loss.best, loss.tied, loss.deltas["v2.0.0"].verdict) == (None, (), Verdict.UNKNOWN)


def test_compare_lists_metrics_with_a_direction_first() -> None:
    result = compare([make(1, {"zeta": 1, "ms": 1, "alpha": 1, "auc": 1}), make(2)], RULES)
    assert list(result.metrics) == ["auc", "ms", "alpha", "zeta"]


def test_compare_keeps_params_that_differ_apart() -> None:
    one = make(1, params={"depth": 4, "seed": 1, "flag": True, "only": None, "layers": [1, 2]})
    two = make(2, params={"depth": 6, "seed": 1.0, "flag": 1, "layers": [1, 2]})
    params = compare([one, two], {}).params
    assert params.same == {"layers": [1, 2], "seed": 1}
    assert params.differ == {
        "depth": {"v1.0.0": 4, "v2.0.0": 6},
        "flag": {"v1.0.0": True, "v2.0.0": 1},
        "only": {"v1.0.0": None},
    }


def test_compare_lineage_by_dotted_name() -> None:
    one, two = make(1).record, make(2).record
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    first = Record(
        one.model, one.version, one.artifact, code=Code("a" * 40, dirty=False), trained_at=NOON,
        dataset=Dataset("customers", "10"), environment=Environment("3.11", {"numpy": "2.0"}), run=Run("ci", "https://x"),
    )  # fmt: skip
    second = Record(
        two.model, two.version, two.artifact, code=Code("b" * 40, dirty=True), trained_at=berlin,
        dataset=Dataset("customers", "11"), environment=Environment("3.11", {"numpy": "2.1"}),
    )  # fmt: skip
    result = compare([Subject(first), Subject(second)], {}).lineage
    assert result.same == {
        "dataset.name": "customers",
        "environment.python": "3.11",
        "trained_at": "2026-11-20T12:00:00Z",
    }
    assert result.differ == {
        "code.commit": {"v1.0.0": "a" * 40, "v2.0.0": "b" * 40},
        "code.dirty": {"v1.0.0": False, "v2.0.0": True},
        "dataset.version": {"v1.0.0": "10", "v2.0.0": "11"},
        "environment.packages.numpy": {"v1.0.0": "2.0", "v2.0.0": "2.1"},
        "run.tool": {"v1.0.0": "ci"},
        "run.url": {"v1.0.0": "https://x"},
    }


def test_compare_artifacts_with_other_bytes() -> None:
    result = compare([make(1), make(2)], {})
    assert result.same_bytes is False
    assert result.artifact.differ == {"sha256": {"v1.0.0": "1" * 64, "v2.0.0": "2" * 64}}
    assert result.artifact.same == {"md5": "0" * 32, "path": "model.pkl", "size": 10}


def test_compare_artifacts_with_the_same_bytes() -> None:
    assert compare([make(1, sha256="f" * 64), make(2, sha256="f" * 64)], {}).same_bytes is True


def test_compare_artifacts_without_a_hash_are_not_called_the_same() -> None:
    unhashed = Record(ModelName("churn"), Version(3), Artifact("m", 1, md5="", sha256=""))
    assert compare([Subject(unhashed), make(2)], {}).same_bytes is None


def test_compare_several_models_calls_versions_by_model() -> None:
    held = Subject(make(1, {"auc": 0.8}, model="fraud/eu").record, (StageName("production"),), archived=True)
    result = compare([make(1, {"auc": 0.9}), held], RULES)
    assert list(result.versions) == ["churn@v1.0.0", "fraud/eu@v1.0.0"]
    assert result.models == ("churn", "fraud/eu")
    assert result.metrics["auc"].best == "churn@v1.0.0"
    assert result.versions["fraud/eu@v1.0.0"].stages == ("production",)


def test_compare_version_named_twice_is_shown_once() -> None:
    result = compare([make(1), make(2), make(1)], {})
    assert list(result.versions) == ["v1.0.0", "v2.0.0"]
    assert result.notices == ("a version that was named more than once is shown once",)


def test_compare_one_version_by_two_selectors_says_so() -> None:
    result = compare([make(1, {"auc": 1}), make(1, {"auc": 1})], RULES)
    assert result.notices == ("all selectors name the same version, v1.0.0",)
    assert (result.metrics["auc"].best, result.same_bytes) == ("v1.0.0", True)


def test_compare_fewer_than_two_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="two versions or more"):
        compare([make(1)], {})


def test_compare_direction_of_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="no version compared has a metric 'acu'") as caught:
        compare([make(1, {"auc": 1}), make(2)], {}, higher=["acu"])
    assert caught.value.hint == "did you mean 'auc'?"
