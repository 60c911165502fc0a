from __future__ import annotations

import pytest

from mreg.core.paths import find_name_fault, find_path_fault


@pytest.mark.parametrize(
    "path",
    ["model.pkl", "a/b/c.bin", ".env", ".gitignore", "a.git", "git", "-rf", "a b", "модель", "👩\u200d🔬", "$(id)"],
)
def test_path_plain_has_no_fault(path: str) -> None:
    assert find_path_fault(path) is None


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "not relative and plain"),
        ("/a", "not relative and plain"),
        ("a/", "not relative and plain"),
        ("a//b", "not relative and plain"),
        ("./a", "not relative and plain"),
        ("a/../b", "not relative and plain"),
        ("\u200b", "not relative and plain"),
        (".\u200b.", "not relative and plain"),
        ("a\\b", "backslash"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("a\x1bb", "control characters"),
        ("a\u2028b", "control characters"),
        ("a\ud800b", "not UTF-8"),
        ("\ufeffa", "byte order mark"),
        ("a\u202efdp.bin", "reading direction"),
        ("a/\u2066b", "reading direction"),
        (".git", "Git acts on it"),
        ("a/.GIT/config", "Git acts on it"),
        (".g\u200cit/config", "Git acts on it"),
        (".dvc", "DVC skips .dvc"),
        (".DVCignore", "DVC skips .DVCignore"),
        (".hg", "DVC skips .hg"),
    ],
)
def test_path_fault_is_named(path: str, fault: str) -> None:
    assert fault in (find_path_fault(path) or "")


@pytest.mark.parametrize("name", ["con", "CON", "aux.pkl", "com1.tar.gz", "nul .bin"])
def test_name_of_a_windows_device_is_no_artifacts(name: str) -> None:
    assert "device on Windows" in (find_name_fault(name) or "")
    assert find_path_fault(name) is None


@pytest.mark.parametrize("name", ["model.pkl", "console.bin", "con-1", ".con", "com10"])
def test_name_beside_that_of_a_device_is_one(name: str) -> None:
    assert find_name_fault(name) is None


def test_name_has_the_faults_of_a_path() -> None:
    assert find_name_fault("a\\b") == find_path_fault("a\\b")
