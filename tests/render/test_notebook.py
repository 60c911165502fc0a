"""Results in a notebook: tables by real IPython where it is installed, and what it is asked for where it is not."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import mreg
from mreg import Registry
from mreg.render.formats import notebook

TABLE = "| model | latest | versions | staging | production |"


@pytest.fixture
def registry(repo: Path, model_file: Path) -> Registry:
    registry = Registry.init(repo)
    registry.register("churn", model_file, metrics={"auc": 0.9}, stage="production", reason="first")
    return registry


@pytest.fixture
def show() -> Callable[[object], str | None]:
    """What a notebook that loaded mreg would show of a value."""
    known: dict[tuple[str, str], Callable[[object], str | None]] = {}

    def keep(module: str, name: str, function: Callable[[object], str | None]) -> None:
        known[module, name] = function

    formatter = SimpleNamespace(for_type_by_name=keep)
    formatters = SimpleNamespace(formatters={"text/markdown": formatter})
    mreg.load_ipython_extension(SimpleNamespace(display_formatter=formatters))

    def show(value: object) -> str | None:
        function = known.get((type(value).__module__, type(value).__name__))
        return function(value) if function else None

    return show


def test_notebook_shows_results_as_tables(registry: Registry, show: Callable[[object], str | None]) -> None:
    assert TABLE in str(show(registry.list()))
    stream = registry.stream_versions("churn")
    assert show(stream) is None
    assert len(list(stream)) == 1
    assert show(registry) is None
    for result in (
        registry.versions("churn"),
        registry.show("churn"),
        registry.history(),
        registry.report(),
        registry.best("churn", by="auc:higher"),
        registry.plan(base="HEAD"),
        registry.verify(),
        registry.fsck(),
        registry.sync(),
        registry.clear("churn", "production", dry_run=True),
    ):
        assert show(result), result


def test_notebook_shows_a_long_list_in_a_line(
    registry: Registry, show: Callable[[object], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "MAX_ROWS", 0)
    assert show(registry.list()) is None
    assert show(registry.show("churn"))


@pytest.mark.filterwarnings("default")
def test_notebook_of_ipython_shows_a_table(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("IPython", reason="IPython is not installed")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = importlib.import_module("IPython.core.interactiveshell").InteractiveShell()
    shell.run_line_magic("load_ext", "mreg")
    shown, _ = shell.display_formatter.format(registry.list())
    assert TABLE in shown["text/markdown"]
    assert shown["text/plain"] == repr(registry.list())
    shown, _ = shell.display_formatter.format(registry.policy)
    assert "text/markdown" not in shown
