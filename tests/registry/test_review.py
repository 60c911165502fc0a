"""``plan`` and ``check`` on real repositories: branches, merges, the index, clones."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mreg import Action, Registry
from mreg.core.review.reviewed import Review
from mreg.errors import ConflictError, IncompleteHistoryError, NotFoundError, RefusedError, UsageError
from mreg.stores.git.runner import Completed, GitRunner
from tests.conftest import Git, Mreg, become
from tests.registry.world import World as Signed
from tests.registry.world import Worlds
from tests.render.whole import render_columns

SETTINGS = """\
schema: 1
branch: main
people:
  ada: {emails: [ada@example.com]}
  bo: {emails: [bo@example.com]}
  cy: {emails: [cy@example.com]}
roles:
  managers: [ada, bo]
owners: [managers]
stages:
  staging: {}
  production:
    gates:
    - metric: auc
      min: 0.5
      no_worse_than: production
    approvals: {count: 1, by: [managers], not: [author]}
    who: [managers]
metrics:
  auc: {direction: higher, format: .3f}
"""
STAGE_FILE = "registry/churn/stages/production.yaml"


@dataclass
class World:
    """A registry on ``main`` that asks for approvals; production holds v1 of churn, and v2 and v3 are better."""

    repo: Path
    git: Git
    monkeypatch: pytest.MonkeyPatch

    @property
    def registry(self) -> Registry:
        return Registry.open(self.repo)

    def become(self, name: str) -> None:
        become(name, self.monkeypatch)

    def register(
        self, number: int, *, branch: str | None = None, version: str | None = None, model: str = "churn"
    ) -> None:
        path = self.repo.parent / "model.bin"
        path.write_bytes(b"model %d" % number)
        self.registry.register(model, path, metrics={"auc": 0.5 + number / 10}, branch=branch, version=version)

    def promote(self, version: str = "v2", branch: str = "feature") -> None:
        self.registry.promote(f"churn@{version}", "production", reason="better", branch=branch)

    def approve(self, version: str = "v2", *, by: str = "bo", branch: str = "feature") -> None:
        self.become(by)
        self.registry.approve(f"churn@{version}", "production", reason="looked at it", branch=branch)
        self.become("ada")

    def commit(self, files: Mapping[str, str | None], message: str = "By hand", *, who: str = "ada") -> None:
        self.become(who)
        self.stage(files)
        self.git("commit", "--quiet", f"--message={message}", cwd=self.repo)
        self.become("ada")

    def stage(self, files: Mapping[str, str | None]) -> None:
        for path, text in files.items():
            file = self.repo / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        self.git("add", "--all", "--", *files, cwd=self.repo)

    def read(self, path: str) -> str:
        return (self.repo / path).read_text(encoding="utf-8")

    def checkout(self, *words: str) -> None:
        self.git("checkout", "--quiet", *words, cwd=self.repo)


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review") / "repo"


@pytest.fixture
def world(_template: Path, repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(repo, git, monkeypatch)
    made.become("ada")
    if not _template.exists():
        Registry.init(repo, remote="../store")
        for number in (1, 2, 3):
            made.register(number)
        made.registry.promote("churn@v1", "production", reason="first")
        made.commit({"registry.yaml": SETTINGS}, "Rules")
        shutil.copytree(repo, _template)
    shutil.rmtree(repo)
    shutil.copytree(_template, repo)
    monkeypatch.chdir(repo)
    return made


def codes(review: Review) -> list[str]:
    return [each.code for each in review.complaints]


def test_check_of_a_branch_fails_without_approval_and_passes_with_it(world: World, mreg_here: Mreg) -> None:
    world.promote()
    world.checkout("feature")
    refused = mreg_here("check", check=1)
    assert "mreg approve churn@v2.0.0 production --branch feature" in refused.out
    assert refused.err == ""
    world.approve()
    review = world.registry.check()
    (change,) = review.changes
    assert (review.ok, str(change.transition.source), str(change.transition.target)) == (True, "v1.0.0", "v2.0.0")
    assert [each.name for each in change.judgement.tally.approvers] == ["bo"]
    assert [(str(each.actor), each.code) for each in review.approvals] == [("bo <bo@example.com> (claimed)", "")]
    assert (change.line, change.transition.reason, change.transition.email) == (1, "better", "ada@example.com")
    assert mreg_here("check", check=0).out.startswith("this change may land\n\nbase  ")


def test_plan_ends_with_0_where_check_ends_with_1(world: World, mreg_here: Mreg) -> None:
    world.promote()
    args = ("--base", "main", "--head", "feature", "--format", "json")
    assert mreg_here("plan", *args, check=0).out == mreg_here("check", *args, check=1).out


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_check_says_what_verify_says_once_it_has_landed(world: World, git: Git, how: str) -> None:
    world.promote()
    world.checkout("feature")
    if how == "rebase":  # there each commit lands by itself, so the approval comes first
        world.checkout("main")
        git("branch", "--quiet", "-D", "feature")
        world.approve()
        world.promote()
        world.checkout("feature")
    else:
        world.approve()
    assert world.registry.check().ok
    world.checkout("main")
    if how == "squash":
        git("merge", "--quiet", "--squash", "feature")
        message = "Promote churn (#1)\n\nCo-authored-by: Bo <bo@example.com>"
        git("commit", "--quiet", f"--message={message}")
    else:
        git("merge", "--quiet", "--no-edit", "--no-ff" if how == "merge" else "--ff-only", "feature")
    world.registry.sync()
    assert [each.code for each in world.registry.verify().faults] == []


def test_check_of_the_merge_that_github_makes_of_a_pull_request(world: World, git: Git) -> None:
    world.promote()
    world.approve()
    world.commit({"README.md": "moved on"}, "Elsewhere")
    git("checkout", "--quiet", "--detach", "main")
    git("merge", "--quiet", "--no-ff", "--no-edit", "feature", cwd=world.repo)
    review = world.registry.check(base="main")
    (change,) = review.changes
    assert (review.ok, change.transition.email) == (True, "ada@example.com")
    assert len(git("rev-list", "--parents", "-1", "HEAD").split()) == 3


def test_check_of_a_hand_edit_asks_its_author(world: World) -> None:
    world.checkout("-b", "feature")
    text = world.read(STAGE_FILE).replace("version: v1.0.0", "version: v2.0.0")
    world.commit({STAGE_FILE: text}, "Take v2", who="cy")
    review = world.registry.check()
    (change,) = review.changes
    assert codes(review) == ["rule-who", "rule-approvals"]
    assert (change.actor.email, change.transition.reason) == ("cy@example.com", "Take v2")


def test_check_of_a_hand_edit_that_others_touched_asks_them_all(world: World) -> None:
    world.checkout("-b", "feature")
    text = world.read(STAGE_FILE).replace("version: v1.0.0", "version: v2.0.0")
    world.commit({STAGE_FILE: text}, "Take v2", who="cy")
    world.commit({STAGE_FILE: f"{text}# a remark\n"}, "Remark", who="bo")
    review = world.registry.check()
    assert (codes(review)[0], review.changes[0].actor.email) == ("rule-who", "cy@example.com")
    assert review.changes[0].transition.email == "bo@example.com"


def test_check_of_a_revert_is_that_of_a_rollback(world: World, git: Git) -> None:
    world.promote()
    world.approve()
    world.checkout("main")
    git("merge", "--quiet", "--squash", "feature")
    git("commit", "--quiet", "--message=Promote (#1)\n\nCo-authored-by: Bo <bo@example.com>")
    world.checkout("-b", "back")
    git("revert", "--no-edit", "HEAD")
    review = world.registry.check(base="main")
    (change,) = review.changes
    assert (review.ok, change.transition.action, change.lacking) == (True, Action.ROLLBACK, 0)
    assert len(review.notices) == 1  # the approval is withdrawn


def test_check_of_register_and_promote_in_one_branch(world: World) -> None:
    world.register(4, branch="feature")
    world.promote("v4")
    world.approve("v4")
    review = world.registry.check(head="feature")
    assert review.ok
    assert [str(each.version) for each in review.registrations] == ["v4.0.0"]
    (change,) = review.changes
    assert change.comparison
    assert change.comparison.metrics["auc"].deltas["v4.0.0"].absolute == 0.3


def test_check_where_base_moved_reads_the_branch_on_top_of_it(world: World) -> None:
    world.promote()
    world.approve()
    world.register(5, model="fraud")
    review = world.registry.check(head="feature")
    assert (review.ok, len(review.changes), review.registrations) == (True, 1, ())


def test_check_where_base_moved_over_the_same_stage_is_a_conflict(world: World, git: Git) -> None:
    world.promote()
    world.approve()
    world.promote("v3", branch="other")
    world.approve("v3", branch="other")
    git("merge", "--quiet", "--ff-only", "other")
    review = world.registry.check(head="feature")
    assert codes(review) == ["conflict"]
    assert (review.complaints[0].place, review.complaints[0].fix) == (
        STAGE_FILE,
        "git merge main   # then resolve the conflict in this file",
    )
    assert review.changes == ()


def test_check_where_both_sides_made_the_same_change_sees_none(world: World, git: Git) -> None:
    world.checkout("-b", "feature")
    world.commit({"registry/README.md": "the same"})
    world.checkout("main")
    world.commit({"registry/README.md": "the same"}, "Again")
    assert (world.registry.check(head="feature").changed, world.registry.check(head="feature").ok) == (False, True)


def test_check_after_the_base_was_merged_into_the_branch(world: World, git: Git) -> None:
    world.promote()
    world.commit({"README.md": "moved on"}, "Elsewhere")
    world.checkout("feature")
    git("merge", "--quiet", "--no-edit", "main")
    world.approve()
    assert world.registry.check().ok


def test_check_compares_with_the_remote_branch_first(world: World, git: Git, tmp_path: Path) -> None:
    world.promote()
    world.approve()
    git("clone", "--quiet", str(world.repo), str(tmp_path / "clone"))
    world.checkout("main")
    git("merge", "--quiet", "--ff-only", "feature")
    clone = Registry.open(tmp_path / "clone")
    git("fetch", "--quiet", cwd=tmp_path / "clone")
    git("checkout", "--quiet", "-b", "local", "origin/feature", cwd=tmp_path / "clone")
    review = clone.check()
    assert (review.base_name, review.changed) == ("origin/main", False)
    git("update-ref", "-d", "refs/remotes/origin/main", cwd=tmp_path / "clone")
    assert clone.check().base_name == "main"
    assert clone.check().changed


def test_check_without_the_registry_branch_says_how_to_get_it(world: World, git: Git, tmp_path: Path) -> None:
    git("clone", "--quiet", str(world.repo), str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    git("checkout", "--quiet", "--detach", cwd=clone)
    for ref in ("refs/heads/main", "refs/remotes/origin/main", "refs/remotes/origin/HEAD"):
        git("update-ref", "--no-deref", "-d", ref, cwd=clone)
    with pytest.raises(NotFoundError) as caught:
        Registry.open(clone).check()
    assert caught.value.hint.startswith("git fetch origin main:")


def test_check_in_a_shallow_clone_is_incomplete(world: World, git: Git, tmp_path: Path) -> None:
    world.promote()
    git("clone", "--quiet", "--depth=1", "--no-single-branch", world.repo.as_uri(), str(tmp_path / "clone"))
    with pytest.raises(IncompleteHistoryError) as caught:
        Registry.open(tmp_path / "clone").check(base="origin/main", head="origin/feature")
    assert "--unshallow" in caught.value.hint


def test_check_in_a_clone_without_blobs(world: World, git: Git, tmp_path: Path) -> None:
    world.promote()
    world.approve()
    git("config", "uploadpack.allowFilter", "true")
    git("clone", "--quiet", "--filter=blob:none", "--no-checkout", world.repo.as_uri(), str(tmp_path / "clone"))
    assert Registry.open(tmp_path / "clone").check(head="origin/feature").ok


def test_check_of_unrelated_histories_is_refused(world: World, git: Git) -> None:
    git("checkout", "--quiet", "--orphan", "alone")
    git("commit", "--quiet", "--message=Alone")
    with pytest.raises(RefusedError, match="share no commit"):
        world.registry.check(head="alone", base="main")


def test_check_of_unknown_revisions(world: World, mreg_here: Mreg) -> None:
    for words in (("--base", "nope"), ("--head", "nope"), ("--head", "--output=x")):
        assert "names no commit" in mreg_here("check", *words, check=4).err
    with pytest.raises(UsageError):
        world.registry.plan(base="main", staged=True)
    assert mreg_here("check", "--staged", "--head", "main", check=2).err


def test_check_of_what_others_changed_is_none_of_its_business(world: World) -> None:
    world.checkout("-b", "feature")
    world.commit({"src/train.py": "print()", "registry_notes.txt": "x", "dvc.lock": "{}"})
    assert (world.registry.check().ok, world.registry.check().changed) == (True, False)


def test_check_of_settings_goes_by_those_of_the_base(world: World, git: Git) -> None:
    world.promote()
    world.checkout("feature")
    loose = SETTINGS.replace("approvals: {count: 1, by: [managers], not: [author]}", "auto: true")
    world.commit({"registry.yaml": loose.replace("managers: [ada, bo]", "managers: [ada, bo, cy]")}, who="cy")
    review = world.registry.check()
    assert codes(review) == ["rule-approvals", "policy-not-by-owner"]
    assert review.settings
    assert {each.key: (each.old, each.new) for each in review.settings.changes} == {
        "roles.managers": (None, "cy"),
        "stages.production.auto": (None, True),
        "stages.production.approvals.count": (1, None),
        "stages.production.approvals.by": ("managers", None),
        "stages.production.approvals.not": ("author", None),
    }
    git("revert", "--no-edit", "HEAD")
    world.approve()
    assert world.registry.check().settings is None
    assert world.registry.check().ok


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("schema: 1\nstagess: {}\n", "policy-unreadable", 2),
        ("schema: [\n", "policy-unreadable", 2),
        (None, "policy-deleted", None),
    ],
)
def test_check_of_settings_that_cannot_be(world: World, text: str | None, code: str, line: int | None) -> None:
    world.checkout("-b", "feature")
    world.commit({"registry.yaml": text})
    review = world.registry.check()
    (fault,) = review.complaints
    assert (fault.code, fault.place, fault.line) == (code, "registry.yaml", line)
    assert "no setting changes" not in render_columns(review)


def test_check_of_the_first_registry_asks_nothing(repo: Path, git: Git, tmp_path: Path) -> None:
    git("checkout", "--quiet", "-b", "feature")
    Registry.init(repo, branch="feature")
    model = tmp_path / "model.bin"
    model.write_bytes(b"1")
    registry = Registry.open(repo)
    registry.register("churn", model, stage="production", reason="first")
    review = registry.check(base="main")
    assert (review.ok, len(review.registrations), len(review.changes)) == (True, 1, 1)
    assert review.settings
    assert review.settings.changes


def edit_record(world: World) -> None:
    path = "registry/churn/versions/v1.0.0.yaml"
    world.commit({path: world.read(path).replace("auc: 0.6", "auc: 0.99")})


def rename_record(world: World) -> None:
    text = world.read("registry/churn/versions/v3.0.0.yaml")
    world.commit({"registry/churn/versions/v9.0.0.yaml": text})


def break_record(world: World) -> None:
    world.commit({"registry/churn/versions/v9.0.0.yaml": "schema: 1\nmodel: [\n"})


def break_stage(world: World) -> None:
    world.commit({STAGE_FILE: "version: v2.0.0\nversion: v1.0.0\n"})


def add_stray(world: World) -> None:
    world.commit({"registry/churn/notes.txt": "x"})


def stage_unknown(world: World) -> None:
    world.commit({"registry/churn/stages/staging.yaml": "version: v9.0.0\n"})


def forge_approval(world: World) -> None:
    world.promote()
    world.approve()
    world.checkout("feature")
    (path,) = [*world.repo.glob("registry/churn/approvals/v2.0.0/production/*.yaml")]
    text = path.read_text()
    world.git("reset", "--quiet", "--hard", "HEAD~1")
    world.commit({str(path.relative_to(world.repo)): text}, who="cy")


def spoil_pointer(world: World) -> None:
    world.register(4, branch="feature")
    world.checkout("feature")
    path = "registry/churn/artifact/model.bin.dvc"
    world.commit({path: world.read(path).replace("md5: ", "md5: 0")})


def spoil_pointer_alone(world: World) -> None:
    path = "registry/churn/artifact/model.bin.dvc"
    world.commit({path: world.read(path).replace("size: ", "size: 1")})


def spoil_dvc_yaml(world: World) -> None:
    world.register(4, branch="feature")
    world.checkout("feature")
    world.commit({"dvc.yaml": "artifacts: {}\n"})


def nest_model(world: World) -> None:
    record = world.read("registry/churn/versions/v1.0.0.yaml").replace("model: churn", "model: churn/eu")
    record = record.replace("artifact:", "adopted: {tag: x@v1.0.0}\nartifact:", 1)
    world.commit({"registry/churn/eu/versions/v1.0.0.yaml": record})


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (edit_record, ["record-changed"]),
        (rename_record, ["unreadable-record"]),
        (break_record, ["unreadable-record"]),
        (break_stage, ["unreadable-stage"]),
        (add_stray, ["stray-file"]),
        (stage_unknown, ["unknown-version"]),
        (forge_approval, ["rule-approvals", "approval-forged"]),
        (spoil_pointer, ["pointer-differs"]),
        (spoil_pointer_alone, ["pointer-differs"]),
        (spoil_dvc_yaml, ["pointer-differs"]),
        (nest_model, ["bad-name"]),
    ],
)
def test_check_finds_what_may_not_land(world: World, act: Callable[[World], None], expected: list[str]) -> None:
    base = world.git("rev-parse", "main")
    world.checkout("-b", "hand")
    act(world)
    review = world.registry.check(base=base)
    assert codes(review) == expected
    assert all(each.place for each in review.complaints)


def test_check_of_a_directory_looks_at_the_list_of_its_files(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    world.registry.register("bundle", folder, branch="feature")
    assert world.registry.check(head="feature").ok
    world.checkout("feature")
    path = "registry/bundle/versions/v1.0.0.files"
    text = world.read(path)
    world.commit({path: text.replace(" 1 ", " 2 ")})
    assert codes(world.registry.check()) == ["file-list-differs"]
    world.commit({path: "no list"})
    assert codes(world.registry.check()) == ["file-list-differs"]
    world.commit({path: None})
    assert codes(world.registry.check()) == ["file-list-missing"]


def test_check_of_two_registrations_at_once(world: World) -> None:
    world.register(4, branch="feature")
    world.register(5, branch="feature")
    assert world.registry.check(head="feature").ok


def test_check_of_models_beside_each_other(world: World) -> None:
    world.register(1, branch="feature", model="fraud/eu")
    world.register(2, branch="feature", model="fraud/us")
    assert world.registry.check(head="feature").ok


def test_check_of_a_new_model_in_a_folder_of_another(world: World, git: Git) -> None:
    world.register(1, branch="above", model="fraud")
    world.register(2, branch="below", model="fraud/eu")
    git("merge", "--quiet", "--ff-only", "above")
    assert "bad-name" in codes(world.registry.check(head="below"))


def test_check_staged_on_the_registry_branch_asks_for_everything(world: World, mreg_here: Mreg) -> None:
    world.stage({STAGE_FILE: world.read(STAGE_FILE).replace("version: v1.0.0", "version: v2.0.0")})
    review = world.registry.check(staged=True)
    assert (codes(review), review.is_draft, review.changes[0].actor.email) == (
        ["rule-approvals"],
        False,
        "ada@example.com",
    )
    assert mreg_here("check", "--staged", check=1).out.startswith("this change may not be committed")


def test_check_staged_on_another_branch_waits_for_approvals(world: World, mreg_here: Mreg) -> None:
    world.checkout("-b", "feature")
    world.stage({STAGE_FILE: world.read(STAGE_FILE).replace("version: v1.0.0", "version: v2.0.0")})
    assert "1 more must approve before it lands" in mreg_here("check", "--staged", check=0).out
    world.stage({"registry/churn/notes.txt": "x"})
    assert codes(world.registry.check(staged=True)) == ["stray-file"]


def test_check_staged_sees_the_index_and_not_the_files(world: World) -> None:
    (world.repo / STAGE_FILE).write_text("version: v3.0.0\n")
    assert not world.registry.check(staged=True).changed


def test_check_staged_needs_no_history_where_nothing_of_the_registry_is_staged(
    world: World, git: Git, tmp_path: Path
) -> None:
    git("clone", "--quiet", "--depth=1", world.repo.as_uri(), str(tmp_path / "clone"))
    registry = Registry.open(tmp_path / "clone")
    assert not registry.check(staged=True).changed
    (tmp_path / "clone" / STAGE_FILE).write_text("version: v2.0.0\n")
    git("add", STAGE_FILE, cwd=tmp_path / "clone")
    with pytest.raises(IncompleteHistoryError):
        registry.check(staged=True)


def test_check_staged_in_a_hook_sees_what_is_committed(world: World, git: Git) -> None:
    hook = world.repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexec mreg check --staged\n")
    hook.chmod(0o755)
    (world.repo / STAGE_FILE).write_text("version: v9.0.0\n")
    done = subprocess.run(["git", "commit", "--all", "--message=x"], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "unknown-version" in done.stdout + done.stderr
    git("checkout", "--quiet", "HEAD", "--", STAGE_FILE)
    (world.repo / "README.md").write_text("fine\n")
    (world.repo / "registry" / "stray.txt").write_text("x\n")
    git("add", "registry/stray.txt")
    git("commit", "--quiet", "--message=Only this", "--only", "README.md")
    assert git("log", "-1", "--format=%s") == "Only this"


def test_check_staged_is_not_led_to_another_index(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.stage({"registry/churn/notes.txt": "x"})
    shutil.copy(world.repo / ".git" / "index", tmp_path / "index")
    world.git("reset", "--quiet")
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert world.registry.check(staged=True).ok


def test_check_staged_with_conflicts_in_the_index(world: World, git: Git) -> None:
    for branch, text in (("one", "version: v2.0.0\n"), ("two", "version: v3.0.0\n")):
        world.checkout("-b", branch, "main")
        world.commit({STAGE_FILE: text})
    assert subprocess.run(["git", "merge", "one"], capture_output=True, check=False).returncode == 1
    with pytest.raises(ConflictError, match=STAGE_FILE):
        world.registry.check(staged=True)


def test_check_staged_while_the_registry_branch_is_merged_judges_the_branch_alone(world: World, git: Git) -> None:
    world.checkout("-b", "feature")
    world.commit({STAGE_FILE: "version: v3.0.0\n"}, "Mine")
    world.promote("v2", branch="other")
    world.approve("v2", branch="other")
    world.checkout("main")
    git("merge", "--quiet", "--no-ff", "--no-edit", "other")
    world.checkout("feature")
    assert subprocess.run(["git", "merge", "main"], capture_output=True, check=False).returncode == 1
    world.stage({STAGE_FILE: "version: v3.0.0\n"})
    review = world.registry.check(staged=True)
    (change,) = review.changes
    assert (str(change.transition.source), str(change.transition.target), review.ok) == ("v2.0.0", "v3.0.0", True)
    assert review.approvals == ()


def test_check_staged_before_the_first_commit(world: World, git: Git) -> None:
    git("checkout", "--quiet", "--orphan", "alone")
    with pytest.raises(NotFoundError, match="nothing is committed"):
        world.registry.check(staged=True)


def test_check_in_a_bare_repository(world: World, git: Git, tmp_path: Path) -> None:
    world.promote()
    world.approve()
    git("clone", "--quiet", "--bare", str(world.repo), str(tmp_path / "bare"))
    bare = Registry.open(tmp_path / "bare")
    assert bare.check(base="main", head="feature").ok
    with pytest.raises(UsageError, match="bare"):
        bare.check(staged=True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The Git commands that were run."""
    made: list[tuple[str, ...]] = []
    complete = GitRunner.complete

    def count(self: GitRunner, *args: str, **kwargs: Any) -> Completed:  # noqa: ANN401 - handed on
        made.append(args)
        return complete(self, *args, **kwargs)

    monkeypatch.setattr(GitRunner, "complete", count)
    return made


