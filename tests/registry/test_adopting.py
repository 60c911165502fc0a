"""Repositories that GTO has tagged become registries: what GTO shows, mreg lists, and the numbers go on."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import gto.api
import pytest
from dvc.repo import Repo as DvcRepo
from gto.exceptions import VersionRequired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mreg import Registry
from mreg.core.results import Receipt
from mreg.errors import IncompleteHistoryError, NotFoundError, RefusedError
from mreg.registry.setup.initialising import initialise
from tests.conftest import START, Git, Mreg

pytestmark = pytest.mark.filterwarnings("ignore")  # those of GTO and DVC

Tag = Callable[..., None]


@pytest.fixture
def tag(repo: Path, git: Git) -> Tag:
    """Makes tags as GTO does, at a time of the test's choice."""

    def make(*names: str, at: str = "HEAD", seconds: int = 0) -> None:
        for name in names:
            env = {"GIT_COMMITTER_DATE": f"{START + seconds} +0000"} if seconds else {}
            git("tag", "--annotate", "--message=By hand", name, at, cwd=repo, env=env)

    return make


def commit(git: Git, repo: Path, text: str = "work") -> str:
    """Makes a commit and returns its id."""
    (repo / "work.txt").write_text(text)
    git("add", "work.txt", cwd=repo)
    git("commit", "--quiet", f"--message={text}", cwd=repo)
    return git("rev-parse", "HEAD", cwd=repo)


def commits(git: Git, repo: Path, count: int) -> list[str]:
    return [commit(git, repo, f"work {number}") for number in range(count)]


def adopt(repo: Path, *, remote: Path | None = None) -> Receipt:
    return initialise(repo, adopting=True, remote=str(remote) if remote else None)


def tags(git: Git, repo: Path) -> set[str]:
    return set(git("for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags/", cwd=repo).splitlines())


def refs(git: Git, repo: Path) -> str:
    return git("for-each-ref", cwd=repo) + git("status", "--porcelain", "--ignored", cwd=repo)


def stages(registry: Registry) -> dict[str, dict[str, str]]:
    """Returns what each stage of each model holds, as ``mreg list`` has it."""
    models = registry.list().models
    return {each.model: {stage: str(held) for stage, held in each.stages.items() if held} for each in models}


def gto_stages(repo: Path) -> dict[str, dict[str, str]]:
    """Returns what each stage of each model holds, as ``gto show`` has it."""
    shown = gto.api.show(str(repo))
    return {model: {stage: held for stage, held in each["stage"].items() if held} for model, each in shown.items()}


def versions(registry: Registry, model: str) -> set[str]:
    return {str(each.version) for each in registry.versions(model).versions if not each.archived}


def gto_versions(repo: Path, model: str) -> set[str]:
    return {each["version"] for each in gto.api.show(str(repo), model)}


def check(repo: Path) -> Registry:
    """Passes a registry that GTO and mreg see alike, and that lacks no tag."""
    registry = Registry.open(repo)
    report = registry.sync()
    assert (report.created, report.findings) == ((), ())
    assert stages(registry) == gto_stages(repo)
    for model in stages(registry):
        assert versions(registry, model) == gto_versions(repo, model)
    return registry


def test_init_where_gto_has_tagged_is_refused_with_a_hint(repo: Path, tag: Tag, git: Git, mreg_here: Mreg) -> None:
    tag("churn@v1.0.0", "fraud/eu@v0.1.0", "churn#production#1")
    before = refs(git, repo)
    for options in ([], ["--dry-run"]):
        result = mreg_here("init", *options, check=1)
        assert "error: GTO has tagged 2 models here (churn, fraud/eu)" in result.err
        assert "hint: mreg init --adopt" in result.err
    assert refs(git, repo) == before


def test_init_beside_tags_that_are_not_gto_s_works(repo: Path, tag: Tag, git: Git) -> None:
    tag("v1.0.0", "release/2026", "churn@1.0.0", "@scope/package@v1.0.0", "churn@latest", "a b".replace(" ", "%"))
    git("tag", "churn@v1.0.0", cwd=repo)
    assert initialise(repo).changed


