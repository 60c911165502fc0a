"""One planted fixture a threat, each found by its own code where the clean registry gives none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from mreg import Registry
from mreg.core.review.approvals import approval_id, format_approval
from mreg.errors import IncompleteHistoryError, NotFoundError, OutsideError
from mreg.registry.review.auditing import audit
from mreg.stores import yaml
from tests.conftest import Git
from tests.registry.world import CHURN, LAYOUT, PRODUCTION, STAGING, World

RECORD = "registry/churn/versions/v2.0.0.yaml"
STAGE = "registry/churn/stages/production.yaml"
STAGED = "registry/churn/stages/staging.yaml"
TAG = "refs/tags/churn@v1.0.0"


def test_verify_clean_registry_has_no_fault(world: World) -> None:
    found = world.verify()
    assert (found.ok, found.complete, found.faults, found.unproven) == (True, True, (), ())
    assert (found.transitions, found.signed, found.proven, found.claimed, found.tags) == (2, 1, 1, 1, 6)
    assert found.commits == int(world.git("rev-list", "--first-parent", "--count", "main", cwd=world.repo))


# Tags.


def test_verify_tag_moved(world: World) -> None:
    world.tag("churn@v1.0.0", object=world.oid("refs/tags/churn@v2.0.0^{commit}"))
    assert world.faults() == [("tag-moved", TAG)]


def test_verify_tag_deleted(world: World) -> None:
    world.git("tag", "-d", "churn@v1.0.0", cwd=world.repo)
    found = world.verify().faults
    assert [(fault.code, fault.place) for fault in found] == [("tag-missing", TAG)]
    assert found[0].commit == world.git("log", "--format=%H", "--diff-filter=A", "--", RECORD.replace("v2", "v1"))


@pytest.mark.parametrize(
    "change",
    [
        {"message": "Register churn v1.0.0\n\nMreg-Commit: " + "0" * 40},
        {"tagger": "Eve <eve@example.com> 1767225700 +0000"},
        {"message": "Register churn v1.0.0"},
    ],
)
def test_verify_tag_forged(world: World, change: dict[str, str]) -> None:
    world.tag("churn@v1.0.0", **change)
    assert world.faults() == [("tag-forged", TAG)]


@pytest.mark.parametrize("name", ["churn@v1.0.0", "churn@v9.0.0", "churn#production#9"])
def test_verify_tag_teleported(world: World, name: str) -> None:
    world.git("update-ref", f"refs/tags/{name}", "refs/tags/churn@v2.0.0", cwd=world.repo)
    assert world.faults() == [("tag-renamed", f"refs/tags/{name}")]


def test_verify_tag_lightweight(world: World) -> None:
    world.git("update-ref", TAG, f"{TAG}^{{commit}}", cwd=world.repo)
    world.git("update-ref", "refs/tags/churn#production#9", "HEAD", cwd=world.repo)
    assert world.faults() == [("tag-lightweight", "refs/tags/churn#production#9"), ("tag-lightweight", TAG)]


def test_verify_tag_off_the_branch(world: World) -> None:
    stray = world.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "Evil", cwd=world.repo)
    world.tag("churn@v1.0.0", object=stray)
    assert world.faults() == [("tag-off-branch", TAG)]


def test_verify_tag_unexplained(world: World) -> None:
    world.git("tag", "-a", "-m", "v7", "churn@v7.0.0", cwd=world.repo)
    world.git("tag", "-a", "-m", "a parser's", "parser@v1.0.0", cwd=world.repo)
    assert world.faults() == [("tag-unexplained", "refs/tags/churn@v7.0.0")]


def test_verify_signed_tags_are_right(world: World) -> None:
    world.git("tag", "-d", "churn@v1.0.0", "churn#production#2", cwd=world.repo)
    world.git("config", "tag.gpgsign", "true", cwd=world.repo)
    world.registry.sync()
    assert "-----BEGIN SSH SIGNATURE-----" in world.git("cat-file", "tag", TAG, cwd=world.repo)
    assert world.faults() == []


def test_verify_seal_with_other_bytes(world: World, tmp_path: Path) -> None:
    for number in (5, 6):
        (tmp_path / "model.bin").write_bytes(b"model %d" % number)
        world.registry.register("churn", tmp_path / "model.bin", branch="two")
    world.git("merge", "--quiet", "--squash", "two", cwd=world.repo)
    world.git("commit", "--quiet", "-m", "Two", cwd=world.repo)
    world.registry.sync()
    assert world.faults() == []
    seal = world.oid("refs/tags/churn@v5.0.0^{commit}")
    message = world.git("log", "-1", "--format=%B", seal, cwd=world.repo)
    other = world.git("commit-tree", "HEAD^{tree}", "-p", f"{seal}~", "-m", message.rstrip("\n"), cwd=world.repo)
    world.tag("churn@v5.0.0", object=other)
    assert world.faults() == [("tag-off-branch", "refs/tags/churn@v5.0.0")]


def test_verify_seals_of_one_commit_whose_tags_are_judged_in_pieces(world: World) -> None:
    newest = RECORD.replace("v2", "v4")  # whose bytes the tree has, as it has those of its copies
    numbers = (5, 6, 7, 8)
    same = {newest.replace("v4", f"v{number}"): world.read(newest).replace("v4", f"v{number}") for number in numbers}
    world.commit(same)
    world.registry.sync()
    assert world.faults() == []


# Files.


def test_verify_record_edited(world: World) -> None:
    commit = world.commit({RECORD: world.read(RECORD).replace("0.92", "0.99")})
    found = world.verify().faults
    assert [(fault.code, fault.place, fault.commit) for fault in found] == [("record-changed", RECORD, commit)]


def test_verify_record_deleted(world: World) -> None:
    world.commit({RECORD: None})
    assert world.faults() == [("record-deleted", RECORD)]


def test_verify_record_that_cannot_be_read(world: World) -> None:
    path = RECORD.replace("v2", "v9")
    world.commit({path: world.read(RECORD)})
    assert world.faults() == [("unreadable-record", path)]


def test_verify_stage_file_that_cannot_be_read(world: World) -> None:
    world.commit({STAGE: "version: [v2\n"})
    assert world.faults() == [("unreadable-stage", STAGE)]


def test_verify_stage_file_edited_against_a_gate(world: World) -> None:
    commit = world.edit("staging", "v3.0.0")
    found = world.verify().faults
    assert [(fault.code, fault.place, fault.commit) for fault in found] == [("rule-metric", STAGED, commit)]
    assert "0.5" in found[0].message


def test_verify_stage_file_edited_against_all_gates(world: World) -> None:
    world.edit("production", "v3.0.0", who="eve")
    assert world.faults() == [(f"rule-{rule}", STAGE) for rule in ("who", "signature", "metric", "approvals")]


def test_verify_statement_rewritten(world: World) -> None:
    world.commit({STAGE: world.read(STAGE).replace("ada@example.com", "bo@example.com")}, who="eve")
    assert world.faults() == [("statement-changed", STAGE)]


def test_verify_hold_released_by_someone_else(world: World) -> None:
    world.become("ada")
    world.registry.hold("churn", "production", reason="looking into it")
    assert world.faults() == []
    world.commit({STAGE: world.read(STAGE).replace("hold: true\n", "")}, who="eve")
    assert world.faults() == [("rule-who", STAGE)]


def test_verify_stray_file(world: World) -> None:
    world.commit({"registry/churn/stages/notes.txt": "x", "registry/README.md": "y"})
    assert world.faults() == [("stray-file", "registry/churn/stages/notes.txt")]


# Rules and keys.


def test_verify_policy_loosened_and_used_in_one_commit(world: World) -> None:
    loosened = world.settings().replace("min: 0.6", "min: 0.1")
    world.commit({"registry.yaml": loosened, STAGED: "version: v3.0.0\n"})
    world.registry.sync()
    assert world.faults() == [("rule-metric", STAGED)]


def test_verify_policy_loosened_first_is_allowed(world: World) -> None:
    world.commit({"registry.yaml": world.settings().replace("min: 0.6", "min: 0.1")})
    world.edit("staging", "v3.0.0")
    assert world.faults() == []


def test_verify_policy_changed_by_who_does_not_own_it(world: World) -> None:
    world.commit({"registry.yaml": world.settings("ada", "bo", "cy", "eve")}, who="eve")
    assert world.faults() == [("policy-not-by-owner", "registry.yaml")]


@pytest.mark.parametrize(("text", "code"), [(None, "policy-deleted"), ("schema: 1\nstagse: {}\n", "policy-unreadable")])
def test_verify_policy_deleted_or_unreadable_stays_in_force(world: World, text: str | None, code: str) -> None:
    world.commit({"registry.yaml": text})
    world.commit({STAGED: "version: v3.0.0\n"})
    found = audit(world.repo).faults
    assert [(fault.code, fault.place) for fault in found][:2] == [(code, "registry.yaml"), ("rule-metric", STAGED)]


def test_verify_signer_added_and_used_in_one_commit(world: World) -> None:
    added = world.settings("ada", "bo", "cy", "eve").replace("managers: [ada, bo]", "managers: [ada, bo, eve]")
    world.approve("v2")
    world.become("eve")
    world.registry.promote("churn@v2", "production", reason="mine", branch="evil")
    world.git("merge", "--quiet", "--squash", "evil", cwd=world.repo)
    world.commit({"registry.yaml": added, STAGE: world.read(STAGE)})
    world.registry.sync()
    assert world.faults() == [("rule-who", STAGE), ("rule-signature", STAGE)]


def test_verify_statement_signed_for_another_version(world: World) -> None:
    world.approve("v2")
    world.approve("v4")
    world.promote("v2")
    text = world.read(STAGE)
    world.commit({STAGE: text.replace("version: v2.0.0", "version: v4.0.0").replace("v1.0.0", "v2.0.0")})
    world.registry.sync()
    assert ("rule-signature", STAGE) in world.faults()


def test_verify_key_removed_later_leaves_older_statements_valid(world: World) -> None:
    world.commit({"registry.yaml": world.settings("ada", "bo", "cy", ada="new", bo="eve")})
    assert world.faults() == []
    world.edit("staging", "v2.0.0")
    world.become("cy")
    world.registry.approve("churn@v2", "production")
    world.force("v2")  # with the key that is not ada's any more
    assert world.faults() == [("rule-signature", STAGE)]


# Approvals.


def test_verify_approval_missing(world: World) -> None:
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE)]


def test_verify_approval_forged(world: World) -> None:
    path = world.plant(world.approval("v2", by="bo"), signer="ada", who="bo")
    assert world.faults() == [("approval-forged", path)]
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-forged", path)]


def test_verify_approval_tampered_with_before_it_was_committed(world: World) -> None:
    path = world.plant(world.approval("v4"), signer="bo", who="bo")
    document = yaml.load(world.read(path).encode(), path)
    assert isinstance(document, dict)
    copy = LAYOUT.approval(CHURN, world.approval("v2").version, PRODUCTION, "0123456789abcdef")
    about = world.approval("v2")
    text = yaml.dump({**document, "version": "v2.0.0", "artifact": about.artifact})
    world.commit({copy: text}, who="bo")
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-forged", copy)]


def test_verify_approval_changed(world: World) -> None:
    path = world.plant(world.approval("v2"), signer="bo", who="bo")
    world.commit({path: world.read(path) + "reason: looks good\n"}, who="bo")
    assert world.faults() == [("approval-changed", path)]


def test_verify_approval_replayed(world: World) -> None:
    path = world.plant(world.approval("v2"), signer="bo", who="bo")
    world.promote("v2")
    world.registry.rollback("churn", "production", reason="slow")
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-replayed", path)]


def test_verify_approval_replayed_under_another_name(world: World) -> None:
    path = world.plant(world.approval("v2"), signer="bo", who="bo")
    world.promote("v2")
    world.registry.rollback("churn", "production", reason="slow")
    copy = path.replace(".yaml", "0.yaml")
    world.commit({copy: world.read(path), path: None}, who="eve")
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-replayed", copy)]


@pytest.mark.parametrize("back", [True, False])
def test_verify_statement_replayed_with_what_is_not_signed(world: World, back: bool) -> None:
    world.approve("v2")
    first = world.read(STAGE)
    world.promote("v2")
    second = world.read(STAGE)
    if back:  # the first statement replaces nothing, and says no more that it does
        replay = first.replace("replaces: none\n", "")
        assert replay != first
    else:
        world.registry.rollback("churn", "production", reason="slow")
        world.become("bo")
        world.registry.approve("churn@v2", "production", reason="once more")
        replay = f"{second}hold: true\n"
    world.commit({STAGE: replay}, who="eve")
    world.registry.sync()
    assert world.faults() == [("rule-who", STAGE), ("rule-signature", STAGE)]


def test_verify_approval_copied_to_another_stage(world: World) -> None:
    said = world.approval("v2", STAGING)
    path = world.plant(said, signer="bo", who="bo", at=("v2.0.0", PRODUCTION))
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-copied", path)]


def test_verify_approval_self_made(world: World) -> None:
    path = world.plant(world.approval("v2"), signer="bo", who="bo")
    world.force("v2", who="bo")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-self", path)]


@pytest.mark.parametrize("by", ["bo", "eve"])
def test_verify_approval_by_an_unlisted_key(world: World, by: str) -> None:
    path = world.plant(world.approval("v2", by=by), signer="eve", who=by)
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-unlisted", path)]


def test_verify_approval_unsigned(world: World) -> None:
    said = world.approval("v2")
    path = LAYOUT.approval(CHURN, said.version, PRODUCTION, approval_id(said))
    world.commit({path: yaml.dump(format_approval(said))}, who="bo")
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-unsigned", path)]


def test_verify_approval_given_before_the_stage_moved(world: World) -> None:
    late = world.approval("v4")  # while v1 is there
    world.approve("v2")
    world.promote("v2")
    path = world.plant(late, signer="bo", who="bo")
    world.force("v4")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-stale", path)]


def test_verify_approval_given_after_the_stage_moved(world: World) -> None:
    late = world.approval("v2")
    world.force("v2")
    path = world.plant(late, signer="bo", who="bo")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-late", path)]


def test_verify_approval_of_other_bytes(world: World) -> None:
    said = replace(world.approval("v2"), artifact=world.approval("v4").artifact)
    path = world.plant(said, signer="bo", who="bo")
    world.force("v2")
    assert world.faults() == [("rule-approvals", STAGE), ("approval-other-artifact", path)]


# Messages.


def test_verify_trailers_in_notes_and_reasons_name_nothing(world: World, tmp_path: Path) -> None:
    lines = "Mreg-Action: promote\nMreg-Model: fraud\nMreg-Version: v9.0.0\nMreg-Stage: production"
    (tmp_path / "model.bin").write_bytes(b"model 5")
    world.registry.register("churn", tmp_path / "model.bin", metrics={"auc": 0.9}, notes=f"x\n\n{lines}")
    world.registry.promote("churn@v5", "staging", reason=f"y\n---\n\n{lines}", approved_by=["Mreg-Model: fraud"])
    found = world.verify()
    assert (found.faults, found.transitions) == ((), 3)


@pytest.mark.parametrize("line", ["Mreg-Model: fraud", "Mreg-Version: v3.0.0", "Mreg-Stage: staging"])
def test_verify_message_that_tells_of_another_change(world: World, line: str) -> None:
    world.approve("v2")
    said = {"Mreg-Model": "churn", "Mreg-Version": "v2.0.0", "Mreg-Stage": "production"}
    said |= dict([line.split(": ")])
    world.become("ada")
    world.registry.promote("churn@v2", "production", reason="better", branch="lie")
    world.git("merge", "--quiet", "--squash", "lie", cwd=world.repo)
    message = "Promote\n\n" + "\n".join(f"{key}: {value}" for key, value in said.items())
    world.commit({STAGE: world.read(STAGE)}, message)
    world.registry.sync()
    assert world.faults() == [("trailer-contradicts", STAGE)]


def test_verify_message_of_a_commit_that_does_nothing(world: World) -> None:
    world.commit({}, "Promote churn v9.0.0\n\nMreg-Model: churn\nMreg-Version: v9.0.0\nMreg-Stage: production")
    assert world.faults() == [("trailer-contradicts", "registry")]


# What shows others another history.


def test_verify_replaced_history(world: World) -> None:
    first = world.oid("refs/tags/churn@v1.0.0^{commit}")
    world.git("replace", first, "HEAD", cwd=world.repo)
    assert world.faults() == [("replaced-history", f"refs/replace/{first}")]


def test_verify_grafted_history(world: World) -> None:
    (world.repo / ".git" / "info").mkdir(exist_ok=True)
    (world.repo / ".git" / "info" / "grafts").write_text(f"# by eve\n{world.oid('HEAD')} {world.oid('HEAD~3')}\n")
    assert world.faults() == [("grafted-history", "info/grafts")]
    assert world.verify().transitions == 2


def test_verify_shallow_clone_is_incomplete(world: World, tmp_path: Path) -> None:
    world.git("clone", "--quiet", "--depth=3", world.repo.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(IncompleteHistoryError, match="shallow"):
        Registry.open(tmp_path / "shallow").verify()


def test_verify_partial_clone_is_whole_or_incomplete(world: World, tmp_path: Path) -> None:
    world.git("config", "uploadpack.allowFilter", "true", cwd=world.repo)
    world.git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=world.repo)
    for name in ("online", "offline"):
        world.git("clone", "--quiet", "--filter=blob:none", world.repo.as_uri(), str(tmp_path / name))
    assert Registry.open(tmp_path / "online").verify().ok
    offline = Registry.open(tmp_path / "offline")
    world.repo.rename(tmp_path / "gone")
    with pytest.raises(IncompleteHistoryError, match="partial clone"):
        offline.verify()


def test_verify_missing_object_is_incomplete(world: World) -> None:
    oid = world.oid(f"HEAD:{RECORD}")
    (world.repo / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    found = world.verify()
    assert (found.ok, found.complete, found.faults) == (False, False, ())
    assert [(gap.code, gap.place) for gap in found.gaps] == [("missing-object", RECORD)]


# What is valid all the same.


@pytest.mark.parametrize("how", ["squash", "rebase", "merge"])
def test_verify_signed_promotion_stays_valid_however_it_is_merged(world: World, tmp_path: Path, how: str) -> None:
    # A rebase lands them one by one, so the approval goes first.
    world.approve("v2", branch="feature")
    world.become("ada")
    world.registry.promote("churn@v2", "production", reason="better", branch="feature")
    world.commit({"README.md": "main moved on\n"}, who="eve")
    if how == "squash":
        world.git("merge", "--quiet", "--squash", "feature", cwd=world.repo)
        world.git("commit", "--quiet", "-m", "Promote churn (#1)", cwd=world.repo)
    elif how == "rebase":
        world.git("rebase", "--quiet", "main", "feature", cwd=world.repo)
        world.git("checkout", "--quiet", "main", cwd=world.repo)
        world.git("merge", "--quiet", "--ff-only", "feature", cwd=world.repo)
    else:
        world.git("merge", "--quiet", "--no-ff", "--no-edit", "feature", cwd=world.repo)
    world.registry.sync()
    found = world.verify()
    assert (found.faults, found.proven) == ((), 2)


@pytest.mark.parametrize("how", ["squash", "merge"])
def test_verify_approval_on_top_of_its_promotion_counts_where_both_land_at_once(world: World, how: str) -> None:
    world.become("ada")
    world.registry.promote("churn@v2", "production", reason="better", branch="feature")
    world.approve("v2", branch="feature")
    world.git("merge", "--quiet", f"--{how}" if how == "squash" else "--no-ff", "feature", cwd=world.repo)
    if how == "squash":
        world.git("commit", "--quiet", "-m", "Promote churn (#1)", cwd=world.repo)
    world.registry.sync()
    found = world.verify()
    assert (found.faults, found.proven) == ((), 2)


def test_verify_since_leaves_what_came_before(world: World) -> None:
    world.edit("staging", "v3.0.0")
    start = world.oid("HEAD")
    assert world.faults(since=start) == []
    world.edit("staging", "v2.0.0")
    assert world.verify(since=start).transitions == 1
    assert world.faults() == [("rule-metric", STAGED)]
    with pytest.raises(NotFoundError):
        world.verify(since="nowhere")


# Other repositories.


@pytest.mark.parametrize("kind", ["bare", "worktree", "sha256"])
def test_verify_in_other_kinds_of_repositories(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = tmp_path / kind
    if kind == "bare":
        world.git("clone", "--quiet", "--bare", str(world.repo), str(place))
    elif kind == "worktree":
        world.git("worktree", "add", "--quiet", "--detach", str(place), "HEAD", cwd=world.repo)
    else:
        world.git("init", "--quiet", "--object-format=sha256", str(place))
        monkeypatch.chdir(place)
        made = Registry.init(place)
        (tmp_path / "model.bin").write_bytes(b"model")
        made.register("churn", tmp_path / "model.bin", stage="staging", reason="first")
    assert Registry.open(place).verify().faults == ()
    world.git("tag", "-d", "churn@v1.0.0", cwd=place)
    assert [fault.code for fault in Registry.open(place).verify().faults] == ["tag-missing"]


@pytest.fixture
def adopted(empty_repo: Path, git: Git) -> Path:
    """A registry that was adopted from GTO's tags."""
    for number in (1, 2):
        git("commit", "--quiet", "--allow-empty", f"--message=Train {number}")
        git("tag", "--annotate", f"--message=v{number}", f"old@v{number}.0.0")
        git("tag", "--annotate", "--message=in", f"old#production#{number}")
    Registry.init(empty_repo, adopt=True)
    return empty_repo


