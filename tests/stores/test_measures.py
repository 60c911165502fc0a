from __future__ import annotations

import json
import math
from collections import OrderedDict, deque
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.errors import NotFoundError, StorageError, UsageError
from mreg.stores import yaml
from mreg.stores.measures import as_metrics, as_params, flatten, parse_assignments, read_measures

SECRET = "ghp_" + "a" * 36
NAMES = st.from_regex(r"[A-Za-z0-9_\-./@%]{1,100}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-3", -3),
        ("+5", 5),
        ("0.913", 0.913),
        ("1e-5", 1e-05),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("2E3", 2000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", ""),
        ("007", "007"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        ("nan", "nan"),
        ("-inf", "-inf"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("٣", "٣"),
        ("1,5", "1,5"),
        ("None", "None"),
        ("a=b", "a=b"),
        ("adam w", "adam w"),
    ],
)
def test_parse_assignments_value_is_told_from_its_spelling(text: str, value: object) -> None:
    parsed = parse_assignments([f"k={text}"], "param")
    assert parsed == {"k": value}
    assert type(parsed["k"]) is type(value)


def test_parse_assignments_several_pairs_keep_their_order() -> None:
    assert list(parse_assignments([" b = 1 ", "a=2", "precision@k/test 95%=3"], "metric").items()) == [
        ("b", 1),
        ("a", 2),
        ("precision@k/test 95%", 3),
    ]
    assert parse_assignments([], "metric") == {}


@pytest.mark.parametrize(
    ("pairs", "message", "hint"),
    [
        (["auc"], "--metric: 'auc' has no '='", "write it as --metric name=value"),
        (["=1"], "--metric: '' cannot be a name", "names are 1 to 100 letters"),
        ([" =1"], "--metric: '' cannot be a name", "names are 1 to 100 letters"),
        (["a=1", "a=1"], "--metric: 'a' is given twice", "give it once"),
        (["a:b=1"], "--metric: 'a:b' cannot be a name", "names are 1 to 100 letters"),
        (["a\nb=1"], r"--metric: 'a\nb' cannot be a name", "names are 1 to 100 letters"),
        ([f"{'a' * 101}=1"], f"--metric: '{'a' * 100}' cannot be a name", "names are 1 to 100 letters"),
        (["a=b\x1bc"], "the value of 'a' in --metric holds the character U+001B at position 2", "type that part again"),
        ([f"a={SECRET}"], "the value of 'a' in --metric holds a GitHub token", "take it out"),
        ([f"{SECRET}=a"], "the name in --metric holds a GitHub token", "take it out"),
    ],
)
def test_parse_assignments_wrong_pair_is_refused(pairs: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_assignments(pairs, "metric")
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


@given(st.dictionaries(NAMES, st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()))
def test_parse_assignments_numbers_come_back(values: dict[str, int | float | bool]) -> None:
    parsed = parse_assignments([f"{name}={value}" for name, value in values.items()], "param")
    assert {name: (type(value), value) for name, value in parsed.items()} == {
        name: (type(value), value) for name, value in values.items()
    }


@given(st.text())
def test_parse_assignments_any_text_gives_values_or_a_usage_error(text: str) -> None:
    try:
        values = parse_assignments([text], "param")
    except UsageError:
        return
    assert yaml.load(yaml.dump(values).encode(), "f") == values


FILES = {
    "m.json": '{"test": {"auc": 0.9, "n": 3}, "layers": [1, [2]], "name": "x"}',
    "m.JSON": '\ufeff{"test": {"auc": 0.9, "n": 3}, "layers": [1, [2]], "name": "x"}',
    "m.yaml": "test:\n  auc: 0.9\n  n: 3\nlayers: [1, [2]]\nname: x\n",
    "m.yml": "test: {auc: 0.9, n: 3}\r\nlayers:\r\n- 1\r\n- [2]\r\nname: x\r\n",
    "m.toml": 'layers = [1, [2]]\nname = "x"\n[test]\nauc = 0.9\nn = 3\n',
}


@pytest.mark.parametrize("name", FILES)
def test_read_measures_each_format_gives_flat_values(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name].encode())
    assert read_measures(path, "metrics") == {"test.auc": 0.9, "test.n": 3, "layers": [1, [2]], "name": "x"}


def test_read_measures_toml_times_and_yaml_dates_are_text(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("day = 2026-10-01\nat = 2026-10-01T07:30:00Z\nhour = 07:30:00\n", encoding="utf-8")
    (tmp_path / "p.yaml").write_text("day: 2026-10-01\non: yes\n0: a\n", encoding="utf-8")
    assert read_measures(tmp_path / "p.toml", "params") == {
        "day": "2026-10-01",
        "at": "2026-10-01T07:30:00+00:00",
        "hour": "07:30:00",
    }
    assert read_measures(tmp_path / "p.yaml", "params") == {"day": "2026-10-01", "on": "yes", "0": "a"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.json", "", "m.json: the file is empty"),
        ("m.json", " \n\t", "m.json: the file is empty"),
        ("m.json", "{}", "m.json: it holds no metrics"),
        ("m.yaml", "# nothing yet\n", "m.yaml: it holds no metrics"),
        ("m.json", "[1]", "m.json: a mapping of names to values is needed, and this is a list: [1]"),
        ("m.yaml", "- a: 1\n", "m.yaml: a mapping of names to values is needed, and this is a list: [{'a': 1}]"),
        ("m.json", "null", "m.json: a mapping of names to values is needed, and this is empty"),
        ("m.json", '{"a": 1,\n"a": 2}', "m.json: key 'a' appears twice"),
        ("m.json", '{"a": {"b": 1}, "a.b": 2}', "m.json: 'a.b' appears twice"),
        ("m.yaml", "a: 1\na: 2\n", "m.yaml:2: key 'a' appears twice"),
        ("m.toml", "a = 1\na = 2\n", "m.toml: Cannot overwrite a value (at line 2"),
        ("m.json", '{"a": 1,\n b}', "m.json:2: Expecting property name"),
        ("m.json", f'{{"a": {"9" * 5000}}}', "m.json: a number in it has too many digits"),
        ("m.yaml", "a: b: c\n", "m.yaml:1: mapping values are not allowed"),
        ("m.yaml", "a: &x 1\nb: *x\n", "m.yaml:1: anchors"),
        ("m.toml", "a = \n", "m.toml: Invalid value (at line 1"),
        ("m.json", '{"a": "\\u0000"}', "the value of 'a' in m.json holds the character U+0000"),
        ("m.json", '{"a": ["x", "\\ud800"]}', "the value of 'a' in m.json holds the character U+D800"),
        ("m.yaml", f"a: [{{token: {SECRET}}}]\n", "the value of 'a.token' in m.yaml holds a GitHub token"),
        ("m.json", '{"a": [{"\\u202e": 1}]}', "the name in m.json holds the character U+202E"),
        ("m.json", '{"": 1}', "m.json: '' cannot be a name"),
        ("m.yaml", "true: 1\n", "m.yaml: the name True is not text"),
        ("m.txt", "a: 1", "m.txt: no metrics can be read from a file of this kind"),
        ("metrics", "a: 1", "metrics: no metrics can be read from a file of this kind"),
    ],
)
def test_read_measures_unfit_file_is_refused_with_a_hint(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_measures(Path(name), "metrics")
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("m.json", '{"a": NaN}', "nan"),
        ("m.json", '{"a": -Infinity}', "-inf"),
        ("m.json", '{"a": 1e999}', "inf"),
        ("m.yaml", "a: .nan\n", "nan"),
        ("m.toml", "a = inf\n", "inf"),
    ],
)
def test_read_measures_number_that_is_not_finite_is_text_and_no_metric(
    tmp_path: Path, name: str, content: str, value: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = read_measures(Path(name), "params")
    assert found == {"a": value}
    with pytest.raises(UsageError, match=f"metric 'a' is {value}, which is not a finite number"):
        as_metrics(found, name)


@pytest.mark.parametrize("data", [b"{}\0", b"\x80\x04\x95", '{"a": 1}'.encode("utf-16")])
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".toml"])
def test_read_measures_binary_file_is_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="this is not text"):
        read_measures(path, "metrics")


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".toml"])
def test_read_measures_huge_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UsageError, match="more than 4 MiB"):
        read_measures(path, "metrics")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"a":' * 40 + "1" + "}" * 40])
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".toml"])
def test_read_measures_deep_file_is_refused(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_text(f"a = {text}" if suffix == ".toml" else text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_measures(path, "metrics")


def test_read_measures_absent_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_measures(tmp_path / "m.json", "metrics")


def test_read_measures_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").mkdir()
    with pytest.raises(UsageError, match="this is not a file"):
        read_measures(tmp_path / "m.json", "metrics")


def test_read_measures_unreadable_file_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.symlink_to(path)
    with pytest.raises(StorageError):
        read_measures(path, "metrics")


def test_flatten_nested_names_are_joined_and_lists_stay() -> None:
    nested = {"a": {"b": {"c": 1}, "d": [{"e": 2}]}, "f": {}, 0: MappingProxyType({"g": None})}
    assert flatten(nested) == {"a.b.c": 1, "a.d": [{"e": 2}], "f": {}, "0.g": None}  # type: ignore[arg-type]


def test_flatten_endless_mapping_is_refused() -> None:
    endless: dict[str, object] = {}
    endless["a"] = endless
    with pytest.raises(UsageError, match="more than 32 levels"):
        flatten(endless)


def test_flatten_bomb_of_shared_mappings_is_refused() -> None:
    bomb: dict[str, object] = {"a": 1}
    for _ in range(30):
        bomb = {"a": bomb, "b": bomb}
    with pytest.raises(UsageError, match=r"^x: more than 10000 values"):
        flatten(bomb, "x")


@pytest.mark.parametrize("key", [None, True, 1.5, ("a",), b"a"])
def test_flatten_name_that_is_no_text_is_refused(key: object) -> None:
    with pytest.raises(UsageError, match="is not text"):
        flatten({key: 1})  # type: ignore[dict-item]


class Level(IntEnum):
    HIGH = 3


class Kind(str, Enum):
    GBM = "gbm"


class Grade(Enum):
    GOOD = 0.75


class Box:
    """A scalar as PyTorch and JAX have them."""

    def __init__(self, value: float, *shape: int) -> None:
        self.shape, self.ndim, self._value = shape, len(shape), value

    def item(self) -> float:
        return self._value


class Tensor:
    """A scalar as TensorFlow has it."""

    ndim = 0

    def __float__(self) -> float:
        return 0.5


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (-0.5, -0.5),
        (10**30, 10**30),
        (np.float64(0.9), 0.9),
        (np.float32(0.5), 0.5),
        (np.longdouble("0.5"), 0.5),
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (np.array(0.25), 0.25),
        (np.array([[0.25]]), 0.25),
        (Box(0.25), 0.25),
        (Tensor(), 0.5),
        (Level.HIGH, 3),
        (Grade.GOOD, 0.75),
        (Fraction(1, 4), 0.25),
        (Decimal("0.25"), 0.25),
    ],
)
def test_as_metrics_any_finite_number_becomes_a_plain_one(value: object, number: float) -> None:
    metrics = as_metrics({"auc": value}, "metrics")
    assert metrics == {"auc": number}
    assert type(metrics["auc"]) is type(number)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "metrics: metric 'auc' is not a finite number"),
        (-math.inf, "metrics: metric 'auc' is not a finite number"),
        (np.float64("nan"), "metrics: metric 'auc' is not a finite number"),
        (10**400, "metrics: metric 'auc' is not a finite number"),
        (True, "metrics: metric 'auc' is true or false: True, but a metric is a number"),
        (np.True_, "metrics: metric 'auc' is true or false: True, but a metric is a number"),
        ("0.9", "metrics: metric 'auc' is text: '0.9', but a metric is a number"),
        (None, "metrics: metric 'auc' is empty, but a metric is a number"),
        ({}, "metrics: metric 'auc' is a mapping: {}, but a metric is a number"),
        (np.array([0.5, 1]), "metrics: metric 'auc' is ndarray: array([0.5, 1. ]), but a metric is a number"),
        (np.array([]), "metrics: metric 'auc' is ndarray: array([], dtype=float64), but a metric is a number"),
        (np.ma.masked, "metrics: metric 'auc' is empty, but a metric is a number"),
        (Decimal("sNaN"), "metrics: metric 'auc' is not a finite number"),
        (Path("x"), "metrics: metric 'auc' is text: 'x', but a metric is a number"),
        (list(range(100)), "metrics: metric 'auc' is a list: [0, 1, 2,"),
        (1j, "metrics: metric 'auc' is complex: 1j"),
        (np.datetime64("2026-10-01"), "metrics: metric 'auc' is text: '2026-10-01'"),
    ],
)
def test_as_metrics_other_value_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_metrics({"ok": 1, "auc": value}, "metrics")
    assert caught.value.message.startswith(message)
    assert caught.value.hint == "leave it out, or keep it among the parameters: params={'auc': …}"
    assert caught.value.details == {"where": "metrics", "key": "auc"}


