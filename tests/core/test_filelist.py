"""The file list of a directory: its text, its hash, and what may not be in it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.filelist import find_path_fault, format_file_list, hash_file_list, parse_file_list
from mreg.core.history.record import ArtifactFile
from mreg.errors import DataError

SHA = "0" * 64

segments = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=8)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join).filter(lambda path: not find_path_fault(path))
files = st.builds(
    ArtifactFile,
    path=paths,
    size=st.integers(0, 10**17),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    md5=st.sampled_from(["", "0" * 32]),
)


def _no_file_is_a_folder(found: list[ArtifactFile]) -> bool:
    return not any(one.path.startswith(f"{other.path}/") for one in found for other in found)


@given(st.lists(files, min_size=1, max_size=8, unique_by=lambda file: file.path).filter(_no_file_is_a_folder))
def test_file_list_round_trip(found: list[ArtifactFile]) -> None:
    text = format_file_list(found)
    expected = sorted((replace(file, md5="") for file in found), key=lambda file: file.path)
    assert parse_file_list(text, "x") == tuple(expected)
    assert format_file_list(reversed(found)) == text
    assert hash_file_list(found) == hashlib.sha256(text).hexdigest()


def test_format_file_list_is_what_the_documentation_says() -> None:
    found = [ArtifactFile("b/c.bin", 3, "1" * 64, "a" * 32), ArtifactFile("a é", 12, "2" * 64, "b" * 32)]
    assert format_file_list(found) == f"{'2' * 64} 12 a é\n{'1' * 64} 3 b/c.bin\n".encode()


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (b"", 1, "empty"),
        (b"\n", 1, "a line is"),
        (f"{SHA} 1 a".encode(), 1, "cut off"),
        (f"{SHA} 1 a\n{SHA} 1 b".encode(), 2, "cut off"),
        (f"{SHA} 1 a\n\n".encode(), 2, "a line is"),
        (f"{SHA} 01 a\n".encode(), 1, "a line is"),
        (f"{SHA} -1 a\n".encode(), 1, "a line is"),
        (f"{SHA} 1  \n".encode(), 1, None),
        (f"{SHA} 1 \n".encode(), 1, "a line is"),
        (f"{SHA[1:]} 1 a\n".encode(), 1, "a line is"),
        (f"{SHA} 1 a\n{SHA} 1 a\n".encode(), 2, "there twice"),
        (f"{SHA} 1 b\n{SHA} 1 a\n".encode(), 2, "out of order"),
        (f"{SHA} 1 a\n{SHA} 1 a-b\n{SHA} 1 a/b\n".encode(), 1, "a file and a folder"),
        (f"{SHA} 1 a/b\n{SHA} 1 a/b/c/d\n".encode(), 1, "a file and a folder"),
        (f"{SHA} 1 a\n{SHA} 1 \xff\n".encode("latin-1"), 2, "not UTF-8"),
        (f"{SHA} 1 ../a\n".encode(), 1, "not relative"),
        (f"{SHA} 1 /a\n".encode(), 1, "not relative"),
        (f"{SHA} 1 a/.git/config\n".encode(), 1, ".git"),
    ],
)
def test_parse_file_list_names_the_line(text: bytes, line: int, why: str | None) -> None:
    if why is None:
        assert parse_file_list(text, "x")[0].path == " "
        return
    with pytest.raises(DataError) as caught:
        parse_file_list(text, "registry/m/versions/v1.0.0.files")
    assert why in caught.value.message
    assert caught.value.details == {"file": "registry/m/versions/v1.0.0.files", "line": line}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a//b",
        "a/",
        "./a",
        "a/..",
        "a\\b",
        "a\nb",
        "a\x00",
        "\x85",
        "a\u2028b",
        "\udcff",
        "\ufeffa",
        "\uffff",
        ".git",
        "a/.GIT/config",
        ".dvc/config",
        ".hg",
        "x/.dvcignore",
    ],
)
def test_find_path_fault_finds(path: str) -> None:
    assert find_path_fault(path)


@pytest.mark.parametrize("path", ["a", "a b", ".hidden", "a/b/c.bin", ".github", "é/ß", "模型.onnx", "a:b", "😀"])
def test_find_path_fault_lets_ordinary_names_pass(path: str) -> None:
    assert find_path_fault(path) is None
