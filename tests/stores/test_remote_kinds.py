"""Remotes of other kinds than S3, end to end: HTTP and SSH with real servers, the clouds as far as their errors."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import PATH, Mreg
from tests.s3 import free_port

SSHD_PATH = os.pathsep.join((PATH, "/usr/sbin", "/usr/local/sbin"))


class FileServer(BaseHTTPRequestHandler):
    """Keeps what is put, in the folder of its server; asks for a password where that has one."""

    server: Files
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self._find()
        if content is not None:
            self._answer(HTTPStatus.OK, content)

    def do_HEAD(self) -> None:
        content = self._find()
        if content is not None:
            self._answer(HTTPStatus.OK, content)

    def do_PUT(self) -> None:
        content = self._read()
        if self._may_enter():
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self._answer(HTTPStatus.CREATED)

    def do_POST(self) -> None:
        self.do_PUT()

    def log_message(self, format: str, *args: object) -> None:
        self.server.seen.append(self.requestline)

    def _find(self) -> bytes | None:
        if not self._may_enter():
            return None
        if not self._path().is_file():
            self._answer(HTTPStatus.NOT_FOUND)
            return None
        return self._path().read_bytes()

    def _read(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _path(self) -> Path:
        return self.server.folder / self.path.lstrip("/")

    def _may_enter(self) -> bool:
        if self.server.needs and self.headers.get("Authorization") != self.server.needs:
            self._answer(HTTPStatus.UNAUTHORIZED)
            return False
        return True

    def _answer(self, status: HTTPStatus, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Files(ThreadingHTTPServer):
    """The server of one folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), FileServer)
        self.folder = folder
        self.needs = ""
        self.seen: list[str] = []


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    with Files(tmp_path / "served") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    (folder / "large").write_bytes(os.urandom(3 << 20))
    return folder


def check_round_trip(repo: Path, mreg: Mreg, **env: str) -> None:
    """Registers, loses the cache, pulls, and finds the same."""
    model = make_model(repo.parent / "model")
    mreg("register", "churn", os.fspath(model), env=env, check=0)
    shutil.rmtree(repo / ".dvc" / "cache")
    mreg("pull", "churn", "--output", os.fspath(repo.parent / "out"), env=env, check=0)
    subprocess.run(["diff", "-r", model, repo.parent / "out"], check=True)


@pytest.mark.slow
def test_http_round_trip(repo: Path, mreg: Mreg, mreg_here: Mreg, files: Files) -> None:
    url = f"http://127.0.0.1:{files.server_port}/models"
    files.needs = "Basic YWRhOmh1c2g="  # ada:hush
    mreg_here("init", "--remote", url, "--remote-option", "auth=basic", "--remote-option", "user=ada", check=0)
    refused = mreg("register", "churn", os.fspath(make_model(repo.parent / "first")), check=6)
    assert "password" in refused.err
    (repo / ".dvc" / "config.local").write_text("['remote \"storage\"']\n    password = hush\n")
    check_round_trip(repo, mreg)
    (stored,) = files.folder.glob("models/files/md5/*/*.dir")
    stored.write_bytes(stored.read_bytes().replace(b"large", b"lArge"))
    shutil.rmtree(repo / ".dvc" / "cache")
    failed = mreg("pull", "churn", "--output", "else", check=3)
    assert "has changed: its bytes have the MD5" in failed.err
    files.needs = "Basic bm90IHRoaXM="
    assert "access was refused" in mreg("pull", "churn", "--output", "else", check=6).err


@dataclass(frozen=True)
class Sshd:
    """A real SSH server, and the key that it lets in."""

    port: int
    key: Path
    home: Path


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    program = shutil.which("sshd", path=SSHD_PATH)
    if program is None:
        pytest.skip("needs a real SSH server: apt-get install openssh-server")
    folder = tmp_path / "ssh"
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    port = free_port()
    config = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": folder / "host", "PidFile": "none", "UsePAM": "no",
        "AuthorizedKeysFile": folder / "authorized", "StrictModes": "no", "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp", "MaxStartups": "100",
    }  # fmt: skip
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in config.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([program, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        public = (folder / "host.pub").read_text()
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
        yield Sshd(port, folder / "user", home)
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.05)
    pytest.fail("the SSH server did not start")


@pytest.mark.slow
def test_ssh_round_trip(repo: Path, tmp_path: Path, mreg: Mreg, mreg_here: Mreg, sshd: Sshd) -> None:
    store = tmp_path / "store"
    url = f"ssh://{getpass.getuser()}@127.0.0.1{store}"
    options = ("--remote-option", f"port={sshd.port}", "--remote-option", f"keyfile={sshd.key}")
    mreg_here("init", "--remote", url, *options, check=0)
    check_round_trip(repo, mreg, HOME=os.fspath(sshd.home))
    assert not list(store.rglob("*.tmp"))
    shutil.copy(sshd.home / ".ssh" / "known_hosts", tmp_path / "known")
    other = (sshd.key.with_suffix(".pub")).read_text()
    (sshd.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other}")
    shutil.rmtree(repo / ".dvc" / "cache")
    failed = mreg("pull", "churn", "--output", "else", env={"HOME": os.fspath(sshd.home)}, check=6)
    assert "its certificate or host key is not trusted" in failed.err
