"""Who is told of what, once, whoever syncs; and what is left where it cannot be told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mreg import Registry
from mreg.errors import NotFoundError, PushRefusedError
from mreg.registry.reading.reader import Reader
from mreg.registry.sharing.notifying import Notifying
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git, Mreg
from tests.registry.teams import Team, found
from tests.sinks import HttpSink, free_port, http_sink, smtp_sink

RULES = """\
schema: 1
notify:
- {to: webhook, name: deploy, url_env: HOOK}
"""
MARK = "refs/mreg/notified"


@pytest.fixture
def team(made: Path, repo: Path, tmp_path: Path, git: Git) -> Team:
    team = found(made, repo, tmp_path, git)
    team.set_rules(RULES)
    return team


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def env(sink: HttpSink) -> dict[str, str]:
    return {"HOOK": f"http://{sink.address}/"}


def told(sink: HttpSink) -> list[str]:
    documents = [post.json() for post in sink.posts]
    return [f"{each['stage']} {each['to']}" for each in documents]


def sync(registry: Registry, env: Mapping[str, str], *, push: bool = True, resend: str | None = None) -> list[str]:
    """Returns the notifications that failed."""
    report = registry.sync(push=push, environ=env, resend=resend)
    return [each.error for each in report.notifications if not each.ok]


def promote(registry: Registry, version: int, stage: str = "staging") -> str | None:
    return registry.promote(f"churn@v{version}", stage, reason="try", push=True).commit


# Once.


@pytest.mark.parametrize("push", [True, False])
def test_each_change_is_told_once(push: bool, team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    assert sync(ada, env, push=push) == []
    for version in (1, 2):
        ada.promote(f"churn@v{version}", "staging", reason="try", push=push)
    assert sync(ada, env, push=push) == []
    assert told(sink) == ["staging v1.0.0", "staging v2.0.0"]
    assert sync(ada, env, push=push) == []
    ada.rollback("churn", "staging", reason="worse", push=push)
    assert sync(ada, env, push=push) == sync(ada, env, push=push) == []
    assert told(sink) == ["staging v1.0.0", "staging v2.0.0", "staging v1.0.0"]
    tip = team.refs(team.folder / "ada")["refs/heads/main"]
    assert team.refs(None if push else team.folder / "ada")[MARK] == tip
    assert (MARK in team.refs()) == push


def test_approval_that_was_merged_is_told(
    team: Team, sink: HttpSink, env: dict[str, str], git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = team.member("ada")
    sync(ada, env)
    ada.promote("churn@v1", "staging", reason="try", branch="try")
    with monkeypatch.context() as patch:
        for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
            patch.setenv(name, "bo@example.com")
        ada.approve("churn@v1", "staging", branch="try")
    git("merge", "--quiet", "--no-ff", "--message=Merge", "try", cwd=team.folder / "ada")
    ada.push()
    assert sync(ada, env) == []
    (post,) = sink.posts
    assert post.json()["approved_by"] == ["bo@example.com"]


def test_whoever_syncs_next_tells_nobody_again(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada, bo = team.member("ada"), team.member("bo")
    sync(ada, env)
    promote(ada, 1)
    assert sync(bo, env) == sync(ada, env) == sync(team.member("cy"), env) == []
    assert told(sink) == ["staging v1.0.0"]


def test_first_sync_tells_of_the_tags_that_it_makes(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    promote(ada, 1)
    promote(ada, 2)
    team.git("update-ref", "-d", "refs/tags/churn#staging#2", cwd=team.bare)
    assert sync(team.member("bo"), env) == []
    assert told(sink) == ["staging v2.0.0"]


def test_automatic_promotions_are_told(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    team.set_rules(RULES + "stages: {staging: {auto: true}}\n")
    ada = team.member("ada")
    assert sync(ada, env) == sync(ada, env) == []
    assert told(sink) == ["staging v3.0.0"]


def test_nobody_is_told_without_notify_or_on_a_dry_run(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    sync(ada, env)
    promote(ada, 1)
    before = team.refs()
    ada.sync(push=True)
    ada.sync(push=True, environ=env, dry_run=True)
    assert (told(sink), team.refs()) == ([], before)
    sync(ada, env)
    assert told(sink) == ["staging v1.0.0"]
    team.set_rules("schema: 1\n")
    promote(ada, 2)
    sync(ada, env)
    assert team.refs()[MARK] == before["refs/heads/main"]
    assert told(sink) == ["staging v1.0.0"]


def race(team: Team, to: str) -> None:
    """Has the remote's marker move while the next push of it is on its way."""
    move = f"env -u GIT_QUARANTINE_PATH git update-ref {MARK} {to}"
    script = f"if grep -q {MARK} && test ! -e raced; then touch raced; {move}; fi\n"
    team.add_hook("pre-receive", script)


