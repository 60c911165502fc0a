"""Formats told from real bytes: what scikit-learn, joblib, NumPy and hand-made containers write."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mreg.core.versions.formats import HEAD_SIZE, recognise_directory, recognise_file, unsafe_reason


@pytest.fixture(scope="module")
def model() -> LogisticRegression:
    return LogisticRegression().fit(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1]))


class Old:
    """Pickled with its name, as a model's class is."""


def head(content: bytes) -> bytes:
    return content[:HEAD_SIZE]


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_recognise_file_pickled_model_is_pickle_whatever_its_name(model: LogisticRegression, protocol: int) -> None:
    content = pickle.dumps(model, protocol=protocol)
    assert recognise_file("model.bin", head(content)) == "pickle"
    assert recognise_file("model.pkl", head(content)) == "pickle"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_recognise_file_small_pickle_with_suffix_is_pickle(protocol: int) -> None:
    assert recognise_file("a.pkl", pickle.dumps({"threshold": 0.5}, protocol=protocol)) == "pickle"
    assert recognise_file("a.pkl", pickle.dumps(Old(), protocol=protocol)) == "pickle"


def test_recognise_file_large_pickle_is_told_from_its_head() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps([Old(), ["x" * 100] * 1000, list(range(10_000))], protocol=protocol)
        assert recognise_file("weights", head(content)) == "pickle"


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_recognise_file_joblib_dump_is_joblib(model: LogisticRegression, tmp_path: Path, compress: object) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump({"model": model, "more": np.arange(100_000)}, path, compress=compress)
    assert recognise_file("model.joblib", head(path.read_bytes())) == "joblib"


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("lzma", 3), ("xz", 3)])
def test_recognise_file_joblib_dump_without_suffix_is_unsafe_all_the_same(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "model"
    joblib.dump({"more": np.arange(100_000)}, path, compress=compress)
    assert recognise_file("model", head(path.read_bytes())) == "joblib"


@pytest.mark.parametrize("name", ["m.joblib", "m.pkl.lz4"])
def test_recognise_file_lz4_rests_on_the_name(name: str) -> None:
    assert recognise_file(name, b"\x04\x22\x4d\x18" + bytes(100)) == "joblib"
    assert recognise_file("table.lz4", b"\x04\x22\x4d\x18" + bytes(100)) == ""


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_recognise_file_compressed_table_is_unknown(pack: object) -> None:
    assert callable(pack)
    assert recognise_file("table.csv", pack(b"id,churned\n1,0\n")) == ""


@pytest.mark.parametrize("start", [b"BZh", b"\xfd7zXZ\x00", b"\x1f\x8b"])
def test_recognise_file_broken_compression_is_unknown(start: bytes) -> None:
    assert recognise_file("table", start + b"\xff" * 20) == ""


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (("m/data.pkl", "m/version", "m/data/0"), "torch-zip"),
        (("m/constants.pkl", "m/data.pkl", "m/code/__torch__.py", "m/version"), "torchscript"),
        (("schema.json", "0.npy"), "skops"),
        (("metadata.json", "config.json", "model.weights.h5"), "keras"),
        (("arr_0.npy", "arr_1.npy"), "numpy"),
        (("model.pkl", "readme.txt"), "pickle"),
        (("readme.txt",), ""),
        ((), ""),
    ],
)
def test_recognise_file_zip_is_told_by_its_members(members: tuple[str, ...], expected: str) -> None:
    assert recognise_file("model.pt", head(zipped(*members)), dict.fromkeys(members, b"")) == expected


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return head(buffer.getvalue())


