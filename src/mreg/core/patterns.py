"""Regular expressions that whoever can commit may write: what could take for ever to match is refused.

Python's ``re`` tries every way to divide a text among repetitions.  A name has at most 100 characters, so that a few
repetitions one after the other do no harm; one in another may take longer than anyone waits.

Rules:
    * At most 200 characters, 5 repetitions (``*``, ``+``, ``{1,3}``) and 8 optional parts (``?``).
    * What is repeated holds no alternatives, and nothing repeated or optional but behind a separator that it holds
      nowhere else: ``[a-z]+(_[a-z]+)*`` is taken, ``([a-z]+_?)*`` is not.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

__all__ = ["find_pattern_fault"]

MAX_LENGTH = 200
MAX_REPEATED = 5
MAX_OPTIONAL = 8
_PART = r"(?s)\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P?<\w+>|<?[=!]|[:>]))?|\)|[*+?]|\{\d*,?\d*\}|."
_SEPARATOR = r"\\?[-_/]"
_REPEATED = r"[*+]|\{\d*,\d*\}"
_EXACTLY = r"\{\d+\}"


class _Group(Struct):
    parts: list[str] = field(default_factory=list)
    is_varied: bool = False
    """True where something in it is repeated, optional or one of several."""
    has_choice: bool = False

    def add(self, inner: _Group) -> None:
        self.parts += ["(", *inner.parts]
        self.is_varied = self.is_varied or inner.is_varied

    @property
    def is_separated(self) -> bool:
        """True where each turn begins with one character that is found nowhere else in it."""
        first, *rest = [*self.parts, ""]
        if self.has_choice or not re.fullmatch(_SEPARATOR, first) or _is_quantifier(rest[0]):
            return False
        return not any(_can_be(part, first[-1]) for part in rest)


def find_pattern_fault(pattern: str) -> str | None:
    """Returns why a regular expression is not taken for names, or ``None`` where it is."""
    if len(pattern) > MAX_LENGTH:
        return f"it has {len(pattern)} characters; at most {MAX_LENGTH} are allowed"
    parts = re.findall(_PART, pattern)
    if sum(map(_is_repetition, parts)) > MAX_REPEATED or parts.count("?") > MAX_OPTIONAL:
        return f"it has more than {MAX_REPEATED} repetitions or {MAX_OPTIONAL} optional parts, and could take for ever"
    stack = [_Group()]
    for part, following in zip(parts, [*parts[1:], ""], strict=False):
        group = stack[-1]
        if part.startswith("("):
            stack.append(_Group())
        elif part == ")" and len(stack) > 1:
            stack.pop()
            is_again = _is_repetition(following) or re.fullmatch(_EXACTLY, following) is not None
            if is_again and group.is_varied and not group.is_separated:
                return "a repetition within a repetition, or alternatives within one, could take for ever"
            stack[-1].add(group)
        elif part == "|":
            group.has_choice = group.is_varied = True
        else:
            group.parts.append(part)
            group.is_varied = group.is_varied or _is_quantifier(part)
    return None


def _is_repetition(part: str) -> bool:
    return re.fullmatch(_REPEATED, part) is not None


def _is_quantifier(part: str) -> bool:
    return part == "?" or _is_repetition(part)


def _can_be(part: str, character: str) -> bool:
    """Returns whether a part of an expression matches a character; true where nobody can tell."""
    if not part or part == "(" or _is_quantifier(part) or re.fullmatch(_EXACTLY, part):
        return False
    try:
        return re.fullmatch(part, character, re.IGNORECASE) is not None
    except re.error:  # a reference to a group that is elsewhere
        return True
