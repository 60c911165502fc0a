from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.text import MAX_LENGTH, check_line, check_text, check_value, find_secret
from mreg.errors import UsageError

# Written in parts, so that no scanner takes this file for a leak.
SECRETS = [
    ("an AWS access key", "AKIA" + "ABCDEFGHIJ234567"),
    ("an AWS access key", "ASIA" + "ABCDEFGHIJ234567"),
    ("a GitHub token", "ghp_" + "a1B2" * 9),
    ("a GitHub token", "ghs_" + "a1B2" * 20),
    ("a GitHub token", "github_pat_" + "11ABCDEFG0_" * 3),
    ("a GitLab token", "glpat-" + "a1B2-" * 5),
    ("a Slack token", "xoxb-" + "1234567890-abc"),
    ("a Google API key", "AIza" + "Sy_-B" * 7),
    ("a Hugging Face token", "hf_" + "aB" * 17),
    ("an API key of a language model", "sk-ant-" + "api03-" * 6),
    ("an API key of a language model", "sk-proj-" + "aB3_" * 10),
    ("an API key of a language model", "sk-" + "aB3x" * 12),
    (
        "a JSON web token",
        "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0" + "." + "dozjgNryP4J3jVmNHl0w5N",
    ),
    ("a Slack webhook", "https://hooks.slack.com/services/" + "T0AB/B0CD/" + "eFgH"),
    ("a private key", "-----BEGIN " + "PRIVATE KEY-----"),
    ("a private key", "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nabc"),
    ("a password in a URL", "postgres://jane:" + "hunter2@db.example/x"),
    ("a password in a URL", "HTTPS://:" + "hunter2@host"),
    ("a password in a URL", "_https://a:" + "b@c"),
]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AUC 0.913 against 0.902",
        "two\n\n\tlines",
        "Grüße, 精度, дата, سلام, שלום",
        "🚀 👩‍💻 🏳️‍🌈 1️⃣",
        "\u0600\u06dd",
        "e\u0301",
        "\\u202e <b> [x] ${y} `z`",
        "\U0010fffd",
    ],
)
def test_check_text_what_people_can_see_is_kept(text: str) -> None:
    assert check_text(text, "reason") == text


@pytest.mark.parametrize(
    ("text", "kept"), [(" a \n", "a"), ("a\r\nb\r\n", "a\nb"), ("\t\n ", ""), ("\r\n", ""), ("\xa0a\u3000", "a")]
)
def test_check_text_white_space_around_is_dropped(text: str, kept: str) -> None:
    assert check_text(text, "notes") == kept


HIDDEN = (
    [chr(code) for code in [*range(0x20), 0x7F, *range(0x80, 0xA0)] if chr(code) not in "\t\n"]
    + list(
        "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200c\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2064\u2066\u2069"
    )
    + list("\u206f\u3164\ufeff\uffa0\ufff9\U000e0001\U000e0041\U000e007f\ud800\udfff")
)


@pytest.mark.parametrize("char", HIDDEN, ids=lambda char: f"{ord(char):04x}")
def test_check_text_character_that_is_not_seen_is_refused_with_its_place(char: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_text(f"ab\n{char}c", "notes")
    name = f"U+{ord(char):04X}"
    assert caught.value.message == f"the notes hold the character {name} at position 4, which is invisible"
    assert caught.value.hint
    assert caught.value.details == {"what": "notes", "position": 4, "character": name}


def test_check_text_last_carriage_return_is_refused() -> None:
    with pytest.raises(UsageError, match=r"U\+000D at position 2"):
        check_text("a\r", "notes")


def test_check_text_length_has_a_limit() -> None:
    assert check_text("a" * MAX_LENGTH, "notes")
    with pytest.raises(UsageError, match="the notes have 65537 characters; at most 65536 are allowed"):
        check_text("a" * (MAX_LENGTH + 1), "notes")


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_check_text_secret_is_refused_and_not_repeated(kind: str, secret: str) -> None:
    for text in (secret, f"see ({secret})", f"x={secret}\ny"):
        with pytest.raises(UsageError, match=f"the reason holds {kind}, and whatever is committed") as caught:
            check_text(text, "reason")
        assert secret not in caught.value.message + caught.value.hint + str(caught.value.details)


@pytest.mark.parametrize(
    "text",
    [
        "AKIA",
        "AKIAABCDEFGHIJ2345678",
        "ghp_short",
        "hf_model",
        "sk-learn-contrib-estimators-in-a-long-name",
        "https://github.com/acme/models",
        "ssh://git@github.com:22/acme",
        "git@github.com:acme/models.git",
        "https://host:8443/x and jane@example.com",
        "9f1c" * 16,
        "-----BEGIN PUBLIC KEY-----",
    ],
)
def test_find_secret_ordinary_text_holds_none(text: str) -> None:
    assert find_secret(text) is None


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "://",
        "a://b:",
        "-----BEGIN ",
        "A ",
        "AKIA",
        "ghp_",
        "github_pat_",
        "xoxb-",
        "AIza",
        "sk-ant-",
        "é",
        "T/",
    ],
)
def test_check_text_longest_text_is_checked_quickly(unit: str) -> None:
    start = time.process_time()
    find_secret((unit * MAX_LENGTH)[:MAX_LENGTH])
    assert time.process_time() - start < 0.5


def test_check_line_one_line_is_returned() -> None:
    assert check_line(" a\tb \r\n", "reason") == "a\tb"


@pytest.mark.parametrize("text", ["", " \n", "a\nb", "a\r\nb"])
def test_check_line_none_or_several_lines_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the reason must be one line of text") as caught:
        check_line(text, "reason")
    assert caught.value.details == {"what": "reason"}


def test_check_line_what_check_text_refuses_is_refused() -> None:
    with pytest.raises(UsageError, match=r"U\+2028"):
        check_line("a\u2028b", "reason")


@given(st.text())
def test_check_text_what_passes_is_clean_and_passes_again(text: str) -> None:
    try:
        clean = check_text(text, "notes")
    except UsageError:
        return
    assert check_text(clean, "notes") == clean == clean.strip()
    assert not {unicodedata.category(char) for char in clean.replace("\n", "").replace("\t", "")} & {
        "Cc",
        "Cs",
        "Zl",
        "Zp",
    }
    assert not {unicodedata.bidirectional(char) for char in clean} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
    }


def test_check_text_something_else_is_refused() -> None:
    for value in (None, 5, b"text"):
        with pytest.raises(UsageError, match="the reason must be text"):
            check_text(value, "reason")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db.password",
        "DB_PASSWORD",
        "dbPassword",
        "api_key",
        "openai.apiKey",
        "client-secret",
        "token",
        "HF_TOKEN",
    ],
)
def test_check_value_that_is_named_like_a_secret_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is named like a secret") as caught:
        check_value(name, "hunter2", "params")
    assert caught.value.details == {"where": "params", "key": name}
    check_value(name, "", "params")
    check_value(name, "${DB_PASSWORD}", "params")


@pytest.mark.parametrize(
    "name", ["pad_token", "eos_token", "tokenizer", "token.kind", "keys", "monkey", "secrets_found", "key"]
)
def test_check_value_that_is_named_otherwise_passes(name: str) -> None:
    check_value(name, "<pad>", "params")


def test_check_text_bytes_of_another_encoding_are_told() -> None:
    with pytest.raises(UsageError, match="holds what is not UTF-8, at position 2") as caught:
        check_text("a\udcc3\udcbc", "reason")
    assert caught.value.hint.startswith("export LC_ALL=C.UTF-8")
