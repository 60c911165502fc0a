from __future__ import annotations

import pytest

from mreg.core.setup.hosting import Source, find_repository_name, parse_source
from mreg.errors import UsageError

SHA = "0123456789" * 4


@pytest.mark.parametrize(
    ("text", "action", "requirement"),
    [
        (f"acme/mreg@{SHA}", f"acme/mreg@{SHA}", ""),
        (
            f"https://git.example/acme/mreg@{SHA}",
            f"acme/mreg@{SHA}",
            f"mreg[notify,scan] @ git+https://git.example/acme/mreg@{SHA}",
        ),
        (
            f"git+https://git.example/acme/mreg.git@{SHA}",
            f"acme/mreg@{SHA}",
            f"mreg[notify,scan] @ git+https://git.example/acme/mreg.git@{SHA}",
        ),
        (
            f"git@git.example:acme/mreg.git@{SHA}",
            f"acme/mreg@{SHA}",
            f"mreg[notify,scan] @ git+ssh://git@git.example/acme/mreg.git@{SHA}",
        ),
        (f"https://git.example/a/b/mreg@{SHA}", "", f"mreg[notify,scan] @ git+https://git.example/a/b/mreg@{SHA}"),
        ("./.github/mreg", "./.github/mreg", "./.github/mreg[notify,scan]"),
    ],
)
def test_parse_source_gives_the_names_that_hosts_have(text: str, action: str, requirement: str) -> None:
    source = parse_source(text)
    assert (source.action, source.requirement) == (action, requirement)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme/mreg",
        "acme/mreg@v1",
        f"acme/mreg@{SHA[:-1]}",
        f"mreg@{SHA}",
        f"acme/mreg@{SHA} # x",
        f"acme/mreg\n@{SHA}",
        f"file:///srv/mreg@{SHA}",
        f"/srv/mreg@{SHA}",
        "../mreg",
        "./a/../../mreg",
        "./a b",
    ],
)
def test_parse_source_without_a_whole_commit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not say where mreg comes from") as caught:
        parse_source(text)
    assert caught.value.hint.startswith("mreg init --github --mreg ")


def test_source_action_names_its_version_for_people() -> None:
    assert Source("acme/mreg", SHA, "1.2.0").action == f"acme/mreg@{SHA} # 1.2.0"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://git.example/acme/churn.git", "acme/churn"),
        ("https://user@git.example/acme/churn/", "acme/churn"),
        ("ssh://git@git.example:22/acme/churn", "acme/churn"),
        ("git@git.example:group/sub/churn.git", "group/sub/churn"),
        ("/srv/git/churn.git", ""),
        ("../churn", ""),
        ("file:///srv/git/churn.git", ""),
        ("", ""),
    ],
)
def test_find_repository_name(url: str, name: str) -> None:
    assert find_repository_name(url) == name
