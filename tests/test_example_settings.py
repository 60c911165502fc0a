"""``registry.example.yaml``: every key that the parser knows is in it once, with its real default."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mreg.core.fields import Fields
from mreg.core.settings.policy import Policy, parse_policy
from mreg.errors import DataError
from mreg.stores import yaml

EXAMPLE = Path(__file__).parents[1] / "registry.example.yaml"
KEY = re.compile(r"(?P<indent> *)(?P<key>[a-z_]+):")
DEFAULT = re.compile(r" *# Default: (?P<value>.+)")
REQUIRED = {("schema",), ("stages", "production", "approvals", "count")}

KeyPath = tuple[str, ...]


def parse(document: object) -> Policy:
    return parse_policy(Fields(document, where="registry.yaml"))


def load() -> dict[str, object]:
    document = yaml.load(EXAMPLE.read_bytes(), EXAMPLE.name)
    assert isinstance(document, dict)
    return document


def walk(document: object, path: KeyPath = (), *, into_lists: bool = False) -> Iterator[KeyPath]:
    """Yields the path of every key of nested mappings; a place in a list is no key."""
    for key, value in document.items() if isinstance(document, dict) else ():
        yield (*path, key)
        yield from walk(value, (*path, key), into_lists=into_lists)
    for index, value in enumerate(document) if into_lists and isinstance(document, list) else ():
        yield from walk(value, (*path, str(index)), into_lists=True)


def outcome(document: object) -> Policy | str:
    """Returns what the parser makes of a document: settings, or why it cannot read it."""
    try:
        return parse(document)
    except DataError as error:
        return error.message


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[KeyPath, set[str]]:
    """The sections that the parser finished while it read the example, and the keys that it asked each for."""
    sections: dict[KeyPath, set[str]] = {}
    finish = Fields.finish

    def record(self: Fields) -> None:
        sections.setdefault(tuple(map(str, self._path)), set()).update(self._known)
        finish(self)

    monkeypatch.setattr(Fields, "finish", record)
    parse(load())
    return sections


def without_own_names(path: KeyPath, sections: dict[KeyPath, set[str]]) -> KeyPath:
    """Puts ``*`` for the names that users choose: those in a mapping whose keys the parser does not ask for by name."""
    return tuple(part if path[:index] in sections else "*" for index, part in enumerate(path))


def stated_defaults() -> dict[KeyPath, object]:
    """Returns what the comment above each key gives as its default."""
    stated: dict[KeyPath, object] = {}
    parents: list[tuple[int, str]] = []
    default: str | None = None
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if found := DEFAULT.fullmatch(line):
            assert default is None, f"two defaults stand above one key: {line}"
            default = found["value"]
        elif key := KEY.match(line):
            parents = [(indent, name) for indent, name in parents if indent < len(key["indent"])]
            parents.append((len(key["indent"]), key["key"]))
            if default is not None:
                document = yaml.load(f"value: {default}".encode(), "comment")
                assert isinstance(document, dict)
                stated[tuple(name for _, name in parents)] = document["value"]
            default = None
    return stated


def changed(path: KeyPath, *value: object) -> dict[str, object]:
    """Returns the example with one key set to a value, or without it."""
    document = copy.deepcopy(load())
    section = document
    for part in path[:-1]:
        inner = section[part]
        assert isinstance(inner, dict)
        section = inner
    del section[path[-1]]
    if value:
        section[path[-1]] = value[0]
    return document


def test_example_settings_are_read() -> None:
    policy = yaml.read(EXAMPLE.read_bytes(), EXAMPLE.name, parse_policy)
    assert list(policy.stages) == ["staging", "production"]


def test_example_settings_have_every_known_key_once(asked: dict[KeyPath, set[str]]) -> None:
    every = {without_own_names((*path, key), asked) for path, keys in asked.items() for key in keys}
    in_lists = {path for path in every if "gates" in path[:-1] or "notify" in path[:-1]}
    known = every - in_lists
    there = Counter(without_own_names(path, asked) for path in walk(load()))
    own = {path for path in there if path[-1] == "*"}
    counts = {path: count for path, count in there.items() if path not in own}
    counts |= dict.fromkeys((path for path in counts if path[0] == "people"), 1)  # it takes more than one person
    assert counts == dict.fromkeys(known, 1)
    # A kind of gate, and a key of one, may be shown in several.
    listed = {without_own_names(path, asked) for path in walk(load(), into_lists=True)} - set(there)
    assert listed == in_lists
    assert {("stages", "*", "gates", "*", "metric"), ("stages", "*", "gates", "*", "frozen", "days")} <= listed
    # Were this empty, the parser would no longer have been watched.
    assert {("stages", "*", "from"), ("metrics", "*", "direction"), ("branch",)} <= known


def test_example_settings_state_a_default_for_every_key_that_has_one(asked: dict[KeyPath, set[str]]) -> None:
    named = {path for path in map(partial(without_own_names, sections=asked), walk(load())) if path[-1] != "*"}
    stated = {without_own_names(path, asked) for path in stated_defaults()}
    assert stated == named - {without_own_names(path, asked) for path in REQUIRED}


@pytest.mark.parametrize("path", list(stated_defaults()), ids=".".join)
def test_example_settings_stated_default_is_the_real_one(path: KeyPath) -> None:
    assert outcome(changed(path, stated_defaults()[path])) == outcome(changed(path))


def test_example_settings_values_show_something_else_than_the_default() -> None:
    same = {path for path, value in stated_defaults().items() if parse(load()) == outcome(changed(path, value))}
    assert same == {("branch",), ("root",)}  # what `mreg init` writes, and what nobody needs to change
