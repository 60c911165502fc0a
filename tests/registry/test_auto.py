"""Stages that take versions by themselves, when somebody syncs."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mreg import Registry
from mreg.core.history.record import Record
from mreg.core.review.gates import Scan
from mreg.registry.sharing.syncing import Syncing
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git, Mreg
from tests.registry.teams import Team, found

RULES = """\
schema: 1
stages:
  staging:
    auto: true
    gates:
    - metric: auc
      max: 0.925
  production:
    auto: true
    from: staging
    gates:
    - metric: auc
      no_worse_than: production
metrics:
  auc: {direction: higher}
"""
SCAN = """\
schema: 1
stages:
  staging: {auto: true, gates: [pickle: scan]}
  production: {auto: true, gates: [pickle: scan]}
"""


@pytest.fixture
def team(made: Path, repo: Path, tmp_path: Path, git: Git) -> Team:
    team = found(made, repo, tmp_path, git)
    team.set_rules(RULES)
    return team


@pytest.fixture
def ada(team: Team) -> Registry:
    return team.member("ada")


def stages(registry: Registry) -> dict[str, str]:
    (model,) = registry.list().models
    return {stage: str(version) for stage, version in model.stages.items() if version}


def register(registry: Registry, folder: Path, number: int, auc: float, version: str | None = None) -> None:
    (folder / "model.bin").write_bytes(b"model %d" % number)
    registry.register("churn", folder / "model.bin", metrics={"auc": auc}, version=version, upload=False)


def test_newest_that_every_gate_allows_goes_up_stage_by_stage(ada: Registry, team: Team, mreg_here: Mreg) -> None:
    """v3 may not enter staging, so v2 does, and from there production in the same sync."""
    report = ada.sync(push=True)
    assert [(each.plan.stage, str(each.version)) for each in report.promotions] == [
        ("staging", "v2.0.0"),
        ("production", "v2.0.0"),
    ]
    assert report.created == ("churn#staging#1", "churn#production#2")
    assert [(each.stage, str(each.target)) for each in report.transitions] == [
        ("staging", "v2.0.0"),
        ("production", "v2.0.0"),
    ]
    assert {each.reason for each in report.transitions} == {
        "every gate of staging allows it",
        "every gate of production allows it",
    }
    assert team.tags() == ["churn#production#2", "churn#staging#1"]
    assert team.refs()["refs/heads/main"] == report.commit
    again = ada.sync(push=True)
    assert (again.promotions, again.created, again.transitions, again.findings) == ((), (), (), ())
    bo = team.member("bo")
    assert (bo.sync(push=True).promotions, stages(bo)) == ((), {"staging": "v2.0.0", "production": "v2.0.0"})
    assert bo.verify(remote=True).ok


def test_without_a_push_it_stays_here(ada: Registry, team: Team) -> None:
    before = team.refs()
    assert len(ada.sync(push=False).promotions) == 2
    assert team.refs() == before


def test_no_auto_and_dry_run_change_nothing(ada: Registry, team: Team, mreg_here: Mreg) -> None:
    before = team.refs(), team.refs(team.folder / "ada")
    team.git("remote", "set-url", "origin", "/nowhere", cwd=team.folder / "ada")
    report = ada.sync(push=True, dry_run=True)
    # What would go on from there, another sync tells.
    assert [(each.plan.stage, str(each.version), each.commit) for each in report.promotions] == [
        ("staging", "v2.0.0", None)
    ]
    assert report.created == ()
    assert ada.sync(push=False, auto=False).promotions == ()
    assert "staging" in mreg_here("sync", "--dry-run", cwd=team.folder / "ada", check=0).out
    assert (team.refs(), team.refs(team.folder / "ada")) == before


def test_held_stage_takes_nothing(ada: Registry, team: Team) -> None:
    ada.hold("churn", "staging", reason="incident", push=True)
    assert team.member("bo").sync(push=True).promotions == ()
    ada.hold("churn", "staging", reason="over", off=True, push=True)
    assert len(ada.sync(push=True).promotions) == 2


def test_version_that_was_rolled_back_does_not_come_back(ada: Registry, tmp_path: Path) -> None:
    ada.promote("churn@v1", "staging", reason="the first one")
    ada.sync(push=True)
    assert stages(ada) == {"staging": "v2.0.0", "production": "v2.0.0"}
    ada.rollback("churn", "staging", reason="worse")
    assert ada.sync(push=True).promotions == ()
    register(ada, tmp_path, 4, 0.92)
    assert ada.sync(push=True).promotions == ()  # a rollback holds
    ada.hold("churn", "staging", reason="v4 mends it", off=True)
    report = ada.sync(push=True)
    assert [(each.plan.stage, str(each.version)) for each in report.promotions] == [
        ("staging", "v4.0.0"),
        ("production", "v4.0.0"),
    ]
    ada.rollback("churn", "staging", reason="worse too")
    ada.hold("churn", "staging", reason="go on", off=True)
    assert ada.sync(push=True).promotions == ()  # neither v2 nor v4, which were there


def test_pre_release_archived_and_older_versions_do_not_try(ada: Registry, tmp_path: Path) -> None:
    ada.archive("churn@v2", reason="bad data")
    register(ada, tmp_path, 4, 0.91, "v4.0.0-rc.1")
    ada.sync(push=True)
    assert stages(ada) == {"staging": "v1.0.0", "production": "v1.0.0"}
    ada.archive("churn@v2", undo=True)
    ada.sync(push=True)
    assert stages(ada) == {"staging": "v2.0.0", "production": "v2.0.0"}


def test_version_whose_record_cannot_be_read_is_left_out(ada: Registry, team: Team) -> None:
    path = team.folder / "ada"
    (path / "registry/churn/versions/v2.0.0.yaml").write_text("schema: 1\n")
    team.git("commit", "--quiet", "--all", "--message=Oops", cwd=path)
    report = ada.sync(push=True)
    assert {str(each.version) for each in report.promotions} == {"v1.0.0"}
    assert {each.code for each in report.findings} >= {"record-changed"}


def test_protected_branch_is_a_finding_and_the_rest_is_done(ada: Registry, team: Team, mreg_here: Mreg) -> None:
    """Tags that were merged land, and are told; the promotion has to go by a pull request."""
    clone = team.clone("bo")
    Registry.open(clone).promote("churn@v1", "staging", reason="by hand", push=True)
    team.git("update-ref", "-d", "refs/tags/churn#staging#1", cwd=team.bare)
    team.git("tag", "--delete", "churn#staging#1", cwd=clone)
    team.add_hook("update", 'test "$1" != refs/heads/main || { echo "main is protected"; exit 1; }\n')
    result = mreg_here("sync", "--push", "--format=json", cwd=clone, check=1)
    assert team.tags() == ["churn#staging#1"]
    report = Registry.open(clone).sync(push=True)
    (finding,) = report.findings
    assert (finding.code, finding.place) == ("push-refused", "registry/churn/stages/staging.yaml")
    assert "nothing was promoted to staging: origin refused main (hook declined): main is protected" in finding.message
    assert "push-refused" in result.out
    assert '"churn#staging#1"' in result.out
    assert team.refs(clone)["refs/heads/main"] == team.refs()["refs/heads/main"]


def test_missing_key_is_a_finding_and_the_rest_is_done(team: Team) -> None:
    team.set_rules(RULES.replace("auto: true\n    from", "auto: true\n    signatures: required\n    from"))
    report = team.member("ada").sync(push=True)
    assert [str(each.version) for each in report.promotions] == ["v2.0.0"]
    (finding,) = report.findings
    assert (finding.code, finding.place) == ("identity", "registry/churn/stages/production.yaml")
    assert "git config" in finding.message


def test_bytes_are_scanned_once_a_version(team: Team) -> None:
    team.set_rules(SCAN)
    scanned: list[str] = []

    def scan(record: Record) -> Scan:
        scanned.append(str(record.version))
        return Scan("test", is_clean=record.version.major < 3, message="it opens a shell")

    syncing = Syncing(GitRepository(team.clone("ada")), push=True, scan=scan)
    assert {str(each.version) for each in syncing.run().promotions} == {"v2.0.0"}
    assert scanned == ["v3.0.0", "v2.0.0"]
    assert replace(syncing).run().promotions == ()


def test_other_clone_promotes_nothing_twice(ada: Registry, team: Team) -> None:
    """Both see that v2 may go; the second finds out when it follows."""
    bo = team.member("bo")
    ada.sync(push=True)
    report = bo.sync(push=True)
    assert (report.promotions, report.created) == ((), ())
    assert team.tags() == ["churn#production#2", "churn#staging#1"]
    assert team.refs(team.folder / "bo") == team.refs()