def test_adopt_reads_versions_stages_and_who(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", at=first, seconds=1)
    tag("churn@v2.0.0", at=second, seconds=2)
    tag("churn#dev#1", at=first, seconds=3)
    tag("churn#prod#2", at=first, seconds=4)
    git(
        "-c", "user.name=Bob", "tag", "--annotate", "--message=AUC 0.9", "churn#prod#3", second, cwd=repo,
        env={"GIT_COMMITTER_DATE": f"{START + 5} +0100", "GIT_COMMITTER_EMAIL": "bob@example.com"},
    )  # fmt: skip
    before = tags(git, repo)
    receipt = adopt(repo)
    assert receipt.adopted == 5
    assert receipt.notices == ("2 versions and 3 stage changes come from GTO's tags",)
    registry = check(repo)
    assert stages(registry) == {"churn": {"dev": "v1.0.0", "prod": "v2.0.0"}}
    assert tuple(registry.policy.stages) == ("dev", "prod")
    last, *_ = registry.history("churn", "prod")
    assert (str(last.source), str(last.target), last.action.value) == ("v1.0.0", "v2.0.0", "promote")
    assert (last.by, last.reason, last.adopted) == ("bob@example.com", "AUC 0.9", "churn#prod#3")
    assert last.at.timestamp() == START + 5
    shown = registry.show("churn@v1")
    assert (shown.tag, shown.record.adopted and shown.record.adopted.commit) == ("churn@v1.0.0", first)
    assert tags(git, repo) == before
    assert git("status", "--porcelain", cwd=repo) == ""


def test_adopt_then_work_goes_on(repo: Path, tag: Tag, git: Git, tmp_path: Path) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#prod#2", "churn#dev#7", at=second, seconds=2)
    before = tags(git, repo)
    adopt(repo, remote=tmp_path / "remote")
    registry = Registry.open(repo)
    assert registry.rollback("churn", "prod", reason="worse").tags == ("churn#prod#8",)
    check(repo)
    (tmp_path / "model.bin").write_bytes(b"new")
    receipt = registry.register("churn", tmp_path / "model.bin", stage="dev", reason="x")
    assert receipt.tags == ("churn@v3.0.0", "churn#dev#9")
    assert registry.promote("churn@v3", "prod", reason="better").tags == ("churn#prod#10",)
    check(repo)
    registry.clear("churn", "prod")
    assert stages(check(repo)) == {"churn": {"dev": "v3.0.0"}}
    registry.rollback("churn", "prod", to="v2", reason="again")
    assert stages(check(repo))["churn"]["prod"] == "v2.0.0"
    assert before < tags(git, repo)
    assert [each.adopted for each in registry.history("churn", "prod")][-2:] == ["churn#prod#2", "churn#prod#1"]


def test_adopt_twice_changes_nothing_and_takes_new_models(repo: Path, tag: Tag, git: Git, mreg_here: Mreg) -> None:
    tag("churn@v1.0.0", "churn#prod#1")
    mreg_here("init", "--adopt", check=0)
    before = refs(git, repo)
    receipt = adopt(repo)
    assert not receipt.changed
    assert receipt.notices == ("no version of GTO's is left to adopt",)
    assert refs(git, repo) == before
    assert "nothing to do" in mreg_here("init", "--adopt", check=0).out
    tag("other@v0.1.0", "other#stage-b#1", at="HEAD~1")
    receipt = adopt(repo)
    assert (receipt.changed, receipt.adopted) == (True, 2)
    assert receipt.notices[0] == "declare these stages in registry.yaml to promote into them: stage-b"
    assert stages(check(repo)) == {"churn": {"prod": "v1.0.0"}, "other": {"stage-b": "v0.1.0"}}


def test_adopt_dry_run_writes_nothing_and_says_what_would_be(repo: Path, tag: Tag, git: Git, mreg_here: Mreg) -> None:
    tag("churn@v1.0.0", "churn#prod#1")
    before = refs(git, repo), git("count-objects", cwd=repo), sorted(repo.rglob("*"))
    result = mreg_here("init", "--adopt", "--dry-run", check=0)
    assert "would: Make this repository a model registry" in result.out
    assert "1 versions and 1 stage changes come from GTO's tags" in result.out
    assert (refs(git, repo), git("count-objects", cwd=repo), sorted(repo.rglob("*"))) == before


def test_adopt_lands_in_one_move_of_the_branch(repo: Path, tag: Tag, git: Git) -> None:
    tag("churn@v1.0.0", "churn#prod#1")
    adopt(repo)
    assert len(git("reflog", "show", "main", cwd=repo).splitlines()) == 2
    git("fsck", "--strict", cwd=repo)


def test_adopt_in_a_shallow_clone_is_refused(repo: Path, tag: Tag, git: Git, tmp_path: Path, mreg_here: Mreg) -> None:
    first, _ = commits(git, repo, 2)
    tag("churn@v1.0.0", at=first)
    git("clone", "--quiet", "--depth=1", repo.as_uri(), str(tmp_path / "clone"))
    with pytest.raises(IncompleteHistoryError):
        adopt(tmp_path / "clone")
    assert "git fetch --unshallow" in mreg_here("init", "--adopt", cwd=tmp_path / "clone", check=5).err


def raw_tag(
    git: Git, repo: Path, name: str, target: str, *, tagger: str = "A <a@b.c> 1767225700 +0000", **says: str
) -> None:
    """Makes a tag that ``git tag`` would not make."""
    lines = [f"object {target}", f"type {says.get('type', 'commit')}", f"tag {says.get('inner', name)}"]
    lines += [f"tagger {tagger}"] if tagger else []
    content = "\n".join([*lines, "", "odd\n"])
    oid = git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", cwd=repo, input=content)
    git("update-ref", f"refs/tags/{name}", oid, cwd=repo)


ODD = {
    "lightweight": ("odd@v1.0.0", "it is not annotated"),
    "uppercase": ("Odd@v1.0.0", "mreg does not take its name"),
    "one letter off": ("odd_@v1.0.0", None),
    "folder": ("path/to=odd@v1.0.0", "mreg does not take its name"),
    "reserved": ("latest@v1.0.0", "mreg does not take its name"),
    "build": ("odd@v1.0.0+build.5", "mreg does not take its name"),
    "created": ("odd@created", "mreg does not take its name"),
    "stage": ("churn#Prod#4", "mreg does not take its name"),
    "no tagger": ("odd@v1.0.0", "it has no tagger"),
    "inner name": ("odd@v1.0.0", "it says that it is 'even@v1.0.0'"),
    "tree": ("odd@v1.0.0", "it is on no commit of this clone"),
    "tag": ("odd@v1.0.0", "it is on no commit of this clone"),
    "stage alone": ("odd#prod#1", None),
}


@pytest.mark.parametrize("kind", ODD)
def test_adopt_one_odd_tag_breaks_nothing_else(kind: str, repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first)
    name, why = ODD[kind]
    if kind == "lightweight":
        git("tag", name, second, cwd=repo)
    elif kind == "no tagger":
        raw_tag(git, repo, name, second, tagger="")
    elif kind == "inner name":
        raw_tag(git, repo, name, second, inner="even@v1.0.0")
    elif kind == "tree":
        raw_tag(git, repo, name, git("rev-parse", "HEAD^{tree}", cwd=repo), type="tree")
    elif kind == "tag":
        raw_tag(git, repo, name, git("rev-parse", "churn@v1.0.0", cwd=repo), type="tag")
    else:
        tag(name, at=second)
    receipt = adopt(repo)
    if why:
        assert f"the tag {name} was left out: {why}" in receipt.notices
    elif kind == "stage alone":
        assert "odd was left out: GTO has no version of it" in receipt.notices
    registry = Registry.open(repo)
    assert stages(registry) == {"churn": {"prod": "v1.0.0"}}
    assert registry.promote("churn@v1", "prod", reason="x").changed is False
    assert registry.clear("churn", "prod").tags == ("churn#prod!#2",)


def test_adopt_models_that_are_folders_of_each_other_takes_one(repo: Path, tag: Tag, git: Git) -> None:
    tag("fraud@v1.0.0", "fraud/eu@v1.0.0", "fraud/eu#prod#1", "fraud-2@v1.0.0")
    receipt = adopt(repo)
    assert "fraud/eu was left out: beside fraud, one would be a folder of the other" in receipt.notices
    assert set(stages(Registry.open(repo))) == {"fraud", "fraud-2"}


def test_adopt_stage_tags_without_a_number_count(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod", "churn#dev", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#prod#1", at=second, seconds=2)
    tag("churn#dev!", at=first, seconds=3)
    adopt(repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"prod": "v2.0.0"}}
    assert registry.rollback("churn", "prod", reason="x").tags == ("churn#prod#2",)
    check(repo)


def test_adopt_unassigned_gives_the_stage_back_as_gto_has_it(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#prod#2", at=second, seconds=2)
    tag("churn#prod!#3", at=second, seconds=3)
    adopt(repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"prod": "v1.0.0"}}
    last, *_ = registry.history("churn", "prod")
    assert (last.action.value, last.adopted) == ("rollback", "churn#prod!#3")
    registry.clear("churn", "prod")
    assert stages(check(repo)) == {"churn": {}}


def test_adopt_tags_that_changed_nothing_still_count(repo: Path, tag: Tag, git: Git) -> None:
    """Assigned again in the future: the next number and the next second come after it."""
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first, seconds=1)
    tag("churn@v2.0.0", at=second, seconds=2)
    tag("churn#prod#2", at=first, seconds=10**9)
    tag("churn#dev!#3", at=first, seconds=5)
    assert adopt(repo).adopted == 3
    registry = check(repo)
    assert registry.promote("churn@v2", "prod", reason="x").tags == ("churn#prod#4",)
    assert stages(check(repo))["churn"]["prod"] == "v2.0.0"


