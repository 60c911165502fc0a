"""Reading a registry by its URL: the same answers as in a clone, as far as the present state has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mreg
from mreg.core.fields import format_moment
from mreg.core.names import Version
from mreg.errors import (
    DataError,
    IncompleteHistoryError,
    NotARegistryError,
    NotFoundError,
    OlderStateError,
    OutsideError,
    UsageError,
)
from tests.conftest import Git, Mreg
from tests.serving.conftest import Far, connections, copy_far

V1, V2, V3 = (Version(number, 0, 0) for number in (1, 2, 3))


def remote(far: Far, *, branch: str | None = None, allow_older: bool = False) -> mreg.RemoteRegistry:
    return mreg.RemoteRegistry(far.url, branch=branch, allow_older=allow_older)


@pytest.fixture(scope="session")
def _stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stock")


@pytest.fixture
def stocked(shelf: Far, _stock: Path, git: Git) -> Far:
    """With models of a team, a directory, metrics, an archived version, and a stage that cannot be read; to be read."""
    folder = _stock / "far"
    if not folder.exists():
        _fill(copy_far(shelf, folder), _stock)
    git.clock.now += 2000
    return Far(folder / shelf.bare.name, folder / shelf.clone.name, folder / shelf.store.name, git)


def _fill(far: Far, scratch: Path) -> None:
    source = scratch / "source"
    for number, model in enumerate(("fraud/eu", "fraud/us", "fraud/us")):
        source.write_bytes(b"%d" % number)
        far.registry.register(model, source, metrics={"auc": 0.8 + number / 100}, params={"depth": number}, push=True)
    folder = scratch / "folder"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    far.registry.register("folder", folder, stage="staging", reason="new", push=True)
    far.registry.archive("churn@v1", reason="old", push=True)
    far.write("registry/folder/stages/production.yaml", "version: [\n")


QUESTIONS = (
    "list",
    "list churn",
    "list fraud/",
    "list --versions",
    "list --stage production",
    "list --stage archived",
    "compare churn@v1 churn@production fraud/us --higher auc",
    "compare fraud/us@v1 fraud/us@v2",
)


def test_remote_answers_are_those_of_a_clone(stocked: Far, mreg_here: Mreg) -> None:
    for question in QUESTIONS:
        words = question.split()
        there = mreg_here(*words, "--repo", stocked.url, "--format", "json", check=0)
        here = mreg_here(*words, "--format", "json", cwd=stocked.clone, check=0)
        assert json.loads(there.out) == json.loads(here.out), question
        assert there.err == ""
        table = mreg_here(*words, "--repo", str(stocked.bare), check=0).out
        assert table == mreg_here(*words, cwd=stocked.clone, check=0).out


def test_remote_show_has_all_that_the_history_need_not_tell(stocked: Far) -> None:
    stocked.git("fetch", "--quiet", "--tags", cwd=stocked.clone)
    for selector in ("churn@production", "churn@v1", "fraud/us", "folder@staging"):
        there, here = remote(stocked).show(selector), stocked.registry.show(selector)
        assert (there.record, there.stages, there.archived) == (here.record, here.stages, here.archived)
        assert (there.commit, there.tag) == (here.commit, here.tag)
        assert (there.registered_by, there.registered_at) == (here.registered_by, here.registered_at)
        assert there.transitions == ()
        clone = f"git clone {stocked.bare} registry && mreg -C registry show {here.record.model}@{here.record.version}"
        assert there.notices[-1].endswith(f"which needs a clone: {clone}")
        assert there.notices[: len(here.notices)] == here.notices
    move = stocked.registry.show("churn@production").transitions[0]
    [said, _] = remote(stocked).show("churn@production").notices
    assert said == f"put into production by {move.by} at {format_moment(move.at)}: better"


def test_remote_takes_few_connections_and_one_where_nothing_changed(shelf: Far) -> None:
    questions: list[tuple[Callable[[], object], int]] = [
        (remote(shelf).list, 3),
        (lambda: remote(shelf).show("churn@production"), 2),
        (lambda: remote(shelf).versions("churn"), 2),
        (lambda: remote(shelf).compare("churn@v1", "churn@v3"), 3),
    ]
    for ask, cold in questions:
        for expected in (cold, 1):
            with connections() as made:
                ask()
            assert made.count == expected


def test_remote_keeps_what_it_has_seen(far: Far, git: Git) -> None:
    before = far.tip
    far.promote("churn@v3")
    assert remote(far).list().commit == far.tip
    git("update-ref", "refs/heads/main", before, cwd=far.bare)
    for ask in (remote(far).list, lambda: remote(far).show("churn"), lambda: remote(far).compare("churn@v1", "churn")):
        with pytest.raises(OlderStateError):
            ask()
    with pytest.raises(OlderStateError):  # a pull knows what a list has seen
        mreg.pull("churn", repo=far.url, output="model")
    assert remote(far, allow_older=True).list().commit == before


def test_remote_refuses_a_record_that_was_changed(far: Far) -> None:
    path = "registry/churn/versions/v1.0.0.yaml"
    text = (far.clone / path).read_text()
    remote(far).show("churn@v1")
    far.write(path, text.replace(hashlib.md5(b"churn 1").hexdigest(), hashlib.md5(b"churn 2").hexdigest()))
    with pytest.raises(DataError, match="names other bytes than when"):
        remote(far).show("churn@v1")
    with pytest.raises(DataError, match="names other bytes than when"):
        remote(far).compare("churn@v2", "churn@v1")
    path = path.replace("v1", "v3")
    far.write(path, (far.clone / path).read_text() + "notes: changed\n")
    with pytest.raises(IncompleteHistoryError, match="is not what the tag"):
        remote(far).show("churn@v3")


def test_remote_without_a_tag_says_so_and_not_who_registered(far: Far, git: Git) -> None:
    git("tag", "--delete", "churn@v2.0.0", cwd=far.bare)
    found = remote(far).show("churn@v2")
    assert (found.commit, found.tag, found.registered_by, found.registered_at) == (None, None, "", None)
    assert found.notices[0].startswith("no tag churn@v2.0.0 in ")


def test_remote_finds_the_branch_that_the_settings_name(far: Far, git: Git) -> None:
    git("branch", "other", "main", cwd=far.bare)
    assert remote(far, branch="other").list().commit == far.tip
    with pytest.raises(NotFoundError, match="has no branch 'none'"):
        remote(far, branch="none").list()


@pytest.mark.parametrize("setting", ["uploadpack.allowFilter=false", "uploadpack.allowAnySHA1InWant=false"])
def test_remote_where_the_server_leaves_nothing_out(far: Far, git: Git, setting: str) -> None:
    git("config", *setting.split("="), cwd=far.bare)
    assert [each.version for each in remote(far).versions("churn").versions] == [V3, V2, V1]
    assert remote(far).show("churn@production").record.version == V2


def test_remote_survives_a_cache_that_is_broken(far: Far) -> None:
    remote(far).list()
    for pack in Path(mreg.cache().place).glob("repos/*/git-*/objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"no pack")
    assert remote(far).list().models[0].stages == {"staging": None, "production": V2}


def test_remote_says_what_is_not_there(stocked: Far, tmp_path: Path, mreg_here: Mreg) -> None:
    unknown = mreg_here("list", "chrun", "--repo", stocked.url, check=4).err
    assert "no model 'chrun' is registered" in unknown
    assert "did you mean 'churn'?" in unknown
    assert f"mreg list --repo {stocked.bare}" in unknown
    assert "no model is below churn/" in mreg_here("list", "churn/", "--repo", stocked.url, check=4).err
    with pytest.raises(NotFoundError, match="no model 'chrun'"):
        remote(stocked).show("chrun")
    with pytest.raises(NotFoundError, match=r"no version v9\.0\.0"):
        remote(stocked).compare("churn", "churn@v9")
    with pytest.raises(NotFoundError, match="stage 'nope' is not declared"):
        remote(stocked).versions(stage="nope")
    with pytest.raises(OutsideError):
        mreg.RemoteRegistry(tmp_path / "none").list()


def test_remote_without_a_registry_says_so_to_each_question(repo: Path) -> None:
    there = mreg.RemoteRegistry(repo)
    for ask in (there.list, there.versions, lambda: there.show("churn"), lambda: there.compare("churn@v1", "churn")):
        with pytest.raises(NotARegistryError):
            ask()


def test_remote_refuses_what_makes_no_sense(shelf: Far, mreg_here: Mreg) -> None:
    assert "need --repo" in mreg_here("list", "--branch", "main", check=2).err
    assert "need --repo" in mreg_here("show", "churn", "--allow-older", check=2).err
    for words in (("list",), ("list", "churn"), ("show", "churn")):
        said = mreg_here(*words, "--at", "2026-01-01", "--repo", shelf.url, check=2).err
        assert "--repo shows the present state" in said
        assert f"git clone {shelf.bare} registry && mreg -C registry {' '.join(words)} --at 2026-01-01" in said
    said = mreg_here("history", "--repo", shelf.url, check=2).err
    assert "the history needs a clone" in said
    with pytest.raises(UsageError, match="two versions"):
        remote(shelf).compare("churn")
    with pytest.raises(UsageError, match="do not go together"):
        remote(shelf).versions("churn", folder="fraud")
    with pytest.raises(UsageError, match="may not be empty"):
        mreg.RemoteRegistry(" ")


def test_remote_names_itself_without_a_password() -> None:
    registry = mreg.RemoteRegistry("https://user:secret@git.example.com/models.git")
    assert repr(registry) == "<RemoteRegistry 'https://git.example.com/models.git'>"
    assert registry.url == "https://git.example.com/models.git"