def test_verify_adopted_registry_is_clean(adopted: Path) -> None:
    found = Registry.open(adopted).verify()
    assert (found.faults, found.transitions, found.tags) == ((), 2, 4)


def test_verify_adopted_tags_that_changed(adopted: Path, git: Git) -> None:
    git("tag", "-d", "old@v1.0.0")
    git("tag", "--force", "--annotate", "--message=in", "old#production#2", "HEAD~3")
    git("update-ref", "refs/tags/old@v2.0.0", "refs/tags/old#production#1")
    assert [(fault.code, fault.place) for fault in Registry.open(adopted).verify().faults] == [
        ("tag-moved", "refs/tags/old#production#2"),
        ("tag-missing", "refs/tags/old@v1.0.0"),
        ("tag-renamed", "refs/tags/old@v2.0.0"),
    ]


# The remote.


@pytest.fixture
def origin(world: World, tmp_path: Path) -> Path:
    world.git("clone", "--quiet", "--bare", str(world.repo), str(tmp_path / "origin.git"))
    world.git("remote", "add", "origin", str(tmp_path / "origin.git"), cwd=world.repo)
    return tmp_path / "origin.git"


def test_verify_remote_that_has_the_same_is_clean(world: World, origin: Path) -> None:
    found = world.verify(remote=True)
    assert (found.faults, found.remote) == ((), "origin")
    world.promote("v2", "staging")  # not pushed yet
    assert world.faults(remote=True) == []


