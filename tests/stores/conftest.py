from __future__ import annotations

from pathlib import Path

import pytest

from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.stat_cache import StatCache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def stats(tmp_path: Path) -> StatCache:
    return StatCache(tmp_path / "stat")
