from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields, Plain
from mreg.core.layout import Layout
from mreg.core.names import ModelName, StageName
from mreg.core.settings.people import People, Person
from mreg.core.settings.policy import (
    ApprovalRule,
    Direction,
    MetricRule,
    OnReplace,
    Policy,
    Signatures,
    StageRule,
    parse_policy,
)
from mreg.core.settings.rules import MetricGate, SoakGate
from mreg.core.settings.sinks import Sink, SinkKind
from mreg.errors import DataError, NamingError, NotFoundError
from tests.core.strategies import plain

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
        ({"naming": "([a-z]+)+"}, "naming"),
        ({"naming": "a" * 201}, "naming"),
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
    assert "did you mean 'metrics'?" in caught.value.hint
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
    assert caught.value.hint == "the stages are: staging, production (what is committed counts)"
    assert caught.value.details == {"stage": "prod", "known": ["staging", "production"]}


def test_check_name_matches_as_a_whole() -> None:
    policy = read(naming="[a-z]+_[a-z]+")
    policy.check_name(ModelName("fraud_eu"))
    Policy().check_name(ModelName("anything"))
    for name in ("fraud", "fraud_eu2", "a/fraud_eu"):
        with pytest.raises(NamingError, match="does not match naming"):
            policy.check_name(ModelName(name))


# People, rules and sinks.

PEOPLE: dict[str, Any] = {
    "people": {"ada": {"emails": ["ada@example.com"]}, "bo": {"emails": ["bo@example.com"]}},
    "roles": {"managers": ["ada"], "reviewers": ["bo", "ada"], "nobody": []},
}


def read_production(**rule: object) -> StageRule:
    stages = {"staging": {}, "production": rule}
    return read(**PEOPLE, metrics={"auc": {"direction": "higher"}}, stages=stages).stages[PRODUCTION]


def test_policy_with_rules_reads() -> None:
    policy = read(
        **PEOPLE,
        owners=["managers"],
        push=True,
        metrics={"auc": {"direction": "higher"}},
        notify=[{"to": "slack", "url_env": "SLACK", "stages": ["production"]}],
        stages={
            "staging": {"auto": True},
            "production": {
                "from": ["staging"],
                "gates": [{"metric": "auc", "no_worse_than": "production"}, {"was_in": "staging", "for": "1d"}],
                "approvals": {"count": 2, "by": ["reviewers"], "not": ["author"]},
                "who": ["managers", "reviewers"],
                "signatures": "required",
            },
        },
    )
    assert policy.people == People(
        {"ada": Person("ada", ("ada@example.com",)), "bo": Person("bo", ("bo@example.com",))},
        {"managers": ("ada",), "reviewers": ("bo", "ada"), "nobody": ()},
    )
    assert policy.stages == {
        STAGING: StageRule(auto=True),
        PRODUCTION: StageRule(
            (STAGING,),
            gates=(MetricGate("auc", no_worse_than=PRODUCTION), SoakGate(STAGING, 86_400)),
            approvals=ApprovalRule(2, ("reviewers",), not_author=True),
            who=("managers", "reviewers"),
            signatures=Signatures.REQUIRED,
        ),
    }
    assert (policy.owners, policy.push) == (("managers",), True)
    assert policy.notify == (Sink("slack-1", SinkKind.SLACK, "SLACK", stages=(PRODUCTION,)),)


def test_stage_asks_for_nothing_by_default() -> None:
    bare = StageRule()
    for key in ("from", "on_replace", "gates", "approvals", "who", "signatures", "auto"):
        assert read_production(**{key: None}) == bare
    assert (bare.gates, bare.approvals, bare.who, bare.auto) == ((), ApprovalRule(), (), False)
    assert bare.signatures is Signatures.OPTIONAL
    assert (bare.approvals.count, bare.approvals.not_author) == (0, False)


@pytest.mark.parametrize(
    ("approvals", "rule"),
    [
        ({"count": 1}, ApprovalRule(1)),
        ({"count": 0}, ApprovalRule()),
        ({"count": 99}, ApprovalRule(99)),  # by anyone: nobody knows how many there are
        ({"count": 1, "by": None, "not": None}, ApprovalRule(1)),
        ({"count": 2, "by": ["managers", "reviewers"]}, ApprovalRule(2, ("managers", "reviewers"))),
        ({"count": 1, "not": ["author", "author"]}, ApprovalRule(1, not_author=True)),
        ({"count": 0, "by": ["nobody"]}, ApprovalRule(0, ("nobody",))),
    ],
)
def test_approvals_read(approvals: dict[str, object], rule: ApprovalRule) -> None:
    assert read_production(approvals=approvals).approvals == rule


