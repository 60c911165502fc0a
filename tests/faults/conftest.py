"""Registries whose storage fails: S3 behind a proxy, new for each test, the version in it made once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg
from tests.faults.proxy import Proxy, open_proxy
from tests.faults.sites import Site, make_model, remote_of
from tests.s3 import S3


@pytest.fixture(scope="session")
def s3_proxy(s3: S3) -> Iterator[Proxy]:
    """One proxy before the S3 server, for all tests."""
    with open_proxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def site(repo: Path, s3: S3, s3_proxy: Proxy, git: Git, mreg_here: Mreg) -> Iterator[Site]:
    """A registry without a version; its remote is empty."""
    prefix = f"t{os.urandom(6).hex()}"
    _init(repo, s3_proxy, mreg_here, prefix)
    s3_proxy.forget()
    yield Site(repo, s3, s3_proxy, git, prefix)
    s3_proxy.heal()


@pytest.fixture(scope="session")
def _served_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture
def served(_served_template: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A registry with churn v1.0.0, a directory in S3, and no cache."""
    template = _served_template / "repo"
    if not template.exists():
        site.succeed(["register", "churn", os.fspath(make_model(site.root.parent / "model"))])
        site.forget()
        shutil.copytree(site.root, template)
        shutil.copytree(site.root.parent / "model", _served_template / "model")
        (_served_template / "prefix").write_text(site.prefix)
    shutil.rmtree(site.root)
    shutil.copytree(template, site.root)
    monkeypatch.chdir(site.root)  # the folder of that name is another now
    shutil.copytree(_served_template / "model", site.root.parent / "model", dirs_exist_ok=True)
    site.prefix = (_served_template / "prefix").read_text()
    site.proxy.forget()
    return site


def _init(repo: Path, proxy: Proxy, mreg: Mreg, prefix: str) -> None:
    endpoint = ("--endpoint-url", f"http://127.0.0.1:{proxy.port}", "--remote-option", "region=us-east-1")
    mreg("init", "--remote", remote_of(prefix), *endpoint, cwd=repo, check=0)