def test_adopt_tags_of_one_second_as_gto_reads_them(repo: Path, tag: Tag, git: Git) -> None:
    """On a tie GTO takes the version that was registered first."""
    first, second = commits(git, repo, 2)
    tag("churn@v2.0.0", at=first, seconds=1)
    tag("churn@v1.0.0", at=second, seconds=2)
    tag("churn#prod#1", at=first, seconds=3)
    tag("churn#prod#2", at=second, seconds=3)
    tag("churn#dev#3", "churn#dev!#4", at=second, seconds=3)
    adopt(repo)
    assert stages(check(repo)) == {"churn": {"prod": "v2.0.0"}}


def test_adopt_then_clear_takes_back_what_gto_never_showed(repo: Path, tag: Tag, git: Git) -> None:
    """Of one second v1 wins, but v2 is assigned all the same, and would come back."""
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", at=first, seconds=1)
    tag("churn@v2.0.0", at=second, seconds=2)
    tag("churn#dev#1", at=first, seconds=3)
    tag("churn#dev#2", at=second, seconds=3)
    adopt(repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"dev": "v1.0.0"}}
    assert registry.clear("churn", "dev").tags == ("churn#dev!#3", "churn#dev!#4")
    assert stages(check(repo)) == {"churn": {}}


def test_adopt_then_clear_takes_nothing_back_twice(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#dev#1", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#dev#2", at=second, seconds=2)
    tag("churn#dev!#3", at=first, seconds=3)
    adopt(repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"dev": "v2.0.0"}}
    assert registry.clear("churn", "dev").tags == ("churn#dev!#4",)
    assert stages(check(repo)) == {"churn": {}}


