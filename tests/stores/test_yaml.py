from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Mapping

import pytest
import ruamel.yaml
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from mreg.core.fields import Fields
from mreg.core.settings.policy import parse_policy
from mreg.errors import DataError
from mreg.stores import yaml


def fails(data: str | bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        yaml.load(data if isinstance(data, bytes) else data.encode(), "f.yaml")
    return caught.value


@pytest.mark.parametrize("data", [b"", b"\n", b"# nothing\n", b"---\n", b"--- ~\n...\n", b"null\n", b"\xef\xbb\xbf"])
def test_load_empty_document_gives_empty_mapping(data: bytes) -> None:
    assert yaml.load(data, "f.yaml") == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[(text, int(text)) for text in ("0", "-0", "+7", "12", "-3", "123456789012345678901234567890")],
        *[(text, float(text)) for text in ("1.5", "-1.5", ".5", "1.", "1e3", "1e-05", "1E+3", "+0.0", "1.10")],
        *[(text, math.inf) for text in (".inf", "+.inf", ".Inf", ".INF")],
        ("-.inf", -math.inf),
        (".nan", math.nan),
    ],
)
def test_load_plain_scalar_is_a_value(text: str, value: object) -> None:
    assert repr(yaml.load(f"[{text or '~'}]".encode(), "f.yaml")) == repr([value])


WORDS = """
on off yes no y n Yes NO nUll tRUE 012 00 0x1f 0o17 0b1 1:30 1_000 2026-11-20 2026-11-20T09:12:00Z v3 3.0.0
. + e5 1e 1e+ 0.1.2 01.5 inf nan .Nan << = 9f1c _1 ١٢
"""


@pytest.mark.parametrize("text", WORDS.split())
def test_load_other_plain_scalar_is_text(text: str) -> None:
    assert yaml.load(f"a: {text}".encode(), "f.yaml") == {"a": text}


@pytest.mark.parametrize("text", ["null", "true", "1", "1.5", ".inf", "~", ""])
def test_load_quoted_scalar_is_text(text: str) -> None:
    data = f"- '{text}'\n- \"{text}\"\n- |-\n  {text}".encode()
    assert yaml.load(data, "f.yaml") == [text, text, text]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' appears twice"),
        ("a: {b: 1, 'b': 2}", 1, "key 'b' appears twice"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a: &x 1\n", 1, "anchors (&x) are not read here"),
        ("a: 1\nb: *x\n", 2, "aliases (*x) are not read here"),
        ("a: 1\nb: !!python/object/apply:os.system [x]\n", 2, "tags (tag:yaml.org,2002:python/object/apply:os.system)"),
        ("a: !x y\n", 1, "tags (!x) are not read here"),
        ("a: ! y\n", 1, "tags (!) are not read here"),
        ("a:\n  ? [x]\n  : 1\n", 2, "a key must be plain text"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a:\n\t- b\n", 2, "found character"),
        ("a: 1\n'b\n", 3, "found unexpected end of stream"),
        ("a: 1\nb: \x07\n", 2, "control characters are not allowed"),
        ("a: 1\n<<<<<<< HEAD\nb: 2\n", 2, "a merge conflict begins here"),
        ("a:\n- " + "[" * 70 + "]" * 70, 2, "it is nested deeper than 64 levels"),
        ("a: 1\nb: " + "1" * 5000, 2, "this number has too many digits"),
    ],
)  # fmt: skip
def test_load_what_has_two_readings_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    error = fails(text)
    assert error.message.startswith(f"f.yaml:{line}: {message}")
    assert error.details == {"file": "f.yaml", "line": line}


def test_load_other_encoding_is_refused() -> None:
    assert fails(b"a: 1\nb: \xff\n").message == "f.yaml:2: it is not UTF-8"
    assert "UTF-8" in fails("a: 1".encode("utf-16")).message


@pytest.mark.parametrize("data", [b"- x\n" * 2_500_000, b"[" * 10_000_000, b"{" * 1_000_000, b"- " * 1_000_000])
def test_load_huge_or_deep_input_fails_fast(data: bytes) -> None:
    start = time.process_time()
    fails(data)
    assert time.process_time() - start < 1


