"""A look at all tags that passes over what is plainly right says what a look at each would say."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from mreg import Registry
from mreg.core.history.timeline import Standing
from mreg.registry.reading.reader import Reader
from mreg.registry.writing import surveying
from mreg.registry.writing.surveying import survey
from mreg.registry.writing.tagging import Tagger, TagPlan
from mreg.stores.git.history import log_cache, stretches
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, GitRunner
from mreg.stores.git.writing.publishing import Publisher
from tests.conftest import Git
from tests.registry.test_sync import add, tags

EXTRA = (
    "churn#production#9",
    "churn#production#2/x",
    "churn@v9.0.0",
    "Odd Name#production#1",
    "nobody#production#1",
    "nobody@v1.0.0",
    "fraud/eu#staging#7",
    "release/1",
)


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    registry = Registry.init(repo, remote=str(tmp_path / "remote"))
    for number in (1, 2):
        add(registry, tmp_path, number)
        registry.promote(f"churn@v{number}", "production", reason="better")
    add(registry, tmp_path, 3, model="fraud/eu")
    registry.promote("fraud/eu@v1", "staging", reason="first")
    registry.clear("fraud/eu", "staging", reason="not yet")
    return registry


def loose(repo: Path, oid: str) -> Path:
    return repo / ".git" / "objects" / oid[:2] / oid[2:]


def spoil(repo: Path, git: Git, chance: random.Random) -> str:
    """Does something to one tag, and tells what."""
    whole = {name for name, oid in tags(git, repo).items() if loose(repo, oid).exists()}
    name = chance.choice(sorted(whole))
    ref = f"refs/tags/{name}"
    what = chance.randrange(7)
    if what == 0:
        git("update-ref", "-d", ref)
    elif what == 1:
        git("update-ref", ref, git("rev-parse", f"{ref}^{{commit}}"))
    elif what == 2:
        git("tag", "--force", "--annotate", "--message=Mine", name, f"{ref}^{{commit}}")
    elif what == 3:
        content = git("cat-file", "tag", ref).replace(git("rev-parse", f"{ref}^{{commit}}"), git("rev-parse", "main"))
        git("update-ref", ref, git("hash-object", "-t", "tag", "-w", "--stdin", input=f"{content}\n"))
    elif what == 6:
        if git("cat-file", "-t", ref) == "tag":
            loose(repo, git("rev-parse", ref)).unlink()
    elif what == 4:  # signed, for all that is known here
        content = git("cat-file", "tag", ref)
        signed = f"{content}\n-----BEGIN PGP SIGNATURE-----\n\nxyz\n-----END PGP SIGNATURE-----\n"
        git("update-ref", ref, git("hash-object", "-t", "tag", "-w", "--stdin", input=signed))
    else:
        name = chance.choice([each for each in EXTRA if " " not in each])
        if not any(each.startswith(f"{name}/") or name.startswith(f"{each}/") for each in tags(git, repo)):
            git("tag", "--force", *(["--annotate", "--message=x"] if chance.random() < 0.7 else []), name)
    return f"{what} {name}"


def told(plan: TagPlan) -> object:
    """Gives a plan without its commits: those of a model's own history tell of its own files alone."""
    tags = [(each.name, each.version, each.tagger, each.email, each.time, each.message) for each in plan.missing]
    return tags, plan.transitions, plan.present, sorted(plan.findings, key=str), plan.ahead


@pytest.mark.parametrize(("few", "many"), [(0, 9), (1, 9), (20, 9), (1, 1), (20, 1)])
def test_survey_says_what_a_plan_of_all_says(
    few: int, many: int, registry: Registry, repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "_FEW", few)
    monkeypatch.setattr(surveying, "_MANY", many)
    settings, chance = registry.settings(), random.Random(few)
    layout, original = settings.policy.layout, tags(git, repo)
    objects = {path: path.read_bytes() for path in (repo / ".git" / "objects").glob("??/*")}
    for _ in range(10):
        done = [spoil(repo, git, chance) for _ in range(chance.randrange(4))]
        reader = Reader(GitRepository(repo), settings)
        tagger = Tagger(reader, Publisher(reader.repo))
        timeline = reader.timeline(reader.commits(settings.tip, layout), layout)
        expected, found = tagger.plan(timeline, layout), survey(reader, tagger, settings.tip, layout, build=True)
        assert told(found.plan) == told(expected), done
        assert found.standing.findings == timeline.findings
        assert found.commits == {key: each.commit.oid for key, each in timeline.appearances.items()}
        assert many == 1 or found.plan.findings == expected.findings  # else in the order of models
        assert list(found.updates) == tagger.build(expected, timeline, layout)
        for name in tags(git, repo):
            git("update-ref", "-d", f"refs/tags/{name}")
        for path, content in objects.items():
            if not path.exists():
                path.write_bytes(content)
        for name, oid in original.items():
            git("update-ref", f"refs/tags/{name}", oid)


def test_survey_of_a_registry_that_is_right_reads_no_tag(
    registry: Registry, repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, calls = registry.settings(), list[str]()
    complete = GitRunner.complete

    def count(self: GitRunner, *args: str, **kwargs: Any) -> Completed:  # noqa: ANN401 - handed on
        calls.append(args[0])
        return complete(self, *args, **kwargs)

    monkeypatch.setattr(GitRunner, "complete", count)
    reader = Reader(GitRepository(repo), settings)
    found = survey(reader, Tagger(reader, Publisher(reader.repo)), settings.tip, settings.policy.layout)
    assert found.plan == TagPlan((), len(tags(git, repo)), ())
    assert [each for each in calls if each != "rev-parse"] == ["cat-file"] * 2  # stage files; whether objects are there


def test_replay_of_what_is_kept_says_what_git_says(
    registry: Registry, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_cache, "SLOW_S", 0.0)
    monkeypatch.setattr(stretches, "STRETCH", 2)
    settings, place = registry.settings(), GitRepository(repo)
    reader, layout = Reader(place), settings.policy.layout
    timeline = reader.timeline(reader.commits(settings.tip, layout), layout)
    assert len(timeline.transitions) == 4
    for _ in range(2):  # from Git, then from what is kept
        standing = Standing()
        assert list(Reader(place, settings).replay(standing, settings.tip, layout)) == timeline.events
        kept = {name: getattr(timeline, name) for name in Standing.__struct_fields__}
        assert asdict(standing) == kept
    assert len(list((repo / ".git" / "mreg" / "history").iterdir())) == 1
