from __future__ import annotations

import operator
from enum import Enum
from functools import cmp_to_key
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mreg.core.names import (
    ARCHIVED,
    Bump,
    ModelName,
    Selector,
    StageName,
    Version,
    avoid_folder_clash,
    find_folder_clash,
    parse_model_name,
    parse_selector,
    parse_stage_name,
    parse_version,
)
from mreg.errors import NamingError, UsageError
from tests.core.strategies import DEVICES, RESERVED, is_segment, model_names, selectors, stage_names, versions

GOOD_SEGMENTS = ["a", "0a", "churn", "credit-risk_v2-large", "a--b", "a_b", "v", "vv3", "v3a", "3d", "2nd-try", "com10"]
BAD_SEGMENTS = [
    "",
    "-churn",
    "churn-",
    "_churn",
    "churn_",
    "-",
    "--output=x",
    "Churn",
    "CHURN",
    "churn ",
    " churn",
    "churn\n",
    "\nchurn",
    "chu\nrn",
    "churn\0",
    "a.b",
    ".",
    "..",
    ".git",
    "churn.lock",
    "a@b",
    "a#b",
    "a!b",
    "a~1",
    "a^",
    "a:b",
    "a*",
    "a?",
    "a[b]",
    "a\\b",
    "a$(id)",
    "`id`",
    "a;b",
    "a|b",
    "a&b",
    "a'b",
    'a"b',
    "[/x]",
    "%0a",
    "\u0441hurn",  # a Cyrillic letter
    "churn\u200b",
    "\u202echurn",
    "ﬁle",
    "chürn",
    "churn٣",  # an Arabic digit
    "churn³",
    "ⅳ",
    "\u017f",  # the long s, whose upper case is an ordinary S
    "\u212a",  # the Kelvin sign, whose lower case is an ordinary k
    "v3",
    "3",
    "0",
    "007",
    "v01",
    "20261120",
    "202611201530",
    "v3.0.0",
    "3.0",
    "v3.0.0-rc",
]


@pytest.mark.parametrize("text", [*GOOD_SEGMENTS, "fraud/eu", "a/b/c/d", "a" * 100, "/".join(["a"] * 50)])
def test_parse_model_name_good_is_the_text(text: str) -> None:
    assert parse_model_name(text) == text


@pytest.mark.parametrize("text", [*BAD_SEGMENTS, *sorted(RESERVED), *sorted(DEVICES)])
def test_parse_model_name_bad_segment_is_refused_at_any_depth(text: str) -> None:
    for name in (text, f"a/{text}", f"{text}/a", f"a/{text}/b"):
        with pytest.raises(NamingError) as caught:
            parse_model_name(name)
        assert caught.value.details == {"model": name}
        assert caught.value.hint


@pytest.mark.parametrize("text", ["/", "/churn", "churn/", "a//b", "a/../b", "./a", "a" * 101, "/".join(["a"] * 51)])
def test_parse_model_name_bad_path_is_refused(text: str) -> None:
    with pytest.raises(NamingError):
        parse_model_name(text)


@pytest.mark.parametrize("text", [*BAD_SEGMENTS, *sorted(RESERVED), *sorted(DEVICES), "a/b", "a" * 101])
def test_parse_stage_name_bad_is_refused(text: str) -> None:
    with pytest.raises(NamingError) as caught:
        parse_stage_name(text)
    assert caught.value.details == {"stage": text}
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize("text", [*GOOD_SEGMENTS, "a" * 100])
def test_parse_stage_name_good_is_the_text(text: str) -> None:
    assert parse_stage_name(text) == text