def test_load_foreign_aliases_and_merges_are_followed() -> None:
    text = b"base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo:\n  <<: [*b, *o]\nthree: [*b]\n"
    found = yaml.load_foreign(text, "f.yaml")
    assert isinstance(found, dict)
    assert found["one"] == {"x": 9, "y": 2}
    assert found["two"] == {"x": 1, "y": 2, "z": 4}
    assert found["three"] == [{"x": 1, "y": 2}]
    assert found == ruamel.yaml.YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *x\n", "f.yaml:1: nothing before it is marked &x"),
        ("a: &x [*x]\n", "f.yaml:1: nothing before it is marked &x"),
        ("a:\n  <<: 1\n", "<< above takes a mapping or a list of mappings"),
        ("a: !x y\n", "f.yaml:1: tags (!x) are not read here"),
    ],
)
def test_load_foreign_faults_are_refused(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        yaml.load_foreign(text.encode(), "f.yaml")
    assert message in caught.value.message


def test_load_foreign_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(DataError, match="unfolds into more than 1000000 values"):
        yaml.load_foreign("\n".join(lines).encode(), "f.yaml")


SETTINGS = b"""\
schema: 1
stages:
  staging: {}

  production:
    # only what was tried
    from: stging
"""


def test_read_parsed_value_is_returned() -> None:
    assert yaml.read(b"a: x\n", "f.yaml", lambda fields: fields.text("a")) == "x"


def test_read_fault_of_a_value_names_its_line() -> None:
    with pytest.raises(DataError) as caught:
        yaml.read(SETTINGS, "registry.yaml", parse_policy)
    assert caught.value.message == "registry.yaml:7: stages.production.from: stage 'stging' is not declared"
    assert caught.value.hint == "the stages are: staging, production"
    assert caught.value.details["line"] == 7
    assert caught.value.details["key"] == "stages.production.from"


def test_read_fault_of_the_whole_names_no_line() -> None:
    with pytest.raises(DataError) as caught:
        yaml.read(b"- a\n", "registry.yaml", parse_policy)
    assert caught.value.message == "registry.yaml: a mapping is expected here, not a list: ['a']"
    with pytest.raises(DataError) as caught:
        yaml.read(b"", "registry.yaml", parse_policy)
    said = "required, but missing: is the file another tool's?"
    assert caught.value.message == f"registry.yaml: schema: {said}"


def test_read_error_without_a_key_is_left_alone() -> None:
    def parse(_: Fields) -> None:
        raise DataError("elsewhere")

    with pytest.raises(DataError, match="elsewhere"):
        yaml.read(b"a: 1", "f.yaml", parse)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["stages"], 2),
        (["stages", "production"], 5),
        (["stages", "production", "from"], 7),
        (["stages", "production", "missing"], 5),
        (["stages", "staging", "from", 0], 3),
        (["missing"], None),
        ([], None),
    ],
)
def test_line_of_key_path_gives_line_or_that_of_what_is_around(path: list[str | int], line: int | None) -> None:
    assert yaml.line_of(SETTINGS, path) == line


def test_line_of_list_item_gives_its_line() -> None:
    assert yaml.line_of(b"a:\n- x\n- y: 1\n", ["a", 1, "y"]) == 3
    assert yaml.line_of(b"a:\n- x\n", ["a", 5]) == 1


def test_line_of_broken_document_gives_none() -> None:
    assert yaml.line_of(b"a: [", ["a"]) is None


def test_dump_record_is_plain_to_read() -> None:
    notes = "retrained on October data; " + "a long line is not folded " * 10 + "end"
    document = {
        "version": "v3.0.0",
        "metrics": {"auc": 0.913, "p": 1e-05, "n": -3},
        "trained_at": "2026-11-20T09:12:00Z",
        "dataset": {"version": "1.10", "name": "Grüße 🚀"},
        "tags": ["a", ["b", []], {}],
        "notes": notes,
        "more": "two\n\n  lines: # here\n",
        "none": None,
        "hold": False,
        "no": "no",
    }
    assert yaml.dump(document) == textwrap.dedent(
        f"""\
        version: v3.0.0
        metrics:
          auc: 0.913
          p: 1.0e-05
          'n': -3
        trained_at: '2026-11-20T09:12:00Z'
        dataset:
          version: '1.10'
          name: Grüße 🚀
        tags:
        - a
        - - b
          - []
        - {{}}
        notes: {notes}
        more: |
          two

            lines: # here
        none: null
        hold: false
        'no': 'no'
        """
    )


