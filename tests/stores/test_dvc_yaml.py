from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import ruamel.yaml
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from mreg.errors import DataError
from mreg.stores.dvc_files.dvc_yaml import find_artifact, set_artifact

ENTRY = {"path": "registry/churn/artifact/model.pkl", "type": "model"}
CHURN = "  churn:\n    path: registry/churn/artifact/model.pkl\n    type: model\n"
DEEP_CHURN = "    churn:\n      path: registry/churn/artifact/model.pkl\n      type: model\n"


def put(before: str | None, name: str = "churn", entry: Mapping[str, str] = ENTRY) -> str:
    data = None if before is None else before.encode()
    after = set_artifact(data, name, entry)
    assert set_artifact(after, name, entry) == after
    assert {**find_artifact(after, name), **entry} == find_artifact(after, name)
    for load in (pyyaml.safe_load, ruamel.yaml.YAML(typ="safe", pure=True).load):
        assert load(after)["artifacts"][name]["path"] == entry["path"]
    return after.decode()


@pytest.mark.parametrize("before", [None, "", "artifacts:\n"])
def test_set_artifact_file_without_entries_gets_the_first(before: str | None) -> None:
    assert put(before) == f"artifacts:\n{CHURN}"


STAGES = "# pipelines: mine\nstages:\n    train:   # odd   spaces\n        cmd: python train.py\n        outs: [a, b]\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (STAGES, f"{STAGES}artifacts:\n{CHURN}"),
        (STAGES.removesuffix("\n"), f"{STAGES}artifacts:\n{CHURN}"),
        (f"artifacts:\n\n{STAGES}", f"artifacts:\n{CHURN}\n{STAGES}"),
        (f"artifacts:  # ours\n  zoo: {{}}\n{STAGES}", f"artifacts:  # ours\n{CHURN}  zoo: {{}}\n{STAGES}"),
        (f"{STAGES}artifacts:\n  ant: {{path: a}}\n", f"{STAGES}artifacts:\n  ant: {{path: a}}\n{CHURN}"),
        (f"artifacts:\n  zoo: {{path: a}}\n{STAGES}", f"artifacts:\n{CHURN}  zoo: {{path: a}}\n{STAGES}"),
        (
            f"artifacts:\n  ant:\n    path: a\n    labels:\n    - x\n\n  # zoo\n  zoo:\n    path: a\n{STAGES}",
            f"artifacts:\n  ant:\n    path: a\n    labels:\n    - x\n{CHURN}\n  # zoo\n  zoo:\n    path: a\n{STAGES}",
        ),
        (
            f"artifacts:\n  'fraud/eu': {{path: a}}\n  \"b\": {{path: b}}\n{STAGES}",
            f"artifacts:\n{CHURN}  'fraud/eu': {{path: a}}\n  \"b\": {{path: b}}\n{STAGES}",
        ),
        (f"artifacts: {{}}  # none yet\n{STAGES}", f"artifacts:\n{CHURN}{STAGES}"),
        (
            f"artifacts:\n  churn: {{path: old, type: model}}  # c\n{STAGES}",
            f"artifacts:\n{CHURN}{STAGES}",
        ),
        (
            f"artifacts:\n  churn:\n    path: old\n    # gone\n  # stays\n{STAGES}",
            f"artifacts:\n{CHURN}  # stays\n{STAGES}",
        ),
        ("artifacts:\n    churn:\n        path: old\n    d: {path: x}", f"artifacts:\n{DEEP_CHURN}    d: {{path: x}}"),
        ("# a\n", f"# a\nartifacts:\n{CHURN}"),
        ("---\nstages: {}\n", f"---\nstages: {{}}\nartifacts:\n{CHURN}"),
        ("stages:\n  artifacts:\n    cmd: x\n", f"stages:\n  artifacts:\n    cmd: x\nartifacts:\n{CHURN}"),
        ('"artifacts":\n  ant: {path: a}\n', f'"artifacts":\n  ant: {{path: a}}\n{CHURN}'),
        ("artifacts :\n  ant: {path: a}\n", f"artifacts :\n  ant: {{path: a}}\n{CHURN}"),
        (
            "stages:\n  a:\n    cmd: |\n      artifacts:\n      churn:\n",
            f"stages:\n  a:\n    cmd: |\n      artifacts:\n      churn:\nartifacts:\n{CHURN}",
        ),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_set_artifact_entry_is_set_and_all_else_kept(before: str, after: str, newline: str) -> None:
    assert put(before.replace("\n", newline)) == after.replace("\n", newline)


def test_set_artifact_same_entry_changes_nothing() -> None:
    text = f"artifacts: {{churn: {{type: model, path: {ENTRY['path']}, desc: x}}}}  # flow\r\n\r\n"
    assert put(text) == text


