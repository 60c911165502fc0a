"""The pull-request way, end to end: a Git host with users and rules, clones of several people, sinks that listen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gto.api
import pytest

from mreg import Registry
from tests.conftest import Clock, Git, Mreg, Result
from tests.hosts import MERGER, PASSWORDS, GitHost, check_ended, git_host, silent_server
from tests.sinks import HttpSink, SmtpSink, http_sink, smtp_sink
from tests.stores.ssh import make_key

pytestmark = pytest.mark.slow

PEOPLE = ("ada", "bo")
SETTINGS = """\
schema: 1
people:
  ada: {{emails: [ada@example.com], keys: ['{ada}']}}
  bo: {{emails: [bo@example.com], keys: ['{bo}']}}
roles:
  managers: [ada, bo]
owners: [managers]
stages:
  staging: {{}}
  production:
    gates:
    - metric: auc
      min: 0.9
      no_worse_than: production
    approvals: {{count: 1, by: [managers], not: [author]}}
    who: [managers]
    signatures: required
metrics:
  auc: {{direction: higher}}
notify:
- {{to: webhook, name: deploy, url_env: DEPLOY_HOOK, stages: [production]}}
- {{to: email, name: team, url_env: MAIL_URL, recipients: [team@example.com], sender: mreg@example.com}}
"""
MERGES = ("merge", "squash", "rebase")


@dataclass(frozen=True)
class Person:
    """Somebody with a clone, who commits and signs there under their own name."""

    name: str
    clone: Path
    clock: Clock
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        roles = {
            f"GIT_{role}_{part}": text
            for role in ("AUTHOR", "COMMITTER")
            for part, text in (("NAME", self.name.title()), ("EMAIL", f"{self.name}@example.com"))
        }
        return {**roles, **self.environ}

    def git(self, *args: str) -> str:
        return Git(self.clock)(*args, cwd=self.clone, env=self.env)

    def mreg(self, *args: str, check: int | None = 0) -> Result:
        return Mreg(self.clock, in_process=True)(*args, cwd=self.clone, env=self.env, check=check)

    def json(self, *args: str, check: int = 0) -> dict[str, Any]:
        result = self.mreg(*args, "--format", "json", check=check)
        document: dict[str, Any] = json.loads(result.out or result.err)
        return document

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Starts a command in a process of its own."""
        env = {**os.environ, **self.env, **self.clock.tick()}
        return subprocess.Popen(
            ["python", "-m", "mreg", *args], cwd=self.clone, env=env, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def refs(self) -> dict[str, str]:
        """Returns all refs of the clone but the remote-tracking ones."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return {ref: oid for ref, oid in map(str.split, lines) if not ref.startswith("refs/remotes/")}


@dataclass
class Office:
    """A team: its host, its sinks, and a clone a person."""

    host: GitHost
    folder: Path
    keys: Path
    clock: Clock
    posts: HttpSink
    mails: SmtpSink

    def person(self, name: str, clone: str = "", *, user: str = "") -> Person:
        """Returns somebody with a fresh clone, who logs in as a user of the host."""
        path = self.folder / (clone or name)
        store = self.folder / f"{path.name}.credentials"
        store.write_text(self.host.url_of(user or name).rpartition("/")[0] + "\n")
        helper = f"credential.helper=store --file={store}"
        Git(self.clock)("clone", "--quiet", "--config", helper, self.host.url, str(path))
        environ = {"DEPLOY_HOOK": f"http://{self.posts.address}/", "MAIL_URL": f"smtp://{self.mails.address}"}
        person = Person(name, path, self.clock, environ)
        person.git("config", "gpg.format", "ssh")
        person.git("config", "user.signingkey", str(self.keys / name))
        return person

    def told(self) -> tuple[list[tuple[object, ...]], list[str]]:
        """Returns what the sinks were told."""
        posts = [post.json() for post in self.posts.posts]
        return [(each["action"], each["from"], each["to"]) for each in posts], [
            str(mail["Subject"]) for mail in self.mails.mails
        ]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves a registry that the others copy."""
    return tmp_path_factory.mktemp("founded")


@pytest.fixture
def bare(founded: Path, repo: Path, tmp_path: Path, git: Git) -> Path:
    """The host's repository, before anything protects it: v1 is in staging, and nothing in production."""
    made = founded / "registry.git"
    if not made.exists():
        keys = {name: make_key(founded / name) for name in PEOPLE}
        shutil.copy(keys["ada"], founded / MERGER)
        registry = Registry.init(repo, remote=str(founded / "store"))
        public = {name: path.with_suffix(".pub").read_text().strip() for name, path in keys.items()}
        (repo / "registry.yaml").write_text(SETTINGS.format(**public))
        git("commit", "--quiet", "--all", "--message=Set the rules")
        for number in (1, 2, 3):
            (tmp_path / "model.bin").write_bytes(b"model %d" % number)
            registry.register("churn", tmp_path / "model.bin", metrics={"auc": 0.9 + number / 100})
        registry.promote("churn@v1", "staging", reason="the first one")
        git("init", "--quiet", "--bare", str(made))
        git("push", "--quiet", "--atomic", "--follow-tags", str(made), "main")
    git.clock.now += 1000
    copy = tmp_path / "srv" / "registry.git"
    shutil.copytree(made, copy)
    return copy


@pytest.fixture(params=["python"])
def office(request: pytest.FixtureRequest, bare: Path, founded: Path, tmp_path: Path, clock: Clock) -> Iterator[Office]:
    folder, scratch = tmp_path / "clones", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    with git_host(request.param, bare, scratch) as host, http_sink() as posts, smtp_sink() as mails:
        yield Office(host, folder, founded, clock, posts, mails)


def land(merger: Person, branch: str, how: str) -> None:
    """Does what a host does when somebody presses the button."""
    merger.git("fetch", "--quiet", "--prune")
    merger.git("checkout", "--quiet", "-B", "main", "origin/main")
    if how == "merge":
        merger.git("merge", "--quiet", "--no-ff", f"--message=Merge {branch} (#1)", f"origin/{branch}")
    elif how == "squash":
        merger.git("merge", "--quiet", "--squash", f"origin/{branch}")
        message = f"{branch} (#1)\n\nCo-authored-by: Bo <bo@example.com>"
        merger.git("commit", "--quiet", "--author=Ada <ada@example.com>", f"--message={message}")
    else:
        merger.git("checkout", "--quiet", "-B", "rebased", f"origin/{branch}")
        merger.git("rebase", "--quiet", "main")
        merger.git("checkout", "--quiet", "main")
        merger.git("merge", "--quiet", "--ff-only", "rebased")
    merger.git("push", "--quiet", "origin", "main", f":{branch}")


def complaints(person: Person, head: str) -> list[str]:
    review = person.json("check", "--head", head, check=1)
    return [each["code"] for each in review["faults"]]


def work(merger: Person) -> None:
    """Lands work of others on the registry branch."""
    merger.git("commit", "--quiet", "--allow-empty", "--message=Work goes on")
    merger.git("push", "--quiet", "origin", "main")


@pytest.mark.parametrize(
    ("office", "how"), [*(("python", how) for how in MERGES), ("nginx", "merge")], indirect=["office"]
)
def test_promotion_by_pull_request(how: str, office: Office) -> None:
    ada, bo, merger = office.person("ada"), office.person("bo"), office.person(MERGER)
    branch = "promote-churn-v2"
    # Ada proposes.
    receipt = ada.json("promote", "churn@v2", "production", "--reason", "AUC 0.92", "--branch", branch, "--push")
    assert (receipt["changed"], receipt["tags"], receipt["remote"]) == (True, [], "origin")
    assert office.host.refs("refs/heads/")[f"refs/heads/{branch}"] == receipt["commit"]
    assert complaints(ada, branch) == ["rule-approvals"]
    work(merger)
    # Bo approves, in a clone that never had the branch.
    bo.git("fetch", "--quiet")
    assert complaints(bo, f"origin/{branch}") == ["rule-approvals"]
    approval = bo.json("approve", "churn@v2", "production", "--reason", "looked at it", "--branch", branch, "--push")
    assert bo.git("rev-parse", f"{approval['commit']}^") == receipt["commit"]
    ada.git("fetch", "--quiet")
    review = ada.json("check", "--head", f"origin/{branch}")
    assert (review["ok"], ["a rebase would land it before" in each for each in review["notices"]]) == (True, [True])
    if how == "rebase":
        branch = propose_on_top(ada, bo)
    # The host merges, and whoever comes first makes the tag and tells of it.
    land(merger, branch, how)
    report = bo.json("sync", "--push")
    assert (report["tags"], report["findings"]) == (["churn#production#2"], [])
    assert office.host.refs("refs/tags/churn#production#2")
    assert office.told() == ([("promote", None, "v2.0.0")], ["churn v2.0.0 is in production"])
    for person in (bo, ada, merger):
        again = person.json("sync", "--push")
        assert (again["tags"], again["notifications"], again["findings"]) == ([], [], [])
    assert office.told() == ([("promote", None, "v2.0.0")], ["churn v2.0.0 is in production"])
    check_clone(office, "after", {"staging": "v1.0.0", "production": "v2.0.0"})
    assert ada.mreg("pull", "churn@production", "-o", "served").code == 0
    assert (ada.clone / "served").read_bytes() == b"model 2"


def propose_on_top(ada: Person, bo: Person) -> str:
    """Where a team rebases, each commit lands by itself: the approval goes first."""
    bo.mreg("approve", "churn@v2", "production", "--branch", "approved", "--push")
    ada.mreg("promote", "churn@v2", "production", "--reason", "AUC 0.92", "--branch", "approved", "--push")
    assert ada.git("rev-list", "--count", "origin/main..approved") == "2"
    review = ada.json("check", "--head", "approved")
    assert (review["ok"], review["notices"]) == (True, [])
    return "approved"


def check_clone(office: Office, name: str, stages: dict[str, str]) -> None:
    """A fresh clone proves the history, and GTO names the same versions in it."""
    fresh = office.person("ada", name)
    audit = fresh.json("verify", "--remote")
    assert (audit["ok"], audit["faults"], audit["complete"]) == (True, [], True)
    (model,) = fresh.json("list")["models"]
    assert {stage: version for stage, version in model["stages"].items() if version} == stages
    shown = gto.api.show(str(fresh.clone))["churn"]
    assert {stage: version for stage, version in shown["stage"].items() if version} == stages


def test_rollback_of_a_protected_branch_goes_by_pull_request(office: Office) -> None:
    ada, bo, merger = office.person("ada"), office.person("bo"), office.person(MERGER)
    for version, branch in (("v2", "first"), ("v3", "second")):
        ada.mreg("promote", f"churn@{version}", "production", "--reason", "better", "--branch", branch, "--push")
        bo.mreg("approve", f"churn@{version}", "production", "--branch", branch, "--push")
        land(merger, branch, "squash")
        ada.mreg("sync", "--push")
    here, there = ada.refs(), office.host.refs()
    refused = ada.json("rollback", "churn", "production", "--reason", "errors doubled", "--push", check=6)["error"]
    assert refused["code"] == "push-refused"
    assert "origin refused main (pre-receive hook declined): refs/heads/main is protected" in refused["message"]
    assert "--branch NAME --push" in refused["hint"]
    assert (ada.refs(), office.host.refs()) == (here, there)
    assert ada.git("status", "--porcelain") == ""
    # A rollback is judged by who makes it alone: nobody has to approve it.
    ada.mreg("rollback", "churn", "production", "--reason", "errors doubled", "--branch", "back", "--push")
    bo.git("fetch", "--quiet")
    assert bo.json("check", "--head", "origin/back")["ok"]
    land(merger, "back", "merge")
    assert bo.json("sync", "--push")["tags"] == ["churn#production#4"]
    assert office.told()[0] == [
        ("promote", None, "v2.0.0"),
        ("promote", "v2.0.0", "v3.0.0"),
        ("rollback", "v3.0.0", "v2.0.0"),
    ]
    check_clone(office, "after", {"staging": "v1.0.0", "production": "v2.0.0"})


def test_nobody_moves_or_deletes_a_tag(office: Office) -> None:
    merger, there = office.person(MERGER), office.host.refs()
    for spec in (":refs/tags/churn@v1.0.0", "+HEAD:refs/tags/churn@v1.0.0"):
        with pytest.raises(subprocess.CalledProcessError):
            merger.git("push", "--quiet", "origin", spec)
    assert office.host.refs() == there


def test_approval_of_another_version_of_the_branch_does_not_count(office: Office) -> None:
    """What is approved is one version in one place: another one on the same branch wants its own approval."""
    ada, bo = office.person("ada"), office.person("bo")
    ada.mreg("promote", "churn@v2", "production", "--reason", "better", "--branch", "try", "--push")
    bo.mreg("approve", "churn@v2", "production", "--branch", "try", "--push")
    ada.mreg("promote", "churn@v3", "production", "--reason", "better still", "--branch", "try", "--push")
    # What Ada signed replaces v2, which never was in production.
    assert complaints(ada, "try") == ["rule-signature", "rule-approvals"]
    assert office.host.refs("refs/heads/try") == {"refs/heads/try": ada.git("rev-parse", "try")}


def test_two_promote_at_once_and_both_land(office: Office) -> None:
    """The branch is free for all here; of two processes that push at once one loses, and goes on from the other's."""
    office.host.unprotect()
    people = office.person("ada"), office.person("bo")
    running = [
        person.start("promote", f"churn@v{number}", "staging", "--reason", "try", "--push")
        for person, number in zip(people, (2, 3), strict=True)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    assert [code for _, code in ended] == [0, 0], ended
    check_both(office, people)


def check_both(office: Office, people: tuple[Person, Person]) -> None:
    tags = {ref.removeprefix("refs/tags/") for ref in office.host.refs("refs/tags/churn#*")}
    assert tags == {"churn#staging#1", "churn#staging#2", "churn#staging#3"}
    fresh = office.person("ada", "after")
    assert fresh.json("verify", "--remote")["ok"]
    moves = fresh.json("history", "churn", "staging")["transitions"]
    assert {each["to"] for each in moves} == {"v1.0.0", "v2.0.0", "v3.0.0"}
    assert [each["from"] for each in moves[:2]] == [each["to"] for each in moves[1:]]
    for person in people:
        report = person.json("sync", "--push")
        assert (report["findings"], report["changed"]) == ([], False)
        assert person.refs()["refs/heads/main"] == fresh.refs()["refs/heads/main"]
        assert person.git("status", "--porcelain") == ""


def test_race_that_was_lost_leaves_nothing_and_is_run_again(office: Office) -> None:
    """Bo's promotion lands while Ada's push is on its way."""
    office.host.unprotect()
    ada, bo = office.person("ada"), office.person("bo")
    seen: list[dict[str, str]] = []

    def be_faster() -> None:
        check_done(bo.start("promote", "churn@v3", "staging", "--reason", "try", "--push"))
        seen.append(ada.refs())

    before = ada.refs()
    office.host.before_push.append(be_faster)
    receipt = ada.start("promote", "churn@v2", "staging", "--reason", "try", "--push", "--format", "json")
    out, err = receipt.communicate(timeout=120)
    assert receipt.returncode == 0, err
    assert seen == [before]  # nothing had moved here before the host took it
    assert json.loads(out)["tags"] == ["churn#staging#3"]
    check_both(office, (ada, bo))


def test_race_for_the_same_change_is_won_once(office: Office) -> None:
    office.host.unprotect()
    ada, bo = office.person("ada"), office.person("bo")
    office.host.before_push.append(
        lambda: check_done(bo.start("promote", "churn@v2", "staging", "--reason=x", "--push"))
    )
    receipt = ada.start("promote", "churn@v2", "staging", "--reason=x", "--push", "--format=json")
    out, err = receipt.communicate(timeout=120)
    assert (receipt.returncode, json.loads(out)["changed"]) == (0, False), err
    assert len(office.host.refs("refs/tags/churn#staging#*")) == 2
    assert ada.git("rev-parse", "main") == office.host.refs()["refs/heads/main"]


def check_done(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err


def test_host_that_took_the_push_and_never_said_so(office: Office) -> None:
    office.host.unprotect()
    ada = office.person("ada")
    here = ada.refs()
    office.host.loses_answers = True
    error = ada.json("promote", "churn@v2", "staging", "--reason", "try", "--push", check=6)["error"]
    assert "origin could not be used" in error["message"]
    assert ada.refs() == here
    office.host.loses_answers = False
    again = ada.json("promote", "churn@v2", "staging", "--reason", "try", "--push")
    assert (again["changed"], ada.git("rev-parse", "main")) == (False, office.host.refs()["refs/heads/main"])
    assert ada.json("sync", "--push")["findings"] == []
    check_clone(office, "after", {"staging": "v2.0.0"})


def test_sync_of_two_at_once_tells_once(office: Office) -> None:
    ada, bo, merger = office.person("ada"), office.person("bo"), office.person(MERGER)
    ada.mreg("promote", "churn@v2", "production", "--reason", "better", "--branch", "try", "--push")
    bo.mreg("approve", "churn@v2", "production", "--branch", "try", "--push")
    land(merger, "try", "merge")
    running = [person.start("sync", "--push", "--format", "json") for person in (ada, bo, merger)]
    for process in running:
        check_done(process)
    assert office.told() == ([("promote", None, "v2.0.0")], ["churn v2.0.0 is in production"])
    check_clone(office, "after", {"staging": "v1.0.0", "production": "v2.0.0"})


# Hosts that do not take part.

PROMOTE = ("promote", "churn@v2", "staging", "--reason", "try", "--push", "--format", "json")


@pytest.mark.parametrize("place", ["url", "store"])
@pytest.mark.parametrize(
    "command", [PROMOTE, ("sync", "--push", "--format=json"), ("verify", "--remote", "--format=json")]
)
def test_wrong_password_is_an_error_without_it(place: str, command: tuple[str, ...], office: Office) -> None:
    ada = office.person("ada")
    if place == "url":
        ada.git("config", "credential.helper", "")
        ada.git("remote", "set-url", "origin", office.host.url_of("ada", "Wr0ng-s3cret"))
    else:
        store = office.folder / "ada.credentials"
        store.write_text(store.read_text().replace(PASSWORDS["ada"], "Wr0ng-s3cret"))
    here = ada.refs()
    result = ada.mreg(*command, check=6)
    assert "s3cret" not in result.out + result.err
    error = json.loads(result.err)["error"]
    assert "Authentication failed" in error["message"] or "could not read Username" in error["message"]
    assert "git ls-remote origin" in error["hint"]
    assert ada.refs() == here


def test_user_who_may_only_read_is_refused(office: Office) -> None:
    office.host.readers.add("ada")
    ada = office.person("ada")
    here = ada.refs()
    error = ada.json("promote", "churn@v2", "staging", "--reason", "try", "--push", check=6)["error"]
    assert error["code"] == "push-refused"
    assert "403" in error["message"]
    assert ada.refs() == here


@pytest.mark.parametrize(
    "command", [PROMOTE, ("sync", "--push", "--format=json"), ("verify", "--remote", "--format=json")]
)
def test_server_that_is_down_is_an_error_at_once(command: tuple[str, ...], office: Office, tmp_path: Path) -> None:
    ada = office.person("ada")
    with silent_server() as port:
        pass
    ada.git("remote", "set-url", "origin", f"http://ada:Ada-s3cret@127.0.0.1:{port}/registry.git")
    here, begun = ada.refs(), time.monotonic()
    result = ada.mreg(*command, check=6)
    assert time.monotonic() - begun < 30
    assert "s3cret" not in result.err
    assert "Failed to connect" in json.loads(result.err)["error"]["message"]
    assert ada.refs() == here
    assert ada.json("promote", "churn@v2", "staging", "--reason", "without it")["changed"]


@pytest.mark.parametrize("setting", ["mreg.timeout", "http.lowSpeedTime"])
@pytest.mark.parametrize(
    "command", [PROMOTE, ("sync", "--push", "--format=json"), ("verify", "--remote", "--format=json")]
)
def test_server_that_says_nothing_is_an_error_in_time(setting: str, command: tuple[str, ...], office: Office) -> None:
    ada = office.person("ada")
    with silent_server() as port:
        ada.git("remote", "set-url", "origin", f"http://ada:Ada-s3cret@127.0.0.1:{port}/registry.git")
        ada.git("config", setting, "1")
        ada.git("config", "http.lowSpeedLimit", "1")
        here, begun = ada.refs(), time.monotonic()
        result = ada.mreg(*command, check=6)
        assert time.monotonic() - begun < 30
        assert "s3cret" not in result.err
        assert ada.refs() == here
        # What waited for it is gone too, and holds no lock.
        check_ended(f":{port}/")
        assert ada.json("promote", "churn@v2", "staging", "--reason", "without it")["changed"]