def test_verify_remote_tags_that_differ(world: World, origin: Path) -> None:
    eve = World(origin, world.keys, world.git, world.monkeypatch)
    eve.git("update-ref", "-d", "refs/tags/churn@v1.0.0", cwd=origin)
    eve.tag("churn@v2.0.0", object=eve.oid("refs/tags/churn@v3.0.0^{commit}"))
    eve.tag("churn@v3.0.0", message="Evil")
    eve.git("update-ref", "refs/tags/churn@v4.0.0", "refs/tags/churn@v4.0.0^{commit}", cwd=origin)
    eve.git("tag", "-a", "-m", "x", "churn@v8.0.0", "main", cwd=origin)
    stray = eve.git("commit-tree", "main^{tree}", "-m", "Evil", cwd=origin)
    eve.tag("churn#staging#1", object=stray)
    assert world.faults(remote=True) == [
        ("remote-tag-off-branch", "refs/tags/churn#staging#1"),
        ("remote-tag-missing", "refs/tags/churn@v1.0.0"),
        ("remote-tag-moved", "refs/tags/churn@v2.0.0"),
        ("remote-tag-unknown", "refs/tags/churn@v3.0.0"),
        ("remote-tag-lightweight", "refs/tags/churn@v4.0.0"),
        ("remote-tag-unexplained", "refs/tags/churn@v8.0.0"),
    ]
    world.git("fetch", "--quiet", "origin", "refs/tags/*:refs/there/*", cwd=world.repo)
    assert ("remote-tag-forged", "refs/tags/churn@v3.0.0") in world.faults(remote=True)


def test_verify_remote_that_moved_on_is_incomplete(world: World, origin: Path, tmp_path: Path) -> None:
    world.git("clone", "--quiet", str(origin), str(tmp_path / "other"))
    world.git("commit", "--quiet", "--allow-empty", "-m", "On", cwd=tmp_path / "other")
    world.git("push", "--quiet", "origin", "main", cwd=tmp_path / "other")
    with pytest.raises(IncompleteHistoryError, match="not in the history here"):
        world.verify(remote=True)


def test_verify_remote_without_the_branch(world: World, origin: Path) -> None:
    world.git("update-ref", "-d", "refs/heads/main", cwd=origin)
    assert world.faults(remote=True) == [("remote-branch-missing", "refs/heads/main")]


def test_verify_remote_that_is_not_there(world: World, origin: Path) -> None:
    shutil.rmtree(origin)
    with pytest.raises(OutsideError, match="origin could not be used"):
        world.verify(remote=True)
    world.git("remote", "remove", "origin", cwd=world.repo)
    with pytest.raises(NotFoundError, match="no remote"):
        world.verify(remote=True)