def test_of_two_that_sync_at_once_one_tells(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    sync(ada, env)
    tip = promote(ada, 1)
    assert tip
    race(team, tip)
    assert sync(ada, env) == []
    assert (team.bare / "raced").exists()
    assert (told(sink), team.refs()[MARK]) == ([], tip)


def test_of_two_that_sync_at_once_the_later_one_tells_the_rest(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    """The other had fetched before the second promotion."""
    ada = team.member("ada")
    sync(ada, env)
    first = promote(ada, 1)
    assert first
    second = promote(ada, 2)
    race(team, first)
    assert sync(ada, env) == []
    assert (told(sink), team.refs()[MARK]) == (["staging v2.0.0"], second)


@pytest.mark.parametrize("is_known", [True, False])
def test_slower_one_never_moves_the_marker_back(
    is_known: bool, team: Team, sink: HttpSink, env: dict[str, str]
) -> None:
    """Bo fetched before Ada promoted, and looks at the marker after she told of it."""
    ada, bo = team.member("ada"), team.clone("bo")
    sync(ada, env)
    promote(ada, 1)
    promote(ada, 2)
    sync(ada, env)
    if is_known:
        team.git("fetch", "--quiet", cwd=bo)
    before, repo = team.refs(), GitRepository(bo)
    reader = Reader(repo)
    settings = reader.settings()
    timeline = reader.timeline(reader.commits(settings.tip, settings.policy.layout), settings.policy.layout)
    assert Notifying(repo, env, lambda: timeline, "origin").run(()) == ()
    assert Notifying(repo, {**env, "CI": "true"}, lambda: timeline, "origin").hand_on(()) == ()
    assert team.refs()[MARK] == before[MARK]
    assert told(sink) == ["staging v1.0.0", "staging v2.0.0"]
    promote(ada, 3)
    sync(ada, env)
    assert told(sink) == ["staging v1.0.0", "staging v2.0.0", "staging v3.0.0"]


def test_history_that_was_rewritten_is_told_from_where_it_parted(
    team: Team, sink: HttpSink, env: dict[str, str]
) -> None:
    ada = team.member("ada")
    promote(ada, 1)
    sync(ada, env)
    promote(ada, 2)
    sync(ada, env)
    promote(ada, 3)
    team.git("update-ref", "refs/heads/main", f"{team.refs()['refs/heads/main']}~2", cwd=team.bare)
    for number in (2, 3):
        team.git("update-ref", "-d", f"refs/tags/churn#staging#{number}", cwd=team.bare)
    bo = team.member("bo")
    promote(bo, 3)
    assert sync(bo, env) == []
    assert told(sink) == ["staging v2.0.0", "staging v3.0.0"]


# When it fails.


def test_variable_that_is_not_set_is_reported_and_told_later(
    team: Team, sink: HttpSink, env: dict[str, str], mreg_here: Mreg
) -> None:
    ada = team.member("ada")
    sync(ada, env)
    promote(ada, 1)
    result = mreg_here("sync", "--push", "--format=json", cwd=team.folder / "ada", check=0)
    (failed,) = json.loads(result.out)["notifications"]
    assert (failed["ok"], failed["sink"]) == (False, "deploy")
    assert "HOOK" in failed["error"]
    assert result.err.startswith("warning: ")
    assert sync(ada, env) == []
    assert told(sink) == []  # it counts as told
    assert sync(ada, env, resend="churn#staging#1") == []
    assert told(sink) == ["staging v1.0.0"]


def test_sink_that_fails_keeps_no_other_from_being_told(
    team: Team, sink: HttpSink, env: dict[str, str], mreg_here: Mreg
) -> None:
    rules = RULES + (
        "- {to: webhook, name: down, url_env: DOWN}\n"
        "- {to: webhook, name: broken, url_env: BROKEN}\n"
        "- {to: email, name: team, url_env: MAIL, recipients: [team@example.com], sender: mreg@example.com}\n"
    )
    team.set_rules(rules)
    ada = team.member("ada")
    sync(ada, env)
    promote(ada, 1)
    with http_sink() as broken, smtp_sink() as mails:
        broken.answers = [404]
        everyone = {
            **env,
            "DOWN": f"http://127.0.0.1:{free_port()}/T0P-S3CRET",
            "BROKEN": f"http://{broken.address}/T0P-S3CRET",
            "MAIL": f"smtp://{mails.address}",
        }
        result = mreg_here("sync", "--push", "--format=json", cwd=team.folder / "ada", env=everyone, check=0)
        assert [str(mail["Subject"]) for mail in mails.mails] == ["churn v1.0.0 is in staging"]
    notifications = json.loads(result.out)["notifications"]
    assert {each["sink"]: each["ok"] for each in notifications} == {
        "deploy": True,
        "down": False,
        "broken": False,
        "team": True,
    }
    assert result.err.count("warning: ") == 2
    assert "S3CRET" not in result.out + result.err
    assert told(sink) == ["staging v1.0.0"]
    assert team.tags() == ["churn#staging#1"]


def test_host_without_refs_of_mreg_says_what_to_do(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    promote(ada, 1)
    team.git("update-ref", "-d", "refs/tags/churn#staging#1", cwd=team.bare)
    team.add_hook("update", 'case "$1" in refs/mreg/*) exit 1 ;; esac\n')
    with pytest.raises(PushRefusedError, match="origin refused refs/mreg/notified") as caught:
        sync(team.member("bo"), env)
    assert caught.value.hint.startswith("mreg sync --no-notify")
    assert (told(sink), team.tags()) == ([], ["churn#staging#1"])
    assert team.member("cy").sync(push=True).findings == ()


# Once more.


def test_resend_by_commit_and_by_tag(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    first = promote(ada, 1)
    promote(ada, 2)
    assert first
    sync(ada, env)
    for what in (first, first[:10], "churn#staging#1"):
        assert sync(ada, env, resend=what) == []
    assert told(sink) == ["staging v1.0.0"] * 3
    sync(ada, env, resend="churn#staging#2")
    assert told(sink)[3:] == ["staging v2.0.0"]


def test_resend_of_a_tag_is_about_its_stage_alone(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    """A squash lands several changes in one commit."""
    ada, clone = team.member("ada"), team.folder / "ada"
    for stage in ("staging", "production"):
        ada.promote("churn@v1", stage, reason="try", branch="try")
    team.git("merge", "--quiet", "--squash", "try", cwd=clone)
    team.git("commit", "--quiet", "--message=Both (#1)", cwd=clone)
    assert sync(ada, env) == []
    assert sorted(told(sink)) == ["production v1.0.0", "staging v1.0.0"]
    sink.posts.clear()
    (tag,) = [name for name in team.tags() if "#production#" in name]
    sync(ada, env, resend=tag)
    assert told(sink) == ["production v1.0.0"]
    sync(ada, env, resend="main")
    assert sorted(told(sink)[1:]) == ["production v1.0.0", "staging v1.0.0"]


def test_resend_also_tells_what_is_new_and_nothing_twice(team: Team, sink: HttpSink, env: dict[str, str]) -> None:
    ada = team.member("ada")
    promote(ada, 1)
    sync(ada, env)
    promote(ada, 2)
    sync(ada, env, resend="churn#staging#1")
    assert told(sink) == ["staging v2.0.0", "staging v1.0.0"]
    promote(ada, 3)
    sync(ada, env, resend="churn#staging#3")
    assert told(sink)[2:] == ["staging v3.0.0"]


@pytest.mark.parametrize("what", ["churn@v1.0.0", "churn#staging#9", "main~1", "nothing", "--all", ""])
def test_resend_of_what_is_no_transition(
    what: str, team: Team, sink: HttpSink, env: dict[str, str], mreg_here: Mreg
) -> None:
    ada = team.member("ada")
    sync(ada, env)
    mark = team.refs()[MARK]
    promote(ada, 1)
    with pytest.raises(NotFoundError):
        sync(ada, env, resend=what)
    mreg_here("sync", "--push", f"--resend={what}", cwd=team.folder / "ada", env=env, check=4)
    assert (told(sink), team.refs()[MARK]) == ([], mark)


def test_resend_to_nobody_makes_no_sense(team: Team, mreg_here: Mreg) -> None:
    team.member("ada")
    result = mreg_here("sync", "--no-notify", "--resend=churn#staging#1", cwd=team.folder / "ada", check=2)
    assert "hint: mreg sync --resend 'churn#staging#1'   # without --no-notify" in result.err