def test_set_artifact_what_people_added_to_the_entry_stays() -> None:
    added = "    desc: who leaves\n    labels: [a, b]\n    meta:\n      deep: {er: 1}\n"
    text = f"artifacts:\n  churn:\n    path: old\n{added}"
    assert find_artifact(put(text).encode(), "churn") == {
        "path": ENTRY["path"],
        "desc": "who leaves",
        "labels": ["a", "b"],
        "meta": {"deep": {"er": 1}},
        "type": "model",
    }


@pytest.mark.parametrize("name", ["fraud/eu", "null", "true", "no", "007", "1e5", "a-b_c", "2026-10-01"])
def test_set_artifact_any_model_name_is_read_back_as_text(name: str) -> None:
    after = put(STAGES, name)
    assert put(put(after, "ant"), "zoo").startswith(STAGES)
    assert list(pyyaml.safe_load(put(put(after, "!ant"), "~zoo"))["artifacts"]) == sorted(["!ant", "~zoo", name])


def test_set_artifact_entries_stay_sorted_by_name() -> None:
    text = ""
    for name in ("b", "fraud/eu", "a", "c", "fraud-x"):
        text = put(text, name)
    assert list(pyyaml.safe_load(text)["artifacts"]) == ["a", "b", "c", "fraud-x", "fraud/eu"]


@pytest.mark.parametrize(
    "text",
    [
        "{stages: {a: {cmd: b}}}  # all of it in flow style\n",
        "{stages: {a: {cmd: b}}, artifacts: {ant: {path: a}}}  # c\n",
        "stages: {}\n...\n# end\n",
        "artifacts: {churn: &x {path: old}}\n# c\nother: *x\n",
    ],
)
def test_set_artifact_form_that_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"dvc\.yaml: it is written in a form that mreg does not edit") as caught:
        put(text)
    assert "block style" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: [", r"dvc\.yaml:\d: "),
        (b"a: 1\na: 2\n", r"dvc\.yaml:2: key 'a' appears twice"),
        (b"a: \xff\n", r"dvc\.yaml:1: it is not UTF-8"),
        (b"- a\n", r"dvc\.yaml: a mapping is expected here"),
        (b"artifacts: [churn]\n", r"dvc\.yaml: artifacts: a mapping is expected here"),
        (b"<<<<<<< HEAD\na: 1\n=======\n", r"dvc\.yaml:1: a merge conflict begins here"),
    ],
)
def test_set_artifact_unreadable_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        set_artifact(data, "churn", ENTRY)
    assert caught.value.details["file"] == "dvc.yaml"


@pytest.mark.parametrize(
    ("data", "entry"),
    [
        (b"artifacts: {churn: {path: p}}", {"path": "p"}),
        (b"x: &e {path: p}\nartifacts: {churn: {<<: *e, type: model}}", {"path": "p", "type": "model"}),
        (None, {}),
        (b"", {}),
        (b"a: [", {}),
        (b"- a", {}),
        (b"artifacts: [churn]", {}),
        (b"artifacts: {churn: p}", {}),
        (b"artifacts: {other: {path: p}}", {}),
        (b"\xff", {}),
    ],
)
def test_find_artifact_gives_the_entry_or_nothing(data: bytes | None, entry: Mapping[str, object]) -> None:
    assert find_artifact(data, "churn") == entry


def test_set_artifact_dvc_reads_the_result(repo: Path) -> None:
    stage = "stages:\n  train:\n    cmd: echo 1 > a\n    outs: [a]\n"
    (repo / "dvc.yaml").write_bytes(set_artifact(stage.encode(), "churn", ENTRY))
    program = (
        "from dvc.repo import Repo; repo = Repo.init(no_scm=True);"
        "assert [stage.name for stage in repo.index.stages] == ['train'];"
        "assert repo.artifacts.read()['dvc.yaml']['churn'].path.endswith('model.pkl')"
    )
    subprocess.run([sys.executable, "-c", program], cwd=repo, env=dict(os.environ), check=True)


UGLY = st.text("ab: -{}[]'\"#|>&*?!\n\r\té", max_size=40)  # U+0085 and U+2028 end a line of YAML 1.1 alone


@given(UGLY | UGLY.map(lambda text: f"artifacts:\n  {text}"), st.sampled_from(["a", "b", "x/y"]))
@example("a:\r\n- b\n# c", "a")
@example("artifacts:\n  b: {}\n# end", "a")
@example("'artifacts': {}\n# end\na: b", "a")
def test_set_artifact_any_file_keeps_its_other_values_and_comments(before: str, name: str) -> None:
    with suppress(DataError):
        after = put(before, name)
        old, new = (ruamel.yaml.YAML(typ="safe", pure=True).load(text) or {} for text in (before, after))
        assert {**old, "artifacts": None} == {**new, "artifacts": None}
        others = {**(old.get("artifacts") or {}), name: None}
        assert others == {**new["artifacts"], name: None}
