"""Readers: ``list``, ``show``, ``history``, ``compare`` and ``best`` as they are typed, and their JSON contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.checks import normalise, snapshot
from tests.conftest import Git, Mreg

COMMANDS = {
    "list": ("list",),
    "list model": ("list", "churn"),
    "list versions": ("list", "--versions"),
    "list stage": ("list", "--stage", "production"),
    "show": ("show", "churn@production"),
    "history": ("history",),
    "compare": ("compare", "churn@v1", "churn@v2"),
    "best": ("best", "churn", "--by", "auc,latency_ms", "--where", "latency_ms<=50", "--stage", "staging"),
}
PROMOTED = "<time>  churn  production  promote  v1.0.0 → v2.0.0  ada@example.com  jane@example.com"
TABLES = {
    "list": """\
model  latest  versions  staging  production  archived
churn  v3.0.0  3  -  v2.0.0  0
""",
    "list model": """\
version  stages  auc  latency_ms  size  format
v3.0.0  -  0.910  25 ms  7 B  -
v2.0.0  production  0.913  30 ms  7 B  -
v1.0.0  -  0.902  20 ms  7 B  -
""",
    "list versions": """\
model  version  stages  auc  latency_ms  size  format
churn  v3.0.0  -  0.910  25 ms  7 B  -
churn  v2.0.0  production  0.913  30 ms  7 B  -
churn  v1.0.0  -  0.902  20 ms  7 B  -
""",
    "list stage": """\
model  version  stages  auc  latency_ms  size  format
churn  v2.0.0  production  0.913  30 ms  7 B  -
""",
    "history": f"""\
when  model  stage  action  from → to  by  approved by  reason  commit
{PROMOTED}  AUC 0.913 against 0.902  <oid>
<time>  churn  production  promote  - → v1.0.0  ada@example.com  -  first  <oid>
""",
    "best": """\
churn v2.0.0

why  auc 0.913 is the highest of 3; next v3.0.0 with 0.910
why  staging is empty
where  latency_ms <= 50
next  mreg promote churn@v2.0.0 staging --reason 'auc 0.913 is the highest of 3; next v3.0.0 with 0.910'