@pytest.mark.parametrize(
    ("rule", "key", "message"),
    [
        ({"approvals": {}}, "approvals.count", "required, but missing"),
        ({"approvals": {"by": ["reviewers"]}}, "approvals.count", "required, but missing"),
        ({"approvals": {"count": -1}}, "approvals.count", "a whole number, 0 or more, is expected"),
        ({"approvals": {"count": "2"}}, "approvals.count", "a whole number, 0 or more, is expected"),
        ({"approvals": {"count": True}}, "approvals.count", "a whole number, 0 or more, is expected"),
        ({"approvals": {"count": 1.0}}, "approvals.count", "a whole number, 0 or more, is expected"),
        ({"approvals": 2}, "approvals", "a mapping is expected"),
        ({"approvals": [{"count": 2}]}, "approvals", "a mapping is expected"),
        ({"approvals": {"count": 1, "from": ["reviewers"]}}, "approvals.from", "unknown key"),
        ({"approvals": {"count": 1, "by": "reviewers"}}, "approvals.by", "a list of texts is expected"),
        ({"approvals": {"count": 1, "by": ["ada"]}}, "approvals.by", "role 'ada' is not declared in roles:"),
        ({"approvals": {"count": 1, "not": ["proposer"]}}, "approvals.not", "'proposer' is not known here"),
        ({"approvals": {"count": 1, "not": "author"}}, "approvals.not", "a list of texts is expected"),
        (
            {"approvals": {"count": 2, "by": ["managers"]}},
            "approvals.count",
            "2 people must approve, but managers has 1",
        ),
        (
            {"approvals": {"count": 3, "by": ["managers", "reviewers"]}},
            "approvals.count",
            "3 people must approve, but managers and reviewers has 2",
        ),
        (
            {"approvals": {"count": 1, "by": ["nobody"]}},
            "approvals.count",
            "1 people must approve, but nobody has 0",
        ),
        ({"who": ["ada"]}, "who", "role 'ada' is not declared in roles:"),
        ({"who": "managers"}, "who", "a list of texts is expected"),
        ({"who": [["managers"]]}, "who", "a list of texts is expected"),
        ({"signatures": "require"}, "signatures", "'require' is not one of optional, required"),
        ({"signatures": True}, "signatures", "text is expected"),
        ({"auto": "yes"}, "auto", "true or false is expected"),
        ({"auto": 1}, "auto", "true or false is expected"),
        ({"gates": [{"metric": "auc", "min": 0.9}, {"metrc": "auc"}]}, "gates", "no gate is asked for by metrc"),
        ({"gates": [{"metric": "auc", "min": "x"}]}, "gates.0.min", "a finite number is expected"),
        ({"gates": [{"metric": "f1", "no_worse_than": "staging"}]}, "gates.0.no_worse_than", "f1 is better"),
        ({"gates": [{"was_in": "shadow"}]}, "gates.0.was_in", "stage 'shadow' is not declared"),
    ],
)
def test_stage_rule_bad_names_its_key(rule: dict[str, object], key: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_production(**rule)
    assert caught.value.details["key"] == f"stages.production.{key}"
    assert caught.value.details["file"] == "registry.yaml"
    assert caught.value.message.startswith(f"registry.yaml: stages.production.{key}: ")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"owners": ["managers"]}, "owners"),
        ({"owners": "managers"}, "owners"),
        ({"push": "yes"}, "push"),
        ({"people": ["ada"]}, "people"),
        ({"people": {"ada": {"emails": ["x"]}}}, "people.ada.emails"),
        ({"roles": {"managers": ["ada"]}}, "roles.managers"),
        ({"notify": {"to": "slack"}}, "notify"),
        ({"notify": [{"to": "slack", "url_env": "A", "stages": ["shadow"]}]}, "notify.0.stages"),
        ({"stages": {"production": {"gates": {"metric": "auc"}}}}, "stages.production.gates"),
    ],
)
def test_policy_bad_rule_names_its_key(document: dict[str, object], key: str) -> None:
    with pytest.raises(DataError) as caught:
        read(**document)
    assert caught.value.details["key"] == key


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"owner": []}, "did you mean 'owners'?"),
        ({"peple": {}}, "did you mean 'people'?"),
        ({"notfy": []}, "did you mean 'notify'?"),
        ({"stages": {"production": {"gate": []}}}, "did you mean 'gates'?"),
        ({"stages": {"production": {"aprovals": {"count": 1}}}}, "did you mean 'approvals'?"),
        ({"stages": {"production": {"signature": "required"}}}, "did you mean 'signatures'?"),
        ({"stages": {"production": {"signatures": "requird"}}}, "did you mean 'required'?"),
        ({"stages": {"production": {"approvals": {"count": 1, "buy": []}}}}, "did you mean 'by'?"),
        ({"owners": ["x"]}, "the roles are: none"),
        ({**PEOPLE, "owners": ["manager"]}, "the roles are: managers, reviewers, nobody"),
        ({"stages": {"production": {"approvals": {"count": 1, "not": ["authors"]}}}}, "not: [author]"),
        (
            {**PEOPLE, "stages": {"production": {"approvals": {"count": 9, "by": ["managers"]}}}},
            "add people to the role, or lower count:",
        ),
    ],
)
def test_policy_near_miss_of_a_rule_is_suggested(document: dict[str, object], hint: str) -> None:
    with pytest.raises(DataError) as caught:
        read(**document)
    assert hint in caught.value.hint


KEYS = ["root", "branch", "stages", "metrics", "naming", "people", "roles", "notify", "owners", "push", "x"]
STAGE_KEYS = ["from", "on_replace", "gates", "approvals", "who", "signatures", "auto", "x"]


@given(st.dictionaries(st.sampled_from(KEYS), plain, max_size=3), st.dictionaries(st.sampled_from(STAGE_KEYS), plain))
def test_policy_of_any_data_is_read_or_refused(document: dict[str, Plain], rule: dict[str, Plain]) -> None:
    with suppress(DataError):
        assert read(**document).stages
    with suppress(DataError):
        read_production(**rule)
    with suppress(DataError):
        read_production(approvals=dict(zip(("count", "by", "not"), [*rule.values(), 1, [], []], strict=False)))


@pytest.mark.parametrize("document", [None, [], "schema: 1", 5, {1: 2}, {"schema": "1"}, {"schema": True}, {}])
def test_policy_that_is_no_mapping_with_a_schema_is_refused(document: object) -> None:
    with pytest.raises(DataError, match=r"^registry\.yaml: "):
        parse_policy(Fields(document, where="registry.yaml"))