def old_npy(descr: str, version: bytes = b"\x01\x00") -> bytes:
    """As other versions of NumPy wrote it, or as somebody made it up."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (4,), }}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little") + header


SAFE_ARRAYS = [
    npy(np.arange(3)),
    npy(np.array(["O", "object"])),
    npy(np.array([("O", 1.0)], dtype=[("NO", "S1"), ("Offset", "<f8")])),
    old_npy("'<f8'", b"\x02\x00") + b"'O'",
]
OBJECT_ARRAYS = [
    npy(np.array([Old()], dtype=object)),
    npy(np.array([(1, Old())], dtype=[("}", "<i4"), ("b", object)])),
    old_npy("'|O8'"),
    old_npy("'O'", b"\x02\x00"),
    old_npy('"O"', b"\x03\x00"),
    old_npy("'i4,O'"),
    old_npy("'object'"),
    old_npy("'\\x4f'"),
    npy(np.zeros(1, dtype=[(f"field_{number}", "<i4") for number in range(1000)])),  # who knows what comes later
]


@pytest.mark.parametrize("content", SAFE_ARRAYS)
def test_recognise_file_array_of_numbers_is_numpy(content: bytes) -> None:
    assert recognise_file("a.npy", content) == "numpy"
    assert recognise_file("a.npz", b"PK\x03\x04", {"a.npy": content, "b.npy": SAFE_ARRAYS[0]}) == "numpy"


@pytest.mark.parametrize("content", OBJECT_ARRAYS)
def test_recognise_file_array_of_objects_is_a_pickle(content: bytes) -> None:
    assert recognise_file("a.npy", content) == "numpy+pickle"
    assert recognise_file("a.npz", b"PK\x03\x04", {"a.npy": SAFE_ARRAYS[0], "b.npy": content}) == "numpy+pickle"


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def onnx(producer: bytes = b"skl2onnx") -> bytes:
    return b"\x08\x0a\x12" + bytes([len(producer)]) + producer + b"\x1a\x011\x3a\x00"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.safetensors", safetensors(), "safetensors"),
        ("m.onnx", onnx(), "onnx"),
        ("m", onnx(), "onnx"),
        ("m.onnx", b"\x08\x07\x3a\x10" + bytes(8), "onnx"),
        ("m", b"\x08\x07\x3a\x10" + bytes(8), ""),
        ("m", onnx(b"\x00\x01"), ""),
        ("m.onnx", b"\x08\x07\x00\x00", ""),
        ("m.onnx", b"text", ""),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(8), "hdf5"),
        ("m.gguf", b"GGUF\x03\x00\x00\x00", "gguf"),
        ("m.cbm", b"CBM1" + bytes(8), "catboost"),
        ("m.txt", b"tree\nversion=v4\n", "lightgbm"),
        ("m.tflite", b"\x1c\x00\x00\x00TFL3", "tflite"),
        ("m.json", b'{"learner":{"attributes":{}}}', "xgboost"),
        ("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{L", "xgboost"),
    ],
)
def test_recognise_file_by_the_start(name: str, content: bytes, expected: str) -> None:
    assert recognise_file(name, content) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"c",
        b"import sklearn\n",
        b"customer,age\n1,2\n",
        b"class Model:\n    pass\n",
        b"(a note)\nto the reader.\n",
        b"{}",
        b'{"threshold": 0.5}',
        b"\x80",
        b"\x80\x04",
        b"\x80\xff\x00",
        b"hello.",
        bytes(8) + b"{",
        b"x",
    ],
)
def test_recognise_file_text_and_scraps_are_unknown(content: bytes) -> None:
    assert recognise_file("notes", content) == ""


@given(st.binary(max_size=200), st.text(max_size=20), st.dictionaries(st.text(max_size=10), st.binary(), max_size=3))
def test_recognise_file_takes_any_bytes(content: bytes, name: str, members: dict[str, bytes]) -> None:
    assert isinstance(recognise_file(name, content, members), str)


@given(st.sampled_from([b"\x80\x04", b"\x80\x02", b"c", b"(", b"PK\x03\x04", b"\x1f\x8b", b"\x93NUMPY"]), st.binary())
def test_recognise_file_takes_any_broken_file(start: bytes, rest: bytes) -> None:
    assert isinstance(recognise_file("model.pkl", start + rest), str)


def test_recognise_file_bears_escapes_that_python_warns_of() -> None:
    head = b"\x80\x02]q\x00S'a\\=b'\n."
    assert recognise_file("model.bin", head) == "pickle"


def test_recognise_directory_joins_the_formats_of_its_files() -> None:
    files = [("config.json", ""), ("a.safetensors", "safetensors"), ("b.safetensors", "safetensors")]
    assert recognise_directory(files) == "safetensors"
    assert recognise_directory([*files, ("old/optimizer.bin", "pickle")]) == "pickle+safetensors"
    assert recognise_directory([("notes.txt", "")]) == ""


def test_recognise_directory_knows_layouts() -> None:
    assert recognise_directory([("saved_model.pb", ""), ("variables/variables.index", "")]) == "savedmodel"
    assert recognise_directory([("MLmodel", ""), ("model.pkl", "pickle")]) == "mlflow+pickle"


@pytest.mark.parametrize(
    "format_name",
    [
        *("pickle", "joblib", "torch-zip", "torchscript", "savedmodel", "keras", "hdf5"),
        *("sklearn-pickle", "Pickle", "joblib ", "onnx-joblib", "TorchScript"),  # named by hand
    ],
)
def test_unsafe_reason_says_why(format_name: str) -> None:
    assert unsafe_reason(format_name)


@pytest.mark.parametrize("format_name", ["", "safetensors", "onnx", "skops", "gguf", "numpy", "xgboost", "made-up"])
def test_unsafe_reason_is_empty_for_mere_values(format_name: str) -> None:
    assert unsafe_reason(format_name) == ""


def test_unsafe_reason_of_a_directory_names_each_once() -> None:
    assert unsafe_reason("mlflow+pickle+safetensors") == unsafe_reason("pickle")
    assert unsafe_reason("pickle+torchscript") == f"{unsafe_reason('pickle')}; {unsafe_reason('torchscript')}"


@pytest.mark.parametrize(
    "head",
    [
        b"\x80\x01cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.",
        b"\x8c\x05posix\x8c\x06system\x93.",
        b"cposix\nsystem\n(S'id'\ntR.garbage\xff\xfe",
        b"anything else",
    ],
)
def test_recognise_file_named_like_a_pickle_is_one_where_nothing_else_explains_it(head: bytes) -> None:
    assert recognise_file("m.pkl", head) == "pickle"


def test_recognise_file_named_like_a_pickle_is_what_its_bytes_say() -> None:
    assert recognise_file("m.pkl", b"GGUF\x03\x00\x00\x00") == "gguf"
    assert recognise_file("m.pkl", b"") == ""
