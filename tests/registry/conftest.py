from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first team of a module is kept, which ``tests.registry.teams`` copies for each test."""
    return tmp_path_factory.mktemp("team")
