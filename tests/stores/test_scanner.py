"""Scanning: what runs code is named, what cannot be read is never clean, and nothing is ever loaded."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.review.gates import Scan
from mreg.stores.scanner import MAX_DEPTH, MAX_PICKLES, scan_pickles

CANARY = "canary"
"""What the dangerous pickles would make, were one of them loaded."""


class Attack:
    def __init__(self, call: object = os.system, *args: object) -> None:
        self._call = (call, args or (f"touch {CANARY}",))

    def __reduce__(self) -> tuple[object, object]:
        return self._call


GOOD = pickle.dumps({"kind": "threshold", "at": 0.5}, protocol=4)
EVIL = pickle.dumps(Attack(), protocol=4)
FLOATS = struct.pack("<64f", *range(64))
SAFETENSORS = struct.pack("<Q", 2) + b"{}"
TENSOR = (  # what torch.save writes of one tensor, as far as its names go
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02ctorch\nFloatStorage\nq\x03."
)


@pytest.fixture(autouse=True)
def canary(tmp_path: Path) -> object:
    yield
    assert not list(tmp_path.rglob(CANARY)), "a pickle was loaded"


def make(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pack(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def dump_joblib(value: object, compress: int = 0) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=compress)
    return buffer.getvalue()


def save(value: object, **arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays) if arrays else np.save(buffer, value, allow_pickle=True)  # type: ignore[arg-type]
    return buffer.getvalue()


def dump_old_torch(model: bytes, *, end: int | None = None) -> bytes:
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    return b"".join([*(pickle.dumps(part, protocol=2) for part in parts), model, pickle.dumps(["0"], 2), FLOATS])[:end]


def check_clean(found: Scan, message: str = "") -> None:
    assert found.is_clean, found.message
    assert found.tool.startswith("picklescan 1.")
    assert found.message == message


def check_found(found: Scan, *words: str) -> None:
    assert not found.is_clean
    assert found.tool.startswith("picklescan 1.")
    assert found.message.isascii()
    assert found.message.isprintable()
    for word in words:
        assert word in found.message


@pytest.mark.parametrize("protocol", range(6))
def test_scan_plain_pickle_is_clean(tmp_path: Path, protocol: int) -> None:
    check_clean(scan_pickles(make(tmp_path / "m.pkl", pickle.dumps({"a": [1, 2.5, "x"]}, protocol=protocol))))


def test_scan_names_what_is_on_no_list(tmp_path: Path) -> None:
    content = pickle.dumps([Counter("aab"), OrderedDict(a=1)], protocol=4)
    check_clean(scan_pickles(make(tmp_path / "m.pkl", content)), "picklescan has on no list: collections.Counter")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.bin", "m"])
def test_scan_dangerous_pickle_names_the_global(tmp_path: Path, protocol: int, name: str) -> None:
    found = scan_pickles(make(tmp_path / name, pickle.dumps({"a": Attack()}, protocol=protocol)))
    check_found(found, f"'{name}' asks for {os.system.__module__}.system")


def test_scan_names_all_of_several_dangers(tmp_path: Path) -> None:
    content = pickle.dumps([Attack(eval, "1"), Attack(exec, "1"), Attack()], protocol=4)
    check_found(scan_pickles(make(tmp_path / "m.pkl", content)), "builtins.eval, builtins.exec, posix.system")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD + EVIL, id="second pickle"),
        pytest.param(b"\x80\x01cposix\nsystem\n(S'true'\ntR.", id="protocol 1 that says so"),
        pytest.param(b"cposix\nsystem\n(S'true'\ntR\xff", id="fails once it has run"),
        pytest.param(b"\x8c\x05posix\x8c\x06system\x93.", id="no protocol"),
        pytest.param(EVIL[:-1], id="no end"),
        pytest.param(EVIL + b"\n\n", id="garbage behind it"),
    ],
)
@pytest.mark.parametrize("name", ["m.pkl", "m.bin"])
def test_scan_danger_is_found_however_it_is_wrapped(tmp_path: Path, content: bytes, name: str) -> None:
    check_found(scan_pickles(make(tmp_path / name, content)), "posix.system")


@pytest.mark.parametrize("cut", [1, 2, len(GOOD) // 2, len(GOOD) - 1])
def test_scan_truncated_pickle_is_not_clean(tmp_path: Path, cut: int) -> None:
    # picklescan alone finds no names in it, calls it no pickle, and passes it.
    check_found(scan_pickles(make(tmp_path / "m.pkl", GOOD[:cut])), "'m.pkl' could not be read to its end")


@pytest.mark.parametrize("content", [b"\x00" * 100, b"hello\n", os.urandom(5000), b"\x1f\x8b\x08\x00", b"\x93" * 9])
def test_scan_what_is_named_a_pickle_must_be_one(tmp_path: Path, content: bytes) -> None:
    check_found(scan_pickles(make(tmp_path / "m.pkl", content)), "'m.pkl' could not be read to its end")


@given(st.binary(max_size=40), st.integers(0, len(GOOD)))
def test_scan_inserted_bytes_raise_nothing(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    path = make(tmp_path_factory.mktemp("any") / "m.pkl", GOOD[:at] + junk + GOOD[at:])
    found = scan_pickles(path)
    assert isinstance(found.is_clean, bool)


def test_scan_file_of_unknown_format_is_not_clean(tmp_path: Path) -> None:
    check_found(scan_pickles(make(tmp_path / "m.bin", FLOATS)), "its format is not known")


def test_scan_file_of_a_safe_format_is_clean(tmp_path: Path) -> None:
    check_clean(scan_pickles(make(tmp_path / "m.safetensors", SAFETENSORS)))
    check_clean(scan_pickles(make(tmp_path / "m.npy", save(np.arange(9.0)))))


def test_scan_too_many_pickles_in_a_file(tmp_path: Path) -> None:
    check_clean(scan_pickles(make(tmp_path / "m.pkl", b"N." * MAX_PICKLES)))
    found = scan_pickles(make(tmp_path / "m.pkl", b"N." * (MAX_PICKLES + 1)))
    check_found(found, f"more than {MAX_PICKLES} pickles")


def test_scan_joblib_without_arrays_is_clean(tmp_path: Path) -> None:
    check_clean(scan_pickles(make(tmp_path / "m.joblib", dump_joblib({"a": 1}))))


def test_scan_joblib_with_arrays_is_not_clean(tmp_path: Path) -> None:
    found = scan_pickles(make(tmp_path / "m.joblib", dump_joblib({"w": np.arange(10.0)})))
    check_found(found, "'m.joblib' could not be read to its end: joblib keeps arrays between the opcodes")


def test_scan_joblib_array_that_hides_an_attack_is_not_clean(tmp_path: Path) -> None:
    # What is the array's bytes to joblib is an opcode to picklescan, which takes the attack for its argument.
    wrapper = b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93"
    content = wrapper + b"B" + struct.pack("<I", len(EVIL)) + EVIL + b"."
    check_found(scan_pickles(make(tmp_path / "m.joblib", content)), "joblib keeps arrays between the opcodes")


def test_scan_compressed_joblib_is_not_clean(tmp_path: Path) -> None:
    found = scan_pickles(make(tmp_path / "m.joblib", dump_joblib({"a": Attack()}, compress=3)))
    check_found(found, "'m.joblib' could not be read to its end")


def test_scan_torch_zip_is_clean(tmp_path: Path) -> None:
    members = {"m/data.pkl": TENSOR, "m/data/0": FLOATS, "m/version": b"3\n", "m/byteorder": b"little"}
    check_clean(scan_pickles(make(tmp_path / "m.pt", pack(members))))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["m/data.pkl", "m/data/0", "m/code.bin", "m/x.pickle"])
def test_scan_torch_zip_danger_in_any_member(tmp_path: Path, name: str, compression: int) -> None:
    content = pack({"m/data.pkl": TENSOR, "m/version": b"3\n", name: EVIL}, compression)
    check_found(scan_pickles(make(tmp_path / "m.pt", content)), f"'m.pt/{name}' asks for posix.system")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_scan_zip_member_that_another_of_its_name_hides(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", EVIL)
        archive.writestr("m/data.pkl", TENSOR)
    check_found(scan_pickles(make(tmp_path / "m.pt", buffer.getvalue())), "posix.system")


def test_scan_zip_that_is_damaged_is_not_clean(tmp_path: Path) -> None:
    whole = pack({"m/data.pkl": GOOD, "m/data/0": FLOATS})
    at = whole.index(b"threshold")
    locked = bytearray(pack({"m/data.pkl": GOOD}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # says that it is encrypted
    for content in (whole[:-30], whole[:at], whole[:at] + b"T" + whole[at + 1 :], bytes(locked), b"PK\x03\x04"):
        check_found(scan_pickles(make(tmp_path / "m.pt", content)), "could not be read to its end")


def test_scan_zip_that_unpacks_to_very_much_is_not_clean(tmp_path: Path) -> None:
    zeros = pickle.dumps(b"\x00" * (4 << 20), protocol=4)
    found = scan_pickles(make(tmp_path / "m.pt", pack({"m/data.pkl": zeros}, zipfile.ZIP_DEFLATED)))
    check_found(found, "'m.pt/m/data.pkl' could not be read to its end: it unpacks to more than 100 times its size")
    check_clean(scan_pickles(make(tmp_path / "m.pt", pack({"m/data.pkl": zeros}))))


def test_scan_zip_within_zip(tmp_path: Path) -> None:
    content = EVIL
    for depth in range(1, MAX_DEPTH + 1):
        content = pack({"a.pkl" if depth == 1 else "a.zip": content})
        check_found(scan_pickles(make(tmp_path / "m.zip", content)), "posix.system")
    check_found(scan_pickles(make(tmp_path / "m.zip", pack({"a.zip": content}))), "packed into one another")


def test_scan_old_torch_file(tmp_path: Path) -> None:
    check_clean(scan_pickles(make(tmp_path / "m.pth", dump_old_torch(TENSOR))))
    check_found(scan_pickles(make(tmp_path / "m.pth", dump_old_torch(EVIL))), "posix.system")
    check_found(scan_pickles(make(tmp_path / "m.pth", dump_old_torch(TENSOR, end=60))), "could not be read to its end")


def test_scan_numpy_arrays_of_objects(tmp_path: Path) -> None:
    objects = np.array([Attack()], dtype=object)
    check_found(scan_pickles(make(tmp_path / "m.npy", save(objects))), "posix.system")
    check_found(scan_pickles(make(tmp_path / "m.npz", save(None, w=np.arange(3), o=objects))), "m.npz/o.npy", "posix")
    check_found(scan_pickles(make(tmp_path / "m.npy", save(objects)[:-1])), "could not be read to its end")
    found = scan_pickles(make(tmp_path / "m.npy", save(np.array([1, "x"], dtype=object))))
    assert found.is_clean, found.message


@pytest.mark.parametrize(
    ("files", "format_name"),
    [
        ({"m.h5": b"\x89HDF\r\n\x1a\n" + bytes(99)}, "hdf5"),
        ({"m.keras": pack({"config.json": b"{}", "model.weights.h5": b"x"})}, "keras"),
        ({"m.pt": pack({"m/data.pkl": GOOD, "m/constants.pkl": GOOD, "m/code/a.py": b""})}, "torchscript"),
        ({"saved_model.pb": b"\x08\x01", "fingerprint.pb": b"x"}, "savedmodel"),
    ],
)
def test_scan_other_formats_that_run_code_are_not_clean(
    tmp_path: Path, files: dict[str, bytes], format_name: str
) -> None:
    for name, content in files.items():
        make(tmp_path / "model" / name, content)
    source = tmp_path / "model"
    check_found(scan_pickles(source), f"picklescan does not read {format_name}: ")
    if len(files) == 1:
        check_found(scan_pickles(source / next(iter(files))), f"picklescan does not read {format_name}: ")


def test_scan_directory_looks_at_all_members(tmp_path: Path) -> None:
    root = tmp_path / "model"
    # Text that reads like the start of a pickle, and numbers that look like an opcode, are none.
    make(root / "README.md", b"cat model\ntakes numbers\n(S'and gives numbers'\n")
    make(root / "vocab.txt", b"N\nNN\n")
    make(root / "weights" / "a.bin", b"\x93\x93\x93" + FLOATS)
    make(root / "weights" / "b.bin", b"((\x93" + FLOATS)
    make(root / "weights" / "c.safetensors", SAFETENSORS)
    check_clean(scan_pickles(root))
    make(root / ".hidden" / "model.pkl", GOOD)
    check_clean(scan_pickles(root))
    make(root / ".hidden" / "other.dat", EVIL)
    check_found(scan_pickles(root), "'.hidden/other.dat' asks for posix.system")


def test_scan_directory_of_unknown_files_is_not_clean(tmp_path: Path) -> None:
    make(tmp_path / "model" / "a.bin", FLOATS)
    check_found(scan_pickles(tmp_path / "model"), "its format is not known")


def test_scan_many_findings_are_counted(tmp_path: Path) -> None:
    for number in range(9):
        make(tmp_path / "model" / f"{number}.pkl", EVIL)
    check_found(scan_pickles(tmp_path / "model"), "'4.pkl' asks for posix.system and 4 more")


def test_scan_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    name = "sys\x1b[31mtem\u202e\u2028".encode()
    content = b"\x80\x04\x8c\x02os\x8c" + bytes([len(name)]) + name + b"\x93."
    found = scan_pickles({"a\u202eb\x1b[31m\n::error::x": make(tmp_path / "m", content)})
    check_found(found, r"'a\u202eb\x1b[31m\n::error::x' asks for os.sys\x1b[31mtem\u202e\u2028")


def test_scan_files_by_their_names_in_the_artifact(tmp_path: Path) -> None:
    # As DVC's cache has them: by hash, without a suffix.
    good, cut = make(tmp_path / "ab" / "cdef", GOOD), make(tmp_path / "01" / "2345", GOOD[:9])
    check_clean(scan_pickles({"model.pkl": good}))
    check_found(scan_pickles({"model.pkl": good, "deep/cut.pkl": cut}), "'deep/cut.pkl' could not be read to its end")


def test_scan_what_is_not_there_or_empty_is_not_clean(tmp_path: Path) -> None:
    check_found(scan_pickles(tmp_path / "absent.pkl"), "absent.pkl' cannot be read")
    check_found(scan_pickles({"m.pkl": tmp_path / "absent"}), "'m.pkl' could not be read to its end")
    check_found(scan_pickles(make(tmp_path / "m.pkl", b"")), "is empty")
    check_found(scan_pickles({"m.pkl": tmp_path / "m.pkl"}), "'m.pkl' could not be read to its end")
    check_found(scan_pickles({}), "its format is not known")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to("/etc")
    check_found(scan_pickles(tmp_path / "model"), "the link leads out of the directory")


def test_scan_without_a_scanner_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picklescan.scanner", None)
    found = scan_pickles(make(tmp_path / "m.pkl", GOOD))
    assert found == Scan("none", is_clean=False, message="no scanner is installed: pip install 'mreg[scan]'")
