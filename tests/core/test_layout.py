from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mreg.core.layout import Layout, PathKind, Place, pathspec
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from tests.core.strategies import model_names, stage_names, versions

LAYOUT = Layout()
CHURN = ModelName("churn")
roots = st.sampled_from(["registry", "models/registry", "versions", "stages/artifact", "a.b"])


@given(roots, model_names, versions, stage_names)
def test_locate_reads_back_every_path(root: str, model: ModelName, version: Version, stage: StageName) -> None:
    assume(len(str(version)) <= 100)
    layout = Layout(root)
    assert layout.locate(layout.record(model, version)) == Place(PathKind.RECORD, model, version=version)
    assert layout.locate(layout.file_list(model, version)) == Place(PathKind.FILE_LIST, model, version=version)
    assert layout.locate(layout.stage(model, stage)) == Place(PathKind.STAGE, model, stage=stage)
    assert layout.locate(layout.stage(model, ARCHIVED)) == Place(PathKind.STAGE, model, stage=ARCHIVED)
    approval = layout.approval(model, version, stage, "0a1b")
    assert layout.locate(approval) == Place(PathKind.APPROVAL, model, version=version, stage=stage)
    assert layout.locate(layout.artifact(model, "model.pkl") + ".dvc") == Place(PathKind.POINTER, model)
    assert layout.record(model, version).startswith(layout.model(model) + "/")


@given(model_names, model_names, versions, stage_names)
def test_locate_has_one_reading(one: ModelName, other: ModelName, version: Version, stage: StageName) -> None:
    assume(one != other)
    assert LAYOUT.record(one, version) != LAYOUT.record(other, version)
    assert LAYOUT.stage(one, stage) != LAYOUT.stage(other, stage)
    assert LAYOUT.approval(one, version, stage, "a") != LAYOUT.approval(other, version, stage, "a")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("registry/churn/versions/v1.0.0-rc.yaml", Place(PathKind.RECORD, CHURN, Version(1, 0, 0, ("rc",)))),
        (
            "registry/churn/versions/v1.0.0-rc.yaml.yaml",
            Place(PathKind.RECORD, CHURN, Version(1, 0, 0, ("rc", "yaml"))),
        ),
        ("registry/churn/artifact/.dvc.dvc", Place(PathKind.POINTER, CHURN)),
        ("registry/churn/artifact/модель.dvc", Place(PathKind.POINTER, CHURN)),
        (
            "registry/churn/approvals/v3.0.0/production/0a1b.yaml",
            Place(PathKind.APPROVAL, CHURN, Version(3), StageName("production")),
        ),
    ],
)
def test_locate_path_is(path: str, place: Place) -> None:
    assert LAYOUT.locate(path) == place