def test_dump_same_object_twice_is_written_twice() -> None:
    shared = ["x"]
    assert yaml.dump({"a": shared, "b": shared}) == "a:\n- x\nb:\n- x\n"


def test_dump_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(DataError, match="is not text that can be stored as UTF-8"):
        yaml.dump({"a": "\udcff"})


WORD = st.sampled_from(
    [*WORDS.split(), "~", "", "null", "true", "1", "1e5", "1E5", ".5", "5.", "+.5", "-1E9", ".inf", "0o7"]
)
SIGNS = st.text(" \t\n\r\x85\u2028\ufeff\x00\x7f\u202e\U0001f680'\"\\#:-?&*!|>%@`{}[],.~=<ab01", max_size=8)
TEXT = WORD | SIGNS | st.text(st.characters(exclude_categories=["Cs"])) | st.just("a " * 200)
SCALAR = TEXT | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()
PLAIN = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=10
)


@given(st.dictionaries(TEXT, PLAIN, max_size=5))
@example({"a" * 300: {"b\n" * 100: "c"}})
def test_dump_anything_is_read_back_the_same_by_all_readers(document: dict[str, object]) -> None:
    text = yaml.dump(document)
    # Compared as written, which tells 1 from 1.0 and from true.
    assert repr(yaml.load(text.encode(), "f.yaml")) == repr(document)
    assert repr(pyyaml.safe_load(text)) == repr(document)
    assert repr(ruamel.yaml.YAML(typ="safe", pure=True).load(text)) == repr(document)


ENTRY = {"path": "p.pkl", "type": "model"}
CHURN = "churn:\n    path: p.pkl\n    type: model\n"