def test_check_needs_few_git_calls_however_much_changes(world: World, calls: list[tuple[str, ...]]) -> None:
    counts = []
    for number in (1, 3):
        for index in range(number):
            world.register(index, branch=f"feature-{number}", model=f"fraud{index}")
            world.approve(branch=f"feature-{number}") if index == 0 else None
        registry = Registry.open(world.repo)
        calls.clear()
        assert registry.check(head=f"feature-{number}").ok
        counts.append(len(calls))
    assert counts[0] == counts[1] <= 13


def test_check_of_nothing_needs_fewer_git_calls(world: World, calls: list[tuple[str, ...]]) -> None:
    registry = world.registry
    calls.clear()
    assert not registry.check().changed
    assert len(calls) <= 8


def test_check_formats(world: World, mreg_here: Mreg, tmp_path: Path) -> None:
    world.promote()
    world.checkout("feature")
    assert mreg_here("check", "--format", "markdown", check=1).out.startswith(
        "<!-- mreg:check -->\n\n## ❌ This change may not land"
    )
    assert json.loads(mreg_here("check", "--format", "json", check=1).out)["ok"] is False
    env = {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    result = mreg_here("check", "--format", "github", env=env, check=1)
    assert f"::error file={STAGE_FILE},line=1," in result.out
    assert (tmp_path / "summary").read_text().startswith("<!-- mreg:check -->")
    assert (tmp_path / "out").stat().st_size


@pytest.fixture
def signed(tmp_path: Path, repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Signed:
    """A registry whose production asks for signatures and an approval by another person."""
    return Worlds(tmp_path / "made").copy(repo, tmp_path, git, monkeypatch)


def test_check_of_a_signed_promotion_proves_who_made_and_who_approved_it(signed: Signed) -> None:
    signed.promote("v2", "staging")
    signed.become("ada")
    signed.registry.promote("churn@v2", "production", reason="better", branch="feature")
    signed.approve("v2", who="bo", branch="feature")
    review = signed.registry.check(head="feature")
    (change,) = review.changes
    assert review.ok
    assert [str(each) for each in (change.actor, *change.judgement.tally.approvers)] == [
        "ada <ada@example.com> (proven)",
        "bo <bo@example.com> (proven)",
    ]
    signed.git("checkout", "--quiet", "feature")
    path = "registry/churn/stages/production.yaml"
    signed.commit({path: signed.read(path).replace("better", "worse")}, who="ada")
    assert codes(signed.registry.check()) == ["rule-signature"]


@pytest.mark.parametrize("head", ["feature", "origin/feature", "refs/heads/feature"])
def test_check_of_a_branch_names_it_in_what_to_do_next(world: World, git: Git, head: str) -> None:
    world.promote()
    git("update-ref", "refs/remotes/origin/main", "main")
    git("update-ref", "refs/remotes/origin/feature", "feature")
    (change,) = world.registry.check(head=head).changes
    assert change.next_step == "mreg approve churn@v2.0.0 production --branch feature"


@pytest.mark.parametrize("head", ["feature~0", "HEAD", "main~0"])
def test_check_of_what_is_no_branch_names_none(world: World, git: Git, head: str) -> None:
    world.promote()
    base = git("rev-parse", "main")
    git("checkout", "--quiet", "--detach", "feature")
    git("branch", "--quiet", "--force", "main", "feature")
    (change,) = world.registry.check(base=base, head=head).changes
    assert change.next_step.endswith('--branch "$(git branch --show-current)"')


def test_check_of_a_branch_that_was_pushed_to_since_says_so(world: World, git: Git) -> None:
    world.promote()
    promoted = git("rev-parse", "feature")
    world.approve()
    git("update-ref", "refs/remotes/origin/main", "main")
    git("update-ref", "refs/remotes/origin/feature", "feature")
    git("update-ref", "refs/heads/feature", promoted)
    behind = "origin/feature has 1 more commit: mreg check --head origin/feature"
    review = world.registry.check(head="feature")
    assert (codes(review), review.notices) == (["rule-approvals"], (behind,))
    assert behind not in world.registry.check(head="origin/feature").notices
    world.checkout("feature")
    assert world.registry.check().notices == (behind,)
    git("update-ref", "refs/remotes/origin/feature", "main")
    assert world.registry.check().notices == ()