@given(st.one_of(model_names, st.text(alphabet="ab1v-_/.A\né", max_size=8)))
def test_parse_model_name_takes_what_the_grammar_says(text: str) -> None:
    if len(text) <= 100 and all(is_segment(part) for part in text.split("/")):
        assert parse_model_name(text) == text
    else:
        with pytest.raises(NamingError):
            parse_model_name(text)


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        ("model", "My Model", "use 'my-model'"),
        ("model", "/Fraud//EU/", "use 'fraud/eu'"),
        ("model", "churn.lock", "use 'churn-lock'"),
        ("model", "v3", "examples: churn, fraud/eu, credit-risk_v2-large"),
        ("model", "Con", "examples: churn, fraud/eu, credit-risk_v2-large"),
        ("model", "A" * 101, "examples: churn, fraud/eu, credit-risk_v2-large"),
        ("model", "…", "examples: churn, fraud/eu, credit-risk_v2-large"),
        ("stage", "Production", "use 'production'"),
        ("stage", "latest", "examples: staging, production, shadow"),
    ],
)
def test_bad_name_hints_at_a_good_one(kind: str, text: str, hint: str) -> None:
    with pytest.raises(NamingError) as caught:
        (parse_model_name if kind == "model" else parse_stage_name)(text)
    assert caught.value.hint == hint


@given(st.text(max_size=20))
def test_bad_name_hint_can_be_used(text: str) -> None:
    try:
        parse_model_name(text)
    except NamingError as error:
        if error.hint.startswith("use "):
            parse_model_name(error.hint.removeprefix("use ").strip("'"))


def test_bad_name_very_long_is_shown_in_part() -> None:
    with pytest.raises(NamingError) as caught:
        parse_model_name("x" * 1_000_000)
    assert "1000000 characters" in caught.value.message
    assert len(caught.value.message) < 300


def test_bad_name_hidden_characters_are_shown() -> None:
    with pytest.raises(NamingError, match=r"'a\\n\\u202eb' is not a model name"):
        parse_model_name("a\n\u202eb")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3", Version(3)),
        ("3", Version(3)),
        ("V3", Version(3)),
        ("3.0", Version(3)),
        ("v3.1", Version(3, 1)),
        ("v0.0.0", Version(0)),
        ("v1.10.0", Version(1, 10)),
        ("v1.2.3-rc.1", Version(1, 2, 3, ("rc", "1"))),
        ("1.2.3-RC.1", Version(1, 2, 3, ("RC", "1"))),
        ("v1.0.0--", Version(1, 0, 0, ("-",))),
        ("v1.0.0-0", Version(1, 0, 0, ("0",))),
        ("v1.0.0-00a", Version(1, 0, 0, ("00a",))),
        ("v1.0.0-lock", Version(1, 0, 0, ("lock",))),
        ("v1.0.0-lock.1", Version(1, 0, 0, ("lock", "1"))),
        ("v999999999.999999999.999999999", Version(999_999_999, 999_999_999, 999_999_999)),
    ],
)
def test_parse_version_typed_means(text: str, version: Version) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v",
        "vv1",
        "v 1",
        " v1",
        "v1 ",
        "v1\n",
        "v1.",
        "v1..2",
        "v1.2.3.4",
        "v-1",
        "v+1",
        "v01",
        "v1.02",
        "v1.2.03",
        "v1-rc",
        "v1.2-rc",
        "v1.0.0-",
        "v1.0.0-rc.",
        "v1.0.0-rc..1",
        "v1.0.0-01",
        "v1.0.0-rc_1",
        "v1.0.0-rc/1",
        "v1.0.0-rc\n",
        "v1.0.0+build",
        "v1.0.0-rc+build",
        "v1.0.0-\u017f",
        "v1.0.0-\u212a",
        "v1.0.0-é",
        "v٣",
        "v³",
        "1e3",
        "latest",
        "1.0.0-rc.lock",
        "1.0.0-rc.LOCK",
        "v1000000000",
        "v1.0.0-" + "9" * 5000,
        "v1.0.0-" + "a" * 94,
    ],
)
def test_parse_version_bad_is_refused(text: str) -> None:
    with pytest.raises(NamingError) as caught:
        parse_version(text)
    assert caught.value.details == {"version": text}
    assert len(caught.value.message) < 300


def test_parse_version_longest_is_taken() -> None:
    text = "v1.0.0-" + "a" * 93
    assert str(parse_version(text)) == text


@given(versions)
def test_version_format_reads_back(version: Version) -> None:
    text = str(version)
    assume(len(text) <= 100)
    assert parse_version(text) == version
    assert parse_version(text.removeprefix("v")) == version
    assert str(parse_version(text)) == text


