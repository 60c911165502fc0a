from __future__ import annotations

import pytest

from mreg.core.fields import Fields
from mreg.core.layout import Layout
from mreg.core.names import ModelName, StageName
from mreg.core.policy import Direction, MetricRule, OnReplace, Policy, StageRule, parse_policy
from mreg.errors import DataError, NamingError, NotFoundError

STAGING, PRODUCTION = StageName("staging"), StageName("production")


def read(**document: object) -> Policy:
    return parse_policy(Fields({"schema": 1, **document}, where="registry.yaml"))


def test_policy_smallest_is_the_default() -> None:
    assert read() == Policy()
    assert Policy().stages == {STAGING: StageRule(), PRODUCTION: StageRule()}
    assert Policy().branch == "main"
    assert Policy().layout == Layout("registry")


def test_policy_largest_reads() -> None:
    policy = read(
        root="models/registry",
        branch="release/2026",
        stages={
            "shadow": None,
            "production": {"from": ["shadow", "staging"], "on_replace": "archive"},
            "staging": {"from": "shadow"},
        },
        metrics={"auc": {"direction": "higher", "format": ".3f"}, "latency_ms": {"direction": "lower", "unit": "ms"}},
        naming="[a-z]+_[a-z]+",
    )
    assert list(policy.stages) == ["shadow", "production", "staging"]
    assert policy.stages[PRODUCTION] == StageRule((StageName("shadow"), STAGING), OnReplace.ARCHIVE)
    assert policy.stages[STAGING] == StageRule((StageName("shadow"),))
    assert policy.metrics == {
        "auc": MetricRule(Direction.HIGHER, format=".3f"),
        "latency_ms": MetricRule(Direction.LOWER, unit="ms"),
    }
    assert policy.layout.stage(ModelName("churn"), STAGING) == "models/registry/churn/stages/staging.yaml"


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"schema": 2}, "schema"),
        ({"schema": None}, "schema"),
        ({"root": ""}, "root"),
        ({"root": "/registry"}, "root"),
        ({"root": "registry/"}, "root"),
        ({"root": "a//b"}, "root"),
        ({"root": ".."}, "root"),
        ({"root": "a/../b"}, "root"),
        ({"root": ".git"}, "root"),
        ({"root": "a\\b"}, "root"),
        ({"root": "registry\n"}, "root"),
        ({"root": "registry.yaml"}, "root"),
        ({"root": "dvc.yaml"}, "root"),
        ({"stages": {}}, "stages"),
        ({"stages": ["production"]}, "stages"),
        ({"stages": {"Production": {}}}, "stages.Production"),
        ({"stages": {"archived": {}}}, "stages.archived"),
        ({"stages": {"v3": {}}}, "stages.v3"),
        ({"stages": {"production": {"from": "staging"}}}, "stages.production.from"),
        ({"stages": {"production": {"from": "production"}}}, "stages.production.from"),
        ({"stages": {"production": {"from": ["production"]}}}, "stages.production.from"),
        ({"stages": {"production": {"from": 3}}}, "stages.production.from"),
        ({"stages": {"production": {"form": []}}}, "stages.production.form"),
        ({"stages": {"production": {"on_replace": "delete"}}}, "stages.production.on_replace"),
        ({"metrics": {"auc": {"direction": "up"}}}, "metrics.auc.direction"),
        ({"metrics": {"auc": {"format": "x"}}}, "metrics.auc.format"),
        ({"metrics": {"auc": {"format": ".3f\n"}}}, "metrics.auc.format"),
        ({"metrics": {"auc": {"format": ">1000000000"}}}, "metrics.auc.format"),
        ({"metrics": {"auc": {"format": ".999999999f"}}}, "metrics.auc.format"),
        ({"metrics": {"auc": {"best": "high"}}}, "metrics.auc.best"),
        ({"metrics": "auc"}, "metrics"),
        ({"naming": "("}, "naming"),
        ({"naming": "a{99999999999999999999}"}, "naming"),
        ({"naming": "(" * 5000 + ")" * 5000}, "naming"),
        ({"naming": ["a"]}, "naming"),
        ({"stage": {}}, "stage"),
    ],
)
def test_policy_bad_names_its_key(document: dict[str, object], key: str) -> None:
    with pytest.raises(DataError) as caught:
        read(**document)
    assert caught.value.details["key"] == key


@pytest.mark.parametrize("branch", ["main", "release/2026", "a.b", "a@b", "ma-in", "модель", "head", "x.locked"])
def test_policy_branch_good_is_taken(branch: str) -> None:
    assert read(branch=branch).branch == branch


@pytest.mark.parametrize(
    "branch",
    [
        "",
        "-main",
        "--force",
        "/main",
        "main/",
        ".main",
        "main.",
        "a//b",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a..b",
        "a@{b",
        "@",
        "HEAD",
        "a b",
        "a\tb",
        "main\n",
        "a~b",
        "a^b",
        "a:b",
        "a?b",
        "a*b",
        "a[b",
        "a\\b",
        "a\x7fb",
        "a\0b",
    ],
)
def test_policy_branch_bad_is_refused(branch: str) -> None:
    with pytest.raises(DataError) as caught:
        read(branch=branch)
    assert caught.value.details["key"] == "branch"


def test_policy_near_miss_is_suggested() -> None:
    with pytest.raises(DataError) as caught:
        read(metrcs={})
    assert "did you mean metrics?" in caught.value.hint
    with pytest.raises(DataError) as caught:
        read(stages={"staging": {}, "production": {"from": "stagin"}})
    assert caught.value.hint == "the stages are: staging, production"


@pytest.mark.parametrize("spec", ["", ".3f", ".1%", ",.0f", "_.2f", "g", ".4g", ".2e"])
def test_policy_format_good_formats(spec: str) -> None:
    rule = read(metrics={"auc": {"format": spec}}).metrics["auc"]
    assert format(0.5, rule.format)
    assert format(5, rule.format)


def test_stage_undeclared_names_those_that_are() -> None:
    assert Policy().stage(STAGING) == StageRule()
    with pytest.raises(NotFoundError, match="stage 'prod' is not declared") as caught:
        Policy().stage(StageName("prod"))
    assert caught.value.hint == "the stages are: staging, production"
    assert caught.value.details == {"stage": "prod", "known": ["staging", "production"]}


def test_check_name_matches_as_a_whole() -> None:
    policy = read(naming="[a-z]+_[a-z]+")
    policy.check_name(ModelName("fraud_eu"))
    Policy().check_name(ModelName("anything"))
    for name in ("fraud", "fraud_eu2", "a/fraud_eu"):
        with pytest.raises(NamingError, match="does not match naming"):
            policy.check_name(ModelName(name))
