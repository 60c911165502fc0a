"""A watch whose bytes come from S3: what stays while that fails, and how it ends in the middle of a download."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.proxy import Fault
from tests.faults.sites import Site
from tests.s3 import KEYS
from tests.serving.watches import Follower, following, watching

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _surroundings(served: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Away from the repository, which was put anew where this process is.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mregkey")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["mregkey"])


def wait_for_download(site: Site, key: str) -> None:
    """Waits until somebody has asked for an object."""
    deadline = time.monotonic() + 60
    while not any(method == "GET" and path.endswith(key) for method, path in site.proxy.requests):
        assert time.monotonic() < deadline, site.proxy.requests
        time.sleep(0.01)


def leftovers(site: Site) -> list[str]:
    places = (site.root.parent, Path(os.environ["XDG_CACHE_HOME"]))
    return [str(path) for place in places for path in place.rglob(".mreg-*")]


def test_watch_outlives_storage_that_is_down(served: Site) -> None:
    served.proxy.suffer(Fault(refuses=True))
    place = served.root.parent / "model-served"
    with following("churn", str(served.root), place) as watch:
        news = watch.hear()
        assert (news.code, news.pulled) == ("storage", None)
        assert not any(secret in news.message + news.hint for secret in KEYS.values())
        served.proxy.heal()
        assert watch.next().path == place
        assert watch.hear().is_good
    for name in ("config.json", "weights.bin"):
        assert (place / name).read_bytes() == (served.root.parent / "model" / name).read_bytes()
    assert leftovers(served) == []


# What a transfer holds that was given up is let go by the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_watch_ends_in_the_middle_of_a_download(served: Site) -> None:
    served.proxy.suffer(Fault(pause_s=0.05))  # half a minute for the file
    place, key = served.root.parent / "model-served", served.key_of("weights.bin")
    with watching("churn", "--repo", str(served.root), "-o", str(place)) as watch:
        wait_for_download(served, key)
        before = time.monotonic()
        assert watch.end(signal.SIGTERM) == 143
        assert time.monotonic() - before < 20
        assert (watch.errors, place.exists(), leftovers(served)) == ([], False, [])
    served.proxy.forget()
    follower = Follower("churn", str(served.root), place)
    wait_for_download(served, key)
    follower.end()
    assert (follower.error, follower.news.empty(), place.exists()) == (None, True, False)
    assert leftovers(served) == []
    served.proxy.heal()
    with following("churn", str(served.root), place) as again:
        assert again.next().changed