def test_as_metrics_nested_mapping_is_flattened() -> None:
    assert as_metrics({"test": OrderedDict(auc=0.9), "n": 3}, "metrics") == {"test.auc": 0.9, "n": 3}


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a\tb", "a:b", "a=b", "a,b", "[a]", "a\u200bb", "e\u0301", "a" * 101, "a\u202eb", "ü\n"]
)
def test_as_metrics_name_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        as_metrics({name: 1}, "metrics")


@pytest.mark.parametrize("name", ["a", "f1@5", "eval/AUC-95%", "top 5 accuracy", "ü", "精度", "a" * 100, "-", "."])
def test_as_metrics_name_in_the_grammar_is_kept(name: str) -> None:
    assert as_metrics({name: 1}, "metrics") == {name: 1}


def test_as_params_plain_data_is_kept_and_subclasses_become_plain() -> None:
    params = as_params(
        {
            "text": np.str_("x"),
            "kind": Kind.GBM,
            "level": Level.HIGH,
            "rate": np.float32(0.5),
            "on": np.True_,
            "none": None,
            "shape": (1, np.int8(2)),
            "steps": [{"a": (1,), 0: MappingProxyType({})}],
            "day": date(2026, 10, 1),
            "prompt": " two\nlines ",
            "huge": 10**300,
            "grade": Grade.GOOD,
            "folder": Path("a") / "b",
            "share": Decimal("0.5"),
            "missing": math.nan,
            "bounds": [-math.inf, np.float32("inf")],
            "alphas": np.array([[1, 2.5]]),
            "scale": Box(2.0),
            "columns": {"b", "a"},
            "layers": range(2),
            "queue": deque([1]),
        },
        "params",
    )
    assert repr(params) == repr(
        {
            "text": "x",
            "kind": "gbm",
            "level": 3,
            "rate": 0.5,
            "on": True,
            "none": None,
            "shape": [1, 2],
            "steps": [{"a": [1], "0": {}}],
            "day": "2026-10-01",
            "prompt": " two\nlines ",
            "huge": 10**300,
            "grade": 0.75,
            "folder": "a/b",
            "share": 0.5,
            "missing": "nan",
            "bounds": ["-inf", "inf"],
            "alphas": [[1.0, 2.5]],
            "scale": 2.0,
            "columns": ["a", "b"],
            "layers": [0, 1],
            "queue": [1],
        }
    )


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        [bytearray(b"x")],
        memoryview(b"x"),
        object(),
        Box(0.5, 2),
        1j,
        {1j},
        as_params,
        10**400,
    ],
)
def test_as_params_other_value_is_refused_by_name(value: object) -> None:
    with pytest.raises(UsageError, match=r"^params: 'missing' (is|has) ") as caught:
        as_params({"missing": value}, "params")
    assert caught.value.details == {"where": "params", "key": "missing"}


