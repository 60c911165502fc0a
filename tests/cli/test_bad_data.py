"""Stored data that people broke: settings, stage files, records, tags; each fault is named, and all else still reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.checks import check_refused, normalise, snapshot
from tests.conftest import Git, Mreg

Commit = Callable[[str, str | bytes], None]
STAGE = "registry/churn/stages/production.yaml"
RECORD = "registry/churn/versions/v2.0.0.yaml"


@pytest.fixture
def commit(churn: Path, git: Git) -> Commit:
    """Commits a file as a person would."""

    def write(path: str, content: str | bytes) -> None:
        place = churn / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        git("add", "--all", "--force", "--", path)
        git("commit", "--quiet", "--message=By hand")

    return write


SETTINGS = [
    ("schema: 1\nbranch: main\nbranch: other\n", ":3: key 'branch' appears twice", "remove one"),
    ("schema: 1\nbranchs: main\n", ":2: branchs: unknown key", "did you mean 'branch'?"),
    ("schema: 1\nstages:\n  production:\n    form: staging\n", ":4: stages.production.form: unknown key", "did you mean 'from'?"),
    ("schema: 1\nstages:\n  1.10: {}\n", ":2: stages.1.1: a key must be text", ""),
    ("schema: 1\nstages:\n  staging: {on_replace: on}\n", ":3: stages.staging.on_replace: 'on' is not one of keep, archive", ""),
    ("schema: 1\nstages: &a\n  staging: {}\nmetrics: *a\n", ":2: anchors (&a) are not read here", "write it out"),
    ("!!python/object/apply:os.system ['touch pwned']\n", ":1: tags (tag:yaml.org,2002:python/", ""),
    ("schema: 1\nnaming: '" + "x" * 10_000_000 + "'\n", ": it has 10000021 bytes; at most 4194304 are allowed", ""),
    (b"schema: 1\nnaming: '\xff'\n", ":2: it is not UTF-8", ""),
    ("schema: 1\nstages:\n  v3: {}\n", ":3: stages.v3: 'v3' is not a stage name: 'v3' could be mistaken", "staging, production"),
    ("schema: 1\nstages:\n  archived: {}\n", ":3: stages.archived: 'archived' is not a stage name", ""),
    ("", ": schema: required, but missing: is the file another tool's?", "git mv registry.yaml"),
    ("- 1\n", ": a mapping is expected here, not a list", ""),
    ("schema: 1\nstages:\n\tstaging: {}\n", ":3: ", "indent with spaces"),
    ("schema: 1\nbranch: a..b\n", ":2: branch: 'a..b' is not a branch name", "branch: main"),
    ("schema: 1\nbranch: other\n", " on main names the branch other as the registry, and there is no such", "branch: main"),
    ("schema: 1\nroot: ../x\n", ":2: root: '../x' is not a folder of this repository", "root: registry"),
    ("schema: 1\nnaming: '('\n", ":2: naming: '(' is not a regular expression", ""),
    ("schema: 1\nstages:\n  production: {from: stagin}\n", ":3: stages.production.from: stage 'stagin' is not declared", ""),
    ("schema: 1\n<<<<<<< HEAD\nbranch: a\n=======\nbranch: b\n>>>>>>> x\n", ":2: a merge conflict begins here", ""),
    ('schema: 1\n"\\e[31m\\u202e": 1\n', ":2: \\x1b[31m\\u202e: unknown key", ""),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message", "hint"), SETTINGS, ids=lambda value: ascii(value)[:24])
def test_settings_that_cannot_be_read_stop_every_command(
    content: str | bytes, message: str, hint: str, churn: Path, commit: Commit, mreg_here: Mreg
) -> None:
    commit("registry.yaml", content)
    before = snapshot(churn)
    for words in (("list",), ("promote", "churn@v3", "staging", "-m", "x"), ("init",)):
        check_refused(mreg_here(*words), 3, f"registry.yaml{message}", hint=hint)
    checks = json.loads(mreg_here("doctor", "--format", "json", check=1).out)["checks"]
    assert checks[-1]["message"].startswith("registry.yaml")
    assert snapshot(churn) == before


def test_init_never_overwrites_settings(churn: Path, commit: Commit, mreg_here: Mreg, git: Git) -> None:
    commit("registry.yaml", "schema: 1\nbranch: trunk\n# mine\n")
    git("branch", "trunk", "main~6")
    before = snapshot(churn)
    assert mreg_here("init").code != 0
    assert mreg_here("init", "--adopt").code != 0
    assert snapshot(churn) == before


STAGES = [
    ("", "version: a version is needed, and there is none"),
    ("version: [\n", ":2: "),
    ("version: 1.10\n", ":1: version: 1.1 is not a version"),
    ("version: on\n", ":1: version: 'on' is not a version"),
    ("version: v2\nversion: v3\n", ":2: key 'version' appears twice"),
    ("version: v2\nhold: yes\n", ":2: hold: true or false is expected here, not text: 'yes'"),
    ("version: v2\nat: yesterday\n", ":2: at: 'yesterday' is not a time"),
    ("version: v2\nreasn: x\n", ":2: reasn: unknown key"),
    ("version: v2\napproved_by: boss\n", ":2: approved_by: a list of texts is expected here"),
    ("version: '$(id)'\n", ":1: version: '$(id)' is not a version"),
    (b"\xff", ":1: it is not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), STAGES, ids=lambda value: ascii(value)[:24])
def test_stage_file_that_cannot_be_read_breaks_that_stage_alone(
    content: str | bytes, message: str, churn: Path, commit: Commit, mreg_here: Mreg
) -> None:
    commit(STAGE, content)
    before = snapshot(churn)
    for words in (
        ("show", "churn@production"),
        ("pull", "churn@production", "-o", "out"),
        ("promote", "churn@v3", "production", "-m", "x"),
        ("rollback", "churn", "production", "-m", "x"),
        ("clear", "churn", "production"),
    ):
        check_refused(mreg_here(*words), 3, STAGE, message, hint="mreg doctor")
    assert snapshot(churn) == before
    for asked in (("list",), ("history",), ("list", "churn")):
        assert f"bad-data  {STAGE}" in normalise(mreg_here(*asked, check=0).out)
    assert STAGE in mreg_here("sync", check=1).out
    mreg_here("promote", "churn@v3", "staging", "-m", "it still works", check=0)


def test_stage_file_error_names_its_own_file(churn: Path, commit: Commit, mreg_here: Mreg) -> None:
    for stage in ("staging", "production"):
        commit(f"registry/churn/stages/{stage}.yaml", "version: [\n")
    listed = mreg_here("list", check=0).out
    for stage in ("staging", "production"):
        check_refused(mreg_here("show", f"churn@{stage}"), 3, f"stages/{stage}.yaml")
        assert f"stages/{stage}.yaml:" in listed


def test_stage_of_a_version_that_was_never_registered_is_a_finding(
    churn: Path, commit: Commit, mreg_here: Mreg
) -> None:
    commit(STAGE, "version: v9.0.0\n")
    found = json.loads(mreg_here("list", "--format", "json", check=0).out)["findings"]
    assert [(each["code"], each["place"]) for each in found] == [("unknown-version", STAGE)]
    assert "unknown-version" in mreg_here("sync", check=1).out
    check_refused(mreg_here("show", "churn@production"), 4, "churn has no version v9.0.0")
    mreg_here("rollback", "churn", "production", "-m", "a slip of the hand", check=0)


RECORDS = [
    ("version: v2.0.0", "version: v5.0.0", f"{RECORD} is the record of churn v5.0.0"),
    ("model: churn", "model: chrun", f"{RECORD} is the record of chrun v2.0.0"),
    ("auc: 0.913", "auc: .nan", f"{RECORD}:10: metrics.auc: a finite number is expected here"),
    ("auc: 0.913", "auc: 0.913\n  auc: 0.99", f"{RECORD}:11: key 'auc' appears twice"),
    ("path: model.bin", "path: ../../x", f"{RECORD}:5: artifact.path: '../../x' is not a plain file name"),
    ("sha256: ", "sha256: 0", f"{RECORD}:8: artifact.sha256: '0"),
    ("schema: 1", "schema: 7", f"{RECORD}:1: schema: schema 7 is not known to this mreg"),
]


@pytest.mark.parametrize(("old", "new", "message"), RECORDS, ids=[case[1][:20] for case in RECORDS])
def test_record_edited_by_hand_breaks_nothing_but_what_is_said_of_it(
    old: str, new: str, message: str, churn: Path, commit: Commit, mreg_here: Mreg
) -> None:
    text = (churn / RECORD).read_text()
    assert old in text
    commit(RECORD, text.replace(old, new, 1))
    before = snapshot(churn)
    for words in (("show", "churn@v2"), ("compare", "churn@v1", "churn@v2")):
        check_refused(mreg_here(*words), 3, message)
    promote = mreg_here("promote", "churn@v2", "staging", "-m", "x")
    check_refused(promote, 3, f"{RECORD}: commit", hint=f"-- :/{RECORD}   # and commit that; mreg verify")
    assert snapshot(churn) == before
    assert "what was registered counts: mreg verify" in mreg_here("pull", "churn@production", "-o", "out", check=0).err
    assert (churn / "out").read_bytes() == b"churn 2"
    listed = normalise(mreg_here("list", "churn", check=0).out)
    assert "v2.0.0  production  -  -  unreadable  -" in listed
    assert f"bad-data  {RECORD}" in listed
    best = normalise(mreg_here("best", "churn", "--by", "auc", check=0).out)
    assert "v2.0.0  its record cannot be read" in best
    assert "record-changed" in mreg_here("sync", check=1).out


def test_rollback_goes_by_the_record_that_was_registered(churn: Path, commit: Commit, mreg_here: Mreg) -> None:
    commit("registry/churn/versions/v1.0.0.yaml", "schema: 1\n")
    mreg_here("rollback", "churn", "production", "-m", "x", check=0)
    mreg_here("pull", "churn@production", "-o", "out", check=0)
    assert (churn / "out").read_bytes() == b"churn 1"


def _raw_tag(git: Git, name: str, *, tagger: str, inner: str | None = None) -> None:
    target = git("rev-parse", "churn@v1.0.0^{commit}")
    text = f"object {target}\ntype commit\ntag {inner or name}\ntagger {tagger}\n\nx"
    oid = git("hash-object", "-t", "tag", "-w", "--stdin", "--literally", input=text)
    git("update-ref", f"refs/tags/{name}", oid)


def test_malformed_tags_hinder_nobody(churn: Path, mreg_here: Mreg, git: Git) -> None:
    git("tag", "--annotate", "--message=x", "churn@created")
    git("tag", "churn@v7.0.0")
    _raw_tag(git, "churn@v8.0.0", tagger=" <> 0 +0000")
    _raw_tag(git, "churn#production#9", tagger="x", inner="other")
    packed = churn / ".git" / "packed-refs"
    packed.write_bytes(git("rev-parse", "HEAD").encode() + b" refs/tags/churn@v9.0.0\xff\n")
    listed = mreg_here("list", check=0)
    assert listed.out.count("churn") == 1
    for words in (("show", "churn@production"), ("history",), ("show", "churn")):
        mreg_here(*words, check=0)
    for words in (("sync",), ("doctor",)):
        report = mreg_here(*words, check=1)
        for name in ("churn@v7.0.0", "churn@v8.0.0", "churn#production#9"):
            assert f"refs/tags/{name}" in report.out
        assert report.err == ""
    mreg_here("promote", "churn@v3", "staging", "-m", "it still works", check=0)
    assert mreg_here("list", check=0).out != listed.out


def test_stray_files_are_findings(churn: Path, commit: Commit, mreg_here: Mreg) -> None:
    commit("registry/churn/versions/v2.yaml", "x")
    commit("registry/README.md", "for people")
    listed = normalise(mreg_here("list", check=0).out)
    assert "stray-file  registry/churn/versions/v2.yaml" in listed
    assert "README" not in listed


def test_shallow_clone_is_never_read_as_whole(churn: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--depth=1", f"file://{churn}", str(clone))
    assert "v2.0.0" in mreg_here("list", cwd=clone, check=0).out
    shown = mreg_here("show", "churn@production", cwd=clone, check=0).out
    assert "this clone is shallow" in shown
    for words in (("history",), ("sync",), ("promote", "churn@v3", "staging", "-m", "x")):
        check_refused(mreg_here(*words, cwd=clone), 5, "this clone is shallow", hint="git fetch --unshallow")
    git("fetch", "--quiet", "--unshallow", cwd=clone)
    mreg_here("history", cwd=clone, check=0)


@pytest.mark.parametrize("stage", ["production", "archived"])
def test_list_never_shows_an_unreadable_stage_as_an_empty_one(
    stage: str, churn: Path, commit: Commit, mreg_here: Mreg
) -> None:
    path = f"registry/churn/stages/{stage}.yaml"
    commit(path, "version: [v1\n")
    listed = normalise(mreg_here("list", check=0).out).splitlines()
    assert listed[1] == (
        "churn  v3.0.0  3  -  unreadable  0" if stage == "production" else "churn  v3.0.0  3  -  v2.0.0  unreadable"
    )
    assert listed[-1].startswith(f"bad-data  {path}")
    document = json.loads(mreg_here("list", "--format", "json", check=0).out)
    assert document["models"][0]["unreadable"] == [stage]
    assert document["models"][0]["stages"] == {
        "staging": None,
        "production": None if stage == "production" else "v2.0.0",
    }
    assert f"note  {path}:" in normalise(mreg_here("show", "churn@v3", check=0).out)


def test_submodule_in_the_place_of_a_stage_file_is_unreadable(churn: Path, git: Git, mreg_here: Mreg) -> None:
    git("rm", "--quiet", STAGE)
    git("update-index", "--add", "--cacheinfo", f"160000,{git('rev-parse', 'HEAD')},{STAGE}")
    git("commit", "--quiet", "--message=Swap")
    document = json.loads(mreg_here("list", "--format", "json", check=0).out)
    assert document["models"][0]["unreadable"] == ["production"]
    assert document["findings"][0]["message"] == f"{STAGE} is a submodule, and no file"
    check_refused(mreg_here("show", "churn@production"), 3, f"{STAGE} is a submodule")