def set_churn(before: str, value: Mapping[str, object] | None = ENTRY) -> str:
    after = yaml.set_in_document(before, "artifacts", "churn", value)
    assert yaml.set_in_document(after, "artifacts", "churn", value) == after
    return after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"artifacts:\n  {CHURN}"),
        ("# mine\n", f"# mine\nartifacts:\n  {CHURN}"),
        ("stages: {}", f"stages: {{}}\nartifacts:\n  {CHURN}"),
        (
            "---\nstages:  # x\n    a: {cmd: b}\n\n# end\n",
            f"---\nstages:  # x\n    a: {{cmd: b}}\n\n# end\nartifacts:\n  {CHURN}",
        ),
        ("  stages: {}\n", "  stages: {}\n  artifacts:\n    churn:\n      path: p.pkl\n      type: model\n"),
    ],
)
def test_set_in_document_missing_section_is_appended(before: str, after: str) -> None:
    assert set_churn(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  # first\n  zebra: {path: z}\n", "  {}  # first\n  zebra: {path: z}\n"),
        (
            "  ant: {path: a}  # c\n\n  # zoo\n  zebra: {path: z}\n",
            "  ant: {path: a}  # c\n  {}\n  # zoo\n  zebra: {path: z}\n",
        ),
        (
            "  ant:\n    path: a\n    # inside\n  # outside\n# top\nstages: {}\n",
            "  ant:\n    path: a\n    # inside\n  {}  # outside\n# top\nstages: {}\n",
        ),
        ("  zebra: {path: z}\n  ant: {path: a}", "  {}  zebra: {path: z}\n  ant: {path: a}"),
        ("  ant: {path: a}", "  ant: {path: a}\n  {}"),
        ("  churn: {path: old}\n  zebra: {path: z}\n", "  {}  zebra: {path: z}\n"),
        ("  ant: {path: a}\n  churn: {path: old}", "  ant: {path: a}\n  {}"),
        (
            "  'churn':\n    # mine\n    desc: |\n      text\n\n      # text\n\n\n  # zoo\n  zebra: {path: z}",
            "  {}\n\n  # zoo\n  zebra: {path: z}",
        ),
        ("  a: &x {path: a}\n  z: *x\n", "  a: &x {path: a}\n  {}  z: *x\n"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_set_in_document_entry_is_set_and_all_else_kept(before: str, after: str, line_end: str) -> None:
    before, after = f"artifacts:  # ours\n{before}", f"artifacts:  # ours\n{after.replace('{}', CHURN, 1)}"
    after = after.replace("stages: " + CHURN, "stages: {}")
    assert set_churn(before.replace("\n", line_end)) == after.replace("\n", line_end)


def test_set_in_document_line_ends_of_old_yaml_are_counted() -> None:
    before = "# one\u2028# two\r# three\x85artifacts:\n"
    assert set_churn(f"{before}  zebra: {{path: z}}\n") == f"{before}  {CHURN}  zebra: {{path: z}}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("artifacts:\nstages: {}\n", f"artifacts:\n  {CHURN}stages: {{}}\n"),
        ("# a\nartifacts: {}\n# c\nstages: {}\n", f"# a\nartifacts:\n  {CHURN}# c\nstages: {{}}\n"),
        ("artifacts: {churn: {path: x}, ant: {}}\n# c\n", f"artifacts:\n  {CHURN}  ant: {{}}\n# c\n"),
        ("artifacts: {\n  ant: {}}\n# c\n", f"artifacts:\n  ant: {{}}\n  {CHURN}# c\n"),
        ("artifacts:\n  ? ant\n  : {}\n# c\n", f"artifacts:\n  ant: {{}}\n  {CHURN}# c\n"),
    ],
)
def test_set_in_document_section_in_another_style_is_rewritten_alone(before: str, after: str) -> None:
    assert set_churn(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{stages: {}} # c\n", f"stages: {{}}\nartifacts:\n  {CHURN}"),
        ("artifacts:\n  churn: &x {path: a}\nother: *x\n", f"artifacts:\n  {CHURN}other:\n  path: a\n"),
        ("stages: {}\n...\n", f"stages: {{}}\nartifacts:\n  {CHURN}"),
    ],
)
def test_set_in_document_what_no_edit_can_do_is_written_anew(before: str, after: str) -> None:
    assert set_churn(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"a: 1\nartifacts:\n  ant: {{}}\n  {CHURN}  # zoo\n  zebra: {{}}\n", "  ant: {}\n  # zoo\n  zebra: {}\n"),
        ("a: 1\nartifacts: {churn: {}, ant: {}}", "  ant: {}\n"),
        ("a: 1\nartifacts:\n  ant: {}\n", "  ant: {}\n"),
    ],
)
def test_set_in_document_removed_entry_leaves_the_others(before: str, after: str) -> None:
    assert set_churn(before, None) == f"a: 1\nartifacts:\n{after}"


@pytest.mark.parametrize("before", ["", "a: 1", "# a\r\nstages: {}\r\n# c\r\n", "a: 1\nartifacts: {}\n"])
def test_set_in_document_removed_last_entry_takes_the_section_along(before: str) -> None:
    assert set_churn(before, None) == before
    after = set_churn(set_churn(before), None)
    assert after in (before, f"{before}\n", "a: 1\n")


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("- a\n", "a mapping is expected here"),
        ("artifacts: [a]\n", "artifacts: a mapping is expected here"),
        ("a: 1\na: 2\n", "dvc.yaml:2: key 'a' appears twice"),
        ("a: 1\n---\nb: 1\n", "dvc.yaml:2: a second document"),
    ],
)
def test_set_in_document_unreadable_document_is_refused(before: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        set_churn(before)


UGLY = st.text("ab: -{}[]'\"#|>&*?!\n\t\r\ufeff\u2028é", max_size=40)


@given(UGLY | UGLY.map(lambda text: f"artifacts:\n  {text}"), st.sampled_from(["a", "b", "x/y"]))
def test_set_in_document_any_document_says_the_same_but_for_the_entry(before: str, key: str) -> None:
    try:
        document = yaml.load_foreign(before.encode(), "dvc.yaml")
        after = yaml.set_in_document(before, "artifacts", key, ENTRY)
    except DataError:
        return
    assert isinstance(document, dict)
    entries = document.get("artifacts") or {}
    assert yaml.load_foreign(after.encode(), "dvc.yaml") == {**document, "artifacts": {**entries, key: ENTRY}}
    assert yaml.set_in_document(after, "artifacts", key, None).strip() != after.strip()
