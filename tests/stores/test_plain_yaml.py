"""The plain reader against the parser: whatever it takes, it reads as that does."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.manifest import StageEntry, format_stage
from mreg.core.names import StageName, Version
from mreg.errors import DataError
from mreg.registry.setup.initialising import settings_text
from mreg.stores import yaml
from mreg.stores.yaml import pyyaml
from mreg.stores.yaml.plain import NOT_PLAIN, load_plain

RECORD = b"""\
schema: 1
model: churn
version: v3.0.0
artifact:
  path: model.pkl
  size: 48213
  sha256: '0398'
metrics:
  auc: 0.913
  loss: -1e-3
  big: 1.0E+6
params: {}
dataset:
  name: customers
  version: 2026-10
tags:
- a
- "b c"
-  # no
"""

SIGNATURE = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAA+/Q==\n-----END SSH SIGNATURE-----\n"

# Pieces that lines are made of: what mreg writes, and what looks like it and is something else.
INDENTS = st.sampled_from(["", "", "", "  ", "  ", "    ", " ", "   "])
KEYS = st.sampled_from(["a", "b", "c", "a.b", "x-y", "y", "on", "null", "true", "~", "1", "v1", "<<", "-a", "'q'", "é"])
SCALARS = st.sampled_from(
    """1|-1|+1|01|0x1f|1.5|1.|.5|-.5|1e3|1e|-|--|---|...|.|v3.0.0|2026-10|2026-11-20T09:12:00Z|null|Null|~|true|on|yes|y
    |text|two words|a: b|a:b|a :b|a:|::|: a|a #b|a#b|#b|'q'|'it''s'|''|"d"|"a\\n"|"|'|"|'a' b|"a" # c|'a: b'|'a #b'
    |{}|[]|{a: 1}|[1]|{} |*a|&a b|!t a|!!str 1|%a|@a|`a|>|\\||>-|- a|-a|-.5|-1|? a|?a|=|<<|,|a, b|[a|a]|(a)|/a/b|a\\b
    |a\tb|a |  a|.inf|-.Inf|.nan|12:30:45|https://a.b/c?d=e#f|a%20b|999999999999999999999999|é|a\u2028b|0o7|1_000|+.5|+-1
    |_|__|(|+|/""".replace("\n    ", "").split("|")
)
LINES = st.one_of(
    st.builds("{}{}: {}\n".format, INDENTS, KEYS, SCALARS),
    st.builds("{}{}:\n".format, INDENTS, KEYS),
    st.builds("{}- {}\n".format, INDENTS, SCALARS),
    st.builds("{}{}\n".format, INDENTS, SCALARS),
    st.builds("{}{}: |\n  {}{}\n".format, INDENTS, KEYS, INDENTS, SCALARS),
    st.builds("{}- |\n  {}{}\n".format, INDENTS, INDENTS, SCALARS),
    st.sampled_from(
        [
            "\n",
            "---\n",
            "...\n",
            "# c\n",
            "  # c\n",
            "a: 1 # c\n",
            "a: # c\n",
            "#\tc\n",
            "a: 1",
            "a: 1\r\n",
            "-\n",
            "- a: 1\n",
            "\ta: 1\n",
            "a : 1\n",
            "a:  1\n",
        ]
    ),
)
DOCUMENTS = st.lists(LINES, max_size=8).map("".join)


def by_parser(data: bytes) -> object:
    """What the parser makes of a document; an error is a value too."""
    try:
        return pyyaml.parse(data, "x.yaml", has_aliases=False)
    except DataError as error:
        return error.message


def check_same(data: bytes) -> bool:
    found = load_plain(data)
    if found is NOT_PLAIN:
        return False
    # Compared as text too: 1 and 1.0 and True are equal, and nan is not.
    assert repr(found) == repr(by_parser(data))
    return True


@given(DOCUMENTS)
@settings(max_examples=300)
@example("a:\n- b\nc: 1\n- d\n")
@example("a:\n  b:\n- c\n")
@example("a:\n  b: 1\n c: 2\n")
@example("a: b\n  c: d\n")
@example("a: b\n  - c\n")
@example("a:\n  - b\n  c: 1\n")
@example("a:\n\n  b: 1\n")
@example(" a: 1\n")
@example("a: 1\na: 2\n")
@example("a: |\n  b\n c: 1\n")
@example("a: |\n  b\n    c\n")
@example("a: |\n  #b\nc: 1\n")
@example("a:\n  b: |\n    c\n    d\n  e: |\n    f\n")
@example("a:\n- |\n  b\n- |\n  c\n")
@example("a: |\n  ---\n  ...\n")
@example("a: 'b # c'\n")
@example("a: 'b' # it's\n")
@example("a: b\n # c\n  d\n")
@example("a: # c\n  b: 1\n\n# c\n  c: 2\n")
@example("a: |\n  b\n# c\n")
@example("a:\n- # c\n- b #c\n")
def test_plain_reader_agrees_with_the_parser(text: str) -> None:
    check_same(text.encode())


@given(st.text(alphabet=" \n:-#'\"ab1.{}[]|>&*!%~?,\t\\é", max_size=24))
@settings(max_examples=300)
def test_plain_reader_agrees_with_the_parser_on_any_text(text: str) -> None:
    check_same(text.encode())


@given(st.binary(max_size=16))
def test_plain_reader_agrees_with_the_parser_on_any_bytes(data: bytes) -> None:
    check_same(data)


def test_plain_reader_takes_what_mreg_writes() -> None:
    entry = StageEntry(Version(3), replaces=Version(2), has_replaces=True, reason="AUC 0.91, up", by="a@b.c", hold=True)
    assert check_same(yaml.dump(format_stage(entry)).encode())
    assert check_same(yaml.dump(format_stage(replace(entry, signature=SIGNATURE))).encode())
    assert check_same(RECORD.replace(b"-  # no\n", b""))
    assert check_same(settings_text("main", [StageName("staging"), StageName("production")]).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "# c\n",
        "# é\na: 1\n",
        "a: 'b # c'\n",
        "a: |\n  b: c\n",
        "a: |\n  b #c\n",
        "a: |\n  b\n\n  c\n",
        "a: |\n    b\n  c\n",
        "a: |-\n  b\n",
        "a: {b: 1}\n",
        "a: 1",
        "é: 1\n",
        f"a: {'9' * 5000}\n",
        "a: 1\na: 2\n",
        "a: *b\n",
    ],
)
def test_plain_reader_leaves_the_rest_to_the_parser(text: str) -> None:
    assert load_plain(text.encode()) is NOT_PLAIN


def test_plain_reader_is_not_slow_on_a_line_that_ends_wrong() -> None:
    data = b"a: " + b"x " * 200_000 + b"\n"
    assert load_plain(data) is NOT_PLAIN
    assert load_plain(b"a: 1\n" * 50_000 + b"-- \n") is NOT_PLAIN
    assert load_plain(b"a: b" + b" " * 200_000 + b"\n# c\n") is NOT_PLAIN
    assert load_plain(b"a: |\n" + b"  x\n" * 50_000 + b"  x") is NOT_PLAIN
