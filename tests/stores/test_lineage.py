from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from hashlib import md5
from pathlib import Path
from textwrap import dedent, indent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mreg.core.history.record import Dataset
from mreg.errors import DataError, StorageError
from mreg.stores.dvc_files.lineage import Tracked, find_tracked
from tests.conftest import PATH

PIPELINE = """\
vars:
- region: us
stages:
  train:
    cmd:
    - cp data/a.csv model.pkl
    - printf '{"auc":0.9,"test":{"n":3,"ok":true,"nan":NaN,"name":"x","list":[1]}}' > metrics.json
    deps: [train.py, data/a.csv, src, conf.yaml]
    params: [lr, train, conf.yaml: [depth, lr]]
    outs: [model.pkl]
    metrics:
    - metrics.json: {cache: false}
  fit:
    foreach: [eu, us]
    do:
      cmd: cp data/a.csv models/${item}.pkl && echo "rmse = 0.5" > metrics/${item}.toml
      outs:
      - models/${item}.pkl: {cache: true}
      metrics:
      - metrics/${item}.toml
  inside:
    foreach: {one: {n: 1}, two: {n: 2}}
    do:
      wdir: runs/${key}
      cmd: mkdir -p best && echo ${item.n} > best/model.json && echo '{"n":${item.n}}' > score.json
      deps: [../../data/a.csv, ../../more]
      outs: [best]
      metrics: [score.json]
  grid:
    matrix: {seed: [1, 2], kind: [a]}
    cmd: echo ${item.seed} > ${item.kind}-${item.seed}.bin
    outs: ['${item.kind}-${item.seed}.bin']
  evaluate:
    cmd: printf '{"f1":0.7}' > eval/own.json && printf '{"f2":0.8}' > eval/all.json
    deps: [model.pkl]
    outs: [eval/all.json]
    metrics: [eval/own.json]
  other:
    cmd: printf '{"f3":0.8}' > eval/other.json
    outs: [eval/other.json]
  wide:
    matrix: {size: [1, 2], deep: [true]}
    wdir: ${item.size}/${item.deep}
    cmd: echo ${item.size} > same.bin
    outs: [same.bin]
  listed:
    foreach: [{name: b, at: x}, {name: b, at: y}]
    do:
      cmd: echo ${item.at} > ${item.at}.bin && printf '{"at":1}' > '${item.at}.json'
      outs: ['${item.at}.bin']
      metrics: ['${item.at}.json']
  region:
    cmd: echo 1 > "model of ${region} größe 'x'.pkl"
    outs: ["model of ${region} größe 'x'.pkl"]
metrics: [all.json, missing.json, eval/all.json, eval/other.json]
"""
SUB = """\
stages:
  pack:
    wdir: ../out
    cmd: "cp ../data/a.csv packed.bin && echo 'auc: 5e-1' > m.yaml"
    deps: [../data/a.csv]
    outs: [packed.bin]
    metrics: [m.yaml]
"""


