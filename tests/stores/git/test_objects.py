from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mreg.stores.git.objects import (
    BLOB_MODE,
    TREE_MODE,
    Identity,
    ObjectWriter,
    TreeEntry,
    empty_tree,
    encode_commit,
    encode_tag,
    parse_tree,
    to_datetime,
)
from tests.conftest import Git
from tests.stores.git.conftest import fsck

FORMATS = ["sha1", "sha256"]
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)

# Names that sort differently as files and as folders, and any other that Git takes.
near = st.sampled_from(["a", "a.b", "a-", "a0", "a b", "ab", "A", "a\x01", "a\xff", "é", "e\u0301", "日本", "\udcff"])
free = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
names = st.one_of(near, free).filter(
    lambda name: name not in {".", ".."} and ".git" not in name.lower() and "git~" not in name.lower()
)
# fsck --strict refuses names that a file system may take for .git: those with characters that HFS ignores.
safe = names.filter(lambda name: not any(char in name for char in "\u200c\u200d\u200e\u200f\ufeff\\"))
entries = st.dictionaries(safe, st.tuples(st.booleans(), st.binary(max_size=300)), max_size=8)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.strip("\n") != ""
)
people = st.builds(
    Identity,
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
    st.from_regex(r"[a-z0-9]+@[a-z0-9]+", fullmatch=True),
    st.integers(100_000_000, 4_000_000_000),
    st.sampled_from(["+0000", "+0530", "-1130", "+1400"]),
)


