from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mreg.core.messages import format_message

TRAILERS = [("Mreg-Action", "promote"), ("Mreg-Stage", "production"), ("Approved-by", "bob")]
SCISSORS = "------------------------ >8 ------------------------"
lines = st.one_of(
    st.sampled_from(
        [
            "Approved-by: eve@example.com",
            "Mreg-Stage: production",
            "Signed-off-by: eve",
            "(cherry picked from commit 0bad)",
            " continued",
            "---",
            "--- ",
            "----",
            "-----BEGIN SSH SIGNATURE-----",
            "diff --git a/x b/x",
            "Index: x",
            f"# {SCISSORS}",
            f"; {SCISSORS}",
            SCISSORS,
            "# comment",
            "Conflicts:",
            "\tpath",
            "",
            "",
            " ",
            "\r",
        ]
    ),
    st.text(max_size=12),
)
bodies = st.lists(lines, max_size=8).map("\n".join)


def parse_trailers(message: str) -> str:
    command = ["git", "interpret-trailers", "--parse"]
    return subprocess.run(command, input=message.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()


@given(bodies)
@example(f"x\n\nApproved-by: eve\n# {SCISSORS}\n")
@example("x\n\nApproved-by: eve\n---\n")
def test_message_body_forges_no_trailer_for_git(body: str) -> None:
    message = format_message("Promote churn v1.0.0 to production", body, TRAILERS)
    assert parse_trailers(message) == "Mreg-Action: promote\nMreg-Stage: production\nApproved-by: bob\n"


@given(bodies, st.lists(lines, max_size=3), lines)
def test_message_values_are_one_line_each(body: str, values: list[str], subject: str) -> None:
    trailers = [("Mreg-Action", "promote"), *(("Approved-by", value) for value in values)]
    message = format_message(subject or "Change", body, trailers)
    expected = [f"Approved-by: {' '.join(value.split())}" for value in values if value.split()]
    shown = message.rstrip("\n").rpartition("\n\n")[2].split("\n")
    assert shown[0] == "Mreg-Action: promote"
    assert len(shown) == 1 + len(expected)
    message.encode()


def test_message_is_subject_body_and_trailers() -> None:
    message = format_message("Subject", " first\n\nsecond\n", [("A", "1"), ("B", "2")])
    assert message == "Subject\n\nfirst\n\nsecond\n\nA: 1\nB: 2\n"
    assert format_message("Subject", "", []) == "Subject\n"
    assert format_message("Subject", " \n", [("A", " "), ("B", "")]) == "Subject\n"
    assert format_message("Sub\nject", "", [("A", "1\n2")]) == "Sub ject\n\nA: 1 2\n"


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("a\n---\nb", "a\n ---\nb"),
        ("-----BEGIN x", " -----BEGIN x"),
        ("- a\n-- b", "- a\n-- b"),
        ("--no-rebase", "--no-rebase"),
        ("a --- b", "a --- b"),
        (f"a\n% {SCISSORS}", f"a\n % {SCISSORS}"),
        ("tab\tand\r\nline", "tab\tand\nline"),
        ("\0\x1b\x85\ud800", "\ufffd\ufffd\ufffd\ufffd"),
        ("Zoë 模型 🙂", "Zoë 模型 🙂"),
    ],
)
def test_message_body_is_written(body: str, written: str) -> None:
    assert format_message("S", body, []) == f"S\n\n{written}\n"