def run(root: Path, home: Path, *args: str) -> None:
    env = {
        "PATH": PATH,
        "HOME": str(home),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(home / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "system"),
        "LC_ALL": "C.UTF-8",
    }
    subprocess.run([sys.executable, "-m", *args], cwd=root, env=env, check=True)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that DVC has run, and three artifacts that it tracks one by one; never changed."""
    root, home = tmp_path_factory.mktemp("dvc") / "repo", tmp_path_factory.mktemp("home")
    for name, text in {
        "dvc.yaml": PIPELINE,
        "sub/dvc.yaml": SUB,
        "params.yaml": "lr: 1e-05\ntrain:\n  layers: [1, 2]\n  deep: {on: on, seed: 012}\n",
        "conf.yaml": "depth: 3\nlr: 0.5\n",
        "all.json": '{"auc": 0.8, "total": 7}',
        "train.py": "",
        "src/lib.py": "",
        "data/a.csv": "1,2\n",
        "more": "x",
        "lone.bin": "12345",
        "bag/a": "1",
        "bag/b/c": "23",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for folder in ("models", "metrics", "out", "eval", "runs/one", "runs/two", "1/true", "2/true"):
        (root / folder).mkdir(parents=True)
    run(root, home, "dvc", "init", "--no-scm", "--quiet")
    run(root, home, "dvc", "add", "--quiet", "data/a.csv", "lone.bin", "bag")
    run(root, home, "dvc", "repro", "--quiet", "--all-pipelines")
    return root


def digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


A_CSV = digest("1,2\n")


def test_find_tracked_output_of_a_stage_knows_all_of_it(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "model.pkl")
    assert tracked
    assert tracked == Tracked(
        path=reproduced / "model.pkl",
        md5=A_CSV,
        size=4,
        files=None,
        stage="train",
        params={
            "params.lr": 1e-05,
            "train.layers": [1, 2],
            "train.deep.on": "on",
            "train.deep.seed": 12,
            "depth": 3,
            "conf.lr": 0.5,
        },
        metrics={"metrics.auc": 0.9, "test.n": 3, "f1": 0.7, "all.auc": 0.8, "total": 7, "f2": 0.8},
        dataset=Dataset(name="a", path="data/a.csv", md5=A_CSV),
    )


def test_find_tracked_foreach_stage_has_its_own_metrics(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "models" / "us.pkl")
    assert tracked
    assert (tracked.stage, tracked.md5, tracked.params) == ("fit@us", A_CSV, {})
    assert tracked.metrics == {"rmse": 0.5, "auc": 0.8, "total": 7}
    assert tracked.dataset is None


def test_find_tracked_templated_working_directory_is_told_from_the_artifact(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "runs" / "two" / "best")
    assert tracked
    assert (tracked.stage, tracked.size, tracked.files) == ("inside@two", 2, 1)
    assert tracked.md5.endswith(".dir")
    assert tracked.metrics == {"n": 2, "auc": 0.8, "total": 7}
    assert tracked.dataset is None


def test_find_tracked_same_name_in_templated_folders_is_told_apart(reproduced: Path) -> None:
    for size in (1, 2):
        tracked = find_tracked(reproduced, reproduced / str(size) / "true" / "same.bin")
        assert tracked
        assert (tracked.stage, tracked.md5) == (f"wide@{size}-true", digest(f"{size}\n"))


def test_find_tracked_metrics_of_a_list_of_mappings_are_its_own(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "y.bin")
    assert tracked
    assert tracked.stage == "listed@1"
    assert tracked.metrics == {"at": 1, "auc": 0.8, "total": 7}


def test_find_tracked_metrics_of_another_run_are_left_out(reproduced: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(reproduced, root)
    (root / "eval" / "own.json").write_text('{"f1": 0.9}', encoding="utf-8")
    tracked = find_tracked(root, root / "model.pkl")
    assert tracked
    assert "f1" not in tracked.metrics
    text = (root / "dvc.lock").read_text(encoding="utf-8")
    before, name, after = text.partition("  evaluate:")
    after = after.replace(tracked.md5, "0" * 32, 1)
    (root / "dvc.lock").write_text(before + name + after, encoding="utf-8")
    stale = find_tracked(root, root / "model.pkl")
    assert stale
    assert stale.metrics == {"metrics.auc": 0.9, "test.n": 3, "all.auc": 0.8, "total": 7}


def test_find_tracked_folders_that_only_dvc_can_tell_apart_give_none(tmp_path: Path) -> None:
    write(tmp_path, "dvc.yaml", "stages: {train: {foreach: '${all}', do: {wdir: 'runs/${item.at}'}}}")
    lock(tmp_path, f"train@0: {{outs: [{OUT}]}}\n")
    assert found(tmp_path, "runs/a/m.pkl").stage == "train@0"
    assert find_tracked(tmp_path, tmp_path / "other" / "m.pkl") is None
    lock(tmp_path, f"train@0: {{outs: [{OUT}]}}\ntrain@1: {{outs: [{OUT}]}}\n")
    assert find_tracked(tmp_path, tmp_path / "runs" / "a" / "m.pkl") is None


def test_find_tracked_matrix_stage_is_found(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "a-2.bin")
    assert tracked
    assert tracked.stage == "grid@2-a"


def test_find_tracked_name_that_yaml_quotes_and_folds_is_found(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "model of us größe 'x'.pkl")
    assert tracked
    assert (tracked.stage, tracked.md5) == ("region", digest("1\n"))


def test_find_tracked_pipeline_of_another_folder_with_wdir_is_read(reproduced: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(reproduced, root)
    assert find_tracked(root, root / "out" / "packed.bin") is None  # its dvc.lock is in no folder above it
    (root / "out" / "sub").mkdir()
    for name in ("dvc.yaml", "dvc.lock"):
        shutil.move(root / "sub" / name, root / "out" / name)
    text = (root / "out" / "dvc.yaml").read_text(encoding="utf-8")
    (root / "out" / "dvc.yaml").write_text(text.replace("wdir: ../out", "wdir: sub/.."), encoding="utf-8")
    tracked = find_tracked(root, root / "out" / "packed.bin")
    assert tracked
    assert (tracked.stage, tracked.metrics) == ("pack", {"auc": 0.5})
    assert tracked.dataset == Dataset(name="a", path="data/a.csv", md5=A_CSV)


@pytest.mark.parametrize("name", ["lone.bin", "lone.bin.dvc"])
def test_find_tracked_added_file_is_found_by_either_name(reproduced: Path, name: str) -> None:
    assert find_tracked(reproduced, reproduced / name) == Tracked(reproduced / "lone.bin", digest("12345"), 5, None)


def test_find_tracked_added_folder_counts_its_files(reproduced: Path) -> None:
    tracked = find_tracked(reproduced, reproduced / "bag")
    assert tracked
    assert (tracked.size, tracked.files, tracked.md5[-4:]) == (3, 2, ".dir")


@pytest.mark.parametrize("name", ["train.py", "bag/a", "absent.pkl", "data", "src", ".", "..", "../other.pkl", ".dvc"])
def test_find_tracked_what_dvc_does_not_track_gives_none(reproduced: Path, name: str) -> None:
    assert find_tracked(reproduced, reproduced / name) is None


def test_find_tracked_relative_paths_and_links_lead_there(
    reproduced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(reproduced)
    want = find_tracked(reproduced, reproduced / "model.pkl")
    assert find_tracked(tmp_path / "link", reproduced / "model.pkl") == want
    assert find_tracked(reproduced, tmp_path / "link" / "model.pkl") == want
    monkeypatch.chdir(reproduced / "sub")
    assert find_tracked(Path(".."), Path("../sub/../model.pkl")) == want


def test_find_tracked_artifact_that_links_into_the_cache_is_found(tmp_path: Path) -> None:
    write(tmp_path, "repo/model.pkl.dvc", f"outs:\n- md5: {A_CSV}\n  size: 4\n  hash: md5\n  path: model.pkl\n")
    write(tmp_path, "cache/object", "1,2\n")
    (tmp_path / "repo" / "model.pkl").symlink_to(tmp_path / "cache" / "object")
    tracked = find_tracked(tmp_path / "repo", tmp_path / "repo" / "model.pkl")
    assert tracked
    assert tracked.path == tmp_path / "repo" / "model.pkl"


def test_find_tracked_needs_no_import_of_dvc(reproduced: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mreg.stores.dvc_files.lineage import find_tracked;"
        "assert find_tracked(Path('.'), Path('model.pkl'));"
        "assert not {'dvc', 'ruamel', 'git', 'fsspec'} & {name.partition('.')[0] for name in sys.modules}"
    )
    subprocess.run([sys.executable, "-c", program], cwd=reproduced, env=dict(os.environ), check=True)


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


MD5 = "0123456789abcdef0123456789abcdef"


def lock(root: Path, body: str, name: str = "dvc.lock") -> None:
    write(root, name, "schema: '2.0'\nstages:\n" + indent(dedent(body), "  "))


def found(root: Path, name: str = "m.pkl") -> Tracked:
    tracked = find_tracked(root, root / name)
    assert tracked
    return tracked


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (f"outs:\n- md5: {MD5}\n  size: 5\n  path: m.pkl\n", Tracked(Path("m.pkl"), "", 5, None)),  # DVC 2
        (f"md5: {MD5}\nouts:\n- md5: {MD5}\n  path: m.pkl\n  cache: true\n", Tracked(Path("m.pkl"), "", None, None)),
        ("outs:\n- md5: '12345678901234567890123456789012'\n  hash: md5\n  path: m.pkl\n", None),
        ("outs:\n- md5: 12345678901234567890123456789012\n  hash: md5\n  path: m.pkl\n", None),
        (f"wdir: .\nouts:\n- {{md5: {MD5}, hash: md5, path: ./m.pkl}}\n", Tracked(Path("m.pkl"), MD5, None, None)),
        ("outs:\n- path: m.pkl\n  hash: md5\n  md5:\n", Tracked(Path("m.pkl"), "", None, None)),
        ("outs:\n- etag: abc\n  size: 5\n  path: m.pkl\n", Tracked(Path("m.pkl"), "", 5, None)),
        (
            "outs:\n- path: m.pkl\n  hash: md5\n  size: 9\n  nfiles: 2\n  files:\n  - relpath: a\n    md5: x\n",
            Tracked(Path("m.pkl"), "", 9, 2),
        ),
    ],
)
def test_find_tracked_pointer_of_each_age_is_read(tmp_path: Path, text: str, want: Tracked | None) -> None:
    write(tmp_path, "m.pkl.dvc", text)
    tracked = found(tmp_path)
    if want is None:
        assert tracked.md5 == "12345678901234567890123456789012"
    else:
        assert tracked == Tracked(tmp_path / want.path, want.md5, want.size, want.files)


def test_find_tracked_stage_of_before_pipelines_is_read(tmp_path: Path) -> None:
    text = f"""\
        md5: {MD5}
        cmd: python train.py
        wdir: ..
        deps:
        - md5: {MD5}
          path: data
        - path: train.py
        outs:
        - md5: {MD5}
          path: m.pkl
        - md5: {MD5}
          path: other.pkl
        """
    path = write(tmp_path, "stages/m.pkl.dvc", text)
    write(tmp_path, "stages/other.dvc", text)
    with pytest.raises(DataError, match=r"stages/m\.pkl\.dvc:8: outs: an entry for m\.pkl is needed here"):
        find_tracked(tmp_path, path)
    assert find_tracked(tmp_path, tmp_path / "stages" / "m.pkl") is None
    write(tmp_path, "m.pkl.dvc", text.replace("wdir: ..", "wdir: ."))
    assert found(tmp_path) == Tracked(
        tmp_path / "m.pkl",
        "",
        None,
        None,
        dataset=Dataset(name="data", path="data", md5=MD5),
    )


def test_find_tracked_source_of_an_import_is_no_dataset(tmp_path: Path) -> None:
    text = f"""\
        frozen: true
        deps:
        - path: https://jane:hunter2@host/m.pkl?token=hunter2
          etag: x
        outs:
        - {{md5: {MD5}, hash: md5, path: m.pkl}}
        """
    write(tmp_path, "m.pkl.dvc", text)
    assert found(tmp_path).dataset is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outs: [", "m.pkl.dvc:"),
        ("", "m.pkl.dvc: outs: an entry for m.pkl is needed here"),
        ("- a\n", "m.pkl.dvc: a mapping is expected here"),
        ("meta: {}\nouts:\n- md5: x\n  path: m.pkl\n", "m.pkl.dvc:3: outs.0.md5: 'x' is not an MD5"),
        ("outs:\n- md5: x\n", "m.pkl.dvc:2: outs.0.path: required, but missing"),
        (f"outs:\n- md5: {MD5}\n  path: m.pkl\n  size: -1\n", "m.pkl.dvc:4: outs.0.size: a whole number"),
        (f"outs:\n- md5: {MD5}\n  path: m.pkl\n  nfiles: many\n", "m.pkl.dvc:4: outs.0.nfiles: a whole number"),
        ("outs: m.pkl\n", "m.pkl.dvc:1: outs: a list of mappings is expected here"),
        ("wdir: [a]\nouts: []\n", "m.pkl.dvc:1: wdir: text is expected here"),
        ("<<<<<<< HEAD\nouts: []\n=======\n", "m.pkl.dvc:1: a merge conflict begins here"),
        ("outs: []\na: \x07\n", "m.pkl.dvc"),
    ],
)
def test_find_tracked_malformed_pointer_is_an_error_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, "m.pkl.dvc", text)
    with pytest.raises(DataError) as caught:
        find_tracked(tmp_path, path)
    assert caught.value.message.startswith(message)
    assert caught.value.details["file"] == "m.pkl.dvc"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "  train: {cmd: x, outs: [{path: m.pkl, md5: X}]}\n",
            "dvc.lock:3: stages.train.outs.0.md5: 'X' is not an MD5",
        ),
        ("  train: {cmd: x, outs: m.pkl}\n", "dvc.lock:3: stages.train.outs: a list of mappings is expected here"),
        ("  train: {cmd: x, outs: [m.pkl]}\n", "dvc.lock:3: stages.train.outs.0: a mapping is expected here"),
        ("- m.pkl\n", "dvc.lock:2: stages: a mapping is expected here"),
        ("  train: {path: m.pkl\n", "dvc.lock:"),
        ("<<<<<<< ours\n  m.pkl\n", "dvc.lock:2: stages: a mapping is expected here"),
    ],
)
def test_find_tracked_malformed_lock_of_this_artifact_is_an_error(tmp_path: Path, body: str, message: str) -> None:
    lock(tmp_path, body)
    with pytest.raises(DataError) as caught:
        find_tracked(tmp_path, tmp_path / "m.pkl")
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    "body",
    [
        "  broken: [\n",
        "  broken: 3\n",
        "  broken: {outs: x}\n",
        "  broken: {outs: [x]}\n",
        "  broken: {outs: [{path: 1}]}\n",
        "  broken: {cmd: m.pkl}\n",
        "  broken: {outs: [{path: models/m.pkl}]}\n",
        "  broken: {outs: [{path: ../m.pkl}]}\n",
        "  broken: {outs: [{path: 's3://bucket/m.pkl'}]}\n",
        "<<<<<<< ours\n",
    ],
)
def test_find_tracked_lock_that_is_broken_elsewhere_is_left_out(tmp_path: Path, body: str) -> None:
    lock(tmp_path, body)
    assert find_tracked(tmp_path, tmp_path / "m.pkl") is None


def test_find_tracked_broken_stage_does_not_hide_the_next(tmp_path: Path) -> None:
    lock(tmp_path, f"  a: {{outs: [x]}}\n  b: 3\n  c: {{outs: [{{path: m.pkl, md5: {MD5}, hash: md5}}]}}\n")
    assert found(tmp_path) == Tracked(tmp_path / "m.pkl", MD5, None, None, stage="c")


def test_find_tracked_lock_of_the_first_schema_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        "dvc.lock",
        f"""\
        train:
          cmd: python train.py
          deps:
          - {{path: data.csv, md5: {MD5}}}
          params:
            params.yaml: {{lr: 1e-05, train.epochs: 3}}
          outs:
          - {{path: m.pkl, md5: {MD5}}}
          - {{path: m.json, md5: {MD5}}}
        """,
    )
    write(tmp_path, "dvc.yaml", "stages: {train: {metrics: [m.json]}}")
    write(tmp_path, "m.json", '{"auc": 1}')
    tracked = found(tmp_path)
    assert (tracked.md5, tracked.stage, tracked.metrics) == ("", "train", {"auc": 1})
    assert tracked.params == {"lr": 1e-05, "train.epochs": 3}
    assert tracked.dataset == Dataset(name="data", path="data.csv", md5=MD5)


def test_find_tracked_nearest_lock_wins_and_none_above_the_root_counts(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    for folder, out in (("", "sub/in/m.pkl"), ("sub", "in/m.pkl"), ("..", "repo/sub/in/m.pkl")):
        lock(root / folder, f"  from-{folder or 'root'}: {{outs: [{{path: {out}}}]}}\n")
    assert found(root, "sub/in/m.pkl").stage == "from-sub"
    (root / "sub" / "dvc.lock").unlink()
    assert found(root, "sub/in/m.pkl").stage == "from-root"
    (root / "dvc.lock").unlink()
    assert find_tracked(root, root / "sub" / "in" / "m.pkl") is None


OUT = f"{{path: m.pkl, md5: {MD5}, hash: md5, size: 5}}"


@pytest.mark.parametrize(
    "text",
    [
        "stages: [",
        "- x\n",
        "stages: 3\n",
        "stages: {train: 3}\nmetrics: 3\n",
        "stages: {train: {metrics: 3, wdir: 3, do: 3}}\nmetrics: [3, [4], {}]\n",
        "stages: {train: {metrics: ['${x', '${}', 3, {3: 4}, {}, '../out.json', /etc/hosts, '']}}\n",
        "stages: {train: {metrics: [folder, gone.json, bad.json, bad.toml, list.json, m.pkl, big.json]}}\n",
        "<<<<<<< ours\n",
    ],
)
def test_find_tracked_pipeline_that_cannot_be_read_costs_only_metrics(tmp_path: Path, text: str) -> None:
    root = tmp_path / "repo"
    lock(root, f"  train: {{outs: [{OUT}]}}\n")
    write(root, "dvc.yaml", text)
    write(root, "m.pkl", "{a: 1}")
    write(root, "bad.json", '{"a": 1')
    write(root, "bad.toml", "a = ")
    write(root, "list.json", "[1]")
    write(root, "big.json", '{"a": 1' + " " * 5_000_000 + "}")
    write(tmp_path, "out.json", '{"a": 1}')
    (root / "folder").mkdir()
    assert found(root) == Tracked(root / "m.pkl", MD5, 5, None, stage="train")


def test_find_tracked_metrics_of_several_files_keep_apart(tmp_path: Path) -> None:
    lock(tmp_path, f"  train: {{outs: [{OUT}]}}\n")
    write(tmp_path, "dvc.yaml", "stages: {train: {metrics: [a/m.json, b/m.json, c.yaml, c.yaml]}}\nmetrics: [c.yaml]\n")
    write(tmp_path, "a/m.json", '{"auc": 1, "a": 2, "x:y": 3}')
    write(tmp_path, "b/m.json", '{"auc": 2, "b": 1e999, "a.b": {"c": 1}, "a": {"b": {"c": 2}}}')
    write(tmp_path, "c.yaml", "auc: 3\ndeep: {er: 1e-3}\n")
    assert found(tmp_path).metrics == {"a/m.auc": 1, "a": 2, "c.auc": 3, "deep.er": 0.001}


def test_find_tracked_what_may_not_be_in_a_record_is_left_out(tmp_path: Path) -> None:
    secret = "ghp_" + "a" * 36
    lock(
        tmp_path,
        f"""\
          train:
            cmd: python train.py --token {secret}
            params:
              params.yaml: {{token: {secret}, nan: .nan, "a:b": 1, ok: 1, deep: {{1: x, y: "\\u202e"}}}}
              broken.yaml: 3
              twice.yaml: {{a.b: 1, a: {{b: 2}}}}
            deps: [3, {{md5: x}}, {{path: 3}}, {{path: 'a.csv', md5: x}}]
            outs: [{OUT}]
        """,
    )
    tracked = found(tmp_path)
    assert tracked.params == {"nan": "nan", "ok": 1, "deep.1": "x"}
    assert tracked.dataset == Dataset(name="a", path="a.csv", md5="")


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["data.csv"], "data"),
        (["data"], "data"),
        (["data.tar.gz", "train.py", "Train.R", "nb.ipynb", "prepare.SH"], "data.tar"),
        (
            [
                "data",
                "params.yaml",
                "conf.toml",
                "requirements-dev.txt",
                "Dockerfile",
                "Makefile",
                ".env",
                "poetry.lock",
            ],
            "data",
        ),
        (["data", "lib"], "data"),
        (["ds://customers"], "customers"),
        (["s3://bucket/train.parquet", "train.py"], "train"),
        (["a.csv", "b.csv"], None),
        (["train.py"], None),
        ([], None),
    ],
)
def test_find_tracked_dataset_is_the_one_dependency_that_is_data(
    tmp_path: Path, paths: list[str], name: str | None
) -> None:
    write(tmp_path, "lib/code.py", "")
    write(tmp_path, "data/a.csv", "")
    deps = ", ".join(f"{{path: '{path}', md5: {MD5}}}" for path in paths)
    lock(tmp_path, f"  train: {{cmd: x, deps: [{deps}], outs: [{OUT}]}}\n")
    assert found(tmp_path).dataset == (None if name is None else Dataset(name=name, path=paths[0], md5=MD5))


def test_find_tracked_file_that_cannot_be_read_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "dvc.lock")
    assert find_tracked(tmp_path, tmp_path / "m.pkl") is None
    if os.geteuid():
        write(tmp_path, "m.pkl.dvc", "outs: []").chmod(0)
        with pytest.raises(StorageError):
            find_tracked(tmp_path, tmp_path / "m.pkl")


def test_find_tracked_deep_and_shared_params_are_left_out_in_time(tmp_path: Path) -> None:
    bomb = "\n".join(f"        a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 15))
    lock(
        tmp_path,
        f"  train:\n    outs: [{OUT}]\n    params:\n      p.yaml:\n        a0: &a0 {{b: 1}}\n{bomb}\n"
        f"      q.yaml: {{lr: 1, deep: {'[' * 40}{']' * 40}, deeper: {'{a: ' * 40}1{'}' * 40}}}\n",
    )
    assert found(tmp_path).params == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab: -{}[]'\"#|>&*?!$,\nmouts.pklstagesmd5path0", max_size=60))
def test_find_tracked_any_file_gives_an_answer_or_a_data_error(tmp_path: Path, text: str) -> None:
    for name in ("dvc.lock", "dvc.yaml", "m.pkl.dvc"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with suppress(DataError):
        tracked = find_tracked(tmp_path, tmp_path / "m.pkl")
        assert tracked is None or tracked.path == tmp_path / "m.pkl"
