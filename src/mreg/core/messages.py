"""Messages of commits and tags.

Rules:
    * A message is a subject of one line, what people wrote, and trailers in a last paragraph of their own.
    * What people wrote adds no trailer and hides none: to Git a line of dashes or scissors ends a commit message, and
      ``-----BEGIN`` begins the signature of a tag.  Such a line is indented.
    * There are no control characters besides line breaks and tabs, and all is valid UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["format_message"]

_ENDS_A_MESSAGE = re.compile(r"^(?=---|.*-{8} >8 -{8})", re.MULTILINE)
_UNSOUND = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def format_message(subject: str, body: str, trailers: Iterable[tuple[str, str]]) -> str:
    """Returns a message; an empty body is left out, and so is a trailer without a value."""
    lines = (f"{key}: {value}" for key, text in trailers if (value := _one_line(text)))
    text = _ENDS_A_MESSAGE.sub(" ", _clean(body.replace("\r\n", "\n")).strip()) if body else ""
    return "\n\n".join(part for part in (_one_line(subject), text, "\n".join(lines)) if part) + "\n"


def _one_line(text: str) -> str:
    return _clean(" ".join(text.split()))


def _clean(text: str) -> str:
    return text if text.isascii() and text.isprintable() else _UNSOUND.sub("\ufffd", text)
