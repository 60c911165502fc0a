"""Model formats, told from bytes and names; nothing is ever loaded.

Rules:
    * The answer rests on the bytes; a suffix decides where bytes cannot (ONNX, joblib, pickles of protocol 0 and 1).
    * Whatever can be told to be a pickle is said to be one: a wrong "safe" is worse than a wrong "unsafe".
    * A directory has the formats of all its files and of its layout, joined by ``+``: ``mlflow+pickle``.
    * Unknown is the empty string.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

__all__ = ["HEAD_SIZE", "ZIP_STARTS", "recognise_directory", "recognise_file", "unsafe_reason"]

HEAD_SIZE = 4096
"""Bytes of the start of a file that are enough to tell its format."""

_START = rb"""(?sx)(?P<hdf5>\x89HDF\r\n\x1a\n)|(?P<gguf>GGUF)|(?P<catboost>CBM1)|(?P<lightgbm>tree\nversion=v)
    |(?P<tflite>.{4}TFL3)
    |(?P<xgboost>\s*\{\s*"learner"\s*:|\{L\x00{7}\x07learner\{)  # JSON and UBJSON
    """
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
"""How a file starts whose ``members`` ``recognise_file`` wants to see."""
_NUMPY = b"\x93NUMPY"
_OBJECTS = re.compile(rb"""[|<>=,'"\d]O\d*['",]|object|\\""")
"""In a NumPy header: the type of Python objects, with a size as Python 2 wrote it or without; or an escape."""
_COMPRESSED = rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b|BZh|\xfd7zXZ\x00|\x5d\x00\x00|\x04\x22\x4d\x18|ZF"
"""zlib, gzip, bz2, xz, lzma, lz4 and joblib's own zlib file of before 0.10."""
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".p", ".joblib", ".dill", ".cloudpickle"})
_OLD_PICKLE_STARTS = b"(]}cilFIJKLMNSUVX\x88\x89GTB"
_IDENTIFIERS = r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*"
_MAX_SAFETENSORS_HEADER = 100_000_000

_UNSAFE = {
    "pickle": "a pickle runs whatever code it names while it is loaded",
    "joblib": "a joblib file is a pickle, which runs whatever code it names while it is loaded",
    "torch-zip": "torch.save writes a pickle, which can run code while it is loaded unless weights_only=True",
    "torchscript": "TorchScript is a program, and torch.jit.load restores it as one",
    "savedmodel": "a SavedModel is a program; TensorFlow can run parts of it while it is loaded",
    "keras": "a Lambda layer holds Python code, which runs unless Keras loads it with safe_mode=True",
    "hdf5": "a Keras model in HDF5 can hold Python code in a Lambda layer",
}


def recognise_file(name: str, head: bytes, members: Mapping[str, bytes] = MappingProxyType({})) -> str:
    """Returns the format of one file, such as ``joblib`` or ``onnx``; empty where unknown.

    Args:
        name: The file's name; only its suffix counts.
        head: The first ``HEAD_SIZE`` bytes, or all where there are fewer.
        members: The names inside, where the file is a ZIP archive; with the first ``HEAD_SIZE`` bytes of each ``.npy``.
    """
    suffixes = {f".{part}" for part in name.lower().split(".")[1:]}
    if head.startswith(ZIP_STARTS):
        return _recognise_zip(members)
    start = re.match(_START, head)
    if start and start.lastgroup:
        return start.lastgroup
    if head.startswith(_NUMPY):
        return "numpy+pickle" if _holds_objects(head) else "numpy"
    if _is_safetensors(head):
        return "safetensors"
    if _is_onnx(head, named=".onnx" in suffixes):
        return "onnx"
    # Python loads more than reads as a pickle here: what is named like one, and nothing else, is taken for one.
    found = _recognise_pickle(head, suffixes)
    return found or ("pickle" if head and not _PICKLE_SUFFIXES.isdisjoint(suffixes) else "")


def recognise_directory(members: Iterable[tuple[str, str]]) -> str:
    """Returns the format of a directory from the relative path and the format of each file in it."""
    pairs = tuple(members)
    formats = {format_name for _, format_name in pairs if format_name}
    names = {path for path, _ in pairs}
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        formats.add("savedmodel")
    if "MLmodel" in names:
        formats.add("mlflow")
    return "+".join(sorted(formats))


def unsafe_reason(format_name: str) -> str:
    """Returns why loading a model of this format may run code that came with it; empty where it does not.

    A name given by hand is as dangerous as what it mentions (``sklearn-pickle``).  For a directory the reasons of all
    its formats are joined.
    """
    said = format_name.casefold()
    return "; ".join(reason for name, reason in _UNSAFE.items() if name in said)


def _holds_objects(head: bytes) -> bool:
    """True for a NumPy array of Python objects, which are pickled; and for a header too long to be sure."""
    if not head.startswith(_NUMPY):
        return False
    start = 10 if head[6:7] == b"\x01" else 12
    end = start + int.from_bytes(head[8:start], "little")
    return end > len(head) or _OBJECTS.search(head, start, end) is not None


def _recognise_zip(members: Mapping[str, bytes]) -> str:
    names = set(members)
    inner = {name.partition("/")[2] for name in names}  # torch puts all into one folder, named after the file
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return "torchscript"
    if "data.pkl" in inner or "data.pkl" in names:
        return "torch-zip"
    if "schema.json" in names:
        return "skops"
    if "config.json" in names and "model.weights.h5" in names:
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "numpy+pickle" if any(map(_holds_objects, members.values())) else "numpy"
    return "pickle" if any(name.endswith(tuple(_PICKLE_SUFFIXES)) for name in names) else ""


def _is_safetensors(head: bytes) -> bool:
    """True for a u64 header length followed by the JSON object that it measures."""
    return len(head) > 9 and 2 <= int.from_bytes(head[:8], "little") <= _MAX_SAFETENSORS_HEADER and head[8:9] == b"{"  # noqa: PLR2004


def _is_onnx(head: bytes, *, named: bool) -> bool:
    """True for a protobuf that starts like ``onnx.ModelProto``: ir_version, then what a producer writes next.

    A protobuf has no magic number, so without the suffix the producer's name must follow, readable.
    """
    if len(head) < 4 or head[0] != 0x08 or not 1 <= head[1] < 0x20 or head[2] not in b"\x12\x1a\x22\x28\x32\x3a\x42":  # noqa: PLR2004
        return False
    if named:
        return True
    producer = head[4 : 4 + head[3]]
    return head[2] == 0x12 and len(producer) == head[3] > 0 and re.fullmatch(rb"[\w .+/-]+", producer) is not None  # noqa: PLR2004


def _recognise_pickle(head: bytes, suffixes: Collection[str]) -> str:
    named = not _PICKLE_SUFFIXES.isdisjoint(suffixes)
    if re.match(_COMPRESSED, head):
        inner = _decompress(head)
        return "joblib" if (_is_pickle(inner, named=False) if inner else named) else ""
    if not _is_pickle(head, named=named):
        return ""
    return "joblib" if ".joblib" in suffixes or b"joblib.numpy_pickle" in head else "pickle"


def _decompress(head: bytes) -> bytes:
    """Returns the first bytes inside; empty where the head does not tell: Python has no lz4, bz2 has long blocks."""
    try:
        if head.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(head, HEAD_SIZE)
        if head.startswith((b"\xfd", b"\x5d")):
            return lzma.LZMADecompressor().decompress(head, HEAD_SIZE)
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(head, HEAD_SIZE)
    except (OSError, lzma.LZMAError, zlib.error):
        return b""


def _is_pickle(head: bytes, *, named: bool) -> bool:
    """True where the head reads as opcodes; before protocol 2 text may, so a class or the suffix must confirm it."""
    if head[:1] == b"\x80":
        return head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and len(_read_opcodes(head)[0]) > 1
    if not head or head[0] not in _OLD_PICKLE_STARTS:
        return False
    opcodes, is_clean = _read_opcodes(head)
    return is_clean and len(opcodes) > 1 and (named or not opcodes.isdisjoint({"GLOBAL", "INST"}))


def _read_opcodes(head: bytes) -> tuple[set[str], bool]:
    """Returns the opcodes that the head starts with, and whether they go on to its end (or to STOP)."""
    import pickletools  # noqa: PLC0415 - gates name formats, and look at no file

    names: set[str] = set()
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name in {"GLOBAL", "INST"} and not re.fullmatch(_IDENTIFIERS, str(argument)):
                return names, False
            names.add(opcode.name)
    except (ValueError, DeprecationWarning) as error:  # an escape that Python does not know, under `python -W error`
        return names, "unknown" not in str(error)
    return names, True
