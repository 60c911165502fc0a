from __future__ import annotations

import json
from pathlib import Path

import pytest

from mreg.stores.installation import Origin, find_origin, parse_origin

SHA = "0123456789" * 4
GIT = {"vcs": "git", "commit_id": SHA}


def test_parse_origin_of_a_repository_is_its_commit() -> None:
    text = json.dumps({"url": "https://git.example/acme/mreg", "vcs_info": GIT})
    assert parse_origin(text, "1.2.0") == Origin("https://git.example/acme/mreg", SHA, version="1.2.0")


@pytest.mark.parametrize("info", [{}, {"editable": True}])
def test_parse_origin_of_a_folder(info: dict[str, bool]) -> None:
    text = json.dumps({"url": "file:///srv/my%20mreg", "dir_info": info})
    assert parse_origin(text) == Origin(folder=Path("/srv/my mreg"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"url": 1}',
        json.dumps({"url": "https://a.example/mreg.whl", "archive_info": {}}),
        json.dumps({"url": "file:///a/mreg.whl", "archive_info": {}}),
        json.dumps({"url": "https://a.example/mreg", "vcs_info": {"vcs": "hg", "commit_id": SHA}}),
        json.dumps({"url": "https://a.example/mreg", "vcs_info": {"vcs": "git"}}),
    ],
)
def test_parse_origin_of_anything_else_is_none(text: str) -> None:
    assert parse_origin(text) is None


def test_find_origin_of_the_checkout_under_test_is_its_folder() -> None:
    found = find_origin()
    assert found is not None
    assert found.folder == Path(__file__).parents[2]
    assert found.version
