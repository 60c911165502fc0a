"""What is new since a clone was last found clean: judged like all of it, and what is not looked at is said.

That each threat is found so too, ``World.verify`` holds for ``test_threats`` and wherever else it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from mreg import Registry
from mreg.errors import IncompleteHistoryError, UsageError
from mreg.stores.git.history.baseline import load_baseline, save_baseline
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git
from tests.registry.world import World

STAGED = "registry/churn/stages/staging.yaml"


def note(world: World) -> Path:
    return world.repo / ".git" / "mreg" / "verified"


def test_incremental_judges_only_what_is_new(world: World) -> None:
    clean = world.oid("HEAD")
    world.edit("staging", "v2.0.0")
    found = world.registry.verify(incremental=True)
    assert (found.ok, found.commits, found.transitions, found.fallback) == (True, 1, 1, "")
    assert found.trusted is not None
    count = int(world.git("rev-list", "--first-parent", "--count", clean, cwd=world.repo))
    assert (found.since, found.trusted.commit, found.trusted.commits) == (clean, clean, count)
    again = world.registry.verify(incremental=True)
    assert (again.commits, again.since) == (0, world.oid("HEAD"))
    assert again.trusted is not None
    assert again.trusted.whole_at == found.trusted.whole_at <= again.trusted.at  # all within a second, perhaps


def test_incremental_does_not_go_past_a_fault(world: World) -> None:
    world.edit("staging", "v3.0.0")
    for _ in range(2):
        found = world.registry.verify(incremental=True)
        assert ([fault.code for fault in found.faults], found.fallback) == (["rule-metric"], "")
    assert [fault.code for fault in world.registry.verify().faults] == ["rule-metric"]
    assert world.registry.verify(incremental=True).faults == found.faults


def test_incremental_looks_at_no_commit_that_was_clean(world: World) -> None:
    """It says what it trusts: a note that claims too much is believed."""
    commit = world.edit("staging", "v3.0.0")
    repo = GitRepository(world.repo)
    baseline = load_baseline(repo)
    assert baseline is not None
    touched = {"churn": [*baseline.touched["churn"], len(baseline.commits) // 20]}
    claimed = replace(baseline, commits=baseline.commits + bytes.fromhex(commit), touched=touched)
    save_baseline(repo, claimed)
    found = world.registry.verify(incremental=True)
    assert (found.ok, found.commits, found.since) == (True, 0, commit)
    assert [fault.code for fault in world.registry.verify().faults] == ["rule-metric"]


def _forget(world: World) -> None:
    note(world).unlink()


def _damage(world: World) -> None:
    note(world).write_bytes(note(world).read_bytes()[:-1] + b"?")


def _cut(world: World) -> None:
    note(world).write_bytes(note(world).read_bytes()[:100])


def _upgrade(world: World) -> None:
    repo = GitRepository(world.repo)
    baseline = load_baseline(repo)
    assert baseline is not None
    save_baseline(repo, replace(baseline, mreg="0.0.1"))


def _rewind(world: World) -> None:
    world.edit("staging", "v2.0.0")
    assert world.registry.verify().ok
    world.git("reset", "--quiet", "--hard", "HEAD~", cwd=world.repo)
    world.git("tag", "-d", "churn#staging#3", cwd=world.repo)


def _rewrite(world: World) -> None:
    world.git("commit", "--quiet", "--amend", "-m", "Other words", cwd=world.repo)
    world.git("tag", "-d", "churn#production#2", cwd=world.repo)
    world.registry.sync()


def _merge_it_in(world: World) -> None:
    """Makes the commit that was clean the second parent of a merge."""
    clean, world.git.clock.now = world.oid("HEAD"), world.git.clock.now + 60
    merge = world.git("commit-tree", f"{clean}^{{tree}}", "-p", f"{clean}~", "-p", clean, "-m", "Aside", cwd=world.repo)
    world.git("update-ref", "refs/heads/main", merge, cwd=world.repo)
    world.git("tag", "-d", "churn#production#2", cwd=world.repo)
    world.registry.sync()


def _change_rules(world: World) -> None:
    world.commit({"registry.yaml": world.settings().replace("min: 0.6", "min: 0.1")})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_forget, "was not found clean before"),
        (_damage, "was not found clean before"),
        (_cut, "was not found clean before"),
        (_upgrade, "by mreg 0.0.1"),
        (_rewind, "is not in the history any more"),
        (_rewrite, "is not in the history any more"),
        (_merge_it_in, "is not in the history any more"),
        (_change_rules, "registry.yaml has changed since"),
    ],
)
def test_incremental_judges_all_where_it_cannot_know(world: World, change: Callable[[World], None], why: str) -> None:
    change(world)
    found = world.registry.verify(incremental=True)
    assert why in found.fallback
    assert (found.ok, found.since, found.trusted) == (True, None, None)
    assert replace(found, fallback="") == world.registry.verify()
    assert world.registry.verify(incremental=True).fallback == ""


def test_incremental_finds_what_became_of_tags_of_any_model(world: World, tmp_path: Path) -> None:
    for name in ("fraud", "fraud-eu", "spam"):
        (tmp_path / "model.bin").write_bytes(name.encode())
        world.registry.register(name, tmp_path / "model.bin", metrics={"auc": 0.9})
    assert world.verify().ok
    world.edit("staging", "v2.0.0")
    world.git("tag", "-d", "spam@v1.0.0", cwd=world.repo)
    world.tag("churn@v1.0.0", message="Register churn v1.0.0")
    world.git("tag", "-a", "-m", "a parser's", "parser@v1.0.0", cwd=world.repo)
    world.git("tag", "-a", "-m", "nobody's", "nobody#staging#1", cwd=world.repo)
    assert [(fault.code, fault.place) for fault in world.verify().faults] == [
        ("tag-forged", "refs/tags/churn@v1.0.0"),
        ("tag-unexplained", "refs/tags/nobody#staging#1"),
        ("tag-missing", "refs/tags/spam@v1.0.0"),
    ]


def test_incremental_takes_no_model_for_another(world: World, tmp_path: Path) -> None:
    """A commit that changes several models tells of those that are asked for, and of no other."""
    for name in ("fraud", "spam"):
        (tmp_path / "model.bin").write_bytes(name.encode())
        world.registry.register(name, tmp_path / "model.bin", metrics={"auc": 0.9})
    both = {f"registry/{name}/stages/staging.yaml": "version: v1.0.0\n" for name in ("fraud", "spam")}
    world.commit(both)
    world.registry.sync()
    assert world.verify().ok
    world.registry.clear("spam", "staging", reason="why")
    found = world.registry.verify(incremental=True)
    assert (found.ok, found.fallback, found.transitions) == (True, "", 1)
    world.commit({"registry/fraud/versions/v1.0.0.yaml": None})
    assert [fault.code for fault in world.verify().faults] == ["record-deleted"]


def test_incremental_knows_what_merges_brought(world: World) -> None:
    world.registry.promote("churn@v2", "staging", reason="better", branch="topic")
    world.git("merge", "--quiet", "--no-ff", "-m", "Merge", "topic", cwd=world.repo)
    world.registry.sync()
    assert world.verify().ok
    world.registry.rollback("churn", "staging", reason="slow")
    found = world.verify()
    assert (found.ok, found.transitions) == (True, 4)
    world.edit("production", "v2.0.0")
    assert [fault.code for fault in world.verify().faults] == ["rule-signature", "rule-approvals"]


def test_incremental_looks_again_at_tags_of_commits_that_were_not_merged(
    world: World, tmp_path: Path, git: Git
) -> None:
    hub, other = tmp_path / "hub.git", tmp_path / "other"
    git("clone", "--quiet", "--bare", str(world.repo), str(hub))
    git("remote", "add", "origin", str(hub), cwd=world.repo)
    git("clone", "--quiet", str(hub), str(other))
    git("config", "gpg.format", "ssh", cwd=other)
    git("config", "user.signingkey", str(world.keys / "ada"), cwd=other)
    Registry.open(other).promote("churn@v2", "staging", reason="better", push=True)
    git("fetch", "--quiet", "--tags", "origin", cwd=world.repo)
    assert world.verify().ok  # it is fetched, and not merged
    git("update-ref", "-d", "refs/remotes/origin/main", cwd=world.repo)
    assert [fault.code for fault in world.verify().faults] == ["tag-unexplained"]


def test_incremental_in_a_shallow_clone_is_incomplete(world: World, tmp_path: Path) -> None:
    world.git("clone", "--quiet", "--depth=1", world.repo.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(IncompleteHistoryError, match="shallow"):
        Registry.open(tmp_path / "shallow").verify(incremental=True)


@pytest.mark.parametrize("other", [{"since": "HEAD"}, {"remote": True}])
def test_incremental_goes_with_no_other_choice(world: World, other: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(other))} do not go together"):
        world.registry.verify(incremental=True, **other)  # type: ignore[arg-type]


def test_incremental_works_where_nothing_can_be_noted(world: World) -> None:
    _forget(world)
    folder = world.repo / ".git" / "mreg"
    (folder / "verified").mkdir()  # which no file can replace
    for _ in range(2):
        found = world.registry.verify(incremental=True)
        assert (found.ok, found.trusted) == (True, None)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
