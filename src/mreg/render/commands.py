"""Commands as they work where the user stands, who named another directory with ``mreg -C``.

Rules:
    * Only what is marked as a command or a hint is touched, and in it only what a shell would run: no quoted text.
    * Documents for other places stay as they are: Markdown and the steps of GitHub Actions are read elsewhere.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mreg.render.documents import Document

__all__ = ["place_commands", "place_document"]

_COMMAND = re.compile(
    r"""(?P<quoted>"'"|(?<!\w)'[^']*')"""  # as `shlex.quote` writes text, which may name any command
    r"""|(?<![\w./-])(?P<program>mreg|git|dvc)[ ](?=[a-z])"""
    r"""(?!clone[ ]|version\b|config[ ]--global|demo\b|schema\b|[a-z]+[ ]--help)"""  # the same in every directory
)
_WORD_BEFORE = re.compile(r"([\w@/.-]+) \Z")
_LINKS = ("or", "then", "else", "and")
"""Words between two commands; behind any other, the name of a program is an argument or a part of a sentence."""
_OPTIONS = {"mreg": "-C", "git": "-C", "dvc": "--cd"}
_KEYS = ("fix", "hint", "settle", "again", "command", "next")
"""Keys of JSON documents that hold a command."""
_LISTS = ("changes", "checks", "complaints", "conflicts", "faults", "notifications")
"""Keys of lists of such documents."""


def place_commands(text: str, directory: str) -> str:
    """Returns a hint with the directory in each command of mreg, Git and DVC that has none; see the module's rules.

    Args:
        text: A command, or several with words between them.
        directory: As the user wrote it; empty for none.
    """
    if not directory:
        return text
    where = shlex.quote(directory)

    def put(found: re.Match[str]) -> str:
        program, before = found["program"], _WORD_BEFORE.search(text, 0, found.start())
        is_command = program and (before is None or before[1] in _LINKS)
        return f"{program} {_OPTIONS[program]} {where} " if is_command else found[0]

    return _COMMAND.sub(put, text)


def place_document(document: Document, directory: str) -> Document:
    """Returns a JSON document whose commands have the directory; text out of the registry is not looked at."""
    if not directory:
        return document
    return {name: _place_value(name, value, directory) for name, value in document.items()}


def _place_value(name: str, value: object, directory: str) -> object:
    if name in _KEYS and isinstance(value, str):
        return place_commands(value, directory)
    if name in _LISTS and isinstance(value, Iterable):
        return [place_document(each, directory) if isinstance(each, dict) else each for each in value]
    return value
