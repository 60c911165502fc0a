"""S3 by botocore and s3transfer: what is asked, and what comes of it, on a real server behind a proxy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from dvc_s3 import S3FileSystem

from mreg.errors import CorruptArtifactError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import Meter
from mreg.stores.dvc.errors import Place
from mreg.stores.dvc.s3 import S3Remote
from mreg.stores.dvc.s3_options import client_options, open_session, read_extra
from mreg.stores.dvc.traffic import Traffic
from tests.conftest import PATH
from tests.faults.proxy import Fault, Proxy, open_proxy
from tests.s3 import S3, serve_s3

PART = 8 << 20
PLACE = Place("storage", "s3://models/x")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with serve_s3(tmp_path_factory.mktemp("s3"), PATH) as server:
        yield server


@pytest.fixture
def proxy(s3: S3) -> Iterator[Proxy]:
    with open_proxy(s3.port) as proxy:
        yield proxy


class Yard:
    """A cache, and the same bytes' remote behind a proxy."""

    def __init__(self, folder: Path, proxy: Proxy, s3: S3) -> None:
        self.prefix = folder.name
        self.cache, self.other, self.s3 = Cache(folder / "cache"), Cache(folder / "other"), s3
        options = {**s3.options(self.prefix), "endpointurl": f"http://127.0.0.1:{proxy.port}", "region": "us-east-1"}
        self.remote = S3Remote(options, f"models/{self.prefix}", PLACE, stall_s=5)

    def add(self, content: bytes) -> str:
        md5 = hashlib.md5(content).hexdigest()
        path = self.cache.path(md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return md5

    def key(self, md5: str) -> str:
        return f"{self.prefix}/files/md5/{md5[:2]}/{md5[2:]}"

    def send(self, *md5s: str) -> set[str]:
        sizes = {md5: self.cache.size(md5) or 0 for md5 in md5s}
        return self._traffic(self.cache).send(sizes, Meter(None, 0))

    def fetch(self, *md5s: str) -> list[int]:
        moved: list[int] = []
        with self.other.scratch() as scratch:
            meter = Meter(lambda done, _: moved.append(done), sum(self.cache.size(md5) or 0 for md5 in md5s))
            self._traffic(self.other).fetch(md5s, scratch, meter)
        return moved

    def _traffic(self, cache: Cache) -> Traffic:
        return Traffic(cache, self.remote, PLACE, 4, 5)


@pytest.fixture
def yard(tmp_path: Path, proxy: Proxy, s3: S3) -> Yard:
    return Yard(tmp_path, proxy, s3)


@pytest.mark.slow
def test_objects_of_every_size_come_back_as_they_went(yard: Yard) -> None:
    sizes = (0, 1, 1 << 20, (1 << 20) + 1, PART - 1, PART, PART + 1, 2 * PART + 17)
    names = [yard.add(os.urandom(size)) for size in sizes]
    assert yard.send(*names) == set(names)
    assert yard.send(*names) == set()
    moved = yard.fetch(*names)
    assert moved == sorted(moved)
    assert moved[-1] == sum(sizes)
    for name in names:
        assert yard.other.path(name).read_bytes() == yard.cache.path(name).read_bytes()
        assert yard.other.path(name).stat().st_mode & 0o777 == 0o444
    assert yard.s3.unfinished(yard.prefix) == []


def test_small_objects_take_one_request_each(yard: Yard, proxy: Proxy) -> None:
    names = [yard.add(os.urandom(100)) for _ in range(20)]
    yard.send(*names)
    assert proxy.count() == {"HEAD": 40, "PUT": 20}
    proxy.forget()
    yard.fetch(*names)
    assert proxy.count() == {"GET": 20}


def test_what_goes_wrong_is_asked_again_by_botocore(yard: Yard, proxy: Proxy) -> None:
    names = [yard.add(os.urandom(100)) for _ in range(8)]
    yard.send(*names)
    proxy.suffer(Fault(answers=b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", times=2))
    yard.fetch(*names[:4])
    proxy.suffer(Fault(cut_down=40, times=2))
    yard.fetch(*names)
    assert all(yard.other.path(name).read_bytes() == yard.cache.path(name).read_bytes() for name in names)


@pytest.mark.slow
def test_part_that_is_cut_off_goes_on_where_it_stopped(yard: Yard, proxy: Proxy) -> None:
    name = yard.add(os.urandom(PART * 2))
    yard.send(name)
    proxy.suffer(Fault(cut_down=PART // 2, times=1))
    proxy.forget()
    moved = yard.fetch(name)
    assert 3 <= proxy.count()["GET"] <= 6  # one to look, two parts; others may be open in time to suffer it
    assert moved[-1] == 2 * PART
    assert yard.other.path(name).read_bytes() == yard.cache.path(name).read_bytes()


@pytest.mark.slow
def test_object_of_more_parts_than_memory_holds_comes_back(yard: Yard) -> None:
    name = yard.add(os.urandom(1 << 20) * 89 + b"end")  # s3transfer hangs here where it looks at the first part itself
    yard.send(name)
    with yard.remote:
        moved = yard.fetch(name)
    assert moved[-1] == (89 << 20) + 3
    assert yard.other.path(name).stat().st_size == (89 << 20) + 3


@pytest.mark.slow
def test_large_object_that_changed_in_the_cache_is_never_seen_there(yard: Yard) -> None:
    name = yard.add(os.urandom(2 * PART))
    path = yard.cache.path(name)
    with path.open("r+b") as file:
        file.seek(PART + 5)
        file.write(b"other bytes")
    with pytest.raises(CorruptArtifactError, match="have changed"):
        yard.send(name)
    assert yard.s3.keys(yard.prefix) == []
    assert yard.s3.unfinished(yard.prefix) == []


OPTIONS: list[dict[str, Any]] = [
    {},
    {"access_key_id": "a", "secret_access_key": "b", "session_token": "c"},
    {"region": "eu-west-1", "endpointurl": "http://127.0.0.1:1", "use_ssl": False, "ssl_verify": False},
    {"ssl_verify": "/etc/ssl/own.pem", "connect_timeout": 3, "read_timeout": 4},
    {"allow_anonymous_login": True},
    {"sse": "aws:kms", "sse_kms_key_id": "k", "acl": "private"},
    {"sse_customer_key": "a2V5", "grant_read": "id=1", "grant_full_control": "id=2"},
    {"sse_customer_key": "a2V5", "sse_customer_algorithm": "AES128"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "none")
def test_options_mean_what_they_mean_to_dvc(options: dict[str, Any]) -> None:
    peer = S3FileSystem(url="s3://models", **options).fs_args
    ours = client_options(options, 60)
    config = ours.pop("config")
    assert {key: ours.get(key) for key in ("region_name", "endpoint_url", "verify")} == {
        key: peer.get("client_kwargs", {}).get(key) for key in ("region_name", "endpoint_url", "verify")
    }
    assert ours["use_ssl"] == peer["use_ssl"]
    assert (config.signature_version is UNSIGNED) == bool(peer.get("anon"))
    assert read_extra(options) == peer.get("s3_additional_kwargs", {})
    assert (config.connect_timeout, config.read_timeout) == (
        options.get("connect_timeout", 5),
        options.get("read_timeout", 60),
    )
    if "access_key_id" in options:
        found = open_session(options).get_credentials().get_frozen_credentials()
        assert tuple(found)[:3] == (peer["key"], peer["secret"], peer["token"])


def test_options_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        read_extra({"sse_customer_key": "a2V5", "sse_kms_key_id": "k"})
    with pytest.raises(ValueError, match="exclude each other"):
        read_extra({"acl": "private", "grant_read": "id=1"})


def test_files_of_aws_that_the_options_name_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, keys = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile team]\nregion = eu-north-1\ns3 =\n  addressing_style = virtual\n")
    keys.write_text("[team]\naws_access_key_id = one\naws_secret_access_key = two\n")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    options = {"profile": "team", "configpath": str(config), "credentialpath": str(keys)}
    session = open_session(options)
    assert session.get_credentials().access_key == "one"
    client = session.create_client("s3", **client_options(options, 60))
    assert client.meta.region_name == "eu-north-1"
    assert client.meta.config.s3["addressing_style"] == "virtual"
