from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Plain
from mreg.core.settings.changed import SettingChange, compare_settings

Settings = dict[str, Plain]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"root": "registry"}, {"root": "models"}, [("root", "registry", "models")]),
        ({}, {"push": True}, [("push", None, True)]),
        ({"push": True}, {}, [("push", True, None)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        (
            {"stages": {"production": {"approvals": {"count": 2}}}},
            {"stages": {"production": {"approvals": {"count": 1}}}},
            [("stages.production.approvals.count", 2, 1)],
        ),
        ({"stages": {"a": {}}}, {"stages": {"a": {}, "b": {}}}, [("stages.b", None, {})]),
        ({"stages": {"a": {}}}, {"stages": {"a": None}}, []),
        ({"stages": {"a": {}}}, {"stages": {"a": {"auto": True}}}, [("stages.a.auto", None, True)]),
        ({"stages": {"a": {"auto": True}}}, {"stages": {"a": {}}}, [("stages.a.auto", True, None)]),
        ({"stages": {"a": {}, "b": {}}}, {"stages": {"b": {}, "a": {}}}, [("stages", ["a", "b"], ["b", "a"])]),
        ({"stages": {"a": {}, "b": {}}}, {"stages": {"b": {}}}, [("stages.a", {}, None)]),
        ({"roles": {"r": ["jane"]}}, {"roles": {"r": ["jane", "bo"]}}, [("roles.r", None, "bo")]),
        ({"roles": {"r": ["jane", "bo"]}}, {"roles": {"r": ["bo"]}}, [("roles.r", "jane", None)]),
        ({"roles": {"r": ["jane", "bo"]}}, {"roles": {"r": ["eve", "bo"]}}, [("roles.r", "jane", "eve")]),
        ({"roles": {"r": ["jane"]}}, {"roles": {}}, [("roles.r", "jane", None)]),
        ({"from": "staging"}, {"from": ["staging", "shadow"]}, [("from", None, "shadow")]),
        ({"from": None}, {"from": ["staging"]}, [("from", None, "staging")]),
        (
            {"gates": [{"metric": "auc", "min": 0.9}, {"pickle": "forbid"}]},
            {"gates": [{"metric": "auc", "min": 0.8}, {"pickle": "forbid"}]},
            [("gates", {"metric": "auc", "min": 0.9}, {"metric": "auc", "min": 0.8})],
        ),
    ],
)
def test_compare_settings_names_each_key(
    old: Settings, new: Settings, expected: list[tuple[str, Plain, Plain]]
) -> None:
    assert compare_settings(old, new) == tuple(SettingChange(*each) for each in expected)


def test_compare_settings_takes_no_time_for_very_long_ones() -> None:
    names: list[Plain] = [f"n{number}" for number in range(20_000)]
    empty: Settings = {f"m{number}": {} for number in range(20_000)}
    found = compare_settings(
        {"roles": {"r": [*names, "old"]}}, {"roles": {"r": [*names[::-1], "new"]}, "metrics": empty}
    )
    assert [each for each in found if each.key == "roles.r"] == [
        SettingChange("roles.r", "old", None),
        SettingChange("roles.r", None, "new"),
    ]
    assert len(found) == 20_002


plain: st.SearchStrategy[Plain] = st.recursive(
    st.sampled_from([None, True, 1, 1.0, "a", "b"]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["stages", "roles", "root"]), plain)


@given(documents)
def test_compare_settings_finds_nothing_where_nothing_changed(document: Settings) -> None:
    assert compare_settings(document, document) == ()


@given(documents, st.sampled_from(["stages", "roles"]), st.sampled_from(["x", "y"]))
def test_compare_settings_finds_every_new_value(document: Settings, key: str, value: str) -> None:
    added: Plain = {"new": [value]}
    changed = {**document, key: added}
    found = [each for each in compare_settings(document, changed) if each.key == f"{key}.new"]
    assert [each.new for each in found] == [value]
