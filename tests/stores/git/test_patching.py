from __future__ import annotations

import pytest

from mreg.stores.git.writing.patching import FEW, encode_patch

OLD, NEW, NONE = "1" * 40, "2" * 40, "0" * 40


def raw(*changes: tuple[str, str, str, str, str]) -> bytes:
    """Returns what ``git diff-tree --raw -z`` says of changes: modes and ids before and after, and the path."""
    return "".join(f":{m} {n} {a} {b} X\0{path}\0" for m, n, a, b, path in changes).encode()


CHANGED = ("100644", "100644", OLD, NEW, "a b/ø.yaml")
ADDED = ("000000", "100644", NONE, NEW, "new")
GONE = ("100644", "000000", OLD, NONE, "gone")


def test_encode_patch_names_what_was_and_what_will_be() -> None:
    patch = encode_patch(raw(CHANGED, ADDED, GONE))
    assert patch is not None
    assert patch.paths == {"a b/ø.yaml", "new", "gone"}
    assert patch.added == {"new"}
    assert patch.blobs == {"a b/ø.yaml": OLD, "gone": OLD}
    assert patch.staged == [f"H 100644 {OLD} 0\ta b/ø.yaml", f"H 100644 {OLD} 0\tgone"]
    assert patch.content.decode().splitlines() == [
        "diff --git a/a b/ø.yaml b/a b/ø.yaml",
        f"index {OLD}..{NEW} 100644",
        "Binary files a/a b/ø.yaml and b/a b/ø.yaml differ",
        "diff --git a/new b/new",
        "new file mode 100644",
        f"index {NONE}..{NEW}",
        "Binary files a/new and b/new differ",
        "diff --git a/gone b/gone",
        "deleted file mode 100644",
        f"index {OLD}..{NONE}",
        "Binary files a/gone and b/gone differ",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("100644", "100755", OLD, NEW, "program")],
        [("100755", "100644", OLD, OLD, "program")],
        [CHANGED, ("120000", "120000", OLD, NEW, "link")],
        [("160000", "000000", OLD, NONE, "submodule")],
        [CHANGED, ("000000", "100644", NONE, NEW, 'quo"te')],
        [("000000", "100644", NONE, NEW, "back\\slash")],
        [("000000", "100644", NONE, NEW, "line\nbreak")],
        [("000000", "100644", NONE, NEW, f"file {number}") for number in range(FEW + 1)],
    ],
    ids=["nothing", "to program", "from program", "link", "submodule", "quote", "backslash", "line", "many"],
)
def test_encode_patch_of_what_is_odd_gives_none(changes: list[tuple[str, str, str, str, str]]) -> None:
    assert encode_patch(raw(*changes)) is None