@pytest.mark.parametrize(
    "path",
    [
        "registry/churn/versions/v3.yaml",
        "registry/churn/versions/3.0.0.yaml",
        "registry/churn/versions/V3.0.0.yaml",
        "registry/churn/versions/v3.0.0",
        "registry/churn/versions/v3.0.0.yml",
        "registry/churn/versions/v3.0.0.yaml~",
        "registry/churn/versions/old/v3.0.0.yaml",
        "registry/churn/versions/",
        "registry/churn/versions/.yaml",
        "registry/churn/versions/notes.yaml",
        "registry/churn/stages/Production.yaml",
        "registry/churn/stages/latest.yaml",
        "registry/churn/stages/v3.yaml",
        "registry/churn/stages/production.files",
        "registry/churn/stages/production",
        "registry/churn/stages/eu/production.yaml",
        "registry/churn/stages/.yaml",
        "registry/churn/artifact/.dvc",
        "registry/churn/artifact/model.pkl",
        "registry/churn/artifact/sub/model.pkl.dvc",
        "registry/churn/artifact/.gitignore",
        "registry/churn/approvals/README.md",
        "registry/churn/approvals/0a1b.yaml",
        "registry/churn/approvals/v3/production/0a1b.yaml",
        "registry/churn/approvals/v3.0.0/0a1b.yaml",
        "registry/churn/approvals/v3.0.0/archived/0a1b.yaml",
        "registry/churn/approvals/v3.0.0/production/more/0a1b.yaml",
        "registry/churn/approvals/v3.0.0/production/.yaml",
        "registry/churn/approvals/v3.0.0/production/0a1b.yml",
        "registry/churn/approvals/v3.0.0/production/0a1b.yaml/",
        "registry/churn/approvals/v3.0.0/production//0a1b.yaml",
        "registry/churn/approvals/v3.0.0/Production/0a1b.yaml",
        "registry/churn/approvals/v3.0.0/../0a1b.yaml",
        "registry/churn/approvals/v3.0.0//0a1b.yaml",
        "registry/churn/approvals/3.0.0/production/0a1b.yaml",
        "registry/churn/approvals/V3.0.0/production/0a1b.yaml",
        "registry/churn/approvals/production/v3.0.0/0a1b.yaml",
        "registry/churn/approvals/.yaml",
        "registry/churn/approvals//.yaml",
        "registry/churn/approvals",
    ],
)
def test_locate_foreign_file_of_a_model_is_stray(path: str) -> None:
    assert LAYOUT.locate(path) == Place(PathKind.STRAY, CHURN)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "registry",
        "registry.yaml",
        "registry/README.md",
        "registry/churn/README.md",
        "registry/Churn/versions/v3.0.0.yaml",
        "registry/v3/versions/v3.0.0.yaml",
        "registry/versions/v3.0.0.yaml",
        "registry/versions/versions/v3.0.0.yaml",
        "registry//versions/v3.0.0.yaml",
        "registry2/churn/versions/v3.0.0.yaml",
        "other/churn/versions/v3.0.0.yaml",
        "/registry/churn/versions/v3.0.0.yaml",
        "docs/registry/churn/versions/v3.0.0.yaml",
    ],
)
def test_locate_path_of_no_model_is_none(path: str) -> None:
    assert LAYOUT.locate(path) is None


@given(
    st.one_of(
        st.text(alphabet="registychunvagp/.3@-0 ", max_size=40),
        st.text(alphabet="v3.0/-productn ayml", max_size=30).map("churn/approvals/v3.0.0/".__add__),
    ).map("registry/".__add__)
)
def test_locate_takes_any_text(path: str) -> None:
    place = LAYOUT.locate(path)
    if place and place.kind is PathKind.RECORD and place.version:
        assert LAYOUT.record(place.model, place.version) == path
    if place and place.kind is PathKind.STAGE and place.stage:
        assert LAYOUT.stage(place.model, place.stage) == path
    if place and place.kind is PathKind.APPROVAL and place.version and place.stage:
        name = path.rpartition("/")[2].removesuffix(".yaml")
        assert LAYOUT.approval(place.model, place.version, place.stage, name) == path


@pytest.mark.parametrize(
    ("path", "is_stray"),
    [
        ("registry/churn/stages/notes.txt", True),
        ("registry/churn/approvals/0a1b.yaml", True),
        ("registry/churn/model.pkl", True),
        ("registry/churn.yaml", True),
        ("registry/Churn/versions/v3.0.0.yaml", True),  # of no model
        ("registry/churn/README.md", False),
        ("registry/README", False),
        ("registry/.gitattributes", False),
        ("registry/churn/stages/production.yaml", False),
        ("registry/churn/approvals/v3.0.0/production/0a1b.yaml", False),
        ("registry.yaml", False),
        ("registry", False),
        ("registry2/model.pkl", False),
        ("src/registry/model.pkl", False),
    ],
)
def test_stray_is_what_lies_in_the_folder_and_is_none_of_its_files(path: str, is_stray: bool) -> None:
    assert LAYOUT.is_stray(path) is is_stray


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("registry.yaml", ":/registry.yaml"),
        ("registry/a b.yaml", "':/registry/a b.yaml'"),
        ("registry/no*te", "':(top,literal)registry/no*te'"),
    ],
)
def test_pathspec_is_what_a_shell_and_git_take_as_one_path(path: str, expected: str) -> None:
    assert pathspec(path) == expected