def test_adopt_registration_made_again_counts(repo: Path, tag: Tag, git: Git) -> None:
    """What ``gto register``, ``assign``, ``deprecate VERSION`` and ``register`` make."""
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#dev#1", at=first, seconds=1)
    tag("churn@v2.0.0#2", at=second, seconds=2)
    tag("churn@v1.0.0!", at=first, seconds=3)
    tag("churn@v1.0.0#3", at=first, seconds=4)
    before = tags(git, repo)
    adopt(repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"dev": "v1.0.0"}}
    assert tags(git, repo) == before
    assert [(each.adopted, str(each.target)) for each in registry.history("churn", "dev")] == [
        ("churn@v1.0.0#3", "v1.0.0"),
        ("churn@v1.0.0!", "None"),
        ("churn#dev#1", "v1.0.0"),
    ]
    registry.promote("churn@v2", "dev", reason="better")
    registry.rollback("churn", "dev", reason="worse")
    assert stages(check(repo)) == {"churn": {"dev": "v1.0.0"}}
    assert registry.clear("churn", "dev").tags == ("churn#dev!#6", "churn#dev!#7")
    check(repo)
    tag("churn@v1.0.0!#8", at=first)
    (finding,) = registry.sync().findings
    assert (finding.code, finding.place) == ("unexplained-tag", "refs/tags/churn@v1.0.0!#8")