def _precedence(left: Version, right: Version) -> int:
    """Compares as https://semver.org/spec/v2.0.0.html says, sentence by sentence."""
    for name in ("major", "minor", "patch"):
        if getattr(left, name) != getattr(right, name):
            return 1 if getattr(left, name) > getattr(right, name) else -1
    if not left.prerelease or not right.prerelease:
        return bool(right.prerelease) - bool(left.prerelease)
    pairs = zip_longest(left.prerelease, right.prerelease)
    return next((_precedence_of_parts(one, other) for one, other in pairs if one != other), 0)


def _precedence_of_parts(one: str | None, other: str | None) -> int:
    if one is None or other is None:
        return -1 if one is None else 1
    if one.isdigit() and other.isdigit():
        return 1 if int(one) > int(other) else -1
    if one.isdigit() or other.isdigit():
        return -1 if one.isdigit() else 1
    return 1 if one.encode("ascii") > other.encode("ascii") else -1


@given(st.lists(versions, max_size=8))
def test_version_order_is_that_of_semver(some: list[Version]) -> None:
    assert sorted(some) == sorted(some, key=cmp_to_key(_precedence))


@given(versions, versions)
def test_version_comparisons_agree(left: Version, right: Version) -> None:
    order = _precedence(left, right)
    assert (left < right, left <= right, left > right, left >= right) == (order < 0, order <= 0, order > 0, order >= 0)
    assert (left == right) == (order == 0)


def test_version_order_example_of_the_specification() -> None:
    texts = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    order = [*(parse_version(f"1.0.0-{text}") for text in texts), Version(1)]
    assert sorted(order, reverse=True)[::-1] == order


@pytest.mark.parametrize(
    ("text", "major", "minor", "patch"),
    [
        ("v1.2.3", "v2.0.0", "v1.3.0", "v1.2.4"),
        ("v2.0.0-rc.1", "v2.0.0", "v2.0.0", "v2.0.0"),
        ("v2.1.0-rc.1", "v3.0.0", "v2.1.0", "v2.1.0"),
        ("v2.1.3-rc.1", "v3.0.0", "v2.2.0", "v2.1.3"),
        ("v2.0.3-rc.1", "v3.0.0", "v2.1.0", "v2.0.3"),
    ],
)
def test_bumped_raises_the_part(text: str, major: str, minor: str, patch: str) -> None:
    version = parse_version(text)
    assert [str(version.bumped(bump)) for bump in Bump] == [major, minor, patch]


@given(versions, st.sampled_from(Bump))
def test_bumped_is_a_later_release(version: Version, bump: Bump) -> None:
    assume(max(version.major, version.minor, version.patch) < 999_999_999)
    following = version.bumped(bump)
    assert following > version
    assert not following.prerelease
    # Nothing is left out: the release before it of the same shape is not later than the version.
    if bump is Bump.MAJOR:
        assert (following.minor, following.patch) == (0, 0)
        before = Version(following.major - 1)
    elif bump is Bump.MINOR:
        assert following.patch == 0
        before = Version(following.major, following.minor - 1)
    else:
        before = Version(following.major, following.minor, following.patch - 1)
    assert before <= version


def test_bumped_beyond_the_digits_is_refused() -> None:
    with pytest.raises(NamingError, match=r"v1000000000\.0\.0"):
        Version(999_999_999).bumped(Bump.MAJOR)


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("churn", Selector(ModelName("churn"))),
        ("churn@latest", Selector(ModelName("churn"))),
        ("fraud/eu@v3", Selector(ModelName("fraud/eu"), version=Version(3))),
        ("churn@3", Selector(ModelName("churn"), version=Version(3))),
        ("churn@V3.1", Selector(ModelName("churn"), version=Version(3, 1))),
        ("churn@v1.0.0-rc.1", Selector(ModelName("churn"), version=Version(1, 0, 0, ("rc", "1")))),
        ("churn@production", Selector(ModelName("churn"), stage=StageName("production"))),
        ("churn@2nd-try", Selector(ModelName("churn"), stage=StageName("2nd-try"))),
        ("churn@v", Selector(ModelName("churn"), stage=StageName("v"))),
        ("churn#production", Selector(ModelName("churn"), stage=StageName("production"))),
    ],
)
def test_parse_selector_means(text: str, selector: Selector) -> None:
    assert parse_selector(text) == selector
    assert selector.is_latest == (selector.version is None and selector.stage is None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "model name"),
        ("@v3", "model name"),
        ("#production", "model name"),
        ("Churn@v3", "model name"),
        ("churn@", "stage name"),
        ("churn#", "stage name"),
        ("churn#latest", "stage name"),
        ("churn#v3", "stage name"),
        ("churn#production#5", "stage name"),
        ("churn#production!", "stage name"),
        ("churn@v3#production", "model name"),
        ("churn@v3@v4", "stage name"),
        ("churn@archived", "stage name"),
        ("churn@none", "stage name"),
        ("churn@Production", "stage name"),
        ("churn@v3\n", "stage name"),
        ("churn@v01", "version"),
        ("churn@1.2.3.4", "version"),
        ("churn@3.0.0+build", "version"),
        ("churn@v1.0.0-rc.01", "version"),
        ("churn@1234567890", "version"),
    ],
)
def test_parse_selector_bad_names_the_part(text: str, what: str) -> None:
    with pytest.raises(NamingError, match=f"is not a {what}"):
        parse_selector(text)