@pytest.mark.parametrize(
    "value", [[0.5] * 10_001, [[0.5] * 101] * 100, np.zeros(10_001), np.broadcast_to(np.zeros(1), (10**12,))]
)
def test_as_params_weights_for_parameters_are_refused(value: object) -> None:
    with pytest.raises(UsageError, match="'w' brings it to more than 10000 values"):
        as_params({"w": value}, "params")


def test_as_params_endless_list_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(UsageError, match="'a' has more than 32 levels"):
        as_params({"a": endless}, "params")


@pytest.mark.parametrize("value", [SECRET, ["x", {"y": SECRET}], [{SECRET: 1}]])
def test_as_params_secret_at_any_depth_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="holds a GitHub token"):
        as_params({"a": value}, "params")


SCALARS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
TREES = st.recursive(
    SCALARS | st.text("ab \n#:-'", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_as_params_what_passes_survives_the_record(values: dict[str, object]) -> None:
    try:
        params = as_params(values, "params")
    except UsageError:
        return
    assert yaml.load(yaml.dump({"params": params}).encode(), "f") == {"params": params}
    assert json.loads(json.dumps(params, allow_nan=False)) == params
    assert as_params(params, "params") == params


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "+Infinity"])
def test_metric_that_is_typed_as_no_finite_number_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="which is not a finite number"):
        as_metrics(parse_assignments([f"auc={text}"], "metric"), "--metric")


def test_as_metrics_number_beyond_all_is_no_text() -> None:
    with pytest.raises(UsageError, match="metric 'a' is -1e400, which is not a finite number"):
        as_metrics({"a": "-1e400"}, "--metric")
    with pytest.raises(UsageError, match=r"metric 'a' is text: '0\.5', but a metric is a number"):
        as_metrics({"a": "0.5"}, "metrics.json")
