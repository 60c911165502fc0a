"""What people may write into the record: reasons, notes, names of approvers.

Rules:
    * Line breaks and tabs are text; other control characters are not.
    * No character that reorders or hides what stands beside it (bidirectional controls, zero-width characters).
    * No secret of a well-known form, and no text that is named like one: what is committed is there for ever.
"""

from __future__ import annotations

import re
import unicodedata

from mreg.errors import UsageError

__all__ = ["check_line", "check_text", "check_value", "find_secret"]

MAX_LENGTH = 64 * 1024
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks without a shape."""
_SHOWN = frozenset("\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")
"""Of those categories: what joins emoji, and Arabic and Syriac signs that are seen."""
_SECRETS = (
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b"),
    ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("a Google API key", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
    (
        "an API key of a language model",
        r"\bsk-(?:(?:ant|proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})",
    ),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ("a Slack webhook", r"\bhooks\.slack\.com/services/T\w+/B\w+/\w+"),
    ("a private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    ("a password in a URL", r"://[^\s/:@]*:[^\s/@]+@"),
)
_TELLING = (
    r"(?:password|passwd|passphrase|secret|(?:api|secret|access|private|account)key"
    r"|(?:api|auth|access|bearer|refresh|session|secret|github|hf|hub)token)$|^(?:token|pwd)$"
)
"""Of the last part of a name, in lower case and without what separates its words; ``pad_token`` is none."""


def check_text(text: str, what: str) -> str:
    """Returns the text without white space around it.

    Args:
        text: What was written; may have several lines.
        what: What it is, for the message: ``reason``, ``notes``.

    Raises:
        UsageError: It is no text or too long, or holds a hidden or control character or a secret.
    """
    if not isinstance(text, str):  # the Python API takes what it is given
        raise UsageError(f"the {what} must be text, and this is {text!r}", hint="str(…)", details={"what": what})
    has, holds = ("have", "hold") if what == "notes" else ("has", "holds")
    if len(text) > MAX_LENGTH:
        message = f"the {what} {has} {len(text)} characters; at most {MAX_LENGTH} are allowed"
        raise UsageError(message, hint="shorten it, and say where the rest can be read", details={"what": what})
    for position, char in enumerate(text):
        if char.isascii() and (char.isprintable() or char in "\n\t"):
            continue
        if char == "\r" and text[position + 1 : position + 2] == "\n":
            continue
        if "\udc80" <= char <= "\udcff":  # how Python keeps a byte that is no text in the encoding of the shell
            raise UsageError(
                f"the {what} {holds} what is not UTF-8, at position {position + 1}",
                hint="export LC_ALL=C.UTF-8   # or another locale in UTF-8",
                details={"what": what, "position": position + 1},
            )
        if char in _HIDDEN or (unicodedata.category(char) in _HIDDEN_CATEGORIES and char not in _SHOWN):
            name = f"U+{ord(char):04X}"
            raise UsageError(
                f"the {what} {holds} the character {name} at position {position + 1}, which is invisible",
                hint="type that part again instead of pasting it",
                details={"what": what, "position": position + 1, "character": name},
            )
    secret = find_secret(text)
    if secret:
        raise UsageError(
            f"the {what} {holds} {secret}, and whatever is committed stays for ever",
            hint="take it out, and replace the secret if it is a real one",
            details={"what": what},
        )
    return text.replace("\r\n", "\n").strip()


def check_line(text: str, what: str) -> str:
    """Returns one line of text, checked like ``check_text``.

    Raises:
        UsageError: It is empty, has several lines, or ``check_text`` refuses it.
    """
    line = check_text(text, what)
    if not line or "\n" in line:
        hint = "write it in one line"
        raise UsageError(f"the {what} must be one line of text", hint=hint, details={"what": what})
    return line


def check_value(name: str, text: str, where: str) -> None:
    """Passes a text that has a name, such as a parameter's.

    Args:
        name: Joined by dots.
        text: The value.
        where: Where it came from, for the message.

    Raises:
        UsageError: ``check_text`` refuses it, or it is named like a secret.
    """
    try:
        check_text(text, f"value of {name!r} in {where}")
    except UsageError as error:
        details = {**error.details, "where": where, "key": name}
        raise UsageError(error.message, hint=error.hint, details=details) from None
    last = re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())
    if text and not text.startswith("$") and re.search(_TELLING, last):
        raise UsageError(
            f"{where}: {name!r} is named like a secret, and whatever is recorded stays for ever",
            hint="leave it out; if it is no secret, give it another name",
            details={"where": where, "key": name},
        )


def find_secret(text: str) -> str | None:
    """Returns what kind of secret a text holds, or ``None``."""
    return next((kind for kind, pattern in _SECRETS if re.search(pattern, text)), None)