ranking
rank  version  auc (higher)  latency_ms (lower)
1  v2.0.0  0.913  30 ms
2  v3.0.0  0.910  25 ms
3  v1.0.0  0.902  20 ms
""",
}


def document(mreg: Mreg, *words: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(mreg(*words, "--format", "json", check=0).out)


@pytest.mark.parametrize("name", TABLES)
def test_reader_prints_its_table_and_changes_nothing(name: str, churn: Path, mreg_here: Mreg) -> None:
    before = snapshot(churn)
    result = mreg_here(*COMMANDS[name], check=0)
    assert (normalise(result.out), result.err) == (TABLES[name], "")
    assert snapshot(churn) == before


def test_show_prints_who_approved_it_and_why(churn: Path, mreg_here: Mreg) -> None:
    shown = normalise(mreg_here(*COMMANDS["show"], check=0).out)
    assert shown.startswith("churn v2.0.0\n\nstages  production\ntag  churn@v2.0.0\ncommit  <oid>\n")
    for line in ("auc  0.913  higher", "depth  2", "code.dirty  false", f"{PROMOTED}  AUC 0.913 against 0.902  <oid>"):
        assert f"\n{line}\n" in shown


def test_compare_marks_better_and_worse(churn: Path, mreg_here: Mreg) -> None:
    compared = normalise(mreg_here(*COMMANDS["compare"], check=0).out)
    for line in ("auc  higher  0.902  0.913 ▲ +0.011 (+1.2%)  v2.0.0", "latency_ms  lower  20 ms  30 ms ▼ +10 ms (+50.0%)  v1.0.0"):  # fmt: skip
        assert f"\n{line}\n" in compared


@pytest.mark.parametrize("name", COMMANDS)
def test_reader_in_markdown_is_a_table_without_escapes(name: str, churn: Path, mreg_here: Mreg) -> None:
    result = mreg_here(*COMMANDS[name], "--format", "markdown", check=0)
    assert "| --- |" in result.out
    assert "\x1b" not in result.out


def test_list_json_keeps_its_contract(churn: Path, mreg_here: Mreg) -> None:
    [model] = (found := document(mreg_here, "list"))["models"]
    expected = {"model": "churn", "latest": "v3.0.0", "versions": 3}
    stages = {"staging": None, "production": "v2.0.0"}
    assert found["schema"] == 1
    assert {key: model[key] for key in (*expected, "stages")} == {**expected, "stages": stages}


def test_list_of_a_stage_leaves_out_all_other_versions(churn: Path, mreg_here: Mreg) -> None:
    one, every = (document(mreg_here, "list", *words, "--stage", "production") for words in (["churn"], []))
    assert [each["version"] for each in one["versions"]] == ["v2.0.0"]
    assert every == {**one, "model": None}
    mreg_here("archive", "churn@v1", "--reason", "old", check=0)
    assert [each["version"] for each in document(mreg_here, "list", "--stage", "archived")["versions"]] == ["v1.0.0"]
    assert mreg_here("list", "--stage", "staging", check=0).out == "no versions\n"
    past = document(mreg_here, "list", "--stage", "archived", "--at", "main~1")
    assert past["versions"] == []
    unknown = mreg_here("list", "--stage", "prod", check=4)
    assert "stage 'prod' is not declared in registry.yaml" in unknown.err


def test_list_of_a_folder_has_the_models_below_it(churn: Path, model: Path, mreg_here: Mreg) -> None:
    for name in ("fraud/eu", "fraud/us/cards", "fraudulent"):
        mreg_here("register", name, str(model), check=0)
    mreg_here("promote", "fraud/eu@v1", "production", "--reason", "first", check=0)
    mreg_here("list", "--versions", check=0)
    names = [each["model"] for each in document(mreg_here, "list", "fraud/")["models"]]
    assert names == ["fraud/eu", "fraud/us/cards"]
    assert (
        document(mreg_here, "list", "fraud/", "--at", "main")["models"]
        == document(mreg_here, "list", "fraud/")["models"]
    )
    assert [each["model"] for each in document(mreg_here, "list", "fraud/us/")["models"]] == ["fraud/us/cards"]
    found = document(mreg_here, "list", "fraud/", "--versions")
    assert [each["model"] for each in found["versions"]] == names
    assert found["model"] is None
    found = document(mreg_here, "list", "fraud/", "--stage", "production")
    assert [(each["model"], each["version"]) for each in found["versions"]] == [("fraud/eu", "v1.0.0")]
    for folder, hint in (
        ("fruad/", "mreg list fraud/"),
        ("churn/", "mreg list churn"),
        ("fraud/eu/", "mreg list fraud/eu"),
    ):
        refused = mreg_here("list", folder, check=4)
        assert refused.err == f"error: no model is below {folder}\nhint: {hint}\n"
    assert "model" in mreg_here("list", "//", check=2).err


def test_list_of_versions_tells_a_stage_that_cannot_be_read(churn: Path, mreg_here: Mreg, git: Git) -> None:
    (churn / "registry/churn/stages/production.yaml").write_text("version: [\n")
    git("commit", "--quiet", "--all", "--message=Spoil")
    for words in (["--versions"], ["--stage", "production"]):
        [finding] = document(mreg_here, "list", *words)["findings"]
        assert finding["place"] == "registry/churn/stages/production.yaml"


def test_show_json_keeps_its_contract(churn: Path, mreg_here: Mreg, git: Git) -> None:
    found = document(mreg_here, "show", "churn@production")
    expected = {
        "schema": 1,
        "model": "churn",
        "version": "v2.0.0",
        "stages": ["production"],
        "archived": False,
        "metrics": {"auc": 0.913, "latency_ms": 30},
        "params": {"depth": 2},
        "tag": "churn@v2.0.0",
        "commit": git("rev-parse", "churn@v2.0.0^{commit}"),
    }
    assert {key: found[key] for key in expected} == expected
    artifact = found["artifact"]
    assert (artifact["path"], artifact["size"]) == ("model.bin", 7)
    assert (len(artifact["sha256"]), artifact["md5"]) == (64, "12ed949026e0f5501e92364db76ea73e")
    # The newest commit that is no change of a model, and so not that of v1.
    assert found["code"]["commit"] == git("log", "-1", "--format=%H", "--grep=Declare the metrics", "main")


def test_history_of_a_stage_needs_no_model(churn: Path, mreg_here: Mreg) -> None:
    everything = document(mreg_here, "history")
    assert document(mreg_here, "history", "--stage", "production") == everything
    assert document(mreg_here, "history", "churn", "--stage", "production") == everything
    assert document(mreg_here, "history", "--stage", "staging")["transitions"] == []
    assert "two stages" in mreg_here("history", "churn", "production", "--stage", "staging", check=2).err


def test_history_json_keeps_its_contract_newest_first(churn: Path, mreg_here: Mreg, git: Git) -> None:
    found = document(mreg_here, "history")
    newest, oldest = found["transitions"]
    expected = {
        "model": "churn",
        "stage": "production",
        "action": "promote",
        "from": "v1.0.0",
        "to": "v2.0.0",
        "by": "ada@example.com",
        "reason": "AUC 0.913 against 0.902",
        "approved_by": ["jane@example.com"],
        "commit": git("rev-parse", "HEAD"),
    }
    assert found["schema"] == 1
    assert {key: newest[key] for key in expected} == expected
    assert newest["at"].endswith("Z")
    assert (oldest["from"], oldest["to"], oldest["approved_by"]) == (None, "v1.0.0", [])


def test_compare_json_keeps_its_contract(churn: Path, mreg_here: Mreg) -> None:
    found = document(mreg_here, "compare", "churn@v1", "churn@production")
    assert (found["schema"], found["versions"]) == (1, ["v1.0.0", "v2.0.0"])
    assert found["metrics"]["auc"]["values"] == {"v1.0.0": 0.902, "v2.0.0": 0.913}
    assert {name: metric["best"] for name, metric in found["metrics"].items()} == {"auc": "v2.0.0", "latency_ms": "v1.0.0"}  # fmt: skip


def test_best_json_keeps_its_contract(churn: Path, mreg_here: Mreg) -> None:
    found = document(mreg_here, "best", "churn", "--by", "latency_ms")
    assert (found["schema"], found["model"], found["version"]) == (1, "churn", "v1.0.0")


def test_best_command_works_when_pasted(churn: Path, mreg_here: Mreg, git: Git) -> None:
    import shlex

    command = document(mreg_here, *COMMANDS["best"])["command"]
    mreg_here(*shlex.split(command)[1:], check=0)
    assert git("tag", "--list", "churn#staging#*") == "churn#staging#3"


@pytest.mark.parametrize("at", ["HEAD~1", "churn#production#1^{}", "main~1"])
def test_list_at_a_revision_tells_what_was_there(at: str, churn: Path, mreg_here: Mreg) -> None:
    held = document(mreg_here, "list", "--at", at)["models"][0]["stages"]["production"]
    assert held == (None if at.startswith("churn#") else "v1.0.0")


def test_list_at_a_date_or_time_tells_what_was_there(churn: Path, mreg_here: Mreg, git: Git) -> None:
    time = git("log", "-1", "--format=%cI", "HEAD~1")
    for at, expected in ((time, "v1.0.0"), ("2026-01-01", "v2.0.0"), ("2099-01-01T00:00:00Z", "v2.0.0")):
        assert document(mreg_here, "list", "--at", at)["models"][0]["stages"]["production"] == expected
    assert document(mreg_here, "show", "churn", "--at", time)["stages"] == []


@pytest.mark.parametrize(
    ("words", "text"),
    [(("list",), "no model is registered: mreg register MODEL PATH"), (("history",), "no transitions")],
)
def test_reader_of_an_empty_registry_says_so(words: tuple[str, ...], text: str, repo: Path, mreg_here: Mreg) -> None:
    mreg_here("init", check=0)
    assert mreg_here(*words, check=0).out == f"{text}\n"


def test_reader_takes_its_names_from_the_directory_of_c(churn: Path, mreg_here: Mreg, tmp_path: Path) -> None:
    (churn / "deep").mkdir()
    expected = mreg_here("list", check=0)
    for words, cwd in (
        (("-C", str(churn)), tmp_path),
        (("--directory=repo",), tmp_path),
        (("-C", ".."), churn / "deep"),
    ):
        assert mreg_here(*words, "list", cwd=cwd, check=0) == expected
