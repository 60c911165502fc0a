"""The Python API on what people write for its types: taken for what it means, or refused with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mreg
from mreg import Code, Dataset, Environment, Registry, Run, Version
from mreg.errors import NotFoundError, UsageError
from tests.conftest import Git


@pytest.fixture
def registry(repo: Path, tmp_path: Path) -> Registry:
    """Two versions of churn; production holds v1."""
    registry = Registry.init(repo)
    for number in (1, 2):
        (tmp_path / "model.bin").write_bytes(b"model %d" % number)
        registry.register("churn", tmp_path / "model.bin", metrics={"auc": number / 10})
    registry.promote("churn@v1", "production", reason="x")
    (tmp_path / "model.bin").write_bytes(b"model 3")
    return registry


def test_choices_may_be_written_as_text(registry: Registry, tmp_path: Path) -> None:
    assert str(registry.register("churn", tmp_path / "model.bin", bump="minor").version) == "v2.1.0"
    registry.promote("churn@v2", "production", reason="x", on_replace="archive")
    assert registry.show("churn@v1").archived is not None
    assert registry.pull("churn@v2", tmp_path / "out", link="hardlink").path.stat().st_nlink > 1


@pytest.mark.parametrize(
    ("act", "allowed"),
    [
        (lambda registry, path: registry.register("churn", path, bump="big"), "major, minor, patch"),
        (lambda registry, path: registry.promote("churn@v2", "staging", reason="x", on_replace=True), "keep, archive"),
        (lambda registry, path: registry.pull("churn", path, link="hard"), "auto, copy, hardlink, symlink"),
    ],
)
def test_choice_that_is_none_is_refused(
    registry: Registry, tmp_path: Path, act: Callable[[Any, Path], object], allowed: str
) -> None:
    with pytest.raises(UsageError) as caught:
        act(registry, tmp_path / "model.bin")
    assert allowed in caught.value.hint


def test_one_text_where_several_are_meant_is_one(registry: Registry) -> None:
    registry.promote("churn@v2", "production", reason="x", approved_by="bob@example.com")
    assert registry.history("churn").transitions[0].approved_by == ("bob@example.com",)
    assert str(registry.best("churn", by="auc:higher", where="auc<0.15").version) == "v1.0.0"
    assert registry.compare("churn@v1", "churn@v2", higher="auc").metrics["auc"].best == "v2.0.0"


def test_approver_that_is_named_twice_is_one(registry: Registry) -> None:
    registry.promote("churn@v2", "production", reason="x", approved_by=["bo@example.com", "Bo@example.com", "ann"])
    assert registry.history("churn").transitions[0].approved_by == ("bo@example.com", "ann")


def test_times_may_be_values_or_text(registry: Registry, tmp_path: Path, git: Git) -> None:
    record = registry.register("churn", tmp_path / "model.bin", trained_at="2026-01-02").record
    assert record is not None
    assert record.trained_at == datetime(2026, 1, 2, tzinfo=timezone.utc)
    day = registry.register(
        "churn", tmp_path / "model.bin", trained_at=date(2026, 1, 2), dry_run=True, force=True
    ).record
    assert day is not None
    assert day.trained_at == record.trained_at
    assert registry.list(at=datetime(2027, 1, 1, tzinfo=timezone.utc)).models[0].versions == 3
    assert registry.list(at=date(2027, 1, 1)).models[0].versions == 3
    with pytest.raises(NotFoundError):
        registry.list(at=date(1999, 1, 1))


class Name(str, Enum):
    """Text to Python, and formatted as ``Name.CHURN``."""

    CHURN = "churn"
    SELECTOR = "churn@v2"
    PRODUCTION = "production"
    BRANCH = "proposal"


def test_member_of_an_enum_of_texts_is_its_text(registry: Registry, tmp_path: Path, git: Git) -> None:
    receipt = registry.promote(Name.SELECTOR, Name.PRODUCTION, reason=Name.CHURN, approved_by=Name.CHURN)
    assert receipt.tags == ("churn#production#2",)
    registry.register(Name.CHURN, tmp_path / "model.bin", stage=Name.PRODUCTION, reason="x", branch=Name.BRANCH)
    assert (
        git("ls-tree", "-r", "--name-only", "proposal", "registry/churn/stages")
        == "registry/churn/stages/production.yaml"
    )
    assert "Name." not in git("log", "--all", "--format=%B%d")


def test_version_may_be_the_one_of_a_receipt(registry: Registry, tmp_path: Path) -> None:
    first = registry.show("churn@v1").record.version
    registry.promote("churn@v2", "production", reason="x")
    assert registry.rollback("churn", "production", reason="x", to=first).version == first
    following = first.bumped(mreg.Bump.MINOR)
    assert registry.register("churn", tmp_path / "model.bin", version=following, force=True).version == following


def test_numbers_and_names_of_numpy_are_what_they_hold(registry: Registry) -> None:
    assert registry.gc(keep_newest=np.int64(1)).retention.newest == 1
    assert registry.show(np.str_("churn@v1")).record.version == Version(1)


def test_model_in_the_place_of_a_path_is_not_shown_whole(registry: Registry) -> None:
    with pytest.raises(UsageError) as caught:
        registry.register("churn", bytes(10**6))  # type: ignore[arg-type]
    assert caught.value.message == "path: a value of type bytes is not a path"
    assert "saved to a file first" in caught.value.hint


def test_what_trained_a_version_may_be_said(registry: Registry, tmp_path: Path) -> None:
    code, run = (
        Code(commit="4f1c", repo="https://git.example.com/train.git"),
        Run(tool="slurm", url="https://hpc.example.com/7"),
    )
    environment = Environment(python="3.12.1", packages={"torch": "2.9.0"})
    registry.register("churn", tmp_path / "model.bin", code=code, run=run, environment=environment)
    record = registry.show("churn").record
    assert (record.code, record.run, record.environment) == (code, run, environment)
    (tmp_path / "model.bin").write_bytes(b"of an unknown past")
    registry.register("churn", tmp_path / "model.bin", code=Code(), environment=Environment())
    record = registry.show("churn").record
    assert (record.code, record.environment) == (None, None)


def test_remote_may_be_a_path(repo: Path, tmp_path: Path) -> None:
    Registry.init(repo, remote=tmp_path / "remote")
    assert f"url = {tmp_path / 'remote'}" in (repo / ".dvc" / "config").read_text()


UNRECORDABLE: list[tuple[dict[str, Any], str]] = [
    ({"dataset": Dataset(name="https://u:p@h/x")}, "password in a URL"),
    ({"dataset": Dataset(name="a", version="b\nc")}, "one line"),
    ({"dataset": 5}, "dataset"),
    ({"dataset": ("customers", "2026-10")}, "is no Dataset"),
    ({"dataset": Dataset(name=3)}, "Expected `str`, got `int`"),  # type: ignore[arg-type]
    ({"code": "4f1c"}, "is no Code"),
    ({"code": Code(commit="a\nb")}, "one line"),
    ({"run": Run(url="https://ada:secret@ci.example.com/7")}, "password in a URL"),
    ({"environment": {"python": "3.11"}}, "is no Environment"),
    ({"environment": Environment(packages={"torch": "a\nb"})}, "one line"),
    ({"dataset": "customers@"}, "'customers@' has no version behind the @"),
    ({"dataset": "@2026-10"}, "'@2026-10' has no name before the @"),
    ({"dataset": "@"}, "no name before the @"),
    ({"format": "a\nb"}, "one line"),
    ({"metrics": [1]}, "a mapping"),
    ({"params": "depth=3"}, "a mapping"),
    ({"metadata": [("a", 1)]}, "a mapping"),
    ({"trained_at": "yesterday"}, "trained_at"),
    ({"trained_at": np.datetime64("2026-01-02")}, "is not a time"),
    ({"trained_at": 5}, "trained_at"),
    ({"notes": None}, "notes"),
    ({"notes": b"x"}, "notes"),
    ({"version": 3}, "version"),
    ({"version": Version("v3")}, "version"),  # type: ignore[arg-type]
    ({"branch": 3}, "branch"),
    ({"stage": 3, "reason": "x"}, "stage"),
    ({"stage": "staging", "reason": 3}, "reason"),
    ({"stage": "staging", "reason": "x", "approved_by": [1]}, "approved_by"),
    ({"stage": "staging", "reason": "x", "approved_by": 1}, "approved_by"),
]
OF_OTHER_TYPES: list[Callable[[Any], object]] = [
    lambda _: Registry.open(None),  # type: ignore[arg-type]
    lambda _: Registry.open(""),
    lambda _: Registry.open("https://git.example.com/models.git"),
    lambda _: Registry.snapshot(3),  # type: ignore[arg-type]
    lambda _: Registry.init(3),  # type: ignore[arg-type]
    lambda _: Registry.init(".", remote=3),  # type: ignore[arg-type]
    lambda _: Registry.init(".", branch=3),  # type: ignore[arg-type]
    lambda _: mreg.pull("churn", repo=None),  # type: ignore[arg-type]
    lambda _: mreg.pull("churn", repo=b"."),  # type: ignore[arg-type]
    lambda _: mreg.pull("churn", repo=".", branch=3),  # type: ignore[arg-type]
    lambda _: mreg.watch("churn", repo=".", output="x", stop=True),  # type: ignore[arg-type]
    lambda registry: registry.register("churn", ""),
    lambda registry: registry.promote("churn@v2", "staging", reason="x", branch=3),
    lambda registry: registry.gc(keep_newest="2"),
    lambda registry: registry.gc(keep_newest=1.5),
    lambda registry: registry.gc(keep_within=90),
    lambda registry: registry.gc(keep_within=timedelta(days=-1)),
    lambda registry: registry.gc(keep_newest=1, branch=3),
    lambda registry: registry.plan(base=3),
    lambda registry: registry.plan(head=3),
    lambda registry: registry.verify(since=3),
    lambda registry: registry.sync(resend=3),
    lambda registry: registry.push(branch=3),
    lambda registry: registry.register(None, "model.bin"),
    lambda registry: registry.register("churn", None),
    lambda registry: registry.register("churn", 5),
    lambda registry: registry.promote("churn@v2", "production", reason=None),
    lambda registry: registry.promote(2, "production", reason="x"),
    lambda registry: registry.rollback("churn", "production", reason="x", to=1),
    lambda registry: registry.clear("churn", None),
    lambda registry: registry.archive("churn@v2", reason=1),
    lambda registry: registry.pull("churn", 5),
    lambda registry: registry.list(at=5),
    lambda registry: registry.show(None),
    lambda registry: registry.history(5),
    lambda registry: registry.best("churn", by=5),
    lambda registry: registry.best("churn", by=[5]),
    lambda registry: registry.best("churn", by=["auc:higher"], where=[5]),
    lambda registry: registry.compare("churn@v1", "churn@v2", higher=[5]),
]


def test_register_refuses_what_no_record_can_say(registry: Registry, tmp_path: Path) -> None:
    for facts, word in UNRECORDABLE:
        with pytest.raises(UsageError, match=word) as caught:
            registry.register("churn", tmp_path / "model.bin", **facts)
        assert caught.value.hint, facts
    assert len(registry.versions("churn").versions) == 2


def test_value_of_another_type_is_a_usage_error(registry: Registry) -> None:
    for act in OF_OTHER_TYPES:
        with pytest.raises(UsageError) as caught:
            act(registry)
        assert caught.value.message
