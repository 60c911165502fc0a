"""Outputs of a step of GitHub Actions, for the steps that follow.

Rules:
    * An output stands between delimiters that nobody can guess: no text can end it and begin another.
    * An output fits into an environment variable, the one safe way to hand it to a script.  One that does not is empty.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mreg.render.formats.json import json_document
from mreg.render.json_text import make_plain
from mreg.render.view import Result

__all__ = ["MAX_OUTPUT_BYTES", "as_output", "read_document", "render_outputs"]

MAX_OUTPUT_BYTES = 120_000
"""Linux takes 128 KiB in one environment variable, GitHub 1 MB in all outputs of a job."""


def read_document(result: Result) -> dict[str, Any]:
    """Returns the JSON document of a result; a list that no output has room for is there as far as shows that."""
    return {
        name: list(_until_too_long(value)) if isinstance(value, Iterator) else make_plain(value)
        for name, value in json_document(result).items()
    }


def _until_too_long(items: Iterable[object]) -> Iterator[object]:
    size = 0
    for item in items:
        yield item
        size += len(as_output(item)) + 1
        if size > MAX_OUTPUT_BYTES:
            return


def as_output(value: object) -> str:
    """Returns text as it is, nothing for null, and all else as JSON in one line."""
    if value is None or isinstance(value, str):
        return value or ""
    # `##[` again: the same text to every reader of JSON, and inert where a script prints it.
    return json.dumps(value, separators=(",", ":")).replace("##[", "#\\u0023[")


def render_outputs(outputs: Mapping[str, str]) -> str:
    """Returns lines for the file that ``GITHUB_OUTPUT`` names; each output has a random delimiter of its own."""
    lines: list[str] = []
    for name, value in outputs.items():
        mark = f"mreg_{secrets.token_hex(16)}"
        lines += (f"{name}<<{mark}", value, mark)
    return "".join(f"{line}\n" for line in lines)