def test_adopt_registration_taken_back_on_another_commit_stays(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#dev#1", at=first, seconds=1)
    tag("churn@v1.0.0!", at=second, seconds=2)
    adopt(repo)
    registry = Registry.open(repo)
    assert stages(registry) == gto_stages(repo) == {"churn": {"dev": "v1.0.0"}}
    assert versions(registry, "churn") == gto_versions(repo, "churn") == {"v1.0.0"}


def test_adopt_deregistered_version_is_archived(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#prod#2", at=second, seconds=2)
    tag("churn@v2.0.0!", at=second, seconds=3)
    adopt(repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"prod": "v1.0.0"}}
    archived = registry.show("churn@v2").archived
    assert archived is not None
    assert archived.reason == "By hand"
    with pytest.raises(RefusedError, match="is archived"):
        registry.promote("churn@v2", "prod", reason="x")


def test_adopt_deprecated_model_is_said_to_be(repo: Path, tag: Tag, git: Git) -> None:
    tag("churn@v1.0.0", "churn#prod#1", seconds=1)
    tag("churn@deprecated", seconds=2)
    receipt = adopt(repo)
    assert "GTO hides churn, which is deprecated there; here it is listed" in receipt.notices
    assert stages(Registry.open(repo)) == {"churn": {"prod": "v1.0.0"}}
    assert gto_stages(repo) == {}


def test_adopt_stage_on_a_commit_without_a_version_holds_none(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", "churn#dev#2", at=first, seconds=1)
    tag("churn#prod#3", at=second, seconds=2)
    adopt(repo)
    registry = Registry.open(repo)
    assert stages(registry) == {"churn": {"dev": "v1.0.0"}}
    assert gto_stages(repo) == {"churn": {"dev": "v1.0.0", "prod": second}}
    assert registry.sync().findings == ()
    assert registry.promote("churn@v1", "prod", reason="x").tags == ("churn#prod#4",)
    assert gto_stages(repo) == stages(registry) == {"churn": {"dev": "v1.0.0", "prod": "v1.0.0"}}
    # No tag takes the commit back, as GTO makes a version of its own of each tag on it; gto unassign refuses, too.
    registry.clear("churn", "prod")
    assert stages(registry) == {"churn": {"dev": "v1.0.0"}}
    tag("churn#prod!#6", at=second)
    assert gto_stages(repo) == {"churn": {"dev": "v1.0.0", "prod": second}}
    with pytest.raises(VersionRequired):
        gto.api.unassign(str(repo), "churn", ref=second, stage="prod")


def test_adopted_tags_that_a_clone_lacks_are_not_made_again(repo: Path, tag: Tag, git: Git, tmp_path: Path) -> None:
    tag("churn@v1.0.0", "churn#prod#1")
    adopt(repo)
    Registry.open(repo).clear("churn", "prod")
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--no-tags", "--no-local", str(repo), str(clone))
    report = Registry.open(clone).sync()
    assert report.created == ("churn#prod!#2",)
    assert {(each.code, each.place) for each in report.findings} == {
        ("missing-tag", "refs/tags/churn@v1.0.0"),
        ("missing-tag", "refs/tags/churn#prod#1"),
    }
    assert "git fetch --tags" in report.findings[0].message
    git("fetch", "--quiet", "origin", "refs/tags/*:refs/tags/*", cwd=clone)
    check(clone)
    assert tags(git, clone) == tags(git, repo)


def test_adopted_then_squashed_makes_no_tag_of_gto_s_again(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", "churn#dev#2", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#prod#3", at=second, seconds=2)
    adopt(repo)
    git("reset", "--quiet", "--soft", "HEAD~5", cwd=repo)
    git("commit", "--quiet", "--message=Adopt what GTO has tagged (#1)", cwd=repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"dev": "v1.0.0", "prod": "v2.0.0"}}
    assert registry.promote("churn@v1", "prod", reason="x").tags == ("churn#prod#4",)
    check(repo)


def test_adopted_then_squashed_clears_as_gto_has_it(repo: Path, tag: Tag, git: Git) -> None:
    first, second, third = commits(git, repo, 3)
    tag("churn@v1.0.0", "churn#prod#1", at=first, seconds=1)
    tag("churn@v2.0.0", "churn#prod#2", at=second, seconds=2)
    tag("churn@v3.0.0", "churn#prod#3", "churn#dev#4", at=third, seconds=3)
    tag("churn#prod!#5", at=third, seconds=4)
    tag("churn@v3.0.0!", at=third, seconds=5)
    start = git("rev-parse", "HEAD", cwd=repo)
    adopt(repo)
    git("reset", "--quiet", "--soft", start, cwd=repo)
    git("commit", "--quiet", "--message=Adopt what GTO has tagged (#1)", cwd=repo)
    registry = check(repo)
    assert stages(registry) == {"churn": {"prod": "v2.0.0"}}
    assert registry.clear("churn", "prod").tags == ("churn#prod!#6", "churn#prod!#7")
    assert stages(check(repo)) == {"churn": {}}


def test_adopted_stage_file_edited_by_hand_gets_its_tag(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first)
    tag("churn@v2.0.0", at=second)
    adopt(repo)
    path = repo / "registry/churn/stages/prod.yaml"
    path.write_text(path.read_text().replace("v1.0.0", "v2.0.0"))
    git("commit", "--quiet", "--all", "--message=By hand", cwd=repo)
    assert Registry.open(repo).sync().created == ("churn#prod#2",)
    git("revert", "--no-edit", "HEAD", cwd=repo)
    assert Registry.open(repo).sync().created == ("churn#prod#3",)
    assert stages(check(repo)) == {"churn": {"prod": "v1.0.0"}}


def test_gto_used_after_the_adoption_is_reported(repo: Path, tag: Tag, git: Git) -> None:
    first, second = commits(git, repo, 2)
    tag("churn@v1.0.0", "churn#prod#1", at=first)
    adopt(repo)
    tag("churn@v2.0.0", "churn#prod#2", "churn@v1.0.0!", at=second)
    registry = Registry.open(repo)
    report = registry.sync()
    assert {(each.code, each.place.removeprefix("refs/tags/")) for each in report.findings} == {
        ("unexplained-tag", "churn@v2.0.0"),
        ("unexplained-tag", "churn#prod#2"),
        ("unexplained-tag", "churn@v1.0.0!"),
    }
    receipt = registry.clear("churn", "prod")
    assert receipt.tags == ("churn#prod!#2",)


def random_tags(chance: random.Random, commits: Sequence[str]) -> list[tuple[str, str, int]]:
    """Returns name, commit and second of tags as GTO would make them, of two models, in the order of time."""
    made: list[tuple[str, str, int]] = []
    second = 1
    free = {model: list(commits) for model in ("churn", "fraud/eu")}
    known: dict[str, list[tuple[str, str]]] = {model: [] for model in free}
    numbers = dict.fromkeys(free, 0)
    gone: set[str] = set()
    for _ in range(chance.randrange(3, 14)):
        second += chance.choice([0, 0, 1, 5])
        model = chance.choice(["churn", "churn", "fraud/eu"])
        if not known[model] or (free[model] and chance.random() < 0.3):
            version = f"v{len(known[model])}.{chance.randrange(3)}.0"
            place = free[model].pop(chance.randrange(len(free[model])))
            known[model].append((version, place))
            made.append((f"{model}@{version}", place, second))
            continue
        version, place = chance.choice(known[model])
        numbers[model] += chance.choice([1, 1, 1, 3])
        if chance.random() < 0.15:
            # A registration is taken back, or made again.
            back = "" if f"{model}@{version}!" in gone and chance.random() < 0.7 else "!"
            gone.add(f"{model}@{version}{back}")
            made.append((f"{model}@{version}{back}#{numbers[model]}", place, second))
            continue
        back = "!" if chance.random() < 0.25 else ""
        made.append((f"{model}#{chance.choice(['prod', 'dev'])}{back}#{numbers[model]}", place, second))
    return made


@pytest.mark.slow
@settings(max_examples=9, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_adopt_agrees_with_gto_on_any_tags(repo: Path, tmp_path: Path, git: Git, seed: int) -> None:
    chance = random.Random(seed)
    place = tmp_path / "worlds" / str(seed)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(repo, place)
    for name, at, second in random_tags(chance, commits(git, place, 5)):
        env = {"GIT_COMMITTER_DATE": f"{START + second} +0000"}
        git("tag", "--annotate", "--message=Assigning stage by hand", name, at, cwd=place, env=env)
    before = tags(git, place), gto.api.show(str(place))
    start = git("rev-parse", "HEAD", cwd=place)
    adopt(place)
    if chance.random() < 0.3:
        git("reset", "--quiet", "--soft", start, cwd=place)
        git("commit", "--quiet", "--message=Adopt what GTO has tagged (#1)", cwd=place)
    assert (tags(git, place), gto.api.show(str(place))) == before
    registry = check(place)
    for _ in range(4):
        model = chance.choice([each.model for each in registry.list().models])
        number = chance.choice(sorted(versions(registry, model) or ["v9"]))
        stage = chance.choice([*registry.policy.stages])
        with suppress(NotFoundError, RefusedError):
            work = chance.choice(["promote", "rollback", "clear"])
            if work == "promote":
                registry.promote(f"{model}@{number}", stage, reason="x")
            elif work == "rollback":
                registry.rollback(model, stage, reason="x")
            else:
                registry.clear(model, stage)
            check(place)
    assert before[0] <= tags(git, place)


def run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


@pytest.mark.slow
def test_adopt_what_the_real_commands_made(repo: Path, tmp_path: Path, git: Git, mreg_here: Mreg) -> None:
    """``dvc add``, ``gto register``, ``assign``, ``deprecate``, then mreg; then GTO and DVC again."""
    run("dvc", "init", "--quiet", cwd=repo)
    (repo / "models").mkdir()
    (repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: models/churn.pkl\n    type: model\n")
    (repo / "train.py").write_text("print('no DVC here')\n")
    for number in (1, 2):
        (repo / "models" / "churn.pkl").write_bytes(b"model %d" % number)
        run("dvc", "add", "--quiet", "models/churn.pkl", cwd=repo)
        git("add", "--all", cwd=repo)
        git("commit", "--quiet", f"--message=Train {number}", cwd=repo)
        gto.api.register(str(repo), "churn", "HEAD", version=f"v{number}.0.0")
    run("gto", "assign", "churn", "--version", "v1.0.0", "--stage", "production", cwd=repo)
    run("gto", "assign", "churn", "--version", "v2.0.0", "--stage", "staging", cwd=repo)
    run("gto", "deprecate", "churn", "v2.0.0", "staging", cwd=repo)
    run("gto", "register", "my_rules", "HEAD~1", "--version", "v0.1.0", cwd=repo)
    shown, made = run("gto", "show", cwd=repo), tags(git, repo)

    result = mreg_here("init", "--adopt", "--remote", str(tmp_path / "remote"), check=0)
    assert "3 versions and 3 stage changes come from GTO's tags" in result.out
    assert (run("gto", "show", cwd=repo), tags(git, repo)) == (shown, made)
    assert git("status", "--porcelain", cwd=repo) == ""
    registry = check(repo)

    pulled = registry.pull("churn@production", tmp_path / "pulled.pkl")
    assert pulled.path.read_bytes() == b"model 1"
    assert registry.pull("churn@v2", tmp_path / "two.pkl").path.read_bytes() == b"model 2"
    with pytest.raises(NotFoundError, match="names no bytes: DVC did not track them"):
        registry.pull("my_rules", tmp_path / "rules")
    assert not (tmp_path / "rules").exists()

    (repo / "models" / "churn.pkl").write_bytes(b"model 3")
    assert registry.register("churn", repo / "models" / "churn.pkl").tags == ("churn@v3.0.0",)
    assert registry.promote("churn@v3", "production", reason="better").tags == ("churn#production#4",)
    check(repo)
    for selector, wanted in (({"version": "v1.0.0"}, b"model 1"), ({"stage": "production"}, b"model 3")):
        with DvcRepo(str(repo)) as dvc:
            dvc.artifacts.download("churn", out=str(tmp_path / "dvc.pkl"), force=True, **selector)
        assert (tmp_path / "dvc.pkl").read_bytes() == wanted
    assert registry.rollback("churn", "production", reason="worse").tags == ("churn#production#5",)
    check(repo)
    assert made < tags(git, repo)
