"""A real S3 server on this machine: SeaweedFS, with authentication, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import BIN

__all__ = ["BUCKET", "Server", "serve"]

BUCKET = "models"
_START_S = 60


@dataclass(frozen=True)
class Server:
    """Where it is, and how to log in."""

    port: int

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What every client takes its credentials from."""
        return {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchsecret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Runs the server for as long as the context lasts."""
    ports = [_free_port() for _ in range(10)]
    names = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc")]
    options = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    options += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}", f"-dir={folder}"]
    options += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    folder.mkdir(parents=True)
    server = Server(ports[0])
    env = {**os.environ, **server.env, "HOME": str(folder)}
    weed = shutil.which("weed", path=f"{BIN}:{os.environ['PATH']}") or "weed"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([weed, "mini", *options], env=env, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(server: Server) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with closing(socket.socket()) as client:
            if client.connect_ex(("127.0.0.1", server.port)) == 0:
                client.sendall(f"GET /{BUCKET} HTTP/1.0\r\n\r\n".encode())
                if client.recv(12).endswith((b"403", b"200")):
                    return
        time.sleep(0.1)
    raise SystemExit("the S3 server did not start")