def run(*args: str, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(["git", *args], cwd=cwd, input=stdin, env=env, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().removesuffix("\n")


@pytest.fixture(scope="session", params=FORMATS)
def odb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An empty repository of each object format, that all examples share."""
    folder = tmp_path_factory.mktemp("odb")
    run("init", "--quiet", "--bare", f"--object-format={request.param}", ".", cwd=folder)
    yield request.param, folder
    fsck(folder)


def store(writer: ObjectWriter, folder: Path) -> None:
    run("unpack-objects", "-q", "--strict", cwd=folder, stdin=writer.pack())


@pytest.mark.slow
@given(entries)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_add_tree_equals_git_s_own_and_reads_back(
    odb: tuple[str, Path], entries: dict[str, tuple[bool, bytes]]
) -> None:
    object_format, folder = odb
    writer = ObjectWriter(object_format)
    tree = {}
    for name, (is_folder, content) in entries.items():
        blob = writer.add("blob", content)
        inner = writer.add_tree({"x": TreeEntry(BLOB_MODE, blob)})
        tree[name] = TreeEntry(TREE_MODE, inner) if is_folder else TreeEntry(BLOB_MODE, blob)
    oid = writer.add_tree(tree)
    store(writer, folder)
    kinds = {TREE_MODE: "040000 tree", BLOB_MODE: "100644 blob"}
    listed = "".join(f"{kinds[entry.mode]} {entry.oid}\t{name}\0" for name, entry in tree.items())
    assert run("mktree", "-z", cwd=folder, stdin=listed.encode("utf-8", "surrogateescape")) == oid
    raw = subprocess.run(["git", "cat-file", "tree", oid], cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    assert dict(parse_tree(raw, len(oid) // 2)) == tree


@pytest.mark.parametrize("object_format", FORMATS)
def test_add_tree_sorts_a_folder_as_if_its_name_ended_in_a_slash(object_format: str) -> None:
    oid = "1" * len(empty_tree(object_format))
    file, folder = TreeEntry(BLOB_MODE, oid), TreeEntry(TREE_MODE, oid)
    writer = ObjectWriter(object_format)
    writer.add_tree({"a": folder, "a.b": file, "a0": file, "a-b": file})
    (raw,) = (content for _, content in writer._objects.values())
    assert [name for name, _ in parse_tree(raw, len(oid) // 2)] == ["a-b", "a.b", "a", "a0"]


@given(st.binary(max_size=3000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_add_blob_of_any_size_equals_git_s_own(odb: tuple[str, Path], content: bytes) -> None:
    object_format, folder = odb
    writer = ObjectWriter(object_format)
    oid = writer.add("blob", content)
    store(writer, folder)
    assert run("hash-object", "--stdin", cwd=folder, stdin=content) == oid
    raw = subprocess.run(["git", "cat-file", "blob", oid], cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    assert raw == content


@pytest.mark.parametrize("size", [0, 1, 15, 16, 2047, 2048, 262143, 262144, 5_000_000])
def test_pack_header_of_sizes_at_the_edges(odb: tuple[str, Path], size: int) -> None:
    object_format, folder = odb
    writer = ObjectWriter(object_format)
    oid = writer.add("blob", b"\0" * size)
    store(writer, folder)
    assert run("cat-file", "-s", oid, cwd=folder) == str(size)


def who(role: str, identity: Identity) -> dict[str, str]:
    return {
        f"GIT_{role}_NAME": identity.name,
        f"GIT_{role}_EMAIL": identity.email,
        f"GIT_{role}_DATE": f"@{identity.time} {identity.zone}",
    }


@pytest.mark.slow
@given(people, people, texts, st.integers(0, 2))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_encode_commit_and_tag_equal_git_s_own(
    odb: tuple[str, Path], author: Identity, committer: Identity, message: str, parents: int
) -> None:
    object_format, folder = odb
    writer = ObjectWriter(object_format)
    tree = writer.add_tree({})
    ids: tuple[str, ...] = ()
    for number in range(parents):
        raw = encode_commit(tree=tree, parents=(), author=author, committer=author, message=f"parent {number}")
        ids = (*ids, writer.add("commit", raw))
    raw = encode_commit(tree=tree, parents=ids, author=author, committer=committer, message=message)
    commit = writer.add("commit", raw)
    tag = writer.add("tag", encode_tag(name="churn@v1.0.0", target=commit, tagger=committer, message=message))
    store(writer, folder)
    env = {"PATH": "/usr/bin:/bin", **who("AUTHOR", author), **who("COMMITTER", committer)}
    text = (message.rstrip("\n") + "\n").encode()
    args = [word for parent in ids for word in ("-p", parent)]
    assert run("commit-tree", tree, *args, "-F", "-", cwd=folder, stdin=text, env=env) == commit
    run("tag", "--force", "--annotate", "--cleanup=verbatim", "-F", "-", "churn@v1.0.0", commit,
        cwd=folder, stdin=text, env=env)  # fmt: skip
    assert run("rev-parse", "refs/tags/churn@v1.0.0", cwd=folder) == tag


def test_encode_commit_takes_what_utf8_and_git_cannot(git: Git, repo: Path) -> None:
    who = Identity("Ada \udcff", "ada@example.com", 1)
    raw = encode_commit(tree=empty_tree("sha1"), parents=(), author=who, committer=who, message="a\0b \ud800")
    assert raw.endswith(b"\n\nab ?\n")
    assert b"author Ada ? <ada@example.com> 1 +0000\n" in raw


def test_writer_is_true_once_it_holds_an_object() -> None:
    writer = ObjectWriter("sha1")
    assert not writer
    writer.add("blob", b"")
    assert writer


@given(people)
def test_identity_parses_what_it_prints(identity: Identity) -> None:
    assert Identity.parse(str(identity)) == identity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada <ada@example.com> 5 +0100", Identity("Ada", "ada@example.com", 5, "+0100")),
        ("Ada <ada@example.com>", Identity("Ada", "ada@example.com", 0)),
        ("Ada <ada@example.com> 5", Identity("Ada", "ada@example.com", 5)),
        ("Ada <ada@example.com> -5 +0000", Identity("Ada", "ada@example.com", 0)),
        ("Ada <ada@example.com> soon", Identity("Ada", "ada@example.com", 0)),
        ("Ada <ada@example.com> 99999999999999999999 +0000", Identity("Ada", "ada@example.com", 0)),
        ("<> 5 +0000", Identity("", "", 5)),
        (" <ada@example.com> 5 +0000", Identity("", "ada@example.com", 5)),
        ("nobody", Identity("nobody", "", 0)),
        ("", Identity("", "", 0)),
    ],
)
def test_identity_parse_of_odd_text_never_fails(text: str, expected: Identity) -> None:
    assert Identity.parse(text) == expected


@given(st.text())
def test_identity_parse_takes_any_text(text: str) -> None:
    assert Identity.parse(text).when.tzinfo is not None


@pytest.mark.parametrize(
    ("seconds", "zone", "expected"),
    [
        (0, "+0130", datetime(1970, 1, 1, 1, 30, tzinfo=timezone(timedelta(minutes=90)))),
        (0, "-0130", datetime(1970, 1, 1, tzinfo=timezone.utc) - timedelta(0)),
        (5, "+9999", datetime(1970, 1, 1, 0, 0, 5, tzinfo=timezone.utc)),
        (253_402_300_799, "+0000", LAST),
        (253_402_300_799, "+1400", LAST),
        (10**18, "+0000", LAST),
        (-(10**18), "+0000", datetime(1970, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_to_datetime_clamps_what_python_does_not_know(seconds: int, zone: str, expected: datetime) -> None:
    assert to_datetime(seconds, zone) == expected


def test_identity_when_is_in_its_own_zone() -> None:
    when = Identity("Ada", "ada@example.com", 0, "-0330").when
    assert when.utcoffset() == -timedelta(hours=3, minutes=30)