@given(selectors)
def test_selector_format_reads_back(selector: Selector) -> None:
    assume(selector.version is None or len(str(selector.version)) <= 100)
    assert parse_selector(str(selector)) == selector


@given(model_names, stage_names)
def test_selector_of_gto_reads_like_ours(model: ModelName, stage: StageName) -> None:
    assert parse_selector(f"{model}#{stage}") == parse_selector(f"{model}@{stage}")


def test_find_folder_clash_is_by_whole_segments() -> None:
    name = ModelName("fraud/eu")
    assert find_folder_clash(name, ["fraud-eu", "fraud/us", "fraud/eu", "frau", "fraud/eu2", "eu"]) is None
    assert find_folder_clash(name, ["churn", "fraud"]) == "fraud"
    assert find_folder_clash(name, ["churn", "fraud/eu/north"]) == "fraud/eu/north"


@pytest.mark.parametrize(
    ("name", "others", "near"),
    [
        ("fraud", ["fraud/eu"], "fraud-model"),
        ("fraud/eu/small", ["fraud/eu", "churn"], "fraud/eu-small"),
        ("fraud/eu/small/v", ["fraud/eu"], "fraud/eu-small-v"),
        ("fraud/eu", ["fraud"], "fraud-eu"),
        ("fraud", ["fraud/eu", "fraud-model"], None),
        ("fraud/eu", ["fraud", "fraud-eu/x"], None),
        ("a" * 98, ["a" * 98 + "/b"], None),
    ],
)
def test_avoid_folder_clash_gives_a_name_that_is_free(name: str, others: list[str], near: str | None) -> None:
    assert avoid_folder_clash(ModelName(name), others) == near


def test_archived_is_no_stage() -> None:
    with pytest.raises(NamingError, match="reserved"):
        parse_stage_name(ARCHIVED)


def test_parse_something_else_than_text_is_refused() -> None:
    wrong: Any = 3
    for parse in (parse_version, parse_model_name, parse_stage_name, parse_selector):
        with pytest.raises(NamingError, match="is text, and this is 3"):
            parse(wrong)


class Written(str, Enum):
    MODEL = "churn"
    STAGE = "production"
    VERSION = "v3"
    SELECTOR = "churn#production"


def test_parse_member_of_an_enum_of_texts_gives_plain_text() -> None:
    assert f"{parse_model_name(Written.MODEL)} {parse_stage_name(Written.STAGE)}" == "churn production"
    assert f"{parse_selector(Written.SELECTOR)}" == "churn@production"
    assert parse_version(Written.VERSION) == Version(3)


def test_version_is_shown_as_people_write_it() -> None:
    version = Version(3, prerelease=("rc", "1"))
    assert f"{version} {version:>12} {version!r}" == "v3.0.0-rc.1  v3.0.0-rc.1 <Version v3.0.0-rc.1>"


def test_version_is_not_compared_with_text() -> None:
    version, text = Version(3), "v3.0.0"
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        with pytest.raises(TypeError, match="not supported between instances of 'Version' and 'str'"):
            compare(version, text)
