"""What a change of ``registry.yaml`` changes: key by key, as people wrote it.

Rules:
    * A key is a path joined by dots; a list is compared item by item, under its own key.
    * The order of stages is part of what they say, and so is a key that is there and empty.
    * Comments and layout say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import zip_longest

from msgspec import Struct

from mreg.core.fields import Plain

__all__ = ["SettingChange", "compare_settings"]


_LONG = 500
"""Items of a list that are compared in their order: that takes the square of the time."""


class SettingChange(Struct, frozen=True):
    """One setting that is another one afterwards."""

    key: str
    """Such as ``stages.production.approvals.count``."""
    old: Plain
    """``None`` where it was not there; of a list, the item that goes."""
    new: Plain
    """``None`` where it is not there any more; of a list, the item that comes."""


def compare_settings(old: Mapping[str, Plain], new: Mapping[str, Plain]) -> tuple[SettingChange, ...]:
    """Returns what differs between two documents, in the order of the new one; what is gone comes last."""
    before, after = dict(_flatten(old)), dict(_flatten(new))
    changes: list[SettingChange] = []
    for key in dict.fromkeys([*after, *before]):
        changes += _compare(key, before.get(key), after.get(key))
    # `staging: {}` that gets a key is not emptied by that.
    filled, was_filled = set(_sections(new)), set(_sections(old))
    shown = [each for each in changes if not (_is_empty(each.old) and each.key in filled)]
    shown = [each for each in shown if not (_is_empty(each.new) and each.key in was_filled)]
    return (*_reordered(old, new), *shown)


def _flatten(value: Plain | Mapping[str, Plain], path: str = "") -> Iterator[tuple[str, Plain]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flatten(item, f"{path}.{name}" if path else name)
    elif path:
        yield path, {} if value is None or isinstance(value, Mapping) else value


def _compare(key: str, old: Plain, new: Plain) -> Iterator[SettingChange]:
    if isinstance(old, list) or isinstance(new, list):
        yield from _compare_lists(key, _items(old), _items(new))
    elif not _is_same(old, new):
        yield SettingChange(key, old, new)


def _compare_lists(key: str, old: list[Plain], new: list[Plain]) -> Iterator[SettingChange]:
    if max(len(old), len(new)) > _LONG:
        gone, come = set(map(_spell, old)), set(map(_spell, new))
        yield from (SettingChange(key, each, None) for each in old if _spell(each) not in come)
        yield from (SettingChange(key, None, each) for each in new if _spell(each) not in gone)
        return
    matcher = SequenceMatcher(None, [*map(_spell, old)], [*map(_spell, new)], autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind != "equal":
            for before, after in zip_longest(old[first:last], new[start:end]):
                yield SettingChange(key, before, after)


def _reordered(old: Mapping[str, Plain], new: Mapping[str, Plain]) -> Iterator[SettingChange]:
    before, after = old.get("stages"), new.get("stages")
    if isinstance(before, dict) and isinstance(after, dict):
        kept: list[Plain] = [name for name in before if name in after]
        now: list[Plain] = [name for name in after if name in before]
        if kept != now:
            yield SettingChange("stages", kept, now)


def _items(value: Plain) -> list[Plain]:
    if isinstance(value, list):
        return value
    return [] if value is None or _is_empty(value) else [value]


def _is_same(one: Plain, other: Plain) -> bool:
    # True equals 1 in Python, and 1 equals 1.0.
    return _spell(one) == _spell(other)


def _spell(value: Plain) -> str:
    return json.dumps(value, sort_keys=True)


def _is_empty(value: Plain) -> bool:
    return isinstance(value, dict) and not value


def _sections(value: Plain | Mapping[str, Plain], path: str = "") -> Iterator[str]:
    """Yields the keys that have others below."""
    if isinstance(value, Mapping) and value:
        yield path
        for name, item in value.items():
            yield from _sections(item, f"{path}.{name}" if path else name)
